#!/usr/bin/env python3
"""What the scripts cost on this machine. Not a test: prints figures.

  bench.py [ROUNDS]

Each round does everything once, so that a noisy neighbour meets all alike.
`wall` is what one connection with this Python client sees; `cpu` is jobs per
second of processor time that Redis spent, the limit a faster client comes
near. `x ref` is cpu against a plain script in the same round (INCR, HSET of 6
fields, ZADD, HINCRBY per call, pipelined by 32): that ratio is what to compare
between machines. Medians over the rounds."""

import itertools
import re
import statistics
import sys
import time

import tmq

HANDLER, WORKER = 'send-email', '0123456789abcdef'
CLAIMS = itertools.count(1)
REF = b"""local id = redis.call('INCR', KEYS[1] .. 'seq')
redis.call('HSET', KEYS[1] .. 'j:' .. id, 'h', 'email', 'p', '10', 's', 'P',
           'c', '123', 'payload', ARGV[1], 'a', '0')
redis.call('ZADD', KEYS[1] .. 'ready', id, id)
redis.call('HINCRBY', KEYS[1] .. 'stats', 'n', 1)
return id"""


def payload(i):
    return b'{"to":"someone@example.org","subject":"hello","n":%049d}' % i


class Bench:
    def __init__(self, server):
        self.server = server
        self.c = tmq.Client(server)
        self.s = tmq.Scripts(self.c)
        self.figures = {}
        ref = self.c('SCRIPT', 'LOAD', REF)
        self.ref = [tmq.encode(('EVALSHA', ref, 1, '{q}:', payload(1)))] * 640
        self.bulk = [self.call(1, 1000, b) for b in range(20)]
        self.by32 = [self.call(32, 1, b) for b in range(100)]
        self.keyed = [self.call(32, 1, b, '0::%d') for b in range(100)]
        self.single = [self.call(1, 1, b) for b in range(1000)]

    def call(self, groups, per_group, seed, key=''):
        args, n = [], seed * groups * per_group
        for g in range(groups):
            jobs = [tmq.job(HANDLER, payload(n + i), priority=50)
                    for i in range(per_group)]
            n += per_group
            args += tmq.group(jobs, key % n if key else '')
        return tmq.encode(self.s.args('enqueue', *args))

    def timed(self, what, jobs, work, *args):
        wall, cpu = time.perf_counter(), self.server.cpu_ms()
        work(*args)
        cpu = (self.server.cpu_ms() - cpu) / 1000
        wall = time.perf_counter() - wall
        self.figures.setdefault(what, []).append((jobs / wall, jobs / cpu))

    def send(self, calls, depth):
        for at in range(0, len(calls), depth):
            part = calls[at:at + depth]
            self.c.s.sendall(b''.join(part))
            for _ in part:
                reply = self.c.read()
                assert reply is not None

    def drain(self, batch, jobs):
        """Completes the last batch and claims the next in one write."""
        f, done, ids, token = self.c.f, 0, [], b''
        sha = self.s.sha['complete'].encode()
        while done < jobs or ids:
            out = b''
            if ids:
                head = b't%s%d' % (token, len(ids))
                out = (b'*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n'
                       b'$4\r\n{t}:\r\n$%d\r\n%s\r\n'
                       % (5 + 2 * len(ids), sha, len(head), head)
                       + b''.join([b'$%d\r\n%s\r\n$0\r\n\r\n' % (len(i), i)
                                   for i in ids]))
            more = done < jobs
            if more:
                claimed = ('%012x' % next(CLAIMS) + WORKER).encode()
                out += tmq.encode(self.s.args(
                    'claim', claimed, 'host:1', 30000, batch, 1, HANDLER,
                    batch))
            self.c.s.sendall(out)
            if ids:
                n = int(f.readline()[1:])
                assert f.read(4 * n) == b':0\r\n' * n
                ids = []
            if more:
                n = (int(f.readline()[1:]) - 2) // 3
                f.readline(), f.readline()
                token = claimed
                for _ in range(n):
                    f.readline()
                    ids.append(f.readline()[:-2])
                    f.readline()
                    f.read(int(f.readline()[1:]) + 2)
                done += n
                assert n

    def round(self):
        self.c('FLUSHALL')
        self.timed('reference script', 640, self.send, self.ref, 32)
        self.timed('enqueue, 1 group of 1000', 20000, self.send, self.bulk, 2)
        self.timed('enqueue, 32 groups of 1', 3200, self.send, self.by32, 4)
        self.timed('enqueue, 32 keyed groups of 1', 3200, self.send,
                   self.keyed, 4)
        self.timed('enqueue, 1 group of 1', 1000, self.send, self.single, 32)
        for batch, jobs in ((10, 3000), (100, 10000), (1000, 10000)):
            self.timed('complete + claim, batch %d' % batch, jobs, self.drain,
                       batch, jobs)

    def memory(self):
        """Bytes per waiting job, over 100,000."""
        self.c('FLUSHALL')
        self.c.s.sendall(self.bulk[0])
        self.c.read()
        used = [int(re.search(rb'used_memory:(\d+)',
                              self.c('INFO', 'memory')).group(1))]
        for i in range(100):
            self.c.s.sendall(self.bulk[i % 20])
            self.c.read()
        used.append(int(re.search(rb'used_memory:(\d+)',
                                  self.c('INFO', 'memory')).group(1)))
        return (used[1] - used[0]) / 1e5


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tmq.Server() as server:
        b = Bench(server)
        for _ in range(rounds):
            b.round()
        ref = [cpu for _, cpu in b.figures['reference script']]
        print('%-32s %12s %12s %8s' % ('jobs/s', 'wall', 'cpu', 'x ref'))
        for what, got in b.figures.items():
            print('%-32s %12.0f %12.0f %8.2f' % (
                what, statistics.median(w for w, _ in got),
                statistics.median(c for _, c in got),
                statistics.median(c / r for (_, c), r in zip(got, ref))))
        print('memory per waiting job (%d-byte payload, %d-char handler): '
              '%.0f bytes' % (len(payload(0)), len(HANDLER), b.memory()))


if __name__ == '__main__':
    main()
