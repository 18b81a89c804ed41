"""What the directed tests share: one queue on a flushed Redis, and short
words for what a worker does."""

import re
import time

import tmq

W, V = '0123456789abcdef', 'fedcba9876543210'
HOUR = 3600000


def ms():
    return int(time.time() * 1000)


class Desk:
    def __init__(self, server):
        self.server = server
        self.c = tmq.Client(server)
        self.s = tmq.Scripts(self.c)

    def k(self, name):
        return tmq.PREFIX + name.encode()

    def add(self, *jobs, key='', body='0' * 16, known='0'):
        """One group; returns the first id or what it was refused with."""
        return self.s.enqueue(1, *tmq.group(list(jobs), key, body, known))[0]

    def claim(self, *wants, worker=W, lease=HOUR, total=1000, name='host:1'):
        """[(id, token, attempts, record)]; wants: handler, free, …"""
        self.head = r = self.s.claim(worker, name, lease, total, *wants)
        token = r[2].decode() + worker
        return [(int(r[i]), token, r[i + 1], r[i + 2])
                for i in range(3, len(r), 3)]

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

    def extend(self, *items, worker=W, handlers=(), lease=HOUR):
        return self.s.extend(worker, 'host:1', '{}', lease, len(handlers),
                             *handlers, *items)

    def run(self, job_id):
        """The run as a dictionary, by the offsets of the schema."""
        r = self.s.get(job_id)[1]
        assert len(r) > 99, r
        name, header, rest = r[99:].split(b'\n', 2)
        n = int(r[93:98])
        return {
            'state': chr(r[0]), 'counter': r[1:13].decode(),
            'worker': r[13:29].decode(), 'started': int(r[30:43]),
            'apart': int(r[44:61]),
            'attempts': int(r[62:65]), 'crashes': int(r[66:67]),
            'runs': int(r[68:78]), 'finished': int(r[79:92]), 'name': name,
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
        if place == 'finished':
            for m in self.c('ZRANGE', self.k(place), 0, -1):
                if b'%d' % job_id in m.split(b' '):
                    return int(self.c('ZSCORE', self.k(place), m))
        v = self.c('ZSCORE', self.k(place), self.member(place, job_id))
        return None if v is None else int(v)

    def member(self, place, job_id):
        """Under a shared lease it is not the job itself."""
        if place == 'leased':
            head = self.c('GETRANGE', self.k('r:%d' % job_id), 0, 29)
            token = head[1:29].decode()
            if head[29:] == b'+' and self.c('HEXISTS', self.k('shared'),
                                            token):
                return 'T' + token
        return job_id

    def leased(self):
        """How many there are, also under shared leases."""
        shared = [int(n) for n in self.c('HVALS', self.k('shared'))]
        return self.card('leased') - len(shared) + sum(shared)

    def expire(self, place, *ids):
        """Makes times of leased, scheduled or dead jobs past."""
        for i, job_id in enumerate(ids):
            assert self.c('ZADD', self.k(place), 'XX', 1000 + i,
                          self.member(place, job_id)) == 0
            assert self.score(place, job_id) == 1000 + i

    def waiting(self, handler='email'):
        """As the counters say."""
        received = int(self.c('HGET', self.k('handlers'), handler) or 0)
        return received + sum(sign * self.stat('%s:%s' % (name, handler))
                              for name, sign in (('back', 1), ('sch', -1),
                                                 ('claimed', -1)))

    def running(self, handler='email'):
        return (self.stat('claimed:' + handler)
                - self.stat('left:' + handler))

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
