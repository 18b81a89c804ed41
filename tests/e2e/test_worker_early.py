"""Answers that come before a task was read are no task's, whatever is under way
just then; and a program that gives them is not started over and over."""

import sys
import unittest

from cli_stack import CliStack
from harness import wait_for

# Answers before it reads anything. For that it is ended; what it read before
# the worker had seen that line would count as answered.
GREETS = ["sh", "-c", "echo '{\"status\":\"success\"}'; exec sleep 600"]
# Answers a task twice: with what the task says, then, at once or when the next
# task is there, with something else. For that it is ended.
TWICE = """
import json, select, signal, sys
n = json.loads(sys.stdin.readline())["task_data"]["n"]
print('{"status":"success","result":%d}' % n)
select.select([0], [], [], LATER)
print('{"status":"success","result":"late"}')
signal.pause()
"""


def twice(later):
    """At most so many seconds later: the last task has none behind it."""
    return [sys.executable, "-uc", TWICE.replace("LATER", str(later))]


class Early(unittest.TestCase):

    def test_greeting(self):
        """It cannot start: that is told with growing pauses, and a job waits,
        rather than be done by nobody."""
        with CliStack(handlers={"g": {"command": GREETS}}, aof=False) as s:
            w = s.worker()
            job = s.add("g")
            wait_for(lambda: "retry_in_ms=1600" in w.tail(20000), 10)
            self.assertLess(w.tail(20000).count("handler=g"), 30, w.tail())
            got = s.job(job)
            self.assertNotEqual(got["status"], "SUCCESS", w.tail(20000))
            self.assertEqual((got["retries"], got["crashes"]), (0, 0))

    def test_a_second_answer_is_not_the_next_jobs(self):
        for later in (0, 1):
            with CliStack(handlers={"t": {"command": twice(later)}},
                          aof=False) as s:
                jobs = [s.add("t", {"n": n}) for n in range(12)]
                w = s.worker("--concurrency", 8)
                for n, job in enumerate(jobs):
                    got = s.wait_done(job, 30)
                    self.assertEqual(got["result"], n, w.tail(20000))
                    self.assertEqual((got["retries"], got["crashes"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
