"""A worker with nothing to do says nothing and is awake in a moment; an outcome
does not wait for others."""

import calendar
import itertools
import os
import sys
import time
import unittest

from cli_stack import CliStack
from harness import SLOW, wait_for
from redis_monitor import RedisMonitor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "scripts"))
import tmq  # noqa: E402  (the scripts' text)

ALONE = True
TIMES = 25


def soon(test, s, late):
    """late() does something and returns its delay, in ms. Nine of ten are
    under 5, at the first round; only what the machine gave to others meanwhile
    does not count."""
    seen = []
    for _ in range(TIMES):
        before = s.waited()
        delay = late()
        seen.append(delay - 1000 * max(0, s.waited() - before))
    test.assertLess(sorted(seen)[TIMES * 9 // 10], 5 * SLOW, sorted(seen))


class Outcomes(unittest.TestCase):

    def test_one_alone_is_told_at_once(self):
        """From the handler's answer to its outcome in Redis."""
        with CliStack(handlers={"t": {"instances": 1}}, aof=False) as s:
            s.worker("--concurrency", 100)

            def late():
                end = s.wait_done(s.add("t", {}))["finished_at"]
                whole = time.strptime(end[:19], "%Y-%m-%dT%H:%M:%S")
                mark = [m for m in s.marks() if m["what"] == "end"][-1]
                return calendar.timegm(whole) * 1000 + int(end[20:23]) \
                    - mark["t"] * 1000

            late()                      # its interpreter starts
            soon(self, s, late)


class Idle(unittest.TestCase):

    def setUp(self):
        self.s = CliStack(handlers={"t%02d" % i: {"instances": 1}
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

        numbers = itertools.cycle(range(12))

        def late():
            wait_for(self.blocked, 10, "the worker sleeps in Redis")
            job = tmq.group([tmq.job("t%02d" % next(numbers),
                                     '{"name":"late"}')])
            done = self.s.stat("success")
            t = time.time()
            redis("EVALSHA", scripts.sha["enqueue"], 1, self.s.key(""), *job)
            wait_for(lambda: self.s.stat("success") > done, 10)
            mark = [m for m in self.s.marks() if m["name"] == "late"
                    and m["what"] == "start"][-1]
            return (mark["t"] - t) * 1000

        soon(self, self.s, late)

    def test_says_next_to_nothing(self):
        """Awake by Redis, not by asking again and again."""
        wait_for(self.blocked, 10)
        seen = RedisMonitor(self.s)
        end = time.monotonic() + 3
        wait_for(lambda: time.monotonic() > end, 10)
        self.assertLess(len(seen.commands), 10, seen.commands)


if __name__ == "__main__":
    unittest.main()
