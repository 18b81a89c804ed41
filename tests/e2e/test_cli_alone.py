"""The `taskmq` command without a queue: errors, help, papers, tokens,
check-handler."""

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import uuid

from cli_stack import gone
from harness import BUILD, HANDLER, ROOT, SLOW, Stack, free_port, wait_for

TASKMQ = os.path.join(BUILD, "taskmq")


class Alone(unittest.TestCase):

    def run_cli(self, *args, **env):
        return subprocess.run(
            [TASKMQ] + list(args), capture_output=True, text=True,
            timeout=30 * SLOW, env=dict(
                {k: v for k, v in os.environ.items()
                 if not k.startswith("TASKMQ_")}, **env))


class Away(Alone):

    def test_no_redis(self):
        for url in ("unix:/nonexistent.sock",
                    "redis://127.0.0.1:%d/0" % free_port()):
            out = self.run_cli("--redis-url", url, "stats")
            self.assertEqual(out.returncode, 69, out)
            self.assertEqual(out.stdout, "")

    def test_passwords_are_never_shown(self):
        port = free_port()
        for url in ("redis://me:s3cr3t@127.0.0.1:%d" % port,
                    "redis://:s3cr3t@127.0.0.1:%d/x" % port,
                    "http://me:s3cr3t@localhost", "rediss://:s3cr3t@h"):
            for out in (self.run_cli("--redis-url", url, "stats"),
                        self.run_cli("stats", TASKMQ_REDIS_URL=url),
                        self.run_cli("serve-api", "--redis-url", url)):
                self.assertIn(out.returncode, (2, 69), out)
                self.assertNotIn("s3cr3t", out.stdout + out.stderr)

    def test_wrong_password(self):
        with Stack(nginx=False) as s:
            s.redis("CONFIG", "SET", "requirepass", "right")
            s.redis("AUTH", "right")
            s.denied_allowed = True
            for url in (s.url("cli").replace(s.password, "wrong"),
                        "unix:" + s.sock):
                out = s.cli("stats", env={"TASKMQ_REDIS_URL": url})
                self.assertEqual(out.returncode, 69, out)
            s.redis("CONFIG", "SET", "requirepass", "")

    def test_redis_that_does_not_answer(self):
        with Stack(nginx=False) as s:
            s.server.signal(signal.SIGSTOP)
            start = time.monotonic()
            out = s.cli("add-job", "h")
            self.assertLess(time.monotonic() - start, 5 * SLOW)
            self.assertEqual(out.returncode, 69, out)

    def test_usage(self):
        for args in ((), ("nonsense",), ("--nonsense",), ("--redis-url",),
                     ("--namespace", "a b", "stats"), ("stats", "x"),
                     ("stats", "-x")):
            out = self.run_cli(*args)
            self.assertEqual((out.returncode, out.stdout), (2, ""), args)
            self.assertTrue(out.stderr)

    def test_nothing_reaches_the_terminal_as_it_is(self):
        """An argument may come out of a file that others wrote."""
        for args in (("get-job", "\x1b[31m"), ("\x1b[31m",),
                     ("list", "--\x1b[31m"), ("config", "set", "\x1b[31m\n",
                                              "1")):
            out = self.run_cli(*args)
            self.assertEqual((out.returncode, out.stdout), (2, ""), args)
            self.assertNotIn("\x1b", out.stderr)
            self.assertIn("\\x1b[31m", out.stderr)
            self.assertEqual(out.stderr.count("\n"), 1)

    def test_help(self):
        text = self.run_cli("--help").stdout
        commands = re.findall(r"(?m)^  ([a-z-]+) +\S", text)
        commands = [c for c in commands if not c.startswith("-")]
        self.assertEqual(len(commands), 18, commands)
        for c in commands:
            out = self.run_cli(c, "--help")
            self.assertEqual(out.returncode, 0)
            self.assertTrue(out.stdout.startswith("usage: taskmq " + c))
            for line in out.stdout.splitlines():
                self.assertLessEqual(len(line), 79, line)


class Papers(Alone):
    """The manual pages and the completion know what --help knows."""

    def help(self):
        """{command: its options}, from --help."""
        found = {}
        top = self.run_cli("--help").stdout
        for c in re.findall(r"(?m)^  ([a-z][a-z-]+) +\S", top):
            text = self.run_cli(c, "--help").stdout
            found[c] = set(re.findall(r"--[a-z][a-z-]+", text))
            found[c] |= {"--redis-url", "--namespace", "--json", "--help"}
        return found

    def page(self, name):
        with open(os.path.join(ROOT, "docs", "man", name)) as f:
            return f.read().replace("\\-", "-")

    def test_taskmq_1(self):
        page = self.page("taskmq.1")
        sections = dict(zip(re.findall(r"(?m)^\.SS (.*)$", page),
                            re.split(r"(?m)^\.SS .*$", page)[1:]))
        found = self.help()
        self.assertEqual(set(sections), set(found))
        for c, options in found.items():
            for o in options - {"--redis-url", "--namespace", "--json",
                                "--help"}:
                self.assertIn(o, sections[c])
        for code in (0, 1, 2, 69, 75):
            self.assertIn(".B %d\n" % code, page)

    def test_taskmq_worker_8(self):
        page = self.page("taskmq-worker.8")
        text = subprocess.run([os.path.join(BUILD, "taskmq-worker"),
                               "--help"], capture_output=True,
                              text=True).stdout
        options = set(re.findall(r"--[a-z][a-z-]+", text))
        self.assertGreater(len(options), 5)
        for word in options | set(re.findall(r"DAEMON_[A-Z_]+", text)):
            self.assertIn(word, page)

    def complete(self, *words):
        script = ("source %s/taskmq-cli/taskmq.bash; COMP_WORDS=(\"$@\"); "
                  "COMP_CWORD=$(($# - 1)); _taskmq; "
                  "printf '%%s\\n' \"${COMPREPLY[@]}\"" % ROOT)
        out = subprocess.run(["bash", "-c", script, "bash", "taskmq", *words],
                             capture_output=True, text=True, cwd=ROOT)
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        return set(out.stdout.split())

    def test_completion(self):
        found = self.help()
        self.assertEqual(self.complete(""), set(found))
        self.assertEqual(self.complete("re"),
                         {"restart", "retry", "replay", "replay-dead"})
        for c, options in found.items():
            self.assertEqual(self.complete(c, "--"), options, c)
        self.assertEqual(self.complete("--namespace", "list", "tok"),
                         {"token"})
        self.assertEqual(self.complete("token", "--role", ""),
                         {"admin", "worker"})
        self.assertEqual(self.complete("config", "set", "selection", "f"),
                         {"fifo"})
        self.assertIn("README.md", self.complete("add-job", "--from", "REA"))
        self.assertIn("README.md", self.complete("check-handler", "--",
                                                 "REA"))

    def test_completion_knows_all_settings(self):
        with Stack(nginx=False) as s:
            settings = json.loads(s.cli("--json", "config").stdout)
        self.assertEqual(self.complete("config", "get", ""), set(settings))


class Token(Alone):

    def claims(self, token, secret):
        head, body, mac = token.strip().split(".")
        want = hmac.new(secret.encode(), (head + "." + body).encode(),
                        hashlib.sha256).digest()
        got = base64.urlsafe_b64decode(mac + "=" * (-len(mac) % 4))
        self.assertEqual(got, want)
        part = [json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)))
                for p in (head, body)]
        self.assertEqual(part[0], {"alg": "HS256", "typ": "JWT"})
        return part[1]

    def test_environment(self):
        out = self.run_cli("token", TASKMQ_JWT_SECRET="your-secret-key")
        claims = self.claims(out.stdout, "your-secret-key")
        self.assertEqual((claims["sub"], claims["role"]), ("admin", "admin"))
        self.assertLess(abs(claims["exp"] - time.time() - 86400), 10)

    def test_options(self):
        out = self.run_cli("token", "--sub", 'a"ü', "--role", "worker",
                           "--expires", "10m", "--json",
                           TASKMQ_JWT_SECRET="k" * 40)
        got = json.loads(out.stdout)
        claims = self.claims(got["token"], "k" * 40)
        self.assertEqual((claims["sub"], claims["role"], claims["exp"]),
                         ('a"ü', "worker", got["expires_at"]))
        self.assertLess(abs(claims["exp"] - time.time() - 600), 10)

    def test_audience_and_issuer(self):
        secret = "k" * 40
        out = self.run_cli("token", "--aud", 'queue "ü"', "--iss",
                           "https://id.example", TASKMQ_JWT_SECRET=secret)
        claims = self.claims(out.stdout, secret)
        self.assertEqual((claims["aud"], claims["iss"]),
                         ('queue "ü"', "https://id.example"))
        out = self.run_cli("token", TASKMQ_JWT_SECRET=secret)
        self.assertEqual(set(self.claims(out.stdout, secret)),
                         {"sub", "role", "iat", "exp"})

    def test_file(self):
        for content in (b"from-a-file\n", b"from-a-file"):
            with tempfile.NamedTemporaryFile() as f:
                f.write(content)
                f.flush()
                out = self.run_cli("token", "--secret-file", f.name,
                                   TASKMQ_JWT_SECRET="other")
                self.claims(out.stdout, "from-a-file")

    def test_refused(self):
        with tempfile.NamedTemporaryFile() as empty:
            for args, env in (((), {}), ((), {"TASKMQ_JWT_SECRET": ""}),
                              (("--secret-file", empty.name), {}),
                              (("--secret-file", "/nonexistent"), {}),
                              (("--role", "root"), None),
                              (("--expires", "0"), None),
                              (("--expires", "x"), None),
                              (("--sub", ""), None),
                              (("--aud", ""), None),
                              (("--iss", ""), None),
                              (("secret",), None),
                              (("--secret", "x"), None)):
                if env is None:
                    env = {"TASKMQ_JWT_SECRET": "y" * 40}
                out = self.run_cli("token", *args, **env)
                self.assertEqual((out.returncode, out.stdout), (2, ""), args)
                self.assertNotIn("yyyy", out.stderr)


class CheckHandler(unittest.TestCase):

    def check(self, *argv, timeout=5):
        out = subprocess.run(
            [TASKMQ, "--json", "check-handler", "--timeout", str(timeout)]
            + list(argv), capture_output=True, timeout=120 * SLOW, cwd=ROOT)
        got = json.loads(out.stdout)
        self.assertEqual(out.returncode, 1 if got["failed"] else 0)
        return {r["rule"]: (r["verdict"], r["why"]) for r in got["rules"]}

    def script(self, body):
        return ("--", "python3", "-c",
                "import json,sys,time\n"
                "def say(x): print(json.dumps(x), flush=True)\n"
                "OK = {'status': 'success'}\n" + body)

    LOOP = "for line in sys.stdin:\n    t = json.loads(line)\n    "

    def test_a_good_one(self):
        with tempfile.NamedTemporaryFile() as rec:
            got = self.check("--bad", '{"fail":"no"}', "--", "python3",
                             HANDLER, rec.name)
        self.assertEqual({v for v, _ in got.values()}, {"ok"}, got)
        self.assertEqual(len(got), 10)

    def test_each_rule_can_fail(self):
        cases = {
            "start": self.script("say(OK)\n" + self.LOOP + "say(OK)"),
            "answer": self.script(self.LOOP + "say([])"),
            "again": self.script("sys.stdin.readline()\nsay(OK)\n"
                                 "sys.stdin.read()"),
            "error": ("--bad", '{"x":1}') + self.script(self.LOOP
                                                        + "say(OK)"),
            "retryable": self.script(
                self.LOOP + "say({'status': 'error', 'error': 'x', "
                "'retryable': 'yes'})"),
            "long": self.script(self.LOOP + "assert len(line) < 65536; "
                                "say(OK)"),
            "text": self.script(self.LOOP + "line.encode('ascii'); say(OK)"),
            "noise": self.script(self.LOOP + "print('hi'); say(OK)"),
            "end": self.script(self.LOOP + "say(OK)\nsys.exit(3)"),
            "end-idle": self.script(self.LOOP + "say(OK)\ntime.sleep(60)"),
        }
        for rule, argv in cases.items():
            with self.subTest(rule):
                # those that wait for what does not come need not wait long
                wait = 1 if rule in ("answer", "again", "end-idle") else 10
                verdict, why = self.check(*argv, timeout=wait)[rule]
                self.assertEqual(verdict, "note" if rule == "noise"
                                 else "fail")
                self.assertTrue(why)

    def test_an_answer_that_cannot_be_read(self):
        got = self.check(*self.script(
            self.LOOP + "say(dict(OK, result=float('nan')))"))
        self.assertEqual(list(got), ["start", "answer"])
        self.assertEqual(got["answer"], ("fail", (
            "an answer that cannot be read: expected a value at byte 32; "
            'came: {"status": "success", "result": NaN}')))

    def test_ids_of_tasks(self):
        """An answer may have its task's, and no other."""
        self.assertEqual(self.check(*self.script(
            self.LOOP + "say(dict(OK, task_id=t['task_id']))"))["again"],
            ("ok", None))
        verdict, why = self.check(*self.script(
            self.LOOP + "say(dict(OK, task_id='%s'))" % uuid.uuid4()))["answer"]
        self.assertEqual(verdict, "fail")
        self.assertIn('"task_id" is not that of its task', why)
        self.assertEqual(self.check(*self.script(
            self.LOOP + "say(dict(OK, task_id='of its own'))"))["answer"],
            ("ok", None))

    def test_lines_cut_elsewhere(self):
        """The text is sent raw; a worker sends it as escapes, so a note."""
        got = self.check(*self.script(
            "for line in "
            "(p for l in sys.stdin for p in l.splitlines()):\n"
            "    t = json.loads(line)\n    say(OK)"))
        self.assertEqual(got["text"][0], "note")
        self.assertIn("U+2028", got["text"][1])
        self.assertNotIn("fail", {v for v, _ in got.values()}, got)

    def test_two_answers_to_one_task(self):
        got = self.check(*self.script(self.LOOP + "say(OK); say(OK)"))
        self.assertEqual(got["again"][0], "fail")

    def test_a_death_names_status_and_last_words(self):
        got = self.check(*self.script(
            "sys.stdin.readline()\nprint('no lib', file=sys.stderr)\n"
            "sys.exit(7)"))
        self.assertRegex(got["answer"][1], "status 7.*no lib")

    def test_a_workers_environment(self):
        """Not ours, which may hide what fails under a worker."""
        def run(*options):
            out = subprocess.run(
                [TASKMQ, "--json", "check-handler", *options, "--",
                 sys.executable, "-c", "import json,os\n"
                 "privs = open('/proc/self/status').read()"
                 ".split('NoNewPrivs:')[1].split()[0]\n"
                 "for _ in open(0): print(json.dumps({'status': 'error', "
                 "'error': ' '.join(sorted(os.environ)) + ' ' + privs}), "
                 "flush=True)"],
                capture_output=True, text=True, timeout=120 * SLOW,
                env={"PATH": os.environ["PATH"], "HOME": "/", "TZ": "UTC",
                     "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1",
                     "TASKMQ_JWT_SECRET": "x", "PYTHONPATH": "/"})
            return json.loads(out.stdout)["rules"][1]["why"]

        self.assertIn('"HOME LC_ALL PATH TZ 1"', run())
        self.assertIn('"A HOME LC_ALL PATH TZ _B 1"', run(
            "--env", "A=1", "--env=_B=a=b", "--env", "TZ="))
        for wrong in (("--env", "A"), ("--env", "=1"), ("--env", "1A=1"),
                      ("--env", "A=1", "--env", "A=2")):
            out = subprocess.run([TASKMQ, "check-handler", *wrong, "true"],
                                 capture_output=True, text=True)
            self.assertEqual(out.returncode, 2, out)
            self.assertIn("--env", out.stderr)

    def test_a_session_of_its_own(self):
        """As under a worker; it cannot type into our terminal either."""
        found = self.check(*self.script(
            "import os\nif os.getsid(0) != os.getpid(): sys.exit('ours')\n"
            + self.LOOP + "say(OK)"))
        self.assertNotIn("fail", {v for v, _ in found.values()}, found)

    def test_it_ends_with_the_command(self):
        """Whatever ends the command; the terminal's signals do not reach
        the program, which is deaf to the end of its input."""
        for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM,
                    signal.SIGHUP, signal.SIGKILL):
            with self.subTest(sig.name), tempfile.TemporaryDirectory() as d:
                started = os.path.join(d, "started")
                p = subprocess.Popen(
                    [TASKMQ, "check-handler", "--timeout", "600", "--", "sh",
                     "-c", "sleep 600 & echo $$ $! > %s.new; mv %s.new %s; "
                     "wait" % ((started,) * 3)],
                    stdout=subprocess.DEVNULL, start_new_session=True,
                    preexec_fn=lambda: signal.signal(signal.SIGQUIT,
                                                     signal.SIG_DFL))
                wait_for(lambda: os.path.exists(started), 10, "it runs")
                with open(started) as f:
                    program, child = map(int, f.read().split())
                os.killpg(p.pid, sig)
                self.assertEqual(p.wait(10 * SLOW), -sig)
                wait_for(lambda: gone(program), 10, "it ends, too")
                if sig == signal.SIGKILL:       # it alone can be ended then
                    os.kill(child, signal.SIGKILL)
                wait_for(lambda: gone(child), 10, "and what it started")

    def test_what_it_leaves_behind_ends(self):
        with tempfile.TemporaryDirectory() as d:
            left = os.path.join(d, "left")
            got = self.check("--", "sh", "-c", "sleep 600 >&- 2>&- & "
                             "echo $! >> %s; while read line; do "
                             "echo '{\"status\":\"success\"}'; done" % left)
            self.assertEqual(got["end"][0], "ok", got)
            with open(left) as f:
                for pid in f.read().split():
                    wait_for(lambda: gone(int(pid)), 10, "it has ended")

    def test_a_missing_flush(self):
        argv = self.script(self.LOOP + "print(json.dumps(OK))")
        with unittest.mock.patch.dict(os.environ, PYTHONUNBUFFERED="1"):
            self.assertIn("flushed", self.check(*argv, timeout=1)["answer"][1])
            self.assertNotIn("fail", {v for v, _ in self.check(
                "--env", "PYTHONUNBUFFERED=1", *argv).values()})

    def test_the_refused_line_is_shown_and_the_rest_not_tried(self):
        for said, came in (
                ("print('{\"status\":\"ok\",\"result\":1}', flush=True)",
                 'came: {"status":"ok","result":1}'),
                ("print('\\x1b[31m', flush=True)", r"came: \x1b[31m"),
                ("print('é' * 99, flush=True)", "came: " + "é" * 60 + "..."),
                ("say({'status': 'error', 'error': 1})",
                 'came: {"status": "error", "error": 1}')):
            with self.subTest(said):
                argv = self.script(self.LOOP + said)
                got = self.check(*argv, timeout=1)
                self.assertEqual(list(got), ["start", "answer"])
                self.assertIn(came, got["answer"][1])
        out = subprocess.run([TASKMQ, "check-handler", "--", "true"],
                             capture_output=True, text=True)
        self.assertEqual(out.returncode, 1)
        self.assertEqual(out.stdout.count("FAIL"), 1)
        self.assertRegex(out.stdout, "the rest needs .*\\.\n")

    def test_not_a_program(self):
        got = self.check("--", "/nonexistent")
        self.assertEqual(list(got), ["start"])


if __name__ == "__main__":
    unittest.main()
