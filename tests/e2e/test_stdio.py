"""Descriptors 0 to 2 of our programs: what is closed is never taken by a
socket, and what cannot be printed is an error."""

import json
import os
import subprocess
import unittest

from harness import BUILD, ROOT, SLOW, Stack, wait_for

TASKMQ = os.path.join(BUILD, "taskmq")
WORKER = os.path.join(BUILD, "taskmq-worker")
LOST = "standard output cannot be written"

# What Redis would take for a command if it came on its socket.
COMMAND = "*3\r\n$3\r\nSET\r\n$6\r\nstolen\r\n$1\r\n1\r\n"


def shell(redirect, *argv, env=None, stdin=b""):
    return subprocess.run(
        ["sh", "-c", 'exec "$@" ' + redirect, "sh", *map(str, argv)],
        input=stdin, capture_output=True, timeout=30 * SLOW,
        env=dict(os.environ, **(env or {})))


class Alone(unittest.TestCase):

    def test_answers_that_nobody_gets(self):
        handlers = os.path.join(ROOT, "handlers.toml.example")
        for argv in ((TASKMQ, "--help"), (TASKMQ, "--version"),
                     (TASKMQ, "list", "--help"), (TASKMQ, "token"),
                     (TASKMQ, "--json", "token"),
                     (WORKER, "--help"), (WORKER, "--version"),
                     (WORKER, "--check", "--config", handlers)):
            for to in (">&-", ">/dev/full", ">/dev/full <&-", ">&- <&-"):
                with self.subTest(argv=argv[1:], to=to):
                    out = shell(to, *argv,
                                env={"TASKMQ_JWT_SECRET": "k" * 40})
                    self.assertEqual(out.returncode, 1, out)
                    self.assertIn(LOST, out.stderr.decode())

    def test_a_handler_that_keeps_the_protocol(self):
        """... is not said to when nobody hears it."""
        good = ("import sys\nfor _ in sys.stdin: "
                "print('{\"status\":\"success\"}', flush=True)")
        argv = (TASKMQ, "check-handler", "--", "python3", "-c", good)
        self.assertEqual(shell("", *argv).returncode, 0)
        for to in (">&-", ">/dev/full"):
            out = shell(to, *argv)
            self.assertEqual(out.returncode, 1, out)
            self.assertIn(LOST, out.stderr.decode())

    def test_standard_input(self):
        """A closed one is empty."""
        env = {"TASKMQ_JWT_SECRET": ""}
        out = shell("<&-", TASKMQ, "token", "--secret-file", "-", env=env)
        self.assertEqual((out.returncode, out.stdout), (2, b""))
        self.assertIn(b"the secret is empty", out.stderr)

    def test_nothing_is_open(self):
        for argv in ((TASKMQ, "--help"), (WORKER, "--help")):
            self.assertEqual(shell("<&- >&- 2>&-", *argv).returncode, 1)
        for argv in ((TASKMQ, "nonsense"), (WORKER, "nonsense")):
            self.assertEqual(shell("<&- >&- 2>&-", *argv).returncode, 2)


class WithRedis(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(nginx=False, handlers={"t": {"instances": 1}})
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.start("worker", [
            "sh", "-c", 'exec "$@" <&- >&-', "sh", WORKER, "--config",
            cls.s.toml], env=dict(os.environ,
                                  TASKMQ_REDIS_URL=cls.s.url("worker")))
        wait_for(lambda: cls.s.redis("HLEN", cls.s.key("workers")), 10,
                 "the worker is seen")

    def run_cli(self, to, *args, stdin=b""):
        return shell(to, TASKMQ, *args, stdin=stdin,
                     env={"TASKMQ_REDIS_URL": self.s.url("cli")})

    def run_job(self, payload):
        job = self.s.cli("add-job", "t", payload).stdout.decode().strip()
        self.assertEqual(self.s.cli("get-job", "--wait", job).returncode, 0)
        return job

    def stolen(self):
        return self.s.redis("EXISTS", "stolen")

    def test_a_log_is_never_sent_to_redis(self):
        job = self.run_job(json.dumps({"stderr": COMMAND}))
        for to in (">&-", ">&- <&-", ">&- 2>&-", ">&- <&- 2>&-", "2>&-"):
            for args in (("logs", job), ("--json", "logs", job)):
                out = self.run_cli(to, *args)
                self.assertEqual(out.returncode, int(to != "2>&-"),
                                 (to, out))
                self.assertEqual(self.stolen(), 0)
        self.assertEqual(self.run_cli("", "logs", job).stdout.decode(),
                         COMMAND)

    def test_all_that_print(self):
        job = self.run_job('{"stderr":"x"}')
        for args in (("add-job", "t"), ("add-job", "t", "--from", "-"),
                     ("get-job", job), ("inspect", job), ("logs", job),
                     ("list",), ("list-dead",), ("stats",), ("config",),
                     ("config", "get", "dead_max"),
                     ("config", "set", "dead_max", "5"), ("replay", job)):
            for as_json in ((), ("--json",)):
                for to in (">&-", ">/dev/full"):
                    with self.subTest(args=args, to=to, json=as_json):
                        out = self.run_cli(to, *as_json, *args,
                                           stdin=b"{}\n")
                        self.assertEqual(out.returncode, 1, out)
                        self.assertIn(LOST, out.stderr.decode())
        cancelled = [self.s.cli("add-job", "nobody").stdout.decode().strip()
                     for _ in range(2)]
        for args in (("cancel", cancelled[0]), ("delete", cancelled[1])):
            self.assertEqual(self.run_cli(">&-", *args).returncode, 1)

    def test_what_was_added_is_said(self):
        out = self.run_cli(">/dev/full", "add-job", "t")
        self.assertRegex(out.stderr.decode(), r"the job was added as \d+\n$")

    def test_from_a_closed_standard_input(self):
        before = self.s.redis("GET", self.s.key("seq"))
        out = self.run_cli("<&-", "add-job", "t", "--from", "-")
        self.assertEqual((out.returncode, out.stdout, out.stderr),
                         (0, b"", b""))
        out = self.run_cli("<&-", "add-job", "t", "-")
        self.assertEqual((out.returncode, out.stdout), (2, b""))
        self.assertEqual(self.s.redis("GET", self.s.key("seq")), before)

    def test_a_worker_without_them_works(self):
        self.run_job('{"stderr":"a line\\n"}')
        self.assertIn("a line", self.w.tail(100000))


if __name__ == "__main__":
    unittest.main()
