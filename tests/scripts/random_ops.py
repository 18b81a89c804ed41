"""Random operations, on Redis and on the model, compared after each one.

Held after every operation:
 * the reply is the model's;
 * every job touched has the record and the run the model says;
 * each id is in exactly one place, with the model's score, and its run's
   letter agrees (all jobs every FULL operations, the touched ones always);
 * each lane names the model's ids, in its order; each lease the ids of its
   claim, and how many of them run;
 * gauges and counters equal the sizes they describe and the model's;
 * a call that changed nothing (stale, already, gone) left the data as it was;
 * a handler with waiting jobs has its wake marker, unless a worker took it and
   has not yet claimed for it with `woken`;
 * payloads aside are those of the jobs that are there, and expire no more;
 * a job scheduled earlier than all others has its handler's marker;
 * jobs that a call completed are in packs: neighbours of one retention."""

import itertools
import time

import tmq
from model import Win
from side_by_side import HANDLERS, WORKERS, Mismatch, Pair, need

FULL = 50
LEASE = 3600000
FAR = 10**8         # ms: nothing this far comes due while the test runs


class Player(Pair):
    claims = 0

    # -- picking
    def some_id(self):
        r = self.rng
        if self.m.jobs and r.random() < .9:
            return r.choice(list(self.m.jobs))
        return r.randint(1, self.m.seq + 3)

    def some_of(self, place):
        jobs = self.m.at(place)
        return self.rng.sample(jobs, min(len(jobs), self.rng.randint(1, 6)))

    def leases(self):
        """Ids and tokens: mostly good, some stale, some repeated."""
        r, out = self.rng, []
        for j in self.some_of('leased'):
            out.append((j.id, j.token))
        for _ in range(r.randint(0, 2)):
            what = r.random()
            if what < .4 and self.tokens:
                out.append(r.choice(self.tokens))
            elif what < .6 and out:
                out.append(r.choice(out))
            elif what < .8:
                out.append((self.some_id(), '%012x' % r.randint(0, 50)
                            + r.choice(WORKERS)))
            elif out:
                out.append((out[0][0], ''))
        r.shuffle(out)
        self.touched.update(i for i, _ in out)
        return out

    def travelled(self):
        return [j.id for j in self.m.jobs.values()
                for t in (j.due, self.m.expiry_of(j))
                if t and not isinstance(t, Win) and t <= self.past]

    # -- operations
    def make_job(self, may_be_aside=False):
        r, now = self.rng, int(time.time() * 1000)
        options, due = '', 0
        if r.random() < .2:
            options += ' t=%d' % r.randint(1, 99)
        if r.random() < .2:
            options += ' k=%d' % r.choice([1000, 70000,
                                           r.randint(100, 10**6)])
        if r.random() < .2:
            options += ' i=%d' % r.randint(10000, 30000000)
        if r.random() < .3:
            due = r.choice([now - r.randint(1, FAR),
                            now + FAR + r.randint(0, FAR)])
            options += ' s=%d' % due
        payload = b'{"n":%d,"t":"a k=7 i=9\xc3\xa9"}' % r.randint(0, 10**9)
        aside = ''
        if may_be_aside and r.random() < .15:
            aside = 'f%015x' % r.getrandbits(60)
            if r.random() < .9:
                self.c('SET', self.k('b:' + aside), payload, 'EX', 60)
                self.m.payloads[aside] = payload
        return tmq.job(r.choice(HANDLERS), payload, due,
                       r.choice([0, 0, 10, 50, 99, 100]), r.choice('fen'),
                       r.choice(['t--', 'd--', '000', '001', '003']), options,
                       aside)

    def enqueue(self):
        r, m = self.rng, self.m
        groups, args = [], []
        if r.random() < .3:
            # requests for one job each, mostly of few kinds
            some = [self.make_job() for _ in range(r.choice([1, 3]))]
            groups = [([r.choice(some)], '', '0' * 16, '0')
                      for _ in range(r.choice([1, 2, 5, 12, 24]))]
            args = sum((tmq.group(*g) for g in groups), [])
        for _ in range(0 if groups else r.choice([1, 1, 2, 4])):
            key = '3:a:b:k%d' % r.randint(0, 10**4) if r.random() < .3 else ''
            if key and m.keys and r.random() < .6:
                key = r.choice(list(m.keys))
            if groups and r.random() < .1:
                key = groups[-1][1]
            body = '%016x' % r.randint(0, 1)
            g = ([self.make_job(True) for _ in range(r.choice([1, 1, 2, 5]))],
                 key, body, r.choice('0001'))
            if r.random() < .3:
                g[0].extend([self.make_job()] * r.choice([3, 8, 20]))
            groups.append(g)
            args += tmq.group(*g)
        first = min([j.due for j in m.at('scheduled')], default=None)
        seq = m.seq
        reply, now = self.run('enqueue', *args)
        want = m.enqueue(groups, now)
        need(reply == want, 'enqueue', reply, want)
        new = [m.jobs[i] for i in range(seq + 1, m.seq + 1)]
        self.touched.update(j.id for j in new)
        for j in new:
            if j.place == 'scheduled' and (first is None or j.due < first):
                self.armed.add(j.handler)

    def claim(self, handlers=None):
        r, m = self.rng, self.m
        worker = r.choice(WORKERS)
        if handlers is None:
            handlers = r.sample(HANDLERS, r.randint(1, len(HANDLERS)))
        wants = [(h, r.choice([0, 1, 1, 2, 4]) if len(handlers) > 1 else 1)
                 for h in handlers]
        if r.random() < .1:
            wants = [(h, r.choice([3, 30])) for h in handlers]
        total, woken = r.choice([0, 1, 2, 5, 100]), r.choice([0, 1])
        name = 'host-%s:%d' % (worker[-1], r.randint(1, 99999))
        self.claims += 1
        token = '%012x' % self.claims + worker
        flat = [x for w in wants for x in w]
        if r.random() < .7:
            self.due()
        was = self.travelled()
        reply, now = self.run('claim', token, name, LEASE, total, woken, *flat)
        got = [(int(reply[i]), reply[i + 1], reply[i + 2])
               for i in range(2, len(reply), 3)]
        ids = [x[0] for x in got]
        taken = m.claim(token, name, LEASE, total, woken, wants, now, ids)
        need(now.lo <= reply[0] <= now.hi, 'now', reply[0])
        due = min([j.due for j in m.at('scheduled')], default=0)
        need(reply[1] == due, 'due', reply[1], due)
        need(taken is not None, 'claim', m.mode, total, wants, ids)
        need(got == [(j.id, j.attempts, self.record(j)) for j in taken],
             'claim', m.mode, total, wants, ids, [j.id for j in taken])
        self.see_lanes(handlers)
        self.tokens += [(j.id, j.token) for j in taken]
        del self.tokens[:-300]
        self.touched.update(j.id for j in taken)
        self.touched.update(was)

    def due(self):
        was = self.travelled()
        reply, now = self.run('due')
        want = self.m.due(now)
        need(reply == want, 'due', reply, want)
        self.touched.update(was)

    def take_marker(self):
        """What a worker does before it claims."""
        h = self.rng.choice(HANDLERS)
        if self.c('ZREM', self.k('h:%s:wake' % h), 'w'):
            self.m.taken.add(h)

    def wake_and_claim(self):
        self.take_marker()
        self.claim(list(self.m.taken) or None)

    def write(self, name, items, args, model):
        before = self.data()
        reply, now = self.run(name, *args)
        want = model(now)
        need(reply == want, name, items, reply, want)
        same = before == self.data()
        need(same or 0 in reply or name == 'fail' and self.m.logs_kept, name,
             'changed something', items)
        return 0 in reply

    def packs(self):
        """The members of finished, as lists of ids, and their scores."""
        got = self.c('ZRANGE', self.k('finished'), 0, -1, 'WITHSCORES')
        return [([int(i) for i in got[k].split()], got[k], int(got[k + 1]))
                for k in range(0, len(got), 2)]

    def complete(self):
        leases = [x for x in self.leases() if x[1]]
        if self.rng.random() < .4:
            leases += [(j.id, j.token) for j in self.m.at('leased')]
            self.touched.update(i for i, _ in leases)
        items = [(i, t, self.rng.choice([b'', b'{"r":1}', b'"\n"' * 9]),
                  self.rng.choice([b'', b'log %d\n' % i]))
                 for i, t in leases]
        verdicts = []

        def model(now):
            verdicts.extend(self.m.complete(items, now))
            return verdicts

        if not self.write('complete', items, tmq.completed(items), model):
            return
        ended = [self.m.jobs[x[0]] for x, v in zip(items, verdicts) if v == 0]
        want = [[j.id for j in pack] for _, pack in itertools.groupby(
            (j for j in ended if j.state == 'S'), self.m.kept)]
        got = [ids for ids, _, _ in self.packs()
               if set(ids) & {j.id for j in ended if j.state == 'S'}]
        need(sorted(got) == sorted(want), 'packs', got, want)

    def fail(self):
        r = self.rng
        items = [(i, t, r.choice([0, 1, 1]),
                  r.choice([b'', b'boom', b'line\nline k=3 i=4\n', b'e' * 300]),
                  r.choice([b'', b'stderr']), r.choice([-1, -1, FAR * 3 // 2]))
                 for i, t in self.leases()]
        jitter = r.randint(0, 999999)
        self.write('fail', items, (jitter,) + sum(items, ()),
                   lambda now: self.m.fail(jitter, items, now))

    def trimmed(self):
        """The model does not say which dead job goes first in one ms. How
        many there are too many."""
        m = self.m
        over = len(m.at('dead')) - m.setting('dead_max')
        if over <= 0:
            return 0
        left = self.c('ZRANGE', self.k('dead'), 0, -1, 'WITHSCORES')
        left = {int(left[i]): int(left[i + 1]) for i in range(0, len(left), 2)}
        gone = [j for j in m.at('dead') if j.id not in left]
        need(len(gone) == over, 'trimmed', len(gone), over)
        for j in gone:
            lowest = j.expiry.lo if isinstance(j.expiry, Win) else j.expiry
            need(not left or lowest <= min(left.values()), 'trimmed', j.id)
            del m.jobs[j.id]
            self.touched.add(j.id)
        m.stats['dead_dropped'] += over
        return over

    def release(self):
        items = self.leases()
        self.write('release', items, sum(items, ()),
                   lambda now: self.m.release(items, now))

    def extend(self):
        """Leases with all of their jobs, with some, with others; some not
        named. Jobs that its worker does not name go back."""
        r, m = self.rng, self.m
        worker, leases = r.choice(WORKERS), []
        mine = [t for t in m.leases if t[12:] == worker]
        for token in r.sample(mine, r.randint(len(mine) // 2, len(mine))):
            ids = list(m.leases[token].ids)
            if r.random() < .1:
                ids = r.sample(ids, r.randint(0, len(ids)))
            if r.random() < .2:
                ids.append(self.some_id())
            leases.append((token, ids))
        for i, token in self.leases() if r.random() < .2 else []:
            if len(token) == 28 and token not in [t for t, _ in leases]:
                leases.append((token, [i]))
        every = int(r.random() < .1)
        handlers = r.sample(HANDLERS, r.randint(0, 3))
        info = '{"free":%d}' % r.randint(0, 9)
        args = sum([['%s%d' % (token, len(ids)), *ids]
                    for token, ids in leases], [])
        was = [j.id for j in m.at('leased')]
        runs = [self.k('r:%d' % i) for i in was]
        before = [self.c('DUMP', k) for k in runs]
        reply, now = self.run('extend', worker, 'n:1', info, LEASE, every,
                              len(handlers), *handlers, *args)
        want = m.extend(worker, 'n:1', info, LEASE, every, handlers, leases,
                        now)
        need(reply == want, 'extend', leases, every, reply, want)
        need(reply[0] or before == [self.c('DUMP', k) for k in runs],
             'extend wrote r:')
        self.touched.update(was)

    def refresh(self):
        for worker in WORKERS:
            if worker in self.m.workers:
                name, info = self.m.workers[worker]
                live = [h for h in HANDLERS if self.m.served.get(h)]
                self.run('extend', worker, name, info, LEASE, 0, len(live), *live)

    def goodbye(self):
        worker = self.rng.choice(WORKERS)
        known = worker in self.m.workers
        need(self.run('goodbye', worker)[0] == known, 'goodbye')
        self.m.workers.pop(worker, None)

    def reap(self):
        was = self.travelled()
        reply, now = self.run('reap')
        want = self.m.reap(now)
        need(reply[1:] == want, 'reap', reply, want)
        self.touched.update(was)

    def set_back(self):
        """Redis' clock goes back: what is to come is farther away."""
        back, now = self.rng.choice([11, 30]) * FAR, int(time.time() * 1000)
        for j in self.m.at('scheduled'):
            if not j.run or self.rng.random() < .3:
                continue
            j.due += back
            self.c('ZADD', self.k('scheduled'), 'XX', j.due, j.id)
            self.touched.add(j.id)
        self.c('SET', self.k('clock'), now + back)
        self.m.set_back = True
        self.sweep()

    def reap_late(self):
        before = self.data()
        reply, now = self.run('reap', 1)
        need(reply[1:] == [0, 0, 0] and now.lo <= reply[0] <= now.hi,
             'reap late', reply)
        need(before == self.data(), 'a late reap changed something')

    def sweep(self):
        was = self.travelled()
        reply, now = self.run('sweep')
        want = self.m.sweep(now)
        want[0] += self.trimmed()
        need(reply == want, 'sweep', reply, want)
        self.touched.update(was)

    def change(self):
        r, m = self.rng, self.m
        name = r.choice(['cancel', 'cancel', 'retry', 'delete', 'replay'])
        job_id, flag = self.some_id(), r.choice([0, 0, 1])
        if name == 'retry' and r.random() < .7:
            job_id = r.choice([j.id for j in m.at('dead')] or [job_id])
        if name == 'delete' and r.random() < .3:
            job_id = r.choice([j.id for j in m.at('finished')] or [job_id])
        if name == 'cancel' and r.random() < .5:
            job_id = r.choice([j.id for j in m.at('leased')] or [job_id])
        self.touched.add(job_id)
        args = (job_id, flag) if name in ('cancel', 'replay') else (job_id,)
        before = self.data()
        reply, now = self.run(name, *args)
        want = {'cancel': lambda: m.cancel(job_id, flag, now),
                'retry': lambda: m.retry(job_id),
                'delete': lambda: m.delete(job_id),
                'replay': lambda: m.replay(job_id, flag, now)}[name]()
        need(reply == want, name, args, reply, want)
        same = before == self.data()
        change = reply[0] if name == 'replay' else reply
        need(same == bool(change), name, args, reply, 'changed', not same)
        if name == 'replay' and not change:
            self.touched.add(m.seq)

    def configure(self):
        r, m = self.rng, self.m
        name, value = r.choice([
            ('selection', r.choice(['priority', 'fifo', 'lifo'])),
            ('retention_s', r.choice(['1000', '90000'])),
            ('max_retries', r.choice('0124')),
            ('daemon_max_retries', r.choice('013')),
            ('dead_max', r.choice(['4', '10', '100000'])),
            ('finished_max_bytes', r.choice(['0', '9' * 12])),
            ('retry_wait_ms', str(FAR + r.randint(0, FAR)))])
        seed = r.choice([0, 0, 1])
        kept = 1 if seed and name in m.config else 0
        reply, _ = self.run('config_set', name, value, seed)
        need(reply == kept, 'config_set', name, value, seed, reply)
        if not kept:
            m.config[name] = value
        got = self.run('config_get')[0]
        got = {got[i].decode(): got[i + 1].decode()
               for i in range(0, len(got), 2)}
        need(got == m.config, 'config_get', got, m.config)

    def travel(self):
        """Moves some times into the past, in Redis and in the model."""
        r = self.rng
        place = r.choice(['scheduled', 'leased', 'leased', 'dead',
                          'finished', 'served'])
        if place == 'served':
            self.m.served = {}
            self.c('ZREMRANGEBYRANK', self.k('served'), 0, -1)
            return
        jobs = self.some_of(place)
        if place != 'leased' and len(self.m.jobs) > 150:
            # keeps the population small; fewer than one sweep takes
            place = max(('scheduled', 'dead', 'finished'),
                        key=lambda p: len(self.m.at(p)))
            jobs = self.m.at(place)[:40]
        if place == 'finished':
            self.travel_packs({j.id for j in jobs})
            return
        for j in jobs:
            self.past += 1
            if place == 'scheduled':
                j.due = self.past
            elif place == 'leased':
                self.m.leases[j.token].expiry = self.past
                self.c('ZADD', self.k(place), self.past, j.token)
                self.touched.update(x.id for x in self.m.running(j.token))
                continue
            else:
                j.expiry = self.past
            self.c('ZADD', self.k(place), self.past, j.id)
            self.touched.add(j.id)

    def travel_packs(self, ids):
        """Whole packs; all that are past have fewer ids than a sweep takes."""
        packs = self.packs()
        room = 50 - sum(len(p) for p, _, at in packs if at <= self.past)
        for pack, member, _ in packs:
            room -= len(pack) if ids & set(pack) else 0
            if room < 0 or not ids & set(pack):
                continue
            self.past += 1
            self.c('ZADD', self.k('finished'), self.past, member)
            for j in filter(None, map(self.m.jobs.get, pack)):
                j.expiry = self.past
                self.touched.add(j.id)

    def read(self):
        r, m = self.rng, self.m
        what = r.choice(['list', 'stats', 'probe', 'logs'])
        if what == 'list':
            before = r.choice([0, 0, r.randint(1, m.seq + 5)])
            state = r.choice(['', 'P', 'D', 'R', 'S', 'F', 'C', 'X'])
            handler = r.choice([''] + HANDLERS)
            limit = r.choice([1, 5, 100])
            reply, _ = self.run('list', before, state, handler, limit)
            low, rows = m.list(before, state, handler, limit)
            got = [int(reply[i]) for i in range(1, len(reply), 4)]
            need((reply[0], got) == (low, rows), 'list', reply[0], got, low,
                 rows)
            for i, job_id in enumerate(rows):
                row, j = reply[4 * i + 2:4 * i + 5], m.jobs[job_id]
                if j.aside:
                    need(row[0].endswith(j.aside), 'payload', job_id, row)
                    row[0] = row[0][:-len(j.aside)]
                self.same(j, row)
        elif what == 'logs':
            job_id = self.some_id()
            reply, _ = self.run('logs', job_id)
            j = m.jobs.get(job_id)
            need(reply == (None if j is None else j.log or b''), 'logs',
                 job_id, reply)
        elif what == 'probe':
            reply, _ = self.run('probe')
            most = int(m.config.get('finished_max_bytes', 0))
            need(reply == [len(m.at('ready')), len(m.workers), 1,
                           100 * self.weighed() // most if most else -1, -1],
                 'probe', reply)
        else:
            self.stats()

    def stats(self):
        m = self.m
        x, now = self.run('stats')
        st = m.stats
        need(now.lo <= x[0] <= now.hi, 'stats now')
        need(x[1:8] == [m.seq, st['success'], st['failed'], st['cancelled'],
                        st['retries'], st['crashes'], st['dead_dropped']],
             'stats', x[1:8], st)
        need(sum(x[9:24]) == st['success'], 'histogram', x[9:24])
        need(x[24:31] == [len(m.at(p)) for p in (
            'ready', 'scheduled', 'leased', 'dead', 'finished')]
             + [len(m.received), len(m.workers)], 'sizes', x[24:31])
        for q in range(x[29]):
            h, *got = x[31 + 7 * q:38 + 7 * q]
            h = h.decode()
            want = [m.received[h]] + [len(m.at(p, h)) for p in (
                'ready', 'scheduled', 'leased', 'dead')]
            need(got[:5] == want, 'queue', h, got, want)
            firsts = []
            for (owner, _), line in m.lanes.items():
                jobs = [m.jobs.get(i) for i, _ in line if owner == h]
                firsts += [j.created for j in jobs
                           if j and j.place == 'ready'][:1]
            need(got[5] == min(firsts, default=0), 'oldest', h, got[5], firsts)
        at = 31 + 7 * x[29]
        seen = {x[i].decode(): (x[i + 1].decode(), x[i + 3].decode())
                for i in range(at, len(x) - 3, 4)}
        # once nothing is weighed any more, the weights go with the next sweep
        most = int(m.config.get('finished_max_bytes', 0))
        need(x[-3:] == [self.weighed() if most else 0, most, 0], 'bytes',
             x[-3:])
        need(seen == m.workers, 'workers', seen, m.workers)


WEIGHTS = [
    ('enqueue', 14), ('claim', 14), ('wake_and_claim', 6), ('complete', 10),
    ('fail', 10), ('release', 3), ('extend', 4), ('reap', 5), ('reap_late', 1),
    ('due', 3),
    ('sweep', 10), ('take_marker', 2), ('change', 14), ('configure', 2), ('travel', 9),
    ('set_back', 1),
    ('read', 6), ('goodbye', 1),
]


def play(client, seed, count):
    """Plays `count` operations. Returns how many of each kind, and the player;
    raises Mismatch with the operation's number."""
    p = Player(client, seed)
    for name, value in (('retry_wait_ms', FAR), ('retry_wait_max_ms', 4 * FAR)):
        p.run('config_set', name, value, 0)
        p.m.config[name] = str(value)
    names = [n for n, w in WEIGHTS for _ in range(w)]
    done = {}
    for i in range(count):
        name = p.rng.choice(names)
        # keep the population small enough that no script hits its bound
        if name == 'enqueue' and len(p.m.jobs) > 250:
            name = p.rng.choice(['claim', 'travel', 'change'])
        try:
            getattr(p, name)()
            p.check(i % FULL == 0 or i == count - 1)
            if i % 500 == 499:
                p.refresh()
        except Mismatch as e:
            raise Mismatch('seed %d, operation %d (%s): %s'
                           % (seed, i, name, e))
        done[name] = done.get(name, 0) + 1
    return done, p
