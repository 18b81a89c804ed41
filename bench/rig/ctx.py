"""Ctx: one measurement of one system: a temporary folder, the processes in it,
and what they cost. Nothing in it outlives it."""

import os
import shutil
import signal
import tempfile
import time

from .proc import Failed, Proc, wait_for
from .resp import Redis, free_port  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# Which CPUs a role gets. One: the part under test has one CPU, everything else
# the other. Two: whoever needs a CPU takes it.
PLACES = {
    "one": {"front": 0, "worker": 0, "store": 1, "load": 1},
    "two": {"front": None, "worker": None, "store": None, "load": None},
}


class Result:
    """value in the work's unit; jobs: how many were done while CPU time was
    measured; more: other figures by name."""

    def __init__(self, value, jobs=None, **more):
        self.value, self.jobs, self.more = value, jobs, more
        self.cpu, self.peak_kb, self.commands = {}, {}, []


class Ctx:
    def __init__(self, opt, aof=False, place="one"):
        self.opt, self.aof = opt, aof
        self.place = PLACES[place]
        self.dir = tempfile.mkdtemp(prefix="taskmq-bench-")
        self.procs = []
        self.before = {}
        self.commands = []
        self.result = None
        self._redis = None

    # ---- folder ----

    def path(self, name, text=None):
        p = os.path.join(self.dir, name)
        if text is not None:
            with open(p, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        return p

    # ---- processes ----

    def start(self, role, name, argv, env=None, cwd=None, cpus="role"):
        log = self.path("%s-%d.log" % (name, len(self.procs)))
        p = Proc(role, name, argv, self.place[role] if cpus == "role"
                 else cpus, log, env=env, cwd=cwd or self.dir)
        self.procs.append(p)
        self.commands.append(p.command)
        return p

    def redis_server(self, *args):
        self.sock = self.path("redis.sock")
        p = self.start("store", "redis-server", [
            "redis-server", "--port", "0", "--unixsocket", self.sock,
            "--dir", self.dir, "--save", "", "--daemonize", "no",
            "--appendonly", "yes" if self.aof else "no",
            "--appendfsync", "everysec", *args])
        wait_for(lambda: self.redis("PING") == "PONG", 10, "Redis answers", p)
        return p

    def redis(self, *args):
        if self._redis is None:
            self._redis = Redis(self.sock)
        return self._redis(*args)

    @property
    def conn(self):
        self.redis("PING")
        return self._redis

    # ---- measuring ----

    def mark(self):
        """From here on CPU time counts."""
        self.before = {p: p.cpu() for p in self.procs}

    def done(self, result):
        """The end of what mark() began."""
        for p in self.procs:
            if p.alive():
                role = result.cpu.get(p.role, 0)
                result.cpu[p.role] = role + p.cpu() - self.before.get(p, 0)
                role = result.peak_kb.get(p.role, 0)
                result.peak_kb[p.role] = role + p.peak_kb()
        result.commands = [c.replace(self.dir, "$DIR").replace(ROOT, "$SRC")
                           for c in self.commands]
        return result

    def drained(self, left, total, start, timeout=None):
        """Starts a worker on a loaded queue and follows it to the end.
        left(): jobs not done. The rate is counted from the first sign of
        progress to the end, so that starting up does not count."""
        proc = start()
        self.mark()
        limit = timeout or self.opt.drain_timeout
        end = time.monotonic() + limit
        first = None
        while True:
            n = left()
            now = time.perf_counter()
            if first is None and n < total:
                first = (now, total - n)
                self.mark()
            if n == 0:
                break
            if not proc.alive():
                raise Failed("%s ended with %d jobs left: %s" % (
                    proc.name, n, proc.tail()))
            if time.monotonic() > end:
                raise Failed("%d of %d jobs left after %d s: %s" % (
                    n, total, limit, proc.tail()))
            time.sleep(0.005)
        if first is None or first[1] > 0.5 * total:
            raise Failed("%d jobs are too few: half were done before the "
                         "first look" % total)
        jobs = total - first[1]
        return self.done(Result(jobs / (now - first[0]), jobs))

    # ---- the end ----

    def close(self):
        if self._redis is not None:
            self._redis.close()
            self._redis = None
        for p in reversed(self.procs):
            p.stop(signal.SIGTERM if p.role != "store" else signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
