"""A fault of Redis is one line of log when it begins, and one when it is over:
in nginx and in the worker, whatever the cause, however long it lasts and
however often Redis is asked meanwhile."""

import re
import time
import unittest

from fake_redis import FakeRedis, close, error, reply, silence
from harness import Stack, wait_for

FIRST = True
EACH = True
GOOD = '{"handler":"n","payload":{}}'
ASKED = ("probe", "enqueue", "claim", "extend", "reap", "sweep", "complete",
         "release", "BZPOPMIN")
SECONDS = 3
NGINX = re.compile(r"^\S+ \S+ \[(?:notice|warn|error|crit|alert|emerg)\] "
                   r"(.*)$", re.M)
OURS = re.compile(r"\b(?:taskmq|Redis|connect|recv|send|writev)\b")
DROPPED = re.compile("Redis closed the connection")
OVER = re.compile("taskmq: connected to Redis|taskmq: Redis takes jobs again"
                  "|^Redis works again after=", re.M)
WORKER = re.compile(r"^\S+ (?:info|warn|error) +(.*)$", re.M)


def seconds(n):
    end = time.monotonic() + n
    wait_for(lambda: time.monotonic() > end, n + 10)


class Lines(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(nginx=False, lease=1,
                          handlers={"n": {"builtin": "noop"}})
        cls.addClassCleanup(s.close)
        cls.fake = FakeRedis(s.path("fake.sock"), s.sock)
        cls.addClassCleanup(cls.fake.close)
        s.conf["server"] = "taskmq_redis_timeout 500ms; taskmq_redis %s;" \
            % s.url("nginx", cls.fake.path)
        s.start_nginx()
        cls.w = s.worker("--redis-url", s.url("worker", cls.fake.path))

    def setUp(self):
        self.well()

    def add(self):
        return self.s.post("/add-job", GOOD).status

    def well(self):
        self.fake.well()
        s = self.s
        wait_for(lambda: s.get("/health", token=None).status == 200, 20)
        wait_for(lambda: self.add() == 200, 20)
        wait_for(lambda: s.redis("GET", s.key("seq"))
                 and s.line_keys("mark", "leased") == 0, 20)
        wait_for(self.fake.stable, 20)
        seconds(1)              # each timer of the worker has had its turn
        self.nginx_at = len(s.error_log())
        self.worker_at = len(self.w.tail(1 << 24))

    def nginx_lines(self):
        return [m for m in NGINX.findall(self.s.error_log()[self.nginx_at:])
                if OURS.search(m)]

    def worker_lines(self):
        return WORKER.findall(self.w.tail(1 << 24)[self.worker_at:])

    def lines(self, begin, what, dropped=False, over=True):
        """The lines while the fault lasts, and those when it is over. Where
        the fault begins with the end of a connection, that may be a cause of
        its own: something may have been under way."""
        begin()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.add()
        during = self.nginx_lines(), self.worker_lines()
        self.fake.well()
        old = self.nginx_at, self.worker_at
        self.well()
        self.nginx_at, self.worker_at = old
        wait_for(lambda: OVER.search("\n".join(self.worker_lines())), 20,
                 "the worker says that it is over")
        text = "\n%s\nnginx:\n  %s\nworker:\n  %s" % (
            what, "\n  ".join(self.nginx_lines()),
            "\n  ".join(self.worker_lines()))
        for name, lines, everything in zip(
                ("nginx", "worker"), during,
                (self.nginx_lines(), self.worker_lines())):
            if dropped and DROPPED.search(lines[0]):
                del lines[0], everything[0]
            self.assertEqual(len(lines), 1, name + text)
            self.assertLessEqual(len(everything), 3, name + text)
            ends = [x for x in everything if OVER.search(x)]
            if over or name == "worker":
                self.assertEqual(len(ends), 1, name + text)

    def refused(self, text):
        for name in ASKED:
            self.fake.say(name, error(text))

    def test_refusals(self):
        for text in ("READONLY You can't write against a read only replica.",
                     "OOM command not allowed when used memory > 'maxmemory'.",
                     "MISCONF Redis is configured to save RDB snapshots",
                     "LOADING Redis is loading the dataset in memory",
                     "MASTERDOWN Link with MASTER is down",
                     "BUSY Redis is busy running a script.",
                     "CLUSTERDOWN The cluster is down",
                     "NOREPLICAS Not enough good replicas to write.",
                     "NOAUTH Authentication required.",
                     "NOPERM this user has no permissions",
                     "MOVED 3999 127.0.0.1:6381", "ERR something new"):
            self.well()
            with self.subTest(text):
                # nginx says with the request that met it what nobody expects,
                # and cannot tell when a right is back that no handshake missed
                self.lines(lambda: self.refused(text), text,
                           over=not text.startswith(("MOVED", "ERR",
                                                     "NOPERM")))

    def test_no_connection(self):
        """… because Redis closes, is silent, loads, wants another user or password,
        or says what nobody understands."""
        for name, rule in (
                ("*", close), ("*", silence),
                ("SCRIPT LOAD", error("LOADING Redis is loading")),
                ("AUTH", error("WRONGPASS invalid username-password pair")),
                ("open", error("NOPERM No permissions to access a key")),
                ("open", reply(b":1\r\n")), ("open", reply(b":3\r\n")),
                ("open", reply(b"GET / HTTP/1.1\r\n"))):
            self.well()
            with self.subTest(name=name, rule=rule):
                def begin():
                    self.fake.say(name, rule)
                    self.fake.drop()
                self.lines(begin, name, dropped=name != "*")

    def test_idle_connections_closed(self):
        """Redis' `timeout`: nobody waited for anything, nothing is logged."""
        self.fake.drop()
        self.well_again()
        self.assertEqual(self.nginx_lines(), [])

    def well_again(self):
        wait_for(lambda: self.s.get("/health", token=None).status == 200, 20)
        wait_for(self.fake.stable, 20)


class Real(unittest.TestCase):
    """The same with a Redis that is a replica for a while, or gone."""

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(lease=1, handlers={"n": {"builtin": "noop"}},
                          server="taskmq_redis_timeout 1s;", aof=False)
        cls.addClassCleanup(s.close)
        cls.w = s.worker()

    def lines(self, begin, end, who=("nginx", "worker")):
        """The line of each of them when it begins; the others say nothing."""
        s = self.s
        seconds(2)
        at = len(s.error_log()), len(self.w.tail(1 << 24))
        begin()
        stop = time.monotonic() + 2 * SECONDS
        while time.monotonic() < stop:
            s.post("/add-job", GOOD)
        ours, theirs = self.said(at)
        end()
        wait_for(lambda: s.post("/add-job", GOOD).status == 200, 20)
        begun = []
        for i, name in enumerate(("nginx", "worker")):
            lines = (ours, theirs)[i]
            self.assertEqual(len(lines), name in who, (name, lines))
            if name in who:
                wait_for(lambda: OVER.search("\n".join(self.said(at)[i])), 20,
                         name + " says that it is over")
            said = self.said(at)[i]
            self.assertEqual(len([x for x in said if OVER.search(x)]),
                             name in who, said)
            begun += lines
        return begun

    def said(self, at):
        return ([m for m in NGINX.findall(self.s.error_log()[at[0]:])
                 if OURS.search(m)],
                WORKER.findall(self.w.tail(1 << 24)[at[1]:]))

    def test_read_only(self):
        s = self.s
        self.addCleanup(s.redis, "REPLICAOF", "NO", "ONE")
        self.lines(lambda: s.redis("REPLICAOF", "127.0.0.1", "1"),
                   lambda: s.redis("REPLICAOF", "NO", "ONE"))

    def test_what_one_call_alone_meets(self):
        """A key that is no more what it was: only sweeps read it."""
        s = self.s
        self.addCleanup(s.redis, "DEL", s.key("dead"))
        line, = self.lines(lambda: s.redis("SET", s.key("dead"), "x"),
                           lambda: s.redis("DEL", s.key("dead")),
                           who=("worker",))
        self.assertRegex(line, "Redis refuses to sweep .*WRONGTYPE")

    def test_gone(self):
        self.lines(self.s.server.kill, self.s.start_redis)

    def test_a_right_that_is_taken_away(self):
        """That line says which one it is."""
        s = self.s
        s.denied_allowed = True

        def acl(rule):
            for role in ("nginx", "worker"):
                s.redis("ACL", "SETUSER", "taskmq-" + role, rule + "hincrby")

        self.addCleanup(acl, "+")
        for line in self.lines(lambda: acl("-"), lambda: acl("+")):
            self.assertIn(" lacks the permission for hincrby: give it the",
                          line)


if __name__ == "__main__":
    unittest.main()
