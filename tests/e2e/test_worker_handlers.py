"""What handlers can do to the worker, and what their jobs' errors say. Real
Redis, worker and child processes."""

import json
import os
import signal
import sys
import time
import unittest

from cli_stack import CliStack, gone
from harness import ROOT, SLOW, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]
LINE_MAX = 1024 * 1024 + 64 * 1024
RESULT_MAX = 1024 * 1024


class Shared(unittest.TestCase):
    handlers = {"odd": {"command": ODD, "instances": 1, "timeout": 20},
                "short": {"command": ODD, "instances": 1, "timeout": 1}}
    args = ()
    env = None

    @classmethod
    def setUpClass(cls):
        cls.s = CliStack(handlers=cls.handlers, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker(*cls.args, env=cls.env)

    def tearDown(self):
        """Whatever a handler did, the next job works."""
        self.assertTrue(self.w.alive(), self.w.tail())

    def do(self, what, handler="odd", **data):
        return self.s.add(handler, dict(data, do=what), retry_policy="none")

    def done(self, *a, **kw):
        return self.s.wait_done(self.do(*a, **kw), 20)["result"]

    def failed(self, *a, **kw):
        error = self.s.wait_status(self.do(*a, **kw), "FAILED",
                                   20)["error_log"]
        self.assertEqual(self.done("ok", result=5, **{
            k: v for k, v in kw.items() if k == "handler"}), 5)
        return error


class Lines(Shared):

    def test_line_of_1_MB_comes_back(self):
        self.assertEqual(len(self.done("big", bytes=RESULT_MAX)),
                         RESULT_MAX - 2)

    def test_result_over_the_limit(self):
        error = self.failed("big", bytes=RESULT_MAX + 1)
        self.assertIn(str(RESULT_MAX), error)

    def test_5_MB_answer_line(self):
        error = self.failed("write", first="{", bytes=5_000_000)
        self.assertIn("5000000", error)
        self.assertIn(str(LINE_MAX), error)

    def test_5_MB_noise_line_is_skipped(self):
        self.assertEqual(self.done("write", first="x", bytes=5_000_000,
                                   answer=True), "after")

    def test_5_MB_line_that_never_ends(self):
        error = self.failed("write", first="{", bytes=5_000_000,
                            newline=False, handler="short")
        self.assertIn("timed out after 1 s", error)
        self.assertIn("5000000 bytes of an unfinished line", error)

    def test_half_a_line_and_death(self):
        half = b'{"status":"succ'
        error = self.failed("raw", hex=half.hex(), then="exit", status=0)
        self.assertIn("exited with status 0 without an answer", error)
        self.assertIn("%d bytes of an unfinished line" % len(half), error)

    def test_unreadable_answer_without_newline_and_death(self):
        """It is no half line: more would not make it one that can be read."""
        for line, at in ((b'{"status":"success","result":NaN}', 29),
                         (b'{"status":"success","result":{},} ', 32)):
            job = self.s.wait_status(self.s.add("odd", {
                "do": "raw", "hex": line.hex(), "then": "exit"}), "FAILED")
            self.assertIn("cannot be read", job["error_log"])
            self.assertIn(" at byte %d" % at, job["error_log"])
            self.assertEqual(job["retries"], 1)
        for half in (b'{"status":"success","result":{}',
                     b'{"status":"success","result":[1,{}'):
            error = self.failed("raw", hex=half.hex(), then="exit")
            self.assertIn("%d bytes of an unfinished line" % len(half), error)

    def test_whole_answer_without_newline_and_death(self):
        whole = b'{"status":"success","result":[1.10]}'
        job = self.do("raw", hex=whole.hex(), then="exit")
        self.assertEqual(self.s.wait_done(job)["result"], [1.1])

    def test_nothing_and_death(self):
        self.assertIn("exited with status 0 without an answer",
                      self.failed("exit", status=0))

    def test_exit_status(self):
        self.assertIn("exited with status 7", self.failed("exit", status=7))

    def test_signal(self):
        self.assertIn("killed by signal 11 (Segmentation fault)",
                      self.failed("kill", signal=11))

    def test_binary_is_skipped(self):
        junk = bytes(range(256)) + b"\xff\xfe\n{\"stat\":\"success\"\0}\n"
        self.assertEqual(self.done("raw", hex=junk.hex(), then="answer"),
                         "after")

    def test_timeout_says_what_was_skipped(self):
        error = self.failed("raw", hex=b'[1]\n{"status":"great"}\n'.hex(),
                            handler="short")
        self.assertIn("timed out after 1 s", error)
        self.assertIn("2 stdout lines were no answer", error)

    def test_crlf_answer(self):
        line = b'{"status":"success","result":1}\r\n'
        self.assertEqual(self.s.wait_done(self.do(
            "raw", hex=line.hex()))["result"], 1)

    def test_error_that_is_no_string(self):
        line = b'{"status":"error","error":{"code":7}}\n'
        self.assertEqual(self.failed("raw", hex=line.hex()), '{"code":7}')

    def test_error_without_text(self):
        line = b'{"status":"error"}\n'
        self.assertIn("without a text", self.failed("raw", hex=line.hex()))

    def test_long_error_is_cut_at_a_character(self):
        line = json.dumps({"status": "error", "error": "é" * 20000},
                          ensure_ascii=False).encode() + b"\n"
        error = self.failed("raw", hex=line.hex())
        self.assertEqual(error, "é" * 8192)

    def test_second_answer_replaces_the_instance(self):
        before = self.done("look")["pid"]
        self.assertEqual(self.done("twice"), 1)
        self.assertNotEqual(self.done("look")["pid"], before)
        self.assertIn("answer without a task", self.w.tail(20000))

    def test_closed_stdout(self):
        self.assertIn("closed its stdout", self.failed("close", fd=1))


class Logs(Shared):

    def test_stderr_is_the_jobs_log(self):
        job = self.do("stderr", bytes=1000)
        self.s.wait_done(job)
        log = self.s.log(job)
        self.assertTrue(log.startswith("e" * 99 + "\n"), log[:200])
        self.assertIn("the end", log)

    def test_10_MB_of_stderr(self):
        job = self.do("stderr", bytes=10_000_000)
        self.s.wait_done(job, 20)
        log = self.s.log(job)
        self.assertLessEqual(len(log), 64 * 1024 + 1)
        self.assertGreater(len(log), 60 * 1024)
        self.assertTrue(log.rstrip().endswith("the end"))
        # and the worker's own log was spared
        self.assertLess(os.path.getsize(self.w.log), 200_000)


class Surroundings(Shared):
    handlers = {"odd": {"command": ODD, "instances": 1,
                        "env": {"MINE": "ä b", "HOME": "/nowhere"},
                        "workdir": "/usr"},
                "more": {"command": ODD, "protocol": "taskmq"},
                "next": {"command": ODD, "instances": 1,
                         "max_tasks_per_child": 1}}
    env = {"TASKMQ_JWT_SECRET": "secret", "DAEMON_MAX_RETRIES": "3",
           "AWS_SECRET": "x", "LC_ALL": "C.UTF-8"}

    def test_environment(self):
        env = self.done("look")["env"]
        self.assertEqual(env["MINE"], "ä b")
        self.assertEqual(env["HOME"], "/nowhere")
        self.assertEqual(env["LC_ALL"], "C.UTF-8")
        self.assertIn("PATH", env)
        for name in env:
            self.assertNotRegex(name, "^(TASKMQ|DAEMON|AWS)_")

    def test_process(self):
        me = self.done("look")
        # stdin, stdout, stderr, and the folder it is listing
        self.assertEqual(me["fds"][:3], [0, 1, 2])
        self.assertEqual(len(me["fds"]), 4)
        self.assertEqual([me["pid"]] * 2, [me["pgid"], me["sid"]])
        self.assertEqual(me["nnp"], "1")
        self.assertEqual(int(me["blocked"], 16), 0)
        # python itself ignores PIPE (13) and XFSZ (25); 32 and 33 are the C
        # library's own, which no program may set
        own = 1 << 12 | 1 << 24 | 1 << 31 | 1 << 32
        self.assertEqual(int(me["ignored"], 16) & ~own, 0)
        self.assertEqual(me["cwd"], "/usr")

    def test_process_started_while_connected(self):
        """The first one was started before there was a connection."""
        for _ in range(3):
            job = self.s.add("next", {"do": "look"})
            fds = self.s.wait_done(job)["result"]["fds"]
            self.assertEqual((fds[:3], len(fds)), ([0, 1, 2], 4))

    def test_exactly_four_keys_in_order(self):
        task = self.done("look")["task"]
        self.assertEqual(list(task),
                         ["task_id", "task_type", "task_data", "attempt"])
        self.assertEqual(task["task_type"], "odd")

    def test_taskmq_protocol_adds_keys(self):
        job = self.s.add("more", {"do": "look"}, priority=33)
        task = self.s.wait_done(job)["result"]["task"]
        self.assertEqual(
            (task["job_id"], task["priority"], task["retries"],
             task["handler"], task["attempt"]), (job, 33, 0, "more", 1))


class Endings(unittest.TestCase):

    def test_stubborn_child_is_killed(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1,
                                        "timeout": 1}}, aof=False) as s:
            s.worker()
            job = s.add("odd", {"do": "stubborn", "mark": s.path("pid")},
                        retry_policy="none")
            failed = s.wait_status(job, "FAILED", 15)
            self.assertIn("timed out after 1 s", failed["error_log"])
            with open(s.path("pid")) as f:
                self.assertTrue(gone(int(f.read())))
            s.wait_done(s.add("odd", {"do": "ok"}))

    def test_handler_that_does_not_read(self):
        """What is written to it goes nowhere, and ends only that job."""
        with CliStack(handlers={
                "deaf": {"command": ["sleep", "60"], "instances": 1, "timeout": 1},
                "odd": {"command": ODD, "instances": 1}}, aof=False) as s:
            w = s.worker()
            job = s.add("deaf", {"n": 1}, retry_policy="none")
            s.wait_status(job, "FAILED", 15)
            s.wait_done(s.add("odd", {"do": "ok"}))
            self.assertTrue(w.alive())

    def test_handler_that_has_closed_its_stdin(self):
        """Closed before its answer, so the next task is surely written to a
        pipe without a reader: EPIPE, and no SIGPIPE that ends the worker."""
        last = ["sh", "-c", 'read x; exec <&-; '
                'echo "{\\"status\\":\\"success\\"}"; exec sleep 600']
        with CliStack(handlers={"last": {"command": last, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            for n in range(3):
                job = s.add("last", {})
                wait_for(lambda: not w.alive()
                         or s.job(job)["status"] == "SUCCESS", 20)
                self.assertIsNone(w.proc.poll(), "the worker has ended")
                done = s.job(job)
                self.assertEqual((done["retries"], done["crashes"]), (0, 0))
                self.assertEqual(w.tail(50000).count(
                    "handler closed its stdin"), n)

    def family(self, then, end):
        """The handler's own child is gone after end(worker, stack, job)."""
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            job = s.add("odd", {"do": "family", "mark": s.path("pid"),
                                "then": then}, retry_policy="none")

            def grandchild():
                try:
                    with open(s.path("pid")) as f:
                        return int(f.read() or 0)
                except FileNotFoundError:
                    return 0

            pid = wait_for(grandchild, 10, "the handler's child")
            end(w, s, job)
            wait_for(lambda: gone(pid), 10, "the handler's child is gone")

    def test_grandchild_goes_with_a_dead_handler(self):
        self.family("exit", lambda w, s, job:
                    s.wait_status(job, "FAILED"))

    def test_grandchild_goes_with_a_stopped_worker(self):
        def end(w, s, job):
            s.wait_done(job)
            self.assertEqual(w.stop(), 0)
        self.family("answer", end)

    def test_second_term_kills_and_gives_back(self):
        def end(w, s, job):
            w.signal(signal.SIGTERM)
            wait_for(lambda: "draining" in w.tail(), 5)
            w.signal(signal.SIGTERM)
            self.assertEqual(w.wait(10), 0)
            self.assertEqual(s.job(job)["status"], "PENDING")
        self.family("sleep", end)

    def test_grace_time_over(self):
        with CliStack(handlers={"odd": {"command": ODD}}, aof=False) as s:
            w = s.worker("--grace", 1)
            job = s.add("odd", {"do": "sleep", "s": 60})
            s.wait_status(job, "RUNNING")
            self.assertEqual(w.stop(15), 0)
            back = s.job(job)
            self.assertEqual((back["status"], back["retries"],
                              back["crashes"]), ("PENDING", 0, 0))
            self.assertIn("grace time is over", w.tail())


class Starting(unittest.TestCase):

    def cannot_start(self, command, text):
        """Backs off, says so, keeps its jobs, and recovers."""
        with CliStack(handlers={"h": dict(command, instances=4)},
                      aof=False) as s:
            w = s.worker()
            job = s.add("h", {"do": "ok"})
            wait_for(lambda: w.tail(50000).count("cannot start") >= 4, 15)
            self.assertIn(text, w.tail(50000))
            kept = s.job(job)
            self.assertEqual((kept["retries"], kept["crashes"]), (0, 0))
            self.assertIn(kept["status"], ("PENDING", "RUNNING"))
            self.assertEqual(s.stat("failed"), 0)
            # one try at a time, further and further apart
            self.assertLess(w.tail(50000).count("cannot start"), 10)
            return s, w, job

    def test_no_such_program(self):
        self.cannot_start({"command": ["/no/such/program"]},
                          "exec: /no/such/program: No such file")

    def test_no_such_folder(self):
        self.cannot_start({"command": ODD, "workdir": "/no/such"},
                          "workdir: ")

    def test_dies_before_it_reads(self):
        self.cannot_start({"command": ["sh", "-c", "exit 9"]},
                          "exited with status 9")

    def test_it_recovers(self):
        with CliStack(handlers={}, aof=False) as s:
            program = s.path("program")
            s.write_handlers({"h": {"command": [program]}})
            w = s.worker()
            job = s.add("h", {"do": "ok", "result": 1})
            wait_for(lambda: "cannot start" in w.tail(), 10)
            s.path("program.new", b"#!/bin/sh\nexec %s\n"
                   % " ".join(ODD).encode())
            os.chmod(s.path("program.new"), 0o755)
            os.rename(s.path("program.new"), program)
            done = s.wait_done(job, 20)
            self.assertEqual((done["result"], done["retries"]), (1, 0))
            self.assertIn("handler works again", w.tail())

    def test_dies_at_once_when_it_had_worked_before(self):
        """What its predecessor did is not its own: it cannot start."""
        with CliStack(handlers={}, aof=False) as s:
            program = s.path("program", b"#!/bin/sh\nexec %s\n"
                             % " ".join(ODD).encode())
            os.chmod(program, 0o755)
            s.write_handlers({"h": {"command": [program], "instances": 1}})
            w = s.worker()
            pid = s.wait_done(s.add("h", {"do": "look"}))["result"]["pid"]
            s.path("program.new", b"#!/bin/sh\nexit 9\n")
            os.chmod(s.path("program.new"), 0o755)
            os.rename(s.path("program.new"), program)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: "retry_in_ms=800" in w.tail(50000), 10)
            self.assertLess(w.tail(50000).count("child ended"), 10)

    def test_one_task_per_process(self):
        """A program that answers once and ends loses no job and no try."""
        once = ["sh", "-c", 'read line; echo "{\\"status\\":\\"success\\"}"']
        with CliStack(handlers={"once": {"command": once, "instances": 2}},
                      aof=False) as s:
            s.worker()
            ids = s.add_many("once", [{}] * 40)
            for i in ids:
                self.assertEqual(s.wait_done(i, 20)["retries"], 0)

    def test_max_tasks_per_child(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1,
                                        "max_tasks_per_child": 5}},
                      aof=False) as s:
            s.worker()
            pids = [s.wait_done(s.add("odd", {"do": "look"}))["result"]["pid"]
                    for _ in range(16)]
            counts = [pids.count(p) for p in dict.fromkeys(pids)]
            # the old one goes on until the new one is there
            self.assertGreaterEqual(len(counts), 3, counts)
            self.assertTrue(all(c >= 5 for c in counts[:-1]), counts)
            wait_for(lambda: gone(pids[0]), 5)

    def test_replacement_comes_first(self):
        """One that cannot be started leaves the old process at work."""
        with CliStack(handlers={}, aof=False) as s:
            program = s.path("program", b"#!/bin/sh\nexec %s\n"
                             % " ".join(ODD).encode())
            os.chmod(program, 0o755)
            s.write_handlers({"odd": {"command": [program], "instances": 1,
                                      "max_tasks_per_child": 2}})
            w = s.worker()

            def pid():
                done = s.wait_done(s.add("odd", {"do": "look"}))
                self.assertEqual((done["retries"], done["crashes"]), (0, 0))
                return done["result"]["pid"]

            first = pid()
            os.rename(program, program + ".away")
            self.assertEqual({pid() for _ in range(20)}, {first})
            self.assertIn("exec: %s: No such file" % program, w.tail(50000))
            # tried again now and then, not after each of the 20
            self.assertLess(w.tail(50000).count("cannot start"), 10)
            os.rename(program + ".away", program)
            wait_for(lambda: pid() != first, 40)
            wait_for(lambda: gone(first), 5)

    def test_selection(self):
        for pick, distinct in (("round-robin", 3), ("first-available", 1),
                               ("random", 3)):
            with CliStack(handlers={"odd": {
                    "command": ODD, "instances": 3,
                    "handler_selection": pick}}, aof=False) as s:
                s.worker()
                pids = [s.wait_done(s.add("odd", {"do": "look"}))["result"][
                    "pid"] for _ in range(30 if pick == "random" else 6)]
                self.assertEqual(len(set(pids)), distinct, pick)
                if pick == "round-robin":
                    self.assertEqual(pids[:3], pids[3:])
                elif pick == "random":
                    # nobody's turn: the next one is now and then the same
                    self.assertTrue(any(a == b for a, b in zip(pids,
                                                               pids[1:])))

    def test_concurrency_bounds_all_handlers(self):
        with CliStack(handlers={n: {"command": ODD, "instances": 4}
                                for n in ("a", "b", "c")}, aof=False) as s:
            s.worker("--concurrency", 3)
            for n in "abc":
                s.add_many(n, [{"do": "sleep", "s": 0.3}] * 4)
            most = 0
            end = time.monotonic() + 20 * SLOW
            while s.stat("success") < 12:
                most = max(most, len(s.leased()))
                self.assertLess(time.monotonic(), end)
            self.assertEqual(most, 3)


if __name__ == "__main__":
    unittest.main()
