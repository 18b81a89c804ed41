"""The queue as users meet it: what an unusual job, name or setting does to
all others, through nginx, workers and command line together."""

import datetime
import json
import re
import unittest

import preload
from cli_stack import CliStack
from harness import Stack, wait_for


class Figures(unittest.TestCase):

    def test_many_waiting_in_every_selection(self):
        """Statistics of a handler with more waiting jobs than one look at
        them reads."""
        with Stack() as s:
            for i in range(150):
                s.add("h", {}, priority=i % 101)     # each a lane of its own
            for mode in ("lifo", "fifo", "priority"):
                out = s.cli("config", "set", "selection", mode)
                self.assertEqual(out.returncode, 0, out)
                self.check(s, mode)
                # another selection's jobs are moved by the next claim
                s.write_handlers({"other": {"builtin": "noop"}})
                w = s.worker()
                s.wait_done(s.add("other"))
                w.stop()
                self.check(s, mode)

    def check(self, s, mode):
        queues = s.get("/queues")
        self.assertEqual(queues.status, 200, (mode, queues))
        waiting = {q["handler"]: q["waiting"] for q in queues.json()["queues"]}
        self.assertEqual(waiting["h"], 150)
        metrics = s.get("/monitor/metrics", token=None)
        self.assertEqual(metrics.status, 200, mode)
        self.assertRegex(metrics.body, rb'\{[^}]*"h"[^}]*\} 150\n')
        out = s.cli("--json", "stats")
        self.assertEqual(out.returncode, 0, (mode, out))
        self.assertIn(b'"waiting":150', out.stdout)


class Names(unittest.TestCase):

    def test_junk_does_not_lock_out_a_served_handler(self):
        with Stack(handlers={"mine": {"builtin": "noop"}},
                   http="taskmq_max_bulk 1m;") as s:
            s.worker()
            r = s.post("/add-jobs", [{"handler": "junk%d" % i, "payload": {}}
                                     for i in range(1000)])
            self.assertEqual(r.status, 200, r)
            r = s.post("/add-job", {"handler": "junk", "payload": {}})
            self.assertEqual(r.status, 422, r)
            s.wait_done(s.add("mine"))
            out = s.cli("add-job", "mine", "{}")
            self.assertEqual(out.returncode, 0, out)
            self.assertEqual(s.get("/monitor/metrics", token=None).status, 200)
            self.assertEqual(len(s.get("/queues").json()["queues"]), 1001)
            out = s.cli("--json", "stats")
            self.assertEqual(out.returncode, 0, out)


class Room(unittest.TestCase):

    def test_large_results_are_bounded(self):
        """A year's retention of large results does not fill Redis."""
        handlers = {"h": {"instances": 2}}
        with Stack(handlers=handlers, aof=False) as s:
            for name, value in (("retention_s", "31536000"),
                                ("finished_max_bytes", "3000000")):
                out = s.cli("config", "set", name, value)
                self.assertEqual(out.returncode, 0, out)
            self.assertNotIn(b"warning", s.get("/health", token=None).body)
            s.worker()
            first = s.add("h", {"result": "x" * 100000})
            s.wait_done(first)
            for _ in range(40):
                last = s.add("h", {"result": "x" * 100000})
            s.wait_done(last)
            wait_for(lambda: s.get("/job/%d" % first).status == 404)
            s.wait_done(s.add("h"))

            def within():
                out = s.cli("--json", "stats").stdout
                got = json.loads(out)["jobs"]
                return 2000000 < got["finished_bytes"] <= 3000000

            wait_for(within, 20)
            self.assertEqual(s.job(last)["status"], "SUCCESS")
            out = s.cli("stats").stdout
            self.assertIn(b" % of finished_max_bytes\n", out)
            self.assertIn(b"finished jobs before their time", out)
            metrics = s.get("/monitor/metrics", token=None).body
            self.assertIn(b"\ntaskmq_finished_max_bytes 3000000\n", metrics)
            wait_for(lambda: b"finished_max_bytes" in
                     s.get("/health", token=None).body)

    def test_health_warns_before_redis_is_full(self):
        with Stack(aof=False) as s:
            self.assertNotIn(b"full", s.get("/health", token=None).body)
            used = int(re.search(rb"used_memory:(\d+)", s.redis(
                "INFO", "memory")).group(1))
            s.redis("CONFIG", "SET", "maxmemory", used + used // 20)
            wait_for(lambda: b"nearly full" in
                     s.get("/health", token=None).body)
            self.assertEqual(s.get("/health", token=None).status, 200)
            s.redis("CONFIG", "SET", "maxmemory", 0)
            wait_for(lambda: b"nearly full" not in
                     s.get("/health", token=None).body)


class Unreadable(unittest.TestCase):
    """A record that is damaged, or of a version to come: its job fails, once
    and with that reason; those around it do not notice."""

    SPOILT = {
        "another version": lambda r: b"2" + r[1:],
        "cut in the payload": lambda r: r[:-1],
        "cut before it": lambda r: r[:30],
        "an option nobody knows": lambda r: r.replace(b"\n", b" z=1\n", 1),
        "nothing of it": lambda r: b"\0\xff",
    }

    def spoil(self, s, kind, job, how):
        key = s.key("%s:%d" % (kind, job))
        s.redis("SET", key, how(s.redis("GET", key)))

    def failed(self, s, job, what):
        got = s.wait_status(job, "FAILED")
        self.assertIn("cannot be read", got["error_log"], what)
        self.assertEqual((got["crashes"], got["payload"]), (0, None), what)

    def test_records(self):
        handlers = {"h": {"builtin": "noop"}, "q": {"builtin": "noop"}}
        with Stack(handlers=handlers, lease=1) as s:
            spoilt, good = {}, []
            for what, how in self.SPOILT.items():
                for fields in ({}, {"interval_seconds": 1},
                               {"scheduled_for": "2199-01-01"}):
                    good.append(s.add("h"))
                    job = s.add("h", **fields)
                    self.spoil(s, "j", job, how)
                    spoilt[job] = what, fields
                    # all pages and figures are there, whatever waits
                    jobs = s.get("/jobs?limit=100")
                    self.assertEqual(jobs.status, 200, what)
                    self.assertEqual(len(jobs.json()["jobs"]),
                                     len(spoilt) + len(good), what)
                    self.assertEqual(s.get("/job/%d" % job).status, 200, what)
                    self.assertEqual(s.cli("list").returncode, 0, what)
                    self.assertEqual(s.get("/queues").status, 200, what)
                    if "scheduled_for" in fields:
                        s.redis("ZADD", s.key("scheduled"), "XX", "1000", job)
            w = s.worker()
            for job in good:
                s.wait_done(job)
            for job, what in spoilt.items():
                self.failed(s, job, what)
            health = s.get("/queues").json()["queues"]
            self.assertEqual({q["running"] for q in health}, {0})
            self.assertEqual(s.redis("HGET", s.key("stats"), "crashes"), None)
            self.assertEqual(int(s.redis("HGET", s.key("stats"), "failed")),
                             len(spoilt))
            # and it goes on
            s.wait_done(s.add("q"))
            for job in spoilt:
                self.assertEqual(s.request("DELETE", "/job/%d" % job).status,
                                 200)
            self.assertTrue(w.alive())

    def test_dead_ones_go(self):
        """When their time is over, and when there are too many: they stop
        neither the sweep nor the count."""
        with Stack(handlers={"h": {"builtin": "noop"}}, lease=1) as s:
            s.worker()
            jobs = []
            for how in self.SPOILT.values():
                job = s.add("h", scheduled_for="2199-01-01")
                self.spoil(s, "j", job, how)
                s.redis("ZADD", s.key("scheduled"), "XX", "1000", job)
                jobs.append(job)
            for job in jobs:
                s.wait_status(job, "FAILED")
            self.assertEqual(self.dead(s), len(jobs))
            for job in jobs[::2]:
                s.redis("ZADD", s.key("dead"), "XX", "1000", job)
            wait_for(lambda: s.redis("ZCARD", s.key("dead"))
                     == len(jobs[1::2]), 60, "they are swept")
            self.assertEqual(self.dead(s), len(jobs[1::2]))
            s.cli("config", "set", "dead_max", "1")
            wait_for(lambda: s.redis("ZCARD", s.key("dead")) == 1, 20,
                     "they are dropped")
            self.assertEqual(self.dead(s), 1)
            self.assertEqual([s.get("/job/%d" % job).status for job in jobs],
                             [404, 404, 404, 200, 404])

    def dead(self, s):
        """Dead jobs by the counters of handlers, one of which is not
        known."""
        flat = s.redis("HGETALL", s.key("stats"))
        counts = {k: int(n) for k, n in zip(flat[::2], flat[1::2])
                  if k.startswith(b"dead:")}
        self.assertGreaterEqual(min(counts.values()), 0, counts)
        return sum(counts.values())

    def test_a_run_while_it_runs(self):
        with Stack(handlers={"h": {"instances": 3}}, lease=1) as s:
            s.worker()
            file = s.path("go")
            jobs = [s.add("h", {"until": file}) for _ in range(3)]
            for job in jobs:
                s.wait_status(job, "RUNNING")
            self.spoil(s, "r", jobs[1], lambda r: r[:70])
            self.assertEqual(s.get("/job/%d" % jobs[1]).status, 200)
            s.path("go", b"")
            s.wait_done(jobs[0])
            s.wait_done(jobs[2])
            got = s.wait_status(jobs[1], "FAILED", 20)
            self.assertIn("cannot be read", got["error_log"])
            self.assertEqual(s.redis("HGET", s.key("stats"), "crashes"), None)


class Times(unittest.TestCase):

    def test_periodic_before_1970(self):
        """All runs are at the time of day that was asked for, wherever the
        first one lies."""
        with Stack(handlers={"h": {"builtin": "noop"}}) as s:
            jobs = {s.add("h", {}, interval_seconds=86400,
                          scheduled_for=day + "T03:07:09.250Z"): day
                    for day in ("0001-01-01", "1969-12-31", "1970-01-01",
                                "1970-01-02", "2001-02-03")}
            once = s.add("h", {}, scheduled_for="1969-12-31T03:07:09Z")
            s.worker()
            s.wait_done(once)
            for job, day in jobs.items():
                wait_for(lambda: s.job(job)["runs"] == 1)
                due = s.job(job)["scheduled_for"]
                self.assertTrue(due.endswith("T03:07:09.250Z"), (day, due))
                due = datetime.datetime.fromisoformat(due[:-1] + "+00:00")
                wait = due - datetime.datetime.now(datetime.timezone.utc)
                self.assertTrue(0 < wait.total_seconds() < 86401, (day, due))

    def test_clock_of_redis_is_set_back(self):
        """A periodic job goes on, and a retry is not a day late."""
        library = preload.build(type(self))
        with CliStack(handlers={"t": {}}, lease=1, aof=False) as s:
            s.server.stop()
            clock = s.path("clock", b"0")
            s.redis_argv = ["env", "LD_PRELOAD=" + library,
                            "FAKE_CLOCK=" + clock] + s.redis_argv
            s.start_redis()
            s.run("config", "set", "retry_wait_ms", "4000")
            s.run("config", "set", "retry_wait_max_ms", "4000")
            s.worker()
            tick = s.add("t", {}, interval_seconds=2)
            wait_for(lambda: s.job(tick)["runs"] >= 2, 20)
            again = s.add("t", {"fail": "no", "fail_until": 1,
                                "retryable": True})
            wait_for(lambda: s.job(again)["retries"] == 1)
            runs = s.job(tick)["runs"]
            s.path("clock", b"-86400")
            wait_for(lambda: s.job(tick)["runs"] >= runs + 3, 30)
            s.wait_done(again, 30)


if __name__ == "__main__":
    unittest.main()
