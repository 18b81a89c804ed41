"""A job's run: how it begins, and how it ends: complete, fail, cancel, delete,
retry."""

import tmq
from driver import HOUR, V, W, between, eq, error_of, ms
from tmq import job


def test_complete(d):
    d.add(job())
    i, t = d.take()
    r = d.run(i)
    eq((r['state'], r['counter'] + r['worker'], r['name'], r['finished']),
       ('R', t, b'host:1', 0))
    between(ms() - 5000, r['started'], ms() + 1)
    between(ms() + HOUR - 5000, d.score('leased', i), ms() + HOUR + 1)
    eq(d.running(), 1)
    eq(d.complete(i, t, '{"n":1.10}', 'some log'), 0)
    r = d.run(i)
    eq((r['state'], r['result'], r['error']), ('S', b'{"n":1.10}', b''))
    between(r['started'], r['finished'], ms() + 1)
    eq(d.s.logs(i), b'some log')
    between(ms() + 86400000 - 5000, d.score('finished', i),
            ms() + 86400001)
    eq((d.running(), d.success(), d.leased()), (0, 1, 0))


def test_verdicts(d):
    d.add(*[job(retries='000') for _ in range(6)])
    got = {i: t for i, t, _, _ in d.claim('email', 6)}
    t = got[1]
    wrong = '%012x' % 99 + W
    for call in (d.complete, d.fail):
        for token in (wrong, t[:-1] + 'e', '', t[:-1], t + 'x', 'R', '0' * 28):
            if call == d.complete and len(token) != 28:
                continue        # no such argument (test_complete)
            before = d.digest()
            eq(call(1, token), 2, token)
            eq(d.digest(), before)
        eq(call(77, t), 3)
    eq(d.s.release(1, wrong, 77, t), [2, 3])
    eq(d.extend([wrong, 1, 77]), [0, 0, 2, 3])

    eq((d.complete(1, t), d.complete(1, t), d.fail(1, t)), (0, 1, 2))
    eq((d.fail(2, t), d.fail(2, t), d.complete(2, t)), (0, 1, 2))
    eq((d.s.release(3, t), d.s.release(3, t)), ([0], [2]))
    eq((d.complete(3, t), d.fail(3, t)), (2, 2))
    eq((d.s.cancel(4, 1), d.complete(4, t), d.fail(4, t)), (0, 2, 2))
    eq(d.s.release(4, t), [2])
    eq((d.s.delete(5), d.complete(5, t), d.fail(5, t)), (0, 3, 3))
    d.add(job('new'))
    eq(d.complete(7, t), 2, 'never claimed')
    eq(d.success(), 1)
    eq(d.stat('failed'), 1)


def test_already_writes_nothing(d):
    d.add(job(), job(retries='000'), job())
    (a, t, _, _), (b, _, _, _), (c, _, _, _) = d.claim('email', 3)
    d.complete(a, t, '1')
    d.fail(b, t)
    d.fail(c, t)
    eq(d.state(c), 'W')
    before = d.digest()
    eq(d.complete(a, t, '2', 'x'), 1)
    eq((d.fail(b, t, error='2'), d.fail(c, t, error='2')), (1, 1))
    eq(d.digest(), before)


def test_twice_in_one_call(d):
    d.add(job(), job(), job())
    got = d.claim('email', 3)
    t = got[0][1]
    bad = V + t[16:]
    eq(d.complete_all([(1, t, '1', ''), (1, t, '2', ''), (2, bad, '', ''),
                       (2, t, '', ''), (2, bad, '', '')]), [0, 1, 2, 0, 2])
    eq(d.run(1)['result'], b'1')
    eq(d.s.fail(0, 3, t, 1, 'a', '', -1, 3, t, 1, 'b', '', -1), [0, 1])
    eq(d.run(3)['attempts'], 1)
    eq(d.success(), 2)


def test_big_batches(d):
    d.add(*[job('h%d' % (i % 2)) for i in range(1500)])
    got = d.claim('h0', 900, 'h1', 600)
    eq(len(got), 1000, 'at most 1,000')
    more = d.claim('h0', 900, 'h1', 900)
    eq(len(got) + len(more), 1500)
    eq(d.leased(), 1500)
    eq(d.complete_all([(i, t, 'r%d' % i, 'l%d' % i)
                       for i, t, _, _ in got + more]), [0] * 1500)
    eq((d.leased(), d.finished()), (0, 1500))
    eq((d.running('h0'), d.running('h1'), d.success()), (0, 0, 1500))
    for i in (1, 777, 1500):
        eq(d.run(i)['result'], b'r%d' % i)
        eq(d.s.logs(i), b'l%d' % i)
    eq((d.card('leased'), d.c('KEYS', d.k('t:*'))), (0, []))


def test_big_failures(d):
    d.add(*[job() for i in range(1000)])
    got = d.claim('email', 1000)
    args = sum([[i, t, i % 2, 'e', '', -1] for i, t, _, _ in got], [])
    eq(d.s.fail(5, *args), [0] * 1000)
    eq((d.card('dead'), d.card('scheduled')), (500, 500))
    eq((d.stat('dead:email'), d.stat('sch:email')), (500, 500))
    eq(d.complete_all([(i, t, '', '') for i, t, _, _ in got]), [2] * 1000)


def test_log_is_kept_when_none_comes(d):
    d.add(job())
    i, t = d.take()
    d.fail(i, t, log='first')
    d.expire('scheduled', i)
    i, t = d.take()
    eq(d.complete(i, t), 0)
    eq(d.s.logs(i), b'first')


def test_log_of_a_run_that_was_cancelled(d):
    """By the worker that had it, and nothing else changes."""
    d.add(job())
    i, t = d.take()
    d.s.cancel(i, 1)
    before = d.digest()
    eq(d.fail(i, t[:12] + '0' * 16, log='of another'), 2)
    eq((d.fail(i, t), d.digest()), (2, before))
    eq((d.fail(i, t, log='until then'), d.s.logs(i)), (1, b'until then'))
    d.c('DEL', d.k('l:%d' % i))
    eq(d.digest(), before)


def test_histogram(d):
    bounds = tmq.duration_bounds()
    ages = [-50] + [b + 1 for b in bounds] + [b - 3000 for b in bounds[9:]]
    d.add(*[job() for _ in ages])
    got = d.claim('email', 100)
    now = ms()
    for (i, _, _, _), age in zip(got, ages):
        d.c('SETRANGE', d.k('r:%d' % i), tmq.at('RUN_STARTED'),
            '%013d' % (now - age))
    # the call itself takes some ms: the upper edge is not tested closer
    d.complete_all([(i, t, '', '') for i, t, _, _ in got])
    counts = d.s.stats()[9:24]
    eq((sum(counts), d.success()), (len(ages), len(ages)))
    # each age beyond bound b is in a later bucket than b's; the five early
    # ones of 2,000 ms and more are in their own
    for b in range(9, 14):
        assert counts[b] >= 1, counts
    eq(counts[14], 1, 'longer than all')
    assert sum(counts[:2]) <= 2 and counts[0] >= 1, counts
    assert d.stat('duration_ms') >= sum(a for a in ages if a > 0)


def test_retry_budget(d):
    for retries, policy, setting, runs in (
            ('t--', 'f', None, 3), ('d--', 'f', None, 4), ('000', 'e', None, 1),
            ('002', 'e', None, 3), ('005', 'n', None, 1),
            ('t--', 'f', ('max_retries', 0), 1),
            ('d--', 'e', ('daemon_max_retries', 1), 2)):
        d.c('FLUSHALL')
        if setting:
            d.config(*setting)
        d.add(job(retries=retries, policy=policy))
        for attempt in range(1, runs + 1):
            got = d.claim('email', 1)
            eq(got[0][2], attempt - 1, 'attempts told')
            eq(d.fail(*got[0][:2], error='e%d' % attempt), 0)
            r = d.run(1)
            eq(r['error'], b'e%d' % attempt)
            eq(r['attempts'], attempt)
            if attempt < runs:
                eq((r['state'], r['finished']), ('W', 0))
                d.expire('scheduled', 1)
        eq(r['state'], 'F', (retries, policy, setting))
        assert r['finished'] > 0
        eq(d.stat('retries'), runs - 1)
        eq((d.stat('failed'), d.stat('dead:email')), (1, 1))
        between(ms() + 2592000000 - 9000, d.score('dead', 1),
                ms() + 2592000001)


def test_not_retryable(d):
    d.add(job())
    i, t = d.take()
    eq(d.fail(i, t, retryable=0, error='never'), 0)
    eq((d.state(i), d.run(i)['error']), ('F', b'never'))


def wait_after(d, attempts_before, **how):
    d.c('FLUSHALL')
    policy = how.pop('policy')
    settings = how.pop('settings', {})
    for name, value in settings.items():
        d.config(name, value)
    d.add(job(policy=policy, retries='100'))
    i, t = d.take()
    d.c('SETRANGE', d.k('r:1'), tmq.at('RUN_ATTEMPTS'),
        '%03d' % attempts_before)
    lo = ms()
    eq(d.fail(i, t, **how), 0)
    return lo, d.due(1), ms() + 1


def test_waits(d):
    for before, how, want in (
            (0, dict(policy='f'), 2000),
            (7, dict(policy='f'), 2000),
            (0, dict(policy='f', settings={'retry_wait_ms': 700}), 700),
            (0, dict(policy='e'), 2000),
            (1, dict(policy='e'), 4000),
            (4, dict(policy='e'), 32000),
            (99, dict(policy='e'), 3600000),
            (4, dict(policy='e', jitter=500000), 32000 - 4000),
            (4, dict(policy='e', jitter=999999), 32000 - 7999),
            (4, dict(policy='f', jitter=999999), 2000),
            (4, dict(policy='e', settings={'retry_wait_max_ms': 9000}), 9000),
            (0, dict(policy='f', wait=5000), 5000),
            (0, dict(policy='f', wait=500), 2000),
            (0, dict(policy='f', wait=10**9), 3600000),
            (3, dict(policy='e', wait=20000), 20000)):
        lo, due, hi = wait_after(d, before, **how)
        between(lo + want, due, hi + want)


def test_jitter_differs_within_a_call(d):
    d.add(*[job(policy='e') for _ in range(50)])
    got = d.claim('email', 50)
    d.s.fail(0, *sum([[i, t, 1, '', '', -1] for i, t, _, _ in got], []))
    waits = {d.due(i) for i in range(1, 51)}
    assert len(waits) > 40, waits


def test_error_text_and_result_stay_apart(d):
    d.add(job())
    i, t = d.take()
    d.fail(i, t, error='line\n1- 000 f t-- 1 x\n\0end')
    d.expire('scheduled', i)
    i, t = d.take()
    eq(d.run(i)['error'], b'line\n1- 000 f t-- 1 x\n\0end')
    eq(d.complete(i, t, '{"ok":true}'), 0)
    r = d.run(i)
    eq((r['error'], r['result']), (b'line\n1- 000 f t-- 1 x\n\0end',
                                   b'{"ok":true}'))
    d.add(job(retries='000'))
    i, t = d.take()
    d.fail(i, t, error='x' * 99999)
    eq(len(d.run(i)['error']), 16384, 'cut')


def test_retention(d):
    d.config('retention_s', 500)
    d.add(job(), job(options=' k=90'), job(options=' t=3'))
    for i, t, _, _ in d.claim('email', 3):
        d.complete(i, t)
    for i, keep in ((1, 500), (2, 90), (3, 500)):
        between(ms() + keep * 1000 - 9000, d.score('finished', i),
                ms() + keep * 1000 + 1)


def test_cancel_tells_the_worker(d):
    d.add(job(), job())
    (i, t, _, _), (j, _, _, _) = d.claim('email', 2)
    eq(d.s.cancel(i, 0), 2, 'runs: needs force')
    eq(d.s.cancel(i, 1), 0)
    eq(d.s.cancel(i, 1), 1)
    eq(d.s.delete(j), 0)
    eq(d.c('ZRANGE', d.k('w:%s:wake' % W), 0, -1), [b'1', b'2'])
    between(1, d.c('TTL', d.k('w:%s:wake' % W)), 60)
    eq(d.extend([t, i, j]), [0, 0, 4, 3])
    eq(d.extend([t, i], worker=V), [0, 0, 2], 'not that worker\'s')
    eq((d.state(i), d.stat('cancelled')), ('C', 1))
    eq((d.leased(), d.running()), (0, 0))
    eq(d.s.get(j), None)


def test_cancel_waiting_and_scheduled(d):
    d.add(job(), job(due=ms() + HOUR), job('b', options=' k=7'))
    eq([d.s.cancel(i, 0) for i in (1, 2, 3, 4)], [0, 0, 0, 3])
    eq([d.s.cancel(i, f) for i in (1, 2) for f in (0, 1)], [1] * 4)
    eq((d.waiting(), d.card('scheduled')), (0, 0))
    eq((d.stat('sch:email'), d.stat('cancelled')), (0, 3))
    r = d.run(1)
    eq((r['state'], r['name'], r['started']), ('C', b'', 0))
    assert r['finished'] > 0
    between(ms(), d.score('finished', 3), ms() + 7000)
    d.add(job(), job(retries='000'))
    for i, t, _, _ in d.claim('email', 2):
        (d.complete if i == 4 else d.fail)(i, t)
    eq([d.s.cancel(i, 1) for i in (4, 5)], [2, 2])


def test_delete_everywhere(d):
    d.add(job('w'), job('s', due=ms() + HOUR), job('r'), job('d'), job('f'),
          job('c'))
    for h in 'rdf':
        i, t = d.take(h)
        if h == 'd':
            d.fail(i, t, retryable=0, log='l')
        elif h == 'f':
            d.complete(i, t, log='l')
    d.s.cancel(6, 0)
    eq([d.s.delete(i) for i in range(1, 8)], [0] * 6 + [3])
    eq([d.s.delete(i) for i in range(1, 8)], [3] * 7)
    eq(d.c('KEYS', tmq.PREFIX + b'[jrlbt]:*'), [])
    for place in ('scheduled', 'leased', 'dead', 'finished'):
        eq(d.card(place), 0, place)
    eq((d.stat('sch:s'), d.running('r'), d.stat('dead:d')), (0, 0, 0))
    eq(d.waiting('w'), 0)


def test_retry(d):
    d.add(job(retries='000', priority=3), job(priority=3))
    i, t = d.take()
    d.fail(i, t, error='why')
    d.c('SETRANGE', d.k('r:1'), tmq.at('RUN_CRASHES'), '2')
    d.unmark()
    eq((d.s.retry(i), d.s.retry(i), d.s.retry(2), d.s.retry(9)), (0, 2, 2, 3))
    r = d.run(i)
    eq((r['state'], r['attempts'], r['crashes'], r['error'], r['finished']),
       ('W', 0, 0, b'why', 0))
    eq((d.card('dead'), d.stat('dead:email')), (0, 0))
    eq([x[0] for x in d.claim('email', 5)], [2, 1], 'behind the newest')
    eq(d.fail(1, '%012x' % (next(d.claims) - 1) + W), 0)
    eq(d.state(1), 'F')
    d.unmark()
    eq((d.s.retry(1), d.marked()), (0, True))


def test_claim_nothing(d):
    eq(d.claim('email', 5), [])
    eq(d.head[1:], [0])
    eq(d.c('KEYS', '*'), [])
    due = ms() + 50000
    d.add(job(due=due))
    d.claim('email', 5)
    eq(d.head[1], due)
    before, t = d.digest(), '0' * 28
    for args in ([], [t, 'n', 'x', 1, 0], [t, 'n', 1, 1, 0, 'h'],
                 [t[1:], 'n', 1, 1, 0, 'h', 1], [t, 'n', 1, 'x', 0, 'h', 1],
                 [t, 'n', 1, 1, 0, 'h', 'x'], [t, 'n', 1, 1, 'h', 1]):
        assert 'TASKMQ' in error_of(d.s.claim, *args), args
    eq(d.digest(), before)
