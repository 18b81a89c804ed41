"""`taskmq add-job --from`: odd lines, a slow pipe, Ctrl-C; and options whose
value is empty."""

import json
import os
import re
import signal
import subprocess
import threading
import unittest

from harness import BUILD, SLOW, Stack, wait_for
import test_cli
from test_cli import TASKMQ


class From(test_cli.Cli):

    def setUp(self):
        self.before = self.seq()

    def seq(self):
        return int(self.s.redis("GET", self.s.key("seq")) or 0)

    def added(self):
        return self.seq() - self.before

    def popen(self, *args, **kw):
        p = subprocess.Popen(
            [TASKMQ, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TASKMQ_REDIS_URL=self.s.url("cli")), **kw)
        self.addCleanup(lambda: (p.kill(), p.communicate()))
        return p

    def end(self, p):
        out, err = p.communicate(timeout=30 * SLOW)
        return p.returncode, out.decode(), err.decode()

    def test_lines_of_nuls(self):
        for bad in (b"\0", b"\0\0\0\0", b" \0 ", b"\0{}", b"\r\0"):
            for handler in (("h",), ()):
                good = b"{}" if handler else b'{"handler":"h","payload":{}}'
                out = self.s.cli("add-job", *handler, "--from", "-",
                                 stdin=good + b"\n" + bad + b"\n" + good)
                self.assertEqual(out.returncode, 2, (bad, out))
                self.assertIn(b"line 2: ", out.stderr)
        self.assertEqual(self.added(), 10)
        # blank ones are skipped as before
        self.assertEqual(self.json("add-job", "h", "--from", "-",
                                   stdin=b"\n \t\r\n\n{}\n \n")["added"], 1)
        self.fails(2, "add-job", "h", "-", stdin=b"\0{}")

    def test_a_slow_pipe(self):
        """Nothing waits for the end of the input, or for a thousand lines."""
        for handler in (("h",), ()):
            self.before = self.seq()
            p = self.popen("add-job", *handler, "--from", "-")
            for n in range(1, 4):
                p.stdin.write(b'{"handler":"h","payload":{}}\n{"half'
                              if not handler else b'{}\n{"half')
                p.stdin.flush()
                wait_for(lambda: self.added() == n, 5, "line %d" % n)
                # the other half, a second line that waits for a third
                p.stdin.write(b'":1}\n')
                p.stdin.flush()
                if not handler:
                    break
                wait_for(lambda: self.added() == n + 1, 5)
                self.before += 1
            code, out, err = self.end(p)
            self.assertEqual(code, 0 if handler else 2, err)

    def test_scripts_are_forgotten_meanwhile(self):
        """It needs the right to send them again, as the ACL file gives it."""
        p = self.popen("add-job", "h", "--from", "-")
        for n in range(1, 4):
            self.s.redis("SCRIPT", "FLUSH")
            p.stdin.write(b"{}\n")
            p.stdin.flush()
            wait_for(lambda: self.added() == n, 5, "line %d" % n)
        self.assertEqual(self.end(p)[0], 0)

        waiting = self.popen("get-job", "--wait", str(self.seq()))
        calls = self.eval_calls()
        while waiting.poll() is None:
            self.s.redis("SCRIPT", "FLUSH")
            if self.eval_calls() > calls + 2:
                self.s.redis("DEL", self.s.key("j:%d" % self.seq()))
        code, _, err = self.end(waiting)
        self.assertEqual((code, "eval" in err), (1, False), err)

    def eval_calls(self):
        found = re.search(rb"cmdstat_eval:calls=(\d+)",
                          self.s.redis("INFO", "commandstats"))
        return int(found[1]) if found else 0

    def test_ctrl_c_says_what_was_added(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for as_json in ((), ("--json",)):
                self.before = self.seq()
                p = self.popen(*as_json, "add-job", "h", "--from", "-")
                p.stdin.write(b'{}\n{}\n\n{}\n{"half')
                p.stdin.flush()
                wait_for(lambda: self.added() == 3, 5)
                p.send_signal(sig)
                code, out, err = self.end(p)
                self.assertEqual(code, -sig)
                text = "line 5 and what follows it were not added"
                first = self.before + 1
                if as_json:
                    self.assertEqual(json.loads(out), {
                        "status": "error", "added": 3,
                        "job_ids": [[first, first + 2]]})
                    error = json.loads(err)
                    self.assertIn(text, error["error"])
                    self.assertEqual(error["exit"], 128 + sig)
                else:
                    self.assertEqual(out, "%d-%d\n" % (first, first + 2))
                    self.assertIn(text, err)
                    self.assertIn("before that: 3\n", err)

    def test_ctrl_c_in_a_flood(self):
        p = self.popen("--json", "add-job", "h", "--from", "-")
        n = 0

        def flood():
            nonlocal n
            try:
                while True:
                    p.stdin.write(b'{"n":%d}\n' % (n + 1))
                    n += 1
            except (OSError, ValueError):
                pass

        t = threading.Thread(target=flood)
        t.start()
        wait_for(lambda: self.added() > 5000, 20)
        p.send_signal(signal.SIGINT)
        out, err = p.stdout.read(), p.stderr.read()
        self.assertEqual(p.wait(10 * SLOW), -signal.SIGINT)
        t.join()
        got = json.loads(out)
        self.assertEqual(got["added"], self.added())
        self.assertEqual(got["added"], sum(b - a + 1
                                           for a, b in got["job_ids"]))
        line = int(re.search(rb"line (\d+) and what", err).group(1))
        self.assertEqual(line, got["added"] + 1)
        last = self.json("get-job", got["job_ids"][-1][1])
        self.assertEqual(last["payload"], {"n": line - 1})

    def test_ctrl_c_in_a_large_file(self):
        path = self.s.path("large.ndjson", b"{}\n" * 2_000_000)
        p = self.popen("--json", "add-job", "h", "--from", path)
        wait_for(lambda: self.added() > 2000, 20)
        p.send_signal(signal.SIGINT)
        code, out, err = self.end(p)
        self.assertEqual(code, -signal.SIGINT)
        self.assertEqual(json.loads(out)["added"], self.added())
        self.assertLess(self.added(), 1_500_000)
        self.assertIn("line %d and what" % (self.added() + 1), err)

    def test_a_signal_that_is_ignored_stays_so(self):
        p = self.popen("add-job", "h", "--from", "-", preexec_fn=lambda:
                       signal.signal(signal.SIGINT, signal.SIG_IGN))
        p.stdin.write(b"{}\n")
        p.stdin.flush()
        wait_for(lambda: self.added() == 1, 5)
        p.send_signal(signal.SIGINT)
        p.stdin.write(b"{}\n")
        code, out, err = self.end(p)
        self.assertEqual((code, self.added()), (0, 2), err)


class Empty(unittest.TestCase):
    """An empty value is a script's mistake: never the default."""

    def test_empty_values(self):
        env = dict(os.environ, TASKMQ_JWT_SECRET="k" * 40,
                   TASKMQ_REDIS_URL="unix:/nonexistent")
        for args in (("--namespace", "", "stats"), ("--namespace=", "stats"),
                     ("--redis-url", "", "stats"), ("--redis-url=", "stats"),
                     ("stats", "--namespace", ""), ("stats", "--namespace="),
                     ("stats", "--redis-url="),
                     ("add-job", "h", "--idempotency-key", ""),
                     ("add-job", "h", "--at", ""), ("token", "--role", ""),
                     ("add-job", "h", "--from", ""), ("list", "--handler="),
                     ("run-worker", "--config", ""),
                     ("run-worker", "--namespace", ""),
                     ("serve-api", "--namespace", ""),
                     ("serve-api", "--host", ""), ("serve-api", "--user="),
                     ("check-handler", "--type", "", "--", "true")):
            out = subprocess.run([TASKMQ, *args], capture_output=True,
                                 text=True, timeout=30 * SLOW, env=env)
            self.assertEqual((out.returncode, out.stdout), (2, ""),
                             (args, out))
            self.assertIn("empty", out.stderr)
        for option in ("--namespace", "--redis-url", "--config"):
            out = subprocess.run(
                [os.path.join(BUILD, "taskmq-worker"), "--config",
                 "/nonexistent", option, ""], capture_output=True, text=True,
                timeout=30 * SLOW, env=env)
            self.assertEqual((out.returncode, out.stdout), (2, ""), out)

    def test_an_empty_variable_counts_as_unset(self):
        with Stack(nginx=False) as s:
            job = s.cli("add-job", "h", env={"TASKMQ_NAMESPACE": ""})
            self.assertEqual((job.returncode, job.stdout), (0, b"1\n"))


if __name__ == "__main__":
    unittest.main()
