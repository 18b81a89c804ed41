"""The example handlers under clients/, each over pipes as the worker would
drive it, and through `taskmq check-handler` once that is built."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
WAIT_S = 30
LINES_MAX = 100
TASK_ID = "0190e3c4-0000-8000-8000-00000000000a"


def source(*parts):
    return os.path.join(ROOT, "clients", *parts)


def request(data, attempt=1):
    return json.dumps({"task_id": TASK_ID, "task_type": "primes",
                       "task_data": data, "attempt": attempt},
                      separators=(",", ":"))


class Examples:
    """The tests, for one language each; argv is the handler."""

    path = None

    def argv(self):
        raise NotImplementedError

    def setUp(self):
        self.errors = tempfile.TemporaryFile()
        self.addCleanup(self.errors.close)
        self.proc = subprocess.Popen(self.argv(), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE,
                                     stderr=self.errors)
        self.addCleanup(self.end)

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()
        self.proc.stdin.close()

    def ask(self, line):
        """One line in, one line out, with nothing held back in a buffer."""
        self.proc.stdin.write(line.encode() + b"\n")
        self.proc.stdin.flush()
        if not select.select([self.proc.stdout], [], [], WAIT_S)[0]:
            self.fail("no answer to " + line[:100])
        answer = self.proc.stdout.readline()
        self.assertTrue(answer.endswith(b"\n"), answer)
        answer = json.loads(answer)
        # of what was no task there is none
        self.assertEqual(answer.pop("task_id", None),
                         TASK_ID if "task_id" in line else None)
        return answer

    def log(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def test_primes(self):
        for limit, count, largest in ((1000000, 78498, 999983), (0, 0, 0),
                                      (1, 0, 0), (2, 1, 2), (3, 2, 3),
                                      (100, 25, 97), (9973, 1229, 9973)):
            self.assertEqual(self.ask(request({"limit": limit})), {
                "status": "success", "result": {
                    "limit": limit, "count": count, "largest": largest}})
        self.assertEqual(self.ask(request({}))["result"]["count"], 78498)

    def test_bad_input_is_not_retryable_and_the_handler_goes_on(self):
        for limit in (-1, 2.5, "9", None, False, [], {}, 10000001, 10 ** 30):
            answer = self.ask(request({"limit": limit}))
            self.assertEqual(answer["status"], "error", limit)
            self.assertIs(answer["retryable"], False, limit)
            self.assertIn("limit", answer["error"])
        self.assertEqual(self.ask("no JSON")["status"], "error")
        self.assertEqual(self.ask(request({"limit": 10}, 4))["result"],
                         {"limit": 10, "count": 4, "largest": 7})

    def test_long_lines(self):
        answer = self.ask(request({"limit": 10, "pad": "é" * 100000}))
        self.assertEqual(answer["result"]["count"], 4)

    def test_end_of_input(self):
        self.ask(request({"limit": 10}))
        self.proc.stdin.close()
        self.assertEqual(self.proc.stdout.read(), b"")
        self.assertEqual(self.proc.wait(WAIT_S), 0, self.log())

    def test_short(self):
        with open(self.path, encoding="utf-8") as text:
            self.assertLess(len(text.readlines()), LINES_MAX)

    @unittest.skipUnless(os.access(os.path.join(BUILD, "taskmq"), os.X_OK),
                         "build/taskmq is not built")
    def test_check_handler(self):
        out = subprocess.run(
            [os.path.join(BUILD, "taskmq"), "check-handler", "--timeout",
             "60", "--data", '{"limit": 10}', "--bad", '{"limit": -1}', "--",
             *self.argv()],
            capture_output=True, text=True, timeout=300)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertNotRegex(out.stdout, "(?m)^note", out.stdout)


class Python(Examples, unittest.TestCase):
    path = source("python", "primes.py")

    def argv(self):
        return [sys.executable, self.path]


class Node(Examples, unittest.TestCase):
    path = source("node", "primes.js")

    def argv(self):
        return ["node", self.path]


class C(Examples, unittest.TestCase):
    path = source("c", "primes.c")

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
                        os.path.join(cls.dir, "primes"), cls.path, "-lcjson"],
                       check=True)

    def argv(self):
        return [os.path.join(self.dir, "primes")]


class Shell(Examples, unittest.TestCase):
    path = source("shell", "primes.sh")

    def argv(self):
        return ["sh", self.path]

    def test_without_jq_it_says_so(self):
        with tempfile.TemporaryDirectory() as empty:
            out = subprocess.run([shutil.which("sh"), self.path],
                                 env={"PATH": empty}, capture_output=True,
                                 text=True, stdin=subprocess.DEVNULL)
        self.assertEqual((out.returncode, out.stdout), (127, ""))
        self.assertIn("jq", out.stderr)


@unittest.skipUnless(os.access(os.path.join(BUILD, "taskmq-worker"), os.X_OK),
                     "build/taskmq-worker is not built")
class LoadCheck(unittest.TestCase):
    """100 tasks from 4 clients, each of which polls its ids every 0.2 s, as
    TaskDaemon's own sample does: every result is exact."""

    def test_primes(self):
        from harness import Stack
        with tempfile.TemporaryDirectory() as tmp:
            binary = os.path.join(tmp, "primes")
            subprocess.run(["cc", "-O2", "-o", binary, C.path, "-lcjson"],
                           check=True)
            with Stack(api="taskdaemon", location="taskmq_auth off;",
                       handlers={
                           "python": {"command": [sys.executable,
                                                  Python.path]},
                           "node": {"command": ["node", Node.path]},
                           "c": {"command": [binary]},
                           "shell": {"command": ["sh", Shell.path],
                                     "instances": 1}}) as s:
                s.worker()
                with ThreadPoolExecutor(4) as pool:
                    counts = list(pool.map(lambda _: self.client(s),
                                           range(4)))
        self.assertEqual(counts, [25] * 4)

    def client(self, s):
        types = ["python", "node", "c", "c", "c"]
        ids = []
        for n in range(25):
            r = s.post("/queue", {"type": types[n % 5] if n else "shell",
                                  "data": {"limit": 1000000}}, token=None)
            self.assertEqual(r.status, 200, r)
            ids.append(r.json()["task_id"])
        done, end = 0, time.monotonic() + 120
        while ids:
            self.assertLess(time.monotonic(), end, "%d not done" % len(ids))
            task = s.get("/api/tasks/" + ids[0], token=None).json()
            if task["status"] in ("pending", "processing"):
                time.sleep(0.2)
                continue
            self.assertEqual((task["status"], task["result"]), (
                "completed", {"limit": 1000000, "count": 78498,
                              "largest": 999983}))
            ids.pop(0)
            done += 1
        return done


if __name__ == "__main__":
    unittest.main()
