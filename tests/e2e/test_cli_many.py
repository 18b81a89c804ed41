"""`taskmq` for an operator: jobs by their state, changes of all that match,
settings with units, colours."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

import test_cli
from harness import SLOW, wait_for
from layout import at
from test_cli import TASKMQ, in_terminal


class Queue(test_cli.Cli):
    """Jobs in every state, of handlers that end in `a` and `b`."""

    handlers = {"a": {"instances": 4}, "b": {"instances": 4}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.w = cls.s.worker()

    def setUp(self):
        self.s.cli("delete", "--older", "0")
        self.flag = self.s.path("go-%d" % time.monotonic_ns())
        self.ids = {}
        for h in "ab":
            for name, args in (
                    ("success", (h,)),
                    ("timeout", (h, '{"fail":"HTTP 504: timeout",'
                                 '"retryable":false}')),
                    ("broken", (h, '{"fail":"é broken","retryable":false}')),
                    ("running", (h, json.dumps({"until": self.flag}))),
                    ("scheduled", (h, "--in", "1h")),
                    ("pending", ("n" + h,)),
                    ("cancelled", ("n" + h,))):
                self.ids[h + name] = int(self.ok("add-job", *args))
        for h in "ab":
            self.ok("cancel", self.ids[h + "cancelled"])
            for name in ("success", "timeout", "broken"):
                self.s.cli("get-job", "--wait", self.ids[h + name])
            wait_for(lambda: self.status(h + "running") == "RUNNING", 10)
        self.addCleanup(self.s.path, os.path.basename(self.flag), b"")

    def status(self, name):
        out = self.s.cli("get-job", self.ids[name])
        return json.loads(out.stdout)["status"] if out.returncode == 0 \
            else None

    def names(self, ids):
        back = {v: k for k, v in self.ids.items()}
        return {back[int(i)] for i in ids}

    def listed(self, *args):
        text = self.ok("list", "--limit", "100", *args)
        ids = re.findall(r"(?m)^(\d+) ", text)
        as_json = self.json("list", "--limit", "100", *args)
        self.assertEqual([j["id"] for j in as_json["jobs"]],
                         [int(i) for i in ids])
        return self.names(ids)

    # what a command would change, and changes
    def chosen(self, *args):
        out = self.s.cli(*args, "--dry-run")
        self.assertEqual(out.returncode, 0, out)
        ids = re.findall(r"(?m)^(\d+) would be [a-z]+$", out.stdout.decode())
        self.assertEqual(out.stdout.count(b"\n"), len(ids))
        self.assertRegex(out.stderr.decode(),
                         r"^jobs that would be [a-z]+: %d\n$" % len(ids))
        lines = [json.loads(x) for x in
                 self.ok("--json", *args, "--dry-run").splitlines()]
        self.assertEqual([x["job_id"] for x in lines], [int(i) for i in ids])
        before = {n: self.status(n) for n in self.ids}
        self.assertEqual(before, {n: self.status(n) for n in self.ids})
        out = self.s.cli(*args)
        self.assertEqual(out.returncode, 0, out)
        self.assertEqual(re.findall(r"(?m)^(\d+) ", out.stdout.decode()), ids)
        self.assertRegex(out.stderr.decode(),
                         r"^jobs [a-z]+: %d\n$" % len(ids))
        return self.names(ids)

    def test_list_by_status(self):
        for status, names in (
                ("scheduled", {"ascheduled", "bscheduled"}),
                ("SCHEDULED", {"ascheduled", "bscheduled"}),
                ("pending", {"apending", "bpending", "ascheduled",
                             "bscheduled"}),
                ("running", {"arunning", "brunning"}),
                ("dead", {"atimeout", "btimeout", "abroken", "bbroken"}),
                ("failed", {"atimeout", "btimeout", "abroken", "bbroken"}),
                ("success", {"asuccess", "bsuccess"}),
                ("cancelled", {"acancelled", "bcancelled"})):
            with self.subTest(status):
                self.assertEqual(self.listed("--status", status), names)
                self.assertEqual(
                    self.listed("--status", status, "--handler", "a"),
                    {n for n in names if n[0] == "a"
                     and n not in ("apending", "acancelled")})
        self.assertIn("scheduled", self.fails(2, "list", "--status", "lost"))

    def test_scheduled_jobs_in_pages(self):
        more = [int(self.ok("add-job", "c", "--in", "1h" if i % 3 else "0"))
                for i in range(12)]
        want = [i for n, i in enumerate(more) if n % 3][::-1]
        got, cursor = [], None
        while len(got) < len(want):
            page = self.json("list", "--status", "scheduled", "--handler",
                             "c", "--limit", "3",
                             *(("--before", cursor) if cursor else ()))
            got += [j["id"] for j in page["jobs"]]
            cursor = page["cursor"]
        self.assertEqual(got, want)

    def test_running_since_when_and_where(self):
        text = self.ok("list", "--status", "running")
        self.assertRegex(text, r"^ID +HANDLER +PRIORITY +FAILURES +SINCE "
                               r"+WORKER\n")
        job = self.json("get-job", self.ids["arunning"])
        self.assertRegex(text, r"(?m)^%d +a +0 +0 +%s +%s$" % (
            self.ids["arunning"], re.escape(job["started_at"]),
            re.escape(job["worker"])))
        self.assertIn(":%d" % self.w.pid, job["worker"])

    def test_scheduled_when_due(self):
        text = self.ok("list", "--status", "scheduled")
        self.assertRegex(text, r"^ID +HANDLER +PRIORITY +FAILURES +DUE "
                               r"+CREATED\n")
        job = self.json("get-job", self.ids["ascheduled"])
        self.assertRegex(text, r"(?m)^%d +a +0 +0 +%s +%s$" % (
            job["id"], re.escape(job["scheduled_for"]),
            re.escape(job["created_at"])))

    def test_cancel(self):
        self.assertEqual(self.chosen("cancel", "--handler", "a"),
                         {"ascheduled"})
        self.assertEqual(self.status("arunning"), "RUNNING")
        self.assertEqual(self.chosen("cancel", "--status", "pending"),
                         {"apending", "bpending", "bscheduled"})
        self.assertEqual(
            self.chosen("cancel", "--force", "--handler", "a"),
            {"arunning"})
        self.assertEqual(
            self.chosen("cancel", "--force", "--status", "running"),
            {"brunning"})
        self.assertEqual(self.chosen("cancel", "--older", "0"), set())
        self.assertEqual(self.status("asuccess"), "SUCCESS")

    def test_retry(self):
        self.assertEqual(self.chosen("retry", "--error", "504"),
                         {"atimeout", "btimeout"})
        for n in ("atimeout", "btimeout"):
            self.s.cli("get-job", "--wait", self.ids[n])
        self.assertEqual(self.chosen("retry", "--handler", "b", "--error",
                                     "é brok"), {"bbroken"})
        self.s.cli("get-job", "--wait", self.ids["bbroken"])
        self.assertEqual(self.chosen("retry", "--status", "dead",
                                     "--older", "0"),
                         {"atimeout", "btimeout", "abroken", "bbroken"})

    def test_delete(self):
        self.assertEqual(self.chosen("delete", "--older", "1h"), set())
        self.assertEqual(self.chosen("delete", "--status", "scheduled",
                                     "--handler", "a"), {"ascheduled"})
        self.assertEqual(self.chosen("delete", "--error", "HTTP 504",
                                     "--status", "failed"),
                         {"atimeout", "btimeout"})
        self.assertEqual(self.chosen("delete", "--handler", "b"),
                         {"bsuccess", "bbroken", "brunning", "bscheduled"})
        self.assertEqual({n for n in self.ids if self.status(n)},
                         {"asuccess", "abroken", "arunning", "apending",
                          "acancelled", "bpending", "bcancelled"})
        self.assertEqual(self.json("stats")["jobs"]["dead"], 1)

    def test_replay(self):
        for args, names in (
                (("replay", "--status", "scheduled"),
                 {"ascheduled", "bscheduled"}),
                (("replay-dead", "--error", "broken"),
                 {"abroken", "bbroken"})):
            self.assertEqual(self.chosen(*args), names)

    def test_older(self):
        """By Redis' clock, from when a job was added."""
        old = self.ids["apending"]
        choice = "delete", "--older", "1h", "--handler", "na", "--status", \
            "pending", "--dry-run"
        self.assertNotIn(b"would be", self.s.cli(*choice).stdout)
        self.s.redis("SETRANGE", self.s.key("j:%d" % old), at("JOB_CREATED"),
                     "%013d" % ((time.time() - 3601) * 1000))
        self.assertIn(b"would be", self.s.cli(*choice).stdout)
        new = int(self.ok("add-job", "na"))
        self.ids["new"] = new
        self.assertEqual(self.chosen("delete", "--older", "1h", "--handler",
                                     "na", "--status", "pending"),
                         self.names([old]))
        self.assertEqual(self.status("new"), "PENDING")

    def test_wrong_choices(self):
        for args in (("retry", "--status", "running"),
                     ("retry", "--status", "success"),
                     ("cancel", "--status", "running"),
                     ("cancel", "--status", "dead"),
                     ("cancel", "--force", "--status", "success"),
                     ("delete", "--status", "lost"),
                     ("delete", "--handler", "a b"), ("delete", "--error="),
                     ("delete", "--older", "soon"), ("delete", "--older="),
                     ("delete", "--dry-run"), ("delete", "1", "--dry-run"),
                     ("delete", "1", "--older", "0"), ("cancel", "--force"),
                     ("retry",), ("delete", "--force", "1"),
                     ("replay-dead", "--status", "dead")):
            with self.subTest(args):
                self.fails(2, *args)
        self.assertNotIn(None, [self.status(n) for n in self.ids])

    def test_many_pages_and_changes_meanwhile(self):
        """More than a page, and jobs that end while they are walked."""
        self.ok("add-job", "c", "--from", "-", stdin=b"{}\n" * 2500)
        env = dict(os.environ, TASKMQ_REDIS_URL=self.s.url("cli"))
        both = [subprocess.Popen([TASKMQ, "cancel", "--handler", "c"],
                                 env=env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(2)]
        done = 0
        for p in both:
            out, err = p.communicate(timeout=60 * SLOW)
            self.assertEqual(p.returncode, 0, err)
            done += out.count(b"cancelled")
        self.assertGreaterEqual(done, 2500)
        self.assertEqual(self.json("list", "--handler", "c", "--status",
                                   "pending")["jobs"], [])
        env = dict(env, TASKMQ_REDIS_URL=self.s.url("cli"))
        both = [subprocess.Popen([TASKMQ, "delete", "--handler", "c"],
                                 env=env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(2)]
        done = 0
        for p in both:
            out, err = p.communicate(timeout=60 * SLOW)
            self.assertEqual(p.returncode, 0, err)
            done += out.count(b"deleted")
        self.assertEqual(done, 2500)

    def test_ctrl_c_in_a_walk(self):
        self.ok("add-job", "c", "--from", "-", stdin=b"{}\n" * 20000)
        p = subprocess.Popen(
            [TASKMQ, "cancel", "--handler", "c"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TASKMQ_REDIS_URL=self.s.url("cli")))
        first = p.stdout.readline()
        p.send_signal(signal.SIGINT)
        out, err = p.stdout.read(), p.stderr.read()
        self.assertEqual(p.wait(60 * SLOW), -signal.SIGINT, err)
        p.stdout.close()
        p.stderr.close()
        done = (first + out).count(b"cancelled")
        self.assertIn(b"jobs cancelled: %d\n" % done, err)
        self.assertRegex(err, rb"jobs below \d+ were not looked at")
        self.assertLess(done, 20000)
        self.assertEqual(self.ok("cancel", "--handler", "c").count("\n"),
                         20000 - done)


class Settings(test_cli.Cli):

    def test_units(self):
        for name, value, number in (
                ("retention_s", "7d", 604800), ("retention_s", "90", 90),
                ("retention_s", "24h", 86400), ("dead_retention_s", "2m", 120),
                ("idempotency_ttl_s", "30s", 30),
                ("retry_wait_ms", "2s", 2000), ("retry_wait_ms", "500", 500),
                ("retry_wait_ms", "250ms", 250),
                ("retry_wait_max_ms", "1h", 3600000),
                ("finished_max_bytes", "4096", 4096),
                ("finished_max_bytes", "64k", 65536),
                ("finished_max_bytes", "512m", 536870912),
                ("finished_max_bytes", "2G", 2147483648),
                ("finished_max_bytes", "0", 0)):
            with self.subTest(value=value):
                self.assertEqual(self.ok("config", "set", name, value),
                                 "%s %d\n" % (name, number))
                self.assertEqual(self.ok("config", "get", name),
                                 "%d\n" % number)
        before = self.json("config")
        for name, value in (
                ("retention_s", "7w"), ("retention_s", "7 d"),
                ("retention_s", "-7d"), ("retention_s", "d"),
                ("retention_s", "1.5d"), ("retention_s", "9999d"),
                ("retention_s", "99999999999999999d"), ("retention_s", "07"),
                ("retention_s", "5ms"), ("retry_wait_ms", "5sm"),
                ("retry_wait_ms", "9999999999999999s"), ("max_retries", "7d"),
                ("dead_max", "5s"), ("selection", "7d"), ("nonsense_s", "7d"),
                ("finished_max_bytes", "5s"), ("finished_max_bytes", "5mb"),
                ("finished_max_bytes", "m"), ("finished_max_bytes", "1.5g"),
                ("finished_max_bytes", "513g"), ("dead_max", "5k"),
                ("finished_max_bytes", "9999999999999999g"),
                ("retention_s", ""), ("selection", "")):
            with self.subTest(value=value):
                self.assertIn(name, self.fails(2, "config", "set", "--", name,
                                               value))
        self.assertEqual(self.json("config"), before)

    def test_unset(self):
        defaults = self.json("config")
        for name, value in (("retention_s", "7d"), ("max_retries", "9"),
                            ("selection", "lifo")):
            self.ok("config", "set", name, value)
            self.assertNotEqual(self.json("config"), defaults)
            self.assertEqual(self.ok("config", "unset", name),
                             "%s\n" % defaults[name])
            self.assertEqual(self.json("config"), defaults)
            self.assertEqual(self.s.redis(
                "HEXISTS", self.s.key("config"), name), 0)
            self.ok("config", "unset", name)
        self.fails(2, "config", "unset", "nonsense")
        self.fails(2, "config", "unset")

    def test_order_after_unset(self):
        """The jobs that wait are run in the default order again."""
        for mode in ("lifo", "fifo"):
            self.ok("config", "set", "selection", mode)
            # long enough to start in different milliseconds
            ids = [int(self.ok("add-job", "o", '{"sleep":0.01}', "--priority",
                               p)) for p in ("1", "50", "20")]
            self.ok("config", "unset", "selection")
            with_worker = self.s
            with_worker.write_handlers({"o": {"instances": 1}})
            w = with_worker.worker("--concurrency", "1")
            for i in ids:
                self.ok("get-job", "--wait", i)
            started = {i: self.json("get-job", i)["started_at"] for i in ids}
            self.assertEqual(sorted(ids, key=started.get),
                             [ids[1], ids[2], ids[0]])
            w.stop()


class Colours(test_cli.Cli):

    ESC = "\x1b["

    def shown(self, *args, **env):
        return in_terminal([TASKMQ, *map(str, args)], self.s, **env)

    def test_states(self):
        job = self.ok("add-job", "h").strip()
        plain = self.ok("list")
        for args in (("list",), ("inspect", job)):
            with self.subTest(args):
                self.assertIn("\x1b[33mPENDING", self.shown(*args,
                                                            TERM="xterm"))
                self.assertIn("\x1b[33mPENDING", self.shown(
                    *args, TERM="xterm", NO_COLOR=""))
                for env in ({"TERM": "dumb"}, {}, {"TERM": ""},
                            {"TERM": "xterm", "NO_COLOR": "1"}):
                    self.assertNotIn(self.ESC, self.shown(*args, **env))
                self.assertNotIn(self.ESC, self.ok(*args))
                self.assertNotIn(self.ESC, self.shown("--json", *args,
                                                      TERM="xterm"))
        bare = re.sub("\x1b\\[\\d*m", "", self.shown("list", TERM="xterm"))
        self.assertEqual(bare.replace("\r\n", "\n"), plain)

    def test_verdicts(self):
        good = ("import sys\nfor _ in sys.stdin: "
                "print('{\"status\":\"success\"}', flush=True)")
        args = ("check-handler", "--", "python3", "-c", good)
        self.assertIn("\x1b[32mok", self.shown(*args, TERM="xterm"))
        self.assertNotIn(self.ESC, self.shown(*args, TERM="xterm",
                                              NO_COLOR="yes"))


if __name__ == "__main__":
    unittest.main()
