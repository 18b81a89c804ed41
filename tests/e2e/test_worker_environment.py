"""The worker's environment variables of TaskDaemon, each with its default and
its meaning."""

import os
import re
import subprocess
import sys
import time
import unittest

from cli_stack import CliStack
from harness import BUILD, ROOT, SLOW, Stack, wait_for
from layout import field

# DAEMON_...: values that are taken, values that are refused
INTEGER = ("x", "-1", "+1", " 1", "1 ", "1.0", "1e1", "0x1", "1s",
           "99999999999999999999")
VALUES = {
    "DAEMON_WORKERS": (("1", "1000"), ("0", "1001")),
    "DAEMON_BATCH_SIZE": (("1", "1000"), ("0", "1001")),
    "DAEMON_TASK_TIMEOUT": (("1", "604800"), ("0", "604801")),
    "DAEMON_MAX_RETRIES": (("0", "100"), ("101",)),
    "DAEMON_TASK_SELECTION": (("fifo", "lifo", "priority"),
                              ("best", "fif", " fifo", "fifo,lifo")),
    "DAEMON_LOG_LEVEL": (("debug", "info", "warn", "error", "INFO"),
                         ("loud", "2", "inf", " info")),
    "HANDLER_CONFIG": (("handlers.toml.example",), ("/no/such/file", "/")),
}
ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]
NOOP = {"n": {"builtin": "noop"}}


class Environment(unittest.TestCase):

    def most_at_once(self, most, *args, **env):
        """That many jobs of twelve run together, never more."""
        with CliStack(handlers={"t": {"instances": 9}}, aof=False) as s:
            s.add_many("t", [{"until": s.dir + "/go"}] * 9 + [{}] * 3)
            s.worker(*args, env=env)
            seen, end = 0, time.monotonic() + 30 * SLOW
            while s.stat("success") < 12:
                now = len(s.leased())
                if now == most:
                    s.path("go", b"")
                seen = max(seen, now)
                self.assertLessEqual(seen, most)
                self.assertLess(time.monotonic(), end, seen)

    def test_daemon_workers(self):
        self.most_at_once(4)
        self.most_at_once(7, DAEMON_WORKERS="7")
        self.most_at_once(2, "--concurrency", "2", DAEMON_WORKERS="7")

    def test_daemon_batch_size(self):
        """The most jobs that one claim took."""
        for workers, size, most in ((9, "1", 1), (9, "3", 3), (9, "8", 8),
                                    (9, "", 5), (31, "", 16)):
            with self.subTest(size, workers=workers), \
                    CliStack(handlers=NOOP, aof=False) as s:
                ids = s.add_many("n", [{}] * 100)
                s.worker(env={"DAEMON_WORKERS": str(workers),
                              "DAEMON_BATCH_SIZE": size})
                wait_for(lambda: s.stat("success") == 100, 30)
                claims = [field(s.redis("GET", s.key("r:%d" % i)),
                                "RUN_COUNTER") for i in ids]
                self.assertEqual(max(claims.count(c) for c in claims), most)

    def test_handler_config(self):
        with CliStack(handlers={"t": {}}, aof=False) as s:
            s.start("worker", [os.path.join(BUILD, "taskmq-worker")],
                    env=dict(os.environ, HANDLER_CONFIG=s.toml,
                             TASKMQ_REDIS_URL=s.url("worker")))
            s.wait_done(s.add("t", {}))

    def test_daemon_task_timeout(self):
        """30 s when nothing says another; DAEMON_TASK_TIMEOUT where the
        handler has none; the handler's; the job's own before all."""
        def ends(s, job, after):
            error = s.wait_status(job, "FAILED", after + 20)["error_log"]
            self.assertIn("timed out after %d s" % after, error)

        handlers = {"plain": {}, "own": {"timeout": 2}}
        once = {"retry_policy": "none"}
        with CliStack(handlers=handlers, aof=False) as s, \
                CliStack(handlers=handlers, aof=False) as d:
            d.worker()
            default = d.add("plain", {"sleep": 90}, **once)
            w = s.worker(env={"DAEMON_TASK_TIMEOUT": "1"})
            first = s.add("plain", {"sleep": 90}, **once)
            second = s.add("own", {"sleep": 90}, **once)
            third = s.add("own", {"sleep": 90}, timeout=3, **once)
            done = s.add("plain", {"sleep": 1.5}, timeout=9, **once)
            ends(s, first, 1)
            ends(s, second, 2)
            ends(s, third, 3)
            s.wait_done(done)
            self.assertTrue(w.alive())
            self.assertEqual(d.job(default)["status"], "RUNNING")
            ends(d, default, 30)

    def test_daemon_max_retries(self):
        """3 for what came by /queue, so 4 executions; 0 is none. TaskMQ's
        own budget is another."""
        for retries, attempts in (("", 4), ("1", 2), ("0", 1)):
            with self.subTest(retries), Stack(
                    api="taskdaemon", location="taskmq_auth off;",
                    server="location /taskmq/ { taskmq_api taskmq; }",
                    handlers={"t": {}}, aof=False) as s:
                self.assertEqual(s.cli("config", "set", "retry_wait_ms",
                                       "10").returncode, 0)
                s.worker(env={"DAEMON_MAX_RETRIES": retries})
                fail = {"fail": "busy", "retryable": True}
                task = s.post("/queue", {"type": "t", "data": fail},
                              token=None).json()["task_id"]
                job = s.post("/taskmq/add-job", {"handler": "t",
                                                 "payload": fail})

                def read():
                    t = s.get("/api/tasks/" + task, token=None).json()
                    return t["status"] == "failed" and t

                self.assertEqual(wait_for(read, 20)["attempts"], attempts)
                path = "/taskmq/job/%d" % job.json()["job_id"]
                wait_for(lambda: s.get(path).json()["status"] == "FAILED", 20)
                self.assertEqual(s.get(path).json()["retries"], 3)

    def test_daemon_log_level(self):
        order = ["debug", "info", "warn", "error"]
        for level in ("debug", "info", "warn", "error", "DEBUG", ""):
            with self.subTest(level), CliStack(
                    handlers={"t": {"instances": 1},
                              "broken": {"command": ["/no/such/program"]}},
                    aof=False) as s:
                w = s.worker(env={"DAEMON_LOG_LEVEL": level})
                s.wait_done(s.add("t", {}))
                s.wait_status(s.add("t", {"fail": "x"}), "FAILED")
                w.stop()
                seen = {m.group(1) for m in re.finditer(
                    r"(?m)^\S+Z (debug|info|warn|error) ", w.tail(100000))}
                least = order.index((level or "info").lower())
                self.assertEqual(seen - set(order[least:]), set())
                if least < 3:
                    self.assertIn(order[least], seen)

    def test_bad_values_are_refused(self):
        """At the start, with the variable and what is expected of it in one
        line, however good the others are; an empty one is unset."""
        def start(**env):
            env.setdefault("HANDLER_CONFIG", "handlers.toml.example")
            return subprocess.run(
                [os.path.join(BUILD, "taskmq-worker"), "--check"], cwd=ROOT,
                capture_output=True, text=True, timeout=60 * SLOW,
                env=dict(os.environ, **env))

        with open(os.path.join(ROOT, "docs", "taskdaemon.md")) as f:
            documented = dict(re.findall(
                r"(?m)^\| `([A-Z_]+)` \| ([^|]*) \|", f.read()))
        self.assertEqual(set(documented), set(VALUES))
        for name, (good, bad) in VALUES.items():
            if good[0].isdigit():
                self.assertRegex(documented[name], "^%s to %s\\b" % good)
                bad += INTEGER
            for value in good + ("",) * (name != "HANDLER_CONFIG"):
                out = start(**{name: value})
                self.assertEqual((out.returncode, out.stderr), (0, ""),
                                 (name, value))
            for value in bad:
                out = start(**{name: value})
                self.assertEqual(out.returncode, 2, (name, value, out))
                if name == "HANDLER_CONFIG":
                    self.assertIn(value + ": cannot be read", out.stderr)
                else:
                    self.assertRegex(out.stderr, "^taskmq-worker: %s: "
                                     "expected .*\n$" % name)

    def test_instances_is_2(self):
        with CliStack(handlers={"two": {"command": ODD},
                                "five": {"command": ODD, "instances": 5}},
                      aof=False) as s:
            w = s.worker()

            def instances():
                n = 0
                with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                    for pid in f.read().split():
                        try:
                            with open("/proc/%s/cmdline" % pid) as f2:
                                n += "odd_handler.py" in f2.read()
                        except OSError:
                            pass                # it has ended since
                return n

            wait_for(lambda: instances() == 7, 10)
            for n, many in (("two", 2), ("five", 4)):
                done, file = s.stat("success"), s.path("go-" + n)
                s.add_many(n, [{"do": "until", "file": file}] * 6)
                seen, end = 0, time.monotonic() + 30 * SLOW
                while s.stat("success") < done + 6:
                    now = len(s.leased())
                    if now == many:
                        s.path("go-" + n, b"")
                    seen = max(seen, now)
                    self.assertLessEqual(seen, many, n)
                    self.assertLess(time.monotonic(), end, (n, seen))
            self.assertEqual(instances(), 7)

    def test_random_selection(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 3,
                                        "handler_selection": "random"}},
                      aof=False) as s:
            s.worker()
            pids = [s.wait_done(s.add("odd", {"do": "look"}))["result"]["pid"]
                    for _ in range(40)]
            self.assertEqual(len(set(pids)), 3)
            # neither always the first nor one after the other
            turns = {(a, b) for a, b in zip(pids, pids[1:])}
            self.assertGreater(len(turns), 3)


if __name__ == "__main__":
    unittest.main()
