"""Markers: one wakes one worker, so whoever takes one sees to the next. A
marker that is dropped costs a sleeping worker up to 5 s, never a job; here
every sleep has just begun, so that its end cannot hide such a loss."""

import os
import re
import sys
import unittest

from cli_stack import CliStack
from harness import ROOT, SLOW, wait_for
from layout import field
from redis_monitor import RedisMonitor

sys.path.insert(0, os.path.join(ROOT, "tests", "scripts"))
import tmq  # noqa: E402  (the scripts' text)

SOON_MS = 1000 * SLOW           # of the 5 s that a sleep lasts


class Markers(unittest.TestCase):

    def setUp(self):
        self.s = CliStack(handlers={h: {"instances": 1} for h in "abc"},
                          aof=False)
        self.addCleanup(self.s.close)
        self.redis = tmq.Client(self.s)
        self.addCleanup(self.redis.close)
        self.enqueue = tmq.Scripts(self.redis).sha["enqueue"]
        self.seen = RedisMonitor(self.s)

    def adding(self, *handlers, until="end"):
        """The command that adds jobs in one call; they run until end()."""
        jobs = [tmq.job(h, '{"until":"%s"}' % self.s.path(until))
                for h in handlers]
        return ["EVALSHA", self.enqueue, 1, self.s.key("")] \
            + tmq.group(jobs)

    def end(self, until="end"):
        self.s.path(until, b"")

    def sleeper(self, w):
        """The id of its connection that sleeps in Redis, or None."""
        for line in self.s.redis("CLIENT", "LIST").decode().splitlines():
            f = dict(word.split("=", 1) for word in line.split())
            if f["cmd"] == "bzpopmin" and "b" in f["flags"] \
                    and f["name"].endswith(":%d" % w.pid):
                return f["id"]
        return None

    def sleeps(self, w):
        """What it has waited for, sleep by sleep: lists of handlers."""
        own = "w:%s:wake" % re.search(r" id=([0-9a-f]{16}) ", w.tail())[1]
        return [[key.split(":")[2] for key in c[2:-1]]
                for c in list(self.seen.commands)
                if c[0] == "BZPOPMIN" and c[1].endswith(own)]

    def sleep_anew(self, w, handlers):
        """Ends its sleep. The next one has 5 s before it, and a marker goes
        to those who went on sleeping first."""
        def asleep(after):
            seen = self.sleeps(w)
            return len(seen) > after and seen[-1] == list(handlers) \
                and self.sleeper(w)

        connection = wait_for(lambda: asleep(0), 10, "it sleeps")
        before = len(self.sleeps(w))
        self.assertEqual(self.s.redis("CLIENT", "UNBLOCK", connection), 1)
        wait_for(lambda: asleep(before), 10, "it sleeps again")

    def waited_ms(self, *ids):
        """From the jobs' making to their starts, in Redis' time."""
        def records():
            got = self.s.redis("MGET", *(self.s.key("r:%d" % i)
                                         for i in ids))
            return None not in got and got

        started = [int(field(r, "RUN_STARTED"))
                   for r in wait_for(records, 20, "all run")]
        made = [int(field(r, "JOB_CREATED")) for r in self.s.redis(
            "MGET", *(self.s.key("j:%d" % i) for i in ids))]
        return [b - a for a, b in zip(made, started)]

    def left_over(self, *handlers):
        """As many jobs as there are workers of one slot each, in one call:
        each that takes one of them wakes the next worker."""
        workers = [self.s.worker("--concurrency", 1) for _ in handlers]
        for w in workers:
            self.sleep_anew(w, "abc")
        first = self.redis(*self.adding(*handlers))[0]
        late = self.waited_ms(*range(first, first + len(handlers)))
        self.end()
        self.assertLess(max(late), SOON_MS, late)

    def test_jobs_of_one_handler_wake_all_who_serve_it(self):
        self.left_over("b", "b", "b")

    def test_jobs_of_two_handlers_wake_all_who_serve_them(self):
        self.left_over("a", "c", "a", "a")

    def test_a_full_worker_passes_a_marker_on(self):
        """One that sleeps for a job it has no slot for any more, because it
        filled the slot when another job ended."""
        s = self.s
        full = s.worker("--concurrency", 2)
        s.write_handlers({"b": {"instances": 1}})
        idle = s.worker("--concurrency", 1)
        [first] = self.redis(*self.adding("c", until="first"))
        self.waited_ms(first)
        self.sleep_anew(full, "ab")

        # two jobs of which it is not told, as if another worker had taken the
        # marker and then died; it looks when its job ends, and goes on
        # sleeping for "a" and "b"
        for command in (["MULTI"], self.adding("a", "c"),
                        ["ZREM", s.key("h:a:wake"), "w"], ["EXEC"]):
            self.redis(*command)
        self.end("first")
        self.waited_ms(first + 1, first + 2)
        self.sleep_anew(idle, "b")
        before = self.sleeps(full)

        [last] = self.redis(*self.adding("b"))
        late = self.waited_ms(last)
        self.assertLess(late[0], SOON_MS)
        # it was the one that was woken: it waits for no handler now
        wait_for(lambda: self.sleeps(full) == before + [[]], 10,
                 "the full worker had the marker")
        self.end()


if __name__ == "__main__":
    unittest.main()
