"""The queue as a whole: periodic jobs, selection, expiry, lists, figures,
settings, a full Redis, time per call."""

import math
import os
import re
import subprocess
import tempfile

import tmq
from desk import HOUR, V, W, between, eq, error_of, ms
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
    eq((d.stat('success'), d.stat('sch:email'), d.card('finished')),
       (1, 1, 0))
    d.expire('scheduled', i)
    i, t = d.take()
    r = d.run(i)
    eq((r['state'], r['finished'], r['result'], r['runs']), ('R', 0, b'', 1))


def test_periodic_from_its_creation(d):
    d.add(job(**PERIODIC))
    i, t = d.take()
    d.complete(i, t)
    created = int(d.s.get(i)[0][13:26])
    eq(d.due(i), created + 100000)


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
    grid(int(d.s.get(i)[0][13:26]), d.due(i))
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
    grid(int(d.s.get(i)[0][13:26]), d.due(i))
    eq((d.stat('failed'), d.card('dead')), (1, 0))


def ending(d):
    """A periodic job, cancelled while it runs."""
    d.c('FLUSHALL')
    d.add(job(**PERIODIC))
    i, t = d.take()
    eq((d.s.cancel(i, 0), d.s.cancel(i, 0)), (0, 1))
    eq(d.state(i), 'E')
    eq(d.stat('cancelled'), 0)
    eq(d.extend(i, t), [0], 'the run goes on')
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
    eq((d.complete(i, t), d.stat('success')), (1, 1))

    i, t = ending(d)
    eq(d.fail(i, t, retryable=1, error='e'), 0)
    eq(ended(d, i, 1)['error'], b'e')
    eq((d.fail(i, t), d.stat('failed'), d.stat('retries')), (1, 1, 0))

    i, t = ending(d)
    eq(d.s.release(i, t), [0])
    ended(d, i, 0)

    i, t = ending(d)
    eq(d.s.recover(W, 0), [0, 1])
    ended(d, i, 0)

    i, t = ending(d)
    d.expire('leased', i)
    eq(d.s.reap()[1:3], [0, 1])
    ended(d, i, 0)

    i, t = ending(d)
    eq(d.s.cancel(i, 1), 0, 'force after all')
    ended(d, i, 0)
    eq(d.complete(i, t), 2)


def test_change_of_selection(d):
    n = 2500
    d.add(*[job('ab'[i % 2], priority=i % 11) for i in range(n)])
    # members one by one, as released ones are
    got = d.claim('a', n, 'b', n, total=1000)
    while len(got) < n:
        got += d.claim('a', n, 'b', n, total=1000)
    d.s.release(*sum([[i, t] for i, t, _, _ in got], []))
    d.config('selection', 'fifo')
    d.add(job('a', priority=99))
    moved, gave = [], []
    while d.c('HEXISTS', d.k('config'), 'moving'):
        before = d.card('h:a:ready:p') + d.card('h:b:ready:p')
        got = d.claim('b', 1, 'a', 1, total=2 - len(moved) % 2)
        gave.append(sorted(x[0] for x in got))
        for i, t, _, _ in got:
            d.s.release(i, t)
        moved.append(before - d.card('h:a:ready:p') - d.card('h:b:ready:p'))
        assert d.marked('a') and d.marked('b')
    # no job of a handler before all of its own have moved
    eq((moved, gave), ([1000, 1000, 500], [[], [2], [1, 2]]))
    eq([x[0] for x in d.claim('a', 2000, total=1000)],
       list(range(1, 2001, 2)))
    got = {i: t for i, t, _, _ in d.claim('a', 2000, total=1000)}
    eq(sorted(got), list(range(2001, n, 2)) + [n + 1])
    d.s.release(*sum([[i, t] for i, t in got.items()], []))
    d.config('selection', 'lifo')
    eq([x[0] for x in d.claim('a', 9)],
       [n + 1] + list(range(n - 1, n - 17, -2)))
    d.config('selection', 'priority')
    left = [i for i in range(2, n + 1, 2)]
    want = sorted(left, key=lambda i: (-((i - 1) % 11), i))
    for _ in range(3):
        d.claim('none', 1)
    eq([x[0] for x in d.claim('b', 1000)], want[:1000])


def test_selection_set_back_and_forth(d):
    d.add(*[job(priority=i) for i in range(5)])
    d.config('selection', 'fifo')
    d.add(job())
    d.config('selection', 'priority')
    eq([x[0] for x in d.claim('email', 9)], [5, 4, 3, 2, 1, 6])
    eq(d.c('HGET', d.k('config'), 'moving'), None)


def test_config(d):
    eq(d.s.config_get(), [])
    eq((d.config('max_retries', 5, 1), d.config('max_retries', 6, 1)), (0, 1))
    eq(d.config('max_retries', 7), 0)
    eq(d.config('selection', 'fifo', 1), 0)
    flat = d.s.config_get()
    eq({flat[i]: flat[i + 1] for i in range(0, len(flat), 2)},
       {b'max_retries': b'7', b'selection': b'fifo'})
    before = d.digest()
    for name, value in (('moving', '1'), ('selection', 'random'), ('x', '1'),
                        ('retention_s', '-1'), ('retention_s', '1.5'),
                        ('retention_s', ''), ('dead_max', '1' * 13)):
        assert 'TASKMQ' in error_of(d.config, name, value), name
    eq(d.digest(), before)


def test_sweep(d):
    d.add(*[job('ab'[i % 2]) for i in range(500)])
    got = d.claim('a', 250, 'b', 250)
    d.complete_all([(i, t, '1', 'l') for i, t, _, _ in got[:260]])
    d.s.fail(0, *sum([[i, t, 0, 'e', 'l', -1] for i, t, _, _ in got[260:]],
                     []))
    d.expire('dead', *[x[0] for x in got[260:290]])
    eq([len(p) for p in d.packs()], [100, 100, 60])
    d.expire_packs(*d.packs()[:2])
    d.claim('none', 1, total=1)
    eq((d.card('dead'), d.finished()), (210, 160), 'a pack is not cut')
    eq(d.stat('dead:a') + d.stat('dead:b'), 210)
    eq(d.s.reap()[1:], [0, 0, 100, 1])
    d.expire('dead', *[x[0] for x in got[290:500]])
    d.claim('none', 500, total=500)
    eq((d.card('dead'), d.finished()), (0, 60), 'as many as asked for')
    eq((d.stat('dead:a'), d.stat('dead:b')), (0, 0))
    eq(len(d.c('KEYS', tmq.PREFIX + b'[jrl]:*')), 180)
    eq(d.stat('dead_dropped'), 0, 'they had their time')


def test_dead_max(d):
    d.config('dead_max', 5)
    d.add(*[job('h', retries='000') for _ in range(12)])
    got = d.claim('h', 12)
    for n, (i, t, _, _) in enumerate(got[:4]):
        d.fail(i, t)
    d.expire('dead', 3, 1)
    d.c('ZADD', d.k('dead'), ms() + 10, 3, ms() + 20, 1)
    d.s.fail(0, *sum([[i, t, 1, 'e', '', -1] for i, t, _, _ in got[4:7]], []))
    eq(d.card('dead'), 5)
    eq((d.s.get(3), d.s.get(1)), (None, None), 'dropped first')
    eq((d.stat('dead_dropped'), d.stat('dead:h'), d.stat('failed')), (2, 5, 7))
    d.config('dead_max', 0)
    d.s.reap()
    eq((d.card('dead'), d.stat('dead:h'), d.stat('dead_dropped')), (0, 0, 7))
    eq([k for k in d.c('KEYS', tmq.PREFIX + b'[jr]:*')
        if int(k.split(b':')[2]) < 8], [])


def test_dead_max_lowered(d):
    d.add(*[job(retries='000') for _ in range(900)])
    got = d.claim('email', 900)
    d.s.fail(0, *sum([[i, t, 1, 'e', '', -1] for i, t, _, _ in got], []))
    d.config('dead_max', 100)
    calls = 0
    while d.card('dead') > 100:
        d.s.reap()
        calls += 1
    between(2, calls, 10)
    eq((d.stat('dead:email'), d.stat('dead_dropped')), (100, 800))


def page(d, *args):
    r = d.s.list(*args)
    return r[0], [int(r[i]) for i in range(1, len(r), 4)]


def test_list(d):
    d.add(*[job('ab'[i % 2]) for i in range(20)])
    eq(page(d, 0, '', '', 5), (16, [20, 19, 18, 17, 16]))
    eq(page(d, 16, '', '', 100), (0, list(range(15, 0, -1))))
    eq(page(d, 0, '', 'a', 3), (15, [19, 17, 15]))
    eq(page(d, 0, '', 'a1', 3), (0, []))
    got = d.claim('a', 3)
    d.complete(*got[0][:2])
    d.fail(*got[1][:2], retryable=0)
    d.s.cancel(20, 0)
    for state, ids in (('S', [1]), ('F', [3]), ('R', [5]), ('C', [20]),
                       ('X', [20, 3])):
        eq(page(d, 0, state, '', 9), (0, ids))
    eq(page(d, 0, 'P', '', 100),
       (0, [i for i in range(19, 0, -1) if i not in (1, 3, 5)]))
    eq(page(d, 0, 'P', 'b', 2), (16, [18, 16]))
    eq(page(d, 999, '', '', 1), (20, [20]), 'beyond the newest')
    eq(page(d, 1, '', '', 1), (0, []))
    eq(page(d, 2, '', '', 1), (0, [1]))
    d.s.delete(1)
    eq(page(d, 3, '', '', 1), (2, [2]))
    eq(page(d, 2, '', '', 1), (0, []))
    for args in (('x', '', '', 1), (0, 'Q', '', 1), (0, '', '', 'x')):
        assert 'TASKMQ' in error_of(d.s.list, *args), args
    d.c('FLUSHALL')
    eq(page(d, 0, '', '', 1), (0, []))


def test_list_is_bounded(d):
    d.add(job('rare'), *[job() for _ in range(2500)])
    pages, cursor, found = 0, 0, []
    while True:
        cursor, ids = page(d, cursor, '', 'rare', 10)
        found += ids
        pages += 1
        if cursor == 0:
            break
    eq((pages, found), (6, [1]))
    d.add(*[job() for _ in range(200)])
    eq(len(page(d, 0, '', '', 5000)[1]), 100)


def test_list_stops_at_a_mebibyte(d):
    d.add(*[job(payload=b'x' * 300000) for _ in range(5)],
          job(payload=b'x' * 2000000), job(payload=b'y'))
    eq(page(d, 0, '', '', 9), (7, [7]))
    eq(page(d, 7, '', '', 9), (6, [6]), 'one is always given')
    eq(page(d, 6, '', '', 9), (3, [5, 4, 3]))
    eq(page(d, 3, '', '', 9), (0, [2, 1]))


def test_get_and_logs(d):
    due = ms() + 5000
    d.add(job(due=due))
    record, run, when = d.s.get(1)
    eq((run, when), (b'', due))
    eq((d.s.get(2), d.s.logs(2), d.s.logs(1)), (None, None, b''))


def queues(d):
    x = d.s.stats()
    return x, {x[i]: x[i + 1:i + 7] for i in range(31, 31 + 7 * x[29], 7)}


def created(d, i):
    return int(d.s.get(i)[0][13:26])


def test_stats(d):
    d.add(job('a', priority=1), job('a', priority=9), job('a', priority=9),
          job('b', due=ms() + HOUR))
    for i in range(1, 5):
        d.c('SETRANGE', d.k('j:%d' % i), 13, '%013d' % (1000 + i))
    d.extend()
    d.extend(worker=V)
    x, q = queues(d)
    eq(x[29:31], [2, 2])
    eq(q[b'a'], [3, 3, 0, 0, 0, 1001])
    eq(q[b'b'], [1, 0, 1, 0, 0, 0])
    at = 31 + 7 * 2
    eq({x[at], x[at + 4]}, {W.encode(), V.encode()})
    eq((x[at + 1], x[at + 3]), (b'host:1', b'{}'))
    between(ms() - 5000, x[at + 2], ms() + 1)
    d.c('HSET', d.k('workers'), V, '%013d old {}' % (ms() - 60001))
    eq(queues(d)[0][30], 1)
    for mode, oldest in (('fifo', 1001), ('lifo', 1001)):
        d.config('selection', mode)
        eq(queues(d)[1][b'a'][5], oldest, 'not moved yet')
        d.claim('none', 1)
        eq(queues(d)[1][b'a'][5], oldest, mode)


def test_stats_of_any_number_of_members(d):
    """The oldest of each handler, whatever waits: below and above what one
    look at a set reads, with lanes and without."""
    for mode in ('priority', 'fifo', 'lifo'):
        for n in (1, 63, 101, 102, 103, 150, 250):
            for lanes in (0, 1, 3):
                d.c('FLUSHALL')
                d.config('selection', mode)
                for k in range(lanes):
                    d.add(*[job('a', priority=40 + k)] * 8)
                more = [job('a', priority=i % 4) for i in range(n)]
                d.add(*more)
                got = d.claim('a', n + 8 * lanes)
                if lanes:
                    for k in range(lanes):
                        d.add(*[job('a', priority=40 + k)] * 8)
                # back to their places: members, one by one
                d.s.release(*sum([[i, t] for i, t, _, _ in got], []))
                oldest = 1
                d.c('SETRANGE', d.k('j:%d' % oldest), 13, '%013d' % 1001)
                x, q = queues(d)
                what = (mode, n, lanes)
                eq(q[b'a'][:5], [n + 16 * lanes] * 2 + [0, 0, 0], what)
                eq(q[b'a'][5], 1001, what)
                eq(d.s.probe()[0], n + 16 * lanes, what)


def test_probe(d):
    d.add(job('a'), job('b'), job('b'))
    d.extend()
    eq(d.s.probe(), [3, 1, 1, -1, -1])
    d.config('selection', 'lifo')
    d.add(job('a'))
    eq(d.s.probe(), [4, 1, 1, -1, -1], 'both modes')
    d.c('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    eq(d.s.probe()[2], 0)
    d.c('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    d.c('ACL', 'SETUSER', 'default', '-info')
    eq(d.s.probe()[2], -1)
    d.c('ACL', 'SETUSER', 'default', '+@all')


def test_full_redis_drains(d):
    d.add(*[job(retries='000') for _ in range(9)])
    got = d.claim('email', 7)
    t = got[0][1]
    d.c('CONFIG', 'SET', 'maxmemory', '1')
    try:
        for call, args in ((d.add, (job(),)), (d.s.replay, (1, 0)),
                           (d.s.probe, ())):
            assert 'OOM' in (error_of(call, *args) or ''), call
        eq(d.complete(1, t, 'x' * 1000, 'y' * 1000), 0)
        eq(d.fail(2, t, log='z'), 0)
        eq(d.s.release(3, t), [0])
        eq(d.extend(4, t), [0])
        eq(d.s.cancel(5, 1), 0)
        eq(d.s.retry(2), 0)
        eq(d.s.delete(6), 0)
        eq(d.s.recover(W, 0, 4, 7), [0, 0])
        eq(d.config('retention_s', 5), 0)
        eq(d.s.reap()[1:], [0, 0, 0, 0])
        eq([x[0] for x in d.claim('email', 9)], [3, 8, 9, 2])
        eq(d.s.get(1)[1][-1000:], b'x' * 1000)
        eq(d.s.stats()[2], 1)
        eq(page(d, 0, 'S', '', 9), (0, [1]))
        eq(d.s.goodbye(W), 1)
    finally:
        d.c('CONFIG', 'SET', 'maxmemory', '0')
    eq(d.add(job()), 10)


def test_read_only_redis(d):
    d.add(job())
    d.c('REPLICAOF', '127.0.0.1', '1')
    try:
        for call, args in ((d.s.probe, ()), (d.add, (job(),)),
                           (d.claim, ('email', 1))):
            assert 'READONLY' in (error_of(call, *args) or ''), call
        assert d.s.get(1)
        eq(d.s.stats()[1], 1)
    finally:
        d.c('REPLICAOF', 'NO', 'ONE')


def cpu_ms(d, calls, call):
    before = d.server.cpu_ms()
    for _ in range(calls):
        call()
    return (d.server.cpu_ms() - before) / calls


def hold(d, what, limit, calls, call):
    """A call's processor time (not the time on the clock: other processes
    may have the machine), on average, in ms of a machine on which a script
    reads a thousand keys in one."""
    sha = d.c('SCRIPT', 'LOAD', b"for i = 1, 1000 do "
              b"redis.call('GETRANGE', KEYS[1], 13, 25) end")
    read = (lambda: d.c('EVALSHA', sha, 1, d.k('j:1')))
    before = cpu_ms(d, 9, read)
    mean = cpu_ms(d, calls, call)
    unit = max(1, (before + cpu_ms(d, 9, read)) / 2)
    assert mean < limit * unit, '%s: %.1f ms, unit %.1f ms' % (what, mean,
                                                               unit)


def test_no_call_takes_long(d):
    """100,000 jobs due at once, then claimed, reaped, listed, moved."""
    far = ms() + HOUR
    for _ in range(100):
        d.add(*[job('h%d' % (i % 10), b'x' * 100, due=far)
                for i in range(1000)])
    # all due: the script reads the time, so the times are made past
    d.c('EVAL', "local k = KEYS[1] .. 'scheduled' "
        "redis.call('ZUNIONSTORE', k, 1, k, 'WEIGHTS', 0)", 1, tmq.PREFIX)
    wants = sum([['h%d' % i, 1000] for i in range(10)], [])
    hold(d, 'promote', 20, 100, lambda: d.claim('none', 1))
    eq(d.card('scheduled'), 0)
    eq(sum(d.waiting('h%d' % i) for i in range(10)), 100000)
    hold(d, 'claim 1000 of 10 handlers', 20, 9,
         lambda: eq(len(d.claim(*wants, lease=0)), 1000))
    hold(d, 'reap', 20, 9, d.s.reap)
    hold(d, 'stats', 20, 9, d.s.stats)
    hold(d, 'list, none found', 5, 9,
         lambda: d.s.list(0, 'F', 'nobody', 100))
    hold(d, 'list, 100 found', 5, 9, lambda: d.s.list(0, 'P', 'h9', 100))
    d.config('selection', 'fifo')
    hold(d, 'change of selection', 20, 50, lambda: d.claim('none', 1))


def test_no_call_takes_long_with_many_names(d):
    for h in range(0, 1000, 100):
        d.add(*[job('name%d' % i, priority=p) for i in range(h, h + 100)
                for p in range(0, 100, 20)])
    x, _ = queues(d)
    eq((x[24], x[29]), (5000, 1000))
    wants = sum([['name%d' % i, 5] for i in range(1000)], [])
    hold(d, 'stats', 30, 3, d.s.stats)
    hold(d, 'probe', 5, 3, d.s.probe)
    hold(d, 'claim 1000 of 1000 handlers', 30, 3,
         lambda: eq(len(d.claim(*wants, total=1000)), 1000))


def test_flags(d):
    flags = {'enqueue': '', 'replay': '', 'probe': ''}
    for name in ('get', 'list', 'stats', 'logs', 'config_get'):
        flags[name] = ' flags=no-writes'
    for name in tmq.NAMES:
        first = tmq.text_of(name).split(b'\n', 1)[0].decode()
        eq(first, '#!lua' + flags.get(name, ' flags=allow-oom'), name)


# Name in a script, where need be with the script's: name in tq_limits.h
LIMITS = {
    'HANDLERS_MAX': 'TQ_HANDLERS_MAX', 'GONE_MS': 'TQ_WORKER_GONE_MS',
    'WAKE_MAX_MS': 'TQ_WAKE_MAX_MS', 'CLAIM_MAX': 'TQ_CLAIM_MAX',
    'IDEMPOTENCY_TTL_S': 'TQ_IDEMPOTENCY_TTL_S',
    'PROMOTE_MAX': 'TQ_PROMOTE_MAX', 'SWEEP_MAX': 'TQ_SWEEP_MAX',
    'FINISHED_PACK': 'TQ_FINISHED_PACK', 'LANE_JOBS': 'TQ_LANE_JOBS',
    'LANE_MEMBERS': 'TQ_LANE_MEMBERS', 'POP_MAX': 'TQ_POP_MAX',
    'claim.LOOK_MAX': 'TQ_LOOK_MAX', 'SHARED_JOBS': 'TQ_SHARED_JOBS',
    'JOB_BYTES': 'TQ_JOB_BYTES', 'REPLY_BYTES': 'TQ_CLAIM_BYTES', 'RECORD_SMALL': 'TQ_RECORD_SMALL',
    'DISSOLVE_MAX': 'TQ_DISSOLVE_MAX', 'CLOCK_MAX': 'TQ_CLOCK_MAX',
    'CLOCK_BACK_MS': 'TQ_CLOCK_BACK_MS', 'LEASE_MAX_MS': 'TQ_LEASE_MAX_MS',
    'RETENTION_S': 'TQ_RETENTION_DEFAULT_S',
    'DEAD_RETENTION_S': 'TQ_DEAD_RETENTION_S', 'ERROR_MAX': 'TQ_ERROR_MAX_BYTES',
    'REAP_MAX': 'TQ_REAP_MAX', 'CRASHES_MAX': 'TQ_CRASHES_MAX',
    'WALK_MAX': 'TQ_LIST_WALK_MAX', 'PAGE_BYTES': 'TQ_LIST_PAGE_BYTES',
    'ROWS_MAX': 'TQ_LIST_MAX'}


def test_limits_are_those_of_the_header(d):
    header = {}
    with open(tmq.ROOT + '/libtaskmq/tq_limits.h') as f:
        for m in re.finditer(r'#define (TQ_\w+) +\(?(\d+(?: \* \d+)*)',
                             f.read()):
            header[m[1]] = math.prod(int(x) for x in m[2].split(' * '))
    seen = set()
    for name in tmq.NAMES:
        text = tmq.text_of(name).decode()
        for m in re.finditer(r'^local ([A-Z_, ]+) = ([\d, \n]+)$', text,
                             re.M):
            pairs = zip(m[1].split(', '), m[2].split(', '))
            for k, v in pairs:
                k = k if k in LIMITS else name + '.' + k
                if k in LIMITS:
                    eq(int(v), header[LIMITS[k]], (name, k))
                    seen.add(k)
    eq(seen, set(LIMITS))
    for name in ('fail', 'reap', 'release', 'cancel', 'recover'):
        text = tmq.text_of(name).decode()
        for value in re.findall(r'retention_s\'\) or (\d+)', text):
            eq(int(value), header['TQ_RETENTION_DEFAULT_S'], name)
    m = re.search(r'local defaults = \{ (.*?) \}', tmq.text_of('fail').decode())
    eq([int(v) for v in m[1].split(', ')], [header[k] for k in (
        'TQ_RETENTION_DEFAULT_S', 'TQ_DEAD_RETENTION_S', 'TQ_DEAD_MAX',
        'TQ_MAX_RETRIES_DEFAULT', 'TQ_DAEMON_RETRIES_DEFAULT',
        'TQ_RETRY_WAIT_MS', 'TQ_RETRY_WAIT_MAX_MS')])
    with open(tmq.ROOT + '/libtaskmq/tq_ops_read.c') as f:
        m = re.search(r'tq_duration_bounds_ms\[\w+\] = \{([^}]*)\}', f.read())
    lua = re.search(r'local BOUNDS = \{([^}]*)\}',
                    tmq.text_of('complete').decode())
    eq([int(v) for v in m[1].split(',')], [int(v) for v in lua[1].split(',')])


def test_embedding(d):
    out = subprocess.run(['sh', tmq.EMBED, tmq.LUA], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    for name in tmq.NAMES:
        m = re.search(r'tq_script_%s = \{\n    "%s",\n    "(\w+)",\n'
                      r'((?:    ".*"\n)+)    , (\d+)\n\};' % (name, name), out)
        text = ''.join(line[5:-1] for line in m.group(2).splitlines())
        text = re.sub(r'\\(.)', lambda x: {'n': '\n'}.get(x.group(1),
                                                          x.group(1)), text)
        eq((m.group(1), int(m.group(3))), (d.s.sha[name], len(text)))
        eq(text.encode(), tmq.text_of(name), name)
        assert '--@' not in text and '\n\n' not in text
    assert ''.join('    &tq_script_%s,\n' % n for n in tmq.NAMES) in out


def test_embedding_refuses(d):
    with tempfile.TemporaryDirectory() as t:
        os.mkdir(t + '/lib')
        for name, other in (('itself', 'itself'), ('one', 'two'),
                            ('two', 'three'), ('three', 'four')):
            with open(t + '/lib/%s.lua' % name, 'w') as f:
                f.write('--@include %s\n' % other)
        for text, why in (('return 1\n', 'expected #!lua'),
                          ('#!lua\nlocal a = [[\n-- x\n]]\n', 'span lines'),
                          ('#!lua\n--[==[\nx\n]==]\n', 'span lines'),
                          ('#!lua\nlocal a = "x\\\n-- y"\n', 'span lines'),
                          ('#!lua\nreturn "\xe9"\n', 'ASCII'),
                          ('#!lua\n--@include nothing\n', 'read'),
                          ('#!lua\n--@include ../x\n', 'bad name'),
                          ('#!lua\n--@include itself\n', 'itself'),
                          ('#!lua\n--@include one\n', 'too deep')):
            with open(t + '/a.lua', 'w', encoding='latin-1') as f:
                f.write(text)
            p = subprocess.run(['sh', tmq.EMBED, t], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=60)
            assert p.returncode != 0 and why.encode() in p.stderr, \
                (text, p.stderr)
            assert b'.lua:' in p.stderr
