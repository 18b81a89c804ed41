"""The `taskmq` command on a real Redis: what it prints, exit codes, and that
it keeps secrets."""

import json
import os
import pty
import re
import select
import subprocess
import tempfile
import time
import unittest

from harness import BUILD, ROOT, SLOW, Stack, wait_for

TASKMQ = os.path.join(BUILD, "taskmq")

NOBODY = 'taskmq add-job: no worker serves "%s" now: its jobs wait for one\n'
NOBODYS_TASK = "00000000-0000-8000-8000-000000000000"


class Cli(unittest.TestCase):

    handlers = None

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(nginx=False, handlers=cls.handlers)
        cls.addClassCleanup(cls.s.close)

    def ok(self, *args, **kw):
        out = self.s.cli(*args, **kw)
        self.assertEqual(out.returncode, 0, out)
        return out.stdout.decode()

    def json(self, *args, **kw):
        return json.loads(self.ok("--json", *args, **kw))

    def fails(self, code, *args, **kw):
        """Fails with this exit code, with one sentence on stderr; the same
        under --json as an object."""
        out = self.s.cli(*args, **kw)
        self.assertEqual(out.returncode, code, out)
        self.assertTrue(out.stderr.startswith(b"taskmq: "), out)
        as_json = self.s.cli("--json", *args, **kw)
        self.assertEqual(as_json.returncode, code, as_json)
        error = json.loads(as_json.stderr.splitlines()[0])
        self.assertEqual(error["exit"], code)
        return out.stderr.decode()


class Jobs(Cli):

    def test_add_and_get(self):
        payload = '{"n":12345678901234567890123,"p":1.10}'
        job = self.ok("add-job", "h", payload).strip()
        self.assertRegex(job, r"^\d+$")
        text = self.ok("get-job", job)
        self.assertIn('"payload":' + payload, text)
        got = json.loads(text)
        self.assertEqual((got["id"], got["status"], got["handler"],
                          got["priority"], got["retry_policy"]),
                         (int(job), "PENDING", "h", 0, "fixed"))

    def test_add_from_stdin(self):
        job = self.json("add-job", "h", "-", stdin=b'{ "a" : 1 }\n')["job_id"]
        self.assertIn('"payload":{ "a" : 1 }', self.ok("get-job", job))

    def test_options_of_add_job(self):
        job = self.ok("add-job", "--priority=20", "--retry-policy",
                      "exponential", "h", "--max-retries", "7", "--timeout",
                      "2m", "--retention", "1h", "--interval", "1d",
                      "--at", "2099-01-02T03:04:05+01:00").strip()
        got = self.json("get-job", job)
        self.assertEqual(
            (got["priority"], got["retry_policy"], got["max_retries"],
             got["timeout"], got["retention_seconds"],
             got["interval_seconds"], got["scheduled_for"], got["payload"]),
            (20, "exponential", 7, 120, 3600, 86400,
             "2099-01-02T02:04:05.000Z", {}))

    def test_in(self):
        before = time.time()
        got = self.json("get-job", self.ok("add-job", "h", "--in",
                                           "10m").strip())
        at = time.mktime(time.strptime(got["scheduled_for"][:19],
                                       "%Y-%m-%dT%H:%M:%S")) - time.timezone
        self.assertLess(abs(at - before - 600), 5)

    def test_idempotency_key(self):
        a = self.ok("add-job", "h", '{"a":1}', "--idempotency-key", "k",
                    "--in", "1h")
        b = self.ok("add-job", "h", '{"a":1}', "--idempotency-key", "k",
                    "--in", "1h")
        self.assertEqual(a, b)
        self.assertIn("idempotency key", self.fails(
            1, "add-job", "h", '{"a":2}', "--idempotency-key", "k"))

    def test_wrong_jobs(self):
        before = self.json("stats")["totals"]["received"]
        for args, word in (
                (("h", "{"), "byte 1"), (("h", "[]"), "payload"),
                (("h", "1"), "payload"), (("a b", "{}"), "handler"),
                (("h", '{},"priority":3'), "byte 2"),
                (("h", '{"a":1,"a":2}'), "duplicate"),
                (("h", "{}", "{}"), "unexpected"), ((), "HANDLER"),
                (("h", "--priority", "101"), "--priority"),
                (("h", "--priority", "x"), "--priority"),
                (("h", "--retry-policy", "often"),
                 '--retry-policy is fixed, exponential or none, not "often"'),
                (("h", "--at", "tomorrow"), "--at wants ISO 8601, such as "
                 '2026-12-24T10:00Z, not "tomorrow"'),
                (("h", "w=1"),
                 'payload: expected a JSON object such as {"w":1}'),
                (("--handler", "h"), "there is no option --handler: HANDLER "
                 "is the first argument"),
                (("h", "--in", "soon"), "--in"),
                (("h", "--in", "99999999999999999999d"), "--in"),
                (("h", "--at", "2099-01-01", "--in", "1"), "--at"),
                (("h", "--timeout", "0"), "--timeout"),
                (("h", "--nonsense"), "--nonsense"),
                (("h", "--priority"), "--priority"),
                (("--from", "/nonexistent"), "/nonexistent"),
                (("h", "--idempotency-key", "x" * 256), "idempotency")):
            with self.subTest(args):
                self.assertIn(word, self.fails(2, "add-job", *args))
        self.assertEqual(self.json("stats")["totals"]["received"], before)

    def test_get_what_is_not_there(self):
        self.assertIn("no job", self.fails(1, "get-job", "999999"))
        self.assertIn("no job", self.fails(1, "logs", "999999"))
        for bad in ("0", "-1", "01", "x", "", "9007199254740992"):
            self.fails(2, "get-job", "--", bad)
        self.fails(2, "get-job")
        self.fails(2, "get-job", "1", "2")

    def test_wait_gives_up(self):
        job = self.ok("add-job", "nobody").strip()
        self.assertIn("PENDING", self.fails(1, "get-job", "--wait",
                                            "--timeout", "0", job))
        for timeout in "0", "1", "2h":
            self.assertIn("--timeout needs --wait", self.fails(
                2, "get-job", "--timeout", timeout, job))

    def test_list_and_pages(self):
        ids = [int(self.ok("add-job", "lister")) for _ in range(7)]
        seen, cursor = [], None
        while True:
            more = ("--before", cursor) if cursor else ()
            page = self.json("list", "--handler", "lister", "--limit", "3",
                             *more)
            self.assertLessEqual(len(page["jobs"]), 3)
            seen += [j["id"] for j in page["jobs"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        self.assertEqual(seen, ids[::-1])
        self.assertIn(str(ids[-1]), self.ok("list", "--limit", "1"))
        self.fails(2, "list", "--status", "lost")
        self.fails(2, "list", "--handler", "a b")
        self.fails(2, "list", "--limit", "0")

    def test_cancel_delete_retry_replay(self):
        a, b, c = (self.ok("add-job", "x", '{"k":%d}' % i).strip()
                   for i in range(3))
        self.assertEqual(self.ok("cancel", a, b),
                         "%s cancelled\n%s cancelled\n" % (a, b))
        self.assertEqual(self.ok("cancel", a), a + " cancelled\n")
        self.assertEqual(self.json("get-job", a)["status"], "CANCELLED")
        out = self.s.cli("cancel", "999999", c)
        self.assertEqual((out.returncode, out.stdout.decode()),
                         (1, c + " cancelled\n"))
        self.assertIn(b"999999: Job not found", out.stderr)
        # why not, and what would do; programs get the API's words
        d = self.ok("add-job", "x").strip()
        for args, error in (
                (("retry", c), "is CANCELLED, not FAILED; "
                               "taskmq replay adds a copy"),
                (("retry", d), "is PENDING, not FAILED"),
                (("replay-dead", d), "is PENDING, not FAILED")):
            out = self.s.cli(*args)
            self.assertEqual(
                (out.returncode, out.stdout, out.stderr.decode()),
                (1, b"", "taskmq: job %s %s\n" % (args[1], error)))
            out = self.s.cli("--json", *args)
            self.assertEqual((out.returncode, json.loads(out.stdout)),
                             (1, {"job_id": int(args[1]),
                                  "error": "Job is not failed"}))
        new = re.match(r"%s replayed as (\d+)\n$" % a,
                       self.ok("replay", a)).group(1)
        self.assertEqual(self.json("get-job", new)["payload"], {"k": 0})
        self.assertEqual(self.json("get-job", new)["status"], "PENDING")
        out = self.s.cli("--json", "delete", new, new)
        self.assertEqual(out.returncode, 1)
        self.assertEqual(
            [json.loads(line) for line in out.stdout.splitlines()],
            [{"job_id": int(new), "status": "deleted"},
             {"job_id": int(new), "error": "Job not found"}])
        # nothing is touched when one of the ids is no id
        self.fails(2, "delete", a, "x")
        self.assertEqual(self.json("get-job", a)["status"], "CANCELLED")

    def test_config(self):
        self.assertIn("selection", self.ok("config"))
        self.assertEqual(self.ok("config", "get", "retry_wait_ms"), "2000\n")
        self.ok("config", "set", "retry_wait_ms", "1500")
        self.assertEqual(self.json("config", "set", "max_retries", "4"),
                         {"max_retries": 4})
        self.assertEqual(self.json("config", "set", "selection", "priority"),
                         {"selection": "priority"})
        self.assertEqual(self.json("config")["retry_wait_ms"], 1500)
        self.assertEqual(self.json("config")["selection"], "priority")
        self.assertEqual(self.ok("--json", "config", "get", "retry_wait_ms"),
                         "1500\n")
        self.assertEqual(self.ok("--json", "config", "get", "selection"),
                         '"priority"\n')
        self.ok("config", "set", "selection", "lifo")
        self.assertEqual(self.ok("--json", "config", "unset", "selection"),
                         '"priority"\n')
        for name, value in (("retry_wait_ms", "-1"), ("retry_wait_ms", "x"),
                            ("selection", "best"), ("nonsense", "1")):
            said = self.fails(2, "config", "set", "--", name, value)
            self.assertIn(name, said)
            # a number is no option
            self.assertEqual(self.fails(2, "config", "set", name, value), said)
        for what in "get", "unset":
            self.assertIn("nonsense: no such setting",
                          self.fails(2, "config", what, "nonsense"))
        self.fails(2, "config", "set", "selection")
        self.assertEqual(self.ok("config", "get", "retry_wait_ms"), "1500\n")

    def test_inspect(self):
        job = self.ok("add-job", "h", '{"esc":"\\u001b[31m"}').strip()
        text = self.ok("inspect", job)
        self.assertRegex(text, r"(?m)^state +PENDING$")
        self.assertRegex(text, r"(?m)^handler +h$")
        self.ok("config", "set", "max_retries", "5")
        for args, shown in (
                ((), "0 (at most 5 retries, fixed)"),
                (("--max-retries", "1", "--retry-policy", "exponential"),
                 "0 (at most 1 retry, exponential)"),
                (("--max-retries", "0"), "0 (no retries)"),
                (("--retry-policy", "none"), "0 (no retries)")):
            text = self.ok("inspect", self.ok("add-job", "h", *args).strip())
            self.assertIn("\nfailures     " + shown + "\n", text)
        self.assertNotIn("retries  ", text)

    def test_a_read_only_redis(self):
        """What only reads works; what writes says why it cannot."""
        job = self.ok("add-job", "h").strip()
        new = self.ok("--json", "inspect", job)
        self.assertNotIn(b"uuid-key", b" ".join(self.s.redis("KEYS", "*")),
                         "the command line made a key in order to read")
        self.addCleanup(self.s.redis, "REPLICAOF", "NO", "ONE")
        for known in (False, True):
            if known:
                self.s.redis("REPLICAOF", "NO", "ONE")
                self.s.redis("SET", self.s.key("uuid-key"), "k" * 32)
            self.s.redis("REPLICAOF", "127.0.0.1", "1")
            self.assertEqual(self.ok("--json", "inspect", job), new)
            task = re.search(r"(?m)^task id +(\S+)$",
                             self.ok("inspect", job)).group(1)
            if known:
                self.assertEqual(self.ok("--json", "get-job", task), new)
            else:
                self.assertEqual(task, "-")
                self.fails(1, "get-job", NOBODYS_TASK)
            for args in (("list",), ("list", "--status", "pending"),
                         ("list-dead",), ("logs", job), ("stats",),
                         ("config", "list"), ("config", "get", "dead_max"),
                         ("cancel", "--dry-run", "--handler", "h")):
                self.ok(*args)
            for args in (("add-job", "h"), ("cancel", job), ("retry", job),
                         ("delete", job), ("replay", job), ("restart", "h"),
                         ("config", "set", "dead_max", "5"),
                         ("cancel", "--handler", "h")):
                for out in (self.s.cli(*args), self.s.cli("--json", *args)):
                    self.assertEqual(out.returncode, 69, out)
                    self.assertIn(b"read-only replica",
                                  out.stdout + out.stderr)
        self.s.redis("REPLICAOF", "NO", "ONE")
        self.s.redis("FLUSHALL")
        self.s.redis("REPLICAOF", "127.0.0.1", "1")
        self.assertIn("READONLY", self.fails(69, "list"))

    def test_no_log_yet(self):
        job = self.ok("add-job", "h").strip()
        out = self.s.cli("logs", job)
        self.assertEqual((out.returncode, out.stdout), (0, b""))
        self.assertEqual(out.stderr.decode(), "taskmq: job %s: no log (it is "
                         "stored when a run ends)\n" % job)
        self.assertEqual(self.s.cli("--json", "logs", job).stderr, b"")


class Bulk(Cli):

    def ndjson(self, lines):
        return "".join(json.dumps(x) + "\n" for x in lines).encode()

    def test_payloads_for_a_handler(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.ndjson({"n": i} for i in range(2500)))
            f.flush()
            first, last = map(int, self.ok(
                "add-job", "bulk", "--priority", "9", "--from",
                f.name).strip().split("-"))
        self.assertEqual(last - first, 2499)
        for n in (0, 999, 1000, 2499):
            got = self.json("get-job", first + n)
            self.assertEqual((got["payload"], got["priority"]),
                             ({"n": n}, 9))

    def test_whole_jobs(self):
        out = self.json("add-job", "--from", "-", stdin=self.ndjson(
            [{"handler": "a", "payload": {}},
             {"handler": "b", "payload": {}, "priority": 3}])
            + b"\n  \n" + b'{"handler":"c","payload":{}}')
        self.assertEqual(out["added"], 3)
        (first, last), = out["job_ids"]
        self.assertEqual(last, first + 2)
        self.assertEqual(self.json("get-job", last)["handler"], "c")

    def test_wrong_line(self):
        before = self.json("stats")["totals"]["received"]
        out = self.s.cli("--json", "add-job", "h", "--from", "-",
                         stdin=b'{"n":1}\n\n{"n":2}\n{"n":}\n{"n":4}\n')
        self.assertEqual(out.returncode, 2)
        self.assertIn("line 4: payload: byte 5",
                      json.loads(out.stderr)["error"])
        self.assertEqual(json.loads(out.stdout)["added"], 2)
        self.assertEqual(self.json("stats")["totals"]["received"],
                         before + 2)

    def test_large_lines(self):
        big = {"text": "x" * 900_000}
        out = self.json("add-job", "h", "--from", "-",
                        stdin=self.ndjson([big] * 12), timeout=60)
        self.assertEqual(out["added"], 12)
        self.assertEqual(self.json("get-job", out["job_ids"][0][0])
                         ["payload"], big)

    def test_options_without_handler(self):
        self.fails(2, "add-job", "--from", "-", "--priority", "3", stdin=b"")

    def test_nothing(self):
        self.assertEqual(self.json("add-job", "h", "--from", "-",
                                   stdin=b"\n"),
                         {"status": "ok", "added": 0, "job_ids": []})

    def test_redis_full(self):
        self.s.redis("CONFIG", "SET", "maxmemory", "1")
        try:
            out = self.s.cli("add-job", "h", "--from", "-", stdin=b"{}\n" * 9)
        finally:
            self.s.redis("CONFIG", "SET", "maxmemory", "0")
        self.assertEqual(out.returncode, 69, out)
        self.assertEqual(out.stdout, b"")

    def test_progress_bar_in_a_terminal_only(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.ndjson({"n": i} for i in range(60000)))
            f.flush()
            shown = in_terminal([TASKMQ, "add-job", "h", "--from", f.name],
                                self.s)
            self.assertRegex(shown, r"\[#+\.*\] +\d+%")
            self.assertRegex(shown, r"\d+-\d+\r\n$")
            quiet = self.s.cli("add-job", "h", "--from", f.name)
            self.assertEqual(quiet.stderr.decode(), NOBODY % "h")

    def test_pretty_in_a_terminal_only(self):
        job = self.ok("add-job", "h", '{"a":[1.10,{}],"b":"x\\"{"}').strip()
        shown = in_terminal([TASKMQ, "get-job", job], self.s)
        self.assertIn('  "payload": {\r\n    "a": [\r\n      1.10,\r\n'
                      '      {}\r\n    ],\r\n    "b": "x\\"{"\r\n  },', shown)
        self.assertEqual(self.ok("get-job", job).count("\n"), 1)


def in_terminal(argv, stack, **more):
    """Runs it with a terminal as stdin, stdout and stderr; what it wrote.
    Without colours, unless the environment is told."""
    env = {k: v for k, v in os.environ.items() if k not in ("TERM",
                                                            "NO_COLOR")}
    env.update(more, TASKMQ_REDIS_URL=stack.url("cli"))
    master, slave = pty.openpty()
    p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                         env=env)
    os.close(slave)
    out = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60 * SLOW)
        if not ready:
            p.kill()
            raise AssertionError("no end: %r" % out)
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        out += more
    os.close(master)
    if p.wait() != 0:
        raise AssertionError(out)
    return out.decode()


class Run(Cli):

    handlers = {"t": {"instances": 2}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.w = cls.s.worker()

    def test_wait_for_success(self):
        job = self.ok("add-job", "t", '{"sleep":0.3,"result":[1]}').strip()
        got = self.json("get-job", "--wait", job)
        self.assertEqual((got["status"], got["result"]), ("SUCCESS", [1]))

    def test_wait_for_failure(self):
        job = self.ok("add-job", "t", '{"fail":"no"}').strip()
        out = self.s.cli("get-job", "--wait", job)
        self.assertEqual(out.returncode, 1)
        self.assertEqual(json.loads(out.stdout)["status"], "FAILED")

    def test_periodic_jobs_are_found(self):
        """With the lines of docs/operations.md: what runs, what is due and
        what is scheduled; nothing else."""
        with open(os.path.join(ROOT, "docs", "operations.md")) as f:
            lines = re.search(r"(?m)^ +for status in (?:.*\n)+?.*sort -u$",
                              f.read())[0]
        go = self.s.path("go")
        want = {}
        for handler, payload, args in (
                ("t", {"until": go}, ["--interval", "1h"]),
                ("nobody", {"due": "now"}, ["--interval", "60"]),
                ("nobody", {"a": [1, "x y"]}, ["--interval", "2h",
                                               "--in", "1h"]),
                ("nobody", {"once": 1}, ["--in", "1h"]),
                ("nobody", {"once": 2}, []), ("t", {"until": go}, [])):
            job = int(self.ok("add-job", *args, handler, json.dumps(payload)))
            if "--interval" in args:
                want[job] = {"id": job, "handler": handler,
                             "interval_seconds": {"1h": 3600, "60": 60,
                                                  "2h": 7200}[args[1]]}
        wait_for(lambda: len(self.json("list", "--status", "running",
                                       "--handler", "t")["jobs"]) == 2, 10)
        out = subprocess.run(["bash", "-c", lines], capture_output=True,
                             timeout=60 * SLOW, env=dict(
                                 os.environ, TASKMQ_REDIS_URL=self.s.url("cli"),
                                 PATH=BUILD + ":" + os.environ["PATH"]))
        self.assertEqual((out.returncode, out.stderr), (0, b""))
        self.assertEqual({j["id"]: j for j in map(
            json.loads, out.stdout.splitlines())}, want)
        self.assertEqual(len(out.stdout.splitlines()), len(want))
        self.s.path("go", b"")
        self.ok("cancel", "--force", *want)
        self.assertEqual({self.json("get-job", job)["status"]
                          for job in want}, {"CANCELLED"})

    def test_logs(self):
        job = self.ok("add-job", "t", '{"stderr":"first\\nsecond"}').strip()
        self.ok("get-job", "--wait", job)
        self.assertIn("first\nsecond", self.ok("logs", job))
        self.assertIn("first\nsecond", self.json("logs", job)["log"])

    def test_dead_letters(self):
        ids = [self.ok("add-job", "t", json.dumps({"fail": "broken"}))
               .strip() for _ in range(3)]
        for i in ids:
            self.s.cli("get-job", "--wait", i)
        text = self.ok("list-dead", "--handler", "t")
        for i in ids:
            self.assertRegex(text, r"(?m)^%s +t +\S+ +broken$" % i)
        self.assertEqual(self.ok("retry", ids[0]), ids[0] + " retrying\n")
        self.s.cli("get-job", "--wait", ids[0])
        out = self.s.cli("--json", "replay-dead", "--all")
        new = {r["job_id"]: r["new_job_id"] for r in
               map(json.loads, out.stdout.splitlines())}
        self.assertLessEqual(set(map(int, ids)), set(new))
        for i in ids:
            got = self.s.cli("get-job", "--wait", new[int(i)])
            self.assertEqual(json.loads(got.stdout)["error_log"], "broken")
        alive = self.ok("add-job", "t", "{}").strip()
        self.ok("get-job", "--wait", alive)
        self.assertEqual(self.s.cli("replay-dead", alive).returncode, 1)
        self.fails(2, "replay-dead")
        self.fails(2, "replay-dead", "1", "--all")

    def test_a_handler_that_nobody_serves(self):
        """Its job is added like any other, and stderr says so; not to
        programs, which asked for JSON."""
        one = ("add-job", "nobody", "{}", "--in", "1h", "--idempotency-key",
               "a")
        many = ("add-job", "nobody", "--from", "-")
        for args, stdin in ((one, None), (many, b'{"n":1}\n{"n":2}\n')):
            out = self.s.cli(*args, stdin=stdin)
            self.assertEqual((out.returncode, out.stderr.decode()),
                             (0, NOBODY % "nobody"))
            first = int(re.match(rb"\d+", out.stdout).group())
            self.assertEqual(self.json("get-job", first)["status"],
                             "PENDING")
            out = self.s.cli("--json", *args, stdin=stdin)
            self.assertEqual((out.returncode, out.stderr), (0, b""))
        self.assertEqual(self.json("get-job", first + 1)["payload"],
                         {"n": 2})
        for args in (("add-job", "t"), ("add-job", "t", "--from", "-")):
            out = self.s.cli(*args, stdin=b"{}\n{}\n")
            self.assertEqual((out.returncode, out.stderr), (0, b""))

    def test_force_cancel_of_a_running_job(self):
        job = self.ok("add-job", "t", '{"sleep":60}').strip()
        wait_for(lambda: self.json("get-job", job)["status"] == "RUNNING",
                 10, "it runs")
        out = self.s.cli("cancel", job)
        self.assertEqual((out.returncode, out.stderr.decode()),
                         (1, "taskmq: job %s is running; --force stops it\n"
                          % job))
        self.ok("cancel", "--force", job)
        self.assertEqual(self.json("get-job", job)["status"], "CANCELLED")

    def test_cancel_of_an_ended_job(self):
        job = self.ok("add-job", "t").strip()
        self.ok("get-job", "--wait", job)
        for force in ((), ("--force",)):
            out = self.s.cli("cancel", *force, job)
            self.assertEqual((out.returncode, out.stderr.decode()),
                             (1, "taskmq: job %s has ended (SUCCESS)\n"
                              % job))

    def test_stats(self):
        self.ok("get-job", "--wait", self.ok("add-job", "t").strip())
        stats = self.json("stats")
        self.assertEqual(len(stats["workers"]), 1)
        queue, = [q for q in stats["queues"] if q["handler"] == "t"]
        self.assertGreaterEqual(queue["received"], 1)
        self.assertGreaterEqual(stats["totals"]["success"], 1)
        self.assertIn("1 worker\n", self.ok("stats"))


if __name__ == "__main__":
    unittest.main()
