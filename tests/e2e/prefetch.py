"""What the tests of prefetch share: a handler of one process, a gate that its
first task waits for, and the account of what was held and what began."""

import time
import unittest

from desk import Desk
from harness import wait_for


class Base(unittest.TestCase):

    def desk(self, lease=None, **keys):
        """One handler "t", the tests' own, unless keys say otherwise."""
        conf = dict({"instances": 1, "prefetch": 20}, **keys)
        s = Desk(handlers={"t": conf}, lease=lease, aof=False)
        self.addCleanup(s.close)
        return s

    def gate(self, s, **data):
        """Data of a task that goes on when open(gate) was called."""
        return dict(data, until=s.path("gate"))

    def open(self, s):
        s.path("gate", b"")

    def worker(self, s, *args):
        """One that claims in one call all that it has places for."""
        return s.worker(*args, env={"DAEMON_BATCH_SIZE": "1000"})

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
