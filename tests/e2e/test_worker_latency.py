"""A worker with nothing to do says nothing and is awake in a moment; an outcome
does not wait for others."""

import calendar
import os
import statistics
import sys
import time
import unittest

from desk import Desk
from harness import SLOW, wait_for
from listener import Listener

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "scripts"))
import tmq  # noqa: E402  (the scripts' text)

ALONE = True
ROUNDS = 6              # a quiet moment is needed, a busy machine has few


def soon(test, late):
    """late(): the median of some delays, in ms. Under 5 once."""
    seen = []
    while len(seen) < ROUNDS:
        seen.append(late())
        if seen[-1] < 5 * SLOW:
            return
    test.fail("ms: %r" % seen)


class Outcomes(unittest.TestCase):

    def test_one_alone_is_told_at_once(self):
        """From the handler's answer to its outcome in Redis."""
        with Desk(handlers={"t": {"instances": 1}}, aof=False) as s:
            s.worker("--concurrency", 100)

            def late():
                out = []
                for _ in range(15):
                    job = s.add("t", {})
                    end = s.wait_done(job)["finished_at"]
                    whole = time.strptime(end[:19], "%Y-%m-%dT%H:%M:%S")
                    mark = [m for m in s.marks() if m["what"] == "end"][-1]
                    out.append(calendar.timegm(whole) * 1000
                               + int(end[20:23]) - mark["t"] * 1000)
                return statistics.median(out)

            soon(self, late)


class Idle(unittest.TestCase):

    def setUp(self):
        self.s = Desk(handlers={"t%02d" % i: {"instances": 1}
                                for i in range(12)}, aof=False)
        self.addCleanup(self.s.close)
        self.w = self.s.worker()
        for i in range(12):
            self.s.wait_done(self.s.add("t%02d" % i, {}))

    def blocked(self):
        return " cmd=bzpopmin" in self.s.redis(
            "CLIENT", "LIST").decode() and "flags=b" in self.s.redis(
            "CLIENT", "LIST").decode()

    def test_wakes_in_under_5_ms(self):
        """From the enqueue to the handler's first line, through Redis, worker
        and pipe."""
        redis = tmq.Client(self.s)
        self.addCleanup(redis.close)
        scripts = tmq.Scripts(redis)

        def late():
            out = []
            for i in range(12):
                wait_for(self.blocked, 10, "the worker sleeps in Redis")
                job = [1] + tmq.group([tmq.job("t%02d" % i,
                                               '{"name":"late"}')])
                done = self.s.stat("success")
                t = time.time()
                redis("EVALSHA", scripts.sha["enqueue"], 1, self.s.key(""),
                      *job)
                wait_for(lambda: self.s.stat("success") > done, 10)
                mark = [m for m in self.s.marks() if m["name"] == "late"
                        and m["what"] == "start"][-1]
                out.append((mark["t"] - t) * 1000)
            return statistics.median(out)

        soon(self, late)

    def test_says_next_to_nothing(self):
        """Awake by Redis, not by asking again and again."""
        wait_for(self.blocked, 10)
        seen = Listener(self.s)
        end = time.monotonic() + 3
        wait_for(lambda: time.monotonic() > end, 10)
        self.assertLess(len(seen.commands), 10, seen.commands)


if __name__ == "__main__":
    unittest.main()
