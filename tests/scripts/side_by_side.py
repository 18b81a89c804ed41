"""Redis and the model side by side: what must be equal between operations
(random_ops.py says what is held)."""

import random
import time

import tmq
from model import Model, Win
from tmq import field

HANDLERS = ['email', 'resize', 'a', 'B.2-x_y', 'z' * 64, 'emai']
WORKERS = ['%016x' % (0xfeed0000 + i) for i in range(3)]
PLACES = ['scheduled', 'leased', 'dead', 'finished']
LOG_BYTES = 20      # no log of a run that is played is longer
LOOK = '''
local P, out, n = KEYS[1], {}, tonumber(ARGV[1])
local function put(v) out[#out + 1] = v end
-- of a pack, what is left; its ids of jobs that are gone are nobody's
local ended, left = {}, 0
local packs = redis.call('ZRANGE', P .. 'finished', 0, -1, 'WITHSCORES')
for i = 1, #packs, 2 do
    local pack = packs[i]:find(' ')
    for id in packs[i]:gmatch('[^ ]+') do
        local there = redis.call('EXISTS', P .. 'j:' .. id) == 1
        if there or not pack then
            left = left + 1
            ended[id] = ended[id] and 'twice' or packs[i + 1]
        end
    end
end
-- of a lease, what runs
local runs, running = {}, 0
local leases = redis.call('ZRANGE', P .. 'leased', 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
    local text = redis.call('GET', P .. 't:' .. leases[i]) or '0'
    running = running + tonumber(text:sub(1, 4))
    for id in text:gmatch(' (%d+)') do
        local run = redis.call('GET', P .. 'r:' .. id) or ''
        if run:find('^[RE]', STATE) and run:sub(TOKEN) == leases[i] then
            runs[id] = runs[id] and 'twice' or leases[i + 1]
        end
    end
end
put(redis.call('ZCARD', P .. 'scheduled'))
put(running)
put(redis.call('ZCARD', P .. 'dead'))
put(left)
for i = 2, n + 1 do
    local h = P .. 'h:' .. ARGV[i]
    put(redis.call('ZCARD', h .. ':ready'))
    put(redis.call('ZCARD', h .. ':wake'))
end
for i = n + 2, #ARGV do
    local id = ARGV[i]
    put(redis.call('GET', P .. 'j:' .. id))
    put(redis.call('GET', P .. 'r:' .. id))
    put(redis.call('ZSCORE', P .. 'scheduled', id))
    put(runs[id] or false)
    put(redis.call('ZSCORE', P .. 'dead', id))
    put(ended[id] or false)
end
put(redis.call('HGETALL', P .. 'stats'))
put(redis.call('HGETALL', P .. 'handlers'))
return out
'''.replace('STATE', str(tmq.LAYOUT['RUN_STATE'][0])).replace(
    'TOKEN', '%d, %d' % tmq.LAYOUT['RUN_TOKEN'])
# Between the fields of a run, and before its worker's name.
BLANKS = [tmq.at(f) - 1 for f in ('RUN_TOKEN', 'RUN_STARTED', 'RUN_ATTEMPTS',
                                  'RUN_CRASHES', 'RUN_RUNS', 'RUN_ERROR_LEN',
                                  'RUN_NAME')]


class Mismatch(AssertionError):
    pass


def need(ok, *what):
    if not ok:
        raise Mismatch(' '.join(str(w) for w in what))


class Pair:
    """Redis and the model side by side."""

    def __init__(self, client, seed):
        self.c, self.s = client, tmq.Scripts(client)
        self.look_sha = client('SCRIPT', 'LOAD', LOOK)
        self.m, self.rng = Model(), random.Random(seed)
        self.tokens = []            # (id, token) ever seen
        self.looks = 0
        self.packed = 0             # jobs seen waiting in packs of several
        self.together = 0           # leases seen of several jobs
        self.past = 1000            # made-up times in the past, all different
        self.touched = set()
        self.armed = set()          # handlers that must be armed now

    def run(self, name, *args):
        lo = int(time.time() * 1000)
        reply = getattr(self.s, name)(*args)
        return reply, Win(lo, int(time.time() * 1000) + 1)

    def data(self):
        """Differs when anything was written: Redis' count of changes, and
        now and then (it takes long) a digest of all there is."""
        info = self.c('INFO', 'persistence')
        deep = self.looks // 2 % 16 == 0
        self.looks += 1
        return (info[info.index(b'rdb_changes'):].split(b'\r', 1)[0],
                self.c('DEBUG', 'DIGEST') if deep else b'')

    def k(self, name):
        return tmq.PREFIX + name.encode()

    def zset(self, name, number=int):
        """[(member, score)]"""
        flat = self.c('ZRANGE', self.k(name), 0, -1, 'WITHSCORES')
        return [(flat[k].decode(), number(flat[k + 1]))
                for k in range(0, len(flat), 2)]

    def names(self, pattern):
        """What follows the prefix, in keys like this."""
        return {k[len(tmq.PREFIX):].decode()
                for k in self.c('KEYS', tmq.PREFIX + pattern)}

    # -- comparing
    def settle(self, owner, name, real, what):
        """A time the model knows as a window: checked, then known."""
        v = getattr(owner, name)
        if isinstance(v, Win):
            need(v.lo <= real <= v.hi, what, name, real, v)
            setattr(owner, name, real)
        else:
            need(v == real, what, name, real, v)

    def record(self, j):
        return b'%s%013d%s' % (j.head.encode(), j.created, j.tail)

    def same(self, j, row):
        """A job's record, run and due time, as get and list show them."""
        record, run, due = row
        if isinstance(j.created, Win):
            self.settle(j, 'created', int(field(record, 'JOB_CREATED')), j.id)
        need(record == self.record(j), 'record', j.id, record)
        self.settle(j, 'due', due, ('get', j.id))
        if not j.run:
            need(run == b'', 'run', j.id, run)
            return
        header = record.split(b'\n', 1)[0] + b'\n'
        got = [field(run, 'RUN_' + f) for f in ('VERSION', 'STATE', 'TOKEN')]
        want = [b'1', j.state.encode(), j.token.encode()]
        need(got == want, 'run', j.id, got, want)
        self.settle(j, 'started', int(field(run, 'RUN_STARTED')), j.id)
        need(all(run[at:at + 1] == b' ' for at in BLANKS), 'run', run)
        got = [int(field(run, 'RUN_' + f))
               for f in ('ATTEMPTS', 'CRASHES', 'RUNS', 'ERROR_LEN')]
        want = [j.attempts, j.crashes, j.runs, len(j.error)]
        need(got == want, 'run', j.id, got, want)
        self.settle(j, 'finished', int(field(run, 'RUN_FINISHED')), j.id)
        rest = j.name.encode() + b'\n' + header + j.error + j.result
        need(run[tmq.at('RUN_NAME'):] == rest, 'run', j.id, run, rest)

    def look(self, ids):
        """One consistent view: sizes per place, per handler its lanes and its
        marker, per id its row and its scores."""
        got = self.c('EVALSHA', self.look_sha, 1, tmq.PREFIX, len(HANDLERS),
                     *HANDLERS, *ids)
        sizes = dict(zip(PLACES, got[:4]))
        lanes, marks, at = {}, {}, 4
        for h in HANDLERS:
            lanes[h], marks[h] = got[at:at + 2]
            at += 2
        rows = {}
        for i in ids:
            row = got[at:at + 2] + [int(got[at + 2] or 0)]
            rows[i] = (row if row[0] is not None else None, dict(
                (p, int(x)) for p, x in zip(PLACES, got[at + 2:at + 6])
                if x is not None))
            at += 6
        stats = got[at]
        stats = {stats[k].decode(): int(stats[k + 1])
                 for k in range(0, len(stats), 2) if stats[k] != b'about'}
        named = got[at + 1]
        named = {named[k].decode(): int(named[k + 1])
                 for k in range(0, len(named), 2)}
        return sizes, lanes, marks, rows, stats, named

    def check(self, full):
        """Everything that must hold between operations."""
        m = self.m
        ids = list(m.jobs) if full else list(self.touched)
        sizes, lanes, marks, rows, stats, named = self.look(ids)
        for i, (row, where) in rows.items():
            j = m.jobs.get(i)
            need((row is None) == (j is None), 'exists', i, row)
            if j:
                row[1] = row[1] or b''
                self.same(j, row)
                need(list(where) == [j.place] * (j.place != 'ready'),
                     'place', i, where, j.place)
                if j.place == 'leased':
                    self.settle(m.leases[j.token], 'expiry', where['leased'],
                                ('lease', j.token))
                elif j.place not in ('ready', 'scheduled'):
                    self.settle(j, 'expiry', where[j.place], j.place)
            else:
                need(not where, 'ghost', i, where)
        self.check_counters(sizes, stats, named)
        for h in HANDLERS:
            waiting = len(m.at('ready', h))
            need(lanes[h] == len([1 for (owner, _), line in m.lanes.items()
                                  if owner == h and line]), 'lanes of', h)
            need(marks[h] or h in m.taken or not (waiting or h in self.armed),
                 'no wake marker', h, waiting)
        if full:
            self.check_lanes()
            self.check_leases()
            self.check_told()
            left = self.names(b'[jrl]:*')
            need(not {int(k[2:]) for k in left} - set(m.jobs),
                 'keys of no job', left)
            self.check_payloads()
            self.check_bytes()
        self.touched.clear()
        self.armed.clear()

    def check_counters(self, sizes, stats, named):
        m = self.m
        want, each = dict.fromkeys(PLACES + ['ready'], 0), {}
        for j in m.jobs.values():
            want[j.place] += 1
            key = (j.place, j.handler)
            each[key] = each.get(key, 0) + 1
        del want['ready']
        need(sizes == want, 'sizes', sizes, want)
        for h in HANDLERS:
            def stat(name):
                return stats.get('%s:%s' % (name, h), 0)
            for gauge, place, n in (
                    ('waiting', 'ready', named.get(h, 0) + stat('back')
                     - stat('sch') - stat('claimed')),
                    ('scheduled', 'scheduled', stat('sch')),
                    ('running', 'leased', stat('claimed') - stat('left')),
                    ('dead', 'dead', stat('dead'))):
                need(n == each.get((place, h), 0), gauge, h, n)
        for name, v in m.stats.items():
            got = stats.get(name, 0)
            if name == 'success':
                got = sum(n for k, n in stats.items()
                          if k[0] == 'd' and k[1:2].isdigit())
            need(got == v, 'counter', name, got, v)
        need(m.stats['success'] - m.stats['success_periodic']
             + m.stats['cancelled'] - m.stats['finished_gone']
             == want['finished'], 'sum of finished', m.stats, want)
        need(named == m.received, 'handlers', named)

    def ids_of(self, pack):
        """[[id, place]] of a pack."""
        words = pack.split(' ')
        first, jobs = int(words[0]), int(words[1]) if words[1:] else 1
        place = float(words[2]) if words[2:] else first
        need(1 <= jobs and (jobs > 1 or len(words) != 2)
             and not (jobs > 1 and words[2:]), 'pack', pack)
        self.packed += jobs if jobs > 1 else 0
        return [[first + k, place + k] for k in range(jobs)]

    def waits(self, entry):
        j = self.m.jobs.get(entry[0])
        return j is not None and j.place == 'ready'

    def see_lanes(self, handlers):
        """Who waits where, and in which order. Of those that wait no more
        and were still named, some may have gone, when a claim looked ahead:
        which, the model learns here."""
        for key, line in self.m.lanes.items():
            if key[0] not in handlers or not line:
                continue
            name = 'h:%s:lane:%03d' % key
            got = sum([self.ids_of(p.decode())
                       for p in self.c('LRANGE', self.k(name), 0, -1)], [])
            left = iter(got)
            seen = next(left, None)
            for entry in line:
                if seen == entry:
                    seen = next(left, None)
                else:
                    need(not self.waits(entry), name, got, line)
            need(seen is None, name, got, line)
            line[:] = got

    def score_of(self, priority, line):
        """Of a lane: how soon it is its turn."""
        if self.m.mode == 'p':
            return 100 - priority
        return -line[0][1] if self.m.mode == 'f' else line[-1][1]

    def check_lanes(self):
        self.see_lanes(HANDLERS)
        need(self.names(b'h:*:lane:*') == {
            'h:%s:lane:%03d' % key for key, line in self.m.lanes.items()
            if line}, 'lanes', self.m.lanes)
        for h in HANDLERS:
            lanes = {'%03d' % p: self.score_of(p, line)
                     for (owner, p), line in self.m.lanes.items()
                     if owner == h and line}
            ready = dict(self.zset('h:%s:ready' % h, float))
            need(ready == lanes, 'ready', h, ready, lanes)
        waiting = [entry[0] for line in self.m.lanes.values()
                   for entry in line if self.waits(entry)]
        need(sorted(waiting) == sorted(j.id for j in self.m.at('ready')),
             'each waiting job once', waiting)

    def check_leases(self):
        m = self.m
        need({t for t, _ in self.zset('leased')} == set(m.leases)
             == {k[2:] for k in self.names(b't:*')}, 'leases', m.leases)
        for token, lease in m.leases.items():
            text = self.c('GET', self.k('t:' + token)).decode()
            want = '%04d ' % len(m.running(token)) + ' '.join(
                str(i) for i in lease.ids)
            need(text == want, 'lease', token, text, want)
            self.together += len(lease.ids) > 1

    def weighed(self):
        """What all finished and dead jobs that are weighed take."""
        flat = self.c('HGETALL', self.k('bytes'))
        return sum(int(n) for k, n in zip(flat[::2], flat[1::2])
                   if k != b'weighing')

    def check_bytes(self):
        """Each that is there is weighed right, all together, and no other."""
        flat = self.c('HGETALL', self.k('bytes'))
        for job_id, n in zip(flat[::2], flat[1::2]):
            if job_id == b'weighing':
                continue
            j = self.m.jobs.get(int(job_id))
            need(j and j.place in ('finished', 'dead'), 'weighed and gone',
                 job_id)
            want = tmq.LIMITS['JOB_BYTES'] + sum(
                self.c('STRLEN', self.k(x) + job_id)
                for x in ('j:', 'r:', 'l:', 'b:'))
            # a cancelled run's log may have come later, in place of an earlier
            # one
            need(abs(int(n) - want) <= (LOG_BYTES if j.state == 'C' else 0),
                 'weight', job_id, n, want)
        need(int(self.c('HGET', self.k('stats'), 'finished_bytes') or 0)
             == self.weighed(), 'finished_bytes')

    def check_payloads(self):
        """Those aside: one of each job that has one, and no others."""
        want = {'b:%d' % j.id: j.aside for j in self.m.jobs.values()
                if j.aside is not None}
        got = self.names(b'b:*')
        need(got == set(want), 'payloads', got ^ set(want))
        for name, payload in want.items():
            need(self.c('GET', self.k(name)) == payload, name)
            need(self.c('PTTL', self.k(name)) == -1, 'expires', name)

    def check_told(self):
        got = set()
        for w in WORKERS:
            key = self.k('w:%s:wake' % w)
            ids = self.c('ZRANGE', key, 0, -1)
            got.update((w, int(i)) for i in ids)
            need(not ids or self.c('PTTL', key) > 0, 'no expiry', key)
        # they expire; none may be there that was not told
        need(got <= self.m.told, 'told', got - self.m.told)
