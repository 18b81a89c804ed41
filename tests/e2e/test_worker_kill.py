"""kill -9 of the worker at every named failure point (tq_fail.h): every job
ends, and none is finished twice. The worker is built with its failure points
for this, beside the normal build."""

import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import unittest

from cli_stack import CliStack
from harness import BUILD, ROOT, wait_for

JOBS, CHILD_JOBS = 1000, 250
FAIL_BUILD = BUILD + "-fail"


def points():
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "taskmq-worker/**/*.c"),
                                 recursive=True)):
        with open(path) as f:
            found += re.findall(r'TQ_FAIL\("([a-z-]+)"\)', f.read())
    return found


class Kill(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        subprocess.run(
            ["make", "-s", "-C", ROOT, "BUILD=" + FAIL_BUILD,
             "CFLAGS=-g -DTQ_FAIL_POINTS", "worker"], check=True,
            stdout=subprocess.DEVNULL)

    def victim(self, s, point, count):
        """A worker that kills itself at the point."""
        w = s.worker("--concurrency", 20, wait=False, build=FAIL_BUILD,
                     env={"TASKMQ_FAIL": "%s:%d" % (point, count)})
        if point == "draining":
            wait_for(lambda: "connected" in w.tail(), 10)
            w.signal(signal.SIGTERM)
        wait_for(lambda: not w.alive(), 20, "the point is passed")
        self.assertEqual(w.proc.returncode, -signal.SIGKILL, w.tail())

    def kill_at(self, point, count):
        handlers = {"c": {"instances": 4}, "n": {"builtin": "noop"}}
        with CliStack(handlers=handlers, lease=1, aof=False) as s:
            s.add_many("c", [{"name": str(i), "sleep": 0.01}
                             for i in range(CHILD_JOBS)])
            s.add_many("n", [{}] * (JOBS - CHILD_JOBS))
            # one that leaves leases behind
            first = s.worker("--concurrency", 20)
            wait_for(lambda: len(s.marks()) > 8, 10)
            first.kill()
            self.victim(s, point, count)
            s.worker("--concurrency", 20)
            wait_for(lambda: s.stat("success") >= JOBS, 30,
                     "all jobs: %s" % point)
            self.assertEqual(s.stat("success"), JOBS)
            self.assertEqual(s.stat("failed"), 0)
            self.assertEqual(sorted(s.finished()), list(range(1, JOBS + 1)))
            for name in ("leased", "scheduled", "dead"):
                self.assertEqual(s.redis("ZCARD", s.key(name)), 0, name)
            for handler in handlers:
                self.assertEqual(s.line_keys(handler), 0, handler)
                self.assertEqual(s.counted(handler), (0, 0), handler)
            # a job that ran to its end more than once was one of those whose
            # worker was lost before it could say so
            ends = [m["name"] for m in s.marks() if m["what"] == "end"]
            self.assertEqual(len(set(ends)), CHILD_JOBS)
            self.assertLessEqual(len(ends) - CHILD_JOBS, s.stat("crashes"))
            self.assertLessEqual(s.stat("crashes"), 40)

    def kill_at_each(self, points):
        """Side by side: each waits for a lease to expire."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs = [(point, pool.submit(self.kill_at, point, count))
                    for point, count in points]
            for point, run in runs:
                with self.subTest(point=point):
                    run.result()

    def test_every_point(self):
        names = points()
        self.assertGreater(len(names), 10)
        self.assertEqual(len(set(names)), len(names))
        self.kill_at_each((point, 1) for point in names)

    def test_later(self):
        """The same, when some work is done already."""
        self.kill_at_each((("bytes-sent", 7), ("claim-replied", 3),
                           ("outcomes-queued", 5), ("answer-read", 40),
                           ("outcome-added", 100), ("job-taken", 30)))


if __name__ == "__main__":
    unittest.main()
