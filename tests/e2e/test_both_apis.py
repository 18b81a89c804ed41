"""Both APIs and the command line show and change the same jobs, and a running
task can be deleted."""

import itertools
import json
import os
import re
import sys
import unittest

from both_apis import Both
from cli_stack import gone
from harness import ROOT, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]
BIG = "12345678901234567890123"


class Job:
    """One job by both its names: what one surface gave, the others find."""

    def __init__(self, s, name):
        if isinstance(name, int):
            self.id = name
            self.task = re.search(r"(?m)^task id +(\S+)$",
                                  s.run("inspect", name)).group(1)
        else:
            self.task = name
            self.id = s.get("/taskmq/job/" + name).json()["id"]


class Surface:
    """What can be done from one side. Its changes say whether they were
    done; read() is what is known of a job, in one form for all sides."""

    def __init__(self, stack):
        self.s = stack


class TaskMQ(Surface):

    def add(self, handler, data, priority):
        r = self.s.post("/taskmq/add-job",
                        '{"handler":"%s","payload":%s,"priority":%d}'
                        % (handler, data, priority))
        return r.json()["job_id"]

    def read(self, job):
        r = self.s.get("/taskmq/job/%d" % job.id)
        return form(r.status == 200 and r.json(), r.body)

    def listed(self, handler):
        r = self.s.get("/taskmq/jobs?limit=100&handler=" + handler)
        return [j["id"] for j in r.json()["jobs"]]

    def post(self, path, job, **more):
        return self.s.post("/taskmq" + path, dict(more, job_id=job.id)
                           ).status == 200

    def cancel(self, job):
        return self.post("/cancel", job)

    def cancel_running(self, job):
        return self.post("/cancel", job, force=True)

    def retry(self, job):
        return self.post("/retry", job)

    def delete(self, job):
        return self.s.request("DELETE", "/taskmq/job/%d" % job.id
                              ).status == 200


class Daemon(Surface):

    def add(self, handler, data, priority):
        return self.s.queue(handler, data, priority=priority)

    def read(self, job):
        r = self.s.get("/api/tasks/" + job.task, token=None)
        return task_form(r.status == 200 and r.json(), r.body)

    def listed(self, handler):
        r = self.s.get("/api/tasks?limit=100&type=" + handler, token=None)
        return [Job(self.s, t["id"]).id for t in r.json()]

    def retry(self, job):
        return self.s.post("/api/tasks/%s/redrive" % job.task, None,
                           token=None).status == 200

    def delete(self, job):
        return self.s.request("DELETE", "/api/tasks/" + job.task,
                              token=None).status == 204


class Cli(Surface):
    by = "id"

    def name(self, job):
        return str(getattr(job, self.by))

    def add(self, handler, data, priority):
        return int(self.s.run("add-job", "--priority", priority, handler,
                              data))

    def read(self, job):
        out = self.s.cli("get-job", self.name(job))
        return form(out.returncode == 0 and json.loads(out.stdout),
                    out.stdout)

    def listed(self, handler):
        return [j["id"] for j in json.loads(self.s.run(
            "--json", "list", "--limit", 100, "--handler", handler))["jobs"]]

    def change(self, *args):
        return self.s.cli(*args).returncode == 0

    def cancel(self, job):
        return self.change("cancel", self.name(job))

    def cancel_running(self, job):
        return self.change("cancel", "--force", self.name(job))

    def retry(self, job):
        return self.change("retry", self.name(job))

    def delete(self, job):
        return self.change("delete", self.name(job))

    def replay(self, job, command="replay"):
        return json.loads(self.s.run("--json", command, self.name(job))
                          )["new_job_id"]

    def replay_dead(self, job):
        return self.replay(job, "replay-dead")


class CliByTask(Cli):
    """The command line, given the id that TaskDaemon's API gave."""
    by = "task"


def form(job, text):
    if not job:
        return None
    return {"state": job["status"], "handler": job["handler"],
            "data": job["payload"], "priority": job["priority"],
            "result": job["result"], "error": job["error_log"],
            "exact": BIG.encode() in text}


def task_form(task, text):
    if not task:
        return None
    error = task["last_error"]
    state = {"pending": "PENDING", "processing": "RUNNING",
             "completed": "SUCCESS", "failed": "FAILED"}[task["status"]]
    if state == "FAILED" and error == "cancelled":
        state, error = "CANCELLED", None
    return {"state": state, "handler": task["task_type"],
            "data": task["task_data"], "priority": task["priority"],
            "result": task["result"], "error": error,
            "exact": BIG.encode() in text}


class Pairs(unittest.TestCase):
    """Every operation of every side on jobs of every side."""

    @classmethod
    def setUpClass(cls):
        cls.s = Both(handlers={"t": {"instances": 2, "timeout": 600}})
        cls.addClassCleanup(cls.s.close)
        cls.s.run("config", "set", "retry_wait_ms", "10")
        cls.s.worker()
        cls.from_ = [TaskMQ(cls.s), Daemon(cls.s), Cli(cls.s)]
        cls.sides = [*cls.from_, CliByTask(cls.s)]

    def pairs(self, operation):
        """(origin, side that can do it), each as a subtest."""
        n = 0
        for origin, side in itertools.product(self.from_, self.sides):
            if hasattr(side, operation):
                n += 1
                with self.subTest("%s: queued by %s, by %s" % (
                        operation, *(type(x).__name__
                                     for x in (origin, side)))):
                    yield origin, side
        self.assertGreaterEqual(n, 6)

    def add(self, origin, data=None, handler="parked", priority=7):
        text = json.dumps(data or {})
        return Job(self.s, origin.add(handler, '{"n":%s,%s' % (
            BIG, text[1:]) if data else '{"n":%s}' % BIG, priority))

    def all_see(self, job, **want):
        """Every side shows the same, with these values."""
        seen = [side.read(job) for side in self.sides]
        for side, got in zip(self.sides, seen):
            self.assertEqual(got, seen[0], type(side).__name__)
        for name, value in want.items():
            self.assertEqual(seen[0][name], value, seen[0])

    def until(self, job, state):
        wait_for(lambda: self.sides[0].read(job)["state"] == state, 20,
                 "job %d is %s" % (job.id, state))

    def runs(self, job):
        return len([m for m in self.s.marks() if m["id"] == job.task
                    and m["what"] == "start"])

    def test_read(self):
        for origin, side in self.pairs("read"):
            job = self.add(origin)
            got = side.read(job)
            self.assertEqual(
                (got["state"], got["handler"], got["priority"], got["data"],
                 got["exact"]),
                ("PENDING", "parked", 7, {"n": int(BIG)}, True))
            self.all_see(job)
            done = self.add(origin, {"result": {"a": [1, None]}}, "t")
            self.until(done, "SUCCESS")
            self.assertEqual(side.read(done)["result"], {"a": [1, None]})
            self.all_see(done, state="SUCCESS")

    def test_list(self):
        mine = {origin: self.add(origin, handler="listed").id
                for origin in self.from_}
        for _, side in self.pairs("listed"):
            self.assertEqual(side.listed("listed"),
                             sorted(mine.values(), reverse=True))

    def test_cancel(self):
        for origin, side in self.pairs("cancel"):
            job = self.add(origin)
            self.assertTrue(side.cancel(job))
            self.all_see(job, state="CANCELLED")
            self.assertTrue(side.cancel(job), "again")

    def test_cancel_running(self):
        for origin, side in self.pairs("cancel_running"):
            job = self.add(origin, {"sleep": 600}, "t")
            self.until(job, "RUNNING")
            self.all_see(job, state="RUNNING")
            self.assertFalse(side.cancel(job))
            self.assertTrue(side.cancel_running(job))
            self.all_see(job, state="CANCELLED")

    def test_retry(self):
        for origin, side in self.pairs("retry"):
            job = self.add(origin, {"fail": "no"}, "t")
            self.until(job, "FAILED")
            self.all_see(job, state="FAILED", error="no")
            self.assertEqual(self.runs(job), 1)
            self.assertTrue(side.retry(job))
            wait_for(lambda: self.runs(job) == 2, 10, "it runs again")
            self.until(job, "FAILED")
            waiting = self.add(origin)
            self.assertFalse(side.retry(waiting))
            self.all_see(waiting, state="PENDING")

    def test_replay(self):
        """A copy, with its origin's retry budget: 3 executions of TaskMQ's
        jobs, 4 of TaskDaemon's."""
        for origin, side in self.pairs("replay"):
            job = self.add(origin, {"fail": "x", "retryable": True}, "t")
            self.until(job, "FAILED")
            budget = 4 if isinstance(origin, Daemon) else 3
            self.assertEqual(self.runs(job), budget)
            for command in ("replay", "replay-dead"):
                copy = Job(self.s, side.replay(job, command))
                self.assertNotEqual(copy.id, job.id)
                self.until(copy, "FAILED")
                self.assertEqual(self.runs(copy), budget)
                self.all_see(copy, data=self.sides[0].read(job)["data"],
                             priority=7, exact=True)
            self.all_see(job, state="FAILED")

    def test_delete(self):
        for origin, side in self.pairs("delete"):
            for state, job in (
                    ("PENDING", self.add(origin)),
                    ("SUCCESS", self.add(origin, {"result": 1}, "t")),
                    ("FAILED", self.add(origin, {"fail": "x"}, "t"))):
                self.until(job, state)
                self.assertTrue(side.delete(job))
                self.assertEqual([s.read(job) for s in self.sides],
                                 [None] * len(self.sides))
                self.assertFalse(side.delete(job), "again")

    def test_logs_by_the_cli(self):
        for origin in self.from_:
            job = self.add(origin, {"stderr": "what it said\n"}, "t")
            self.until(job, "SUCCESS")
            for name in (job.id, job.task):
                self.assertIn("what it said", self.s.run("logs", name))

    def test_task_ids_of_no_one(self):
        job = self.add(self.from_[1])
        for bad in (job.task[:-1] + ("0" if job.task[-1] != "0" else "1"),
                    "00000000-0000-8000-8000-000000000000"):
            out = self.s.cli("cancel", job.task, bad)
            self.assertEqual((out.returncode, out.stdout), (1, b""))
            self.assertIn(b"there is no job " + bad.encode(), out.stderr)
            self.assertEqual(self.s.get("/taskmq/job/" + bad).status, 404)
        self.all_see(job, state="PENDING")
        self.assertEqual(self.s.get("/taskmq/job/" + job.task,
                                    token=None).status, 401)


class Delete(unittest.TestCase):

    def test_of_a_running_task(self):
        """Its handler is stopped, its result is dropped, and the next task
        finds an instance."""
        with Both(handlers={"odd": {"command": ODD, "instances": 1}}) as s:
            s.worker()
            for side in (Daemon(s), TaskMQ(s), Cli(s)):
                with self.subTest(type(side).__name__):
                    mark = s.path("pid")
                    task = s.queue("odd", {"do": "stubborn", "mark": mark})

                    def pid():
                        try:
                            with open(mark) as f:
                                return int(f.read() or 0)
                        except FileNotFoundError:
                            return 0

                    pid = wait_for(pid, 10, "it runs")
                    job = Job(s, task)
                    done = s.stat("success")
                    self.assertTrue(side.delete(job))
                    self.assertIsNone(side.read(job))
                    # this one ignores TERM, so KILL after 5 s
                    wait_for(lambda: gone(pid), 15, "the handler is stopped")
                    os.unlink(mark)
                    after = Job(s, s.queue("odd", {"do": "ok", "result": 5}))
                    wait_for(lambda: side.read(after)["state"] == "SUCCESS",
                             10)
                    self.assertEqual(side.read(after)["result"], 5)
                    self.assertIsNone(side.read(job))
                    self.assertEqual(s.stat("success"), done + 1)
                    for key in ("j:%d", "r:%d", "l:%d"):
                        self.assertEqual(s.redis(
                            "EXISTS", s.key(key % job.id)), 0)

    def test_result_that_comes_too_late(self):
        """The answer is already on its way when the task is deleted."""
        with Both(handlers={"t": {"instances": 1}}) as s:
            w = s.worker()
            task = s.queue("t", {"until": s.dir + "/go", "result": "late"})
            wait_for(s.marks, 10)
            job = Job(s, task)
            w.signal(19)                                    # STOP
            s.path("go", b"")
            wait_for(lambda: len(s.marks()) == 2, 10, "it has answered")
            self.assertEqual(s.request("DELETE", "/api/tasks/" + task,
                                       token=None).status, 204)
            w.signal(18)                                    # CONT
            after = s.queue("t", {})
            wait_for(lambda: Daemon(s).read(Job(s, after))["state"]
                     == "SUCCESS", 10)
            self.assertIsNone(Daemon(s).read(job))
            self.assertEqual((s.stat("success"), s.stat("failed")), (1, 0))


if __name__ == "__main__":
    unittest.main()
