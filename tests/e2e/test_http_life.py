"""nginx and Redis over time: clients that leave, Redis away and back, replies
that are lost, reloads and quits while requests wait."""

import http.client
import os
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import NGINX, SLOW, Stack, wait_for

GOOD = '{"handler":"h","payload":{}}'
TIMEOUT = "taskmq_redis_timeout %dms;" % (500 * SLOW)


class Life(unittest.TestCase):

    def stack(self, **kw):
        kw.setdefault("server", TIMEOUT)
        kw.setdefault("aof", False)         # a disk may take longer than that
        s = Stack(**kw)
        self.addCleanup(s.close)
        return s

    def stored(self, s):
        return int(s.redis("GET", s.key("seq")) or 0)

    def send(self, s, n=1):
        """Sends requests on n connections and does not wait."""
        conns = []
        for _ in range(n):
            c = http.client.HTTPConnection("127.0.0.1", s.port,
                                           timeout=20 * SLOW)
            c.request("POST", "/add-job", GOOD, {
                "Authorization": "Bearer " + s.token(),
                "Content-Type": "application/json"})
            conns.append(c)
        return conns

    def statuses(self, conns):
        out = []
        for c in conns:
            r = c.getresponse()
            r.read()
            out.append(r.status)
            c.close()
        return out

    def unread(self, conns):
        """nginx' sides of these connections have nothing left to
        read."""
        ports = {c.sock.getsockname()[1] for c in conns}
        left = 0
        with open("/proc/net/tcp") as f:
            for line in list(f)[1:]:
                w = line.split()
                peer = int(w[2].split(":")[1], 16)
                if peer in ports:
                    left += int(w[4].split(":")[1], 16)
        return left == 0

    def nginx_workers(self, s):
        with open("/proc/%d/task/%d/children" % (s.nginx.pid,
                                                 s.nginx.pid)) as f:
            return set(map(int, f.read().split()))

    def redis_clients(self, s):
        """nginx' connections to Redis."""
        text = s.redis("CLIENT", "LIST").decode()
        return [line for line in text.splitlines()
                if "cmd=client" not in line]


class RedisAway(Life):

    def unavailable(self, s, within=2.5):
        start = time.monotonic()
        r = s.post("/add-job", GOOD)
        self.assertLess(time.monotonic() - start, within * SLOW)
        self.assertEqual(r.status, 503, r)
        self.assertTrue(r.json()["detail"])
        self.assertGreaterEqual(int(r.headers["Retry-After"]), 1)

    def test_killed_and_back(self):
        s = self.stack(aof=True, server="")
        job = s.add("h", {})
        s.server.kill()
        for _ in range(3):
            self.unavailable(s)
        r = s.get("/health", token=None)
        self.assertEqual((r.status, r.json()["status"]), (503, "error"))
        self.assertEqual(s.get("/job/%d" % job).status, 503)
        s.start_redis()
        wait_for(lambda: s.get("/health", token=None).status == 200, 10,
                 "healthy again")
        self.assertEqual(s.add("h", {}), job + 1)
        self.assertEqual(s.job(job)["status"], "PENDING")

    def test_never_there_at_start(self):
        s = self.stack(nginx=False)
        s.server.kill()
        s.conf["server"] = TIMEOUT
        s.path("nginx.conf", s.nginx_conf().encode())
        # nginx starts all the same: start_nginx() would wait for health
        s.nginx = s.start("nginx", [NGINX, "-p", s.dir, "-c",
                                    s.path("nginx.conf"), "-e",
                                    s.path("error.log")])

        def up():
            try:
                return s.get("/health", token=None).status == 503
            except OSError:
                return False

        wait_for(up, 10, "nginx is up")
        self.unavailable(s)
        s.start_redis()
        wait_for(lambda: s.get("/health", token=None).status == 200, 10,
                 "healthy")
        self.assertEqual(s.add("h", {}), 1)

    def test_lost_reply_is_504(self):
        s = self.stack()
        s.add("h", {})
        s.server.signal(signal.SIGSTOP)
        start = time.monotonic()
        r = s.post("/add-job", GOOD)
        took = time.monotonic() - start
        s.server.signal(signal.SIGCONT)
        self.assertEqual(r.status, 504, r)
        self.assertIsNone(r.headers["Retry-After"])
        self.assertTrue(r.json()["detail"])
        self.assertGreaterEqual(took, 0.4)
        self.assertLess(took, 10 * SLOW)
        wait_for(lambda: s.get("/health", token=None).status == 200, 10,
                 "healthy again")
        # unknown means unknown: here it was stored
        wait_for(lambda: self.stored(s) >= 2, 5, "the job is there")

    def test_stopped_redis_then_known_not_stored(self):
        s = self.stack()
        s.add("h", {})
        s.server.signal(signal.SIGSTOP)
        self.assertEqual(s.post("/add-job", GOOD).status, 504)
        # the connection is given up; a new one cannot finish its handshake
        self.unavailable(s)
        s.server.signal(signal.SIGCONT)
        wait_for(lambda: s.post("/add-job", GOOD).status == 200, 10,
                 "jobs are taken again")

    def test_full(self):
        s = self.stack()
        job = s.add("h", {})
        s.redis("CONFIG", "SET", "maxmemory", "1")
        self.unavailable(s)
        wait_for(lambda: s.get("/health", token=None).status == 503, 5,
                 "health says that jobs are not taken")
        self.assertEqual(s.job(job)["status"], "PENDING")
        s.redis("CONFIG", "SET", "maxmemory", "0")
        wait_for(lambda: s.get("/health", token=None).status == 200, 5,
                 "health")
        self.assertEqual(s.add("h", {}), job + 1)

    def test_read_only_replica(self):
        s = self.stack()
        s.redis("REPLICAOF", "127.0.0.1", "1")
        self.unavailable(s)
        s.redis("REPLICAOF", "NO", "ONE")
        wait_for(lambda: s.get("/health", token=None).status == 200, 10,
                 "health")
        s.add("h", {})

    def test_scripts_flushed(self):
        s = self.stack()
        s.add("h", {})
        s.redis("SCRIPT", "FLUSH")
        self.assertEqual(s.add("h", {}), 2)

    def test_connection_killed(self):
        s = self.stack()
        s.add("h", {})
        s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_for(lambda: s.post("/add-job", GOOD).status == 200, 5,
                 "jobs are taken again")

    def test_one_connection_for_many_requests(self):
        s = self.stack()
        for c in [self.send(s, 100) for _ in range(3)]:
            self.assertEqual(set(self.statuses(c)), {200})
        self.assertLessEqual(len(self.redis_clients(s)), 2)


class ClientGone(Life):

    def test_before_the_reply(self):
        s = self.stack(server="taskmq_redis_timeout 5s;")
        s.add("h", {})
        s.server.signal(signal.SIGSTOP)
        conns = self.send(s, 20)
        wait_for(lambda: self.unread(conns), 10, "requests were read")
        for n, c in enumerate(conns):
            if n % 2:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
            c.sock.close()
        s.server.signal(signal.SIGCONT)
        wait_for(lambda: self.stored(s) >= 2, 10, "what was sent is stored")
        self.assertEqual(s.get("/health", token=None).status, 200)
        s.add("h", {})
        self.assertEqual(len(self.nginx_workers(s)), 1)
        self.assertNotIn("exited on signal", s.error_log())

    def test_in_the_middle_of_the_body(self):
        s = self.stack()
        for n in (0, 1, 10, 400):
            with socket.create_connection(("127.0.0.1", s.port)) as c:
                c.sendall(("POST /add-job HTTP/1.1\r\nHost: t\r\n"
                           "Authorization: Bearer %s\r\n"
                           "Content-Length: 500\r\n\r\n" % s.token()).encode()
                          + b"{" * n)
        self.assertEqual(s.get("/health", token=None).status, 200)
        self.assertEqual(self.stored(s), 0)
        self.assertNotIn("exited on signal", s.error_log())


class Reload(Life):

    def test_while_requests_wait(self):
        """A reload with requests in flight: all are answered, and the old
        worker ends."""
        s = self.stack(server="taskmq_redis_timeout 10s;")
        s.add("h", {})
        old = self.nginx_workers(s)
        s.server.signal(signal.SIGSTOP)
        conns = self.send(s, 30)
        wait_for(lambda: self.unread(conns), 10, "requests were read")
        s.nginx.signal(signal.SIGHUP)
        wait_for(lambda: len(self.nginx_workers(s) - old) == 1, 10,
                 "there is a new worker")
        self.assertTrue(old & self.nginx_workers(s), "the old one waits")
        s.server.signal(signal.SIGCONT)
        self.assertEqual(self.statuses(conns), [200] * 30)
        wait_for(lambda: not old & self.nginx_workers(s), 10,
                 "the old worker has ended")
        self.assertEqual(self.stored(s), 31)

    def test_quit_while_requests_wait(self):
        s = self.stack(server="taskmq_redis_timeout 10s;")
        s.add("h", {})
        s.server.signal(signal.SIGSTOP)
        conns = self.send(s, 10)
        wait_for(lambda: self.unread(conns), 10, "requests were read")
        s.nginx.signal(signal.SIGQUIT)
        s.server.signal(signal.SIGCONT)
        self.assertEqual(self.statuses(conns), [200] * 10)
        self.assertEqual(s.nginx.wait(10), 0)

    def test_idle_connection_does_not_keep_the_old_worker(self):
        s = self.stack()
        s.add("h", {})
        for _ in range(3):
            old = self.nginx_workers(s)
            s.nginx.signal(signal.SIGHUP)
            wait_for(lambda: not old & self.nginx_workers(s), 10,
                     "the old worker has ended")
        s.add("h", {})
        wait_for(lambda: len(self.redis_clients(s)) <= 1, 5,
                 "only the new worker is connected")

    def test_ten_reloads_under_load_lose_nothing(self):
        # about reloads: a machine that is slow (valgrind) must not time out
        s = self.stack(nginx_workers=2, server="taskmq_redis_timeout 30s;")
        done, failed = [], []
        stop = threading.Event()
        token = s.token()

        def client():
            while not stop.is_set():
                try:
                    r = s.post("/add-job", GOOD, token=token)
                    (done if r.status == 200 else failed).append(
                        r.json().get("job_id") or repr(r))
                except (OSError, http.client.HTTPException) as e:
                    failed.append(repr(e))

        threads = [threading.Thread(target=client) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(10):
                old = self.nginx_workers(s)
                n = len(done)
                s.nginx.signal(signal.SIGHUP)
                wait_for(lambda: not old & self.nginx_workers(s)
                         and len(done) > n + 20, 20, "reloaded")
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(failed, [])
        self.assertEqual(len(set(done)), len(done))
        self.assertEqual(self.stored(s), len(done))

    def test_new_secret_after_reload(self):
        s = self.stack()
        old = s.token()
        self.assertEqual(s.post("/add-job", GOOD, token=old).status, 200)
        s.secret = os.urandom(24).hex().encode()
        s.path("jwt.secret", s.secret + b"\n")
        s.nginx.signal(signal.SIGHUP)
        wait_for(lambda: s.post("/add-job", GOOD).status == 200, 10,
                 "the new secret is used")
        wait_for(lambda: s.post("/add-job", GOOD, token=old).status == 401,
                 10, "the old one is not")


class Refused(Life):
    """Directives that nginx -t refuses: file, line, what was expected."""

    def test_directives(self):
        s = self.stack(nginx=False)
        for where, text, expected in (
                ("location", "taskmq_api other;", "taskmq_api"),
                ("location", "taskmq_api taskmq;", "duplicate"),
                ("server", "taskmq_redis rediss://localhost;", "rediss"),
                ("server", "taskmq_redis http://localhost;", "redis://"),
                ("server", "taskmq_redis redis://localhost:99999;", "port"),
                ("server", "taskmq_namespace 'a b';", "1 to 64"),
                ("server", "taskmq_auth maybe;", "jwt"),
                ("server", "taskmq_max_payload lots;", "taskmq_max_payload"),
                ("server", "taskmq_redis_timeout -1s;",
                 "taskmq_redis_timeout"),
                ("server", "taskmq_redis_timeout 0;", "1ms"),
                ("server", "taskmq_jwt_secret_file missing;", "missing"),
                ("server", "taskmq_jwt_secret_file empty;", "empty")):
            with self.subTest(text):
                s.path("empty", b"\n")
                conf = dict(s.conf)
                s.conf[where] = text
                s.path("nginx.conf", s.nginx_conf().encode())
                s.conf = conf
                out = subprocess.run(
                    [NGINX, "-t", "-p", s.dir, "-c", s.path("nginx.conf"),
                     "-e", s.path("test-error-log")], capture_output=True,
                    text=True)
                self.assertNotEqual(out.returncode, 0, out)
                self.assertIn(expected, out.stderr)
                self.assertRegex(out.stderr, r"nginx\.conf:\d+")

    def test_short_secret_is_a_warning(self):
        s = self.stack(nginx=False)
        s.path("jwt.secret", b"your-secure-secret-key\n")
        s.path("nginx.conf", s.nginx_conf().encode())
        out = subprocess.run(
            [NGINX, "-t", "-p", s.dir, "-c", s.path("nginx.conf"),
             "-e", s.path("test-error-log")], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out)
        self.assertIn("32", out.stderr)


if __name__ == "__main__":
    unittest.main()
