"""A second opinion on the queue: plain dictionaries, written from
docs/redis-schema.md and not from the scripts. Times that only Redis knows
are windows (Win) until somebody has seen the real value."""

import math

from tmq import LIMITS

WAITING, BACK = 'W', '000000000000'
CLAIM_MAX, REAP_MAX = LIMITS['CLAIM_MAX'], LIMITS['REAP_MAX']
DEFAULTS = {name: LIMITS[limit] for name, limit in (
    ('retention_s', 'RETENTION_DEFAULT_S'),
    ('dead_retention_s', 'DEAD_RETENTION_S'), ('dead_max', 'DEAD_MAX'),
    ('max_retries', 'MAX_RETRIES_DEFAULT'),
    ('daemon_max_retries', 'DAEMON_RETRIES_DEFAULT'),
    ('retry_wait_ms', 'RETRY_WAIT_MS'),
    ('retry_wait_max_ms', 'RETRY_WAIT_MAX_MS'))}


class Win:
    """Some ms between lo and hi, or that plus a constant."""

    def __init__(self, lo, hi):
        self.lo, self.hi = lo, hi

    def __add__(self, n):
        return Win(self.lo + n, self.hi + n)

    def __repr__(self):
        return '[%d..%d]' % (self.lo, self.hi)


def parts_of(kind):
    """Of the first of a job's two arguments: bytes 1 to 13 of the record, the
    due time, whether the payload is aside, the handler."""
    due, handler = kind[13:].split(' ')
    return kind[:13], int(due.rstrip('@')), '@' in due, handler


class Job:
    def __init__(self, job_id, args, created):
        kind, tail = args
        self.head, due, aside, self.handler = parts_of(kind)
        self.aside = None           # the payload, where it is aside
        if aside:
            name, tail = tail.split(b' ', 1)
            self.aside, tail = name.decode(), b' ' + tail
        self.id, self.tail, self.created = job_id, tail, created
        self.kind, self.priority = self.head[1], int(self.head[3:6])
        self.policy, self.retries = self.head[7], self.head[9:12]
        line = tail.split(b'\n', 1)[0].decode().split(' ')[2:]
        self.opt = {o[0]: int(o[2:]) for o in line}
        self.place = None           # ready scheduled leased dead finished
        self.due = 0                # score in scheduled
        self.expiry = None          # score in dead, finished
        self.state, self.run = WAITING, False
        self.counter, self.worker = BACK, '0' * 16
        self.name = ''
        self.started = self.finished = 0
        self.attempts = self.crashes = self.runs = 0
        self.error = self.result = b''
        self.log = None

    @property
    def token(self):
        return self.counter + self.worker


class Lease:
    """Of the jobs of one claim."""

    def __init__(self, ids, expiry):
        self.ids, self.expiry = ids, expiry


class Model:
    def __init__(self):
        self.jobs = {}
        self.lanes = {}             # handler, priority -> [[id, place]]
        self.leases = {}            # token -> Lease
        self.keys = {}              # idempotency key -> (id, hash)
        self.deleted = set()        # ids
        self.seq = 0
        self.received = {}
        self.served = {}            # handler -> seen lately
        self.workers = {}           # id -> (name, info)
        self.config = {}
        self.stats = dict.fromkeys(
            ('success', 'failed', 'cancelled', 'retries', 'crashes',
             'dead_dropped', 'success_periodic', 'finished_gone'), 0)
        self.told = set()           # (worker, id): wake keys of workers
        self.taken = set()          # handlers whose wake marker a worker has
        self.payloads = {}          # b:<name> that a client has put aside
        self.logs_kept = 0          # of cancelled runs, by the last fail
        self.set_back = False       # Redis' clock was, since the last sweep

    # -- settings
    def setting(self, name):
        return int(self.config.get(name, DEFAULTS[name]))

    @property
    def mode(self):
        return self.config.get('selection', 'priority')[0]

    # -- lanes: those that were cancelled or deleted stay named in them
    def at(self, place, handler=None):
        return [j for j in self.jobs.values() if j.place == place
                and (handler is None or j.handler == handler)]

    def lane(self, job):
        return self.lanes.setdefault((job.handler, job.priority), [])

    def wait(self, job, place):
        """At the end of its lane."""
        job.place, job.due, job.expiry = 'ready', 0, None
        self.lane(job).append([job.id, place])

    def again(self, job):
        """Behind the newest job, before the next new one."""
        self.wait(job, self.seq + .5)

    def next_of_all(self, jobs):
        """Given back in one call: they come next, in the order of their ids."""
        lifo = self.mode == 'l'
        for job in sorted(jobs, key=lambda j: j.id, reverse=not lifo):
            lane = self.lane(job)
            lane.insert(len(lane) if lifo else 0, [job.id, job.id])

    def running(self, token):
        """Jobs under a lease, in its order."""
        lease = self.leases.get(token)
        jobs = [self.jobs.get(i) for i in (lease.ids if lease else ())]
        return [j for j in jobs if j and j.place == 'leased'
                and j.token == token]

    def expiry_of(self, job):
        if job.place == 'leased':
            return self.leases[job.token].expiry
        return job.expiry

    def end_leases(self):
        """Of which nothing runs any more."""
        for token in [t for t in self.leases if not self.running(t)]:
            del self.leases[token]

    def schedule(self, job, due):
        job.place, job.due, job.expiry = 'scheduled', due, None

    def kept(self, job):
        return job.opt.get('k') or self.setting('retention_s')

    def finish(self, job, now):
        job.place, job.due = 'finished', 0
        job.expiry = now + 1000 * self.kept(job)

    # -- operations: each returns what the script must
    def enqueue(self, groups, now):
        out = []
        for jobs, key, body, known in groups:
            if key and key in self.keys:
                job_id, was = self.keys[key]
                n = len(jobs) if was == body else 1
                if not self.deleted.issuperset(range(job_id, job_id + n)):
                    out.append(job_id if was == body else -1)
                    continue
            no = self.refusal(jobs, known)
            if no:
                out.append(no)
                continue
            out.append(self.seq + 1)
            if key:
                self.keys[key] = (self.seq + 1, body)
            for args in jobs:
                self.seq += 1
                j = Job(self.seq, args, now)
                if j.aside:
                    j.aside = self.payloads[j.aside]
                self.add(j, parts_of(args[0])[1], now)
        self.payloads.clear()
        return out

    def refusal(self, jobs, known):
        """Of the first job that has a reason."""
        for kind, tail in jobs:
            _, _, aside, handler = parts_of(kind)
            if known == '1' and not self.served.get(handler):
                return -3
            if aside and tail.split(b' ', 1)[0].decode() not in self.payloads:
                return -4

    def add(self, job, due, now):
        self.jobs[job.id] = job
        self.received[job.handler] = self.received.get(job.handler, 0) + 1
        if due > now.hi:
            self.schedule(job, due)
        else:
            self.wait(job, job.id)

    def sweep(self, now):
        over = [j for j in self.at('dead') + self.at('finished')
                if not isinstance(j.expiry, Win) and j.expiry <= now.lo]
        for j in over:
            self.stats['finished_gone'] += j.place == 'finished'
            del self.jobs[j.id]
        self.mend_clock(now)
        return [len(over), 0]

    def rank(self, lane):
        """Lowest first: where a claim takes the next job from."""
        (handler, priority), jobs = lane
        if self.mode == 'p':
            return -priority, jobs[0][1]
        return jobs[0][1] if self.mode == 'f' else -jobs[-1][1]

    def select(self, want, free):
        """Up to so many ids with their handlers, the next ones of the lanes;
        they leave them, whether they wait or not."""
        picked = []
        while len(picked) < want:
            lanes = [x for h in free if free[h] > 0 for x in sorted(
                self.lanes.items(), key=lambda x: -x[0][1])
                if x[0][0] == h and x[1]]
            if not lanes:
                break
            (handler, _), jobs = min(lanes, key=self.rank)
            picked.append((jobs.pop(-1 if self.mode == 'l' else 0)[0],
                           handler))
            free[handler] -= 1
        return picked

    def pick(self, total, free):
        """Jobs for a claim, while all that it comes upon wait; else None."""
        before = [(line, list(line)) for line in self.lanes.values()]
        picked = self.select(total, free)
        jobs = [self.jobs.get(i) for i, _ in picked]
        if all(j and j.place == 'ready' for j in jobs):
            return jobs
        for line, was in before:
            line[:] = was

    def waiting_in(self, handler, priority):
        """In the order in which claims take them."""
        line = [i for i, _ in self.lanes.get((handler, priority), ())
                if i in self.jobs and self.jobs[i].place == 'ready']
        return line[::-1] if self.mode == 'l' else line

    def are_next(self, ids, total, wants):
        """Whether a claim that came upon some that wait no more may have
        taken these: how many were passed by is not said, but each lane's were
        the next, and no slot was left empty for want of looking."""
        full, seen = True, 0
        for handler, slots in wants:
            took, left = 0, False
            for priority in sorted({p for h, p in self.lanes
                                    if h == handler}, reverse=True):
                line = self.waiting_in(handler, priority)
                mine = [i for i in ids if i in line]
                if mine != line[:len(mine)] \
                        or mine and left and self.mode == 'p':
                    return False
                took += len(mine)
                left = left or len(mine) < len(line)
            seen += took
            full = full and (took == slots or not left)
            if took > slots:
                return False
        return seen == len(ids) and (full or seen == total)

    def due(self, now):
        due = [j for j in self.at('scheduled') if j.due <= now.lo]
        for j in sorted(due, key=lambda j: (j.due, str(j.id))):
            self.again(j)
        return len(due)

    def claim(self, token, name, lease, total, woken, wants, now, ids):
        """ids: what it took. None: it may not have taken these."""
        total = min(total, CLAIM_MAX)
        held = self.pick(total, dict(wants))
        if held is None:
            if not self.are_next(ids, total, wants):
                return None
            held = [self.jobs[i] for i in ids]
            for j in held:
                self.lane(j)[:] = [x for x in self.lane(j) if x[0] != j.id]
        for j in held:
            j.place, j.state, j.run = 'leased', 'R', True
            j.counter, j.worker = token[:12], token[12:]
            j.name, j.started, j.finished, j.result = name, now, 0, b''
        if held:
            self.leases[token] = Lease([j.id for j in held], now + lease)
        if woken:
            self.taken -= {h for h, _ in wants}
        return held

    def verdict(self, job_id, token, already):
        """0 for a running job under this token, else what else."""
        j = self.jobs.get(job_id)
        if j is None:
            return 3
        if not j.run or j.token != token:
            return 2
        if j.state in 'RE':
            return 0
        return 1 if j.state in already(j) else 2

    def next_run(self, j, now):
        base, step = j.opt.get('s') or j.created, j.opt['i'] * 1000
        ks = {math.floor((t - base) / step) + 1 for t in (now.lo, now.hi)}
        return Win(base + min(ks) * step, base + max(ks) * step)

    def run_over(self, j, now, error=None, result=b''):
        """A periodic job's run ended."""
        j.runs += 1
        j.attempts = j.crashes = 0
        j.finished, j.result = now, result
        if error is not None:
            j.error = error
        if j.state == 'E':
            j.state = 'C'
            self.stats['cancelled'] += 1
            self.finish(j, now)
        else:
            j.state = WAITING
            self.schedule(j, self.next_run(j, now))

    def complete(self, items, now):
        out = []
        for job_id, token, result, log in items:
            v = self.verdict(job_id, token, lambda j: 'SCW'
                             if j.kind == 'p' else 'SC')
            out.append(v)
            if v:
                continue
            j = self.jobs[job_id]
            self.stats['success'] += 1
            j.log = log or j.log
            if j.kind == 'p':
                self.stats['success_periodic'] += 1
                self.run_over(j, now, None, result)
            else:
                j.state, j.finished, j.result = 'S', now, result
                self.finish(j, now)
        self.end_leases()
        return out

    def bury(self, j, now, error):
        j.state, j.place, j.finished, j.error = 'F', 'dead', now, error
        j.expiry = now + 1000 * self.setting('dead_retention_s')
        j.result = b''
        self.stats['failed'] += 1

    def fail(self, jitter, items, now):
        out, self.logs_kept = [], 0
        for i, (job_id, token, retryable, error, log, asked) in \
                enumerate(items):
            v = self.verdict(job_id, token, lambda j: 'FCW')
            if v == 2 and log and self.jobs[job_id].state == 'C' \
                    and self.jobs[job_id].token == BACK + token[12:]:
                self.jobs[job_id].log, v = log, 1
                self.logs_kept += 1
            out.append(v)
            if v:
                continue
            j = self.jobs[job_id]
            j.log = log or j.log
            j.attempts += 1
            budget = {'t--': 'max_retries', 'd--': 'daemon_max_retries'}.get(
                j.retries)
            budget = self.setting(budget) if budget else int(j.retries)
            if j.policy == 'n':
                budget = 0
            if retryable and j.state == 'R' and j.attempts <= budget:
                limit = self.setting('retry_wait_max_ms')
                wait = self.setting('retry_wait_ms')
                if j.policy == 'e':
                    wait = min(wait * 2**(j.attempts - 1), limit)
                    part = (jitter + i * 618034) % 1000000
                    wait -= wait * part // 4000000
                wait = min(max(wait, asked), limit)
                j.state, j.error, j.result = WAITING, error, b''
                j.finished = 0
                self.schedule(j, now + wait)
                self.stats['retries'] += 1
            elif j.kind == 'p':
                self.stats['failed'] += 1
                self.run_over(j, now, error)
            else:
                self.bury(j, now, error)
        self.end_leases()
        return out

    def put_back(self, j, now):
        """Unrun: True, it waits again; or, cancelled while running, its end."""
        j.counter = BACK
        if j.state == 'E':
            j.state, j.finished = 'C', now
            self.stats['cancelled'] += 1
            self.finish(j, now)
            return False
        j.state, j.finished = WAITING, 0
        j.place, j.expiry = 'ready', None
        return True

    def put_all_back(self, jobs, now):
        self.next_of_all([j for j in jobs if self.put_back(j, now)])
        self.end_leases()

    def release(self, items, now):
        out, back = [], []
        for job_id, token in items:
            v = self.verdict(job_id, token, lambda j: '')
            if not v and self.jobs[job_id] in back:
                v = 2
            out.append(v)
            if not v:
                back.append(self.jobs[job_id])
        self.put_all_back(back, now)
        return out

    def extend(self, worker, name, info, lease, every, handlers, leases, now):
        self.workers[worker] = (name, info)
        for h in handlers:
            self.served[h] = True
        out, lost = [0, 0], []
        for token, ids in leases:
            verdicts = [self.verdict(i, token, lambda j: '') for i in ids]
            for i, v in zip(ids, verdicts):
                j = self.jobs.get(i)
                if v == 2 and j.state == 'C' and j.counter == BACK \
                        and j.worker == worker:
                    v = 4
                out.append(v)
            held = {i for i, v in zip(ids, verdicts) if not v}
            lost += [j for j in self.running(token) if j.id not in held]
            if held:
                self.leases[token].expiry = now + lease
        named = {token for token, _ in leases}
        for token in self.by_expiry() if every else []:
            if token[12:] == worker and token not in named:
                if len(lost) >= REAP_MAX:
                    out[1] = 1
                    break
                lost += self.running(token)
        out[0] = len(lost)
        self.put_all_back(lost, now)
        return out

    def by_expiry(self):
        """Leases, those first that end first; windows are all later than
        times that are known."""
        def key(token):
            e = self.leases[token].expiry
            return (e.lo if isinstance(e, Win) else e), token
        return sorted(self.leases, key=key)

    def mend_clock(self, now):
        for j in self.at('scheduled') if self.set_back else []:
            # what has run comes within its interval, or the longest wait
            late = now + self.setting('retry_wait_max_ms')
            if j.kind == 'p' and not j.attempts:
                late = self.next_run(j, now)
            if j.run and not isinstance(j.due, Win) and late.lo < j.due:
                j.due = late
        self.set_back = False

    def reap(self, now):
        requeued, failed, more = [], 0, 0
        for token in self.by_expiry():
            expiry = self.leases[token].expiry
            if isinstance(expiry, Win) or expiry > now.lo:
                continue
            if len(requeued) + failed >= REAP_MAX:
                more = 1
                break
            for j in self.running(token):
                if self.lost(j, now):
                    requeued.append(j)
                else:
                    failed += 1
        self.next_of_all(requeued)
        self.end_leases()
        return [len(requeued), failed, more]

    def lost(self, j, now):
        """Its worker was: whether it waits again."""
        self.stats['crashes'] += 1
        if j.state == 'E' or j.crashes < 2:
            j.crashes += j.state != 'E'
            return self.put_back(j, now)
        j.counter = BACK
        if j.kind == 'p':
            self.stats['failed'] += 1
            self.run_over(j, now, b'worker lost 3 times')
        else:
            j.crashes += 1
            self.bury(j, now, b'worker lost 3 times')
        return False

    def cancel(self, job_id, force, now):
        j = self.jobs.get(job_id)
        if j is None:
            return 3
        if j.state == 'C':
            return 1
        if j.state in 'SF':
            return 2
        if j.state == WAITING:
            j.counter, j.run = BACK, True
        elif force:
            self.told.add((j.worker, job_id))
            j.counter = BACK
        elif j.kind != 'p':
            return 2
        elif j.state == 'E':
            return 1
        else:
            j.state = 'E'
            return 0
        j.state, j.finished, j.result = 'C', now, b''
        self.stats['cancelled'] += 1
        self.finish(j, now)
        self.end_leases()
        return 0

    def retry(self, job_id):
        j = self.jobs.get(job_id)
        if j is None:
            return 3
        if j.place != 'dead':
            return 2
        j.state, j.counter, j.finished = WAITING, BACK, 0
        j.attempts = j.crashes = 0
        self.again(j)
        return 0

    def delete(self, job_id):
        j = self.jobs.pop(job_id, None)
        if j is None:
            return 3
        if j.place == 'leased':
            self.told.add((j.worker, job_id))
        self.stats['finished_gone'] += j.place == 'finished'
        self.deleted.add(job_id)
        self.end_leases()
        return 0

    def replay(self, job_id, dead_only, now):
        j = self.jobs.get(job_id)
        if j is None:
            return [3, 0]
        if dead_only and j.place != 'dead':
            return [2, 0]
        due, head, tail = j.opt.get('s', 0), j.head, j.tail
        if due <= now.hi:
            line, payload = tail.split(b'\n', 1)
            words = [w for w in line.split(b' ') if not w.startswith(b's=')]
            tail = b' '.join(words) + b'\n' + payload
            if head[1] == 'o' and len(words) == 2:
                head = head[0] + '-' + head[2:]
            due = 0
        self.seq += 1
        kind = '%s%d %s' % (head, due, j.handler)
        new = Job(self.seq, (kind, tail), now)
        new.aside = j.aside
        self.add(new, due, now)
        return [0, self.seq]

    def list(self, before, state, handler, limit):
        top = self.seq + 1
        before = top if before == 0 or before > top else before
        rows, low = [], before
        while low > 1 and before - low < 500 and len(rows) < limit:
            low -= 1
            j = self.jobs.get(low)
            if j and handler in ('', j.handler) and (
                    not state or j.state in
                    {'P': 'W', 'R': 'RE', 'X': 'FC'}.get(state, state)
                    or state == 'D' and j.place == 'scheduled'):
                rows.append(low)
        return (low if low > 1 else 0), rows
