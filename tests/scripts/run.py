#!/usr/bin/env python3
"""The scripts' tests: directed ones, and beside them, in a process of its own,
random operations against the model.

  run.py [--seed N] [--ops N] [NAME …]     NAME: only tests with it in theirs

Needs redis-server in the path (REDIS_SERVER names another); starts a private
one. Closing line: `N passed, N failed`."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import traceback

import random_ops
import test_bytes
import test_clock
import test_complete
import test_enqueue
import test_finished
import test_half_done
import test_lanes
import test_leases
import test_payloads
import test_read
import test_runs
import test_scripts
import test_unreadable
import tmq
from driver import Queue

MODULES = (test_enqueue, test_payloads, test_lanes, test_leases, test_runs,
           test_complete, test_finished, test_half_done, test_bytes,
           test_unreadable, test_clock, test_read, test_scripts)
SEED, OPS = 20261122, 20000


def directed(only):
    for module in MODULES:
        for name, test in vars(module).items():
            if name.startswith('test_') and (
                    not only or any(o in name for o in only)):
                yield name, test


def terminated(*_):
    """So that the server is ended, too; once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit('terminated')


def play(queue, a):
    queue.c('FLUSHALL')
    print('random operations: seed %d, %d of them' % (a.seed, a.ops),
          flush=True)
    start = time.monotonic()
    try:
        done, p = random_ops.play(queue.c, a.seed, a.ops)
    except Exception:
        print('FAILED random operations')
        traceback.print_exc(file=sys.stdout)
        return False
    print('  %.0f s; %s' % (time.monotonic() - start, ', '.join(
        '%s %d' % x for x in sorted(done.items()))))
    print('  jobs %d (seen in packs: %d, leases of several: %d), %s' % (
        p.m.seq, p.packed, p.together, ', '.join(
            '%s %d' % x for x in sorted(p.m.stats.items()))))
    return True


def beside(a):
    """The random operations in another process, when there is more to run."""
    if a.only or a.first or not a.ops:
        return None
    return subprocess.Popen(
        ['setpriv', '--pdeathsig', 'TERM', '--', sys.executable,
         os.path.abspath(__file__), '--seed', str(a.seed), '--ops',
         str(a.ops), 'random'], stdout=subprocess.PIPE, text=True)


def told(process):
    """Prints what it said; its numbers of passed and failed."""
    if process is None:
        return 0, 0
    text = process.communicate()[0]
    counts = re.search(r'(\d+) passed, (\d+) failed\s*\Z', text)
    if not counts or (process.returncode == 0) != (counts[2] == '0'):
        print(text + 'FAILED random operations: status %d'
              % process.returncode)
        return 0, 1
    print(text[:counts.start()], end='')
    return int(counts[1]), int(counts[2])


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--seed', type=int, default=SEED)
    p.add_argument('--ops', type=int, default=OPS)
    p.add_argument('--first', action='store_true', help='stop at a failure')
    p.add_argument('only', nargs='*')
    a = p.parse_args()
    signal.signal(signal.SIGTERM, terminated)
    passed = failed = 0
    other = beside(a)
    with tmq.Server('--enable-debug-command', 'yes') as server:
        queue = Queue(server)
        for name, test in directed(a.only):
            queue.c('FLUSHALL')
            try:
                test(queue)
                passed += 1
            except Exception:
                failed += 1
                print('FAILED', name)
                traceback.print_exc(file=sys.stdout)
                if a.first:
                    break
        if not other and a.ops and not (a.first and failed) and (
                not a.only or any(o in 'random' for o in a.only)):
            ok = play(queue, a)
            passed, failed = passed + ok, failed + (not ok)
    ok, bad = told(other)
    passed, failed = passed + ok, failed + bad
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
