"""What is over: finished jobs, in packs of ids, and dead ones; how many are
left, when they go."""

import tmq
from driver import V, W, between, eq, ms
from tmq import job


def done(d, n, handler='email', options=''):
    """n more jobs, completed in one call; their ids."""
    d.add(*[job(handler, options=options)] * n)
    return complete_all(d, handler, n)


def complete_all(d, handler, n):
    got = d.claim(handler, n)
    eq(len(got), n)
    d.complete_all([(i, t, '', 'log') for i, t, _, _ in got])
    return [i for i, _, _, _ in got]


def keys_left(d):
    return sorted({int(k.rsplit(b':', 1)[1])
                   for k in d.c('KEYS', tmq.PREFIX + b'[jrlb]:*')})


def same(d, packs, n):
    """The packs, in order of their first ids, and how many jobs."""
    eq((sorted(d.packs()), d.finished()), (packs, n))


def test_packs_of_a_hundred(d):
    ids = done(d, 250)
    same(d, [ids[:100], ids[100:200], ids[200:]], 250)
    scores = {d.score('finished', i) for i in ids}
    eq(len(scores), 1, 'one expiry')
    assert abs(scores.pop() - ms() - 86400000) < 9000
    more = done(d, 100)
    one = done(d, 1)
    same(d, [ids[:100], ids[100:200], ids[200:], more, one], 351)


def test_packs_of_one_retention(d):
    d.config('retention_s', 90)
    d.add(job(), job(options=' k=7'), job(options=' k=7'),
          job(options=' k=90'), job(), job(options=' t=5'),
          job(options=' k=7'))
    complete_all(d, 'email', 7)
    same(d, [[1], [2, 3], [4, 5, 6], [7]], 7)
    for i, keep in ((1, 90), (2, 7), (3, 7), (6, 90), (7, 7)):
        assert abs(d.score('finished', i) - ms() - 1000 * keep) < 5000, i


def test_packs_are_of_what_was_completed(d):
    """Not of what was stale, repeated, or goes on."""
    d.add(job(), job(), job(options=' i=100'), job(), job())
    t = d.claim('email', 5)[0][1]
    d.s.delete(4)
    eq(d.complete_all([(i, '0' * 28 if i == 2 else t, '', '')
                       for i in (1, 2, 3, 1, 4, 5)]), [0, 2, 0, 1, 3, 0])
    same(d, [[1, 5]], 2)
    eq((d.success(), d.stat('success_periodic')), (3, 1))


def test_delete_from_a_pack(d):
    done(d, 5)
    done(d, 1)
    eq((d.s.delete(2), d.s.delete(2), d.s.delete(5)), (0, 3, 0))
    same(d, [[1, 2, 3, 4, 5], [6]], 4)
    eq(keys_left(d), [1, 3, 4, 6])
    eq(d.s.delete(6), 0)
    same(d, [[1, 2, 3, 4, 5]], 3)
    d.expire_packs([1, 2, 3, 4, 5])
    eq(d.s.sweep(), [3, 0], 'those that were there')
    same(d, [], 0)
    eq(keys_left(d), [])
    eq(d.stat('finished_gone'), 6)
    ids = done(d, 3)
    for i in ids:
        d.s.delete(i)
    same(d, [ids], 0)
    d.expire_packs(ids)
    eq(d.s.sweep(), [0, 0])
    same(d, [], 0)


def test_how_many_are_finished(d):
    """In every way that a job comes to its end, or does not."""
    n = 0

    def left(more):
        nonlocal n
        n += more
        eq(d.finished(), n)

    done(d, 3)
    left(3)
    d.add(job())
    d.s.cancel(4, 0)
    left(1)
    d.add(job('r'))
    d.take('r')
    d.s.cancel(5, 1)
    left(1)
    d.add(job('x', retries='000'))
    d.fail(*d.take('x'))
    left(0)
    d.s.delete(6)
    left(0)
    # a series: its runs are no finished jobs, its end is one
    for end in ('complete', 'fail', 'release', 'extend', 'reap', 'cancel',
                'delete'):
        d.add(job(end, options=' i=100'))
        i, t = d.take(end)
        eq(d.complete(i, t), 0)
        left(0)
        d.expire('scheduled', i)
        i, t = d.take(end)
        d.s.cancel(i, 0)
        left(0)
        if end == 'extend':
            eq(d.extend(every=1), [1, 0])
        elif end == 'reap':
            d.expire('leased', i)
            d.s.reap()
        elif end == 'cancel':
            d.s.cancel(i, 1)
        elif end == 'release':
            d.s.release(i, t)
        elif end == 'delete':
            d.s.delete(i)
        else:
            getattr(d, end)(i, t)
        left(end != 'delete')
        d.complete(i, t)
        left(0)
    for i in (1, 4, 5, 7, 12):
        eq(d.s.delete(i), 0)
        left(-1)
    d.expire_packs(*d.packs())
    eq(d.s.sweep()[1], 0)
    eq((d.finished(), d.packs(), keys_left(d)), (0, [], []))


def test_sweep_is_bounded(d):
    """By ids, in whole packs; what it read and did not take stays."""
    packs = [done(d, 99)] + [done(d, 100) for _ in range(11)]
    d.expire_packs(*packs)
    eq(d.s.sweep(), [1099, 1], '999 are too few')
    same(d, [packs[11]], 100)
    eq(keys_left(d), packs[11])
    eq([d.s.sweep() for _ in range(2)], [[100, 0], [0, 0]])

    # ids of jobs that were deleted are looked at, too
    packs = [done(d, 100) for _ in range(10)]
    for i in sum(packs, []):
        d.s.delete(i)
    more = done(d, 2)
    d.expire_packs(*packs, more)
    eq(d.s.sweep(), [0, 1])
    same(d, [more], 2)
    eq(d.s.sweep(), [2, 0])


def test_sweep_of_dead_and_finished_jobs(d):
    """A thousand in all; dead ones first."""
    d.add(*[job('dead', retries='000')] * 1000, *[job('dead')] * 30)
    for _ in range(2):
        got = d.claim('dead', 1000)
        d.s.fail(0, *sum([[i, t, 0, 'e', 'l', -1] for i, t, _, _ in got], []))
    d.expire('dead', *range(1, 1031))
    ids = done(d, 30)
    d.expire_packs(ids)
    eq(d.s.sweep(), [1000, 1])
    eq((d.card('dead'), d.stat('dead:dead'), d.finished()), (30, 30, 30))
    eq(d.s.sweep(), [60, 0])
    eq((d.stat('dead:dead'), d.stat('dead_dropped'), keys_left(d)),
       (0, 0, []), 'they had their time')


def test_sweep_forgets_workers(d):
    d.extend(handlers=['a'])
    d.extend(worker=V, handlers=['b'])
    old = '%013d' % (ms() - 60001)
    d.c('HSET', d.k('workers'), W, old + ' host:1 {}')
    d.c('ZADD', d.k('served'), old, 'a')
    eq(d.s.sweep(), [0, 0])
    eq(d.c('HKEYS', d.k('workers')), [V.encode()])
    eq(d.c('ZRANGE', d.k('served'), 0, -1), [b'b'])
    before = d.c('HGETALL', d.k('stats'))
    d.s.sweep()
    eq(d.c('HGETALL', d.k('stats')), before, 'nothing to count')


def test_what_redis_evicted(d):
    """Not counted for ever."""
    ids = done(d, 3)
    d.c('DEL', d.k('j:%d' % ids[0]))
    d.c('DEL', d.k('j:%d' % ids[1]), d.k('r:%d' % ids[1]))
    d.expire_packs(ids)
    eq(d.s.sweep(), [1, 0])
    same(d, [], 0)


def test_dead_max(d):
    d.config('dead_max', 5)
    d.add(*[job('h', retries='000') for _ in range(12)])
    got = d.claim('h', 12)
    for n, (i, t, _, _) in enumerate(got[:4]):
        d.fail(i, t)
    d.expire('dead', 3, 1)
    d.c('ZADD', d.k('dead'), ms() + 10, 3, ms() + 20, 1)
    d.s.fail(0, *sum([[i, t, 1, 'e', '', -1] for i, t, _, _ in got[4:7]], []))
    eq(d.s.sweep(), [2, 0])
    eq(d.card('dead'), 5)
    eq((d.s.get(3), d.s.get(1)), (None, None), 'dropped first')
    eq((d.stat('dead_dropped'), d.stat('dead:h'), d.stat('failed')), (2, 5, 7))
    d.config('dead_max', 0)
    eq(d.s.sweep(), [5, 0])
    eq((d.card('dead'), d.stat('dead:h'), d.stat('dead_dropped')), (0, 0, 7))
    eq([k for k in d.c('KEYS', tmq.PREFIX + b'[jr]:*')
        if int(k.split(b':')[2]) < 8], [])


def test_dead_max_lowered(d):
    for _ in range(3):
        d.add(*[job(retries='000') for _ in range(900)])
        got = d.claim('email', 900)
        d.s.fail(0, *sum([[i, t, 1, 'e', '', -1] for i, t, _, _ in got], []))
    d.config('dead_max', 100)
    eq([d.s.sweep() for _ in range(4)],
       [[1000, 1], [1000, 1], [600, 0], [0, 0]])
    eq((d.stat('dead:email'), d.stat('dead_dropped')), (100, 2600))
