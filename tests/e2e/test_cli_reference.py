"""The command line as its reference prints it: every command with --json,
--help and its exit codes, the progress bar, completion typed into a bash,
manual pages as man(1) renders them, and the printed commands themselves: on
port 8000, with its three variables, in a network of their own.

    test_cli_reference.py inside      what runs in that network
"""

import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from harness import (BUILD, HANDLER, ROOT, SLOW, Process, Stack, wait_for)
from test_cli import in_terminal

TASKMQ = os.path.join(BUILD, "taskmq")
MAN = os.path.join(ROOT, "docs", "man")

# DESIGN's list
COMMANDS = """add-job get-job list inspect logs list-dead replay replay-dead
    cancel retry delete stats config restart token check-handler serve-api
    run-worker""".split()
NO_REDIS = ("token", "check-handler", "serve-api", "run-worker")
SERVERS = ("serve-api", "run-worker")


class Commands(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(nginx=False, handlers={"t": {}}, aof=False)
        cls.addClassCleanup(s.close)
        w = s.worker()
        for _ in range(3):
            s.cli("add-job", "t", '{"fail":"x"}')           # 1, 2, 3
        s.cli("add-job", "t", '{"stderr":"y","result":7}')  # 4
        wait_for(lambda: s.stat("failed") == 3 and s.stat("success") == 1, 10)
        w.stop()
        for _ in range(3):
            s.cli("add-job", "nobody")                      # 5, 6, 7
        cls.env = dict(os.environ, TASKMQ_JWT_SECRET="s" * 40)

    # what each is run with when all is well, and members of its answer
    GOOD = {
        "add-job": (["h", '{"a":1}', "--priority", "9"], {"job_id"}),
        "get-job": (["4"], {"id", "status", "payload", "result"}),
        "list": (["--limit", "2"], {"jobs", "cursor"}),
        "inspect": (["4"], {"id", "status"}),
        "logs": (["4"], {"id", "log"}),
        "list-dead": ([], {"jobs", "cursor"}),
        "replay": (["4"], {"job_id", "status", "new_job_id"}),
        "replay-dead": (["1", "2"], {"job_id", "status", "new_job_id"}),
        "cancel": (["5"], {"job_id", "status"}),
        "retry": (["3"], {"job_id", "status"}),
        "delete": (["6"], {"job_id", "status"}),
        "stats": ([], {"queues", "totals", "workers"}),
        "config": ([], {"selection", "max_retries"}),
        "restart": (["t"], {"handler", "workers"}),
        "token": (["--role", "worker"], {"token", "expires_at"}),
    }

    def run_it(self, *args, **kw):
        return self.s.cli(*args, env=self.env, **kw)

    def error(self, out, code, args):
        """One sentence, as JSON on stderr, and nothing else."""
        self.assertEqual((out.returncode, out.stdout), (code, b""), args)
        got = [json.loads(line) for line in out.stderr.splitlines()]
        self.assertEqual(len(got), 1, out)
        self.assertEqual(got[0]["exit"], code)
        self.assertTrue(got[0]["error"])

    def test_the_list(self):
        text = self.run_it("--help").stdout.decode()
        self.assertEqual(sorted(re.findall(r"(?m)^  ([a-z][a-z-]+) +\S",
                                           text)), sorted(COMMANDS))

    def test_json(self):
        for command, (args, members) in self.GOOD.items():
            for where in (["--json", command] + args,
                          [command] + args + ["--json"]):
                with self.subTest(where):
                    out = self.run_it(*where)
                    if where[0] == command in ("retry", "delete"):
                        # it was done the first time
                        self.assertEqual(out.returncode, 1)
                        self.assertIn("error", json.loads(out.stdout))
                        continue
                    self.assertEqual((out.returncode, out.stderr), (0, b""))
                    lines = out.stdout.splitlines()
                    self.assertGreaterEqual(len(lines), 1)
                    for line in lines:
                        self.assertLessEqual(members, set(json.loads(line)))
        with tempfile.NamedTemporaryFile() as record:
            out = self.run_it("--json", "check-handler", "--", "python3",
                              HANDLER, record.name)
        self.assertEqual((out.returncode, out.stderr), (0, b""))
        self.assertEqual(json.loads(out.stdout)["failed"], 0)

    def test_for_people(self):
        """Without --json: text, on stdout."""
        for command in ("list", "list-dead", "stats", "config", "inspect",
                        "logs", "token"):
            args = self.GOOD[command][0]
            out = self.run_it(command, *args)
            self.assertEqual(out.returncode, 0, command)
            # how to see more is no part of the list
            self.assertRegex(out.stderr, rb"^older ones: --before \d+\n$"
                             if command == "list" else b"^$", command)
            self.assertFalse(out.stdout.startswith((b"{", b"[")), command)
            self.assertTrue(out.stdout.endswith(b"\n"), command)

    def test_help(self):
        for command in COMMANDS:
            for args in ((command, "--help"), ("--json", command, "--help")):
                out = self.run_it(*args)
                self.assertEqual((out.returncode, out.stderr), (0, b""))
                self.assertTrue(out.stdout.startswith(
                    b"usage: taskmq " + command.encode()), command)
                self.assertGreater(len(out.stdout.splitlines()), 2, command)

    def test_2_wrong_arguments(self):
        for command in COMMANDS:
            with self.subTest(command):
                self.error(self.run_it("--json", command, "--nonsense"), 2,
                           command)
        for command in set(COMMANDS) - set(NO_REDIS):
            with self.subTest(command + " --namespace"):
                self.error(self.run_it("--json", "--namespace", "a b",
                                       command, *self.GOOD[command][0]), 2,
                           command)
        for args in (("add-job",), ("get-job",), ("inspect", "x"), ("logs",),
                     ("list", "--limit", "0"), ("list-dead", "extra"),
                     ("replay",), ("replay-dead",), ("cancel",),
                     ("retry", "0"), ("delete", "-1"), ("stats", "extra"),
                     ("config", "set"), ("token", "--role", "root"),
                     ("check-handler",), ("serve-api", "--port", "0"),
                     ("config", "set", "selection", "best")):
            with self.subTest(args):
                self.error(self.run_it("--json", *args), 2, args)
        # this one has become the worker when it reads the file
        out = self.run_it("run-worker", "--config", "/no/such/file")
        self.assertEqual((out.returncode, out.stdout), (2, b""))
        self.assertIn(b"/no/such/file", out.stderr)

    def test_1_not_found_or_refused(self):
        for command in ("get-job", "inspect", "logs"):
            self.error(self.run_it("--json", command, "999"), 1, command)
        for command in ("replay", "replay-dead", "cancel", "retry",
                        "delete"):
            out = self.run_it("--json", command, "999")
            self.assertEqual(out.returncode, 1, command)
            self.assertEqual(json.loads(out.stdout),
                             {"job_id": 999, "error": "Job not found"})
        for command, job in (("cancel", "4"), ("retry", "4"),
                             ("replay-dead", "4")):
            self.assertEqual(self.run_it(command, job).returncode, 1)

    def test_69_redis_away(self):
        for command in COMMANDS:
            if command in NO_REDIS:
                continue
            args = self.GOOD[command][0]
            out = self.run_it("--json", "--redis-url", "unix:/nonexistent",
                              command, *args)
            self.error(out, 69, command)

    def test_servers_say_what_is_wrong(self):
        """In one line, as JSON when asked."""
        for command in SERVERS:
            out = subprocess.run(
                [TASKMQ, "--json", command], capture_output=True,
                timeout=20 * SLOW, env=dict(self.env,
                                            TASKMQ_BACKEND="sqlite"))
            self.error(out, 2, command)
            self.assertIn("TASKMQ_BACKEND=sqlite",
                          json.loads(out.stderr)["error"])


class Bulk(unittest.TestCase):

    def test_bar_of_replays(self):
        """A bar in a terminal, a sentence at the end; none with --json."""
        with Stack(nginx=False, handlers={"t": {"instances": 4}},
                   aof=False) as s:
            s.cli("add-job", "t", "--from", "-",
                  stdin=b'{"fail":"x"}\n' * 400)
            w = s.worker()
            wait_for(lambda: s.stat("failed") == 400, 60)
            w.stop()
            for args in (["replay-dead", "--all"],
                         ["replay", "--status", "failed"]):
                shown = in_terminal([TASKMQ, *args], s)
                self.assertRegex(shown, r"\[#*\.*\] +\d+%  \d+ jobs replayed")
                self.assertIn("jobs replayed: 400\r\n", shown)
                out = s.cli("--json", *args)
                self.assertEqual(out.stderr, b"")
                self.assertEqual(len(out.stdout.splitlines()), 400)
                out = s.cli(*args)
                self.assertEqual(out.stderr, b"jobs replayed: 400\n")


@unittest.skipUnless(shutil.which("bash"), "bash is not there")
class Completion(unittest.TestCase):
    """Keys typed into an interactive bash that has sourced it."""

    def setUp(self):
        self.master, slave = pty.openpty()
        self.p = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True, cwd=ROOT,
            env={"PATH": BUILD + ":" + os.environ["PATH"], "TERM": "dumb",
                 "PS1": "> ", "HISTFILE": "/dev/null", "INPUTRC":
                 "/dev/null"})
        os.close(slave)
        self.addCleanup(self.end)
        self.seen = ""
        self.type("source taskmq-cli/taskmq.bash; echo re''ady\n", "ready")

    def end(self):
        os.close(self.master)
        self.p.kill()
        self.p.wait()

    def type(self, keys, until):
        """Types and reads until this pattern has come since; returns what
        came."""
        os.write(self.master, keys.encode())
        came, end = "", time.monotonic() + 20 * SLOW
        while not re.search(until, came):
            ready, _, _ = select.select([self.master], [], [], max(
                0, end - time.monotonic()))
            self.assertTrue(ready, "%r: %r" % (keys, came))
            came += os.read(self.master, 4096).decode().replace("\a", "")
        return came

    def test_completes(self):
        # one that fits: it is put in, with a blank after it
        self.type("taskmq tok\t--ro\tw\t", "taskmq token --role worker ")
        self.type("\x15taskmq check\t", "taskmq check-handler ")
        self.type("\x15taskmq config set sel\tli\t",
                  "config set selection lifo ")
        # many that fit: what they share, then a list of them
        self.type("\x15taskmq repl\t", "taskmq replay")
        self.type("\t\t", r"replay +replay-dead")
        came = self.type("\x15taskmq add-job --re\t\t\t",
                         r"--re[^\n]*\n(?:[^\n]*\n)?[^\n]*--retry-policy")
        self.assertNotIn("--status", came)
        # and what comes out of it is a command line that runs
        came = self.type("\x15taskmq --h\t\n", "Commands:")
        self.assertIn("usage: taskmq", came)


@unittest.skipUnless(shutil.which("man"), "man is not there")
class Pages(unittest.TestCase):

    PAGES = ("taskmq.1", "taskmq-worker.8")

    def test_no_warnings(self):
        for page in self.PAGES:
            out = subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                 os.path.join(MAN, page)], stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, env=dict(
                    os.environ, LC_ALL="C.UTF-8", MANROFFSEQ="",
                    MANWIDTH="80"))
            self.assertEqual((out.returncode, out.stderr), (0, ""), page)

    def render(self, page):
        out = subprocess.run(
            ["man", "-P", "cat", "-l", os.path.join(MAN, page)],
            capture_output=True, text=True, env=dict(
                os.environ, LC_ALL="C.UTF-8", MANWIDTH="80",
                MAN_KEEP_FORMATTING="", TERM="dumb"))
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        return re.sub(".\b", "", out.stdout)

    def test_what_it_reads_like(self):
        for page in self.PAGES:
            text = self.render(page)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION"):
                self.assertRegex(text, "(?m)^%s$" % section)
        text = self.render("taskmq.1")
        for command in COMMANDS:
            self.assertRegex(text, r"(?m)^ +taskmq %s\b" % command)
            self.assertRegex(text, r"(?m)^   %s$" % command)

    @unittest.skipUnless(shutil.which("lexgrog"), "lexgrog is not there")
    def test_whatis_finds_them(self):
        for page in self.PAGES:
            out = subprocess.run(["lexgrog", os.path.join(MAN, page)],
                                 capture_output=True, text=True)
            self.assertEqual(out.returncode, 0, out)
            self.assertIn(page.rsplit(".", 1)[0] + " - ", out.stdout)


# ---- the reference's commands, as they are printed ----

SETUP = '''export TASKMQ_JWT_SECRET="your-secure-secret-key"
export TASKMQ_BACKEND="redis"
export TASKMQ_REDIS_URL="redis://localhost:6379/0"
'''


def inside():
    """Alone in a network: everything has its usual port. Prints one line of
    JSON about what was seen."""
    from test_reference_clients import CURL, HTTPX, SECRET, TOKEN
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tmp = tempfile.mkdtemp(prefix="taskmq-printed-")
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("TASKMQ_") and not k.lower().endswith("proxy")}
    env["PATH"] = BUILD + ":" + env["PATH"]
    started = []

    def start(name, text):
        started.append(Process(name, ["sh", "-c", text],
                               os.path.join(tmp, name), env=env, cwd=tmp))
        return started[-1]

    def sh(text):
        out = subprocess.run(["sh", "-c", text], capture_output=True,
                             text=True, env=env, cwd=tmp, timeout=60 * SLOW)
        if out.returncode:
            raise AssertionError(out)
        return out.stdout

    def listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    try:
        start("redis", "exec redis-server --save '' --dir " + tmp)
        wait_for(lambda: listens(6379), 15)
        api = start("api", SETUP + "exec taskmq serve-api")
        worker = start("worker", SETUP + "exec taskmq run-worker")
        wait_for(lambda: listens(8000) or not api.alive(), 20)
        if not api.alive():
            raise AssertionError(api.tail())
        # its two examples name two secrets; the token takes the variable's
        text = TOKEN.replace(SECRET, "your-secure-secret-key")
        token = subprocess.run([sys.executable, "-c", text], check=True,
                               capture_output=True, text=True).stdout.strip()
        added = json.loads(sh(CURL.strip().replace("<your-token>", token)))
        bearer = "-H 'Authorization: Bearer %s'" % token
        job = "curl -sS %s http://127.0.0.1:8000/job/%d" % (
            bearer, added["job_id"])
        wait_for(lambda: json.loads(sh(job))["status"] == "SUCCESS", 20,
                 worker.tail())
        status = "curl -sS -o /dev/null -w '%{http_code}' "
        print(json.dumps({
            "added": added, "job": json.loads(sh(job)),
            "pages": [sh(status + "http://127.0.0.1:8000" + path)
                      for path in ("/docs", "/redoc", "/openapi.json",
                                   "/health", "/monitor/metrics")],
            "httpx": subprocess.run(
                [sys.executable, "-c",
                 HTTPX.replace("your-jwt-token", token)], check=True,
                capture_output=True, text=True, env=env).stdout,
            "sqlite": [subprocess.run(
                ["sh", "-c", SETUP + "TASKMQ_BACKEND=sqlite taskmq "
                 + command], capture_output=True, text=True, env=env,
                cwd=tmp, timeout=20).stderr
                for command in SERVERS],
            "ended": [worker.stop(), api.stop()]}))
    finally:
        for p in reversed(started):
            if p.alive():
                p.stop(20)
        shutil.rmtree(tmp)


def own_network():
    """The words before a command that gives it one, or None."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            if subprocess.run([*words, "ip", "link", "set", "lo", "up"],
                              capture_output=True).returncode == 0:
                return words
        except FileNotFoundError:
            pass
    return None


class AsPrinted(unittest.TestCase):

    def test_on_its_ports_with_its_variables(self):
        words = own_network()
        if words is None:
            self.skipTest("no network of its own is possible here")
        out = subprocess.run([*words, sys.executable, __file__, "inside"],
                             capture_output=True, text=True,
                             timeout=180 * SLOW, cwd=os.path.dirname(
                                 os.path.abspath(__file__)))
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        seen = json.loads(out.stdout)
        self.assertEqual(seen["added"], {"status": "ok", "job_id": 1})
        self.assertEqual((seen["job"]["handler"], seen["job"]["payload"]),
                         ("dummy", {"task": "test"}))
        self.assertEqual(seen["pages"], ["200"] * 5)
        self.assertEqual(seen["httpx"], "Created job: 2\n"
                         "{'status': 'cancelled', 'job_id': 2}\n")
        self.assertEqual(seen["ended"], [0, 0])
        for line in seen["sqlite"]:
            self.assertRegex(line, r"\ATASKMQ_BACKEND=sqlite|\Ataskmq: [^\n]*"
                             r"TASKMQ_BACKEND=sqlite[^\n]*\n\Z")


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        unittest.main()
