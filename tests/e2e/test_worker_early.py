"""Answers that come before a task was read are no task's, whatever is under way
just then; and a program that gives them is not started over and over."""

import sys
import time
import unittest

from cli_stack import CliStack
from harness import wait_for

# Answers before it reads anything.
GREETS = ["sh", "-c", "echo '{\"status\":\"success\"}'; exec cat >/dev/null"]
# Answers each task twice: with what the task says, then with something else.
TWICE = [sys.executable, "-uc", """
import json, sys, time
while True:
    n = json.loads(sys.stdin.readline())["task_data"]["n"]
    print('{"status":"success","result":%d}' % n)
    time.sleep(%(pause)s)
    print('{"status":"success","result":"late"}')
    time.sleep(0.05)
"""]


def twice(pause):
    return TWICE[:2] + [TWICE[2].replace("%(pause)s", str(pause))]


class Early(unittest.TestCase):

    def test_greeting(self):
        """It cannot start: that is told with growing pauses, and a job waits,
        rather than be done by nobody."""
        with CliStack(handlers={"g": {"command": GREETS}}, aof=False) as s:
            w = s.worker()
            job = s.add("g")
            wait_for(lambda: "retry_in_ms=800" in w.tail(20000), 10)
            time.sleep(0.5)
            self.assertLess(w.tail(20000).count("handler=g"), 30, w.tail())
            got = s.job(job)
            self.assertNotEqual(got["status"], "SUCCESS", w.tail(20000))
            self.assertEqual((got["retries"], got["crashes"]), (0, 0))

    def test_a_second_answer_is_not_the_next_jobs(self):
        for pause in (0, 0.005):
            with CliStack(handlers={"t": {"command": twice(pause)}},
                          aof=False) as s:
                jobs = [s.add("t", {"n": n}) for n in range(12)]
                w = s.worker("--concurrency", 8)
                for n, job in enumerate(jobs):
                    got = s.wait_done(job, 30)
                    self.assertEqual(got["result"], n, w.tail(20000))
                    self.assertEqual((got["retries"], got["crashes"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
