"""redis-acl.example: its users may do what nginx, workers and the command line
tool do, all of it (every test runs under it, see harness.py), and nothing
else: each command that stands there is used. What they can do is also read
from the sources (redis_commands.py): a branch that no test takes counts, too.
"""

import contextlib
import hashlib
import os
import re
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from harness import ACL, ROOT, Redis, Stack, free_port, wait_for
from redis_commands import LUA, needed

ROLES = ("nginx", "worker", "cli")
LINE = re.compile(r"\+[\d.]+ \[\d+ ([^\]]+)\] (.*)")
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')
GROUPS = ("client", "script", "config", "acl")


def listed():
    """{role: its commands}; the file has nothing else."""
    users = {}
    with open(ACL) as f:
        for line in f:
            words = line.split()
            assert words[0] == "user" and words[2:6] == [
                "on", "resetchannels", "~{taskmq}:*", "-@all"], line
            assert all(w[0] == "+" and "@" not in w for w in words[6:]), line
            users[words[1].replace("taskmq-", "")] = [w[1:] for w in words[6:]]
    return users


def sha_of(script):
    """The SHA-1 of the script, as it is sent to Redis."""
    text = subprocess.run(["sh", os.path.join(ROOT, "libtaskmq", "embed.sh"),
                           LUA, script], check=True, stdout=subprocess.PIPE)
    return hashlib.sha1(text.stdout).hexdigest()


class Monitor(threading.Thread):
    """Who uses which command, by MONITOR: a connection's role is known by its
    name; what a script does comes after the script's own line. What the
    handshake only asks about is not used."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.open_sha = sha_of("open")
        self.asks = False
        self.used = {role: set() for role in ROLES}
        self.role, self.early, self.last = {}, {}, None
        self.ended = threading.Event()
        self.redis = Redis(sock, timeout=600)
        self.redis("MONITOR")
        self.start()

    def run(self):
        try:
            while not self.ended.is_set():
                addr, words = LINE.match("+" + self.redis.read()).groups()
                self.line(addr, WORD.findall(words))
        except (OSError, ConnectionError):
            pass

    def line(self, addr, words):
        command = words[0].lower()
        if command in GROUPS:
            command += "|" + words[1].lower()
        if command == "echo":
            self.ended.set()
        if command == "client|setname":
            role = words[2].replace("taskmq-", "")
            self.role[addr] = role if role in ROLES else "worker"
            for c in self.early.pop(addr, ()):
                self.used[self.role[addr]].add(c)
        if addr != "lua":
            self.last = self.role.get(addr)
            self.asks = len(words) > 1 and words[1] == self.open_sha
        elif self.asks:
            return
        if words[-1] == "x":        # in the place of a number
            return
        if self.last is not None:
            self.used[self.last].add(command)
        elif addr != "lua" and command != "auth":
            self.early.setdefault(addr, []).append(command)


class Tcp(Stack):
    """By TCP, where MONITOR can tell connections apart, and in database 1."""

    def __init__(self, **kw):
        self.tcp = free_port()
        super().__init__(redis_args=("--port", str(self.tcp)), **kw)

    def start_redis(self):
        super().start_redis()
        self.redis("SELECT", 1)
        self.monitor = Monitor(self.sock)

    def url(self, role, path=None):
        return "redis://taskmq-%s:%s@127.0.0.1:%d/1" % (
            role, self.password, self.tcp)


class Exact(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Tcp(aof=False, lease=1, handlers={
            "t": {"instances": 4}, "u": {"instances": 4}}, server="""
                location /td/ { taskmq_api taskdaemon; taskmq_auth off; }
            """)
        cls.addClassCleanup(s.close)

    def cli(self, *args, code=0, **kw):
        out = self.s.cli(*args, **kw)
        self.assertEqual(out.returncode, code, out)
        return out.stdout.decode()

    def ok(self, method, path, body=None, status=200, **kw):
        r = self.s.request(method, path, body, **kw)
        self.assertEqual(r.status, status, r)
        return r

    def dead(self):
        s = self.s
        job = s.add("t", {"fail": "x"})
        s.wait_status(job, "FAILED")
        return job

    def key_of_ids(self, f):
        """nginx and workers make the namespace's key for task ids when it is
        not there."""
        self.s.redis("DEL", self.s.key("uuid-key"))
        f()
        wait_for(lambda: self.s.redis("EXISTS", self.s.key("uuid-key")), 10,
                 "the key is there")

    def new_namespace(self, f):
        """Everyone makes it."""
        self.s.redis("FLUSHDB")
        f()
        wait_for(lambda: self.s.redis("EXISTS", self.s.key("schema")), 10,
                 "the namespace is there")

    def new_namespaces(self):
        self.new_namespace(lambda: self.s.redis("CLIENT", "KILL", "USER",
                                                "taskmq-nginx"))
        self.new_namespace(lambda: self.cli("get-job", "1", code=1))
        self.new_namespace(lambda: self.s.worker().stop())

    def by_nginx(self):
        s = self.s
        s.redis("SCRIPT", "FLUSH")
        for _ in range(2):
            self.ok("POST", "/add-job", {"handler": "no", "payload": {}},
                    headers={"Idempotency-Key": "k"})
        # so many that they wait in a lane
        self.ok("POST", "/add-jobs", [{"handler": "line", "payload": {}}] * 9)
        later = s.add("no", scheduled_for="2100-01-01T00:00:00Z")
        self.ok("POST", "/cancel", {"job_id": later})
        self.ok("DELETE", "/job/%d" % later)
        self.ok("DELETE", "/job/%d" % s.add("no"))
        self.ok("POST", "/retry", {"job_id": self.dead()})
        for fields in ({}, {"interval_seconds": 60}):
            job = s.add("t", {"sleep": 1}, **fields)
            s.wait_status(job, "RUNNING")
            self.ok("POST", "/cancel", {"job_id": job, "force": not fields})
        for path in ("/jobs?handler=t&status=SUCCESS", "/queues",
                     "/monitor/metrics", "/health", "/td/api/tasks"):
            self.ok("GET", path)
        self.key_of_ids(lambda: s.redis("CLIENT", "KILL", "USER",
                                        "taskmq-nginx"))
        wait_for(lambda: s.get("/health", token=None).status == 200, 20)

    def by_cli(self):
        s = self.s
        self.cli("add-job", "line", "--from", "-", stdin=b"{}\n" * 9)
        one = self.cli("add-job", "no", "{}").strip()
        later = self.cli("add-job", "--in", "1h", "no", "{}").strip()
        for args in (("get-job", one), ("list", "--handler", "t"),
                     ("list-dead",), ("inspect", one), ("stats",),
                     ("config",), ("config", "set", "dead_max", "100"),
                     ("cancel", one), ("delete", one, later),
                     ("replay", later), ("replay", self.cli(
                         "add-job", "--in", "1h", "no", "{}").strip()),
                     ("logs", self.cli("add-job", "no", "{}").strip())):
            self.cli(*args, code=1 if args == ("replay", later) else 0)
        dead = str(self.dead())
        self.cli("replay-dead", dead)
        self.cli("retry", dead)
        for fields in ((), ("--interval", "60")):
            job = self.cli("add-job", *fields, "t", '{"sleep":1}').strip()
            s.wait_status(int(job), "RUNNING")
            self.cli("cancel", *(() if fields else ("--force",)), job)
        task = self.ok("POST", "/td/queue", {"type": "no", "data": {}})
        self.cli("get-job", task.json()["task_id"])
        self.scripts_are_forgotten()

    def scripts_are_forgotten(self):
        """While the command line asks again and again."""
        job = self.cli("add-job", "t", '{"sleep":1}').strip()
        waiting = threading.Thread(target=self.cli,
                                   args=("get-job", "--wait", job))
        waiting.start()
        while waiting.is_alive():
            self.s.redis("SCRIPT", "FLUSH")
            waiting.join(0.05)

    def names(self):
        """Many names of handlers are taken; a sweep forgets idle ones."""
        s, key = self.s, self.s.key("handlers")
        r = self.ok("POST", "/add-jobs", [
            {"handler": "h%d" % i, "payload": {}}
            for i in range(900 - s.redis("HLEN", key))])
        self.cli("cancel", *r.json()["job_ids"])
        wait_for(lambda: s.redis("HLEN", key) < 900, 20, "some are forgotten")
        self.cli("add-job", "new", "{}")

    def by_worker(self):
        s = self.s
        port = free_port()
        w = s.worker("--concurrency", 2, "--grace", 0,
                     "--listen", "127.0.0.1:%d" % port)
        s.redis("SCRIPT", "FLUSH")
        for i in range(8):
            s.add("tu"[i % 2], retention_seconds=1)
        # stored apart from their records; what ends is weighed
        self.cli("config", "set", "finished_max_bytes", "1000000")
        s.wait_done(s.add("t", {"pad": "x" * 5000}), 20)
        self.cli("add-job", "t", '{"pad":"%s"}' % ("x" * 5000))
        self.ok("POST", "/add-jobs", [{"handler": "t", "payload": {}}] * 9)
        s.wait_done(s.add("t", {"fail": "x", "retryable": True,
                                "fail_until": 1}), 20)
        self.cli("config", "set", "dead_max", "1")
        self.dead()
        self.dead()
        self.statistics_of_many(port)
        return w

    def statistics_of_many(self, port):
        """Of a handler whose oldest job may be behind all that are looked at:
        one by one they wait, more of them in a lane for each priority."""
        s = self.s
        self.cli("config", "set", "selection", "lifo")
        jobs = [s.add("idle", priority=i % 101) for i in range(150)]
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics"
                                    % port) as r:
            self.assertIn('taskmq_oldest_pending_seconds{handler="idle"}',
                          r.read().decode())
        self.cli("cancel", *jobs)
        s.wait_done(s.add("u"), 20)
        self.cli("config", "set", "selection", "priority")

    def lost_and_given_back(self, w):
        """A worker is stopped, one is killed; a third takes over."""
        s = self.s
        job = s.add("t", {"sleep": 0.3})
        s.wait_status(job, "RUNNING")
        w.stop()
        job = s.add("t", {"sleep": 0.5})
        w = s.worker()
        s.wait_status(job, "RUNNING")
        w.kill()
        self.cli("config", "set", "selection", "fifo")
        self.key_of_ids(lambda: s.worker(env={
            "DAEMON_TASK_SELECTION": "fifo"}))
        s.wait_done(job, 20)
        # Redis' clock was set back since the last time jobs were taken back
        s.redis("SET", s.key("clock"), "9" * 13)
        wait_for(lambda: s.redis("GET", s.key("clock")) != b"9" * 13, 20)
        job = s.add("u")
        s.wait_done(job)

    def test_every_command_is_used(self):
        s = self.s
        self.new_namespaces()
        w = self.by_worker()
        self.by_nginx()
        self.by_cli()
        self.lost_and_given_back(w)
        wait_for(lambda: "ping" in s.monitor.used["nginx"], 30,
                 "nginx asks whether Redis is there")
        self.names()
        s.redis("ECHO", "end")
        self.assertTrue(s.monitor.ended.wait(20))
        used = s.monitor.used
        # MONITOR does not show this one
        if b"cmdstat_client|unblock:" in s.redis("INFO", "commandstats"):
            used["worker"].add("client|unblock")
        for role, commands in listed().items():
            with self.subTest(role):
                self.assertEqual(sorted(used[role]), commands)

    def test_all_that_can_be_used_is_allowed(self):
        for role, commands in listed().items():
            with self.subTest(role):
                self.assertEqual(sorted(needed(role)), commands)

    def test_one_less_and_it_does_not_work(self):
        """The harness sees a command that is not allowed."""
        s = self.s
        s.redis("ACL", "SETUSER", "taskmq-nginx", "-mset", "-zcard")
        try:
            r = s.post("/add-job", {"handler": "no", "payload": {}})
            self.assertNotEqual(r.status, 200, r)
            self.assertTrue(s.denied())
        finally:
            s.redis("ACL", "SETUSER", "taskmq-nginx", "+mset", "+zcard")
            wait_for(lambda: s.get("/health", token=None).status == 200, 20)
            s.redis("ACL", "LOG", "RESET")

    def test_other_keys(self):
        s = self.s
        other = "{taskmq2}:"
        for role in ROLES:
            for args in (("GET", other + "x"), ("MSET", other + "x", "1"),
                         ("CONFIG", "GET", "*"), ("FLUSHALL",), ("KEYS", "*"),
                         ("ACL", "WHOAMI"), ("MONITOR",)):
                said = s.redis("ACL", "DRYRUN", "taskmq-" + role, *args)
                self.assertIn(b"no permissions", said, (role, args))


class Wrong(unittest.TestCase):

    def test_a_worker_without_the_right_says_it_once(self):
        with Stack(nginx=False, aof=False,
                   handlers={"n": {"builtin": "noop"}}) as s:
            s.denied_allowed = True
            w = s.worker("--namespace", "oops", wait=False)
            word = self.text("worker")
            wait_for(lambda: word in w.tail(), 10, "it says so")
            self.goes_on_asking(s)
            self.assertEqual(w.tail(100000).count(word), 1, w.tail())
            self.assertEqual(w.tail(100000).count("NOPERM"), 1, w.tail())

    def test_nginx_without_the_right_says_it_once(self):
        with Stack(aof=False, server="""
                location /oops/ { taskmq_api taskmq; taskmq_namespace oops; }
                """) as s:
            s.denied_allowed = True
            word = self.text("nginx")
            # the harness has allowed it
            s.redis("ACL", "SETUSER", "taskmq-nginx", "resetkeys",
                    "~{taskmq}:*")
            s.redis("CLIENT", "KILL", "USER", "taskmq-nginx")
            add = {"handler": "n", "payload": {}}
            wait_for(lambda: word in s.error_log(), 10, "it says so")
            for path, ask in (("health", lambda: s.get("/oops/health",
                                                       token=None)),
                              ("add-job", lambda: s.post("/oops/add-job",
                                                         add))):
                wait_for(lambda: word in ask().body.decode(), 10, path)
                self.assertEqual(ask().status, 503, path)
            self.goes_on_asking(s, lambda: s.post("/oops/add-job", add))
            said = [line for line in s.error_log().splitlines()
                    if word in line and "[info]" not in line
                    and "[debug]" not in line]
            self.assertEqual(len(said), 1, said)
            self.assertEqual(s.post("/add-job", add).status, 200)

    def test_the_tool_without_the_right_says_it(self):
        with Stack(nginx=False, aof=False) as s:
            s.denied_allowed = True
            for args in (("add-job", "n", "{}"), ("stats",), ("list",)):
                out = s.cli("--namespace", "oops", *args)
                self.assertEqual((out.returncode, out.stdout), (69, b""), out)
                self.assertIn(self.text("cli"), out.stderr.decode())
                self.assertRegex(out.stderr, rb" (a key|arguments)\)\n\Z")
                self.assertEqual(out.stderr.count(b"\n"), 1, out)

    def text(self, role):
        return ("user taskmq-%s may not use the keys {oops}:*: give it the "
                "rights of redis-acl.example (NOPERM " % role)

    def goes_on_asking(self, s, ask=None):
        s.redis("CONFIG", "RESETSTAT")

        def asked():
            if ask:
                ask()
            return sum(map(int, re.findall(
                r"cmdstat_eval\S*rejected_calls=(\d+)", s.redis(
                    "INFO", "commandstats").decode()))) >= 4

        wait_for(asked, 20, "it asks")


class Lacks(unittest.TestCase):
    """One right is missing. test_ops_open.c takes each of them away from each
    program; here are the programs, which say it and go on when it is back."""

    ADD = {"handler": "n", "payload": {}}

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(aof=False, handlers={"n": {"builtin": "noop"},
                                               "f": {}})
        cls.addClassCleanup(s.close)
        s.denied_allowed = True

    def text(self, role, right):
        return ("user taskmq-%s lacks the permission for %s: give it the "
                "rights of redis-acl.example" % (role, right))

    def acl(self, role, rule):
        self.s.redis("ACL", "SETUSER", "taskmq-" + role, rule)

    @contextlib.contextmanager
    def without(self, role, right):
        self.acl(role, "-" + right)
        try:
            yield
        finally:
            self.acl(role, "+" + right)

    def digest(self):
        """What the namespace holds, but for what tells of the time."""
        r = self.s.redis
        kept = sorted(k for k in r("KEYS", "*") if not k.endswith(
            (b":workers", b":clock", b":wake")))
        return [(k, r("DUMP", k)) for k in kept]

    def lines(self, log, word):
        """Lines of nginx's log that an operator is to see."""
        return [x for x in log.splitlines() if word in x
                and "[info]" not in x and "[debug]" not in x]

    def nginx_refuses(self, right):
        """Every job and /health, by its name; nothing is written."""
        s, word = self.s, self.text("nginx", right)
        wait_for(lambda: word in s.get("/health", token=None).body.decode(),
                 10, "/health says so")
        before = self.digest()
        for ask in (lambda: s.post("/add-job", self.ADD),
                    lambda: s.get("/health", token=None),
                    lambda: s.get("/jobs"),
                    lambda: s.get("/monitor/metrics", token=None)):
            r = ask()
            self.assertEqual(r.status, 503, r)
            self.assertIn(word, r.json()["detail"])
        self.assertEqual(self.digest(), before)

    def nginx_goes_on(self):
        s = self.s
        wait_for(lambda: s.get("/health", token=None).status == 200, 20,
                 "nginx goes on")
        self.assertEqual(s.post("/add-job", self.ADD).status, 200)

    def test_nginx_from_the_start(self):
        s = self.s
        for right in ("zadd", "eval"):
            with self.subTest(right):
                with self.without("nginx", right):
                    s.redis("CLIENT", "KILL", "USER", "taskmq-nginx")
                    self.nginx_refuses(right)
                self.nginx_goes_on()

    def test_nginx_when_it_is_taken_away(self):
        """The first call that meets it may have done a part."""
        s = self.s
        for right, path, status in (("mget", "/job/1", 503),
                                    ("hincrby", "/add-job", 500)):
            with self.subTest(right):
                at = len(s.error_log())
                with self.without("nginx", right):
                    r = s.get(path) if path == "/job/1" \
                        else s.post(path, self.ADD)
                    self.assertEqual(r.status, status, r)
                    self.assertIn("permission", r.json()["detail"])
                    self.nginx_refuses(right)
                self.nginx_goes_on()
                said = self.lines(s.error_log()[at:],
                                  self.text("nginx", right))
                self.assertEqual(len(said), 1, said)
                self.assertEqual(self.lines(s.error_log()[at:], "[error]"),
                                 said)

    def test_what_was_half_done_is_healed(self):
        """A lane that enqueue could not put among those that claims look at."""
        s, job = self.s, dict(self.ADD, priority=77)
        with self.without("nginx", "zadd"):
            self.assertEqual(s.post("/add-job", job).status, 500)
        self.nginx_goes_on()
        job = s.post("/add-job", job).json()["job_id"]
        w = s.worker()
        s.wait_done(job, 20)
        w.stop()

    def worker_says(self, w, right):
        """It does not claim, and says so once."""
        word = self.text("worker", right)
        wait_for(lambda: word in w.tail(100000), 20, "it says " + word)
        job = self.s.add("n")
        self.s.redis("CONFIG", "RESETSTAT")
        wait_for(lambda: self.logins() >= 3, 20, "it tries again")
        self.assertEqual(self.s.redis("EXISTS", self.s.key("r:%d" % job)), 0)
        self.assertEqual(w.tail(100000).count(word), 1, w.tail())
        return job

    def logins(self):
        m = re.search(rb"cmdstat_auth:calls=(\d+)",
                      self.s.redis("INFO", "commandstats"))
        return int(m[1]) if m else 0

    def test_worker(self):
        s = self.s
        for right in ("zrem", "bzpopmin", "client|unblock", "lpop"):
            with self.subTest(right):
                with self.without("worker", right):
                    w = s.worker(wait=False)
                    job = self.worker_says(w, right)
                s.wait_done(job, 20)
                w.stop()

    def test_worker_when_it_is_taken_away(self):
        """While nothing is to be done: with the next heartbeat."""
        s = self.s
        w = s.worker("--lease", "1")
        s.wait_done(s.add("n"), 20)
        with self.without("worker", "zscan"), self.without("worker", "hset"):
            job = self.worker_says(w, "hset zscan")
        s.wait_done(job, 20)
        w.stop()

    def test_worker_that_may_not_wait_any_more(self):
        """The connection that waits for jobs meets it first; which right it
        is, the other one's next handshake says."""
        s = self.s
        port = free_port()
        at = "http://127.0.0.1:%d/" % port

        def health():
            try:
                with urllib.request.urlopen(at + "healthz") as r:
                    return r.status, r.read().decode()
            except urllib.error.HTTPError as e:
                return e.code, e.read().decode()

        def metrics():
            with urllib.request.urlopen(at + "metrics") as r:
                return r.read().decode()

        w = s.worker("--listen", "127.0.0.1:%d" % port)
        s.wait_done(s.add("n"), 20)
        with self.without("worker", "bzpopmin"):
            job = self.worker_says(w, "bzpopmin")
            wait_for(lambda: self.text("worker", "bzpopmin") in health()[1],
                     10, "/healthz says so")
            self.assertEqual(health()[0], 503)
            self.assertIn("taskmq_worker_redis_up 0\n", metrics())
            self.assertNotIn('errors_total{reason="noperm"} 0\n', metrics())
        s.wait_done(job, 20)
        wait_for(lambda: health()[0] == 200, 20, "it goes on")
        s.wait_done(s.add("n"), 2)
        w.stop()

    def test_the_tool(self):
        """Exit status 69: nothing was changed, not even in part."""
        s = self.s
        job = str(s.add("f", priority=7))
        for right, args in (("zadd", ("retry", job)), ("zrem", ("delete", job)),
                            ("hincrby", ("cancel", job)),
                            ("setrange", ("add-job", "n", "{}")),
                            ("lrange", ("stats",)), ("mget", ("list",))):
            with self.subTest(right), self.without("cli", right):
                before = self.digest()
                out = s.cli(*args)
                self.assertEqual((out.returncode, out.stdout), (69, b""), out)
                self.assertIn(self.text("cli", right), out.stderr.decode())
                self.assertEqual(self.digest(), before)
        self.assertEqual(s.cli("cancel", job).returncode, 0)


if __name__ == "__main__":
    unittest.main()
