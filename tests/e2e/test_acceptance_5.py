"""Acceptance of TaskDaemon's side, HTTP: both APIs and the command line show
and change the same jobs, a running task can be deleted, and a list of 100,000
tasks is quick, also where nearly nothing matches."""

import http.client
import itertools
import json
import os
import re
import sys
import threading
import time
import unittest
import urllib.parse

from api_table_daemon import next_path
from desk import gone
from harness import ROOT, SLOW, Stack, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]
BIG = "12345678901234567890123"


class Both(Stack):
    """TaskDaemon's API at /, TaskMQ's below /taskmq/."""

    def __init__(self, **kw):
        super().__init__(
            api="taskdaemon", location="taskmq_auth off;",
            server="location /taskmq/ { taskmq_api taskmq; }", **kw)

    def queue(self, kind, data, **more):
        r = self.post("/queue", '{"type":%s,"data":%s%s}' % (
            json.dumps(kind), data if isinstance(data, str)
            else json.dumps(data), "".join(
                ',"%s":%d' % x for x in more.items())), token=None)
        if r.status != 200:
            raise AssertionError(r)
        return r.json()["task_id"]

    def run(self, *args):
        out = self.cli(*args)
        if out.returncode != 0:
            raise AssertionError(out)
        return out.stdout.decode()


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


class List(unittest.TestCase):
    """100,000 tasks; the oldest is the only "rare" one and the only one that
    failed."""

    N = 100000

    @classmethod
    def setUpClass(cls):
        cls.s = Both(handlers={"rare": {"command": ["python3", "-c", "for t i"
                                                    "n open(0): print('{\"s"
                                                    "tatus\":\"error\"}', "
                                                    "flush=True)"]}},
                     aof=False)
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        try:        # of the time that is measured, none is other programs'
            os.setpriority(os.PRIO_PROCESS, s.server.pid, -15)
        except PermissionError:
            pass
        w = s.worker()
        cls.first = s.queue("rare", {"n": 0})
        wait_for(lambda: s.stat("failed") == 1, 10)
        w.stop()
        before = s.redis("DBSIZE")
        text = "".join('{"n":%d,"text":"%s"}\n' % (n, "x" * 80)
                       for n in range(1, cls.N))
        out = s.cli("add-job", "many", "--from", "-", stdin=text.encode(),
                    timeout=120)
        if out.returncode != 0:
            raise AssertionError(out)
        cls.keys = s.redis("DBSIZE") - before

    def setUp(self):
        self.conn = http.client.HTTPConnection(
            "127.0.0.1", self.s.port, timeout=15 * SLOW)
        self.addCleanup(self.conn.close)
        self.token = self.s.token()

    def get(self, path):
        r = self.s.get(path, token=self.token, conn=self.conn)
        self.assertEqual(r.status, 200, r)
        return r

    def tasks(self, query):
        """Follows the cursors of /api/tasks: [(page, bytes)]."""
        path = "/api/tasks?" + query
        while path:
            r = self.get(path)
            yield r.json()
            path = next_path(r)

    def jobs(self, query):
        """The same of TaskMQ's /jobs."""
        cursor = ""
        while cursor is not None:
            page = self.get("/taskmq/jobs?%s%s" % (query, cursor)).json()
            yield page["jobs"]
            cursor = page["next_cursor"] and "&cursor=" \
                + urllib.parse.quote(page["next_cursor"])

    def used(self, *processes):
        """Processor time that these have had, ms; only their first threads,
        which is where Redis and nginx work."""
        total = 0
        for pid in processes:
            with open("/proc/%d/schedstat" % pid) as f:
                total += int(f.read().split()[0])
        return total / 1e6

    def no_slow_call(self, ms, what, calls):
        """Sends each of calls() with Redis watching: no command took so
        long. A machine that others use, too, gets several tries; when none
        of them was good, it is enough that in one of them Redis did not run
        that long for any request: the rest it had waited for a processor."""
        s = self.s
        s.redis("CONFIG", "SET", "slowlog-log-slower-than", ms * 1000)
        tries = []
        for _ in range(6):
            s.redis("SLOWLOG", "RESET")
            most, before = 0, self.used(s.server.pid)
            for _ in calls():
                now = self.used(s.server.pid)
                most, before = max(most, now - before), now
            slow = s.redis("SLOWLOG", "GET", 200)
            tries.append((len(slow), most))
            if not slow:
                break
        print("    %-44s %d slow, at most %.1f ms of Redis"
              % (what, *min(tries)), file=sys.stderr)
        self.assertTrue(not slow or min(w for _, w in tries) < ms,
                        (what, tries))

    def test_a_page_takes_under_5_ms(self):
        """The median of 25 requests; where the machine is too busy for that,
        at least Redis and nginx together have not worked that long."""
        queries = ("limit=20", "limit=100", "limit=20&type=many",
                   "limit=20&status=pending", "limit=20&status=failed")
        paths = ["/api/tasks?" + q for q in queries] + [
            "/taskmq/jobs?limit=100", "/taskmq/jobs?limit=20&handler=many"]
        with open("/proc/%d/task/%d/children" % ((self.s.nginx.pid,) * 2)
                  ) as f:
            pids = [self.s.server.pid, *map(int, f.read().split())]
        self.assertEqual(len(pids), 2)
        for path in paths:
            tries = []
            for _ in range(10):
                took, work = [], self.used(*pids)
                for _ in range(25):
                    start = time.perf_counter()
                    self.get(path)
                    took.append((time.perf_counter() - start) * 1000)
                work = (self.used(*pids) - work) / 25
                tries.append((sorted(took)[12], work))
                if tries[-1][0] < 5 * SLOW:
                    break
            best = min(tries)
            print("    %-44s %.1f ms, %.1f ms of work" % (path, *best),
                  file=sys.stderr)
            self.assertTrue(best[0] < 5 * SLOW
                            or min(w for _, w in tries) < 5, (path, tries))
            self.no_slow_call(5 * SLOW, path, lambda: (
                self.get(path) for _ in range(50)))

    def test_a_filter_that_matches_only_the_oldest(self):
        for pages, query in ((self.tasks, "type=rare"),
                             (self.tasks, "status=failed&limit=100"),
                             (self.tasks, "type=rare&status=failed&limit=1"),
                             (self.jobs, "handler=rare"),
                             (self.jobs, "status=FAILED&limit=1")):
            def walk():
                found, n = [], 0
                for page in pages(query):
                    found += page
                    n += 1
                    yield
                self.assertEqual(
                    [t.get("task_data", t.get("payload")) for t in found],
                    [{"n": 0}])
                self.assertLessEqual(n, self.N / 500 + 2)

            with self.subTest(query):
                self.no_slow_call(5 * SLOW, query, walk)

    def test_cursor_while_tasks_arrive_and_go(self):
        """Every task once, newest first, whatever happens meanwhile."""
        s = self.s
        stop = threading.Event()
        arrived = []

        def client():
            while not stop.is_set():
                arrived.append(s.queue("many", {"n": "new"}))

        before = int(s.redis("GET", s.key("seq")))
        thread = threading.Thread(target=client)
        seen, deleted = [], set()
        pages = self.tasks("limit=100")
        thread.start()
        try:
            wait_for(lambda: arrived, 10)
            for page in pages:
                seen += [t["task_data"]["n"] for t in page]
                last = seen[-1]
                if isinstance(last, int) and last > 500 \
                        and last % 2000 < 100:
                    # job n + 1, well ahead of the cursor
                    s.run("delete", last - 299)
                    deleted.add(last - 300)
        finally:
            stop.set()
            thread.join()
        self.assertGreater(len(arrived), 20)
        self.assertGreater(len(deleted), 20)
        old = [n for n in seen if n != "new"]
        self.assertEqual(old, [n for n in range(self.N - 1, -1, -1)
                               if n not in deleted and n + 1 <= before])
        # those that came before the first page was read, and no others
        self.assertEqual(seen[:len(seen) - len(old)],
                         ["new"] * (len(seen) - len(old)))
        self.assertLess(len(seen) - len(old), len(arrived))

    def test_task_ids_need_no_index(self):
        """One key per waiting task, and what a handler's first one made."""
        self.assertLess(self.keys, self.N + 5)
        kind = self.s.redis("TYPE", self.s.key("uuid-key"))
        self.assertEqual(kind, "string")


if __name__ == "__main__":
    unittest.main()
