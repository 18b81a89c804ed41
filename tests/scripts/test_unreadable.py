"""Records and runs that cannot be read, because they are damaged or another
version's: each job fails once, with that reason, and no other is disturbed."""

from driver import HOUR, between, eq, ms
from tmq import at, job

PERIODIC = dict(options=' i=100')

# What may stand in j:<id>, made of what should.
RECORDS = {
    'foreign': lambda r: b'2' + r[1:],
    'no version': lambda r: b'x' + r[1:],
    'layout of its own': lambda r: b'{"v":2,"handler":"email","payload":{}}',
    'a line': lambda r: r.split(b'\n')[0],
    'cut in the handler': lambda r: r[:29],
    'cut before it': lambda r: r[:26],
    'one byte': lambda r: r[:1],
    'letters for digits': lambda r: r.replace(b' 000 ', b' abc ', 1),
    'no created time': lambda r: r[:13] + b'x' * 13 + r[26:],
    'binary': lambda r: b'\0\xff' * 60,
}
# The same for r:<id>.
RUNS = {
    'foreign': lambda r: b'2' + r[1:],
    'no state': lambda r: r[:1] + b'w' + r[2:],
    'layout of its own': lambda r: b'{"v":2,"attempts":1}',
    'cut in the token': lambda r: r[:at('RUN_TOKEN') + 9],
    'cut after it': lambda r: r[:at('RUN_STARTED') - 1],
    'cut in the numbers': lambda r: r[:at('RUN_RUNS') + 2],
    'cut in the name': lambda r: r[:at('RUN_NAME') + 2],
    'cut in the header': lambda r: r[:at('RUN_NAME') + 20],
    'no number of attempts': lambda r: r[:at('RUN_ATTEMPTS')] + b'xxx'
    + r[at('RUN_CRASHES') - 1:],
    'no length': lambda r: r[:at('RUN_ERROR_LEN')] + b'-----'
    + r[at('RUN_NAME') - 1:],
    'another header': lambda r: r.replace(b'\n1', b'\n2', 1),
    'binary': lambda r: b'\0\xff' * 60,
}


def spoil(d, key, how):
    d.c('SET', d.k(key), how(d.c('GET', d.k(key))))


def failed(d, i, what, word='record', dead=1):
    """It is dead, once, with the reason; nothing else counts it."""
    eq([int(x) for x in d.c('ZRANGE', d.k('dead'), 0, -1)], [i], what)
    r = d.run(i)
    eq((r['state'], r['crashes'], r['attempts']), ('F', 0, 0), what)
    assert word.encode() in r['error'] \
        and b'cannot be read' in r['error'], (what, r['error'])
    between(ms() - 9000, r['finished'], ms() + 1)
    between(ms() + 700 * HOUR, d.score('dead', i), ms() + 721 * HOUR)
    eq((d.stat('failed'), d.stat('crashes')), (1, 0), what)
    x = d.s.stats()
    eq((x[25], x[26], x[27]), (0, 0, 1), what)
    eq(d.leased(), 0, what)


def end(d, i, what):
    """It can be deleted, and nothing is left."""
    eq(d.s.delete(i), 0, what)
    eq((d.card('dead'), d.s.stats()[27]), (0, 0), what)
    eq((d.s.reap()[1:], d.s.sweep()), ([0, 0, 0], [0, 0]), what)


def test_waiting(d):
    """Others are claimed past it."""
    for what, how in RECORDS.items():
        for n in (3, 8):
            for mode in ('priority', 'fifo', 'lifo'):
                d.c('FLUSHALL')
                d.config('selection', mode)
                d.add(*[job()] * n)
                spoil(d, 'j:2', how)
                got = d.claim('email', 9)
                eq(sorted(i for i, _, _, _ in got),
                   [i for i in range(1, n + 1) if i != 2], what)
                d.complete_all([(i, t, '', '') for i, t, _, _ in got])
                failed(d, 2, (what, n, mode))
                eq((d.waiting(), d.running(), d.stat('dead:email')),
                   (0, 0, 1), what)
                eq(d.claim('email', 9), [], 'once')
                end(d, 2, what)


def test_scheduled(d):
    """The handler is a guess where the record does not tell it; then the
    gauges of the true one are off by this job."""
    for what, how in RECORDS.items():
        d.c('FLUSHALL')
        d.add(*[job(due=ms() + HOUR) for _ in range(3)])
        spoil(d, 'j:2', how)
        d.expire('scheduled', 1, 2, 3)
        eq(sorted(i for i, _, _, _ in d.claim('email', 9)), [1, 3], what)
        eq([int(x) for x in d.c('ZRANGE', d.k('dead'), 0, -1)], [2], what)
        assert b'cannot be read' in d.run(2)['error']
        eq((d.stat('failed'), d.card('scheduled')), (1, 0), what)
        eq(d.claim('email', 9), [], 'once')
        eq(d.s.delete(2), 0)
        eq(d.card('dead'), 0)


def test_scheduled_under_a_name_that_nobody_has(d):
    """It is not counted under that: such a counter would stay for ever."""
    d.add(job(due=ms() + HOUR))
    spoil(d, 'j:1', lambda text: text.replace(b'email', b'emaim')
                                     .replace(b' f ', b' q '))
    d.expire('scheduled', 1)
    eq(d.claim('email', 9), [])
    names = {field.split(b':')[1] for field in d.c('HKEYS', d.k('stats'))
             if b':' in field}
    eq(names, {b'email', b'?'})


def test_run_of_a_waiting_job(d):
    for what, how in RUNS.items():
        d.c('FLUSHALL')
        d.add(*[job()] * 3)
        for i, t, _, _ in d.claim('email', 9):
            d.s.release(i, t)
        spoil(d, 'r:2', how)
        got = d.claim('email', 9)
        eq(sorted(i for i, _, _, _ in got), [1, 3], what)
        d.complete_all([(i, t, '', '') for i, t, _, _ in got])
        failed(d, 2, what, 'run')
        eq((d.waiting(), d.running()), (0, 0), what)
        end(d, 2, what)


def test_run_of_a_leased_job(d):
    """Whatever its worker says of it changes nothing; when its lease is over
    it fails. A success counts where nothing that it needs is damaged."""
    for what, how in RUNS.items():
        if what in ('no number of attempts', 'no length'):
            d.c('FLUSHALL')
            d.add(job())
            i, t = d.take()
            spoil(d, 'r:1', how)
            eq((d.fail(i, t), d.complete(i, t)), (2, 0), what)
            eq((d.running(), d.leased(), d.finished()), (0, 0, 1), what)
            continue
        for n in (3, 20):
            d.c('FLUSHALL')
            d.add(*[job()] * n)
            got = d.claim('email', n)
            t = got[0][1]
            spoil(d, 'r:2', how)
            eq(d.fail(2, t), 2, what)
            eq(d.s.release(2, t), [2], what)
            eq(d.complete(2, t), 2, what)
            eq(d.extend([t, *[i for i, _, _, _ in got]])[:2], [0, 0], what)
            eq(d.complete_all([(i, t, '', '') for i in range(3, n + 1)]),
               [0] * (n - 2), what)
            members = d.c('ZRANGE', d.k('leased'), 0, -1)
            for m in members:
                d.c('ZADD', d.k('leased'), 1000, m)
            spoil(d, 'r:1', lambda r: r)
            eq(d.s.reap()[1:3], [1, 1], what)
            eq(d.s.reap()[1:], [0, 0, 0], what)
            eq(d.stat('crashes'), 1, 'of the other')
            eq(d.complete(*d.take()), 0)
            eq((d.running(), d.waiting(), d.leased()), (0, 0, 0), what)
            eq(d.c('ZRANGE', d.k('dead'), 0, -1), [b'2'], what)
            assert b'run' in d.run(2)['error'], what
            end(d, 2, what)


def test_unreadable_periodic(d):
    """It would fail again and again."""
    d.add(job(**PERIODIC))
    spoil(d, 'j:1', RECORDS['foreign'])
    eq(d.claim('email', 1), [])
    failed(d, 1, 'periodic')
    # one that only its worker cannot read
    d.c('FLUSHALL')
    d.add(job(**PERIODIC))
    i, t = d.take()
    eq(d.s.fail(0, i, t, 'd', 'why', '', -1), [0])
    eq(d.s.fail(0, i, t, 'd', 'why', '', -1), [1])
    r = d.run(1)
    eq((r['state'], r['error'], d.card('scheduled')), ('F', b'why', 0))
    eq((d.stat('failed'), d.stat('dead:email')), (1, 1))


def test_changes_by_people(d):
    """Nothing but delete: cancel and replay could not tell what they do."""
    for what, how in RECORDS.items():
        d.c('FLUSHALL')
        d.add(*[job()] * 2)
        spoil(d, 'j:2', how)
        eq((d.s.cancel(2, 1), d.s.retry(2), d.s.replay(2, 0)), (2, 2, [2, 0]),
           what)
        assert d.s.get(2)[0], what
        eq(d.s.list(0, '', '', 9)[1], b'2', what)
        eq(d.s.stats()[24], 2, what)
        eq(d.s.delete(2), 0, what)
        eq([i for i, _, _, _ in d.claim('email', 9)], [1], what)


def test_retry_fails_again(d):
    d.add(job())
    spoil(d, 'j:1', RECORDS['foreign'])
    for n in (1, 2):
        eq(d.claim('email', 1), [])
        eq((d.stat('failed'), d.card('dead')), (n, 1))
        eq(d.s.retry(1), 0)
    # mended, it runs
    spoil(d, 'j:1', lambda r: b'1' + r[1:])
    eq(d.complete(*d.take()), 0)


def test_expires(d):
    """What has become of it is swept like others."""
    d.add(*[job()] * 2)
    spoil(d, 'j:1', RECORDS['one byte'])
    spoil(d, 'j:2', RECORDS['foreign'])
    eq(d.claim('email', 9), [])
    spoil(d, 'r:2', RUNS['cut after it'])
    d.expire('dead', 1, 2)
    eq(d.s.sweep(), [2, 0])
    eq(d.c('KEYS', d.k('[jrl]:*')), [])
