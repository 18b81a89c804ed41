"""What is told of jobs and queues: get, logs, list, stats, probe."""

import tmq
from driver import HOUR, V, W, between, eq, error_of, ms
from tmq import job


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


def test_stats(d):
    d.add(job('a', priority=1), job('a', priority=9), job('a', priority=9),
          job('b', due=ms() + HOUR))
    for i in range(1, 5):
        d.c('SETRANGE', d.k('j:%d' % i), tmq.at('JOB_CREATED'),
            '%013d' % (1000 + i))
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
        eq(queues(d)[1][b'a'][5], oldest, mode)


def test_probe(d):
    d.add(job('a'), job('b'), job('b'))
    d.extend()
    eq(d.s.probe(), [3, 1, 1, -1, -1])
    d.config('selection', 'lifo')
    d.add(job('a'))
    eq(d.s.probe()[:3], [4, 1, 1])
    d.c('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    eq(d.s.probe()[2], 0)
    d.c('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    d.c('ACL', 'SETUSER', 'default', '-info')
    eq(d.s.probe()[2], -1)
    d.c('ACL', 'SETUSER', 'default', '+@all')


def test_oldest_in_a_lane(d):
    for mode in ('priority', 'fifo', 'lifo'):
        d.c('FLUSHALL')
        d.config('selection', mode)
        d.add(*[job()] * 20)
        for i in range(1, 21):
            d.c('SETRANGE', d.k('j:%d' % i), tmq.at('JOB_CREATED'),
            '%013d' % (1000 + i))
        d.s.cancel(1, 0), d.s.delete(2)
        x = d.s.stats()
        eq(x[31:38], [b'email', 20, 18, 0, 0, 0, 1003], mode)


def test_oldest_of_many_handlers(d):
    """Each has one, however many there are."""
    for mode in ('priority', 'fifo', 'lifo'):
        d.c('FLUSHALL')
        d.config('selection', mode)
        for h in range(700):
            name = 'h%d' % h
            d.add(*[job(name)] * 8, *[job(name, priority=1)] * 8)
        x = d.s.stats()
        eq((x[29], [x[31 + 7 * q] for q in range(700)
                    if x[37 + 7 * q] == 0]), (700, []), mode)


def test_oldest_among_many_that_are_gone(d):
    """Looks are bounded; then the next job has to do."""
    for mode in ('priority', 'fifo', 'lifo'):
        d.c('FLUSHALL')
        d.config('selection', mode)
        for h in range(3):
            first = d.add(*sum([[job('h%d' % h, priority=p)] * 102
                                for p in range(101)], []))
            for p in range(101):
                at = first + 102 * p
                d.c('DEL', *[d.k('j:%d' % i) for i in range(at, at + 101)])
        x = []
        between(300, d.commands(lambda: x.extend(d.s.stats())), 9000)
        eq(x[29], 3)


def test_looks_for_the_oldest_are_bounded(d):
    """Also within one lane."""
    for at in range(0, 4000, 1000):
        d.add(*[job()] * 1000)
        d.c('DEL', *[d.k('j:%d' % i) for i in range(at + 1, at + 1001)])
    d.add(job())
    between(2000, d.commands(lambda: eq(d.s.stats()[37], 0)), 4500)


def test_oldest_behind_cancelled_ones(d):
    d.add(*[job()] * 150)
    for i in range(1, 131):
        d.s.cancel(i, 0)
    for i in range(1, 151):
        d.c('SETRANGE', d.k('j:%d' % i), tmq.at('JOB_CREATED'),
            '%013d' % (1000 + i))
    for mode in ('priority', 'fifo', 'lifo'):
        d.config('selection', mode)
        eq(d.s.stats()[31:38], [b'email', 150, 20, 0, 0, 0, 1131], mode)



def test_oldest_however_many_wait(d):
    for mode in ('priority', 'fifo', 'lifo'):
        for n in (1, 63, 102, 250):
            for lanes in (0, 1, 3):
                d.c('FLUSHALL')
                d.config('selection', mode)
                more = sum([[job('a', priority=40 + k)] * 8
                            for k in range(lanes)], [])
                d.add(*more, *[job('a', priority=i % 4) for i in range(n)])
                got = d.claim('a', n + 8 * lanes)
                # back as packs of their own
                d.s.release(*sum([[i, t] for i, t, _, _ in got], []))
                d.add(*more, job('a'))
                d.c('SETRANGE', d.k('j:1'), tmq.at('JOB_CREATED'),
                    '%013d' % 1001)
                x, q = queues(d)
                what, total = (mode, n, lanes), n + 16 * lanes + 1
                eq(q[b'a'], [total, total, 0, 0, 0, 1001], what)
                eq(d.s.probe()[0], total, what)
