"""The main job: a POST to nginx becomes a handler's result, whatever happens
on the way. Real nginx, Redis, worker and handler processes."""

import json
import os
import signal
import time
import unittest

from harness import SLOW, Stack, wait_for

ALONE = True
BIG = "12345678901234567890123"


class Shared(unittest.TestCase):
    """Tests that share one stack."""

    handlers = {"noop": {"builtin": "noop", "instances": 4},
                "t": {"instances": 2},
                "fast": {"instances": 4, "timeout": 2}}
    aof = True

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(handlers=cls.handlers, aof=cls.aof)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker()

    def starts(self, name):
        return [m for m in self.s.marks()
                if m["name"] == name and m["what"] == "start"]

    @classmethod
    def warm_up(cls):
        """All handlers' processes have done something: none is a program that
        is still being loaded."""
        for name, conf in cls.handlers.items():
            ids = [cls.s.add(name, {"sleep": 0.2})
                   for _ in range(conf["instances"])]
            for i in ids:
                cls.s.wait_done(i)

    def on_time(self, limit, late):
        """late() does something and says how much too late it came, in
        seconds. That is within the limit at the first try; only what the
        machine is known to have given to others does not count."""
        before = self.s.waited()
        seen = late()
        waited = max(0, self.s.waited() - before)
        self.assertLess(seen - waited, limit * SLOW,
                        "%.3f s late, %.3f s of it without a processor"
                        % (seen, waited))


class Jobs(Shared):

    def test_200_jobs_all_succeed(self):
        ids = [self.s.add("t", {"n": i}) for i in range(200)]
        self.assertEqual(len(set(ids)), 200)
        for i in ids:
            self.s.wait_done(i, 30)
        for i in ids:
            self.assertEqual(self.s.job(i)["status"], "SUCCESS")

    def test_builtin_noop(self):
        job = self.s.wait_done(self.s.add("noop", {"task": "test"}))
        self.assertEqual(job["payload"], {"task": "test"})

    def test_numbers_stay_byte_for_byte(self):
        payload = '{"serial":%s,"price":1.10,"e":-0.0E+00}' % BIG
        # "raw" makes the handler answer with the line as it came, so that
        # the result shows what the handler was given
        payload = payload[:-1] + ',"raw":true}'
        job = self.s.add("t", payload)
        self.s.wait_done(job)
        body = self.s.get("/job/%d" % job).body
        self.assertIn(b'"payload":' + payload.encode(), body)
        result = body[body.index(b'"result":'):]
        self.assertIn(b'"task_data":' + payload.encode(), result)

    def test_100_kB_payload(self):
        text = "x" * 100_000
        job = self.s.add("t", {"text": text, "raw": True})
        done = self.s.wait_done(job)
        self.assertEqual(done["payload"]["text"], text)
        self.assertEqual(done["result"]["task_data"]["text"], text)

    def test_pretty_printed_body_is_one_task(self):
        payload = '{\n  "name": "pretty",\r\n  "s": "a\\nb"\n}'
        job = self.s.add("t", payload)
        self.s.wait_done(job)
        self.assertEqual(len(self.starts("pretty")), 1)
        body = self.s.get("/job/%d" % job).body
        self.assertIn(payload.encode(), body)

    def test_handler_gets_exactly_four_keys(self):
        self.s.wait_done(self.s.add("t", {"name": "keys"}))
        mark, = self.starts("keys")
        self.assertEqual(mark["keys"],
                         ["attempt", "task_data", "task_id", "task_type"])
        self.assertEqual(mark["attempt"], 1)
        self.assertRegex(mark["id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-"
                         r"[89ab][0-9a-f]{3}-[0-9a-f]{12}$")

    def test_result_is_kept(self):
        for result in (None, 0, "text", [1, {"a": []}], {"ü": "\U0001f600"}):
            job = self.s.wait_done(self.s.add("t", {"result": result}))
            self.assertEqual(job["result"], result)

    def test_noise_on_stdout_is_skipped(self):
        noise = 'hello\n{"a":1}\n[]\n{"status":"perhaps"}\n{"stat'
        job = self.s.wait_done(self.s.add("t", {"noise": noise,
                                                "result": 7}))
        self.assertEqual(job["result"], 7)

    def test_times_are_there_and_in_order(self):
        job = self.s.wait_done(self.s.add("t", {}))
        times = [job[k] for k in ("created_at", "started_at", "finished_at")]
        self.assertEqual(times, sorted(times))
        for t in times:
            self.assertRegex(t, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertTrue(job["worker"])

    def test_timeout_counts_as_failure(self):
        job = self.s.add("fast", {"sleep": 60}, retry_policy="none")
        failed = self.s.wait_status(job, "FAILED", 15)
        self.assertIn("time", failed["error_log"].lower())
        # and the instance is replaced
        self.s.wait_done(self.s.add("fast", {}))


class Retries(Shared):
    """Without a disk, which a busy machine may keep waiting."""

    handlers = {"t": {"instances": 4}}
    aof = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        out = cls.s.cli("config", "set", "retry_wait_ms", "300")
        if out.returncode != 0:
            raise AssertionError(out)
        cls.warm_up()

    def gaps(self, name):
        t = [m["t"] for m in self.starts(name)]
        return [b - a for a, b in zip(t, t[1:])]

    def test_fixed(self):
        def late():
            name = "fixed"
            job = self.s.add("t", {"name": name, "fail": "no",
                                   "retryable": True})
            failed = self.s.wait_status(job, "FAILED")
            self.assertEqual(failed["error_log"], "no")
            self.assertEqual([m["attempt"] for m in self.starts(name)],
                             [1, 2, 3])
            gaps = self.gaps(name)
            self.assertGreaterEqual(min(gaps), 0.29)
            return max(gaps) - 0.3

        self.on_time(0.25, late)

    def test_exponential(self):
        def late():
            name = "exp"
            job = self.s.add("t", {"name": name, "fail": "no",
                                   "retryable": True},
                             retry_policy="exponential", max_retries=3)
            self.s.wait_status(job, "FAILED", 15)
            gaps = self.gaps(name)
            self.assertEqual(len(gaps), 3)
            for gap, wait in zip(gaps, (0.3, 0.6, 1.2)):
                self.assertGreaterEqual(gap, wait * 0.74)
            return max(g - w for g, w in zip(gaps, (0.3, 0.6, 1.2)))

        self.on_time(0.25, late)

    def test_none(self):
        job = self.s.add("t", {"name": "none", "fail": "no",
                               "retryable": True}, retry_policy="none")
        self.s.wait_status(job, "FAILED")
        self.assertEqual(len(self.starts("none")), 1)

    def test_missing_retryable_is_final(self):
        job = self.s.add("t", {"name": "final", "fail": "for good"})
        failed = self.s.wait_status(job, "FAILED")
        self.assertEqual(failed["error_log"], "for good")
        self.assertEqual(len(self.starts("final")), 1)

    def test_succeeds_at_the_third_try(self):
        job = self.s.add("t", {"name": "third", "fail": "not yet",
                               "retryable": True, "fail_until": 2,
                               "result": "yes"})
        done = self.s.wait_done(job)
        self.assertEqual((done["result"], done["retries"]), ("yes", 2))

    def test_handler_that_dies_is_retried(self):
        job = self.s.add("t", {"name": "dies", "die": 3, "result": "alive"})
        done = self.s.wait_done(job)
        self.assertEqual(done["result"], "alive")
        self.assertEqual(len(self.starts("dies")), 2)

    def test_exit_status_is_in_the_error(self):
        job = self.s.add("t", {"die": 3}, retry_policy="none")
        self.assertIn("3", self.s.wait_status(job, "FAILED")["error_log"])

    def test_scheduled_for(self):
        def late():
            name, at = "later", time.time() + 1.2
            iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) \
                + ".%03dZ" % int(at % 1 * 1000)
            job = self.s.add("t", {"name": name}, scheduled_for=iso)
            self.s.wait_done(job)
            mark, = self.starts(name)
            self.assertGreaterEqual(mark["t"], at - 0.01)
            return mark["t"] - at

        self.on_time(0.25, late)
        far = self.s.add("t", {}, scheduled_for="2099-01-01T00:00:00Z")
        self.assertEqual(self.s.job(far)["status"], "PENDING")


class Busy(Shared):
    """Slots that free up while the worker sleeps in Redis. It is not about
    the disk, which a busy machine may keep waiting for half a second."""

    handlers = {"one": {"instances": 1}, "idle": {"instances": 1}}
    aof = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.warm_up()

    def test_next_job_starts_within_50_ms_of_the_free_slot(self):
        def late(name):
            ids = [self.s.add("one", {"name": name, "sleep": 0.3}),
                   self.s.add("one", {"name": name})]
            for j in ids:
                self.s.wait_done(j)
            marks = [m for m in self.s.marks() if m["name"] == name]
            first_end = [m["t"] for m in marks if m["what"] == "end"][0]
            second = [m["t"] for m in marks if m["what"] == "start"][1]
            return second - first_end

        for n in range(5):
            self.on_time(0.05, lambda: late("busy%d" % n))

    def test_a_wait_for_a_retry_occupies_no_slot(self):
        """The only instance works for others meanwhile."""
        self.s.cli("config", "set", "retry_wait_ms", "60000")
        job = self.s.add("one", {"fail": "x", "retryable": True})
        failed = wait_for(lambda: (lambda j: j["retries"] == 1 and j)(
            self.s.job(job)), 10, "its first failure")
        self.assertEqual((failed["status"], failed["error_log"]),
                         ("PENDING", "x"))
        self.s.wait_done(self.s.add("one", {}))
        self.assertEqual(self.s.job(job)["retries"], 1)
        self.s.post("/cancel", {"job_id": job})

    def test_idle_job_starts_at_once(self):
        def late(name):
            job = self.s.add("idle", {"name": name})
            self.s.wait_done(job)
            made = int(self.s.redis("GET", self.s.key("j:%d" % job))[13:26])
            mark, = self.starts(name)
            return mark["t"] - made / 1000

        for n in range(5):
            self.on_time(0.05, lambda: late("idle%d" % n))

    def test_idle_worker_uses_no_cpu(self):
        def ticks():
            with open("/proc/%d/stat" % self.w.pid) as f:
                w = f.read().rsplit(")", 1)[1].split()
            return int(w[11]) + int(w[12])

        before, end = ticks(), time.monotonic() + 1.5
        wait_for(lambda: time.monotonic() > end, 5)
        self.assertLessEqual(ticks() - before, 3 * SLOW)


class Crash(unittest.TestCase):

    def test_kill_9_of_one_of_two_workers(self):
        with Stack(handlers={"t": {"instances": 6}}, lease=1) as s:
            a = s.worker("--concurrency", 6)
            ids = [s.add("t", {"name": "j%d" % i, "sleep": 2.5, "result": i})
                   for i in range(6)]
            wait_for(lambda: len(s.marks()) == 6, 10, "six are running")
            b = s.worker("--concurrency", 6)
            first = {m["pid"] for m in s.marks()}
            a.kill()
            for n, i in enumerate(ids):
                self.assertEqual(s.wait_done(i, 30)["result"], n)
            # the dead worker's children went with it
            for pid in first:
                self.assertFalse(os.path.exists("/proc/%d" % pid))
            ends = [m["name"] for m in s.marks() if m["what"] == "end"]
            self.assertEqual(sorted(ends), ["j%d" % n for n in range(6)])
            self.assertEqual(s.stat("success"), 6)
            self.assertEqual(s.stat("crashes"), 6)
            self.assertEqual(s.redis("ZCARD", s.key("leased")), 0)
            self.assertTrue(b.alive())

    def test_job_longer_than_the_lease_runs_once(self):
        with Stack(handlers={"t": {"instances": 1}}, lease=1) as s:
            s.worker()
            s.worker()
            s.wait_done(s.add("t", {"sleep": 3.5}), 15)
            self.assertEqual(len(s.marks()), 2)
            self.assertEqual(s.stat("crashes"), 0)

    def test_third_lost_worker_ends_the_job(self):
        with Stack(handlers={"t": {"instances": 1}}, lease=1) as s:
            job = s.add("t", {"sleep": 60})
            reaper = s.worker()
            workers = [reaper]
            for n in range(3):
                wait_for(lambda: sum(m["what"] == "start"
                                     for m in s.marks()) == n + 1, 15,
                         "start %d" % (n + 1))
                if n < 2:
                    fresh = s.worker()
                else:
                    # nobody may run it again, but somebody must reap it
                    s.write_handlers({"other": {"builtin": "noop"}})
                    fresh = s.worker()
                workers[-1].kill()
                workers.append(fresh)
            failed = s.wait_status(job, "FAILED", 15)
            self.assertEqual(failed["error_log"], "worker lost 3 times")
            self.assertEqual(failed["retries"], 0)

    def test_term_drains(self):
        with Stack(handlers={"t": {"instances": 1}}) as s:
            w = s.worker()
            running = s.add("t", {"sleep": 1, "result": "done"})
            waiting = s.add("t", {})
            s.wait_status(running, "RUNNING")
            self.assertEqual(w.stop(20), 0)
            self.assertEqual(s.job(running)["result"], "done")
            self.assertEqual(s.job(waiting)["status"], "PENDING")
            self.assertEqual(s.redis("HLEN", s.key("workers")), 0)

    def test_second_term_stops_now_and_gives_the_job_back(self):
        with Stack(handlers={"t": {"instances": 1}}) as s:
            w = s.worker()
            job = s.add("t", {"sleep": 60})
            wait_for(lambda: s.marks(), 10, "it runs")
            w.signal(signal.SIGTERM)
            wait_for(lambda: "drain" in w.tail().lower()
                     or "TERM" in w.tail(), 5, "the worker says it drains")
            w.signal(signal.SIGTERM)
            w.wait(15)
            back = s.wait_status(job, "PENDING")
            self.assertEqual(back["retries"], 0)
            self.assertEqual(s.stat("crashes"), 0)


class RedisAway(unittest.TestCase):
    """Redis stops for longer than the lease and comes back: no running job
    is run twice or counted as a crash."""

    def outage(self, stop, back):
        with Stack(handlers={"t": {"instances": 4}}, lease=2) as s:
            s.worker("--concurrency", 2)
            s.worker("--concurrency", 2)
            # both have been connected for a lease: they reap by now
            reaping = time.monotonic() + 2.5
            wait_for(lambda: time.monotonic() > reaping, 5)
            # two that are still running when it is back, and two whose
            # result has to wait for it
            sleeps = [1.5, 1.5, 8, 8]
            ids = [s.add("t", {"name": "o%d" % n, "sleep": t, "result": n})
                   for n, t in enumerate(sleeps)]
            wait_for(lambda: len(s.marks()) == 4, 10, "four are running")
            stop(s)
            end = time.monotonic() + 4.5
            wait_for(lambda: time.monotonic() > end, 10)
            back(s)
            wait_for(lambda: s.get("/health", token=None).status == 200, 10,
                     "nginx is connected again")
            for n, i in enumerate(ids):
                done = s.wait_done(i, 20)
                self.assertEqual((done["result"], done["retries"]), (n, 0))
            starts = [m["name"] for m in s.marks() if m["what"] == "start"]
            self.assertEqual(sorted(starts), ["o0", "o1", "o2", "o3"])
            self.assertEqual((s.stat("success"), s.stat("crashes")), (4, 0))

    def test_stopped_and_continued(self):
        self.outage(lambda s: s.server.signal(signal.SIGSTOP),
                    lambda s: s.server.signal(signal.SIGCONT))

    def test_killed_and_restarted_from_its_AOF(self):
        self.outage(lambda s: s.server.kill(), lambda s: s.start_redis())


class Places(unittest.TestCase):
    """Namespaces, and configuration that is refused at start."""

    def test_two_namespaces_on_one_redis(self):
        with Stack(handlers={"t": {"instances": 1}}, namespace="one") as s:
            s.worker()
            s.wait_done(s.add("t", {"result": 1}))
            s.allow("two")
            out = s.cli("--namespace", "two", "--json", "stats")
            self.assertEqual(out.returncode, 0, out)
            self.assertEqual(json.loads(out.stdout)["totals"]["received"], 0)
            self.assertEqual(s.redis("EXISTS", "{taskmq}:seq"), 0)

    def test_bad_handlers_toml_names_file_and_place(self):
        with Stack(nginx=False) as s:
            for text, where in (
                    ('[handlers.x]\ncommand = "sh"\n', "command"),
                    ('[handlers.x]\n', "x"),
                    ('[handlers.x]\nbuiltin = "noop"\ntimeout = "long"\n',
                     "timeout"),
                    ('[handlers.x]\nbuiltin = "noop"\ntimeuot = 3\n',
                     "timeuot"),
                    ('[handlers."a b"]\nbuiltin = "noop"\n', "a b"),
                    ('[handlers.x]\nbuiltin = "noop"\nurl = "http://a"\n',
                     "x"),
                    ('[handlers.x\n', "handlers.toml:1:"),
                    ('', "handlers")):
                s.path("handlers.toml", text.encode())
                w = s.worker(wait=False)
                self.assertNotEqual(w.wait(), 0, text)
                self.assertIn("handlers.toml", w.tail(), text)
                self.assertIn(where, w.tail(), text)
                checked = s.worker("--check", wait=False)
                self.assertNotEqual(checked.wait(), 0, text)


if __name__ == "__main__":
    unittest.main()
