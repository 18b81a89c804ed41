"""Leases: the jobs of one claim are held together; extended, given back,
reaped."""

from driver import HOUR, V, W, between, eq, error_of, ms
from tmq import LIMITS, job

REAP_MAX = LIMITS['REAP_MAX']


def start(d, n=20, handler='email', **more):
    """n jobs under one lease: their ids, and the token."""
    d.add(*[job(handler)] * n)
    got = d.claim(handler, n, **more)
    eq(len(got), n)
    return [x[0] for x in got], got[0][1]


def each(ids, token):
    return sum([[i, token] for i in ids], [])


def done(ids, token):
    return [(i, token, '', '') for i in ids]


def test_one_lease_per_claim(d):
    for n in (1, 2, 20):
        d.c('FLUSHALL')
        ids, t = start(d, n)
        eq((d.lease(t), d.leased(), d.s.stats()[26]), ((n, ids), n, n))
        between(ms() + HOUR - 5000, d.score('leased', ids[-1]),
                ms() + HOUR + 1)
    d.claim('email', 5)
    eq(d.card('leased'), 1, 'nothing claimed')


def test_of_several_handlers(d):
    d.add(*[job(h) for h in 'abab'])
    got = d.claim('b', 1, 'a', 9)
    eq(d.lease(got[0][1]), (3, [1, 2, 3]))
    eq((d.running('a'), d.running('b')), (2, 1))


def test_completed_in_parts(d):
    ids, t = start(d)
    eq(d.complete(ids[7], t), 0)
    eq((d.lease(t), d.leased()), ((19, ids), 19))
    eq(d.complete_all(done(ids[:5], t)), [0] * 5)
    eq(d.complete_all(done(ids[:5], t)), [1] * 5)
    eq(d.lease(t)[0], 14)
    more, u = start(d)
    eq(d.complete_all([(i, x, '', '') for pair in zip(ids[8:], more)
                       for i, x in zip(pair, (t, u))]), [0] * 24)
    eq((d.lease(t)[0], d.lease(u)[0]), (2, 8))
    eq(d.complete_all(done(ids, t) + done(more, u)),
       [1] * 5 + [0] * 2 + [1] * 13 + [1] * 12 + [0] * 8)
    eq((d.lease(t), d.lease(u), d.card('leased')), (None, None, 0))


def test_every_way_out(d):
    d.add(*[job()] * 19, job(options=' i=100'))
    got = d.claim('email', 20)
    ids, t = [x[0] for x in got], got[0][1]
    left = 20
    for call, n in (
            (lambda: d.fail(ids[0], t), 1),
            (lambda: d.fail(ids[1], t, retryable=0), 1),
            (lambda: sum(d.s.release(ids[2], t, ids[3], t)), 2),
            (lambda: d.s.cancel(ids[4], 1), 1),
            (lambda: d.s.delete(ids[5]), 1),
            (lambda: d.complete(ids[19], t), 1),
            (lambda: d.complete(ids[6], t), 1)):
        eq(call(), 0)
        left -= n
        eq((d.lease(t), d.leased(), d.running()), ((left, ids), left, left))
    eq(d.s.release(*each(ids[7:18], t)), [0] * 11)
    eq(d.lease(t)[0], 1)
    eq(d.s.delete(ids[18]), 0)
    eq((d.lease(t), d.running(), d.card('leased')), (None, 0, 0))


def test_some_cancelled_in_their_lane(d):
    """The lease is of those that run."""
    d.add(*[job()] * 30)
    for i in range(3, 15):
        d.s.cancel(i, 0)
    got = d.claim('email', 30)
    eq((len(got), d.leased()), (18, 18))
    eq(d.complete_all([(i, t, '', '') for i, t, _, _ in got]), [0] * 18)
    eq((d.card('leased'), d.running()), (0, 0))


def test_extended(d):
    ids, t = start(d, lease=1000)
    d.complete(ids[0], t)
    lo = ms()
    eq(d.extend([t, *ids]), [0, 0, 2] + [0] * 19)
    eq(d.lease(t), (19, ids))
    between(lo + HOUR, d.score('leased', ids[1]), ms() + HOUR + 1)
    d.expire('leased', ids[1])
    eq(d.extend([t, *ids[1:]]), [0, 0] + [0] * 19, 'nobody took it')
    between(lo + HOUR, d.score('leased', ids[1]), ms() + HOUR + 1)


def test_heartbeat(d):
    lo = ms()
    eq(d.extend(handlers=['a', 'b']), [0, 0])
    eq(d.c('ZRANGE', d.k('served'), 0, -1), [b'a', b'b'])
    between(lo, int(d.c('ZSCORE', d.k('served'), 'b')), ms() + 1)
    info = d.c('HGET', d.k('workers'), W)
    between(lo, int(info[:13]), ms() + 1)
    eq(info[13:], b' host:1 {}')


def test_what_an_extend_is_told(d):
    ids, t = start(d, 6)
    eq((d.s.cancel(ids[0], 1), d.s.delete(ids[1])), (0, 0))
    d.complete(ids[2], t)
    d.s.release(ids[3], t)
    other = t[:-1] + 'e'
    eq(d.extend([t, *ids, 99]), [0, 0, 4, 3, 2, 2, 0, 0, 3])
    eq(d.extend([other, *ids[:2], ids[4]], worker=V), [0, 0, 2, 3, 2],
       'not that worker\'s')
    d.add(job('new'))
    eq(d.extend([t, 7, *ids[4:]]), [0, 0, 2, 0, 0], 'never claimed')


def test_jobs_that_are_not_named_go_back(d):
    """The worker does not have them: what it was sent was lost."""
    ids, t = start(d)
    eq(d.complete(ids[19], t), 0)
    d.unmark()
    eq(d.extend([t, *ids[3:19]]), [3, 0] + [0] * 16)
    eq(d.lease(t), (16, ids))
    eq([d.state(i) for i in ids[:4]], list('WWWR'))
    r = d.run(ids[0])
    eq((r['attempts'], r['crashes'], r['counter']), (0, 0, '0' * 12))
    assert d.marked()
    eq(d.lane(), ['%d 1 %d' % (i, i) for i in ids[:3]])
    eq(d.complete(ids[0], t), 2)
    eq(d.extend([t]), [16, 0], 'none is named')
    eq((d.lease(t), d.running(), d.waiting()), (None, 0, 19))
    eq([x[0] for x in d.claim('email', 99)], ids[3:19] + ids[:3])


def test_leases_that_are_not_named(d):
    """End only when they are all asked for: a claim may be under way."""
    ids, t = start(d)
    more, u = start(d)
    others, v = start(d, worker=V)
    eq(d.extend([t, *ids]), [0, 0] + [0] * 20)
    eq(d.lease(u), (20, more))
    eq(d.extend([t, *ids], every=1), [20, 0] + [0] * 20)
    eq((d.lease(t)[0], d.lease(u), d.lease(v)[0]), (20, None, 20))
    eq([x[0] for x in d.claim('email', 99)], more)
    eq(d.complete(others[0], v), 0)


def test_many_leases_that_are_not_named(d):
    """A hundred jobs a call, and the rest of a lease."""
    for n in (60, 60, 60, 150, 30):
        start(d, n)
    calls = []
    while not calls or calls[-1][1]:
        calls.append(d.extend(every=1))
    eq(calls, [[120, 1], [210, 1], [30, 0]])
    eq((d.leased(), d.waiting(), d.card('leased')), (0, 360, 0))


def test_extend_arguments(d):
    ids, t = start(d, 3)
    before = d.digest()
    for args in (['x', 0, 0], [1000, 0, 'x'], [1000, 0, 5, 'a'],
                 [1000, 0, 0, '1'], [1000, 0, 0, t], [1000, 0, 0, t + '2', 1],
                 [1000, 0, 0, t + 'x', 1], [1000, 0, 0, t + '1.5', 1, 2],
                 [1000, 0, 0, t + '-1'],
                 [1000, 0, 0, t + '1', 1, t + '1', 1]):
        assert 'TASKMQ' in (error_of(d.s.extend, W, 'n', '{}', *args) or ''), \
            args
    eq(d.digest(), before)


def test_release(d):
    d.add(*[job(priority=5)] * 3)
    i, t = d.take()
    eq(d.s.release(i, t), [0])
    r = d.run(i)
    eq((r['state'], r['attempts'], r['crashes']), ('W', 0, 0))
    eq(d.take()[0], i, 'the first in line')


def test_released_to_several_lanes(d):
    d.add(*[job('ab'[i % 2], priority=i % 3) for i in range(12)])
    got = d.claim('a', 9, 'b', 9)
    eq(d.s.release(*each([x[0] for x in got], got[0][1])), [0] * 12)
    eq([x[0] for x in d.claim('a', 9, 'b', 9)], [x[0] for x in got])


def test_reap(d):
    d.add(job(), job())
    i, t = d.take()
    j, u = d.take()
    eq(d.s.reap()[1:], [0, 0, 0], 'nothing expired')
    for crash in (1, 2):
        d.expire('leased', i)
        eq(d.s.reap()[1:], [1, 0, 0])
        r = d.run(i)
        eq((r['state'], r['crashes'], r['attempts']), ('W', crash, 0))
        eq(d.lane(), ['1 1 1'])
        assert d.marked()
        eq(d.extend([t, i]), [0, 0, 2])
        i, t = d.take()
    d.expire('leased', i)
    eq(d.s.reap()[1:], [0, 1, 0])
    r = d.run(i)
    eq((r['state'], r['crashes'], r['error']),
       ('F', 3, b'worker lost 3 times'))
    eq((d.stat('crashes'), d.stat('failed'), d.card('dead')), (3, 1, 1))
    eq((d.complete(i, t), d.complete(j, u)), (2, 0))


def test_what_is_left_of_a_lease_is_reaped(d):
    ids, t = start(d)
    d.complete_all(done(ids[:5], t))
    d.expire('leased', ids[5])
    eq(d.s.reap()[1:], [15, 0, 0])
    eq((d.lease(t), d.stat('crashes'), d.leased()), (None, 15, 0))
    eq([x[0] for x in d.claim('email', 99)], ids[5:], 'in their order')


def test_reap_is_bounded(d):
    """A hundred jobs a call, and the rest of a lease."""
    held = [start(d, n) for n in (60, 60, 900, 1, 1)]
    for n, (ids, _) in enumerate(held):
        d.c('ZADD', d.k('leased'), 1000 + n, held[n][1])
    eq([d.s.reap()[1:] for _ in range(4)],
       [[120, 0, 1], [900, 0, 1], [2, 0, 0], [0, 0, 0]])
    eq((d.leased(), d.waiting(), d.card('leased')), (0, 1022, 0))
    singles = [start(d, 1)[0][0] for _ in range(REAP_MAX + 1)]
    d.expire('leased', *singles)
    eq([d.s.reap()[1:] for _ in range(2)], [[REAP_MAX, 0, 1], [1, 0, 0]])


def test_reap_too_late(d):
    d.add(job())
    i, t = d.take()
    d.expire('leased', i)
    before = d.digest()
    eq(d.s.reap(ms() - 5)[1:], [0, 0, 0])
    eq(d.digest(), before)
    eq(d.s.reap(ms() + 60000)[1:], [1, 0, 0])


def test_a_lease_of_nobody(d):
    """Its jobs, or its ids, are gone: it ends all the same."""
    ids, t = start(d, 3)
    d.c('DEL', d.k('r:%d' % ids[0]), d.k('j:%d' % ids[0]))
    eq(d.complete_all(done(ids, t)), [3, 0, 0])
    eq(d.lease(t)[0], 1)
    more, u = start(d, 2)
    d.c('DEL', d.k('t:' + u))
    d.c('ZADD', d.k('leased'), 1000, t, 1001, u)
    eq(d.s.reap()[1:], [0, 0, 0])
    eq((d.card('leased'), d.c('KEYS', d.k('t:*'))), (0, []))


def test_old_token_after_the_next_claim(d):
    d.add(job())
    i, old = d.take()
    d.expire('leased', i)
    d.s.reap()
    _, new = d.take(worker=V)
    before = d.digest()
    eq((d.complete(i, old), d.fail(i, old), d.s.release(i, old)), (2, 2, [2]))
    eq(d.digest(), before)
    eq(d.complete(i, new), 0)


def test_goodbye(d):
    d.extend()
    d.add(job())
    i, t = d.take()
    d.s.cancel(i, 1)
    eq(d.card('w:%s:wake' % W), 1)
    eq(d.s.goodbye(W), 1)
    eq(d.c('HLEN', d.k('workers')), 0)
