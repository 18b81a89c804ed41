"""Acceptance of TaskDaemon's side, the worker: the order in which waiting jobs
are taken, also after a change, and its environment variables, each with its
default and its meaning."""

import json
import os
import random
import re
import subprocess
import sys
import time
import unittest

from desk import Desk
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


class Line:
    """Waiting jobs of one handler, each with its priority, and the order in
    which they must be taken."""

    def __init__(self, first, priorities):
        self.waiting = {first + i: p for i, p in enumerate(priorities)}

    def order(self, mode):
        key = {"priority": lambda i: (-self.waiting[i], i),
               "fifo": lambda i: i, "lifo": lambda i: -i}[mode]
        return sorted(self.waiting, key=key)

    def take(self, taken, mode):
        """How many of the taken ones, from the first, came in this order;
        those wait no longer."""
        n = 0
        for got, want in zip(taken, self.order(mode)):
            if got != want:
                break
            n += 1
        for i in taken[:n]:
            del self.waiting[i]
        return n


class Selection(unittest.TestCase):

    def add(self, s, n):
        """n jobs of "n" with priorities of all kinds, in one stream."""
        rng = random.Random(5)
        priorities = [rng.randint(0, 100) for _ in range(n)]
        text = "".join('{"handler":"n","payload":{},"priority":%d}\n' % p
                       for p in priorities)
        before = int(s.redis("GET", s.key("seq")) or 0)
        s.run("add-job", "--from", "-", stdin=text.encode())
        return Line(before + 1, priorities)

    def claims(self, s, n):
        """(number of the claim, id) of every job, from the run records."""
        wait_for(lambda: s.stat("success") == n, 300, "all %d are done" % n)
        found = []
        for first in range(1, n + 1, 1000):
            ids = range(first, min(first + 1000, n + 1))
            runs = s.redis("MGET", *(s.key("r:%d" % i) for i in ids))
            found += [(field(r, "RUN_COUNTER"), i)
                      for i, r in zip(ids, runs)]
        return found

    def test_100_000_waiting_are_drained_in_the_new_order(self):
        n, most = 100000, 20
        with Desk(handlers=NOOP, aof=False) as s:
            line = self.add(s, n)
            self.assertEqual(s.waiting("n"), list(range(1, n + 1)))
            s.run("config", "set", "selection", "fifo")
            s.worker(env={"DAEMON_WORKERS": "50",
                          "DAEMON_BATCH_SIZE": str(most)})
            found = self.claims(s, n)
            self.assertGreaterEqual(len({c for c, _ in found}), n / most)
            # within one claim there is no order to see
            at = {i: k for k, i in enumerate(line.order("fifo"))}
            taken = [i for _, i in sorted(found, key=lambda f: (f[0],
                                                                at[f[1]]))]
            self.assertEqual(line.take(taken, "fifo"), n, taken[:50])

    def test_changes_while_they_are_drained(self):
        """Also while a worker is at it: each job was taken in the order that
        held then, and with 20,000 of them nearly all are taken after a
        change."""
        n, seen = 20000, []
        with Desk(handlers=NOOP, aof=False) as s:
            line = self.add(s, n)
            # one job a claim, so that each has a number of its own
            w = s.worker(env={"DAEMON_WORKERS": "1",
                              "DAEMON_BATCH_SIZE": "1"})
            # it must not be done before a change has come
            os.setpriority(os.PRIO_PROCESS, w.pid, 10)
            for part, mode in enumerate(("lifo", "fifo", "priority"), 1):
                wait_for(lambda: s.stat("success") >= part * n / 5, 60)
                s.run("config", "set", "selection", mode)
            found = sorted(self.claims(s, n))
            self.assertEqual(len({c for c, _ in found}), n)
            taken = [i for _, i in found]
            for mode in ("priority", "lifo", "fifo", "priority"):
                seen.append(line.take(taken[sum(seen):], mode))
            self.assertEqual(sum(seen), n, seen)
            self.assertGreaterEqual(min(seen), n // 20, seen)

    def test_a_handlers_starts(self):
        """The three orders as a handler's process sees them; set by
        DAEMON_TASK_SELECTION, priority when that is not set."""
        for mode in ("fifo", "lifo", "priority", None):
            with self.subTest(mode), Desk(
                    handlers={"t": {"instances": 1}}, aof=False) as s:
                priorities = [n * 37 % 101 for n in range(30)]
                text = "".join(json.dumps(
                    {"handler": "t", "payload": {"name": n},
                     "priority": p}) + "\n" for n, p in enumerate(priorities))
                s.run("add-job", "--from", "-", stdin=text.encode())
                s.worker("--concurrency", 1, env={
                    "DAEMON_TASK_SELECTION": mode or ""})
                wait_for(lambda: s.stat("success") == 30, 30)
                self.assertEqual(
                    [m["name"] + 1 for m in s.marks() if m["what"] == "start"],
                    Line(1, priorities).order(mode or "priority"))


class Environment(unittest.TestCase):

    def most_at_once(self, most, *args, **env):
        """That many jobs of twelve run together, never more."""
        with Desk(handlers={"t": {"instances": 9}}, aof=False) as s:
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
                    Desk(handlers=NOOP, aof=False) as s:
                ids = s.add_many("n", [{}] * 100)
                s.worker(env={"DAEMON_WORKERS": str(workers),
                              "DAEMON_BATCH_SIZE": size})
                wait_for(lambda: s.stat("success") == 100, 30)
                claims = [field(s.redis("GET", s.key("r:%d" % i)),
                                "RUN_COUNTER") for i in ids]
                self.assertEqual(max(claims.count(c) for c in claims), most)

    def test_handler_config(self):
        with Desk(handlers={"t": {}}, aof=False) as s:
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
        with Desk(handlers=handlers, aof=False) as s, \
                Desk(handlers=handlers, aof=False) as d:
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
            with self.subTest(level), Desk(
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
        with Desk(handlers={"two": {"command": ODD},
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
        with Desk(handlers={"odd": {"command": ODD, "instances": 3,
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
