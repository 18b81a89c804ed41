"""Storing jobs: groups, idempotency, names, numbers, refusals."""

import time

import tmq
from driver import HOUR, W, between, eq, error_of, ms
from tmq import LIMITS, group, job


def test_ids_follow_each_other(d):
    eq(d.s.enqueue(*group([job()] * 3), *group([job()])), [1, 4])
    eq(d.add(job()), 5)


def test_same_key_same_body(d):
    eq(d.add(job(), job(), key='1:a:k', body='a' * 16), 1)
    eq(d.add(job(), job(), key='1:a:k', body='a' * 16), 1)
    eq(d.waiting(), 2)
    eq(d.add(job(), key='1:a:k', body='b' * 16), -1)
    eq(d.add(job(), key='1:b:k', body='b' * 16), 3, 'another scope')
    eq(d.c('GET', d.k('u:1:a:k')), b'1 ' + b'a' * 16)
    between(86300000, d.c('PTTL', d.k('u:1:a:k')), 86400000)


def test_key_of_deleted_jobs_is_free(d):
    a, b = dict(key='1:a:k', body='a' * 16), dict(key='1:a:k', body='b' * 16)
    eq(d.add(job(), **a), 1)
    eq(d.s.delete(1), 0)
    eq((d.add(job(), **a), d.add(job(), **a), d.add(job(), **b)), (2, 2, -1))
    eq(d.s.delete(2), 0)
    eq((d.add(job(), **b), d.add(job(), **b), d.add(job(), **a)), (3, 3, -1))
    # wherever the job is
    for _ in range(5):
        i, t = d.take()
        d.complete(i, t)
        eq(d.add(job(), **b), i, 'done, but there')
        eq(d.s.delete(i), 0)
        eq(d.add(job(), **b), i + 1)
    # one call: deleted before, then twice the same
    eq(d.s.delete(8), 0)
    two = tmq.group([job()], **b) * 2
    eq(d.s.enqueue(*two), [9, 9])


def test_of_another_bodys_jobs_only_the_first_is_known(d):
    three = [job()] * 3
    eq(d.add(job(), key='1:a:k', body='a' * 16), 1)
    eq(d.add(*three, key='1:a:k', body='b' * 16), -1)
    eq(d.s.delete(1), 0)
    eq(d.add(*three, key='1:a:k', body='b' * 16), 2)


def test_key_of_many_jobs_is_free_when_all_are_deleted(d):
    """Else those that are left would run twice."""
    one = dict(key='1:a:k', body='a' * 16)
    eq(d.add(*[job()] * 3, **one), 1)
    for i in (1, 2, 3):
        eq(d.add(*[job()] * 3, **one), 1, i)
        eq(d.s.delete(i), 0)
    eq(d.add(*[job()] * 3, **one), 4)
    eq(d.add(*[job()] * 3, **one), 4)


def test_key_of_what_expired_is_kept(d):
    """Its work was done: a repeated request must not do it again."""
    one = dict(key='1:a:k', body='a' * 16)
    eq(d.add(job(options=' k=1'), **one), 1)
    d.complete(*d.take())
    d.expire_packs([1])
    eq(d.s.sweep(), [1, 0])
    eq((d.s.get(1), d.add(job(options=' k=1'), **one)), (None, 1))


def test_what_is_known_of_deleted_jobs_ends(d):
    """With the keys that may lead to them."""
    d.add(job(), job())
    d.c('SETRANGE', d.k('j:2'), 13, '%013d' % (ms() - 86400001))
    eq((d.s.delete(1), d.s.delete(2)), (0, 0))
    left = {k: d.c('PTTL', k) for k in d.c('KEYS', d.k('*'))}
    mortal = [t for t in left.values() if t > 0]
    eq(len(mortal), 1)
    between(86000000, mortal[0], 86400000)


def test_key_lives_as_long_as_set(d):
    d.config('idempotency_ttl_s', 100)
    d.add(job(), key='0::k')
    between(99000, d.c('PTTL', d.k('u:0::k')), 100000)


def test_a_key_outlives_its_setting(d):
    """A job that was deleted is known as long as a key may lead to it, also one
    of the time before the setting was lowered."""
    for ttl in (100, 1, 50):
        d.add(job(), key='0::k')
        d.config('idempotency_ttl_s', ttl)
    eq(d.c('GET', d.k('seq')), b'1')
    d.c('SETRANGE', d.k('j:1'), 13, '%013d' % (ms() - 60000))
    eq(d.s.delete(1), 0)
    between(86000000, d.c('PTTL', d.k('x:1')), 86400000)
    eq(d.add(job(), key='0::k'), 2)


def test_same_key_twice_in_one_call(d):
    same, other = '0' * 16, '1' * 16
    eq(d.s.enqueue(*group([job(), job()], '0::k', same),
                   *group([job()], '0::k', same),
                   *group([job()], '0::k', other),
                   *group([job()], '0::q', other)), [1, 1, -1, 3])


def test_refused_group_leaves_its_key_free(d):
    eq(d.s.enqueue(*group([job()], '0::k', known='1'),
                   *group([job()], '0::k')), [-3, 1])


def test_known_handlers(d):
    eq(d.add(job('a'), known='1'), -3)
    d.extend(handlers=['a'])
    eq(d.add(job('a'), known='1'), 1)
    eq(d.add(job('a'), job('b'), known='1'), -3, 'all or none')
    eq(d.waiting('a'), 1)
    d.c('ZADD', d.k('served'), ms() - 60001, 'a')
    eq(d.add(job('a'), known='1'), -3, 'not seen for a minute')


def test_groups_are_independent(d):
    eq(d.s.enqueue(*group([job('x')], known='1'), *group([job('y')]),
                   *group([job('z')], known='1')), [-3, 1, -3])
    eq(d.c('HGETALL', d.k('handlers')), [b'y', b'1'])


def singles(*jobs):
    return sum((group([j]) for j in jobs), [])


def test_neighbours(d):
    """Requests for one job each share a call, and what is done once for
    neighbours of one kind."""
    a, b = job('a', b'{"n":1}'), job('b', b'{"n":2}', priority=7)
    late = job('a', b'{"n":3}', due=ms() + 60000, options=' s=1')
    for seq in (0, 5, 97, 3996):
        d.c('FLUSHALL')
        d.c('SET', d.k('seq'), seq)
        want = [a, a, b, b, b, a, late, late, a, b] * 3
        eq(d.s.enqueue(*singles(*want)),
           [seq + 1 + i for i in range(len(want))])
        for i, j in enumerate(want):
            eq(d.s.get(seq + 1 + i)[0][26:], j[1])
        eq((d.waiting('a'), d.waiting('b')), (12, 12))
        eq(d.card('scheduled'), 6)
        eq(d.c('HMGET', d.k('handlers'), 'a', 'b'), [b'18', b'12'])
        eq(d.stat('sch:a'), 6)
        eq([i for i, _, _, _ in d.claim('a', 100)],
           [seq + 1 + i for i, j in enumerate(want) if j is a])


def test_refused_neighbours(d):
    fill_names(d, 999)
    x, y = job('x'), job('y')
    eq(d.s.enqueue(*singles(y, y, x, x, y, job('n1'), x)),
       [1000, 1001, -2, -2, 1002, 1003, -2])
    eq((d.lane(0, 'x'), d.lane(0, 'y')), ([], ['1000 3']))
    eq(d.c('HGET', d.k('handlers'), 'x'), None)


def fill_names(d, n, waiting=True):
    jobs = [job('n%d' % i) for i in range(n)]
    for i in range(0, n, 500):
        eq(d.add(*jobs[i:i + 500]) > 0, True)
    if not waiting:
        # as after they were cancelled: the lanes name them still
        d.c('HSET', d.k('stats'), *sum([['back:n%d' % i, -1]
                                        for i in range(n)], []))


def test_too_many_names(d):
    fill_names(d, 999)
    eq(d.add(job('one'), job('two')), -2, 'two more')
    eq(d.add(job('one')), 1000)
    eq(d.s.enqueue(*group([job('two')]), *group([job('n5')]),
                   *group([job('one'), job('two')])), [-2, 1001, -2])
    eq(d.c('HLEN', d.k('handlers')), 1000)


def test_served_names_have_room(d):
    """Junk cannot lock out what a live worker serves."""
    fill_names(d, 999)
    d.extend(handlers=['mine', 'yours', 'ours'])
    junk = [job('junk%d' % i) for i in range(2)]
    eq(d.add(*junk), -2)
    eq(d.add(junk[0]), 1000)
    eq((d.add(job('mine')), d.add(job('mine')), d.add(junk[1])),
       (1001, 1002, -2))
    eq(d.add(job('yours'), junk[1]), -2, 'all or none')
    eq(d.add(job('yours'), job('mine'), known='1'), 1003)
    eq(d.s.enqueue(*group([junk[1]]), *group([job('ours')]),
                   *group([job('other')])), [-2, 1005, -2])
    eq(d.c('HLEN', d.k('handlers')), 1003)
    eq([i for i, _, _, _ in d.claim('mine', 9, 'yours', 9, 'ours', 9)],
       list(range(1001, 1006)))
    # no live worker serves it
    d.extend(handlers=['late'])
    d.c('ZADD', d.k('served'), ms() - 60001, 'late')
    eq(d.add(job('late')), -2)


def test_room_of_served_names_is_bounded(d):
    fill_names(d, 1000)
    for k in range(2):
        names = ['s%d-%d' % (k, i) for i in range(600)]
        d.extend(worker='%016x' % k, handlers=names)
        got = [d.add(job(n)) for n in names]
        eq([x > 0 for x in got],
           [True] * (400 if k else 600) + [False] * (200 if k else 0))
    eq(d.c('HLEN', d.k('handlers')), 2000)
    eq((len(d.s.stats()[31::7]) >= 2000, d.s.stats()[29]), (True, 2000))


def test_served_name_is_replayed(d):
    d.add(job('mine'))
    d.complete(*d.take('mine'))
    d.c('HDEL', d.k('handlers'), 'mine')
    fill_names(d, 1000)
    assert 'TASKMQ' in error_of(d.s.replay, 1, 0)
    d.extend(handlers=['mine'])
    eq(d.s.replay(1, 0)[0], 0)


def test_idle_names_go(d):
    """A sweep forgets those of which no job is known, while they are many."""
    fill_names(d, 1000, waiting=False)
    d.c('HSET', d.k('stats'), *sum((['%s:n%d' % (name, i), 0] for i in range(
        1000) for name in ('sch', 'dead', 'claimed', 'left')), []))
    eq(d.add(job('fresh')), -2)
    while d.s.sweep()[1]:
        pass
    names = set(d.c('HKEYS', d.k('handlers')))
    eq(len(names), LIMITS['HANDLERS_KEPT'])
    counted = {field.split(b':')[1] for field in d.c('HKEYS', d.k('stats'))
               if b':' in field}
    eq(counted, names, 'counters of forgotten names')
    eq(len(d.c('KEYS', d.k('h:*:lane:*'))), len(names))
    eq(d.add(job('fresh'), job('newer')), 1001)
    eq(d.s.stats()[1], 1002, 'received')


def sweep_until_gone(d, name):
    """A sweep looks at some names at random."""
    for _ in range(5000):
        d.s.sweep()
        if not d.c('HEXISTS', d.k('handlers'), name):
            return
    raise AssertionError('%s stays' % name)


def test_what_forgotten_names_did_is_told(d):
    """Their runs count in the sums, in their histogram, and as finished."""
    fill_names(d, 999)
    for k in range(3):
        d.add(job('a', options=' i=100' if k == 2 else ''))
    for i, t in (d.take('a'), d.take('a'), d.take('a')):
        d.complete(i, t)
    before = d.s.stats()
    d.s.delete(1002)
    sweep_until_gone(d, 'a')
    x = d.s.stats()
    eq((x[1], x[2], x[9:24]), (before[1], 3, before[9:24]))
    eq((x[28], before[28]), (2, 2))
    eq([k for k in d.c('HKEYS', d.k('stats')) if k.endswith(b':a')], [])


def test_busy_names_stay(d):
    """What runs is what was claimed, and has not left."""
    fill_names(d, LIMITS['HANDLERS_KEPT'] - 4)
    d.add(*[job(name) for name in ('waits', 'runs', 'died', 'mine', 'done')])
    d.add(job('later', due=ms() + HOUR))
    d.take('runs')
    i, t = d.take('died')
    d.s.fail(0, i, t, 'd', 'why', '', -1)
    for name in ('mine', 'done'):
        d.complete(*d.take(name))
    d.extend(handlers=['mine'])
    sweep_until_gone(d, 'done')
    # ten names a sweep: one in 3,000 is never looked at
    for _ in range(400):
        d.s.sweep()
    eq(d.c('HLEN', d.k('handlers')), LIMITS['HANDLERS_KEPT'] + 1)


def test_past_and_future_due(d):
    now = ms()
    d.add(job(due=1), job(due=now + 500000), job())
    eq(d.due(1), 0)
    eq(d.due(2), now + 500000)
    eq(d.waiting(), 2)
    eq(d.stat('sch:email'), 1)


def test_records_keep_every_byte(d):
    payload = bytes(range(256)) * 3 + b'\n1- 000 x k=5\n\0'
    d.add(job(payload=payload))
    got = d.claim('email', 1)[0][3]
    eq(got.split(b'\n', 1)[1], payload)
    eq(got, d.s.get(1)[0])
    between(ms() - 5000, int(got[13:26]), ms() + 1)


def test_out_of_numbers(d):
    """The last few of a call are not used."""
    d.c('SET', d.k('seq'), 2**53 - 4)
    before = d.digest()
    assert 'TASKMQ' in error_of(d.add, job(), job())
    eq(d.digest(), before)
    eq(d.add(job()), 2**53 - 3)


def test_bad_arguments_write_nothing(d):
    d.add(job())
    before = d.digest()
    eq((d.s.enqueue(), d.digest()), ([], before))
    good, none = group([job('a')]), '0' * 16
    kind, tail = job('b')
    for args in (['1.5'], ['x'] + good, good[:-1], good + ['x'],
                 good + ['g0 %s 0 ' % none], good + ['g-1 %s 0 ' % none],
                 ['gx %s 0 ' % none] + good, ['g'] + good,
                 ['g1.5 %s 0 ' % none] + good, ['g1 x 0 '] + good,
                 ['g1 %s 2 ' % none] + good, ['g2 %s 0 ' % none] + good,
                 good + group([job('b', due='soon')]),
                 good + [kind[:13] + '0', tail],
                 good + [kind[:13] + ' b', tail],
                 good + ['', tail], good + ['1- 000', tail]):
        assert 'TASKMQ' in (error_of(d.s.enqueue, *args) or ''), args
        eq(d.digest(), before, args)


def test_big_calls(d):
    """More rows than unpack takes, in one group and in many."""
    jobs = [job('h%d' % (i % 3), b'%d' % i) for i in range(5000)]
    eq(d.add(*jobs), 1)
    out = d.s.enqueue(*sum([group([j], '0::%d' % i)
                                  for i, j in enumerate(jobs[:4500])], []))
    eq(out, list(range(5001, 9501)))
    out = d.s.enqueue(*sum([group([j], '0::%d' % i)
                                  for i, j in enumerate(jobs[:4500])], []))
    eq(out, list(range(5001, 9501)), 'repeated')
    eq(sum(d.waiting('h%d' % i) for i in range(3)), 9500)
    eq(d.s.stats()[1], 9500)
    far = ms() + 10**7
    d.add(*[job(due=far + i) for i in range(4100)])
    eq(d.card('scheduled'), 4100)
    eq(d.stat('sch:email'), 4100)


def test_wake_when_it_was_empty(d):
    d.add(job())
    assert d.marked()
    d.unmark()
    d.add(job())
    assert not d.marked(), 'there were jobs: somebody was told'
    got = d.claim('email', 1)
    assert d.marked(), 'claim left one: the next may look'
    d.unmark()
    d.claim('email', 5)
    assert not d.marked(), 'nothing left'
    d.s.release(got[0][0], got[0][1])
    assert d.marked(), 'a job came back'


def test_wake_for_the_earliest(d):
    now = ms()
    d.add(job('a', due=now + 90000))
    assert d.marked('a')
    d.unmark('a')
    d.add(job('b', due=now + 95000))
    assert not d.marked('b'), 'later than the first, and not soon'
    d.add(job('b', due=now + 80000))
    assert d.marked('b'), 'earlier than all'
    d.add(job('c', due=now + 3000))
    d.add(job('d', due=now + 4000))
    assert d.marked('c') and d.marked('d'), \
        'due before a sleeping worker looks again'


def test_wakes_a_blocked_worker(d):
    w = tmq.Client(d.server)
    w.s.sendall(tmq.encode(('BZPOPMIN', d.k('h:x:wake'), d.k('h:email:wake'),
                            '20')))
    end = time.monotonic() + 10
    while b'blocked_clients:1' not in d.c('INFO', 'clients'):
        assert time.monotonic() < end
    d.add(job())
    eq(w.read()[:2], [d.k('h:email:wake'), b'w'])
    w.close()


def test_replay(d):
    now = ms()
    d.add(job(payload=b'{"a":1.10}', options=' t=5 k=9', priority=7))
    eq(d.s.replay(1, 0), [0, 2])
    one, two = d.s.get(1)[0], d.s.get(2)[0]
    eq(one[:13] + one[26:], two[:13] + two[26:])
    eq(d.s.replay(1, 1), [2, 0], 'not dead')
    eq(d.s.replay(9, 0), [3, 0])
    d.add(job(options=' s=%d' % (now - 5), due=now - 5))
    eq(d.s.replay(3, 0), [0, 4])
    eq(d.s.get(4)[0][:2], b'1-', 'no option is left')
    eq(d.s.get(4)[0][26:], b' email\n{}')
    d.add(job(options=' t=5 s=%d' % (now - 5), due=now - 5))
    eq(d.s.replay(5, 0), [0, 6])
    eq(d.s.get(6)[0][:2], b'1o')
    d.add(job(options=' i=60 s=%d' % (now - 90000), due=now - 90000))
    eq(d.s.replay(7, 0), [0, 8])
    eq(d.s.get(8)[0][:2], b'1p')
    eq(d.s.get(8)[0][26:], b' email i=60\n{}')
    far = now + 900000
    d.add(job('later', options=' s=%d' % far, due=far))
    d.unmark('later')
    eq(d.s.replay(9, 0), [0, 10])
    eq(d.due(10), far)
    eq(d.s.get(10)[0][26:], b' later s=%d\n{}' % far)
    d.add(job('e', retries='000'))
    i, t = d.take('e', worker=W)
    eq(d.fail(i, t), 0)
    eq(d.s.replay(i, 1), [0, i + 1])
    eq(d.state(i), 'F', 'the old one stays')
    eq(d.take('e')[0], i + 1)
