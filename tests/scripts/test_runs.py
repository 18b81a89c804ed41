"""A job's run: claim, complete, fail, release, extend, reap, recover."""

import tmq
from desk import HOUR, V, W, between, eq, error_of, ms
from tmq import job


def test_complete(d):
    d.add(job())
    i, t = d.take()
    r = d.run(i)
    eq((r['state'], r['counter'] + r['worker'], r['name'], r['finished']),
       ('R', t, b'host:1', 0))
    eq(r['apart'], 0)
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
    eq((d.running(), d.stat('success'), d.leased()), (0, 1, 0))


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
    eq(d.extend(1, wrong, 77, t), [2, 3])

    eq((d.complete(1, t), d.complete(1, t), d.fail(1, t)), (0, 1, 2))
    eq((d.fail(2, t), d.fail(2, t), d.complete(2, t)), (0, 1, 2))
    eq((d.s.release(3, t), d.s.release(3, t)), ([0], [2]))
    eq((d.complete(3, t), d.fail(3, t), d.extend(3, t)), (2, 2, [2]))
    eq((d.s.cancel(4, 1), d.complete(4, t), d.fail(4, t)), (0, 2, 2))
    eq(d.s.release(4, t), [2])
    eq((d.s.delete(5), d.complete(5, t), d.fail(5, t)), (0, 3, 3))
    d.add(job('new'))
    eq(d.complete(7, t), 2, 'never claimed')
    eq(d.stat('success'), 1)
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


def test_old_token_after_the_next_claim(d):
    d.add(job())
    i, old = d.take()
    d.expire('leased', i)
    d.s.reap()
    _, new = d.take(worker=V)
    before = d.digest()
    eq((d.complete(i, old), d.fail(i, old), d.s.release(i, old)), (2, 2, [2]))
    eq(d.digest(), before)
    eq(d.complete(i, new), 0)


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
    eq(d.stat('success'), 2)


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
    eq((d.running('h0'), d.running('h1'), d.stat('success')), (0, 0, 1500))
    for i in (1, 777, 1500):
        eq(d.run(i)['result'], b'r%d' % i)
        eq(d.s.logs(i), b'l%d' % i)
    eq(d.c('ZRANGE', d.k('leased'), 0, -1), [])


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
    bounds = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000,
              60000, 300000]
    ages = [-50] + [b + 1 for b in bounds] + [b - 3000 for b in bounds[9:]]
    d.add(*[job() for _ in ages])
    got = d.claim('email', 100)
    now = ms()
    for (i, _, _, _), age in zip(got, ages):
        d.c('SETRANGE', d.k('r:%d' % i), 30, '%013d' % (now - age))
    # the call itself takes some ms: the upper edge is not tested closer
    d.complete_all([(i, t, '', '') for i, t, _, _ in got])
    counts = d.s.stats()[9:24]
    eq(sum(counts), len(ages))
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
    d.c('SETRANGE', d.k('r:1'), 62, '%03d' % attempts_before)
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


def test_release(d):
    d.add(job(priority=5), job(priority=5))
    was = d.score('h:email:ready:p', 1)
    i, t = d.take()
    eq(d.s.release(i, t), [0])
    r = d.run(i)
    eq((r['state'], r['attempts'], r['crashes']), ('W', 0, 0))
    eq(d.c('ZSCORE', d.k('h:email:ready:p'), i), b'%d' % was)
    eq(d.take()[0], i, 'still the first in line')


def test_release_after_a_change_of_selection(d):
    d.add(job(priority=5), job(priority=9), job(priority=1))
    got = {i: t for i, t, _, _ in d.claim('email', 3)}
    d.config('selection', 'lifo')
    eq(d.s.release(*sum([[i, got[i]] for i in (1, 2, 3)], [])), [0, 0, 0])
    eq([x[0] for x in d.claim('email', 9)], [3, 2, 1])
    d.config('selection', 'priority')
    eq(d.s.release(*sum([[i, d.head[2].decode() + W] for i in (1, 2, 3)],
                        [])), [0, 0, 0])
    eq([x[0] for x in d.claim('email', 9)], [2, 1, 3])


def test_extend(d):
    d.add(job('a'), job('a'), job('a'))
    (i, t, _, _), (j, _, _, _), (k, _, _, _) = d.claim('a', 3, lease=1000)
    d.expire('leased', i)
    lo = ms()
    eq(d.extend(i, t, j, t, 99, t, handlers=['a', 'b'], lease=HOUR),
       [0, 0, 3])
    between(lo + HOUR, d.score('leased', i), ms() + HOUR + 1)
    assert d.score('leased', k) < lo + HOUR
    eq(d.c('ZRANGE', d.k('served'), 0, -1), [b'a', b'b'])
    between(lo, int(d.c('ZSCORE', d.k('served'), 'b')), ms() + 1)
    info = d.c('HGET', d.k('workers'), W)
    eq(info[13:], b' host:1 {}')
    assert 'TASKMQ' in error_of(d.s.extend, W, 'n', '{}', 1000, 5, 'a')
    assert 'TASKMQ' in error_of(d.s.extend, W, 'n', '{}', 1000, 0, '1')


def test_goodbye(d):
    d.extend()
    d.add(job())
    i, t = d.take()
    d.s.cancel(i, 1)
    eq(d.card('w:%s:wake' % W), 1)
    eq(d.s.goodbye(W), 1)
    eq((d.c('HLEN', d.k('workers')), d.card('w:%s:wake' % W)), (0, 0))


def test_cancel_tells_the_worker(d):
    d.add(job(), job())
    (i, t, _, _), (j, _, _, _) = d.claim('email', 2)
    eq(d.s.cancel(i, 0), 2, 'runs: needs force')
    eq(d.s.cancel(i, 1), 0)
    eq(d.s.cancel(i, 1), 1)
    eq(d.s.delete(j), 0)
    eq(d.c('ZRANGE', d.k('w:%s:wake' % W), 0, -1), [b'1', b'2'])
    between(1, d.c('TTL', d.k('w:%s:wake' % W)), 60)
    eq(d.extend(i, t, j, t), [4, 3])
    eq(d.extend(i, t, worker=V), [2], 'not that worker\'s')
    eq((d.state(i), d.stat('cancelled')), ('C', 1))
    eq((d.leased(), d.running()), (0, 0))
    eq(d.s.get(j), None)


def test_cancel_waiting_and_scheduled(d):
    d.add(job(), job(due=ms() + HOUR), job('b', options=' k=7'))
    eq([d.s.cancel(i, 0) for i in (1, 2, 3, 4)], [0, 0, 0, 3])
    eq([d.s.cancel(i, f) for i in (1, 2) for f in (0, 1)], [1] * 4)
    eq((d.card('h:email:ready:p'), d.card('scheduled')), (0, 0))
    eq((d.stat('sch:email'), d.stat('cancelled')), (0, 3))
    r = d.run(1)
    eq((r['state'], r['name'], r['started']), ('C', b'', 0))
    assert r['finished'] > 0
    between(ms(), d.score('finished', 3), ms() + 7000)
    d.add(job(), job(retries='000'))
    for i, t, _, _ in d.claim('email', 2):
        (d.complete if i == 4 else d.fail)(i, t)
    eq([d.s.cancel(i, 1) for i in (4, 5)], [2, 2])


def test_cancel_in_a_set_of_another_mode(d):
    d.add(job(), job())
    d.config('selection', 'fifo')
    eq((d.s.cancel(1, 0), d.s.delete(2)), (0, 0))
    eq(d.card('h:email:ready:p'), 0)


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
    eq(d.c('KEYS', tmq.PREFIX + b'[jrl]:*'), [])
    for place in ('scheduled', 'leased', 'dead', 'finished', 'h:w:ready:p'):
        eq(d.card(place), 0, place)
    eq((d.stat('sch:s'), d.running('r'), d.stat('dead:d')), (0, 0, 0))


def test_retry(d):
    d.add(job(retries='000', priority=3), job(priority=3))
    i, t = d.take()
    d.fail(i, t, error='why')
    d.c('SETRANGE', d.k('r:1'), 66, '2')
    d.unmark()
    eq((d.s.retry(i), d.s.retry(i), d.s.retry(2), d.s.retry(9)), (0, 2, 2, 3))
    r = d.run(i)
    eq((r['state'], r['attempts'], r['crashes'], r['error'], r['finished']),
       ('W', 0, 0, b'why', 0))
    eq((d.card('dead'), d.stat('dead:email')), (0, 0))
    assert d.marked()
    eq([x[0] for x in d.claim('email', 5)], [2, 1], 'a fresh place')
    eq(d.fail(1, d.head[2].decode() + W), 0)
    eq(d.state(1), 'F')


def test_reap(d):
    d.add(job(), job())
    was = d.score('h:email:ready:p', 1)
    i, t = d.take()
    j, u = d.take()
    eq(d.s.reap()[1:], [0, 0, 0, 0], 'nothing expired')
    for crash in (1, 2):
        d.expire('leased', i)
        eq(d.s.reap()[1:], [1, 0, 0, 0])
        r = d.run(i)
        eq((r['state'], r['crashes'], r['attempts']), ('W', crash, 0))
        eq(d.c('ZSCORE', d.k('h:email:ready:p'), i), b'%d' % was)
        assert d.marked()
        eq(d.extend(i, t), [2])
        i, t = d.take()
    d.expire('leased', i)
    eq(d.s.reap()[1:], [0, 1, 0, 0])
    r = d.run(i)
    eq((r['state'], r['crashes'], r['error']),
       ('F', 3, b'worker lost 3 times'))
    eq((d.stat('crashes'), d.stat('failed'), d.stat('dead:email')), (3, 1, 1))
    eq((d.complete(i, t), d.complete(j, u)), (2, 0))


def test_reap_is_bounded(d):
    d.add(*[job() for _ in range(250)])
    ids = [x[0] for x in d.claim('email', 250)]
    d.expire('leased', *ids)
    eq([d.s.reap()[1:] for _ in range(4)],
       [[100, 0, 0, 1], [100, 0, 0, 1], [50, 0, 0, 0], [0, 0, 0, 0]])
    eq([x[0] for x in d.claim('email', 250)], ids, 'the old order')


def test_reap_too_late(d):
    d.add(job())
    i, t = d.take()
    d.expire('leased', i)
    before = d.digest()
    eq(d.s.reap(ms() - 5)[1:], [0, 0, 0, 0])
    eq(d.digest(), before)
    eq(d.s.reap(ms() + 60000)[1:], [1, 0, 0, 0])


def test_reap_forgets_workers(d):
    d.extend(handlers=['a'])
    d.extend(worker=V, handlers=['b'])
    old = '%013d' % (ms() - 60001)
    d.c('HSET', d.k('workers'), W, old + ' host:1 {}')
    d.c('ZADD', d.k('served'), old, 'a')
    d.s.reap()
    eq(d.c('HKEYS', d.k('workers')), [V.encode()])
    eq(d.c('ZRANGE', d.k('served'), 0, -1), [b'b'])


def test_recover(d):
    d.add(*[job() for _ in range(6)])
    got = d.claim('email', 4)
    other = d.claim('email', 2, worker=V)
    eq(d.s.recover(W, 0, got[0][0], got[2][0]), [0, 2])
    eq([d.state(i) for i in range(1, 7)], list('RWRWRR'))
    r = d.run(2)
    eq((r['attempts'], r['crashes'], r['counter']), (0, 0, '0' * 12))
    eq(d.complete(*got[0][:2]), 0)
    eq(d.complete(*other[0][:2]), 0)
    assert d.marked()


def test_recover_in_pages(d):
    """Leases of one claim share their time: no page may end among them."""
    d.add(*[job() for _ in range(3000)])
    for n in (700, 1000, 800, 500):
        d.claim('email', n, worker=W if n != 800 else V)
        # another time, so that the pages have somewhere to end
        ids = d.c('ZRANGEBYSCORE', d.k('leased'), ms() + 1000, '+inf')
        d.c('ZADD', d.k('leased'), *sum([[10**9 + n, i] for i in ids], []))
    cursor = pages = released = 0
    while True:
        cursor, n = d.s.recover(W, cursor, 1, 2)
        released += n
        pages += 1
        if cursor == 0:
            break
    eq(released, 2198)
    between(3, pages, 6)
    eq(d.leased(), 802)


def test_claim_best_of_all(d):
    d.add(job('a', priority=9), job('a', priority=1), job('b', priority=5),
          job('b', priority=5), job('c', priority=0))
    got = d.claim('a', 2, 'b', 2, 'c', 2, total=4)
    eq([x[0] for x in got], [1, 3, 4, 2])
    assert d.marked('c')
    assert not d.card('h:a:ready:p')


def test_claim_mixed_lines(d):
    """Every other job another handler's: stretches of one."""
    d.add(*[job('h%d' % (i % 7)) for i in range(700)])
    wants = sum([['h%d' % i, 100] for i in range(7)], [])
    eq([x[0] for x in d.claim(*wants, total=650)], list(range(1, 651)))


def test_claim_free_slots_limit(d):
    d.add(*[job('a') for _ in range(5)], *[job('b') for _ in range(5)])
    got = d.claim('a', 2, 'b', 9, total=6)
    eq([x[0] for x in got], [1, 2, 6, 7, 8, 9])


def test_claim_without_slots_passes_the_marker_on(d):
    for total in (0, 1, 5):
        d.c('FLUSHALL')
        d.add(job('a'), job('b'), job('b'), job('b'))
        d.unmark('a'), d.unmark('b')
        got = d.claim('a', 0, 'b', 2, 'c', 0, total=total)
        eq([x[0] for x in got], [2, 3][:total])
        assert d.marked('a') and d.marked('b') and not d.marked('c')


def test_claim_nothing(d):
    eq(d.claim('email', 5), [])
    eq(d.head[1:], [0, b'0' * 12])
    eq(d.c('EXISTS', d.k('claims')), 0)
    due = ms() + 50000
    d.add(job(due=due))
    d.claim('email', 5)
    eq(d.head[1], due)
    for args in ([], [W, 'n', 'x', 1], [W, 'n', 1, 1, 'h'], ['short', 'n', 1,
                 1, 'h', 1], [W, 'n', 1, 1, 'h', 'x']):
        assert 'TASKMQ' in error_of(d.s.claim, *args), args


def test_claim_drops_evicted_jobs(d):
    d.add(*[job() for _ in range(4)])
    i, t = d.take()
    d.s.release(i, t)
    d.c('DEL', d.k('j:1'), d.k('j:3'))
    eq([x[0] for x in d.claim('email', 9)], [2, 4])
    eq((d.card('h:email:ready:p'), d.leased()), (0, 2))
    eq(d.c('EXISTS', d.k('r:1')), 0)


def test_claim_bounds_its_reply(d):
    big = b'x' * 167000
    d.add(*[job(payload=big) for _ in range(150)])
    got = d.claim('email', 150)
    eq([x[0] for x in got], list(range(1, 101)))
    assert d.marked(), 'the rest went back'
    eq(d.running(), 100)
    eq([x[0] for x in d.claim('email', 150)], list(range(101, 151)))


def test_promotion_order(d):
    far = ms() + HOUR
    d.add(job(due=far + 3), job(due=far + 1), job('b', due=far + 2),
          job(priority=5, due=far + 9))
    d.unmark(), d.unmark('b')
    d.expire('scheduled', 2, 3, 1, 4)
    got = d.claim('email', 9)
    eq([x[0] for x in got], [4, 2, 1])
    assert d.marked('b'), 'another handler\'s job came due'
    eq((d.stat('sch:email'), d.stat('sch:b')), (0, 0))
    eq(d.c('GET', d.k('order')), b'4')


def test_promotion_is_bounded(d):
    far = ms() + HOUR
    d.add(*[job(due=far) for _ in range(2500)])
    d.expire('scheduled', *range(1, 2501))
    for left in (1500, 500, 0, 0):
        d.claim('email', 1)
        eq(d.card('scheduled'), left)
        assert (d.head[1] > 0) == (left > 0), 'due again at once'


def test_reap_of_an_evicted_run(d):
    d.add(job(priority=4), job())
    (i, t, _, _), (j, _, _, _) = d.claim('email', 2)
    d.c('DEL', d.k('r:%d' % i), d.k('j:%d' % j))
    d.expire('leased', i, j)
    eq(d.s.reap()[1:], [1, 0, 0, 0])
    eq((d.leased(), d.running()), (0, 0))
    eq(d.take()[0], i)
    eq(d.c('EXISTS', d.k('r:%d' % j)), 0)
