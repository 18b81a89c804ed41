"""Redis is emptied under everybody (FLUSHALL, or a failover to an empty
replica): job ids begin at 1 again, so the namespace has another key for task
ids, and no process goes on with the old one."""

import os
import unittest

from cli_stack import CliStack
from harness import Stack, wait_for


class Emptied(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(
            aof=False, nginx_workers=4, handlers={"t": {"instances": 1}},
            server="location /td/ { taskmq_api taskdaemon; }")
        cls.addClassCleanup(s.close)
        cls.w = s.worker()

    def add(self, kind="later", name=""):
        r = self.s.post("/td/queue", '{"type":"%s","data":{"name":"%s"}}'
                        % (kind, name))
        self.assertEqual(r.status, 200, r)
        return r.json()["task_id"]

    def task(self, task_id, method="GET", place=""):
        return self.s.request(method, "/td/api/tasks/" + task_id + place)

    def everywhere(self, task_id, status):
        """Whatever nginx worker is asked, by either API."""
        for _ in range(16):
            self.assertEqual(self.task(task_id).status, status)
            self.assertEqual(self.s.get("/job/" + task_id).status, status)

    def check(self, empty):
        s = self.s
        old = [self.add() for _ in range(20)]
        for task_id in old[:3]:
            self.everywhere(task_id, 200)
        empty()
        new = [self.add() for _ in range(20)]
        self.assertEqual(len(set(old + new)), 40, "no id comes again")
        for task_id in new[:4]:
            self.everywhere(task_id, 200)
        # an old one is nobody's: above all not that of the job that has its
        # number now
        for task_id in old[:4]:
            self.everywhere(task_id, 404)
            self.assertEqual(self.task(task_id, "DELETE").status, 404)
            self.assertEqual(self.task(task_id, "POST", "/redrive").status,
                             404)
            self.assertEqual(s.request("DELETE", "/job/" + task_id).status,
                             404)
        self.assertEqual(s.get("/td/api/tasks?cursor=" + old[9]).status, 400)
        listed = s.get("/td/api/tasks?limit=100").json()
        self.assertEqual({t for t in new if t in str(listed)}, set(new))
        for task_id in new:
            self.everywhere(task_id, 200)
        # a worker gives its handlers the same id
        name = os.urandom(4).hex()
        task_id = self.add("t", name)
        marks = wait_for(lambda: [m for m in s.marks() if m["name"] == name],
                         20)
        self.assertEqual(marks[0]["id"], task_id)
        wait_for(lambda: s.get("/job/" + task_id).json()["status"]
                 == "SUCCESS", 20)

    def test_flushall(self):
        for n in range(3):
            with self.subTest(n):
                self.check(lambda: self.s.redis("FLUSHALL"))
        self.assertIn("the namespace is another one", self.s.error_log())
        self.assertIn("the namespace is another one", self.w.tail(1 << 20))

    def test_emptied_by_somebody_else_first(self):
        """The first call after it is not nginx' but a worker's, or a read."""
        s = self.s
        for first in (lambda: self.task(self.old).status,
                      lambda: s.get("/td/api/tasks").status):
            self.old = self.add()

            def empty():
                s.redis("FLUSHALL")
                self.assertIn(first(), (200, 404))

            self.check(empty)

    def test_restarted_without_its_data(self):
        s = self.s

        def restart():
            s.server.kill()
            s.start_redis()
            wait_for(lambda: s.post("/td/queue", '{"type":"later","data":{}}')
                     .status == 200, 20)
            s.redis("FLUSHALL")

        self.check(restart)


class Settings(unittest.TestCase):
    """What workers set of a namespace's settings, they set in each namespace:
    DAEMON_TASK_SELECTION and DAEMON_MAX_RETRIES hold without a restart."""

    ENV = {"DAEMON_TASK_SELECTION": "fifo", "DAEMON_MAX_RETRIES": "0"}
    DIFFERS = "differs from this worker's environment and wins setting=%s " \
        "namespace=%s environment=%s"

    def setUp(self):
        self.s = CliStack(handlers={"n": {"builtin": "noop"}}, aof=False)
        self.addCleanup(self.s.close)

    def settings(self, selection="fifo", retries="0"):
        """What `taskmq config` shows, sooner or later."""
        def seen():
            return [self.s.run("config", "get", name).decode().strip()
                    for name in ("selection", "daemon_max_retries")] \
                == [selection, retries]

        wait_for(seen, 20, "%s, %s" % (selection, retries))

    def restart(self):
        """kill -9, and no persistence."""
        self.s.server.kill()
        self.s.start_redis()

    def check(self, empty):
        s = self.s
        w = s.worker(env=self.ENV)
        self.settings()
        for _ in range(2):
            s.cli("config", "set", "max_retries", "9")
            at = len(w.tail(1 << 20))
            empty()
            self.settings()
            wait_for(lambda: "(taskmq config)" in w.tail(1 << 20)[at:], 10)
            self.assertNotIn("differs", w.tail(1 << 20))
            self.assertEqual(s.redis("HGET", s.key("config"), "max_retries"),
                             None)
        s.wait_done(s.add("n", {}))

    def test_flushall(self):
        self.check(lambda: self.s.redis("FLUSHALL"))

    def test_restarted_without_its_data(self):
        self.check(self.restart)

    def test_one_variable(self):
        """The other setting keeps its default."""
        self.s.worker(env={"DAEMON_MAX_RETRIES": "7"})
        self.settings("priority", "7")
        self.s.redis("FLUSHALL")
        self.settings("priority", "7")
        self.assertEqual(self.s.redis("HGETALL", self.s.key("config")),
                         [b"daemon_max_retries", b"7"])

    def test_another_value_was_first(self):
        """… in the new namespace: it wins, and each worker says so."""
        s = self.s
        w = s.worker(env=self.ENV)
        self.settings()
        for empty, selection, retries in (
                (lambda: s.redis("FLUSHALL"), "lifo", "5"),
                (self.restart, "priority", "6")):
            w.signal(19)
            try:
                empty()
                s.run("config", "set", "selection", selection)
                s.run("config", "set", "daemon_max_retries", retries)
            finally:
                w.signal(18)
            for words in ("selection", selection, "fifo"), \
                    ("daemon_max_retries", retries, "0"):
                wait_for(lambda: self.DIFFERS % words in w.tail(1 << 20), 20,
                         self.DIFFERS % words)
            self.settings(selection, retries)

    def test_refused_at_first(self):
        """Redis takes no writes when the worker starts, or when it meets the
        new namespace."""
        s = self.s
        self.addCleanup(s.redis, "CONFIG", "SET", "min-replicas-to-write", "0")

        def refuse(n):
            s.redis("CONFIG", "SET", "min-replicas-to-write", n)

        s.add("n", {})
        refuse("1")
        w = s.worker(env=self.ENV, wait=False)
        wait_for(lambda: "NOREPLICAS" in w.tail(1 << 20), 20)
        refuse("0")
        self.settings()
        at = len(w.tail(1 << 20))
        s.redis("MULTI")
        s.redis("FLUSHALL")
        s.redis("CONFIG", "SET", "min-replicas-to-write", "1")
        s.redis("EXEC")
        wait_for(lambda: "NOREPLICAS" in w.tail(1 << 20)[at:], 20)
        refuse("0")
        self.settings()
        wait_for(lambda: w.tail(1 << 20)[at:].count("works again") == 1, 10)
        s.wait_done(s.add("n", {}))


if __name__ == "__main__":
    unittest.main()
