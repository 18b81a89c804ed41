"""What the tests of prefetch share: a handler of one process, a gate that its
first task waits for, and the account of what was held and what began."""

import os
import sys
import time
import tomllib
import unittest

from cli_stack import CliStack
from harness import ROOT, wait_for

STEP = [sys.executable, os.path.join(ROOT, "tests", "e2e",
                                     "step_handler.py")]


class Warmed(CliStack):
    """Its accounts leave the jobs of warm() out."""
    warmed = 0

    def stat(self, name):
        return super().stat(name) - (self.warmed if name == "success" else 0)

    def marks(self):
        return [m for m in super().marks() if m["name"] != "warm"]

    def warm(self, start):
        """Starts a worker. Before all other jobs each process with a prefetch
        has one, whose answer shows that it carries the task's id."""
        with open(self.toml, "rb") as f:
            handlers = tomllib.load(f)["handlers"]
        before = len(super().marks())
        gate, jobs, starts = self.path("warm%d" % self.warmed), [], 0
        for name, conf in handlers.items():
            if conf.get("prefetch") and "command" in conf:
                jobs += [self.add(name, {"name": "warm", "until": gate},
                                  priority=100)
                         for _ in range(conf["instances"])]
                if conf["command"][1:2] != STEP[1:]:
                    starts += conf["instances"]
        w = start()
        wait_for(lambda: len([m for m in super(Warmed, self).marks()[before:]
                              if m["name"] == "warm"]) == starts, 20,
                 "each process has a task")
        with open(gate, "wb"):
            pass
        for job in jobs:
            self.wait_done(job)
        self.warmed += len(jobs)
        return w


class Base(unittest.TestCase):

    def stack(self, lease=None, **keys):
        """One handler "t", the tests' own, unless keys say otherwise."""
        return self.stack_of({"t": dict({"instances": 1, "prefetch": 20},
                                        **keys)}, lease)

    def stack_of(self, handlers, lease=None):
        s = Warmed(handlers=handlers, lease=lease, aof=False)
        self.addCleanup(s.close)
        return s

    def gate(self, s, **data):
        """Data of a task that goes on when open(gate) was called."""
        return dict(data, until=s.path("gate"))

    def open(self, s):
        s.path("gate", b"")

    def cold(self, s, *args):
        """A worker that claims in one call all that it has places for."""
        return s.worker(*args, env={"DAEMON_BATCH_SIZE": "1000"})

    def worker(self, s, *args):
        """And that may write ahead to each of its processes."""
        return s.warm(lambda: self.cold(s, *args))

    def held(self, s):
        return len(s.leased())

    def started(self, s, name):
        return [m for m in s.marks() if m["what"] == "start"
                and m["name"] == name]

    def wait_held(self, s, n):
        """So many are held, and it stays at that."""
        wait_for(lambda: self.held(s) == n, 10, "%d are held" % n)
        seen = s.stat("success")
        time.sleep(0.1)
        self.assertEqual((self.held(s), s.stat("success")), (n, seen))

    def finished(self, s, n, timeout=30):
        """All have ended, each once."""
        wait_for(lambda: s.stat("success") + s.stat("failed")
                 + s.stat("cancelled") >= n, timeout, "all jobs")
        wait_for(lambda: self.held(s) == 0, 10)
        self.assertEqual(s.stat("success") + s.stat("failed")
                         + s.stat("cancelled"), n)
        self.assertEqual(s.redis("ZCARD", s.key("scheduled")), 0)
        self.assertEqual((s.waiting("t"), s.counted("t")), ([], (0, 0)))

    def once(self, s, names):
        """These began once, as first attempts."""
        for name in names:
            self.assertEqual([m["attempt"] for m in self.started(s, name)],
                             [1], name)

    def counted(self, s, retries=0, crashes=0):
        self.assertEqual((s.stat("retries"), s.stat("crashes")),
                         (retries, crashes))

    def fill(self, s, head, *args, **fields):
        """A worker with a head, 20 jobs behind it, and as many that wait in
        Redis."""
        first = s.add("t", head, **fields)
        ids = s.add_many("t", [{"name": "b%d" % i} for i in range(40)])
        w = self.worker(s, *args)
        self.wait_held(s, 21)
        wait_for(lambda: self.started(s, head["name"]), 10)
        return w, first, ids

    def rest(self, s, ids, n, retries=0):
        """The others ran as if nothing had been, in order."""
        self.finished(s, n)
        self.counted(s, retries)
        names = ["b%d" % i for i in range(len(ids))]
        self.once(s, names)
        self.assertEqual([m["name"] for m in s.marks()
                          if m["what"] == "start" and m["name"] in names],
                         names)
