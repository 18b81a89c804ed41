#!/usr/bin/env python3
"""Many jobs through HTTP with a fault every few seconds, and the account: how
many were accepted, lost, run twice, ended wrong. Prints it as a table; the
exit status is 0 when all is as promised.

    tests/fault/million.py [--jobs 20000] [--faults 24] [--seed 1]
    tests/fault/million.py --jobs 1000000 --faults 96 --every 4 --bulk 100

Real nginx (2 workers), Redis (AOF, appendfsync always) and 2 workers with
child processes, in a folder of their own; BUILD says where the parts are.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "e2e"))

from harness import Redis, Stack, wait_for  # noqa: E402
from ledger import (Clients, Ledger, handlers, kill_worker,  # noqa: E402
                    start_worker)
from redis_state import counter  # noqa: E402

LEASE = 8
AHEAD = 20000            # clients wait when so many jobs are not done yet


class Run:

    def __init__(self, o):
        self.ledger = Ledger(o.jobs)
        self.every, self.at_least, self.bulk = o.every, o.faults, o.bulk
        self.random = random.Random(o.seed)
        self.done = {}           # fault -> how often
        s = self.s = Stack(nginx_workers=2, lease=LEASE, server="""
            taskmq_redis_timeout 2s;
            keepalive_requests 100000;
            client_body_buffer_size 64k;
        """)
        s.write_handlers(handlers(s.dir, instances=16))
        s.path("marks", b"")
        # what the faults provoke: "worker process … exited on signal 9"
        s.allowed = [r"exited on signal 9"]
        self.workers = [self.worker() for _ in range(2)]
        self.faults = [self.worker_killed, self.nginx_worker_killed,
                       self.nginx_reloaded, self.redis_killed,
                       self.redis_stopped, self.redis_stopped_long,
                       self.connections_killed, self.scripts_flushed,
                       self.redis_paused, self.redis_full,
                       self.worker_stopped, self.worker_ended]

    def worker(self):
        # the disk decides how long a call takes: many jobs per call
        return start_worker(self.s, "--grace", 10, concurrency=64,
                            DAEMON_BATCH_SIZE="64")

    # ---- the faults ----

    def worker_killed(self):
        "worker: kill -9"
        i = self.random.randrange(len(self.workers))
        kill_worker(self.s, self.ledger, self.workers[i])
        self.workers[i] = self.worker()

    def worker_stopped(self):
        "worker: stopped for 1 s"
        w = self.random.choice(self.workers)
        w.signal(signal.SIGSTOP)
        self.pause(1)
        w.signal(signal.SIGCONT)

    def worker_ended(self):
        "worker: TERM, replaced"
        i = self.random.randrange(len(self.workers))
        old = self.workers[i]
        self.workers[i] = self.worker()
        if old.stop(60) != 0:
            raise AssertionError(old.tail())

    def children(self):
        pid = self.s.nginx.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]

    def nginx_worker_killed(self):
        "nginx worker: kill -9"
        os.kill(self.random.choice(self.children()), signal.SIGKILL)
        wait_for(lambda: len(self.children()) >= 2, 20, "nginx' workers")

    def nginx_reloaded(self):
        "nginx: reloaded (HUP)"
        old = set(self.children())
        self.s.nginx.signal(signal.SIGHUP)
        wait_for(lambda: not old & set(self.children()), 60,
                 "the old nginx workers are gone")

    def redis_killed(self):
        "Redis: kill -9, started again"
        s = self.s
        s.server.kill()
        s.server = s.start("redis", s.redis_argv)
        s._redis = None

        def up():
            if not s.server.alive():
                raise AssertionError(s.server.tail())
            try:
                return s.redis("PING") == "PONG"
            except (OSError, RuntimeError):     # not there, or loading
                s._redis = None
                return False

        wait_for(up, 300, "Redis has loaded its file")

    def redis_stopped(self):
        "Redis: stopped for 1 s"
        self.s.server.signal(signal.SIGSTOP)
        self.pause(1)
        self.s.server.signal(signal.SIGCONT)

    def redis_stopped_long(self):
        "Redis: stopped for 3 s (over the time of a call)"
        self.s.server.signal(signal.SIGSTOP)
        self.pause(3)
        self.s.server.signal(signal.SIGCONT)

    def connections_killed(self):
        "Redis: CLIENT KILL"
        self.s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def scripts_flushed(self):
        "Redis: SCRIPT FLUSH"
        self.s.redis("SCRIPT", "FLUSH")

    def redis_paused(self):
        "Redis: CLIENT PAUSE 500"
        self.s.redis("CLIENT", "PAUSE", "500", "ALL")

    def redis_full(self):
        "Redis: full for 1 s"
        self.s.redis("CONFIG", "SET", "maxmemory", "1")
        self.pause(1)
        self.s.redis("CONFIG", "SET", "maxmemory", "0")

    def pause(self, seconds):
        """How long a fault lasts, or how long there is none."""
        time.sleep(seconds)

    # ---- the run ----

    def fault(self, f):
        f()
        self.done[f.__doc__] = self.done.get(f.__doc__, 0) + 1
        self.pace()

    def pace(self):
        """The jobs are spread over the faults: no fault comes too late."""
        n = sum(self.done.values()) + 1
        self.ledger.open = self.ledger.total * n // self.at_least

    def watch(self, stop):
        """Lets the clients know how far the workers are."""
        redis = None
        while not stop.is_set():
            try:
                if redis is None:
                    redis = Redis(self.s.sock)
                self.ledger.finished = counter(
                    redis, self.s.key("stats"), "success")
            except (OSError, RuntimeError, ValueError):
                redis = None
            stop.wait(0.05)

    def run(self):
        stop = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(stop,),
                                   daemon=True)
        watcher.start()
        clients = Clients(self.s, self.ledger, size=self.bulk, resets=0.002,
                          ahead=AHEAD, slow=50)
        self.pace()
        began = shown = time.monotonic()
        clients.start()
        todo = []
        try:
            while clients.alive():
                if not todo:
                    todo = self.faults[:]
                    self.random.shuffle(todo)
                self.pause(self.every)
                self.fault(todo.pop())
                if time.monotonic() - shown > 10:
                    shown = time.monotonic()
                    print("  %4d s: %d of %d jobs asked for, %d done, %d "
                          "faults" % (shown - began, self.ledger.next,
                                      self.ledger.total, self.ledger.finished,
                                      sum(self.done.values())), flush=True)
            clients.join()
        finally:
            stop.set()
            watcher.join()
        self.ledger.drain(self.s)
        self.took = time.monotonic() - began
        return self.ledger.verify(self.s)

    def close(self):
        self.s.close()


def table(run, sums):
    def rows():
        yield "accepted (200)", sums["accepted"]
        yield "of these lost", sums["lost"]
        yield "of these never run", sums["not run"]
        yield "ended other than succeeded", sums["ended wrong"]
        yield "stored twice for one request", sums["stored twice"]
        yield "run more than once", sums["run twice"]
        yield "of these not in flight when their worker was killed", \
            sums["run twice, not in flight"]
        yield "in flight when their worker was killed", \
            len(run.ledger.in_flight)
        yield "outcome unknown to the client (504 or connection lost, no " \
            "Idempotency-Key)", sums["unknown"]
        yield "of these stored", sums["unknown, stored"]
        yield "requests", sums["requests"]
        yield "of these refused (503) and repeated", sums["refused"]
        yield "of these reset by the client", sums["reset"]
        for name, n in sorted(run.done.items()):
            yield name, n

    yield "| | |"
    yield "|---|---:|"
    for name, n in rows():
        yield "| %s | %s |" % (name, format(n, ","))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--jobs", type=int, default=20000)
    p.add_argument("--faults", type=int, default=24, help="at least")
    p.add_argument("--every", type=float, default=1,
                   help="seconds between faults")
    p.add_argument("--bulk", type=int, default=20,
                   help="jobs in a request of half of the clients")
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    run = Run(o)
    try:
        sums = run.run()
    finally:
        run.close()
    print("\n".join(table(run, sums)))
    print("%d jobs in %d s, %d faults" % (
        sums["stored"], run.took, sum(run.done.values())))
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
