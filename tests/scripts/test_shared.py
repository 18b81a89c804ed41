"""Shared leases: the jobs of one large claim have one lease together, until
some of them need one of their own."""

from desk import HOUR, V, W, between, eq, ms
from tmq import job

JOBS = 16       # claim's SHARED_JOBS


def start(d, n=20, **more):
    """n jobs under one shared lease: ids and their token."""
    d.add(*[job()] * n)
    got = d.claim('email', n, **more)
    eq(len(got), n)
    return [x[0] for x in got], got[0][1]


def members(d):
    return [m.decode() for m in d.c('ZRANGE', d.k('leased'), 0, -1)]


def keys(d, token):
    return (d.c('EXISTS', d.k('s:' + token)),
            int(d.c('HGET', d.k('shared'), token) or 0))


def each(ids, token, *more):
    return sum([[i, token, *more] for i in ids], [])


def test_one_lease_for_many(d):
    d.add(*[job()] * (JOBS - 1))
    eq(len(d.claim('email', 99)), JOBS - 1)
    eq(len(members(d)), JOBS - 1)
    d.c('FLUSHALL')
    ids, t = start(d, JOBS)
    eq(members(d), ['T' + t])
    eq((keys(d, t), d.leased(), d.s.stats()[26]), ((1, JOBS), JOBS, JOBS))
    between(ms() + HOUR - 5000, d.score('leased', ids[3]), ms() + HOUR + 1)
    eq(d.c('GET', d.k('s:' + t)), b' '.join(b'%d' % i for i in ids))


def test_completed_in_parts(d):
    ids, t = start(d)
    eq(d.complete(ids[7], t), 0)
    eq((keys(d, t), d.leased()), ((1, 19), 19))
    eq(d.complete_all([(i, t, '', '') for i in ids[:5]]), [0] * 5)
    eq(d.complete_all([(i, t, '', '') for i in ids[:5]]), [1] * 5)
    eq(keys(d, t), (1, 14))
    more, u = start(d)
    eq(d.complete_all([(i, x, '', '') for pair in zip(ids[8:], more)
                       for i, x in zip(pair, (t, u))]), [0] * 24)
    eq((keys(d, t), keys(d, u)), ((1, 2), (1, 8)))
    eq(d.complete_all([(i, t, '', '') for i in ids]
                      + [(i, u, '', '') for i in more]),
       [1] * 5 + [0] * 2 + [1] * 13 + [1] * 12 + [0] * 8)
    eq((members(d), keys(d, t), keys(d, u)), ([], (0, 0), (0, 0)))
    eq(d.c('EXISTS', d.k('shared')), 0)


def test_every_way_out(d):
    d.add(*[job()] * 19, job(options=' i=100'))
    got = d.claim('email', 20)
    ids, t = [x[0] for x in got], got[0][1]
    eq(d.fail(ids[0], t), 0, 'to be tried again')
    eq(d.fail(ids[1], t, retryable=0), 0)
    eq(d.s.release(ids[2], t, ids[3], t), [0, 0])
    eq((d.s.cancel(ids[4], 1), d.s.delete(ids[5])), (0, 0))
    eq(d.complete(ids[19], t), 0, 'periodic')
    eq(d.complete(ids[6], t), 0)
    eq((keys(d, t), d.leased(), d.running()), ((1, 12), 12, 12))
    eq(d.s.release(*each(ids[7:18], t)), [0] * 11)
    eq(keys(d, t), (1, 1))
    eq(d.s.delete(ids[18]), 0)
    eq((members(d), keys(d, t), d.running()), ([], (0, 0), 0))


def test_extended_as_a_whole(d):
    ids, t = start(d, lease=1000)
    d.complete(ids[0], t)
    lo = ms()
    eq(d.extend(*each(ids, t), *each(ids[3:5], t)), [1 + 1] + [0] * 21)
    eq((members(d), keys(d, t)), (['T' + t], (1, 19)))
    between(lo + HOUR, d.score('leased', ids[1]), ms() + HOUR + 1)


def test_extended_in_part(d):
    """Those left out keep the time they had."""
    ids, t = start(d, lease=5000)
    was = d.score('leased', ids[0])
    eq(d.complete(ids[19], t), 0)
    eq(d.extend(*each(ids[:2], t)), [0, 0])
    eq((keys(d, t), sorted(members(d))),
       ((0, 0), sorted(str(i) for i in ids[:19])))
    between(ms() + HOUR - 5000, d.score('leased', ids[1]), ms() + HOUR + 1)
    eq(d.score('leased', ids[2]), was)
    eq(d.complete_all([(i, t, '', '') for i in ids[:18]]), [0] * 18)
    eq(d.fail(ids[18], t), 0)
    eq((members(d), d.c('EXISTS', d.k('shared'))), ([], 0))


def test_reaped(d):
    ids, t = start(d)
    d.complete_all([(i, t, '', '') for i in ids[:5]])
    d.expire('leased', ids[5])
    eq(d.extend(*each(ids[5:], t)), [0] * 15, 'expired, and nobody took it')
    d.expire('leased', ids[5])
    eq(d.s.reap()[1:], [15, 0, 0, 0])
    eq((members(d), keys(d, t), d.stat('crashes')), ([], (0, 0), 15))
    eq([x[0] for x in d.claim('email', 99)], ids[5:], 'the old order')


def test_reap_dissolves_some_at_a_time(d):
    tokens = [start(d, 900)[1] for _ in range(3)]
    for n, t in enumerate(tokens):
        d.c('ZADD', d.k('leased'), 1000 + n, 'T' + t)
    calls = [d.s.reap()[1:]]
    eq(sum(keys(d, t)[0] for t in tokens), 1, 'two of three')
    while calls[-1][3]:
        calls.append(d.s.reap()[1:])
    eq((sum(c[0] for c in calls), len(calls)), (2700, 27 + 1))
    eq((members(d), d.leased(), d.waiting()), ([], 0, 2700))


def test_recovered(d):
    ids, t = start(d, 700)
    more, u = start(d, 900)
    others, v = start(d, 20, worker=V)
    cursor, released, calls = 0, 0, 0
    while True:
        cursor, n = d.s.recover(W, cursor, ids[3], more[5])
        released, calls = released + n, calls + 1
        if cursor == 0:
            break
    eq(released, 1598)
    between(2, calls, 5)
    eq((keys(d, t), keys(d, u), keys(d, v)), ((0, 0), (0, 0), (1, 20)))
    eq((d.leased(), d.running()), (22, 22))
    eq((d.complete(ids[3], t), d.complete(more[5], u)), (0, 0))
    eq((d.complete(ids[4], t), d.complete(others[0], v)), (2, 0))


def test_an_evicted_run_under_a_shared_lease(d):
    ids, t = start(d)
    d.c('DEL', d.k('r:%d' % ids[0]), d.k('r:%d' % ids[1]),
        d.k('j:%d' % ids[1]))
    eq(d.complete_all([(i, t, '', '') for i in ids]), [2, 3] + [0] * 18)
    eq(keys(d, t), (1, 2))
    d.c('ZADD', d.k('leased'), 1000, 'T' + t)
    eq(d.s.reap()[1:], [1, 0, 0, 0])
    eq((members(d), keys(d, t)), ([], (0, 0)))
    eq(d.take()[0], ids[0])


def test_some_cancelled_in_their_lane(d):
    """The lease is shared by those that run."""
    d.add(*[job()] * 30)
    for i in range(3, 15):
        d.s.cancel(i, 0)
    got = d.claim('email', 30)
    eq((len(got), d.leased()), (18, 18))
    eq(d.complete_all([(i, t, '', '') for i, t, _, _ in got]), [0] * 18)
    eq((members(d), d.c('EXISTS', d.k('shared'))), ([], 0))
