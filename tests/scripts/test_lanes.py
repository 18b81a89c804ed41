"""Lanes: neighbours of one kind wait as packs of ids in a list per handler and
priority; the ready set has each lane under its best job's score."""

import tmq
from desk import HOUR, between, eq, ms
from tmq import job

JOBS, MEMBERS = 8, 64       # enqueue's LANE_JOBS and LANE_MEMBERS


def ready(d, mode='p', handler='email'):
    return d.c('ZRANGE', d.k('h:%s:ready:%s' % (handler, mode)), 0, -1)


def lane(d, priority=0, handler='email'):
    return d.c('LRANGE', d.k('h:%s:lane:%03d' % (handler, priority)), 0, -1)


def ids(got):
    return [x[0] for x in got]


def test_few_go_one_by_one(d):
    d.add(*[job()] * (JOBS - 1))
    eq(ready(d), [b'%d' % i for i in range(1, JOBS)])
    d.add(*[job()] * JOBS)
    eq((ready(d)[0], lane(d)), (b'1', [b'8 8 8']))
    eq(ids(d.claim('email', 99)), list(range(1, 16)))
    eq((ready(d), lane(d)), ([], []))


def test_deep_line(d):
    for _ in range(MEMBERS + 3):
        d.add(job())
    eq(len(ready(d)), MEMBERS + 1, 'and the lane')
    eq(lane(d), [b'65 1 65', b'66 1 66', b'67 1 67'])
    eq(d.waiting(), MEMBERS + 3)
    for i in range(1, MEMBERS + 4):
        eq(d.take()[0], i)
    eq((ready(d), lane(d), d.waiting()), ([], [], 0))


def test_a_pack_is_of_neighbours(d):
    a, b, late = job('a'), job('b'), job('a', due=ms() + HOUR)
    d.add(*[a] * 9, *[b] * 9, late, *[a] * 9, job('a', priority=7), *[a] * 9)
    eq(lane(d, handler='a'), [b'1 9 1', b'20 9 19', b'30 9 29'])
    eq(lane(d, handler='b'), [b'10 9 10'])
    eq(ids(d.claim('a', 3, 'b', 3)), [29, 1, 2, 10, 11, 12])
    eq(lane(d, handler='a'), [b'3 7 3', b'20 9 19', b'30 9 29'])
    eq(ids(d.claim('a', 40)), list(range(3, 10)) + list(range(20, 29))
       + list(range(30, 39)))


def test_requests_of_one_turn_share_a_pack(d):
    out = d.s.enqueue(20, *tmq.group([job()]) * 20)
    eq(out, list(range(1, 21)))
    eq(lane(d), [b'1 20 1'])
    out = d.s.enqueue(9, *sum([tmq.group([job()], '0::%d' % i)
                               for i in range(9)], []))
    eq(lane(d), [b'1 20 1', b'21 9 21'])


def test_what_came_back_is_first(d):
    d.add(*[job()] * 20)
    got = d.claim('email', 10)
    d.s.release(*[x for i, t, _, _ in got[3:5] for x in (i, t)])
    eq(ready(d), [b'4', b'5', b'L000'])
    eq(ids(d.claim('email', 3)), [4, 5, 11])
    d.s.retry(1)
    d.add(*[job(priority=3)] * 9, job(priority=4))
    eq(ids(d.claim('email', 12)), [30] + list(range(21, 30)) + [12, 13])


def test_lifo(d):
    d.config('selection', 'lifo')
    d.add(*[job()] * 20)
    eq(ids(d.claim('email', 3)), [20, 19, 18])
    eq(lane(d), [b'1 17 1'])
    d.add(*[job()] * 9)
    d.add(job())
    eq(ids(d.claim('email', 12)), [30] + list(range(29, 20, -1)) + [17, 16])
    got = d.claim('email', 2)
    d.s.release(*[x for i, t, _, _ in got for x in (i, t)])
    eq(ids(d.claim('email', 99)), list(range(15, 0, -1)))
    eq((ready(d, 'l'), lane(d)), ([], []))


def test_numbers_of_a_pack(d):
    """Ids are made text a hundred at a time, up and down."""
    for mode in ('priority', 'lifo'):
        for seq in (0, 90, 99, 199, 9990, 2**53 - 300):
            d.c('FLUSHALL')
            d.config('selection', mode)
            d.c('SET', d.k('seq'), seq)
            d.add(*[job()] * 250)
            want = list(range(seq + 1, seq + 251))
            if mode == 'lifo':
                want.reverse()
            got = ids(d.claim('email', 130)) + ids(d.claim('email', 7))
            got += ids(d.claim('email', 999))
            eq(got, want, (mode, seq))


def test_change_of_selection_with_lanes(d):
    d.add(*[job(priority=1)] * 9, *[job(priority=2)] * 9, job(),
          *[job(priority=1)] * 9)
    d.config('selection', 'fifo')
    d.add(*[job(priority=1)] * 9)
    eq(ids(d.claim('email', 12)), list(range(1, 13)))
    d.config('selection', 'lifo')
    eq(ids(d.claim('email', 10)), list(range(37, 27, -1)))
    d.add(*[job(priority=2)] * 9)
    d.config('selection', 'priority')
    eq(ids(d.claim('email', 99)), list(range(13, 19)) + list(range(38, 47))
       + list(range(20, 28)) + [19])
    eq([ready(d, m) for m in 'pfl'], [[], [], []])


def test_selection_back_before_anything_moved(d):
    d.config('selection', 'lifo')
    d.add(*[job()] * 9)
    d.add(job())
    d.config('selection', 'fifo')
    d.add(*[job()] * 9)
    d.config('selection', 'lifo')
    d.claim('none', 1)
    eq(ids(d.claim('email', 12)), list(range(19, 7, -1)))


def test_evicted_before_they_are_moved(d):
    d.config('selection', 'fifo')
    d.add(*[job()] * 5)
    d.c('DEL', d.k('j:2'), d.k('j:3'))
    d.config('selection', 'priority')
    eq(ids(d.claim('email', 9)), [1, 4, 5])
    eq((d.waiting(), d.s.probe()[0]), (0, 0))


def test_cancelled_and_deleted_in_a_lane(d):
    d.add(*[job()] * 20)
    eq([d.s.cancel(i, 0) for i in (1, 2, 9)], [0] * 3)
    eq([d.s.cancel(i, 0) for i in (1, 2, 9)], [1] * 3)
    eq([d.s.delete(i) for i in (3, 9, 20)], [0] * 3)
    eq((d.waiting(), d.stat('stale:email')), (15, 5))
    eq(d.s.stats()[24], 15)
    eq(ids(d.claim('email', 3)), [4, 5, 6], 'as many as asked for')
    eq(d.stat('stale:email'), 2)
    eq(ids(d.claim('email', 99)), [7, 8] + list(range(10, 20)))
    eq((d.waiting(), d.stat('stale:email'), d.running()), (0, 0, 15))
    eq((ready(d), lane(d), d.state(1)), ([], [], 'C'))


def test_all_of_a_lane_cancelled(d):
    d.add(*[job()] * 2500)
    d.add(*[job()] * 9)
    for i in range(1, 2501):
        d.s.cancel(i, 0)
    eq(d.waiting(), 9)
    calls = 1
    got = d.claim('email', 4)
    while not got:
        assert d.marked()
        got = d.claim('email', 4)
        calls += 1
    eq((ids(got), calls), ([2501, 2502, 2503, 2504], 1))
    eq(d.stat('stale:email'), 0)


def test_looks_are_bounded(d):
    d.add(*[job()] * 9000)
    d.add(job())
    for at in range(1, 9001, 1000):
        d.c('DEL', *[d.k('j:%d' % i) for i in range(at, at + 1000)])
    d.unmark()
    eq((d.claim('email', 1), d.marked()), ([], True))
    eq(ids(d.claim('email', 1)), [9001])
    eq(d.waiting(), 0, 'evicted ones do not count')


def test_looks_are_cheap(d):
    """What waits no more costs no round of its own."""
    handlers = ['h%d' % i for i in range(20)]
    wants = sum([[h, 4] for h in handlers], [])
    for h in handlers:
        first = d.add(*[job(h)] * 300)
        for i in range(first, first + 290):
            d.s.cancel(i, 0) if i % 2 else d.s.delete(i)
    got = []
    between(1, d.commands(lambda: got.extend(d.claim(*wants, total=1)),
                          'mget'), 2)
    eq((ids(got), d.stat('stale:h0')), ([291], 0))
    got = d.claim(*wants, total=5)
    eq(ids(got), [292, 293, 294, 295, 591])


def test_looks_at_cancelled_are_bounded(d):
    d.add(*[job()] * 5500)
    for i in range(1, 5201):
        d.s.cancel(i, 0)
    d.unmark()
    between(100, d.commands(lambda: eq(d.claim('email', 1), [])), 300)
    between(100, d.stat('stale:email'), 200)
    eq(d.waiting(), 300)
    assert d.marked()
    eq(ids(d.claim('email', 1)), [5201])


def test_evicted_members_are_not_looked_at_one_by_one(d):
    for i in range(1, 41):
        d.add(job('h%d' % (i % 4), payload=b'x'))
    d.c('DEL', *[d.k('j:%d' % i) for i in range(1, 37)])
    wants = sum([['h%d' % i, 4] for i in range(4)], [])
    got = []
    between(1, d.commands(lambda: got.extend(d.claim(*wants, total=1)),
                          'mget'), 2)
    eq(ids(got), [37])
    eq(ids(d.claim(*wants)), [40, 38, 39])
    eq([d.waiting('h%d' % i) for i in range(4)], [0] * 4)
    d.add(job('a'), job('a'), job('b'))
    d.c('DEL', d.k('j:41'))
    eq(ids(d.claim('a', 9, 'b', 9, total=1)), [42])


def test_cancelled_of_several_handlers(d):
    for h in 'abc':
        d.add(*[job(h, priority='abc'.index(h))] * 10)
    for i in (1, 2, 11, 12, 13, 21, 22):
        d.s.cancel(i, 0)
    got = d.claim('a', 4, 'b', 4, 'c', 4, total=6)
    eq(sorted(ids(got)), [14, 15, 23, 24, 25, 26])
    eq([d.waiting(h) for h in 'abc'], [8, 5, 4])
    eq(sorted(ids(d.claim('a', 99, 'b', 99, 'c', 99))),
       list(range(3, 11)) + list(range(16, 21)) + list(range(27, 31)))


def test_too_much_for_a_reply(d):
    """What goes back is a member of its own; what was cancelled stays out."""
    d.add(*[job(payload=b'x' * 167000)] * 150)
    eq((d.s.cancel(120, 0), d.s.delete(130)), (0, 0))
    eq(ids(d.claim('email', 150)), list(range(1, 101)))
    eq((len(ready(d)), lane(d), d.waiting()), (48, [], 48))
    eq(d.stat('stale:email'), 0)
    assert d.marked()
    got = ids(d.claim('email', 99))
    eq(got, [i for i in range(101, 151) if i not in (120, 130)])


def test_best_of_all_with_lanes(d):
    """More slots than jobs asked for: handlers' lanes, line by line."""
    for _ in range(3):
        for h in 'abc':
            d.add(*[job(h)] * 10)
    got = ids(d.claim('a', 50, 'b', 50, 'c', 50, total=25))
    eq(got, list(range(1, 26)))
    got = ids(d.claim('a', 3, 'b', 50, 'c', 50, total=30))
    eq(got, list(range(26, 34)) + list(range(41, 61)) + [71, 72])


def test_many_priorities_and_singles(d):
    """Lanes of all priorities, and members between them."""
    want = []
    for priority in (0, 50, 100):
        first = d.add(*[job(priority=priority)] * 30)
        want = list(range(first, first + 30)) + want
    got = d.claim('email', 7)
    eq(ids(got), want[:7])
    d.s.release(*[x for i, t, _, _ in got for x in (i, t)])
    eq(ids(d.claim('email', 50)), want[:50])
    eq(ids(d.claim('email', 50)), want[50:])


def test_oldest_in_a_lane(d):
    for mode in ('priority', 'fifo', 'lifo'):
        d.c('FLUSHALL')
        d.config('selection', mode)
        d.add(*[job()] * 20)
        for i in range(1, 21):
            d.c('SETRANGE', d.k('j:%d' % i), 13, '%013d' % (1000 + i))
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
            d.add(*[job(name)] * JOBS, *[job(name, priority=1)] * JOBS)
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


def test_oldest_behind_cancelled_ones(d):
    d.add(*[job()] * 150)
    for i in range(1, 131):
        d.s.cancel(i, 0)
    for i in range(1, 151):
        d.c('SETRANGE', d.k('j:%d' % i), 13, '%013d' % (1000 + i))
    for mode in ('priority', 'fifo', 'lifo'):
        d.config('selection', mode)
        d.claim('none', 1)
        eq(d.s.stats()[31:38], [b'email', 150, 20, 0, 0, 0, 1101], mode)
