"""What an operator does to a worker: reload, watch, kill. Real processes."""

import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import sys
import time
import unittest

from cli_stack import CliStack, gone
from harness import ROOT, SLOW, free_port, memory_kb, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]


class Reload(unittest.TestCase):

    def reload(self, s, w, handlers, word="configuration reloaded"):
        s.write_handlers(handlers)
        n = w.tail(1 << 20).count(word)
        w.signal(signal.SIGHUP)
        wait_for(lambda: w.tail(1 << 20).count(word) > n, 10, word)

    def pid(self, s, name):
        return s.wait_done(s.add(name, {"do": "look"}))["result"]["pid"]

    def test_added_changed_removed_kept(self):
        odd = {"command": ODD, "instances": 1}
        with CliStack(handlers={"kept": odd, "gone": odd, "changed": odd},
                      aof=False) as s:
            w = s.worker("--concurrency", 8)
            kept, old = self.pid(s, "kept"), self.pid(s, "changed")
            removed = self.pid(s, "gone")
            running = s.add("changed", {"do": "sleep", "s": 1.5 * SLOW})
            s.wait_status(running, "RUNNING")
            self.reload(s, w, {
                "added": odd, "kept": odd,
                "changed": dict(odd, env={"NEW": "yes"}, instances=2)})
            self.assertEqual(self.pid(s, "kept"), kept)
            self.pid(s, "added")
            # a new instance works while the old one ends its job
            look = s.wait_done(s.add("changed", {"do": "look"}))["result"]
            self.assertEqual(look["env"]["NEW"], "yes")
            self.assertEqual(s.job(running)["status"], "RUNNING")
            done = s.wait_done(running)
            self.assertEqual((done["retries"], done["crashes"]), (0, 0))
            for pid in (old, removed):
                wait_for(lambda p=pid: gone(p), 10, "old instance ends")
            # nobody serves that one any more
            waits = s.add("gone", {"do": "ok"})
            self.pid(s, "kept")
            self.assertEqual(s.job(waits)["status"], "PENDING")

    def test_mistake_changes_nothing(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            before = self.pid(s, "odd")
            self.reload(s, w, {"odd": {"command": ODD, "instances": 0}},
                        "configuration not reloaded")
            self.assertIn("handlers.toml:3: handlers.odd.instances", w.tail())
            self.assertEqual(self.pid(s, "odd"), before)
            os.unlink(s.toml)
            w.signal(signal.SIGHUP)
            wait_for(lambda: "cannot be read" in w.tail(), 5)
            self.assertEqual(self.pid(s, "odd"), before)

    def test_broken_successor_leaves_the_old_one_at_work(self):
        odd = {"command": ODD, "instances": 1}
        with CliStack(handlers={"odd": odd}, aof=False) as s:
            w = s.worker()
            before = self.pid(s, "odd")
            self.reload(s, w, {"odd": {"command": ["/no/such"],
                                       "instances": 1}})
            wait_for(lambda: "cannot start" in w.tail(), 5)
            self.assertEqual(self.pid(s, "odd"), before)
            # and back
            self.reload(s, w, {"odd": odd})
            self.assertEqual(self.pid(s, "odd"), before)
            self.reload(s, w, {"odd": {"builtin": "noop"}})
            s.wait_done(s.add("odd", {}))
            wait_for(lambda: gone(before), 5)

    def test_reloads_under_load(self):
        with CliStack(handlers={"t": {"instances": 4}}, aof=False) as s:
            w = s.worker("--concurrency", 8)
            fds = len(os.listdir("/proc/%d/fd" % w.pid))
            jobs = 400
            s.add_many("t", [{"name": str(i), "sleep": 0.01}
                             for i in range(jobs)])
            n = 0
            while s.stat("success") < jobs:
                n += 1
                self.reload(s, w, {"t": {"instances": 4 + n % 2,
                                         "env": {"N": str(n)}}})
                done = s.stat("success")
                wait_for(lambda: s.stat("success") >= min(done + 10, jobs),
                         20)
            self.assertGreater(n, 5)
            self.assertEqual((s.stat("success"), s.stat("retries"),
                              s.stat("crashes"), s.stat("failed")),
                             (jobs, 0, 0, 0))
            starts = [m["name"] for m in s.marks() if m["what"] == "start"]
            self.assertEqual(len(starts), jobs)

            def children():
                with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                    return len(f.read().split())

            # instances and the guard
            wait_for(lambda: children() == 4 + n % 2 + 1, 15)
            self.assertLessEqual(len(os.listdir("/proc/%d/fd" % w.pid)),
                                 fds + 4)


class Health(unittest.TestCase):

    def get(self, port, path, method="GET"):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=5 * SLOW)
        c.request(method, path)
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, body.decode(), r.headers

    def test_healthz_and_metrics(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 2},
                                "n": {"builtin": "noop"}}, lease=1) as s:
            port = free_port()
            w = s.worker("--listen", "127.0.0.1:%d" % port)
            wait_for(lambda: self.get(port, "/healthz")[0] == 200, 10)
            job = s.add("odd", {"do": "sleep", "s": 1.5})
            s.wait_status(job, "RUNNING")
            status, body, headers = self.get(port, "/healthz")
            state = json.loads(body)
            self.assertEqual((status, state["status"], state["running"]),
                             (200, "ok", 1))
            self.assertEqual(state["pools"]["odd"], {"active": 1, "idle": 1})
            self.assertEqual(headers["Content-Type"], "application/json")
            s.wait_done(s.add("n", {}))

            wait_for(lambda: 'container_pool_active{handler="odd"} 1'
                     in self.get(port, "/metrics")[1], 5)
            status, text, headers = self.get(port, "/metrics")
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith("text/plain"))
            for line in ('taskmq_worker_jobs_total{result="succeeded"} 1',
                         "taskmq_worker_running 1", "taskmq_worker_healthy 1",
                         'container_pool_idle{handler="odd"} 1',
                         'taskmq_jobs_total{status="success"} 1',
                         "daemon_health 1"):
                self.assertIn(line + "\n", text)
            self.assertEqual(len(re.findall("^# TYPE (\\S+)", text, re.M)),
                             len(set(re.findall("^# TYPE (\\S+)", text,
                                                re.M))))

            s.wait_done(job)
            for end in (["cancel", "--force"], ["delete"]):
                job = s.add("odd", {"do": "sleep", "s": 60})
                s.wait_status(job, "RUNNING")
                s.run(*end, job)
            wait_for(lambda: 'taskmq_worker_jobs_total{result="cancelled"} 2'
                     in self.get(port, "/metrics")[1], 5)
            self.assertIn('taskmq_worker_jobs_total{result="lost"} 0\n',
                          self.get(port, "/metrics")[1])

            self.assertEqual(self.get(port, "/nothing")[0], 404)
            self.assertEqual(self.get(port, "/healthz", "POST")[0], 405)
            self.assertEqual(self.get(port, "/healthz", "HEAD")[:2],
                             (200, ""))

            s.server.signal(signal.SIGSTOP)
            wait_for(lambda: self.get(port, "/healthz")[0] == 503, 10)
            self.assertIn("Redis is away", self.get(port, "/healthz")[1])
            status, text, _ = self.get(port, "/metrics")
            self.assertEqual(status, 200)
            self.assertIn("daemon_health 0\n", text)
            s.server.signal(signal.SIGCONT)
            wait_for(lambda: self.get(port, "/healthz")[0] == 200, 15)

            # silent, slow and rude clients
            silent = [socket.create_connection(("127.0.0.1", port))
                      for _ in range(40)]
            for c in silent:
                c.settimeout(10 * SLOW)
            silent[0].sendall(b"GET /healthz")
            silent[1].sendall(b"x" * 20000)
            self.assertIn(b" 431 ", silent[1].recv(100))
            for c in silent:
                try:
                    c.recv(100)
                except ConnectionResetError:
                    pass
                c.close()
            self.assertEqual(self.get(port, "/healthz")[0], 200)
            self.assertEqual(w.stop(), 0)

    def ask(self, port, request):
        with socket.create_connection(("127.0.0.1", port),
                                      timeout=5 * SLOW) as c:
            c.sendall(request)
            got = b""
            while more := c.recv(65536):
                got += more
        return got.decode()

    def test_request_lines(self):
        with CliStack(handlers={"n": {"builtin": "noop"}}) as s:
            port = free_port()
            s.worker("--listen", "127.0.0.1:%d" % port)
            wait_for(lambda: self.get(port, "/healthz")[0] == 200, 10)
            host = "http://127.0.0.1:%d" % port
            for status, line in (
                    (200, "GET /healthz HTTP/1.1"),
                    (200, "GET /healthz HTTP/1.0"),
                    (200, "GET /health?a=/b HTTP/1.1"),
                    # as a proxy is asked; servers must take it, too
                    (200, "GET %s/healthz HTTP/1.1" % host),
                    (200, "GET HTTP://other/metrics HTTP/1.1"),
                    (200, "GET http://[::1]:1/healthz?x HTTP/1.1"),
                    (200, "HEAD %s/healthz HTTP/1.1" % host),
                    (404, "GET %s HTTP/1.1" % host),
                    (404, "GET %s/ HTTP/1.1" % host),
                    (404, "GET %s?/healthz HTTP/1.1" % host),
                    (404, "GET http:/healthz HTTP/1.1"),
                    (404, "GET /x/http://y/healthz HTTP/1.1"),
                    (405, "POST /healthz HTTP/1.1"),
                    (405, "PUT %s/metrics HTTP/1.1" % host),
                    (405, "OPTIONS * HTTP/1.1"),
                    (405, "CONNECT a:80 HTTP/1.1"),
                    (405, "get /healthz HTTP/1.1"),
                    (400, "GET /healthz"), (400, "GET"), (400, ""),
                    (400, "GET  HTTP/1.1"), (400, "GET /healthz HTTP/2.0"),
                    (400, "GET /healthz HTTP/1.x"),
                    (400, "GET /a /healthz HTTP/1.1"),
                    (400, " /healthz HTTP/1.1")):
                with self.subTest(line):
                    got = self.ask(port, line.encode()
                                   + b"\r\nHost: a /b\r\n\r\n")
                    self.assertTrue(got.startswith("HTTP/1.1 %d " % status),
                                    got)
                    self.assertEqual("\r\nAllow: GET, HEAD\r\n" in got,
                                     status == 405)
            # as it comes over slow lines
            with socket.create_connection(("127.0.0.1", port),
                                          timeout=5 * SLOW) as c:
                for byte in b"GET /healthz HTTP/1.1\r\n\r\n":
                    c.sendall(bytes([byte]))
                    select.select([c], [], [], 0.002)
                self.assertIn(b"HTTP/1.1 200 ", c.recv(100))

    def descriptors(self, want):
        """So many may be open, and some more, until the test is over."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (min(hard, max(soft, want + 500)), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        (soft, hard))
        return want

    def test_half_open_connections(self):
        """Thousands of silent ones cost nobody an answer."""
        want = self.descriptors(3000)
        with CliStack(handlers={"n": {"builtin": "noop"}}) as s:
            port = free_port()
            w = s.worker("--listen", "127.0.0.1:%d" % port)
            wait_for(lambda: self.get(port, "/healthz")[0] == 200, 10)
            held = []
            try:
                for i in range(want):
                    c = socket.create_connection(("127.0.0.1", port),
                                                 timeout=5 * SLOW)
                    held.append(c)
                    if i % 3 == 1:
                        c.sendall(b"GET /healthz HTT")
                    if i % 100 == 99:
                        begin = time.monotonic()
                        self.assertEqual(self.get(port, "/healthz")[0], 200)
                        self.assertEqual(self.get(port, "/metrics")[0], 200)
                        self.assertLess(time.monotonic() - begin, 2 * SLOW)
                self.assertLess(len(os.listdir("/proc/%d/fd" % w.pid)), 150)
                # the youngest have their places still, and their time
                held[-1].sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                self.assertIn(b" 200 ", held[-1].recv(100))
                held[-2].settimeout(10 * SLOW)
                self.assertEqual(held[-2].recv(100), b"")
            finally:
                for c in held:
                    c.close()
            s.wait_done(s.add("n", {}))
            self.assertEqual(w.stop(), 0)

    def test_very_many_at_once(self):
        """Some of them in each turn of the loop, and each gets its answer."""
        want = self.descriptors(3000)
        with CliStack(handlers={"n": {"builtin": "noop"}}) as s:
            port = free_port()
            w = s.worker("--listen", "127.0.0.1:%d" % port)
            wait_for(lambda: self.get(port, "/healthz")[0] == 200, 10)
            before = memory_kb(w.pid, "VmHWM")
            w.signal(signal.SIGSTOP)
            clients = []
            try:
                for _ in range(want):
                    c = socket.create_connection(("127.0.0.1", port),
                                                 timeout=10 * SLOW)
                    c.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                    clients.append(c)
                w.signal(signal.SIGCONT)
                for c in clients:
                    self.assertIn(b" 200 ", c.recv(100))
            finally:
                w.signal(signal.SIGCONT)
                for c in clients:
                    c.close()
            self.assertLess(memory_kb(w.pid, "VmHWM") - before, 5000)
            self.assertEqual(w.stop(), 0)

    def test_no_handler_can_start(self):
        with CliStack(handlers={"x": {"command": ["/no/such"]}}) as s:
            port = free_port()
            s.worker("--listen", "127.0.0.1:%d" % port)
            wait_for(lambda: "no handler can start"
                     in self.get(port, "/healthz")[1], 10)
            self.assertEqual(self.get(port, "/healthz")[0], 503)

    def test_bad_address(self):
        with CliStack(handlers={"x": {"builtin": "noop"}}) as s:
            for where in ("x", "127.0.0.1:", "127.0.0.1:99999", "a.b:1"):
                w = s.worker("--listen", where, wait=False)
                self.assertEqual(w.wait(), 1)
                self.assertIn("--listen: expected ADDRESS:PORT", w.tail())
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                w = s.worker("--listen", "127.0.0.1:%d"
                             % taken.getsockname()[1], wait=False)
                self.assertEqual(w.wait(), 1)
                self.assertIn("address already in use", w.tail())


class Systemd(unittest.TestCase):

    def test_notify(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            path = s.path("notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
                n.bind(path)
                n.settimeout(10 * SLOW)
                w = s.worker(env={"NOTIFY_SOCKET": path,
                                  "WATCHDOG_USEC": "400000"})

                def until(word):
                    seen = ""
                    while word not in seen:
                        seen = n.recv(4096).decode()
                    return seen

                until("READY=1")
                until("WATCHDOG=1")
                until("WATCHDOG=1")
                env = s.wait_done(s.add("odd", {"do": "look"}))["result"][
                    "env"]
                self.assertNotIn("NOTIFY_SOCKET", env)
                w.signal(signal.SIGHUP)
                self.assertIn("MONOTONIC_USEC=", until("RELOADING=1"))
                until("READY=1")
                # a worker that hangs says nothing
                w.signal(signal.SIGSTOP)
                n.settimeout(0.05)
                with self.assertRaises(TimeoutError):
                    while True:
                        n.recv(4096)
                n.settimeout(1.0)
                with self.assertRaises(TimeoutError):
                    n.recv(4096)
                n.settimeout(10 * SLOW)
                w.signal(signal.SIGCONT)
                until("WATCHDOG=1")
                w.signal(signal.SIGTERM)
                until("STOPPING=1")
                w.wait()


class Guard(unittest.TestCase):

    def family(self, s, n):
        mark = s.path("family%d" % n)
        job = s.add("odd", {"do": "family", "mark": mark})

        def read():
            try:
                with open(mark) as f:
                    return int(f.read() or 0)
            except OSError:
                return 0

        return job, wait_for(read, 10)

    def test_killed_worker_leaves_nothing(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 2}},
                      aof=False) as s:
            w = s.worker()
            family = [self.family(s, n)[1] for n in range(2)]
            with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                children = [int(c) for c in f.read().split()]
            self.assertEqual(len(children), 3)     # and the guard
            w.kill()
            for pid in family + children:
                wait_for(lambda p=pid: gone(p), 5, "%d is gone" % pid)

    def test_handlers_end_without_the_guard(self):
        """By the kernel's parent-death signal; the guard finds the rest."""
        with CliStack(handlers={"odd": {"command": ODD, "instances": 2}},
                      aof=False) as s:
            w = s.worker()
            family = [self.family(s, n)[1] for n in range(2)]
            guard, = self.guards(w)
            with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                children = {int(c) for c in f.read().split()} - {guard}
            os.kill(guard, signal.SIGSTOP)
            try:
                w.kill()
                for pid in children:
                    wait_for(lambda p=pid: gone(p), 5, "%d is gone" % pid)
                self.assertFalse(any(gone(p) for p in family))
            finally:
                os.kill(guard, signal.SIGCONT)
            for pid in family:
                wait_for(lambda p=pid: gone(p), 5, "%d is gone" % pid)

    def guards(self, w):
        with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
            found = []
            for c in f.read().split():
                try:
                    with open("/proc/%s/comm" % c) as f2:
                        if f2.read() == "taskmq-guard\n":
                            found.append(int(c))
                except OSError:
                    pass                # it has ended since
        return found

    def test_guard_is_replaced(self):
        with CliStack(handlers={"odd": {"command": ODD, "instances": 1}},
                      aof=False) as s:
            w = s.worker()
            _, pid = self.family(s, 0)
            guard, = self.guards(w)
            os.kill(guard, signal.SIGKILL)
            wait_for(lambda: self.guards(w) not in ([], [guard]), 5)
            w.kill()
            wait_for(lambda: gone(pid), 5)


class Chaos(unittest.TestCase):

    def test_24_handlers_200_jobs_each(self):
        """Crashes, timeouts and noise: every job ends where it should, and
        the worker stays as small as it was."""
        names = ["h%02d" % i for i in range(24)]
        with CliStack(handlers={n: {"command": ODD, "instances": 1,
                                    "timeout": 5} for n in names},
                      aof=False) as s:
            s.run("config", "set", "retry_wait_ms", "50")
            w = s.worker("--concurrency", 24)
            noise = b"noise \xff\n[1,2]\n{\"status\":1}\n".hex()
            expected = {"success": 0, "dead": 0}
            for k, name in enumerate(names):
                payloads = []
                for i in range(200):
                    if i % 50 == 7:
                        payloads.append({"do": "exit", "status": 3})
                        expected["dead"] += 1
                    elif i == 100 + k:
                        payloads.append({"do": "sleep", "s": 30})
                        expected["dead"] += 1
                    elif i % 3 == 0:
                        payloads.append({"do": "raw", "hex": noise,
                                         "then": "answer"})
                        expected["success"] += 1
                    elif i % 41 == 1:
                        payloads.append({"do": "stderr", "bytes": 100000})
                        expected["success"] += 1
                    else:
                        payloads.append({"do": "ok", "result": i})
                        expected["success"] += 1
                s.add_many(name, payloads)

            def look():
                with open("/proc/%d/statm" % w.pid) as f:
                    rss = int(f.read().split()[1]) * 4
                return len(os.listdir("/proc/%d/fd" % w.pid)), rss

            wait_for(lambda: s.stat("success") > expected["success"] // 3,
                     120)
            fds, rss = look()
            wait_for(lambda: s.stat("success") == expected["success"]
                     and s.stat("failed") == expected["dead"], 240,
                     "%r" % expected)
            self.assertEqual(s.redis("ZCARD", s.key("dead")),
                             expected["dead"])
            self.assertEqual(len(set(s.finished())), expected["success"])
            self.assertEqual((s.redis("ZCARD", s.key("leased")),
                              s.redis("ZCARD", s.key("scheduled")),
                              s.stat("crashes")), (0, 0, 0))
            errors = set()
            for j in s.redis("ZRANGE", s.key("dead"), 0, 40):
                errors.add(s.job(int(j))["error_log"])
            self.assertLessEqual(errors, {
                "handler exited with status 3 without an answer",
                "timed out after 5 s"})

            def children():
                out = []
                with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                    for c in f.read().split():
                        try:
                            with open("/proc/%s/stat" % c) as f2:
                                out.append(f2.read().rsplit(")", 1)[1]
                                           .split()[0])
                        except OSError:
                            pass
                return out

            wait_for(lambda: len(children()) == 25
                     and "Z" not in children(), 20, "24 and the guard")
            wait_for(lambda: look()[0] <= fds + 8, 10)
            with open("/proc/%d/maps" % w.pid) as f:
                sanitized = "libasan" in f.read()   # keeps what was freed
            if not sanitized:
                self.assertLess(look()[1], rss * 1.3 + 4096)


if __name__ == "__main__":
    unittest.main()
