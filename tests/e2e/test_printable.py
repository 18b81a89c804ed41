"""Text that others wrote on its way to terminals and logs: nothing in it moves
a cursor or turns a line around, and it is cut between characters."""

import json
import os
import re
import subprocess
import unittest

from harness import BUILD, SLOW, Stack, wait_for
from test_cli import TASKMQ, in_terminal

# ESC, the same as one character (C1), one of C1 that ends lines, a right to
# left override, an isolate, and a separator of lines.
EVIL = "a\x1b[2Jb\x9b2Jc\x85d\u202ee\u2066f\u2028g"
NEVER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f"
                   "\u2028-\u202e\u2066-\u2069]")


class Printable(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(nginx=False, handlers={"t": {"instances": 1}})
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker()

    def run_job(self, **data):
        data.setdefault("retryable", False)
        job = self.s.cli("add-job", "t", "-", stdin=json.dumps(
            data, ensure_ascii=False).encode()).stdout.decode().strip()
        self.s.cli("get-job", "--wait", job)
        return job

    def harmless(self, text):
        self.assertNotRegex(text, NEVER)
        self.assertIn("\\u202e", text)
        self.assertIn("\\u009b2J", text)

    def test_terminal(self):
        job = self.run_job(name="x", fail=EVIL, stderr=EVIL, note=EVIL[7:])
        for args in (("get-job", job), ("--json", "get-job", job),
                     ("inspect", job), ("--json", "inspect", job),
                     ("list-dead",), ("--json", "list-dead"),
                     ("--json", "list"), ("--json", "logs", job)):
            with self.subTest(args):
                self.harmless(in_terminal([TASKMQ, *args], self.s))

    def test_json_in_a_terminal_means_the_same(self):
        job = self.run_job(name="x", fail=EVIL, note=EVIL)
        shown = json.loads(in_terminal([TASKMQ, "get-job", job], self.s))
        self.assertEqual(shown, json.loads(
            self.s.cli("get-job", job).stdout))
        self.assertEqual(shown["payload"]["note"], EVIL)
        # what is piped is what was sent
        self.assertIn("\x9b2Jc\x85d\u202ee\u2066f\u2028g",
                      self.s.cli("get-job", job).stdout.decode())

    def test_logs(self):
        """A terminal gets a handler's lines and colours, a pipe its bytes."""
        text = ("\x1b[1;31mred\x1b[0m\tx\n" + EVIL + "\x1b]0;title\x07"
                "\x1b[12;1H\x1b[6n\x1bc\x1b[")
        job = self.run_job(stderr=text)
        shown = in_terminal([TASKMQ, "logs", job], self.s)
        self.assertEqual(shown, (
            "\x1b[1;31mred\x1b[0m\tx\n"
            "a\\x1b[2Jb\\u009b2Jc\\u0085d\\u202ee\\u2066f\\u2028g"
            "\\x1b]0;title\\x07\\x1b[12;1H\\x1b[6n\\x1bc\\x1b[\x1b[m\n")
            .replace("\n", "\r\n"))
        self.assertEqual(self.s.cli("logs", job).stdout.decode(),
                         text + "\n")

    def test_worker_log(self):
        job = self.run_job(fail=EVIL, stderr=EVIL + "\n", noise=EVIL)
        wait_for(lambda: "job=%s" % job in self.w.tail(1 << 20), 5)
        with open(self.w.log, encoding="utf-8") as f:
            text = f.read()
        lines = [x for x in text.split("\n") if "2J" in x]
        self.assertGreaterEqual(len(lines), 3, text)
        for line in lines:
            self.harmless(line)

    def test_arguments(self):
        for argv in ((TASKMQ, "get-job", EVIL), (TASKMQ, EVIL),
                     (TASKMQ, "config", "get", EVIL),
                     (TASKMQ, "list", "--" + EVIL),
                     (TASKMQ, "add-job", "t", "--from", "/x/" + EVIL),
                     (TASKMQ, "run-worker", "--config", "/x/" + EVIL),
                     (TASKMQ, "add-job", "t", '{"%s":1,"%s":2}'
                      % ("\x9b2J\u202e", "\x9b2J\u202e")),
                     (os.path.join(BUILD, "taskmq-worker"), EVIL),
                     (os.path.join(BUILD, "taskmq-worker"), "--config",
                      "/x/" + EVIL)):
            out = subprocess.run(argv, capture_output=True, env=dict(
                os.environ, TASKMQ_REDIS_URL=self.s.url("cli")),
                timeout=30 * SLOW)
            with self.subTest(argv):
                self.assertIn(out.returncode, (1, 2, 69), out)
                self.assertNotRegex(out.stderr.decode(), NEVER)

    def test_handlers_toml(self):
        path = self.s.path("evil.toml", (
            '[handlers."a\x85\u202e"]\nprogram = ["x"]\n'
            '[handlers.b]\n"k\x9b" = 1\n').encode())
        for more in ((), ("--check",)):
            out = subprocess.run(
                [os.path.join(BUILD, "taskmq-worker"), "--config", path,
                 *more], capture_output=True, timeout=30 * SLOW)
            self.assertEqual(out.returncode, 2)
            self.assertNotRegex(out.stderr.decode(), NEVER)
            self.assertGreater(out.stderr.count(b"\n"), 1)

    def test_check_handler(self):
        program = ("import sys\nsys.stderr.write(%r)\n"
                   "for _ in sys.stdin:\n print(%r)\n"
                   " print('{\"status\":\"error\",\"error\":%s}', flush=True)"
                   % (EVIL, EVIL, json.dumps(EVIL).replace("\\", "\\\\")))
        out = in_terminal(["sh", "-c", '"$@"; true', "sh", TASKMQ,
                           "check-handler", "--timeout", "1", "--",
                           "python3", "-X", "utf8", "-c", program], self.s)
        self.harmless(out)

    def test_cut_between_characters(self):
        """é, €, 😀 around every place where something is cut."""
        for c in "é€😀":
            for before in range(4):
                text = "x" * before + c * 20000
                job = self.run_job(fail=text, stderr=text + "\n", noise=text,
                                   name="long")
                got = self.s.cli("--json", "get-job", job).stdout.decode()
                error = json.loads(got)["error_log"]
                self.assertTrue(text.startswith(error), error[-20:])
                self.assertGreater(len(error.encode()), 16 * 1024 - 4)
                line = [x for x in self.s.cli("list-dead").stdout
                        .split(b"\n") if x.startswith(job.encode() + b" ")][0]
                shown = line.decode().split()[-1]
                self.assertTrue(text.startswith(shown), shown)
                self.assertGreater(len(shown.encode()), 60 - 4)
                self.assertIn(c, self.s.cli("logs", job).stdout.decode())
        self.assertEqual(self.w.alive(), True)
        with open(self.w.log, "rb") as f:
            text = f.read().decode()
        self.assertNotIn("\ufffd", text)


if __name__ == "__main__":
    unittest.main()
