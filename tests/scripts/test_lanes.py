"""Lanes: where jobs wait. Those of one handler and one priority are a list of
packs; which lane a claim takes from, and from which end, is decided by it."""

import tmq
from driver import HOUR, W, between, eq, ms
from tmq import job

MODES = 'priority', 'fifo', 'lifo'


def ids(got):
    return [x[0] for x in got]


def release(d, got):
    eq(d.s.release(*sum([[i, t] for i, t, _, _ in got], [])), [0] * len(got))


def test_neighbours_are_one_pack(d):
    d.add(job())
    d.add(*[job()] * 5)
    eq(d.lane(), ['1', '2 5'])
    eq(ids(d.claim('email', 3)), [1, 2, 3])
    eq(d.lane(), ['4 3'])
    eq(ids(d.claim('email', 2)), [4, 5])
    eq((d.lane(), d.lanes()), (['6'], [0]))
    eq(ids(d.claim('email', 9)), [6])
    eq((d.lane(), d.lanes(), d.waiting()), ([], [], 0))


def test_a_pack_is_of_neighbours(d):
    a, b, late = job('a'), job('b'), job('a', due=ms() + HOUR)
    d.add(*[a] * 9, *[b] * 9, late, *[a] * 9, job('a', priority=7), *[a] * 9)
    eq(d.lane(0, 'a'), ['1 9', '20 9', '30 9'])
    eq((d.lane(0, 'b'), d.lane(7, 'a'), d.lanes('a')), (['10 9'], ['29'],
                                                        [7, 0]))
    eq(ids(d.claim('a', 3, 'b', 3)), [29, 1, 2, 10, 11, 12])
    eq(d.lane(0, 'a'), ['3 7', '20 9', '30 9'])
    eq(ids(d.claim('a', 40)), list(range(3, 10)) + list(range(20, 29))
       + list(range(30, 39)))


def test_options_do_not_part_neighbours(d):
    """What a lane says is where they wait."""
    d.add(job(options=' t=5'), job(), job(retries='003'), job(payload=b'x'))
    eq(d.lane(), ['1 4'])


def test_requests_of_one_turn_share_a_pack(d):
    eq(d.s.enqueue(*tmq.group([job()]) * 20), list(range(1, 21)))
    eq(d.lane(), ['1 20'])
    out = d.s.enqueue(*sum([tmq.group([job()], '0::%d' % (i % 8))
                            for i in range(9)], []))
    eq(out, list(range(21, 29)) + [21])
    eq(d.lane(), ['1 20', '21 8'])


def test_what_was_given_back_is_first(d):
    """What one call gave back in its own order, before what was given back
    earlier; and what comes again is last, before the next new one."""
    d.add(*[job()] * 20)
    got = d.claim('email', 10)
    t = got[0][1]
    eq(d.s.release(5, t, 4, t), [0, 0])
    eq(d.lane(), ['4 1 4', '5 1 5', '11 10'])
    for i in (2, 7, 3):
        eq(d.s.release(i, t), [0])
    eq(d.lane(), [f'{i} 1 {i}' for i in (3, 7, 2, 4, 5)] + ['11 10'])
    eq(ids(d.claim('email', 6)), [3, 7, 2, 4, 5, 11])
    d.fail(1, t, retryable=0)
    eq(d.s.retry(1), 0)
    d.add(job())
    eq(d.lane(), ['12 9', '1 1 20.5', '21'])
    d.add(*[job(priority=3)] * 9, job(priority=4))
    eq(ids(d.claim('email', 22)), [31] + list(range(22, 31))
       + list(range(12, 21)) + [1, 21])


def test_what_was_given_back_comes_next_in_every_mode(d):
    for mode in MODES:
        d.c('FLUSHALL')
        d.config('selection', mode)
        d.add(*[job('ab'[i % 2], priority=i % 3) for i in range(60)])
        for wants in (('a', 7), ('a', 5, 'b', 9), ('b', 40, 'a', 40)):
            got = d.claim(*wants)
            release(d, got)
            again = d.claim(*wants)
            eq(ids(again), ids(got), mode)
            for i, t, _, _ in reversed(again):
                d.s.release(i, t)


def test_places_of_what_was_given_back(d):
    """They do not go up along a lane: its first one says which lane is next."""
    for mode, want in (('fifo', [3, 4, 5, 1, 7, 8, 2, 6]),
                       ('lifo', [8, 5, 4, 6, 3, 7, 2, 1])):
        for most in (1, 3, 8):
            d.c('FLUSHALL')
            d.config('selection', mode)
            d.add(*[job(priority=i % 2) for i in range(1, 9)])
            t = d.claim('email', 8)[0][1]
            for i, j in ((2, 6), (1, 7), (4, 8), (3, 5)):
                eq(d.s.release(i, t, j, t), [0, 0])
            eq(sum([ids(d.claim('email', most)) for _ in range(8)], []), want,
               (mode, most))


def test_lifo(d):
    d.config('selection', 'lifo')
    d.add(*[job()] * 20)
    eq(ids(d.claim('email', 3)), [20, 19, 18])
    eq(d.lane(), ['1 17'])
    d.add(*[job()] * 9)
    d.add(job())
    got = d.claim('email', 12)
    eq(ids(got), [30] + list(range(29, 20, -1)) + [17, 16])
    release(d, got[-2:])
    eq(d.lane(), ['1 15', '16 1 16', '17 1 17'])
    eq(ids(d.claim('email', 99)), list(range(17, 0, -1)))
    eq((d.lanes(), d.lane()), ([], []))


def test_numbers_of_a_pack(d):
    """To 2^53, up and down."""
    for mode in ('priority', 'lifo'):
        for seq in (0, 90, 99, 199, 9990, 10**14 - 30, 2**53 - 900):
            d.c('FLUSHALL')
            d.c('SET', d.k('seq'), seq)
            d.config('selection', mode)
            d.add(*[job()] * 250)
            want = list(range(seq + 1, seq + 251))
            if mode == 'lifo':
                want.reverse()
            got = ids(d.claim('email', 130)) + ids(d.claim('email', 7))
            got += ids(d.claim('email', 999))
            eq(got, want, (mode, seq))


def test_selection_is_of_the_claim(d):
    """A change of it moves nothing and holds from the next claim on."""
    d.add(*[job(priority=1)] * 9, *[job(priority=2)] * 9, job(),
          *[job(priority=1)] * 9)
    before = [d.lane(p) for p in range(3)]
    d.config('selection', 'fifo')
    d.add(*[job(priority=1)] * 9)
    eq(ids(d.claim('email', 12)), list(range(1, 13)))
    d.config('selection', 'lifo')
    eq(ids(d.claim('email', 10)), list(range(37, 27, -1)))
    d.add(*[job(priority=2)] * 9)
    d.config('selection', 'priority')
    eq([d.lane(p) for p in (0, 1)], [before[0], ['20 8']])
    eq(ids(d.claim('email', 99)), list(range(13, 19)) + list(range(38, 47))
       + list(range(20, 28)) + [19])
    eq(d.lanes(), [])


def test_the_next_one_after_a_cancelled_one(d):
    """Whose place says nothing of that of the one behind it."""
    d.config('selection', 'fifo')
    for priority in (1, 1, 2):
        d.add(job(priority=priority))
    got = dict((i, t) for i, t, _, _ in d.claim('email', 3))
    for i in (1, 3, 2):
        eq(d.s.release(i, got[i]), [0])
    eq(([p.split()[0] for p in d.lane(1)], d.s.cancel(2, 0)), (['2', '1'], 0))
    eq(ids(d.claim('email', 1)), [1])


def test_scores_of_lanes(d):
    """Which lane is next, without a look at any. A claim mends those it reads;
    a sweep all, where the setting was set otherwise than by `config set`."""
    def scores():
        flat = d.c('ZRANGE', d.k('h:email:ready'), 0, -1, 'WITHSCORES')
        return dict(zip((p.decode() for p in flat[::2]),
                        (float(n) for n in flat[1::2])))

    d.add(*[job(priority=1)] * 3, *[job(priority=2)] * 3)
    eq(scores(), {'001': 99, '002': 98})
    d.c('HSET', d.k('config'), 'selection', 'lifo')
    eq((ids(d.claim('email', 1)), d.s.sweep()), ([4], [0, 0]))
    eq(scores(), {'001': 3, '002': 6})
    eq(ids(d.claim('email', 1)), [6])
    eq(scores(), {'001': 3, '002': 5})
    d.add(job(priority=1))
    eq((scores(), d.c('GET', d.k('seq'))), ({'001': 7, '002': 5}, b'7 lifo'))
    eq(d.s.list(0, '', '', 1)[1], b'7')
    d.config('selection', 'fifo')
    eq(scores(), {'001': -1, '002': -5})
    d.add(job(priority=1), job(priority=3))
    eq(scores(), {'001': -1, '002': -5, '003': -9})
    got = d.claim('email', 1)
    eq((ids(got), scores()['001']), ([1], -2))
    release(d, got)
    eq(scores()['001'], -1)
    # a score that is too high costs a look, no order
    d.c('ZADD', d.k('h:email:ready'), 0, '002', 0, '003')
    eq(ids(d.claim('email', 3)), [1, 2, 3])
    eq(scores(), {'001': -7, '002': -5, '003': -9})
    eq(d.config('selection', '', '-'), 0)
    eq(scores(), {'001': 99, '002': 98, '003': 97})
    eq(d.c('GET', d.k('seq')), b'9')


def test_best_of_all_handlers(d):
    """More slots than jobs asked for: from lane to lane, by place."""
    d.add(job('a', priority=9), job('a', priority=1), job('b', priority=5),
          job('b', priority=5), job('c', priority=0))
    eq(ids(d.claim('a', 2, 'b', 2, 'c', 2, total=4)), [1, 3, 4, 2])
    assert d.marked('c')
    eq(d.lanes('a'), [])
    d.c('FLUSHALL')
    for _ in range(3):
        for h in 'abc':
            d.add(*[job(h)] * 10)
    eq(ids(d.claim('a', 50, 'b', 50, 'c', 50, total=25)), list(range(1, 26)))
    eq(ids(d.claim('a', 3, 'b', 50, 'c', 50, total=30)),
       list(range(26, 34)) + list(range(41, 61)) + [71, 72])


def test_lanes_of_one_priority_take_turns(d):
    """Also where a lane of a lower one was looked at before them."""
    d.add(job('low'), *[job(h, priority=5) for h in 'ab' * 4])
    for wants in (('low', 1, 'a', 9, 'b', 9), ('a', 9, 'low', 1, 'b', 9),
                  ('b', 9, 'a', 9, 'low', 1)):
        got = d.claim(*wants)
        eq(ids(got), list(range(2, 10)) + [1], wants)
        release(d, got)


def test_every_other_job_anothers(d):
    d.add(*[job('h%d' % (i % 7)) for i in range(700)])
    wants = sum([['h%d' % i, 100] for i in range(7)], [])
    eq(ids(d.claim(*wants, total=650)), list(range(1, 651)))


def test_free_slots_limit(d):
    d.add(*[job('a') for _ in range(5)], *[job('b') for _ in range(5)])
    eq(ids(d.claim('a', 2, 'b', 9, total=6)), [1, 2, 6, 7, 8, 9])


def test_most_of_one_claim(d):
    d.add(*[job()] * 1500)
    eq(ids(d.claim('email', 2000, total=2000)), list(range(1, 1001)))


def test_many_priorities(d):
    want = []
    for priority in (0, 50, 100):
        first = d.add(*[job(priority=priority)] * 30)
        want = list(range(first, first + 30)) + want
    got = d.claim('email', 7)
    eq(ids(got), want[:7])
    release(d, got)
    eq(ids(d.claim('email', 50)), want[:50])
    eq(ids(d.claim('email', 50)), want[50:])


def test_packs_by_the_hundred(d):
    """More than are read at once, of one job each."""
    d.add(*[job('ab'[i % 2]) for i in range(1000)])
    for mode in MODES:
        d.config('selection', mode)
        got = ids(d.claim('a', 150))
        eq(len(d.lane(0, 'a')), 350)
        step = -1 if mode == 'lifo' else 1
        eq(got, list(range(got[0], got[0] + step * 300, 2 * step)), mode)
        d.c('FLUSHALL')
        d.add(*[job('ab'[i % 2]) for i in range(1000)])


def test_cancelled_and_deleted_in_a_lane(d):
    d.add(*[job()] * 20)
    eq([d.s.cancel(i, 0) for i in (1, 2, 9)], [0] * 3)
    eq([d.s.cancel(i, 0) for i in (1, 2, 9)], [1] * 3)
    eq([d.s.delete(i) for i in (3, 9, 20)], [0] * 3)
    eq((d.waiting(), d.s.stats()[24], d.lane()), (15, 15, ['1 20']))
    eq(ids(d.claim('email', 3)), [4, 5, 6], 'as many as asked for')
    eq(d.lane(), ['7 14'], 'what waits stays one pack')
    eq(ids(d.claim('email', 99)), [7, 8] + list(range(10, 20)))
    eq((d.waiting(), d.running(), d.lanes(), d.state(1)), (0, 15, [], 'C'))


def test_cancelled_after_it_was_given_back(d):
    """Its run says so, as the run of one that never ran does."""
    d.add(*[job()] * 3)
    release(d, d.claim('email', 3))
    eq((d.s.cancel(1, 0), d.s.delete(2)), (0, 0))
    eq(ids(d.claim('email', 3)), [3])
    eq((d.waiting(), d.running(), d.lanes()), (0, 1, []))


def test_all_of_a_lane_cancelled(d):
    d.add(*[job()] * 2500)
    d.add(*[job()] * 9)
    for i in range(1, 2501):
        d.s.cancel(i, 0)
    eq(d.waiting(), 9)
    eq(ids(d.claim('email', 4)), [2501, 2502, 2503, 2504])
    eq(d.lane(), ['2505 5'])


def test_only_cancelled_ones(d):
    d.add(*[job()] * 3)
    for i in (1, 2, 3):
        d.s.cancel(i, 0)
    eq((d.claim('email', 9), d.lanes(), d.waiting()), ([], [], 0))
    d.unmark()
    d.add(job())
    assert d.marked(), 'the lane was empty'


def test_looks_are_bounded(d):
    most = tmq.LIMITS['LOOK_MAX']
    d.add(*[job()] * 4000)
    d.add(*[job()] * 5000)
    for i in range(1, most + 501):
        d.s.cancel(i, 0)
    d.unmark()
    between(50, d.commands(lambda: eq(d.claim('email', 1), [])), 300)
    assert d.marked()
    eq(d.waiting(), 8500 - most)
    eq(ids(d.claim('email', 1)), [most + 501])


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
                          'mget'), 15)
    eq(ids(got), [291])
    got = d.claim(*wants, total=5)
    eq(ids(got), [292, 293, 294, 295, 591])
    eq([d.waiting(h) for h in handlers[:3]], [5, 9, 10])


def test_what_was_selected_ahead_goes_back(d):
    """To its place, in every mode; also what has run."""
    for mode in MODES:
        for ran in (0, 1):
            d.c('FLUSHALL')
            d.config('selection', mode)
            d.add(*[job('ab'[i % 2]) for i in range(40)])
            if ran:
                d.config('selection', 'priority')
                release(d, d.claim('a', 99, 'b', 99))
                d.config('selection', mode)
            for i in list(range(1, 8)) + list(range(34, 41)):
                d.s.cancel(i, 0) if i % 3 else d.s.delete(i)
            want, got = list(range(8, 34)), []
            if mode == 'lifo':
                want.reverse()
            while len(got) < 26:
                some = ids(d.claim('a', 2, 'b', 2, total=2))
                eq(len(some), 2)
                got += some
            eq(got, want, (mode, ran))
            eq((d.claim('a', 1, 'b', 1), d.lanes('a'), d.lanes('b')),
               ([], [], []))


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


def test_evicted(d):
    """A record that is gone is dropped; one without its run begins anew."""
    d.add(*[job() for _ in range(4)])
    release(d, d.claim('email', 2))
    d.c('DEL', d.k('j:1'), d.k('j:3'), d.k('r:2'))
    eq([x[::2] for x in d.claim('email', 9)], [(2, 0), (4, 0)])
    eq((d.lanes(), d.leased()), ([], 2))


def test_a_lane_that_is_gone(d):
    """A worker is not woken for it over and over."""
    d.add(job())
    d.c('DEL', d.k('h:email:lane:000'))
    d.unmark()
    eq((d.claim('email', 5), d.marked()), ([], False))
    eq(d.card('h:email:ready'), 0)


def test_promotion_order(d):
    """By their times, behind the newest job."""
    far = ms() + HOUR
    d.add(job(due=far + 3), job(due=far + 1), job('b', due=far + 2),
          job(priority=5, due=far + 9), job())
    d.unmark(), d.unmark('b')
    d.expire('scheduled', 2, 3, 1, 4)
    got = d.claim('email', 9)
    eq(ids(got), [4, 5, 2, 1])
    assert d.marked('b'), 'another handler\'s job came due'
    eq((d.stat('sch:email'), d.stat('sch:b')), (0, 0))
    eq(d.lane(0, 'b'), ['3 1 5.5'])
    d.add(job('c'))
    d.config('selection', 'fifo')
    eq(ids(d.claim('c', 1, 'b', 1)), [3, 6])


def test_promotion_is_bounded(d):
    far = ms() + HOUR
    d.add(*[job(due=far) for _ in range(2500)])
    d.expire('scheduled', *range(1, 2501))
    for left in (1500, 500, 0, 0):
        d.claim('email', 1)
        eq(d.card('scheduled'), left)
        assert (d.head[1] > 0) == (left > 0), 'due again at once'


def test_woken(d):
    """Only who may have taken a marker puts it back, also without slots."""
    for total in (0, 1, 5):
        for woken in (0, 1):
            d.c('FLUSHALL')
            d.add(job('a'), job('b'), job('b'), job('b'))
            d.unmark('a'), d.unmark('b')
            got = d.claim('a', 0, 'b', 2, 'c', 0, total=total, woken=woken)
            eq(ids(got), [2, 3][:total])
            eq([d.marked(h) for h in 'abc'], [woken, woken, False])


def test_a_sweep_heals(d):
    """What a script leaves that a missing right stopped on its way: a lane that
    is not among those to look at, and counts of jobs that are not there."""
    for mode in MODES:
        d.config('selection', mode)
        first = d.add(job(), job(priority=5))
        d.c('DEL', d.k('h:email:ready'))
        eq(d.claim('email', 2), [])
        d.s.sweep()
        got = d.claim('email', 2)
        eq(sorted(ids(got)), [first, first + 1])
        eq([d.complete(i, t) for i, t, _, _ in got], [0, 0])
        for name, n in (('back:', 7), ('sch:', -2), ('left:', 3),
                        ('dead:', -1)):
            d.c('HINCRBY', d.k('stats'), name + 'email', n)
        d.s.sweep()
        eq((d.waiting(), d.running(), d.stat('sch:email'),
            d.stat('dead:email')), (0, 0, 0, 0), mode)
    # of jobs that are there nothing is changed
    d.add(job(), job('b', due=ms() + HOUR))
    d.claim('email', 1)
    d.add(job())
    before = d.c('HGETALL', d.k('stats'))
    d.s.sweep()
    eq(d.c('HGETALL', d.k('stats')), before)
    eq((d.waiting(), d.running(), d.stat('sch:b')), (1, 1, 1))


def test_a_sweep_passes_over_what_it_cannot_heal(d):
    """A key of another type holds up neither other handlers, nor another
    selection, nor the rest of the sweep."""
    d.add(job('a')), d.add(job('b')), d.add(job('c'))
    for key in ('h:a:ready', 'h:b:ready', 'h:b:wake', 'h:c:ready'):
        d.c('DEL', d.k(key))
    for key in ('h:a:ready', 'h:b:wake', 'h:c:lane:007'):
        d.c('SET', d.k(key), 'of others')
    d.extend()
    d.c('HSET', d.k('workers'), W, '%013d old {}' % (ms() - 60001))
    d.c('SET', d.k('clock'), ms() + HOUR)
    eq(d.s.sweep(), [0, 0])
    eq(ids(d.claim('b', 1, 'c', 1)), [2, 3])
    eq(d.c('EXISTS', d.k('workers')), 0)
    between(ms() - 9000, int(d.c('GET', d.k('clock'))), ms())
    for mode in MODES[1:] + MODES:
        d.config('selection', mode)
        eq(d.s.sweep(), [0, 0])
