"""complete: its arguments, and many jobs in one call."""

from driver import V, W, eq, error_of
from tmq import LIMITS, job


def test_complete_arguments(d):
    d.add(*[job() for _ in range(9)])
    t = d.claim('email', 9)[0][1]
    wrong = '%012x' % 99 + W
    before = d.digest()
    for args in (['1'], ['1', ''], ['t'], ['t' + t[:-1], 1, ''], ['t' + t],
                 ['t' + t, 1], ['l' + t, 1, ''], ['t%s2' % t, 1, ''],
                 ['t%s2' % t, 1, '', 2], ['l%s2' % t, 1, '', 'x', 2, ''],
                 ['t%s0' % t], ['t%s0' % t, 1, ''], ['t%s-1' % t, 1, ''],
                 ['t%s0.5' % t, 1, ''], ['t%s1.5' % t, 1, '', 2],
                 ['t%sx' % t, 1, ''], ['x' + t, 1, ''], ['', 1, ''],
                 ['t' + t, 1, '', 2, ''], ['t' + t, 1, '', 'l' + t, 2, ''],
                 ['t%s9999999' % t, 1, ''], ['t' + t[1:], 1, ''],
                 ['t'] + [1, ''] * 9,
                 ['t%s%d' % (t, LIMITS['CLAIM_MAX'] + 1)] + [1, ''] * 1001):
        at = 'argument 1' if args[:3] != ['t' + t, 1, ''] else 'argument 4'
        assert 'TASKMQ complete: ' + at in (error_of(d.s.complete, *args)
                                            or ''), args
    eq((d.digest(), d.s.complete()), (before, []))
    # a result, a log that look like something else
    eq(d.s.complete('t%s2' % t, 1, 't' + t, 2, '2', 'l' + t, 3, 'l', '',
                    't' + wrong, 4, '', 'l%s1' % t, 5, '5', 't' + t,
                    't%s03' % t, 6, '', 7, '', 6, ''),
       [0, 0, 0, 2, 0, 0, 0, 1])
    eq([d.run(i)['result'].decode() for i in (1, 2, 3, 5, 6)],
       ['t' + t, '2', 'l', '5', ''])
    eq([d.s.logs(i).decode() for i in (1, 3, 5)], ['', '', 't' + t])
    eq([d.state(i) for i in range(1, 10)], list('SSSRSSSRR'))


def test_complete_of_equal_runs(d):
    d.add(*[job() for _ in range(8)], *[job('other') for _ in range(3)],
          job(options=' k=9'))
    got = d.claim('email', 9, 'other', 3)
    t = got[0][1]
    results = ['a', 'a', 'b', 'b', 'a', '', '', 'c', 'd', 'd', 'd', 'd']
    order = [1, 2, 3, 9, 4, 5, 10, 11, 6, 12, 7, 8]
    eq(d.complete_all([(i, t, results[i - 1], 'log' if i in (2, 3) else '')
                       for i in order] + [(3, t, 'x', '')]), [0] * 12 + [1])
    for i in order:
        r = d.run(i)
        eq((r['state'], r['result'].decode(), r['counter'] + r['worker'],
            r['runs'], r['attempts'], r['error'], r['name']),
           ('S', results[i - 1], t, 0, 0, b'', b'host:1'), i)
        eq(r['header'], d.s.get(i)[0].split(b'\n')[0], i)
        eq(d.s.logs(i), b'log' if i in (2, 3) else b'', i)
    eq((d.running('email'), d.running('other'), d.success()),
       (0, 0, 12))
    eq(sum(d.s.stats()[9:24]), 12)
    eq(sorted(d.packs()), [[1, 2, 3, 9, 4, 5, 10, 11, 6], [7, 8], [12]])


def test_complete_of_like_runs(d):
    """Up to where the headers begin; attempts, error texts of their own."""
    d.add(*[job(payload=b'%d' % i, priority=i % 2) for i in range(12)])
    failed = [i for i, t, _, _ in d.claim('email', 4) if d.fail(
        i, t, error='error %d' % i) == 0]
    d.expire('scheduled', *failed)
    got = d.claim('email', 12)
    t = got[0][1]
    before = {i: d.run(i) for i in range(1, 13)}
    order = [i for i, _, _, _ in got]
    assert len({r['attempts'] for r in before.values()}) == 2
    eq(d.complete_all([(i, t, '%d' % i, '') for i in order]), [0] * 12)
    for i in order:
        want = dict(before[i], state='S', result=b'%d' % i)
        r = d.run(i)
        assert r['finished'] >= r['started']
        eq(dict(r, finished=0), want, i)


def test_complete_between_others(d):
    """What is stale, gone or of a series does not change its neighbours."""
    d.add(*[job() for _ in range(6)], job(options=' i=100'),
          *[job() for _ in range(6)])
    t = d.claim('email', 10)[0][1]
    u = d.claim('email', 3, worker=V)[0][1]
    d.s.delete(2)
    d.s.cancel(4, 1)
    d.s.release(5, t)
    items = [(1, t), (2, t), (3, t), (4, t), (6, t), (11, t), (7, t), (8, t),
             (12, u), (9, u), (13, u), (5, t), (9, t), (10, t), (3, t)]
    eq(d.complete_all([(i, x, 'r%d' % i, '') for i, x in items]),
       [0, 3, 0, 2, 0, 2, 0, 0, 0, 2, 0, 2, 0, 0, 1])
    for i in (1, 3, 6, 8, 9, 10, 12, 13):
        r = d.run(i)
        eq((r['state'], r['result'], r['counter'] + r['worker']),
           ('S', b'r%d' % i, u if i > 10 else t))
    eq((d.state(7), d.state(11), d.running('email')), ('W', 'R', 1))
    eq((d.success(), sum(d.s.stats()[9:24]), d.finished()), (9, 9, 9))


def test_complete_of_thousands(d):
    d.add(*[job() for _ in range(4500)])
    got = sum([d.claim('email', 1000) for _ in range(5)], [])
    eq(d.complete_all([(i, t, '%d' % (i % 7), 'l' if i > 4100 else '')
                       for i, t, _, _ in got]), [0] * 4500)
    eq((d.finished(), d.card('finished'), d.leased()), (4500, 45, 0))
    for i in (1, 3999, 4000, 4001, 4101, 4500):
        eq((d.run(i)['result'], d.s.logs(i)),
           (b'%d' % (i % 7), b'l' if i > 4100 else b''))
