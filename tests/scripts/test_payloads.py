"""Payloads aside: large ones are written by the client under a name of its
own, in b:<name>, and do not pass through the scripts."""

from driver import HOUR, between, eq, ms
from tmq import field, group, job

BIG = bytes(range(256)) * 40


def put(d, *names, **more):
    """Jobs whose payloads are aside under these names."""
    for n in names:
        d.put_aside(n, n.encode() + BIG)
    return [job(payload=n.encode() + BIG, aside=n, **more) for n in names]


def payload(d, job_id):
    eq(d.c('PTTL', d.k('b:%d' % job_id)), -1, 'for good')
    return d.c('GET', d.k('b:%d' % job_id))


def left(d):
    return sorted(k[len(d.k('b:')):] for k in d.c('KEYS', d.k('b:*')))


def test_it_becomes_the_jobs(d):
    a, b = put(d, 'fa', 'fb')
    eq(d.add(a, job(), b), 1)
    eq((payload(d, 1), payload(d, 3)), (b'fa' + BIG, b'fb' + BIG))
    eq(left(d), [b'1', b'3'])
    record = d.c('GET', d.k('j:1'))
    assert record.endswith(b' email b=%d\n' % (len(BIG) + 2)), record
    eq(field(record, 'JOB_KIND'), b'o')
    eq(d.s.get(1)[0], record + b'fa' + BIG, 'people see it whole')
    eq(d.s.list(0, '', '', 9)[6], d.s.get(2)[0])
    eq(d.s.list(0, '', '', 9)[10], d.s.get(1)[0])
    got = d.claim('email', 9)
    eq([r for _, _, _, r in got],
       [d.c('GET', d.k('j:%d' % i)) for i in (1, 2, 3)])
    d.complete_all([(i, t, '', '') for i, t, _, _ in got])
    eq(payload(d, 1), b'fa' + BIG, 'kept with the job')
    d.expire_packs([1, 2, 3])
    eq((d.s.sweep(), left(d)), ([3, 0], []))


def test_of_any_job(d):
    far = ms() + HOUR
    one, = put(d, 'f1', options=' t=5 s=%d' % far, due=far)
    two, = put(d, 'f2', options=' i=60')
    d.add(one, two, key='0::k')
    eq((payload(d, 1), payload(d, 2), d.due(1)),
       (b'f1' + BIG, b'f2' + BIG, far))
    i, t = d.take()
    eq((d.complete(i, t), payload(d, i)), (0, b'f2' + BIG))


def test_of_a_repeated_request(d):
    """What was put aside for it goes."""
    for name in ('fa', 'fb'):
        eq(d.add(*put(d, name), key='0::k'), 1)
    eq(left(d), [b'1'])
    eq(payload(d, 1), b'fa' + BIG)
    eq(d.add(*put(d, 'fc'), key='0::k', body='1' * 16), -1)
    eq(left(d), [b'1'])


def test_of_a_refused_request(d):
    eq(d.add(*put(d, 'fa'), known='1'), -3)
    eq((left(d), d.s.stats()[1]), ([], 0))


def test_gone(d):
    """It expires when no job takes it; then there is no job without it."""
    a, b = put(d, 'fa', 'fb')
    between(1, d.c('TTL', d.k('b:fa')), 60)
    d.c('DEL', d.k('b:fa'))
    eq(d.s.enqueue(*group([a]), *group([job('x')]), *group([b])), [-4, 1, 2])
    a, b, c = put(d, 'fa', 'fb', 'fc')
    d.c('DEL', d.k('b:fb'))
    eq(d.add(a, b, c), -4, 'all or none')
    eq((left(d), d.s.stats()[1]), ([b'2'], 2))


def test_deleted_with_its_job(d):
    d.add(*put(d, 'f%d' % 1, 'f%d' % 2, 'f%d' % 3))
    eq(d.s.delete(1), 0)
    i, t = d.take()
    eq(d.fail(i, t, retryable=0), 0)
    eq(left(d), [b'2', b'3'])
    d.config('dead_max', 0)
    d.s.sweep()
    eq(left(d), [b'3'])


def test_replayed(d):
    d.add(*put(d, 'fa', options=' k=7'))
    eq(d.s.replay(1, 0), [0, 2])
    d.s.delete(1)
    eq((left(d), payload(d, 2)), ([b'2'], b'fa' + BIG))
    eq(d.c('GET', d.k('j:2')).split(b' ', 5)[5], b'email k=7 b=%d\n' % (len(BIG) + 2))


def test_payload_like_a_name(d):
    """Only the kind says that it is aside."""
    d.add(job(payload=b'fa 12'))
    eq(d.claim('email', 1)[0][3].split(b'\n', 1)[1], b'fa 12')
