"""A second opinion on the queue: plain dictionaries, written from
docs/redis-schema.md and not from the scripts. Times that only Redis knows
are windows (Win) until somebody has seen the real value."""

import math

WAITING, BACK = 'W', '000000000000'


class Win:
    """Some ms between lo and hi, or that plus a constant."""

    def __init__(self, lo, hi):
        self.lo, self.hi = lo, hi

    def __add__(self, n):
        return Win(self.lo + n, self.hi + n)

    def __repr__(self):
        return '[%d..%d]' % (self.lo, self.hi)


def due_of(kind):
    """The due time in the first of a job's two arguments."""
    return int(kind[13:].split(' ')[0])


def handler_of(kind):
    return kind[13:].split(' ')[1]


class Job:
    def __init__(self, job_id, args, created):
        kind, tail = args
        head, handler = kind[:13], handler_of(kind)
        self.id, self.handler = job_id, handler
        self.head, self.tail, self.created = head, tail, created
        self.kind, self.priority = head[1], int(head[3:6])
        self.policy, self.retries = head[7], head[9:12]
        line = tail.split(b'\n', 1)[0].decode().split(' ')[2:]
        self.opt = {o[0]: int(o[2:]) for o in line}
        self.place = None           # ready scheduled leased dead finished
        self.n = None               # place in line
        self.due = 0                # score in scheduled
        self.expiry = None          # score in leased, dead, finished
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


class Model:
    def __init__(self):
        self.jobs = {}
        self.keys = {}              # idempotency key -> (id, hash)
        self.deleted = set()        # ids
        self.seq = self.order = self.claims = 0
        self.received = {}
        self.served = {}            # handler -> seen lately
        self.workers = {}           # id -> (name, info)
        self.config = {}
        self.stats = dict.fromkeys(
            ('success', 'failed', 'cancelled', 'retries', 'crashes',
             'dead_dropped', 'success_periodic', 'finished_gone'), 0)
        self.told = set()           # (worker, id): wake keys of workers
        self.logs_kept = 0          # of cancelled runs, by the last fail
        self.set_back = False       # Redis' clock was, since the last reap

    # -- settings
    def setting(self, name):
        return int(self.config.get(name, {
            'retention_s': 86400, 'dead_retention_s': 2592000,
            'dead_max': 100000, 'max_retries': 2, 'daemon_max_retries': 3,
            'retry_wait_ms': 2000, 'retry_wait_max_ms': 3600000}[name]))

    @property
    def mode(self):
        return self.config.get('selection', 'priority')[0]

    # -- lines
    def rank(self, job):
        if self.mode == 'p':
            return (-job.priority, job.n)
        return job.n if self.mode == 'f' else -job.n

    def score(self, job):
        return self.score_at(self.mode, job.priority, job.n)

    @staticmethod
    def score_at(mode, priority, n):
        if mode == 'p':
            return (100 - priority) * 2**46 + 2**45 + n
        return 2**45 + n if mode == 'f' else 2**45 - 1 - n

    def at(self, place, handler=None):
        return [j for j in self.jobs.values() if j.place == place
                and (handler is None or j.handler == handler)]

    def line(self, handler):
        return sorted(self.at('ready', handler), key=self.rank)

    def fresh(self, job):
        self.order += 1
        job.place, job.n, job.due, job.expiry = 'ready', self.order, 0, None

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
            if known == '1' and not all(self.served.get(handler_of(j[0]))
                                    for j in jobs):
                out.append(-3)
                continue
            out.append(self.seq + 1)
            if key:
                self.keys[key] = (self.seq + 1, body)
            for args in jobs:
                self.seq += 1
                self.add(Job(self.seq, args, now), due_of(args[0]), now)
        return out

    def add(self, job, due, now):
        self.jobs[job.id] = job
        self.received[job.handler] = self.received.get(job.handler, 0) + 1
        if due > now.hi:
            self.schedule(job, due)
        else:
            self.fresh(job)

    def sweep(self, now):
        for j in self.at('dead') + self.at('finished'):
            if not isinstance(j.expiry, Win) and j.expiry <= now.lo:
                self.stats['finished_gone'] += j.place == 'finished'
                del self.jobs[j.id]

    def claim(self, worker, name, lease, total, wants, now):
        self.sweep(now)
        due = [j for j in self.at('scheduled') if j.due <= now.lo]
        for j in sorted(due, key=lambda j: (j.due, str(j.id))):
            self.fresh(j)
        taken, free = [], dict(wants)
        if sum(free.values()) <= total:
            for handler, n in wants:
                taken += self.line(handler)[:n]
        else:
            while len(taken) < total:
                heads = [j for h in free if free[h] > 0
                         for j in [x for x in self.line(h)
                                   if x not in taken][:1]]
                if not heads:
                    break
                best = min(heads, key=self.rank)
                taken.append(best)
                free[best.handler] -= 1
        if taken:
            self.claims += 1
        for j in taken:
            j.place, j.expiry = 'leased', now + lease
            j.state, j.run = 'R', True
            j.counter, j.worker = '%012x' % self.claims, worker
            j.name, j.started, j.finished, j.result = name, now, 0, b''
        return taken

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
        return out

    def put_back(self, j, now):
        """Unrun: its old place; or, cancelled while running, its end."""
        j.counter = BACK
        if j.state == 'E':
            j.state, j.finished = 'C', now
            self.stats['cancelled'] += 1
            self.finish(j, now)
        else:
            j.state, j.finished = WAITING, 0
            j.place, j.expiry = 'ready', None

    def release(self, items, now):
        out = []
        for job_id, token in items:
            v = self.verdict(job_id, token, lambda j: '')
            out.append(v)
            if not v:
                self.put_back(self.jobs[job_id], now)
        return out

    def extend(self, worker, name, info, lease, handlers, items, now):
        self.workers[worker] = (name, info)
        for h in handlers:
            self.served[h] = True
        out = []
        for job_id, token in items:
            v = self.verdict(job_id, token, lambda j: '')
            j = self.jobs.get(job_id)
            if v == 2 and j.state == 'C' and j.counter == BACK \
                    and j.worker == worker:
                v = 4
            out.append(v)
            if not v:
                j.expiry = now + lease
        return out

    def reap(self, now):
        before = len(self.jobs)
        self.sweep(now)
        swept = before - len(self.jobs)
        requeued = failed = 0
        for j in self.at('scheduled') if self.set_back else []:
            # what has run comes within its interval, or the longest wait
            late = now + self.setting('retry_wait_max_ms')
            if j.kind == 'p' and not j.attempts:
                late = self.next_run(j, now)
            if j.run and late.lo < j.due:
                j.due = late
        self.set_back = False
        for j in self.at('leased'):
            if isinstance(j.expiry, Win) or j.expiry > now.lo:
                continue
            self.stats['crashes'] += 1
            if j.state == 'E':
                self.put_back(j, now)
                failed += 1
            elif j.crashes < 2:
                j.crashes += 1
                self.put_back(j, now)
                requeued += 1
            else:
                j.counter = BACK
                failed += 1
                if j.kind == 'p':
                    self.stats['failed'] += 1
                    self.run_over(j, now, b'worker lost 3 times')
                else:
                    j.crashes += 1
                    self.bury(j, now, b'worker lost 3 times')
        return [requeued, failed, swept, 0]

    def recover(self, worker, held, now):
        lost = [j for j in self.at('leased')
                if j.worker == worker and j.id not in held]
        for j in lost:
            self.put_back(j, now)
        return [0, len(lost)]

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
        return 0

    def retry(self, job_id):
        j = self.jobs.get(job_id)
        if j is None:
            return 3
        if j.place != 'dead':
            return 2
        j.state, j.counter, j.finished = WAITING, BACK, 0
        j.attempts = j.crashes = 0
        self.fresh(j)
        return 0

    def delete(self, job_id):
        j = self.jobs.pop(job_id, None)
        if j is None:
            return 3
        if j.place == 'leased':
            self.told.add((j.worker, job_id))
        self.stats['finished_gone'] += j.place == 'finished'
        self.deleted.add(job_id)
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
        self.add(Job(self.seq, (kind, tail), now), due, now)
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
                    {'P': 'W', 'R': 'RE', 'X': 'FC'}.get(state, state)):
                rows.append(low)
        return (low if low > 1 else 0), rows
