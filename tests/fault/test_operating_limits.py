"""What Redis can be in the way of: too full, read-only, loading, without its
scripts, with a policy that drops jobs, not there. Each is told by /health, in
a metric and in the log, by nginx and (where it bears on them) by workers, and
is over without a restart of anything."""

import json
import os
import re
import time
import unittest
import urllib.error
import urllib.request

from harness import SLOW, Stack, free_port, wait_for

SAMPLE = re.compile(r'^(\w+)(?:\{reason="(\w+)"\})? (-?\d+)$', re.M)


class Limits(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        s = cls.s = Stack(aof=False, handlers={"n": {"builtin": "noop"}},
                          server="taskmq_redis_timeout 1s;")
        cls.addClassCleanup(s.close)
        cls.w = s.worker("--listen", "127.0.0.1:%d" % cls.port)

    def setUp(self):
        self.well()
        s = self.s
        self.at = len(s.error_log()), len(self.w.tail(1 << 24))
        self.nginx_before, self.worker_before = self.nginx(), self.worker()

    # ---- what is said ----

    def health(self):
        return self.s.get("/health", token=None)

    def ask_worker(self, path):
        url = "http://127.0.0.1:%d%s" % (self.port, path)
        try:
            with urllib.request.urlopen(url, timeout=15 * SLOW) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def samples(self, text):
        return {(name, reason): int(v)
                for name, reason, v in SAMPLE.findall(text)}

    def nginx(self):
        """Its metrics; {} while there are none."""
        r = self.s.get("/monitor/metrics", token=None)
        return self.samples(r.body.decode()) if r.status == 200 else {}

    def worker(self):
        return self.samples(self.ask_worker("/metrics")[1])

    def gauge(self, name, value):
        wait_for(lambda: self.nginx().get((name, "")) == value, 20,
                 "%s %d" % (name, value))

    def counted(self, reason, worker=False):
        name = ("taskmq_redis_errors_total", reason)
        wait_for(lambda: self.nginx().get(name, 0)
                 > self.nginx_before[name], 20, "nginx counts " + reason)
        if worker:
            name = ("taskmq_worker_redis_errors_total", reason)
            wait_for(lambda: self.worker()[name] > self.worker_before[name],
                     20, "the worker counts " + reason)

    def logged(self, words):
        wait_for(lambda: re.search(words, self.s.error_log()[self.at[0]:]),
                 20, "error.log: " + words)

    def worker_logged(self, words):
        wait_for(lambda: words in self.w.tail(1 << 24)[self.at[1]:], 20,
                 "the worker's log: " + words)

    def unhealthy(self, words):
        def said():
            h = self.health()
            return h.status == 503 and re.search(words, h.json()["detail"])
        wait_for(said, 20, "/health: " + words)

    def worker_unhealthy(self, words):
        def said():
            status, text = self.ask_worker("/healthz")
            return status == 503 and words in json.loads(text)["detail"]
        wait_for(said, 20, "/healthz: " + words)

    def warned(self, words):
        wait_for(lambda: words in self.health().json().get("warning", ""), 20,
                 "/health warns: " + words)

    def add(self):
        return self.s.post("/add-job", '{"handler":"n","payload":{}}')

    def well(self):
        """The same processes as ever take a job and work it off."""
        s = self.s
        wait_for(lambda: self.health().status == 200, 30, "healthy")
        wait_for(lambda: self.ask_worker("/healthz")[0] == 200, 30,
                 "the worker is healthy")
        r = wait_for(lambda: [x for x in [self.add()] if x.status == 200], 20,
                     "a job is taken")
        s.wait_done(r[0].json()["job_id"], 20)
        self.assertTrue(s.nginx.alive() and self.w.alive(), self.w.tail())
        self.assertNotIn("exited on signal", s.error_log())

    # ---- the limits ----

    def test_eviction_policy(self):
        s = self.s
        self.addCleanup(s.redis, "CONFIG", "SET", "maxmemory-policy",
                        "noeviction")
        s.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.warned("maxmemory-policy is not noeviction")
        self.assertEqual(self.health().status, 200)
        self.gauge("taskmq_redis_noeviction", 0)
        self.logged(r"\[warn\].*maxmemory-policy is not noeviction")
        # a worker looks at each connection: after a failover, say
        s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.worker_logged("maxmemory-policy is not noeviction any more")
        s.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.gauge("taskmq_redis_noeviction", 1)
        self.logged("noeviction again")
        self.assertNotIn("noeviction", self.health().json().get("warning",
                                                                ""))
        self.well()

    def test_out_of_memory(self):
        s = self.s
        self.addCleanup(s.redis, "CONFIG", "SET", "maxmemory", "0")
        s.redis("CONFIG", "SET", "maxmemory", "1")
        self.assertEqual(self.add().status, 503)
        self.unhealthy("out of memory")
        self.gauge("taskmq_accepting", 0)
        self.counted("oom")
        self.logged(r"\[error\].*Redis refuses a call: .*out of memory")
        s.redis("CONFIG", "SET", "maxmemory", "0")
        self.well()
        self.gauge("taskmq_accepting", 1)
        self.logged("Redis takes jobs again")

    def cli_add(self, *args):
        out = self.s.cli("add-job", *args, "n", "{}")
        self.assertEqual(out.returncode, 0, out)
        return int(out.stdout)

    def refuses_writes(self, begin, over, reason, words):
        """Once Redis takes writes again, a worker goes on within a second:
        with a job that comes then, and with one that was there. (A call of
        the worker is refused when that begins: its next try is far.)"""
        s = self.s
        name = "taskmq_worker_redis_errors_total", reason
        for early in (False, True):
            if early:       # due meanwhile: the worker's claims are refused
                job = self.cli_add("--at", time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3)))
            at, before = len(self.w.tail(1 << 24)), self.worker()[name]
            begin()
            self.unhealthy(words)
            for n in range(3, 8):       # the last ones at the longest pause
                wait_for(lambda: self.worker()[name] >= before + n, 40,
                         "the worker is refused")
            if early:
                self.worker_unhealthy("Redis refuses claims")
            over()
            end = time.monotonic() + 2 * SLOW
            if not early:
                job = self.cli_add()
            s.wait_done(job, 20)
            self.assertLess(time.monotonic(), end, "within a second, or two")
            self.well()

            # that is said when all that was refused was asked again: last
            # what comes every third of a lease
            def lines(words):
                return re.findall(r"(?m)^\S+ (?:info|warn) +(%s.*)$" % words,
                                  self.w.tail(1 << 24)[at:])

            over_line = r"Redis works again after=\S*" + reason
            wait_for(lambda: lines(over_line), 20)
            self.assertEqual(len(lines(over_line)), 1)
            begun = lines(r"Redis (?:refuses|is not ready)\b.*"
                          + reason.upper())
            self.assertEqual(len(begun), 1, begun)
        self.logged(r"\[error\].*Redis refuses a call: .*" + words)
        self.logged("Redis takes jobs again")
        self.counted(reason, worker=True)

    def test_no_save(self):
        """The disk is full, say."""
        s = self.s

        def begin():
            if os.path.exists(s.path("dump.rdb")):
                os.unlink(s.path("dump.rdb"))
            os.mkdir(s.path("dump.rdb"))
            s.redis("BGSAVE")
            wait_for(lambda: b"rdb_last_bgsave_status:err" in s.redis(
                "INFO", "persistence"), 20, "it could not be saved")
            s.redis("CONFIG", "SET", "save", "3600 1")

        def over():
            s.redis("CONFIG", "SET", "save", "")
            if os.path.isdir(s.path("dump.rdb")):
                os.rmdir(s.path("dump.rdb"))

        self.addCleanup(over)
        self.refuses_writes(begin, over, "misconf", "cannot save to disk")

    def test_too_few_replicas(self):
        def set_to(n):
            self.s.redis("CONFIG", "SET", "min-replicas-to-write", n)

        self.addCleanup(set_to, "0")
        self.refuses_writes(lambda: set_to("1"), lambda: set_to("0"),
                            "noreplicas", "replicas")

    def test_read_only(self):
        s = self.s
        self.addCleanup(s.redis, "REPLICAOF", "NO", "ONE")
        s.redis("REPLICAOF", "127.0.0.1", "1")
        self.unhealthy("read-only")
        self.worker_unhealthy("read-only")
        self.logged(r"\[error\].*read-only replica")
        s.redis("REPLICAOF", "NO", "ONE")
        self.well()
        self.counted("readonly", worker=True)

    def test_loading(self):
        """A Redis that starts with much to read."""
        s = self.s
        text = "[%s]" % ",".join(
            ['{"handler":"later","payload":{"x":"%s"}}' % ("x" * 200)] * 1000)
        self.assertEqual(s.post("/add-jobs", text).status, 200)
        s.redis("SAVE")
        s.server.kill()
        s.server = s.start("redis", s.redis_argv + [
            "--key-load-delay", "20000",
            "--loading-process-events-interval-bytes", "1024"])
        s._redis = None
        self.unhealthy("LOADING")
        self.assertEqual(self.add().status, 503)
        self.worker_unhealthy("LOADING")
        self.assertEqual(self.worker()["taskmq_worker_redis_up", ""], 0)
        self.logged(r"\[(error|info)\].*LOADING")

        def go_on():
            try:
                return s.redis("CONFIG", "SET", "key-load-delay", "0")
            except (OSError, RuntimeError):
                s._redis = None
                return False

        wait_for(go_on, 20, "it may load at once")
        self.well()
        self.counted("loading", worker=True)

    def test_scripts_flushed(self):
        s = self.s
        s.redis("SCRIPT", "FLUSH")
        self.assertEqual(self.add().status, 200)
        self.assertEqual(self.health().status, 200)
        self.warned("forgotten its scripts")
        self.counted("noscript", worker=True)
        self.logged(r"\[warn\].*had forgotten its scripts")
        self.worker_logged("had forgotten its scripts")
        self.well()

    def test_away(self):
        s = self.s
        s.server.kill()
        self.unhealthy(r"connect\(\) failed \(111: Connection refused\)")
        self.worker_unhealthy("Redis is away: ")
        self.logged(r"\[error\].*Redis is not available")
        s.start_redis()
        self.well()
        self.counted("connection", worker=True)

    def test_silent(self):
        s = self.s
        s.server.signal(19)
        try:
            self.unhealthy("did not|took too long")
        finally:
            s.server.signal(18)
        self.well()
        self.counted("timeout")

    def test_permission_taken(self):
        """The ACL is narrower than redis-acl.example. A script that stops on
        its way may have written: that is no 503. Nothing is asked after it."""
        s = self.s

        def give_back():
            s.redis("ACL", "SETUSER", "taskmq-nginx", "+mset", "+hvals")
            s.redis("ACL", "LOG", "RESET")

        self.addCleanup(give_back)
        s.redis("ACL", "SETUSER", "taskmq-nginx", "-mset", "-hvals")
        self.assertEqual(self.add().status, 500)
        self.unhealthy("lacks the permission for hvals mset: ")
        self.assertEqual(self.add().status, 503)
        self.logged(r"\[error\].*lacks the permission for hvals mset: ")
        give_back()
        self.well()
        self.counted("noperm")


if __name__ == "__main__":
    unittest.main()
