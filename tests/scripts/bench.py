#!/usr/bin/env python3
"""What the scripts cost on this machine. Not a test: prints figures.

`wall` is what one synchronous connection sees, this client included; `redis`
is what Redis itself spent in the scripts (INFO commandstats), which is the
limit a faster client comes near."""

import re
import sys
import time

import tmq

PAYLOAD = b'{"to":"someone@example.org","subject":"hello","n":' + b'1' * 48 + b'}'
HANDLER = 'send-email'
assert len(PAYLOAD) == 99 + 0 or True
WORKER = '0123456789abcdef'


def usec(c):
    text = c('INFO', 'commandstats').decode()
    m = re.search(r'cmdstat_evalsha:calls=(\d+),usec=(\d+)', text)
    return int(m.group(2)) if m else 0


class Timer:
    def __init__(self, c, what, jobs):
        self.c, self.what, self.jobs = c, what, jobs

    def __enter__(self):
        self.c('CONFIG', 'RESETSTAT')
        self.t = time.perf_counter()
        return self

    def __exit__(self, *exc):
        wall = time.perf_counter() - self.t
        inside = usec(self.c) / 1e6
        print('%-44s %9.0f jobs/s wall %9.0f redis' %
              (self.what, self.jobs / wall, self.jobs / inside), flush=True)


def enqueue(c, s, what, calls, groups, per_group, keyed=False):
    jobs = [tmq.job(HANDLER, PAYLOAD, priority=50)] * per_group
    body = tmq.encode(s.args('enqueue', groups,
                             *tmq.group(jobs) * groups))
    if keyed:
        bodies = [tmq.encode(s.args('enqueue', groups, *sum(
            (tmq.group(jobs, '0::k%d.%d' % (i, g)) for g in range(groups)),
            []))) for i in range(calls)]
    else:
        bodies = [body] * calls
    depth = 4
    with Timer(c, what, calls * groups * per_group):
        for i in range(min(depth, calls)):
            c.s.sendall(bodies[i])
        for i in range(calls):
            c.read()
            if i + depth < calls:
                c.s.sendall(bodies[i + depth])


def drain(c, s, what, batch, jobs, result=b'', handlers=(HANDLER,)):
    """Completes the last batch and claims the next in one write."""
    want = []
    for h in handlers:
        want += [h, batch]
    claim = tmq.encode(s.args('claim', WORKER, 'host:1', 30000, batch, *want))
    find = re.compile(rb'\$\d+\r\n(\d+)\r\n:\d+\r\n\$\d+\r\n1').findall
    token = done = 0
    ids = []
    with Timer(c, what, jobs):
        while done < jobs:
            out = claim
            if ids:
                head = b'*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n' \
                       b'$4\r\n{t}:\r\n' % (4 + 4 * len(ids),
                                            s.sha['complete'].encode())
                tail = b'\r\n$28\r\n%s\r\n$%d\r\n%s\r\n$0\r\n\r\n' % (
                    token, len(result), result)
                out = head + b''.join([b'$%d\r\n%s' % (len(i), i) + tail
                                       for i in ids]) + claim
            c.s.sendall(out)
            if ids:
                assert not any(c.read())
            n = int(c.f.readline()[1:])
            parts = [c.f.readline() for _ in range(4)]
            token = parts[3][:-2] + WORKER.encode()
            raw = b''
            left = (n - 3) // 3
            lines = []
            for _ in range(left):
                c.f.readline()
                lines.append(c.f.readline()[:-2])
                c.f.readline()
                size = int(c.f.readline()[1:])
                c.f.read(size + 2)
            ids = lines
            done += left
            if not left:
                break
        if ids:
            s.complete(*sum(([i, token, result, ''] for i in ids), []))
    assert done >= jobs, done


def fresh(c):
    c('FLUSHALL')


def main():
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tmq.Server() as server:
        c = tmq.Client(server)
        s = tmq.Scripts(c)
        n = int(200000 * scale)
        for round in range(2):
            fresh(c)
            enqueue(c, s, 'enqueue bulk, 1 group of 1000', n // 1000, 1, 1000)
            drain(c, s, 'complete+claim, batch 100', 100, n // 2)
            drain(c, s, 'complete+claim, batch 10', 10, n // 4)
            drain(c, s, 'complete+claim, batch 1000', 1000, n // 4)
            fresh(c)
            enqueue(c, s, 'enqueue, 32 groups of 1', n // 64, 32, 1)
            enqueue(c, s, 'enqueue, 4 groups of 1', n // 16, 4, 1)
            enqueue(c, s, 'enqueue, 1 group of 1', n // 16, 1, 1)
            enqueue(c, s, 'enqueue, 32 keyed groups of 1', n // 64, 32, 1,
                    True)
        fresh(c)
        enqueue(c, s, 'warm up', 1, 1, 1000)
        before = int(re.search(rb'used_memory:(\d+)',
                               c('INFO', 'memory')).group(1))
        enqueue(c, s, 'fill', 100, 1, 1000)
        after = int(re.search(rb'used_memory:(\d+)',
                              c('INFO', 'memory')).group(1))
        print('memory per waiting job (%d-byte payload, %d-char handler): '
              '%.0f bytes' % (len(PAYLOAD), len(HANDLER),
                              (after - before) / 1e5))


if __name__ == '__main__':
    main()
