"""The sorted set of finished jobs: packs of ids, how many are left, sweeping."""

import tmq
from desk import W, eq, ms
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
                   for k in d.c('KEYS', tmq.PREFIX + b'[jrl]:*')})


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
    eq((d.stat('success'), d.stat('success_periodic')), (3, 1))


def test_delete_from_a_pack(d):
    done(d, 5)
    done(d, 1)
    eq((d.s.delete(2), d.s.delete(2), d.s.delete(5)), (0, 3, 0))
    same(d, [[1, 2, 3, 4, 5], [6]], 4)
    eq(keys_left(d), [1, 3, 4, 6])
    eq(d.s.delete(6), 0)
    same(d, [[1, 2, 3, 4, 5]], 3)
    d.expire_packs([1, 2, 3, 4, 5])
    eq(d.s.reap()[1:], [0, 0, 3, 0], 'those that were there')
    same(d, [], 0)
    eq(keys_left(d), [])
    eq(d.stat('finished_gone'), 6)
    ids = done(d, 3)
    for i in ids:
        d.s.delete(i)
    same(d, [ids], 0)
    d.expire_packs(ids)
    eq(d.s.reap()[1:], [0, 0, 0, 0])
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
    for end in ('complete', 'fail', 'release', 'recover', 'reap', 'cancel',
                'delete'):
        d.add(job(end, options=' i=100'))
        i, t = d.take(end)
        eq(d.complete(i, t), 0)
        left(0)
        d.expire('scheduled', i)
        i, t = d.take(end)
        d.s.cancel(i, 0)
        left(0)
        if end == 'recover':
            d.s.recover(W, 0)
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
    d.claim('none', 1)
    eq((d.finished(), d.packs(), keys_left(d)), (0, [], []))


def test_sweep_is_bounded(d):
    """By ids, in whole packs; what it read and did not take stays."""
    packs = [done(d, n) for n in (99, 100, 100)]
    d.expire_packs(*packs)
    eq(d.s.reap()[1:], [0, 0, 199, 1], '99 are too few')
    same(d, [packs[2]], 100)
    eq(keys_left(d), packs[2])
    eq(d.s.reap()[1:], [0, 0, 100, 1])
    eq(d.s.reap()[1:], [0, 0, 0, 0])

    singles = [done(d, 1) for _ in range(130)]
    d.expire_packs(*singles)
    eq([d.s.reap()[1:] for _ in range(2)], [[0, 0, 100, 1], [0, 0, 30, 0]])
    same(d, [], 0)

    # ids of jobs that were deleted are looked at, too
    ids = done(d, 100)
    for i in ids[1:]:
        d.s.delete(i)
    more = done(d, 2)
    d.expire_packs(ids, more)
    eq(d.s.reap()[1:], [0, 0, 1, 1])
    same(d, [more], 2)


def test_a_sweep_of_a_thousand(d):
    """The most that a claim sweeps, and the pack that it ends in."""
    packs = [done(d, 99)] + [done(d, 100) for _ in range(11)]
    d.add(*[job('dead', retries='000')] * 10)
    got = d.claim('dead', 10)
    d.s.fail(0, *sum([[i, t, 0, 'e', '', -1] for i, t, _, _ in got], []))
    d.expire('dead', *[i for i, _, _, _ in got])
    d.expire_packs(*packs)
    d.claim('none', 1000)
    eq(d.card('dead'), 0)
    same(d, packs[10:], 200)
    d.claim('none', 1000)
    same(d, [], 0)
    eq(keys_left(d), [])


def test_what_redis_evicted(d):
    """Not counted for ever."""
    ids = done(d, 3)
    d.c('DEL', d.k('j:%d' % ids[0]))
    d.c('DEL', d.k('j:%d' % ids[1]), d.k('r:%d' % ids[1]))
    d.expire_packs(ids)
    eq(d.s.reap()[1:], [0, 0, 2, 0])
    same(d, [], 0)
