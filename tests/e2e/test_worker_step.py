"""Tasks and answers stay in step: whatever a process prints, and whenever, no
job gets another's result."""

import os
import sys
import unittest

from cli_stack import CliStack
from harness import ROOT, wait_for

STEP = [sys.executable, os.path.join(ROOT, "tests", "e2e",
                                     "step_handler.py")]


class Step(unittest.TestCase):

    def setUp(self):
        self.s = CliStack(aof=False)
        self.addCleanup(self.s.close)
        self.s.write_handlers({"t": {
            "command": STEP + [self.s.path("junk")], "instances": 1}})

    def start(self):
        self.w = self.s.worker()

    def counted(self, success, retries=0, failed=0):
        wait_for(lambda: self.s.stat("success") + self.s.stat("failed")
                 == success + failed, 30, "all jobs have ended")
        self.assertEqual(
            [self.s.stat(x) for x in ("success", "failed", "retries",
                                      "crashes")],
            [success, failed, retries, 0])

    def echoes(self, ids, but=()):
        for i, job in enumerate(ids):
            if i not in but:
                self.assertEqual(self.s.job(job)["result"], i)

    def log(self):
        return self.w.tail(1 << 20)


class Ids(Step):
    """What answers say of whose they are."""

    def test_the_right_one(self):
        ids = self.s.add_many("t", [{"echo": i} for i in range(100)])
        self.start()
        self.counted(100)
        self.echoes(ids)
        self.assertNotIn("replaced", self.log())

    def test_another_tasks(self):
        """It is nobody's result; the task is tried again elsewhere, the next
        one is not touched."""
        bad = self.s.add("t", {"id": "6d0f6c1e-9b5e-8d3a-a1c4-2f9e8b7a6c5d",
                               "echo": "bad"}, retry_policy="none")
        ids = self.s.add_many("t", [{"echo": i} for i in range(3)])
        self.start()
        self.counted(3, failed=1)
        self.echoes(ids)
        job = self.s.job(bad)
        self.assertEqual(job["error_log"],
                         "the answer's task_id is another task's")
        self.assertIsNone(job["result"])
        self.assertEqual(self.log().count("an answer to another task"), 1)

    def test_answered_again_with_the_id(self):
        """A line without it has ended the task. The answer that follows ends
        no other, whether that has begun or not."""
        odd = {"echo": 0, "pause": 0.2,
               "say": '{"status":"success","result":"x"}'}
        self.start()
        ids = self.s.add_many("t", [odd] + [{"echo": i} for i in (1, 2, 3)])
        self.counted(4)
        self.echoes(ids, (0,))
        self.assertEqual(self.s.job(ids[0])["result"], "x")
        self.s.wait_done(self.s.add("t", odd))      # and nothing after it
        wait_for(lambda: self.log().count(
            "that a line without its task_id had ended") == 2, 10)
        self.assertEqual(self.s.wait_done(self.s.add("t", {"echo": 5}))[
            "result"], 5)
        self.assertNotIn("replaced", self.log())
        self.counted(6)

    def test_unreadable_then_answered(self):
        """The unreadable line ends its task; the process goes on."""
        ids = self.s.add_many("t", [
            {"echo": i, "say": '{"status":NaN}', "no_answer": i % 2}
            if i in (3, 4, 9) else {"echo": i} for i in range(12)])
        self.start()
        self.counted(9, failed=3)
        self.echoes(ids, (3, 4, 9))
        for i in (3, 4, 9):
            self.assertIn("cannot be read", self.s.job(ids[i])["error_log"])
        self.assertNotIn("replaced", self.log())
        # task 4 was answered, too, when it had ended
        self.assertEqual(self.log().count("had ended, skipped"), 1)

    def test_without_one(self):
        """By their order."""
        ids = self.s.add_many("t", [{"echo": i, "no_id": i % 3}
                                    for i in range(30)])
        self.start()
        self.counted(30)
        self.echoes(ids)
        self.assertNotIn("replaced", self.log())


class Lines(Step):

    def test_longer_than_the_pipe(self):
        """Written in parts, read whole."""
        ids = self.s.add_many("t", [{"echo": i, "pad": chr(97 + i % 26)
                                     * 200000} for i in range(20)])
        self.start()
        self.counted(20)
        self.echoes(ids)
        self.assertFalse(os.path.exists(self.s.path("junk")))

    def test_answered_before_it_was_read(self):
        """The next task must not be taken for the rest of that line."""
        self.s.add("t", {"early": 1, "pad": "x" * 500000})
        ids = self.s.add_many("t", [{"echo": i} for i in range(10)])
        self.start()
        self.counted(11)
        self.echoes(ids)
        self.assertIn("before the task was read", self.log())
        self.assertFalse(os.path.exists(self.s.path("junk")))

    def test_log_is_of_the_job_that_wrote_it(self):
        self.start()
        ids = self.s.add_many("t", [{"log": "log of %d" % i}
                                    for i in range(6)])
        self.counted(6)
        for i, job in enumerate(ids):
            self.assertEqual(self.s.log(job), "log of %d\n" % i)


if __name__ == "__main__":
    unittest.main()
