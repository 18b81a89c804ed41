"""prefetch: jobs whose lines lie ready behind the one that a process works on.
They begin in order; what goes wrong is the doing of the first of them alone,
and the others are given back without a trace."""

import collections
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from cli_stack import gone
from harness import ROOT, wait_for
from redis_monitor import RedisMonitor
from prefetch_rig import STEP, Base

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]


class Order(Base):

    def test_thousands(self):
        """Exactly in order, each once, each with its own result."""
        s = self.stack(prefetch=100)
        n = 5000
        ids = s.add_many("t", [{"name": i, "result": [i, "r"]}
                               for i in range(n)])
        seen = RedisMonitor(s)
        self.worker(s)
        self.finished(s, n, 60)
        self.assertEqual([m["name"] for m in s.marks()
                          if m["what"] == "start"], list(range(n)))
        for i in list(range(0, n, 97)) + [n - 1]:
            self.assertEqual(s.job(ids[i])["result"], [i, "r"])
        self.counted(s)
        # and by calls for many jobs
        self.assertLess(len(seen.of("claim")), n / 20)
        self.assertEqual(seen.of("release"), [])

    def test_several_processes(self):
        s = self.stack(prefetch=50, instances=4)
        n = 3000
        ids = s.add_many("t", [{"name": i, "result": i} for i in range(n)])
        self.worker(s)
        self.finished(s, n, 60)
        starts = [m["name"] for m in s.marks() if m["what"] == "start"]
        self.assertEqual(sorted(starts), list(range(n)))
        by_pid = collections.defaultdict(list)
        for m in s.marks():
            if m["what"] == "start":
                by_pid[m["pid"]].append(m["name"])
        self.assertEqual(len(by_pid), 4)
        for names in by_pid.values():
            self.assertEqual(names, sorted(names))
        for i in range(0, n, 61):
            self.assertEqual(s.job(ids[i])["result"], i)
        self.counted(s)

    def test_idle_first_then_the_least_loaded(self):
        s = self.stack(instances=3, prefetch=4, lease=1)
        self.worker(s)
        wait_for(lambda: '"idle":3' in str(s.redis(
            "HVALS", s.key("workers"))), 10, "all are idle")
        s.add_many("t", [self.gate(s, name=i) for i in range(9)])
        self.wait_held(s, 9)
        wait_for(lambda: len(s.marks()) == 3, 10)
        self.assertEqual(sorted(m["name"] for m in s.marks()), [0, 1, 2])
        self.assertEqual(len({m["pid"] for m in s.marks()}), 3)
        self.open(s)
        self.finished(s, 9)
        count = collections.Counter(m["pid"] for m in s.marks()
                                    if m["what"] == "start")
        self.assertEqual(sorted(count.values()), [3, 3, 3])

    def test_an_overtaken_job_is_told_of(self):
        """A more urgent job that comes later runs after those written."""
        s = self.stack(prefetch=5)
        s.add_many("t", [self.gate(s, name="head")] + [
            {"name": "behind%d" % i} for i in range(5)])
        self.worker(s)
        self.wait_held(s, 6)
        s.add_many("t", [{"name": "late"}])
        s.add("t", {"name": "urgent"}, priority=100)
        self.open(s)
        self.finished(s, 8)
        starts = [m["name"] for m in s.marks() if m["what"] == "start"]
        self.assertEqual(starts[:6], ["head"] + ["behind%d" % i
                                                 for i in range(5)])
        self.assertEqual(starts[6:], ["urgent", "late"])

    def test_noise_between_answers(self):
        s = self.stack()
        s.add_many("t", [{"name": i, "noise": "no answer", "result": i}
                         for i in range(200)])
        self.worker(s)
        self.finished(s, 200)
        self.counted(s)
        self.assertEqual(s.job(200)["result"], 199)

    def test_library(self):
        with tempfile.TemporaryDirectory() as d:
            so = os.path.join(d, "w.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", so, os.path.join(
                ROOT, "clients/c/wordcount.c")], check=True)
            s = self.stack(library=so, prefetch=100)
            ids = s.add_many("t", [{"text": "w " * i} for i in range(1500)])
            self.worker(s)
            self.finished(s, 1500)
            for i in range(0, 1500, 50):
                self.assertEqual(s.job(ids[i])["result"], {"words": i})
            self.counted(s)

    def test_log_is_of_the_job_that_wrote_it(self):
        s = self.stack(command=STEP + ["/dev/null"])
        self.worker(s)
        ids = s.add_many("t", [{"log": "log of %d" % i} for i in range(6)])
        self.finished(s, 6)
        for i, job in enumerate(ids):
            self.assertEqual(s.log(job), "log of %d\n" % i)


class Sizes(Base):

    def test_lines_longer_than_the_pipe(self):
        """100 kB each: written in parts, in order."""
        s = self.stack(prefetch=100)
        n = 60
        ids = s.add_many("t", [{"name": i, "raw": True, "pad": chr(
            97 + i % 26) * 100000} for i in range(n)])
        self.worker(s)
        self.finished(s, n)
        for i, job in enumerate(ids):
            task = s.job(job)["result"]["task_data"]
            self.assertEqual((task["name"], len(task["pad"]),
                              set(task["pad"])),
                             (i, 100000, {chr(97 + i % 26)}))
        self.counted(s)

    def test_bytes_ahead_are_bounded(self):
        """256 KiB behind the head, and as many that wait; not 101 jobs."""
        s = self.stack(prefetch=100)
        s.add_many("t", [self.gate(s, name="head")] + [
            {"name": i, "pad": "x" * 100000} for i in range(60)])
        self.worker(s)
        # two lines behind it, two that wait, the others were given back
        self.wait_held(s, 5)
        self.open(s)
        self.finished(s, 61)
        self.assertEqual([m["name"] for m in s.marks()
                          if m["what"] == "start"], ["head"] + list(range(60)))
        self.counted(s)

    def test_long_among_short(self):
        """Those that a long one holds up are not claimed and given back over
        and over."""
        s = self.stack(prefetch=1000)
        n = 1500
        ids = s.add_many("t", [{"name": i, "pad": "x" * (
            240000 if i % 100 == 50 else 500)} for i in range(n)])
        seen = RedisMonitor(s)
        self.worker(s)
        self.finished(s, n)
        self.assertEqual([m["name"] for m in s.marks()
                          if m["what"] == "start"], list(range(n)))
        self.counted(s)
        self.assertLess(sum(len(a) // 2 for a in seen.of("release")), n)
        self.assertLess(len(seen.of("claim")), n / 4)
        self.assertEqual(s.job(ids[-1])["status"], "SUCCESS")

    def test_a_line_over_the_bound_runs_alone(self):
        s = self.stack(prefetch=100)
        self.worker(s)
        s.add_many("t", [{"name": i, "pad": "x" * 600000}
                         for i in range(8)])
        self.finished(s, 8)
        self.assertEqual([m["name"] for m in s.marks()
                          if m["what"] == "start"], list(range(8)))
        self.counted(s)


class Slots(Base):

    def test_default_concurrency_counts_the_prefetch(self):
        s = self.stack(instances=2, prefetch=10)
        w = self.worker(s)
        self.assertIn("concurrency=24 ", w.tail())
        s.add_many("t", [self.gate(s)] * 40)
        self.wait_held(s, 22)
        self.open(s)
        self.finished(s, 40)

    def test_concurrency_bounds_what_is_held(self):
        s = self.stack(prefetch=100)
        s.add_many("t", [self.gate(s)] * 20)
        self.worker(s, "--concurrency", 3)
        self.wait_held(s, 3)
        self.open(s)
        self.finished(s, 20)

    def test_other_handlers_keep_their_places(self):
        """Jobs behind others never take the slot of a process that has
        none."""
        s = self.stack_of({"t": {"instances": 1, "prefetch": 100},
                           "u": {"instances": 2}})
        s.add_many("t", [self.gate(s)] * 20)
        self.worker(s, "--concurrency", 5)
        self.wait_held(s, 3)
        for job in [s.add("u", {"name": "other"}) for _ in range(2)]:
            s.wait_done(job)
        self.assertEqual(self.held(s), 3)
        self.open(s)
        self.finished(s, 22)

    def shared(self, held, concurrency, **data):
        """Two handlers with a prefetch take no slot of a third one's."""
        s = self.stack_of({"t": {"instances": 1, "prefetch": 100},
                           "a": {"instances": 1, "prefetch": 100},
                           "u": {"instances": 2}})
        w = self.worker(s, "--concurrency", concurrency)
        w.signal(signal.SIGSTOP)        # one claim is for both
        s.add_many("t", [self.gate(s, **data)] * 20)
        s.add_many("a", [self.gate(s)] * 20)
        w.signal(signal.SIGCONT)
        self.wait_held(s, held)
        for job in [s.add("u", {"name": "other"}) for _ in range(2)]:
            s.wait_done(job)
        self.assertEqual(self.held(s), held)
        self.open(s)
        self.finished(s, 42)
        self.counted(s)

    def test_two_that_prefetch_share_the_slots(self):
        self.shared(8, 10)

    def test_lines_that_wait_for_room_count_too(self):
        """Of 100 kB: two behind the head, two that wait."""
        self.shared(10, 12, pad="x" * 100000)

    def test_max_tasks_per_child(self):
        """No process is given more lines than it has tasks left."""
        s = self.stack(prefetch=100, max_tasks_per_child=7)
        seen = RedisMonitor(s)
        s.add_many("t", [{"name": i, "sleep": 0.02} for i in range(60)])
        self.worker(s)
        self.finished(s, 60)
        self.counted(s)
        self.assertEqual(seen.of("release"), [])
        pids = collections.Counter(m["pid"] for m in s.marks()
                                   if m["what"] == "start")
        self.assertGreaterEqual(len(pids), 3)
        self.once(s, range(60))

    def test_written_lines_before_the_replacement(self):
        s = self.stack(prefetch=100, max_tasks_per_child=7)
        s.add_many("t", [self.gate(s, name=i) for i in range(20)])
        self.worker(s)
        self.wait_held(s, 6)            # the seventh was its first task
        self.open(s)
        self.finished(s, 20)
        self.once(s, range(20))


class Deaths(Base):

    def test_killed(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        os.kill(self.started(s, "head")[0]["pid"], signal.SIGKILL)
        self.open(s)
        self.rest(s, ids, 41, retries=1)
        self.assertEqual([m["attempt"] for m in self.started(s, "head")],
                         [1, 2])
        self.assertEqual(s.job(head)["status"], "SUCCESS")

    def test_killed_again_and_again(self):
        """Every death is counted to a head, and to nobody else."""
        s = self.stack(prefetch=30)
        n = 400
        s.add_many("t", [{"name": i, "die": 3} if i % 50 == 25
                         else {"name": i} for i in range(n)])
        w = self.worker(s)
        self.finished(s, n, 60)
        self.assertEqual(s.stat("success"), n)
        self.counted(s, retries=n / 50)
        self.once(s, [i for i in range(n) if i % 50 != 25])
        self.assertIn("jobs given back that were behind another's",
                      w.tail(100000))

    def test_exit_says_why(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head", die=7),
                              retry_policy="none")
        self.open(s)
        self.rest(s, ids, 41)
        self.assertIn("exited with status 7", s.job(head)["error_log"])

    def test_timeout(self):
        s = self.stack(timeout=1)
        w, head, ids = self.fill(s, {"name": "head", "sleep": 60},
                              retry_policy="none")
        self.rest(s, ids, 41)
        self.assertEqual(s.job(head)["error_log"], "timed out after 1 s")

    def test_time_begins_with_the_answer_before(self):
        s = self.stack(timeout=1)
        self.worker(s)
        s.add_many("t", [{"name": i, "sleep": 0.4} for i in range(7)])
        self.finished(s, 7)
        self.assertEqual(s.stat("success"), 7)
        self.counted(s)

    def test_time_of_one_behind(self):
        """Also when it is shorter than the head's."""
        s = self.stack(timeout=30)
        s.add("t", self.gate(s, name="head"))
        job = s.add("t", {"name": "slow", "sleep": 60}, timeout=1,
                    retry_policy="none")
        s.add_many("t", [{"name": "after"}])
        self.worker(s)
        self.wait_held(s, 3)
        self.open(s)
        self.assertEqual(s.wait_status(job, "FAILED")["error_log"],
                         "timed out after 1 s")
        self.finished(s, 3)
        self.once(s, ["after"])

    def test_before_its_first_task_was_read(self):
        """Nobody's fault: the head waits for another process."""
        s = self.stack(command=["sh", "-c", "sleep 0.3; exit 3"])
        w = self.cold(s)
        s.add_many("t", [{"name": i} for i in range(5)])
        wait_for(lambda: "handler cannot start" in w.tail(20000), 10)
        w.signal(signal.SIGTERM)
        w.wait()
        self.counted(s)
        for i in range(1, 6):
            job = s.job(i)
            self.assertEqual((job["status"], job["retries"]), ("PENDING", 0))


class Cancels(Base):

    def test_force_cancel_of_the_head(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        s.run("cancel", "--force", head)
        self.rest(s, ids, 41)
        self.assertEqual(s.job(head)["status"], "CANCELLED")

    def test_force_cancel_of_one_behind(self):
        """Its line cannot be taken back: the process is killed at once, and
        the one it works on begins anew, uncounted."""
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        pid = self.started(s, "head")[0]["pid"]
        s.run("cancel", "--force", ids[7])
        wait_for(lambda: gone(pid), 5, "the process is killed")
        self.open(s)
        self.finished(s, 41)
        self.counted(s)
        self.assertEqual(s.job(ids[7])["status"], "CANCELLED")
        self.assertEqual(s.stat("cancelled"), 1)
        self.assertEqual(self.started(s, "b7"), [])
        self.assertEqual([m["attempt"] for m in self.started(s, "head")],
                         [1, 1])
        self.once(s, ["b%d" % i for i in range(40) if i != 7])

    def test_delete_of_several_behind(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        for i in (3, 4, 19):
            s.run("delete", ids[i])
        self.open(s)
        wait_for(lambda: s.stat("success") == 38, 10)
        self.counted(s)
        self.assertEqual(s.job(head)["status"], "SUCCESS")


class OutOfStep(Base):

    def test_an_answer_too_many(self):
        s = self.stack(command=ODD)
        w = self.cold(s)
        s.wait_done(s.add("t", {"do": "twice"}))
        wait_for(lambda: "answer without a task" in w.tail(20000), 10)
        self.assertEqual(s.wait_done(s.add("t", {
            "do": "ok", "result": 5}))["result"], 5)
        self.counted(s)

    def test_another_tasks_id(self):
        """The one whose answer was awaited fails, the other is given back;
        the process is replaced."""
        s = self.stack(command=STEP + ["/dev/null"])
        # both in one claim
        bad = s.add("t", {"swap": 1, "echo": "bad"}, retry_policy="none")
        good = s.add("t", {"echo": "good"})
        w = self.worker(s)
        self.finished(s, 2)
        self.assertIn("task_id", s.job(bad)["error_log"])
        job = s.job(good)
        self.assertEqual((job["status"], job["result"], job["retries"]),
                         ("SUCCESS", "good", 0))
        self.counted(s)
        self.assertIn("an answer to another task", w.tail(20000))

    def test_the_right_id_is_fine(self):
        s = self.stack(command=STEP + ["/dev/null"])
        w = self.worker(s)
        ids = s.add_many("t", [{"echo": i} for i in range(100)])
        self.finished(s, 100)
        self.assertEqual(s.job(ids[-1])["result"], 99)
        self.assertNotIn("replaced", w.tail(20000))

    def test_answer_before_the_task_was_read(self):
        """The next task must not be taken for the rest of that line; also
        without a prefetch."""
        for prefetch in (0, 20):
            s = self.stack(prefetch=prefetch)
            s.write_handlers({"t": {"command": STEP + [s.path("junk")],
                                    "instances": 1, "prefetch": prefetch}})
            w = self.worker(s)
            ids = s.add_many("t", [{"early": 1, "pad": "x" * 500000}] + [
                {"echo": i} for i in range(10)])
            self.finished(s, 11)
            self.assertEqual(s.stat("success"), 11)
            self.assertEqual(s.job(ids[-1])["result"], 9)
            self.counted(s)
            self.assertIn("before the task was read", w.tail(20000))
            self.assertFalse(os.path.exists(s.path("junk")))


class Ids(Base):
    """Lines are written ahead only to a process whose answers carry the
    task's id, so that whatever it prints no result is another job's."""

    PLAIN = [sys.executable, "-c", """if 1:
        import json, os, sys, time
        for line in sys.stdin:
            t = json.loads(line)
            data = t["task_data"]
            while "until" in data and not os.path.exists(data["until"]):
                time.sleep(0.01)
            print(json.dumps({"status": "success", "result":
                  float("nan") if data.get("nan") else data.get("echo")}),
                  flush=True)
        """]

    def echoes(self, s, ids, but=()):
        for i, job in enumerate(ids):
            if i not in but:
                self.assertEqual(s.job(job)["result"], i)

    def ahead(self, s, tasks):
        """Tasks that lie ready behind one that waits; then they run."""
        w = self.worker(s)
        ids = s.add_many("t", [self.gate(s, echo=0)] + tasks)
        self.wait_held(s, len(ids))
        self.open(s)
        self.finished(s, len(ids))
        return w, ids

    def test_nothing_ahead_without_ids(self):
        s = self.stack(command=self.PLAIN)
        w = self.cold(s)
        ids = s.add_many("t", [self.gate(s, echo=i) for i in range(10)])
        self.wait_held(s, 1)
        self.open(s)
        self.finished(s, 10)
        s.add_many("t", [{"until": s.path("other")}] * 5)
        self.wait_held(s, 1)
        s.path("other", b"")
        self.finished(s, 15)
        self.echoes(s, ids)
        self.counted(s)
        self.assertEqual(w.tail(50000).count("answers carry no task_id"), 1)

    def test_unreadable_without_ids(self):
        """As the issue was: every other job has its own result."""
        s = self.stack(command=self.PLAIN)
        self.cold(s)
        ids = s.add_many("t", [{"echo": i, "nan": i % 4 == 1}
                               for i in range(40)])
        self.finished(s, 40)
        self.echoes(s, ids, range(1, 40, 4))
        for job in ids[1::4]:
            self.assertIn("expected a value at byte", s.job(job)["error_log"])
        self.counted(s)

    def test_unreadable_with_lines_behind(self):
        """It ends the task whose turn it is, at once; the process goes on."""
        s = self.stack(command=STEP + ["/dev/null"])
        w, ids = self.ahead(s, [{"echo": i, "say": '{"status":NaN}',
                                 "no_answer": i % 2} if i in (3, 4, 9)
                                else {"echo": i} for i in range(1, 12)])
        self.echoes(s, ids, (3, 4, 9))
        for i in (3, 4, 9):
            self.assertIn("cannot be read", s.job(ids[i])["error_log"])
        self.counted(s)
        self.assertNotIn("replaced", w.tail(50000))
        # task 4 was answered, too, when it had ended
        self.assertEqual(w.tail(50000).count(
            "an answer to a task that a line without its task_id had ended"), 1)

    def test_an_answer_without_the_id(self):
        """A library's line that looks like an answer is nobody's result."""
        s = self.stack(command=STEP + ["/dev/null"])
        w, ids = self.ahead(s, [{"echo": i, "say": '{"status":"success"}'}
                                if i == 5 else {"echo": i}
                                for i in range(1, 12)])
        self.echoes(s, ids, (5,))
        self.assertIn("without the task_id that those before had",
                      w.tail(50000))
        # alone, at its second try, it cannot be told from the answer
        self.assertEqual(s.job(ids[5])["status"], "SUCCESS")
        self.counted(s, retries=1)

    def test_answered_again_with_the_id(self):
        """The job after it, which may begin before that comes, is not
        touched."""
        s = self.stack(command=STEP + ["/dev/null"])
        w = self.cold(s)
        ids = s.add_many("t", [{"echo": i, "pause": 0.2,
                                "say": '{"status":"success","result":"x"}'}
                               if i == 0 else {"echo": i}
                               for i in range(4)])
        self.finished(s, 4)
        self.counted(s)
        self.assertEqual(s.job(ids[0])["result"], "x")
        self.echoes(s, ids, (0,))
        self.assertIn("that a line without its task_id had ended",
                      w.tail(50000))

    def test_ids_that_come_and_go(self):
        """After an answer without it nothing lies ahead until the next with
        it."""
        s = self.stack(command=STEP + ["/dev/null"])
        w = self.worker(s)
        s.wait_done(s.add("t", {"no_id": 1}))
        s.add_many("t", [self.gate(s, echo=i) for i in range(5)])
        self.wait_held(s, 1)
        self.open(s)
        self.finished(s, 6)
        s.add_many("t", [{"until": s.path("other")}] * 5)
        self.wait_held(s, 5)
        s.path("other", b"")
        self.finished(s, 11)
        self.counted(s)
        self.assertNotIn("replaced", w.tail(50000))

    def test_a_new_process_shows_it_anew(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        os.kill(self.started(s, "head")[0]["pid"], signal.SIGKILL)
        wait_for(lambda: self.held(s) == 1, 10)
        self.wait_held(s, 1)
        self.open(s)
        self.rest(s, ids, 41, retries=1)


if __name__ == "__main__":
    unittest.main()
