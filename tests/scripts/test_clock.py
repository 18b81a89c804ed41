"""Redis' clock is set back: nothing waits for the whole difference."""

import tmq
from desk import HOUR, between, eq, ms
from tmq import job

PERIODIC = dict(options=' i=100')


def set_back(d, days, *jobs):
    """Redis' clock goes back: all times lie as much farther ahead."""
    for place, i in jobs:
        assert d.c('ZINCRBY', d.k(place), days * 24 * HOUR, i)
    d.c('SET', d.k('clock'), ms() + days * 24 * HOUR)


def test_periodic_before_its_base(d):
    """The clock was set back to before the first time: within an interval,
    and on the same points."""
    base = ms() + 10**9 + 12345
    d.add(job(options=' i=100 s=%d' % base, due=base), job('a', **PERIODIC))
    d.c('SETRANGE', d.k('j:2'), 13, '%013d' % base)
    d.expire('scheduled', 1)
    for i, t in (d.take('email'), d.take('a')):
        d.complete(i, t)
        eq((d.due(i) - base) % 100000, 0)
        between(ms() - 1000, d.due(i), ms() + 100000)


def test_clock_set_back(d):
    """What ran before comes within its interval or its longest wait; a first
    time is what was asked for."""
    d.config('retry_wait_ms', 60000)
    first = ms() + HOUR
    d.add(job('first', due=first), job(**PERIODIC), job('retry'),
          job('both', **PERIODIC), job('lost', **PERIODIC))
    for handler in ('email', 'retry', 'both'):
        i, t = d.take(handler)
        eq(d.complete(i, t) if i == 2 else d.fail(i, t), 0)
    d.take('lost')
    eq(d.s.reap()[1:], [0, 0, 0, 0])
    due = d.due(2)
    for h in ('email', 'retry', 'both'):
        d.unmark(h)
    set_back(d, 30, ('scheduled', 2), ('scheduled', 3), ('scheduled', 4),
             ('leased', 5))
    eq(d.s.reap()[1:], [0, 0, 0, 0])
    eq(d.due(2), due, 'on its points, as if nothing had happened')
    eq(d.due(1), first)
    for i in (3, 4):
        between(ms(), d.due(i), ms() + HOUR)
    between(ms(), d.score('leased', 5), ms() + HOUR)
    assert d.marked('email'), 'earlier than all others'
    # once: the clock is known now
    set_back(d, 0, ('scheduled', 2))
    d.c('ZINCRBY', d.k('scheduled'), 10**9, 2)
    d.s.reap()
    eq(d.due(2), due + 10**9)


def test_clock_set_back_with_many_jobs(d):
    """In pages, each bounded."""
    for _ in range(5):
        d.add(*[job(**PERIODIC)] * 1000)
    got = []
    while len(got) < 5000:
        got += d.claim('email', 1000)
    d.complete_all([(i, t, '', '') for i, t, _, _ in got])
    d.c('EVAL', "local k = KEYS[1] .. 'scheduled' "
        "for _, id in ipairs(redis.call('ZRANGE', k, 0, -1)) do "
        "redis.call('ZINCRBY', k, 1e10, id) end", 1, tmq.PREFIX)
    set_back(d, 115)
    calls = 0
    while d.s.reap()[4]:
        calls += 1
    between(2, calls, 10)
    last = d.c('ZRANGE', d.k('scheduled'), -1, -1, 'WITHSCORES')
    between(ms() - 1000, int(last[1]), ms() + 100000)
