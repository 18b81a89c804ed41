"""A hostile machine and hostile handlers: descriptors and processes run out,
the log's disk is full, the clock jumps, pipes are kept open, stuffed or shut.
The worker stands, and no job pays for it."""

import os
import random
import re
import signal
import socket
import sys
import time
import unittest

import preload
from cli_stack import CliStack, gone
from harness import BUILD, ROOT, SLOW, free_port, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]


def argv(s, *more):
    return [os.path.join(BUILD, "taskmq-worker"), "--config", s.toml,
            "--redis-url", "unix:" + s.sock] + list(more)


def seen(s):
    return s.redis("HLEN", s.key("workers")) > 0


class Handlers(unittest.TestCase):

    def test_payload_that_nobody_reads(self):
        """A full stdin pipe stops nobody; the timeout ends it."""
        with CliStack(handlers={"deaf": {"command": ["sleep", "600"],
                                         "instances": 1, "timeout": 1},
                                "t": {"instances": 1}}, aof=False) as s:
            w = s.worker()
            job = s.add("deaf", {"text": "x" * 900_000},
                        retry_policy="none")
            s.wait_status(job, "RUNNING")
            for _ in range(5):
                s.wait_done(s.add("t", {}), 3)
            failed = s.wait_status(job, "FAILED", 20)
            self.assertEqual(failed["error_log"], "timed out after 1 s")
            w.kill()            # TERM would wait for its deaf handler

    def test_closes_stdin_after_its_answer(self):
        """The next task is not lost on it, and costs no try."""
        once = ["sh", "-c", 'read x; echo "{\\"status\\":\\"success\\"}"; '
                'exec <&-; sleep 600']
        with CliStack(handlers={"once": {"command": once, "instances": 2}},
                      aof=False) as s:
            s.worker()
            for i in s.add_many("once", [{}] * 6):
                done = s.wait_done(i, 20)
                self.assertEqual((done["retries"], done["crashes"]), (0, 0))

    def test_never_reads_and_closes_stdin(self):
        """From the start: it cannot start, and its job waits."""
        with CliStack(handlers={"shut": {"command": [
                "sh", "-c", "exec <&-; sleep 600"], "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            job = s.add("shut", {}, retry_policy="none")
            wait_for(lambda: re.search(
                "cannot start.*closed its stdin.*retry_in_ms=400",
                w.tail(50000)), 20)
            kept = s.job(job)
            self.assertEqual((kept["retries"], kept["crashes"]), (0, 0))
            self.assertIn(kept["status"], ("PENDING", "RUNNING"))

    def test_closes_stdin_and_answers(self):
        """What was read may still be answered."""
        late = ["sh", "-c", 'read x; exec <&-; sleep 1; '
                'echo "{\\"status\\":\\"success\\"}"']
        with CliStack(handlers={"late": {"command": late, "instances": 1}},
                      aof=False) as s:
            s.worker()
            for i in s.add_many("late", [{}] * 2):
                self.assertEqual(s.wait_done(i, 20)["retries"], 0)

    def test_grandchild_that_left_with_the_pipes(self):
        """A process of its own session keeps stdout and stderr open: nobody
        waits for it, and it holds no descriptor of the worker."""
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            s.wait_done(s.add("odd", {"do": "ok"}))
            fds = len(os.listdir("/proc/%d/fd" % w.pid))
            pids = []
            try:
                for _ in range(5):
                    job = s.add("odd", {"do": "escape", "mark":
                                        s.path("mark")}, retry_policy="none")
                    failed = s.wait_status(job, "FAILED", 10)
                    self.assertIn("exited with status 5",
                                  failed["error_log"])
                    with open(s.path("mark")) as f:
                        pids.append(int(f.read()))
                s.wait_done(s.add("odd", {"do": "ok"}))
                self.assertFalse(any(gone(p) for p in pids))
                wait_for(lambda: len(os.listdir("/proc/%d/fd" % w.pid))
                         <= fds, 5)
            finally:
                for p in pids:
                    os.kill(p, signal.SIGKILL)

    def test_stubborn_at_the_end_of_the_grace_time(self):
        with CliStack(handlers={"odd": {"command": ODD}}, aof=False) as s:
            w = s.worker("--grace", 1)
            job = s.add("odd", {"do": "stubborn", "mark": s.path("pid")})
            wait_for(lambda: os.path.exists(s.path("pid"))
                     and os.path.getsize(s.path("pid")), 10)
            self.assertEqual(w.stop(20), 0)
            back = s.job(job)
            self.assertEqual((back["status"], back["retries"],
                              back["crashes"]), ("PENDING", 0, 0))

    def test_flood_of_noise(self):
        """Lines on stdout that are no answer: the log is spared, too."""
        noise = (b"0123456789" * 9 + b"\n") * 2000
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            for _ in range(2):
                s.wait_done(s.add("odd", {"do": "raw", "hex": noise.hex(),
                                            "then": "answer"}), 20)
                end = time.monotonic() + 1.1
                wait_for(lambda: time.monotonic() > end, 5)
            self.assertLess(os.path.getsize(w.log), 100_000)
            self.assertRegex(w.tail(100_000),
                             r"lines not logged .*of=stdout lines=\d\d\d")


class Machine(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.preload = preload.build(cls)

    def test_descriptors_run_out(self):
        """What is left is Redis' and the log's: jobs run on as many processes
        as there can be, connections come back, the file is read again."""
        with CliStack(handlers={"t": {"instances": 30}}, aof=False) as s:
            port = free_port()
            w = s.start("worker", ["prlimit", "--nofile=64:64"]
                        + argv(s, "--concurrency", "30", "--listen",
                               "127.0.0.1:%d" % port))
            wait_for(lambda: seen(s), 10, "the worker is seen")
            ids = s.add_many("t", [{}] * 50)
            for _ in range(5):
                s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                s.wait_done(s.add("t", {}), 10)
            for i in ids:
                self.assertEqual(s.wait_done(i)["retries"], 0)
            w.signal(signal.SIGHUP)
            wait_for(lambda: "configuration reloaded" in w.tail(50000), 10)
            # several who look at its health at a time
            eyes = [socket.create_connection(("127.0.0.1", port))
                    for _ in range(12)]
            for c in eyes:
                c.settimeout(10 * SLOW)
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            for c in eyes:
                self.assertIn(b" 200 ", c.recv(100))
            for c in eyes:
                c.close()
            self.assertIn("Too many open files", w.tail(50000))
            self.assertLess(w.tail(50000).count("cannot start"), 20)
            self.assertEqual(w.stop(), 0)

    def test_no_process_can_be_started(self):
        """The instance that lives does the work; the other is tried again
        with growing pauses, not after each job."""
        with CliStack(handlers={"odd": {"command": ODD, "instances": 2}},
                      aof=False) as s:
            no_fork = s.path("no-fork")
            w = s.worker(env={"LD_PRELOAD": self.preload,
                              "FAKE_FORK": no_fork})
            pids = {s.wait_done(s.add("odd", {"do": "look"}))["result"]["pid"]
                    for _ in range(6)}
            self.assertEqual(len(pids), 2)
            s.path("no-fork", b"")
            os.kill(pids.pop(), signal.SIGKILL)
            wait_for(lambda: "fork: Resource temporarily unavailable"
                     in w.tail(50000), 10)
            for i in s.add_many("odd", [{"do": "ok"}] * 300):
                self.assertEqual(s.wait_done(i, 30)["retries"], 0)
            self.assertLess(w.tail(1 << 20).count("cannot start"), 15)
            os.unlink(no_fork)
            wait_for(lambda: len({s.wait_done(s.add("odd", {"do": "look"}))[
                "result"]["pid"] for _ in range(4)}) == 2, 40)
            wait_for(lambda: "handler works again" in w.tail(1 << 20), 5)

    def test_stopped_before_it_runs(self):
        """A process that is not the leader of its group yet is ended, too:
        its program would never end by itself."""
        sleeps = {"command": ["sh", "-c", "trap '' TERM; exec sleep 600"]}
        with CliStack(handlers={"s": sleeps}, aof=False) as s:
            w = s.worker(env={"LD_PRELOAD": self.preload, "FAKE_SETSID": "1"})
            w.signal(signal.SIGTERM)
            wait_for(lambda: "draining" in w.tail(), 10)
            w.signal(signal.SIGTERM)
            self.assertEqual(w.wait(), 0)

    def test_full_disk_under_the_log(self):
        with CliStack(handlers={"t": {"instances": 1}}, aof=False) as s:
            w = s.start("worker", ["sh", "-c", 'exec "$@" 2> /dev/full',
                                   "sh"] + argv(s))
            wait_for(lambda: seen(s), 10, "the worker is seen")
            s.wait_done(s.add("t", {"stderr": "x\n" * 1000,
                                    "noise": "y\n" * 1000}))
            w.signal(signal.SIGHUP)
            s.wait_done(s.add("t", {}))
            self.assertEqual(w.stop(), 0)

    def test_clock_of_the_worker_jumps(self):
        """Nothing but the log looks at it."""
        with CliStack(handlers={"t": {"instances": 2, "timeout": 20}}, lease=1,
                      aof=False) as s:
            clock = s.path("clock", b"0")
            s.worker(env={"LD_PRELOAD": self.preload, "FAKE_CLOCK": clock})
            s.worker()
            job = s.add("t", {"sleep": 3})
            s.wait_status(job, "RUNNING")
            for jump in (86400, -86400, 40_000_000):
                s.path("clock", b"%d" % jump)
                later = s.add("t", {}, scheduled_for=time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)))
                s.wait_done(s.add("t", {}))
                s.wait_done(later)
            done = s.wait_done(job)
            self.assertEqual((done["retries"], done["crashes"]), (0, 0))


    def test_clock_of_redis_jumps(self):
        """Leases are counted by it: one that is set forward or back takes no
        job from a worker that lives, and a dead one's are found all the
        same."""
        for jump in (3600, -3600):
            with CliStack(handlers={"t": {"instances": 3}}, lease=1,
                          aof=False) as s:
                s.server.stop()
                clock = s.path("clock", b"0")
                s.redis_argv = ["env", "LD_PRELOAD=" + self.preload,
                                "FAKE_CLOCK=" + clock] + s.redis_argv
                s.start_redis()
                workers = [s.worker() for _ in range(2)]
                # both reap by now
                end = time.monotonic() + 1.5
                wait_for(lambda: time.monotonic() > end, 10)
                ids = s.add_many("t", [{"sleep": 2.5}] * 4)
                wait_for(lambda: len(s.marks()) == 4, 10)
                s.path("clock", b"%d" % jump)
                for i in ids + s.add_many("t", [{}] * 10):
                    done = s.wait_done(i, 20)
                    self.assertEqual((done["retries"], done["crashes"]),
                                     (0, 0))
                self.assertEqual(s.stat("crashes"), 0)
                lost = s.add_many("t", [{"name": "lost", "sleep": 1}] * 4)
                wait_for(lambda: len([m for m in s.marks() if m["name"]
                                      == "lost"]) == 4, 10)
                workers[0].kill()
                for i in lost:
                    s.wait_done(i, 30)


class Storm(unittest.TestCase):

    def test_everything_at_once(self):
        """Reloads, cancels, deletes, timeouts, TERM and kill -9 in a seeded
        order: each job ends where it may, nothing is left behind."""
        rnd = random.Random(4)
        names = "abcd"

        def conf(n):
            return {x: {"command": ODD, "instances": 1 + (n + k) % 3,
                        "timeout": 1, "max_tasks_per_child": 3 + k,
                        "env": {"N": str(n // (k + 1))}}
                    for k, x in enumerate(names)}

        with CliStack(handlers=conf(0), lease=1, aof=False) as s:
            s.run("config", "set", "retry_wait_ms", "20")
            workers = [s.worker("--concurrency", 6, "--grace", 1)
                       for _ in range(2)]
            ids, stopped = [], set()
            tasks = [{"do": "ok"}, {"do": "sleep", "s": 0.05},
                     {"do": "sleep", "s": 30}, {"do": "exit", "status": 1},
                     {"do": "raw", "hex": b"noise\n".hex(), "then": "answer"},
                     {"do": "twice"}, {"do": "stderr", "bytes": 20000},
                     {"do": "kill", "signal": 9}]
            for n in range(40):
                ids += s.add_many(rnd.choice(names),
                                  [rnd.choice(tasks) for _ in range(4)])
                what = rnd.random()
                if what < 0.3:
                    job = rnd.choice(ids)
                    s.cli(*rnd.choice((("cancel", "--force"),
                                       ("delete",))), job)
                    stopped.add(job)
                elif what < 0.5:
                    s.write_handlers(conf(n))
                    for w in workers:
                        w.signal(signal.SIGHUP)
                elif what < 0.6:
                    k = rnd.randrange(2)
                    workers[k].signal(rnd.choice((signal.SIGTERM,
                                                  signal.SIGKILL)))
                    wait_for(lambda: not workers[k].alive(), 20)
                    workers[k] = s.worker("--concurrency", 6, "--grace", 1)

            def waiting():
                return sum(s.redis("ZCARD", s.key(x))
                           for x in ("leased", "scheduled")) \
                    + sum(len(s.waiting(x)) for x in names)

            wait_for(lambda: waiting() == 0, 120, "all jobs have ended")
            for i in set(ids) - stopped:
                self.assertIn(s.job(i)["status"], ("SUCCESS", "FAILED"))
            for w in workers:
                self.assertEqual(w.stop(20), 0)
            runs = [s.redis("GET", s.key("r:%d" % i)) for i in ids]
            self.assertEqual([r for r in runs if r and r[:1] == b"R"], [])


if __name__ == "__main__":
    unittest.main()
