"""Periodic jobs, and Redis' clock."""

import tmq
from driver import HOUR, between, eq, ms
from tmq import job

PERIODIC = dict(options=' i=100')


def grid(base, due, step=100000):
    """due is the first point of the grid after now."""
    eq((due - base) % step, 0, 'on the grid')
    between(ms() - 9000, due, ms() + step)


def test_periodic(d):
    base = ms() - 350000        # three runs missed
    d.add(job(options=' i=100 s=%d' % base, due=base))
    i, t = d.take()
    eq(d.complete(i, t, '"one"'), 0)
    r = d.run(i)
    eq((r['state'], r['runs'], r['result']), ('W', 1, b'"one"'))
    assert r['finished'] > 0
    grid(base, d.due(i))
    between(base + 400000, d.due(i), base + 400000)
    eq(d.complete(i, t, '"two"'), 1, 'repeated')
    eq(d.run(i)['result'], b'"one"')
    eq((d.success(), d.stat('sch:email'), d.card('finished')),
       (1, 1, 0))
    d.expire('scheduled', i)
    i, t = d.take()
    r = d.run(i)
    eq((r['state'], r['finished'], r['result'], r['runs']), ('R', 0, b'', 1))


def test_periodic_from_its_creation(d):
    d.add(job(**PERIODIC))
    i, t = d.take()
    d.complete(i, t)
    eq(d.due(i), created(d, i) + 100000)


def created(d, i):
    return int(tmq.field(d.s.get(i)[0], 'JOB_CREATED'))


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
    d.c('SETRANGE', d.k('j:2'), tmq.at('JOB_CREATED'), '%013d' % base)
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
    eq(d.s.sweep(), [0, 0])
    due = d.due(2)
    for h in ('email', 'retry', 'both'):
        d.unmark(h)
    set_back(d, 30, ('scheduled', 2), ('scheduled', 3), ('scheduled', 4),
             ('leased', d.member('leased', 5)))
    eq(d.s.sweep(), [0, 0])
    eq(d.due(2), due, 'on its points, as if nothing had happened')
    eq(d.due(1), first)
    for i in (3, 4):
        between(ms(), d.due(i), ms() + HOUR)
    between(ms(), d.score('leased', 5), ms() + HOUR)
    assert d.marked('email'), 'earlier than all others'
    # once: the clock is known now
    set_back(d, 0, ('scheduled', 2))
    d.c('ZINCRBY', d.k('scheduled'), 10**9, 2)
    d.s.sweep()
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
    while d.s.sweep()[1]:
        calls += 1
    between(2, calls, 10)
    last = d.c('ZRANGE', d.k('scheduled'), -1, -1, 'WITHSCORES')
    between(ms() - 1000, int(last[1]), ms() + 100000)


def test_periodic_failure_goes_on(d):
    d.add(job(retries='001', **PERIODIC))
    i, t = d.take()
    d.fail(i, t, error='a')
    eq((d.run(i)['attempts'], d.stat('retries')), (1, 1))
    d.expire('scheduled', i)
    i, t = d.take()
    eq(d.fail(i, t, error='b'), 0)
    r = d.run(i)
    eq((r['state'], r['attempts'], r['runs'], r['error']), ('W', 0, 1, b'b'))
    grid(created(d, i), d.due(i))
    eq((d.card('dead'), d.stat('failed')), (0, 1))
    eq(d.fail(i, t, error='c'), 1)
    d.expire('scheduled', i)
    i, t = d.take()
    d.complete(i, t)
    eq(d.run(i)['error'], b'b', 'kept')
    eq(d.run(i)['runs'], 2)


def test_periodic_crashes(d):
    d.add(job(**PERIODIC))
    for crash in (1, 2, 3):
        i, t = d.take()
        d.expire('leased', i)
        eq(d.s.reap()[1:3], [1, 0] if crash < 3 else [0, 1])
    r = d.run(i)
    eq((r['state'], r['crashes'], r['runs'], r['error']),
       ('W', 0, 1, b'worker lost 3 times'))
    grid(created(d, i), d.due(i))
    eq((d.stat('failed'), d.card('dead')), (1, 0))


def ending(d):
    """A periodic job, cancelled while it runs."""
    d.c('FLUSHALL')
    d.add(job(**PERIODIC))
    i, t = d.take()
    eq((d.s.cancel(i, 0), d.s.cancel(i, 0)), (0, 1))
    eq(d.state(i), 'E')
    eq(d.stat('cancelled'), 0)
    eq(d.extend([t, i]), [0, 0, 0], 'the run goes on')
    eq(d.s.list(0, 'R', '', 9)[1], b'1')
    return i, t


def ended(d, i, runs):
    r = d.run(i)
    eq((r['state'], r['runs']), ('C', runs))
    eq((d.leased(), d.card('scheduled'), d.card('finished')),
       (0, 0, 1))
    eq((d.running(), d.stat('sch:email'), d.stat('cancelled')),
       (0, 0, 1))
    return r


def test_cancelled_while_running(d):
    i, t = ending(d)
    eq(d.complete(i, t, '7'), 0)
    eq(ended(d, i, 1)['result'], b'7')
    eq((d.complete(i, t), d.success()), (1, 1))

    i, t = ending(d)
    eq(d.fail(i, t, retryable=1, error='e'), 0)
    eq(ended(d, i, 1)['error'], b'e')
    eq((d.fail(i, t), d.stat('failed'), d.stat('retries')), (1, 1, 0))

    i, t = ending(d)
    eq(d.s.release(i, t), [0])
    ended(d, i, 0)

    i, t = ending(d)
    eq(d.extend(every=1), [1, 0])
    ended(d, i, 0)

    i, t = ending(d)
    d.expire('leased', i)
    eq(d.s.reap()[1:3], [0, 1])
    ended(d, i, 0)

    i, t = ending(d)
    eq(d.s.cancel(i, 1), 0, 'force after all')
    ended(d, i, 0)
    eq(d.complete(i, t), 2)
