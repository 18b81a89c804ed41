"""Large records: what one claim takes, to the byte."""

from desk import between, eq
from tmq import job

PERIODIC = dict(options=' i=100')


def test_claim_is_bounded_by_bytes(d):
    """What does not fit into a reply is claimed next, from its own line."""
    big = b'{"x":"%s"}' % (b'x' * 200000)
    for handler, n in (('a', 70), ('b', 60), ('c', 10)):
        for i in range(0, n, 10):
            d.add(*[job(handler, big)] * 10)
    got = d.claim('a', 100, 'b', 100, 'c', 100)
    eq([i for i, _, _, _ in got], list(range(1, 84)))
    eq([d.waiting(h) for h in 'abc'], [0, 47, 10])
    eq([d.running(h) for h in 'abc'], [70, 13, 0])
    eq(d.c('EXISTS', d.k('h:b:wake'), d.k('h:c:wake')), 2)
    eq([i for i, _, _, _ in d.claim('c', 100)], list(range(131, 141)))
    eq([i for i, _, _, _ in d.claim('b', 100)], list(range(84, 131)))


CLAIM_BYTES = 16 * 1024 * 1024


def sized(n, handler='email', **more):
    """A job whose record has n bytes."""
    empty = job(handler, b'', **more)
    return job(handler, b'x' * (n - 26 - len(empty[1])), **more)


def claim_all(d, sizes, handler='email', at_once=1000):
    """Claims until there is nothing; each claim within the bound, or of one
    job that is larger, and none smaller than it need be. The ids, call by
    call."""
    calls, left = [], list(sizes)
    while left:
        got = [(i, len(r)) for i, _, _, r in d.claim(handler, at_once)]
        eq([n for _, n in got], left[:len(got)], 'in their order')
        total = sum(n for _, n in got)
        assert total <= CLAIM_BYTES or len(got) == 1, (total, len(got))
        left = left[len(got):]
        assert not left or len(got) == at_once \
            or total + left[0] > CLAIM_BYTES, (total, left[0])
        assert got, left
        eq(d.waiting(handler), len(left))
        calls.append([i for i, _ in got])
    return calls


def test_claim_is_bounded_to_the_byte(d):
    mib = 1024 * 1024
    for sizes, calls in (
            ([mib] * 16, [16]), ([mib] * 15 + [mib + 1], [15, 1]),
            ([mib] * 16 + [100], [16, 1]),
            ([16 * mib, 60], [1, 1]), ([16 * mib - 60, 60], [2]),
            ([60, 16 * mib - 60], [2]), ([60, 16 * mib - 59], [1, 1]),
            ([60, 20 * mib, 60, 60], [1, 1, 2]),
            ([8 * mib] * 5, [2, 2, 1]), ([30 * mib] * 2, [1, 1]),
            ([60] * 120 + [mib] * 40, [135, 16, 9]),
            ([160000] * 130, [104, 26]), ([20481] * 900, [819, 81])):
        for mode in ('priority', 'lifo'):
            d.c('FLUSHALL')
            d.config('selection', mode)
            # the sizes as they are to come
            for n in sizes if mode == 'priority' else reversed(sizes):
                d.add(sized(n))
            eq([len(c) for c in claim_all(d, sizes)], calls, sizes[:3])


def test_large_claims_of_every_kind(d):
    """Lanes, members, retried ones, several handlers."""
    mib = 1024 * 1024
    for _ in range(12):
        d.add(*[sized(mib)] * 10)
    eq(len(claim_all(d, [mib] * 120)), 8)
    d.c('FLUSHALL')
    for _ in range(20):
        d.add(sized(3 * mib))
    got = d.claim('email', 5)
    d.s.fail(0, *sum([[i, t, 1, 'e' * 16384, '', -1] for i, t, _, _ in got],
                     []))
    d.expire('scheduled', *[x[0] for x in got])
    eq(sum(len(c) for c in claim_all(d, [3 * mib] * 20)), 20)
    d.c('FLUSHALL')
    for h in 'abc':
        d.add(*[sized(2 * mib, h)] * 5)
    seen = []
    while len(seen) < 15:
        got = d.claim('a', 9, 'b', 9, 'c', 9)
        assert 0 < sum(len(r) for _, _, _, r in got) <= CLAIM_BYTES
        seen += [i for i, _, _, _ in got]
    eq(seen, list(range(1, 16)))


def test_large_results_of_periodic_jobs(d):
    """A claim reads the last run, too."""
    d.add(*[job(**PERIODIC) for _ in range(40)])
    got = d.claim('email', 40)
    result = '"' + 'x' * 1048000 + '"'
    for i, t, _, _ in got:
        d.complete(i, t, result)
    d.expire('scheduled', *[x[0] for x in got])
    eq([len(d.claim('email', 40)) for _ in range(4)], [16, 16, 8, 0])


def test_large_records_of_an_older_version(d):
    """It has not said that there are any: the first claim shows it."""
    for _ in range(40):
        d.add(sized(8 * 1024 * 1024))
    d.c('HDEL', d.k('config'), 'largest')
    between(2, len(d.claim('email', 10)), 10)
    eq([len(d.claim('email', 10)) for _ in range(3)], [2, 2, 2])
    eq(d.s.config_get(), [])
