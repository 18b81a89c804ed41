"""What the directed tests share: one queue on a flushed Redis, and short
words for what clients, workers and operators do with it."""

import itertools
import re
import time

import tmq

W, V = '0123456789abcdef', 'fedcba9876543210'
HOUR = 3600000


def ms():
    return int(time.time() * 1000)


class Queue:
    def __init__(self, server):
        self.server = server
        self.c = tmq.Client(server)
        self.s = tmq.Scripts(self.c)
        self.claims = itertools.count(1)

    def k(self, name):
        return tmq.PREFIX + name.encode()

    def add(self, *jobs, key='', body='0' * 16, known='0'):
        """One group; returns the first id or what it was refused with."""
        return self.s.enqueue(*tmq.group(list(jobs), key, body, known))[0]

    def put_aside(self, name, payload):
        """As a client does before it enqueues."""
        self.c('SET', self.k('b:' + name), payload, 'EX', 60)

    def claim(self, *wants, worker=W, lease=HOUR, total=1000, name='host:1',
              woken=1):
        """As a worker does, after what is due; wants: handler, free, …
        [(id, token, attempts, record)]"""
        if self.c('ZCOUNT', self.k('scheduled'), '-inf', ms()):
            self.s.due()
        token = '%012x' % next(self.claims) + worker
        self.head = r = self.s.claim(token, name, lease, total, woken, *wants)
        return [(int(r[i]), token, r[i + 1], r[i + 2])
                for i in range(2, len(r), 3)]

    def take(self, handler='email', **more):
        """Claims exactly one job of a handler: (id, token)."""
        got = self.claim(handler, 1, **more)
        assert len(got) == 1, got
        return got[0][:2]

    def complete(self, job_id, token, result='', log=''):
        return self.complete_all([(job_id, token, result, log)])[0]

    def complete_all(self, items):
        """items: (id, token, result, log) each; a verdict each."""
        return self.s.complete(*tmq.completed(items))

    def fail(self, job_id, token, retryable=1, error='boom', log='', wait=-1,
             jitter=0):
        return self.s.fail(jitter, job_id, token, retryable, error, log,
                           wait)[0]

    def extend(self, *leases, worker=W, handlers=(), lease=HOUR, every=0):
        """leases: a token and ids, each a list. How many went back, whether
        there are more, then the verdicts."""
        args = []
        for token, *ids in leases:
            args += ['%s%d' % (token, len(ids)), *ids]
        return self.s.extend(worker, 'host:1', '{}', lease, every,
                             len(handlers), *handlers, *args)

    def run(self, job_id):
        """The run as a dictionary."""
        r = self.s.get(job_id)[1]
        assert len(r) >= tmq.at('RUN_NAME'), r
        name, header, rest = r[tmq.at('RUN_NAME'):].split(b'\n', 2)

        def text(field):
            return tmq.field(r, field).decode()

        n = int(text('RUN_ERROR_LEN'))
        return {
            'state': text('RUN_STATE'), 'counter': text('RUN_COUNTER'),
            'worker': text('RUN_WORKER'), 'started': int(text('RUN_STARTED')),
            'attempts': int(text('RUN_ATTEMPTS')),
            'crashes': int(text('RUN_CRASHES')), 'runs': int(text('RUN_RUNS')),
            'finished': int(text('RUN_FINISHED')), 'name': name,
            'header': header, 'error': rest[:n], 'result': rest[n:]}

    def state(self, job_id):
        return self.run(job_id)['state']

    def due(self, job_id):
        return self.s.get(job_id)[2]

    def packs(self):
        """The members of finished, each a list of ids."""
        return [[int(i) for i in m.split(b' ')]
                for m in self.c('ZRANGE', self.k('finished'), 0, -1)]

    def finished(self):
        """How many there are, as stats says."""
        return self.s.stats()[28]

    def score(self, place, job_id):
        """When its lease, or its time in a set, ends."""
        member = self.member(place, job_id)
        for m in self.c('ZRANGE', self.k(place), 0, -1) \
                if place == 'finished' else []:
            if b'%d' % job_id in m.split(b' '):
                member = m
        v = self.c('ZSCORE', self.k(place), member)
        return None if v is None else int(v)

    def member(self, place, job_id):
        """Whose score that is."""
        if place == 'leased':
            run = self.c('GET', self.k('r:%d' % job_id))
            return run and tmq.field(run, 'RUN_TOKEN')
        return b'%d' % job_id

    def lease(self, token):
        """How many jobs run under it, and the ids it names; or None."""
        text = self.c('GET', self.k('t:' + token))
        assert (text is None) == (
            self.c('ZSCORE', self.k('leased'), token) is None), text
        if text is None:
            return None
        left, *ids = text.split(b' ')
        assert len(left) == 4, text
        return int(left), [int(i) for i in ids]

    def leased(self):
        """How many jobs run, as the leases say."""
        return sum(self.lease(t.decode())[0]
                   for t in self.c('ZRANGE', self.k('leased'), 0, -1))

    def expire(self, place, *ids):
        """Makes times of scheduled or dead jobs, or of leases, past."""
        for i, job_id in enumerate(ids):
            assert self.c('ZADD', self.k(place), 'XX', 1000 + i,
                          self.member(place, job_id)) == 0
            assert self.score(place, job_id) == 1000 + i

    def lane(self, priority=0, handler='email'):
        """Its packs."""
        return [p.decode() for p in self.c(
            'LRANGE', self.k('h:%s:lane:%03d' % (handler, priority)), 0, -1)]

    def lanes(self, handler='email'):
        """The priorities of those that are not empty, in their order."""
        got = [int(m) for m in self.c(
            'ZRANGE', self.k('h:%s:ready' % handler), 0, -1)]
        there = [p for p in range(101) if self.lane(p, handler)]
        assert got == there[::-1], (got, there)
        return got

    def waiting(self, handler='email'):
        """As the counters say."""
        received = int(self.c('HGET', self.k('handlers'), handler) or 0)
        return received + sum(sign * self.stat('%s:%s' % (name, handler))
                              for name, sign in (('back', 1), ('sch', -1),
                                                 ('claimed', -1)))

    def running(self, handler='email'):
        return self.stat('claimed:' + handler) - self.stat('left:' + handler)

    def success(self):
        """As stats says: each run of a periodic job counts."""
        return self.s.stats()[2]

    def expire_packs(self, *packs):
        """Makes the times of packs of finished jobs past."""
        for i, pack in enumerate(packs):
            member = ' '.join('%d' % x for x in pack)
            assert self.c('ZADD', self.k('finished'), 'XX', 'CH', 1000 + i,
                          member) == 1, pack

    def card(self, name):
        return self.c('ZCARD', self.k(name))

    def stat(self, name):
        return int(self.c('HGET', self.k('stats'), name) or 0)

    def marked(self, handler='email'):
        return self.card('h:%s:wake' % handler) == 1

    def unmark(self, handler='email'):
        self.c('DEL', self.k('h:%s:wake' % handler))

    def config(self, name, value, seed=0):
        return self.s.config_set(name, value, seed)

    def commands(self, call, name=''):
        """How many commands (of this name) a call ran, its scripts'
        included."""
        self.c('CONFIG', 'RESETSTAT')
        call()
        stats = self.c('INFO', 'commandstats').decode()
        return sum(int(n) for n in re.findall(
            r'cmdstat_%s:calls=(\d+)' % (name or '[^:]+'), stats))

    def digest(self):
        return self.c('DEBUG', 'DIGEST')


def error_of(call, *args):
    """The error a call answers with, or None."""
    try:
        call(*args)
    except tmq.RedisError as e:
        return str(e)
    return None


def eq(got, want, what=''):
    assert got == want, '%s got %r, want %r' % (what, got, want)


def between(lo, x, hi):
    assert lo <= x <= hi, (lo, x, hi)
