"""The worker and its Redis: start, settings, leases, cancels, outages,
stopping. Real Redis, workers and child processes."""

import json
import os
import signal
import subprocess
import tempfile
import sys
import time
import unittest

import preload
from cli_stack import CliStack, gone
from harness import BUILD, ROOT, SLOW, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "scripts"))
import tmq  # noqa: E402  (the scripts' text)

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]
T = {"t": {"instances": 2}}


def pause(seconds):
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, seconds + 5)


def kill_clients(s):
    s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class Start(unittest.TestCase):

    def test_waits_for_redis(self):
        with CliStack(handlers=T) as s:
            s.server.stop()
            w = s.start("worker", [os.path.join(BUILD, "taskmq-worker"),
                                   "--config", s.toml, "--redis-url",
                                   s.url("worker")])
            wait_for(lambda: "Redis is away" in w.tail(), 10)
            s.start_redis()
            s.wait_done(s.add("t", {}))
            self.assertTrue(w.alive())

    def test_eviction_is_refused(self):
        with CliStack(handlers=T, redis_args=("--maxmemory-policy",
                                              "allkeys-lru")) as s:
            w = s.worker(wait=False)
            self.assertEqual(w.wait(), 1)
            self.assertIn("maxmemory-policy is not noeviction", w.tail())

    def test_settings_are_seeded_once(self):
        with CliStack(handlers=T) as s:
            env = {"DAEMON_TASK_SELECTION": "fifo", "DAEMON_MAX_RETRIES": "7"}
            a = s.worker(env=env)

            def setting(name):
                return (s.redis("HGET", s.key("config"), name) or b""
                        ).decode()

            wait_for(lambda: setting("selection") == "fifo", 10)
            self.assertEqual(setting("daemon_max_retries"), "7")
            self.assertNotIn("differs", a.tail())
            b = s.worker(env=dict(env, DAEMON_TASK_SELECTION="lifo"))
            wait_for(lambda: "differs" in b.tail(), 10)
            self.assertIn("namespace=fifo environment=lifo", b.tail())
            self.assertNotIn("daemon_max_retries", b.tail())
            self.assertEqual(setting("selection"), "fifo")

    def run_worker(self, *args, env=None):
        return subprocess.run(
            [os.path.join(BUILD, "taskmq-worker"), *args], timeout=20,
            capture_output=True, text=True, env=dict(os.environ, **env or {}))

    def test_bad_options(self):
        for args, env, word in (
                (["--concurrency", "0"], {}, "--concurrency: expected an"),
                (["--concurrency", "4x"], {}, "--concurrency"),
                (["--lease", "0"], {}, "--lease: expected an integer from 1"),
                (["--redis-url", "http://x"], {}, "--redis-url"),
                (["--redis-url", "rediss://x"], {}, "--redis-url"),
                (["--namespace", "a b"], {}, "--namespace"),
                (["--wrong"], {}, "--wrong"),
                (["--wrong"], {}, "taskmq-worker: --help lists the options"),
                (["extra"], {}, "extra"),
                ([], {"DAEMON_WORKERS": "many"}, "DAEMON_WORKERS"),
                ([], {"DAEMON_BATCH_SIZE": "0"}, "DAEMON_BATCH_SIZE"),
                ([], {"DAEMON_TASK_SELECTION": "best"},
                 "DAEMON_TASK_SELECTION"),
                ([], {"DAEMON_MAX_RETRIES": "-1"}, "DAEMON_MAX_RETRIES"),
                ([], {"DAEMON_LOG_LEVEL": "loud"}, "DAEMON_LOG_LEVEL"),
                ([], {"TASKMQ_BACKEND": "sqlite"}, "TASKMQ_BACKEND"),
                ([], {"TASKMQ_REDIS_URL": "x"}, "TASKMQ_REDIS_URL"),
                ([], {"HANDLER_CONFIG": ""}, "--config")):
            if "HANDLER_CONFIG" not in env:
                args = ["--config", "handlers.toml.example"] + args
            out = self.run_worker(*args, env=env)
            self.assertEqual(out.returncode, 2, (args, env))
            self.assertIn(word, out.stderr)

    def test_help_version_check(self):
        self.assertIn("--concurrency", self.run_worker("--help").stdout)
        self.assertRegex(self.run_worker("--version").stdout,
                         r"^taskmq-worker \d")
        out = self.run_worker("--check", env={"HANDLER_CONFIG": os.path.join(
            ROOT, "handlers.toml.example")})
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        self.assertIn("configuration is fine", out.stdout)
        out = self.run_worker("--check", "--config", "/no/such/file")
        self.assertEqual(out.returncode, 2)
        self.assertIn("/no/such/file: cannot be read", out.stderr)

    @unittest.skipIf(os.getuid() != 0, "needs root for a host name")
    def test_long_host_name(self):
        """All that Linux allows, whole, wherever the worker is named."""
        with CliStack(handlers={"x": {"builtin": "noop"}}, aof=False) as s:
            for n in (51, 52, 63, 64):
                host = "h" * (n - 3) + ".%02d" % n
                w = s.start("worker", [
                    "unshare", "--uts", "--", sys.executable, "-c",
                    "import os, socket, sys; socket.sethostname(sys.argv[1]);"
                    " os.execv(sys.argv[2], sys.argv[2:])", host,
                    os.path.join(BUILD, "taskmq-worker"), "--config", s.toml],
                    env=dict(os.environ, TASKMQ_REDIS_URL=s.url("worker")))
                name = "%s:%d" % (host, w.pid)
                wait_for(lambda name=name: name.encode() in b"".join(
                    s.redis("HVALS", s.key("workers"))), 10, name)
                self.assertIn(" name=%s " % name, w.tail())
                self.assertIn(name, s.run("stats").decode())
                job = s.add("x")
                s.wait_done(job)
                self.assertEqual(w.stop(), 0)

    def test_not_toml(self):
        """Texts that toml++ asserts are not there."""
        with tempfile.NamedTemporaryFile(suffix=".toml") as f:
            for text in ("[[[[", "\ufcff = 1\n", "[handlers.a\n", "a = \0",
                         'a = [ "x", n\n'):
                f.seek(0)
                f.truncate()
                f.write(text.encode())
                f.flush()
                out = self.run_worker("--check", "--config", f.name)
                self.assertEqual(out.returncode, 2, (text, out))
                self.assertRegex(out.stderr, r"\.toml:[1-9]: [^\n]+\n\Z")

    def test_json_log(self):
        with CliStack(handlers=T) as s:
            w = s.worker("--log-format", "json")
            s.wait_status(s.add("t", {"fail": "a \"b\"\nc"}), "FAILED")
            w.stop()
            with open(w.log) as f:
                lines = [json.loads(line) for line in f]
            failed, = [x for x in lines if x["msg"] == "job failed"]
            self.assertEqual(failed["error"], 'a "b"\nc')
            self.assertEqual(failed["level"], "warn")


class Leases(unittest.TestCase):

    def test_force_cancel_and_delete_stop_the_handler(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}}) as s:
            s.worker()              # a lease of 30 s: only the wake-up key
            for command, after in ((["cancel", "--force"], "CANCELLED"),
                                   (["delete"], None)):
                job = s.add("odd", {"do": "family", "mark": s.path("pid")})

                def started():
                    try:
                        with open(s.path("pid")) as f:
                            return int(f.read() or 0)
                    except OSError:
                        return 0

                pid = wait_for(started, 10)
                s.run(*command, job)
                began = time.monotonic()
                wait_for(lambda: gone(pid), 5, "the handler is stopped")
                self.assertLess(time.monotonic() - began, 1 * SLOW)
                if after:
                    self.assertEqual(s.job(job)["status"], after)
                os.unlink(s.path("pid"))
                s.wait_done(s.add("odd", {"do": "ok"}))
            self.assertEqual(s.stat("success"), 2)

    def test_log_of_a_run_that_was_cancelled(self):
        with CliStack(handlers={"t": {"instances": 1}}) as s:
            w = s.worker()
            job = s.add("t", {"stderr": "until \u00fc here\n", "sleep": 60})
            wait_for(lambda: "until \u00fc here" in w.tail(), 10)
            s.run("cancel", "--force", job)
            wait_for(lambda: "until \u00fc here" in s.log(job), 10)
            got = s.job(job)
            self.assertEqual((got["status"], got["error_log"], got["retries"]),
                             ("CANCELLED", None, 0))
            s.wait_done(s.add("t", {}))
            self.assertNotIn("no longer ours", w.tail())
            self.assertEqual((s.stat("failed"), s.stat("retries")), (0, 0))

    def test_cancel_and_delete_while_the_worker_is_stopped(self):
        """SIGSTOP: it learns of it within a second of going on."""
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}}) as s:
            w = s.worker()
            for command, word in ((["cancel", "--force"], "job cancelled"),
                                  (["delete"], "job deleted")):
                job = s.add("odd", {"do": "family", "mark": s.path("pid")})
                pid = wait_for(lambda: self.grandchild(s), 10)
                w.signal(signal.SIGSTOP)
                s.run(*command, job)
                self.ended(s, job, command)
                w.signal(signal.SIGCONT)
                began = time.monotonic()
                wait_for(lambda: gone(pid), 5)
                self.assertLess(time.monotonic() - began, 1 * SLOW)
                self.assertIn(word, w.tail())
                self.ended(s, job, command)
                os.unlink(s.path("pid"))
                s.wait_done(s.add("odd", {"do": "ok"}))
            self.assertEqual((s.stat("success"), s.stat("crashes")), (2, 0))

    def test_cancel_and_delete_while_the_worker_is_away(self):
        """Killed before, started after: nobody runs the job again."""
        with CliStack(handlers={"t": {"instances": 1}}, lease=1) as s:
            for n, command in enumerate((["cancel", "--force"], ["delete"])):
                w = s.worker(wait=n == 0)
                job = s.add("t", {"name": "x%d" % n, "sleep": 60})
                wait_for(lambda: any(m["name"] == "x%d" % n
                                     for m in s.marks()), 10)
                w.kill()
                s.run(*command, job)
                self.ended(s, job, command)
                w = s.worker(wait=False)
                # it reaps after a lease; then one more job
                wait_for(lambda: "connected" in w.tail(), 10)
                pause(2)
                s.wait_done(s.add("t", {}))
                self.ended(s, job, command)
                self.assertEqual(len([m for m in s.marks()
                                      if m["name"] == "x%d" % n]), 1)
                w.stop()
            self.assertEqual(s.stat("crashes"), 0)

    def ended(self, s, job, command):
        if command[0] == "cancel":
            self.assertEqual(s.job(job)["status"], "CANCELLED")
        else:
            self.assertNotEqual(s.cli("get-job", job).returncode, 0)

    def grandchild(self, s):
        try:
            with open(s.path("pid")) as f:
                return int(f.read() or 0)
        except FileNotFoundError:
            return 0

    def test_lost_lease_drops_the_result(self):
        """A worker that was stopped longer than its lease: another one has
        the job, and the first one's result is not used."""
        with CliStack(handlers={"t": {"instances": 1}}, lease=1) as s:
            a = s.worker()
            job = s.add("t", {"name": "x", "sleep": 4, "result": "once"})
            wait_for(s.marks, 10)
            b = s.worker()
            a.signal(signal.SIGSTOP)
            wait_for(lambda: len(s.marks()) >= 2, 15, "b runs it")
            self.assertFalse(gone(s.marks()[0]["pid"]))
            a.signal(signal.SIGCONT)
            wait_for(lambda: "lease lost" in a.tail(), 5)
            wait_for(lambda: gone(s.marks()[0]["pid"]), 10)
            done = s.wait_done(job, 15)
            self.assertEqual((done["result"], done["crashes"]), ("once", 1))
            self.assertEqual(s.stat("success"), 1)
            self.assertTrue(b.alive())

    def test_claim_whose_reply_was_lost(self):
        """Its leases are given back at the next connect, uncounted."""
        with CliStack(handlers={"t": {"instances": 1}}) as s:
            w = s.worker()
            wid = s.redis("HKEYS", s.key("workers"))[0]
            busy = s.add("t", {"name": "first", "sleep": 1.5})
            wait_for(s.marks, 10)
            ids = s.add_many("t", [{}] * 3)
            reply = s.redis("EVAL", tmq.text_of("claim"), 1, s.key(""),
                            b"ffffffffffff" + wid, "w", 30000, 10, 0, "t", 10)
            self.assertEqual(len(reply), 2 + 9)
            kill_clients(s)
            for i in [busy] + ids:
                done = s.wait_done(i, 10)
                self.assertEqual((done["retries"], done["crashes"]), (0, 0))
            self.assertIn("gave back jobs of a claim", w.tail())
            self.assertEqual(
                len([m for m in s.marks() if m["name"] == "first"]), 2)


class Outages(unittest.TestCase):

    def test_connections_killed_again_and_again(self):
        with CliStack(handlers={"t": {"instances": 4},
                                "n": {"builtin": "noop"}}) as s:
            w = s.worker("--concurrency", 50)
            ids = s.add_many("t", [{"name": str(i)} for i in range(200)])
            more = s.add_many("n", [{}] * 3000)
            for _ in range(6):
                done = s.stat("success")
                kill_clients(s)
                wait_for(lambda: s.stat("success") > done
                         or done == len(ids) + len(more), 20)
            wait_for(lambda: s.stat("success") == len(ids) + len(more), 20)
            self.assertEqual(s.stat("success"), len(ids) + len(more))
            self.assertEqual((s.stat("crashes"), s.stat("retries")), (0, 0))
            starts = [m["name"] for m in s.marks() if m["what"] == "start"]
            self.assertEqual(len(starts), len(set(starts)))
            self.assertTrue(w.alive())

    def test_script_flush(self):
        with CliStack(handlers=T) as s:
            s.worker()
            for _ in range(5):
                s.redis("SCRIPT", "FLUSH")
                s.wait_done(s.add("t", {}))

    def test_full_redis_drains(self):
        with CliStack(handlers=T) as s:
            s.worker()
            job = s.add("t", {"name": "x", "sleep": 0.5, "result": "y" * 50})
            ids = s.add_many("t", [{}] * 20)
            s.redis("CONFIG", "SET", "maxmemory", "1mb")
            for i in [job] + ids:
                s.wait_done(i, 15)

    def test_refused_for_a_while(self):
        """A Redis that takes no writes: nothing is lost, nothing runs
        twice, and nobody is reaped when it is over."""
        with CliStack(handlers={"t": {"instances": 2}}, lease=1) as s:
            w = s.worker()
            s.worker()
            ids = [s.add("t", {"name": "r%d" % n, "sleep": t})
                   for n, t in enumerate((0.7, 4))]
            wait_for(lambda: len(s.marks()) == 2, 10)
            s.redis("CONFIG", "SET", "min-replicas-to-write", "1")
            pause(2.5)
            s.redis("CONFIG", "SET", "min-replicas-to-write", "0")
            for i in ids:
                done = s.wait_done(i, 15)
                self.assertEqual((done["retries"], done["crashes"]), (0, 0))
            starts = [m["name"] for m in s.marks() if m["what"] == "start"]
            self.assertEqual(sorted(starts), ["r0", "r1"])
            self.assertIn("NOREPLICAS", w.tail(20000))

    def test_terms_until_it_has_ended(self):
        """Who goes on sending TERM does not change the exit status, in the
        worst moment neither."""
        with CliStack(handlers=T) as s:
            w = s.worker(env={"LD_PRELOAD": preload.build(type(self)),
                              "FAKE_TERM": "1"})
            self.assertEqual(w.stop(), 0, w.tail())
            for _ in range(10):
                w = s.worker()
                while w.alive():
                    w.signal(signal.SIGTERM)
                    # faster, and it does nothing but read signals
                    time.sleep(0.0002)
                self.assertEqual(w.proc.returncode, 0, w.tail())

    def test_stopped_worker_with_redis_away(self):
        """TERM while Redis is away: it goes when the grace time is over."""
        with CliStack(handlers=T) as s:
            w = s.worker("--grace", 1)
            s.add("t", {"sleep": 60})
            wait_for(s.marks, 10)
            s.server.kill()
            w.signal(signal.SIGTERM)
            self.assertEqual(w.wait(15), 0)
            self.assertIn("leaving with outcomes that Redis does not know",
                          w.tail())

    def test_stopped_worker_with_a_redis_that_refuses(self):
        """TERM while Redis is there and refuses the outcome, for a reason
        that may pass: it is repeated as long as the grace time, and a little
        more."""
        with CliStack(handlers=T, aof=False) as s:
            for passes in (True, False):
                w = s.worker("--grace", 1)
                job = s.add("t", {"sleep": 0.5})
                s.wait_status(job, "RUNNING")
                s.redis("CONFIG", "SET", "min-replicas-to-write", 1)
                wait_for(lambda: w.alive() and "NOREPLICAS" in w.tail(), 10)
                w.signal(signal.SIGTERM)
                wait_for(lambda: "grace time is over" in w.tail(), 10)
                if passes:
                    s.redis("CONFIG", "SET", "min-replicas-to-write", 0)
                self.assertEqual(w.wait(8), 0)
                left = "leaving with outcomes that Redis does not know"
                self.assertEqual(left in w.tail(), not passes, w.tail())
                if passes:
                    s.wait_done(job)
            s.redis("CONFIG", "SET", "min-replicas-to-write", 0)


class Flat(unittest.TestCase):

    def test_no_descriptor_or_zombie_stays(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 4,
                                        "timeout": 5}}, aof=False) as s:
            w = s.worker("--concurrency", 8)

            def look():
                fds = len(os.listdir("/proc/%d/fd" % w.pid))
                with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                    children = f.read().split()
                zombies = 0
                for c in children:
                    try:
                        with open("/proc/%s/stat" % c) as f:
                            zombies += f.read().rsplit(")", 1)[1].split()[
                                0] == "Z"
                    except OSError:
                        pass
                return fds, len(children), zombies

            s.wait_done(s.add("odd", {"do": "ok"}))
            # four instances and the guard
            before = wait_for(lambda: look() if look()[1] == 5 else None, 10)
            for i in s.add_many("odd", [{"do": "exit", "status": 1}] * 40
                                + [{"do": "twice"}] * 20):
                pass
            wait_for(lambda: s.stat("success") >= 21
                     and s.stat("retries") >= 40, 60)
            wait_for(lambda: look() == before, 20, "flat: %r" % (before,))

    def test_idle_worker_with_many_handlers_sleeps(self):
        handlers = {"h%d" % i: {"builtin": "noop"} for i in range(300)}
        with CliStack(handlers=handlers, aof=False) as s:
            w = s.worker()
            s.wait_done(s.add("h299", {}))
            s.wait_done(s.add("h0", {}))

            def ticks():
                with open("/proc/%d/stat" % w.pid) as f:
                    x = f.read().rsplit(")", 1)[1].split()
                return int(x[11]) + int(x[12])

            before = ticks()
            pause(1.5)
            self.assertLessEqual(ticks() - before, 3 * SLOW)


class Waking(unittest.TestCase):
    """Latency of sleeping workers, seen from Redis: no poll, no lost
    marker."""

    def finished(self, s, job):
        return int(job) in s.finished()

    def test_two_workers_many_handlers(self):
        """Markers taken by a worker that is busy meanwhile are passed on."""
        with CliStack(handlers={"a": {"instances": 1}, "b": {"instances": 1}},
                      aof=False) as s:
            s.worker("--concurrency", 1)
            s.worker("--concurrency", 1)
            for n in range(8):      # every process has done something
                s.wait_done(s.add("ab"[n % 2], {}))
            late = []
            for n in range(12):
                name = "w%d" % n
                long, = s.add_many("ab"[n % 2], [{"name": name,
                                                  "sleep": 0.25}])
                t = time.time()
                short, = s.add_many("ba"[n % 2], [{"name": name + "s"}])
                wait_for(lambda: self.finished(s, short), 10)
                mark = [m for m in s.marks() if m["name"] == name + "s"][0]
                late.append(mark["t"] - t)
                wait_for(lambda: self.finished(s, long), 10)
            self.assertLess(max(late), 0.15 * SLOW, late)

    def test_burst_spreads_over_workers(self):
        with CliStack(handlers={"t": {"instances": 2}}, aof=False) as s:
            for _ in range(3):
                s.worker("--concurrency", 2)

            def burst(name, sleep):
                s.add_many("t", [{"name": name, "sleep": sleep}] * 6)
                wait_for(lambda: len([m for m in s.marks() if m["name"] == (
                    name) and m["what"] == "end"]) == 6, 15)
                return [m["t"] for m in s.marks()
                        if m["name"] == name and m["what"] == "start"]

            burst("warm", 1)
            starts = burst("b", 1)
            self.assertLess(max(starts) - min(starts), 0.3 * SLOW, starts)


if __name__ == "__main__":
    unittest.main()
