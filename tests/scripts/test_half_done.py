"""A right is taken away while a script is under way: Redis stops it at the
first command that needs the right, and what it wrote until then stays. No job
is lost by that, whichever the right and the script."""

import itertools

import tmq
from driver import eq, error_of
from tmq import job

NO_WRITES = ('bzpopmin', 'client|id', 'client|setname', 'client|unblock',
             'eval', 'evalsha', 'info', 'ping', 'script|load')


def rights():
    """Of a worker: what its scripts need, and more."""
    with open(tmq.ACL) as f:
        line = next(x for x in f if 'taskmq-worker' in x)
    return [w[1:] for w in line.split() if w[0] == '+'
            and w[1:] not in NO_WRITES]


def stopped(d, right, call):
    """Whether a call was, because its user has not this right."""
    d.c('ACL', 'SETUSER', 'x', 'reset', 'on', 'nopass', '~*', '+@all',
        '-' + right)
    d.c('AUTH', 'x', '')
    try:
        return error_of(call) is not None
    finally:
        d.c('AUTH', 'default', '')


def past(d, place):
    """All that is there is over, or due."""
    key = d.k(place)
    d.c('ZUNIONSTORE', key, 1, key, 'WEIGHTS', 0)


def set_up(d, mode):
    """Jobs 1 and 6 to 8 wait, 1 was given back; 2 is to be retried, 3 is dead;
    4, which is periodic, and 5 run. Returns their token."""
    d.c('FLUSHALL')
    d.config('selection', mode)
    d.config('finished_max_bytes', 10**9)
    d.add(*[job(retries='009')] * 3, job(options=' i=100'), job())
    token = d.claim('email', 5)[0][1]
    d.add(*[job()] * 3)
    eq((d.s.release(1, token), d.fail(2, token), d.fail(3, token, 0)),
       ([0], 0, 0))
    return token


def reap(d):
    past(d, 'leased')
    return d.s.reap()


def due(d):
    past(d, 'scheduled')
    return d.s.due()


def sweep(d):
    past(d, 'dead')
    return d.s.sweep()


# Of a queue and the token.
WAYS = {
    'given back': lambda d, t: d.s.release(5, t, 4, t),
    'reap': lambda d, t: reap(d),
    'not named': lambda d, t: d.extend([t]),
    'unreadable run': lambda d, t: (d.c('SET', d.k('r:5'), 'x'), reap(d)),
    'unreadable record': lambda d, t: (d.c('SET', d.k('j:6'), 'x'),
                                       d.claim('email', 9)),
    'retried': lambda d, t: d.fail(5, t, log='x'),
    'dead': lambda d, t: d.fail(5, t, 0),
    'periodic': lambda d, t: d.fail(4, t, 0),
    'due': lambda d, t: due(d),
    'sweep': lambda d, t: sweep(d),
    'claim': lambda d, t: d.claim('email', 3),
    'complete': lambda d, t: d.complete_all([(4, t, '', ''),
                                             (5, t, '1', 'x')]),
    'retry': lambda d, t: d.s.retry(3),
    'replay': lambda d, t: d.s.replay(3, 0),
    'add': lambda d, t: d.add(job(), job()),
}
for i in range(1, 7):
    WAYS['cancel %d' % i] = lambda d, t, i=i: d.s.cancel(i, 1)
    WAYS['delete %d' % i] = lambda d, t, i=i: d.s.delete(i)


def run_all(d):
    """All that can run does, once more where it is periodic."""
    for _ in range(3):
        reap(d)
        due(d)
        d.s.sweep()
        d.complete_all([(i, t, '', '') for i, t, _, _ in d.claim('email', 99)])


def ended(d, job_id):
    """The letter of its run, and where it is named; None: it is gone."""
    row = d.s.get(job_id)
    if row is None:
        return None
    state = tmq.field(row[1], 'RUN_STATE').decode() if row[1] else 'W'
    places = [p for p in ('finished', 'dead', 'scheduled')
              if d.score(p, job_id) is not None]
    return state, places


def lost(d, way, job_id):
    """A job that neither runs nor has ended."""
    got = ended(d, job_id)
    if got is None:
        return not (way == 'delete %d' % job_id
                    or way == 'sweep' and job_id == 3)
    want = {'S': 'finished', 'C': 'finished', 'F': 'dead', 'W': 'scheduled'}
    return want.get(got[0]) not in got[1] or got[0] == 'W' and job_id != 4


def test_no_job_is_lost(d):
    found = []
    for mode, way, right in itertools.product(
            ('priority', 'lifo'), WAYS, rights()):
        token = set_up(d, mode)
        if not stopped(d, right, lambda: WAYS[way](d, token)):
            continue
        run_all(d)
        last = int(d.c('GET', d.k('seq')).split()[0])
        found += [(mode, way, right, i, ended(d, i))
                  for i in range(1, last + 1) if lost(d, way, i)]
    eq(found, [])


def counted(d):
    return (d.waiting(), d.running(), d.stat('sch:email'),
            d.stat('dead:email'))


def there(d):
    """What that should be."""
    jobs = [ended(d, i) for i in range(1, 9)]
    return (jobs.count(('W', [])), sum(j[0] in 'RE' for j in jobs if j),
            d.card('scheduled'), d.card('dead'))


def test_runs_that_end_are_counted(d):
    """Before their lease ends: of its keys nothing needs to be written for
    that. (Nothing makes up for a count itself that is refused.)"""
    ways = [w for w in WAYS if w[-1] in '45' or w in (
        'given back', 'not named', 'retried', 'dead', 'periodic')]
    for way, right in itertools.product(ways, rights()):
        token = set_up(d, 'priority')
        eq(counted(d), there(d))
        if right not in ('hincrby', 'mset') and stopped(
                d, right, lambda: WAYS[way](d, token)):
            eq(counted(d), there(d), (way, right))
