"""Finished and dead jobs, bounded by what they take: finished_max_bytes."""

import tmq
from driver import HOUR, between, eq, ms
from tmq import job

OVER = 256          # what is counted for each, beside its texts


def takes(d, *ids):
    return sum(OVER + sum(d.c('STRLEN', d.k('%s:%d' % (x, i)))
                          for x in 'jrlb') for i in ids)


def held(d):
    """As stats tells it: bytes, the bound, finished ones dropped."""
    return d.s.stats()[-3:]


def ended(d, n, size=1000, handler='email', at_once=True):
    """n jobs that succeeded with a result of so many bytes; their ids."""
    d.add(*[job(handler, retries='000') for _ in range(n)])
    got = d.claim(handler, n)
    items = [(i, t, b'"%s"' % (b'r' * size), '') for i, t, _, _ in got]
    for some in [items] if at_once else [[x] for x in items]:
        d.complete_all(some)
    return [i for i, _, _, _ in got]


def weigh(d):
    """After the setting was set: sweeps, until all that is there is weighed."""
    calls = 0
    while d.c('HGET', d.k('bytes'), 'weighing') != b'done':
        eq(d.s.sweep()[0], 0)
        calls += 1
    return calls


def there(d, ids):
    return [i for i in ids if d.s.get(i)]


def test_off(d):
    """Nothing is counted, nothing is dropped but by time."""
    ended(d, 5)
    eq((held(d), d.c('EXISTS', d.k('bytes'))), ([0, 0, 0], 0))
    eq(d.s.sweep(), [0, 0])
    eq(d.finished(), 5)


def test_what_is_counted(d):
    d.config('finished_max_bytes', 10**9)
    ids = ended(d, 5)
    eq(held(d), [takes(d, *ids), 10**9, 0])
    # each way out: with a log, cancelled, dead, dead by crashes, periodic
    d.add(*[job('x', retries='000') for _ in range(4)],
          job('y', options=' i=100'))
    (a, t), (b, u) = d.take('x'), d.take('x')
    d.complete(a, t, '"r"', 'log' * 99)
    d.fail(b, u, error='e' * 500, log='l')
    d.s.cancel(8, 0)
    for _ in range(3):
        i, _ = d.take('x')
        d.expire('leased', i)
        d.s.reap()
    p, t = d.take('y')
    d.complete(p, t, '"not finished"')
    eq(held(d)[0], takes(d, *ids, a, b, 8, 9))
    eq(d.s.retry(b), 0)
    eq(held(d)[0], takes(d, *ids, a, 8, 9), 'it waits')
    eq((d.s.delete(a), d.s.delete(9), d.s.delete(8)), (0, 0, 0))
    eq(held(d)[0], takes(d, *ids))
    d.expire_packs(ids)
    eq(d.s.sweep()[0], 5)
    eq((held(d), d.c('HLEN', d.k('bytes'))), ([0, 10**9, 0], 1))


def test_the_first_to_go_are_dropped(d):
    ids = ended(d, 20, at_once=False)
    for n, i in enumerate(ids):
        d.c('ZADD', d.k('finished'), ms() + HOUR + n, i)
    one = takes(d, ids[0])
    d.c('FLUSHALL')
    d.config('finished_max_bytes', one * 10 + one // 2)
    ids = ended(d, 10, at_once=False)
    eq(d.s.sweep(), [0, 0])
    eq(there(d, ids), ids, 'they fit')
    for n, i in enumerate(ids):
        d.c('ZADD', d.k('finished'), ms() + HOUR + n, i)
    more = ended(d, 3, at_once=False)
    eq(d.s.sweep(), [3, 0])
    eq(there(d, ids + more), ids[3:] + more)
    eq((d.finished(), held(d)), (10, [one * 10, one * 10 + one // 2, 3]))
    eq(d.s.sweep(), [0, 0])


def test_finished_ones_go_before_dead_ones(d):
    d.config('finished_max_bytes', 20000)
    d.add(*[job('x', retries='000') for _ in range(30)])
    got = d.claim('x', 30)
    for i, t, _, _ in got:
        d.fail(i, t, error='e' * 500)
    ids = ended(d, 2, at_once=False)
    d.s.sweep()
    eq(there(d, ids), [])
    left = d.card('dead')
    between(15, left, 29)
    between(19000, held(d)[0], 20000)
    eq((held(d)[2], d.stat('dead_dropped'), d.stat('dead:x')),
       (2, 30 - left, left))
    eq(len(d.c('KEYS', tmq.PREFIX + b'[jrlb]:*')), 2 * left)


def test_packs_are_dropped_in_steps(d):
    d.config('finished_max_bytes', 10**9)
    for _ in range(24):
        ended(d, 100)
    full = held(d)[0]
    eq(weigh(d), 3)
    d.config('finished_max_bytes', full // 2)
    calls = 0
    while held(d)[0] > full // 2:
        eq(d.s.sweep(), [200, 0] if calls else [1000, 1])
        calls += 1
    eq((calls, d.finished(), held(d)[2]), (2, 1200, 1200))


def test_packs_are_cut(d):
    """Not more goes than must: not the rest of a pack, not a pack that is as
    large as the bound."""
    d.config('finished_max_bytes', 10**9)
    ids = ended(d, 93)
    when, one = d.score('finished', 1), takes(d, 1)
    d.config('finished_max_bytes', takes(d, *ids) - 1)
    eq([d.s.sweep() for _ in range(2)], [[1, 0], [0, 0]])
    eq((d.packs(), d.score('finished', 2)), ([ids[1:]], when))
    d.config('finished_max_bytes', 40 * one)
    eq([d.s.sweep() for _ in range(2)], [[52, 0], [0, 0]])
    eq((d.packs(), held(d)), ([ids[-40:]], [40 * one, 40 * one, 53]))
    eq(d.finished(), 40)


def test_deleted_ones_weigh_nothing(d):
    """Also in a pack; and where it is cut."""
    d.config('finished_max_bytes', 10**9)
    ids = ended(d, 80)
    for i in ids[:60]:
        d.s.delete(i)
    eq(held(d)[0], takes(d, *ids[60:]))
    d.config('finished_max_bytes', held(d)[0] // 2)
    eq([d.s.sweep()[0] for _ in range(2)], [10, 0])
    eq((d.packs(), held(d)[0]), ([ids[70:]], takes(d, *ids[70:])))


def test_it_keeps_up(d):
    """However many end: what is dropped keeps pace, and what is left is near
    the bound."""
    d.config('finished_max_bytes', 200000)
    for _ in range(30):
        ended(d, 200, size=200)
        d.s.sweep()
        assert held(d)[0] <= 200000, held(d)
    while d.s.sweep()[0]:
        pass
    between(1, held(d)[0], 200000)
    eq(held(d)[0], takes(d, *[i for p in d.packs() for i in p]))


def test_set_later_and_unset(d):
    """What ended before, or while it was unset, is weighed by and by; nothing
    is dropped before that is done."""
    old = ended(d, 5, at_once=False)
    d.add(job('x', retries='000'))
    d.fail(*d.take('x'))
    d.config('finished_max_bytes', 10**6)
    new = ended(d, 5, at_once=False)
    eq(held(d)[0], takes(d, *new))
    eq((d.s.sweep(), held(d)[0]), ([0, 0], takes(d, *old, 6, *new)))
    many = ended(d, 1500, size=10, at_once=False)
    for off in (('0', 0), ('', '-')):
        eq(d.s.config_set('finished_max_bytes', *off), 0)
        more = ended(d, 1, at_once=False)
        many += more
        d.config('finished_max_bytes', 10**9)
        eq(d.s.delete(more[0] - 1), 0)
        many.remove(more[0] - 1)
        between(2, weigh(d), 9)
        eq(held(d)[0], takes(d, *old, 6, *new, *many))
    d.config('finished_max_bytes', 1)
    while d.s.sweep()[0]:
        pass
    eq((there(d, [*old, 6, *new, *many]), held(d)[0]), ([], 0))
    d.config('finished_max_bytes', 10**6)
    ended(d, 5)
    for off in (('0', 0), ('', '-')):
        eq(d.s.config_set('finished_max_bytes', *off), 0)
        ended(d, 2)
        eq(d.s.sweep()[0], 0)
        eq((held(d)[:2], d.c('EXISTS', d.k('bytes'))), ([0, 0], 0))


def test_nothing_is_dropped_before_all_is_weighed(d):
    old = sum([ended(d, 300, size=10) for _ in range(8)], [])
    d.config('finished_max_bytes', 10**9)
    new = ended(d, 5)
    d.config('finished_max_bytes', held(d)[0] - 1)
    eq(d.s.sweep(), [0, 1])
    while d.s.sweep()[1]:
        pass
    eq(held(d)[0], takes(d, *there(d, old + new)))
    between(held(d)[1] - takes(d, new[-1]), held(d)[0], held(d)[1])


def test_a_probe_says_how_full(d):
    eq(d.s.probe()[3:], [-1, -1])
    d.config('finished_max_bytes', 10**6)
    eq(d.s.probe()[3:], [0, -1])
    ended(d, 9, size=100000)
    between(90, d.s.probe()[3], 95)
    used = int(d.c('INFO', 'memory').split(b'used_memory:')[1].split()[0])
    d.c('CONFIG', 'SET', 'maxmemory', used * 2)
    try:
        between(45, d.s.probe()[4], 55)
    finally:
        d.c('CONFIG', 'SET', 'maxmemory', 0)
