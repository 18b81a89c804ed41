"""Handlers that are no plain program: HTTP targets, shared objects,
containers; and what bounds a child: memory, user."""

import base64
import email.utils
import gzip
import http.server
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

from cli_stack import CliStack, gone
from harness import BUILD, ROOT, SLOW, wait_for

ODD = [sys.executable, os.path.join(ROOT, "tests", "e2e", "odd_handler.py")]


class Target(http.server.BaseHTTPRequestHandler):
    """Does what the payload says; keeps what it saw."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        data = json.loads(body)
        self.server.seen.append((self.path, dict(self.headers), body,
                                 self.client_address[1], time.time()))
        time.sleep(data.get("sleep", 0))
        status, text = data.get("status", 200), data.get("body", "")
        if data.get("until", 1 << 30) < len([
                s for s in self.server.seen if s[2] == body]):
            status, text = 200, '"late"'
        if self.path == "/moved":
            status, text = 200, '"moved"'
        raw = text.encode() * data.get("times", 1)
        if "pack" in data:
            raw = {"gzip": gzip.compress, "deflate": zlib.compress,
                   "none": bytes}[data["pack"]](raw)
        self.send_response(status)
        for name, value in data.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):

    def handle_error(self, request, client_address):
        """A client that went away is what some of these tests are about."""


class Url(unittest.TestCase):

    @classmethod
    def start_server(cls):
        server = Server(("127.0.0.1", 0), Target)
        server.daemon_threads = True
        server.seen = []
        server.base = "http://127.0.0.1:%d" % server.server_address[1]
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @classmethod
    def setUpClass(cls):
        cls.server, cls.other = cls.start_server(), cls.start_server()
        cls.base = cls.server.base
        cls.s = CliStack(handlers={
            "u": {"url": cls.base + "/run?x=1", "instances": 4, "timeout": 2},
            "auth": {"url": cls.base.replace(
                "//", "//us%40er:s3cr%2fet@") + "/run", "instances": 1},
            "nowhere": {"url": "http://127.0.0.1:1/", "instances": 1},
        }, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker("--concurrency", 6)
        cls.s.run("config", "set", "retry_wait_ms", "200")

    def setUp(self):
        del self.server.seen[:]

    def done(self, **data):
        return self.s.wait_done(self.s.add("u", data))["result"]

    def failed(self, retry_policy="none", **data):
        job = self.s.wait_status(self.s.add("u", data, retry_policy=(
            retry_policy)), "FAILED")
        return job["error_log"]

    def test_payload_and_headers(self):
        payload = '{"n":12345678901234567890123, "x":1.10}'
        job = self.s.add("u", payload)
        self.s.wait_done(job)
        (path, headers, body, _, _), = self.server.seen
        self.assertEqual((path, body), ("/run?x=1", payload.encode()))
        self.assertEqual(headers["TaskMQ-Job-Id"], str(job))
        self.assertEqual(headers["TaskMQ-Handler"], "u")
        self.assertEqual(headers["TaskMQ-Attempt"], "1")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertRegex(headers["TaskMQ-Task-Id"],
                         "^[0-9a-f]{8}-[0-9a-f]{4}-8")
        self.assertEqual(headers["Idempotency-Key"],
                         headers["TaskMQ-Task-Id"])

    def test_results(self):
        self.assertEqual(self.done(body='{"a": 1.10}'), {"a": 1.1})
        self.assertIsNone(self.done(body=""))
        self.assertIsNone(self.done(status=204))
        self.assertEqual(self.done(body="fine\n"), "fine\n")
        self.assertEqual(self.done(status=201, body="7"), 7)
        # what JSON allows is that value, byte for byte, and no text
        for body in (r'{"a":"x\u0000y"}', r'{"a":"\ud800","a":[1.10]}',
                     r'"\udfff"'):
            job = self.s.add("u", {"body": body})
            self.s.wait_done(job)
            self.assertIn('"result":' + body,
                          self.s.run("--json", "get-job", job).decode())

    def test_encodings_that_were_not_asked_for(self):
        body = '{"a":"' + "é" * 5000 + '"}'
        for pack, name in (("gzip", "gzip"), ("gzip", "x-gzip"),
                           ("deflate", "deflate"), ("none", "identity"),
                           ("none", "")):
            self.assertEqual(self.done(body=body, pack=pack, headers={
                "Content-Encoding": name}), json.loads(body), name)
        self.assertEqual(self.server.seen[-1][1]["Accept-Encoding"],
                         "identity")
        # the work is done: not again
        for pack, name in (("none", "gzip"), ("none", "zopfli"),
                           ("gzip", "gzip, zopfli")):
            del self.server.seen[:]
            error = self.failed("fixed", body=body, pack=pack, headers={
                "Content-Encoding": name})
            self.assertIn("a Content-Encoding that cannot be read: ", error)
            self.assertEqual(len(self.server.seen), 1)
        # unpacked it must not be longer, either
        self.assertIn("more than 1114112 bytes", self.failed(
            "fixed", body="x" * 1000, times=2000, pack="gzip", headers={
                "Content-Encoding": "gzip"}))
        # of an error the status counts
        self.assertEqual(self.failed(status=404, body="gone", pack="gzip",
                                     headers={"Content-Encoding": "gzip"}),
                         "HTTP status 404: gone")
        job = self.s.wait_status(self.s.add("u", {
            "status": 503, "body": "busy", "headers": {
                "Content-Encoding": "gzip"}}, max_retries=1), "FAILED")
        self.assertEqual((job["error_log"], job["retries"]),
                         ("HTTP status 503", 2))

    def test_a_name_and_password_in_the_url(self):
        """Sent, and neither shown nor logged."""
        def run(**data):
            return self.s.add("auth", data, retry_policy="none")

        basic = "Basic " + base64.b64encode(b"us@er:s3cr/et").decode()
        job = self.s.wait_done(run(status=307, headers={
            "Location": "/moved"}))
        self.assertEqual(job["result"], "moved")
        self.assertEqual([s[1]["Authorization"] for s in self.server.seen],
                         [basic] * 2)
        self.s.wait_done(run(status=307, headers={"Location": (
            self.base + "/moved").replace("//", "//x:y@")}))
        self.assertEqual(self.server.seen[-1][1]["Authorization"], basic)
        errors = []
        for status, to, says in (
                (302, "/else?w=1", self.base + "/else?w=1"),
                (302, "http://o:p%20q@example.org/", "http://example.org/"),
                (307, "http://o:pq@127.0.0.1:1/", "http://127.0.0.1:1/"),
                (302, "", "no Location that is a URL"),
                (400, "", "HTTP status 400")):
            job = self.s.wait_status(run(status=status, headers={
                "Location": to} if to else {}), "FAILED")
            self.assertIn(says, job["error_log"])
            errors.append(job["error_log"])
        for text in errors + [self.w.tail(1000000)]:
            for secret in ("s3cr", "us%40er", "us@er", "o:p", "p%20q"):
                self.assertNotIn(secret, text)

    def test_connection_is_kept(self):
        for _ in range(5):
            self.done()
        self.assertEqual(len({s[3] for s in self.server.seen}), 1)

    def test_4xx_is_permanent(self):
        error = self.failed("fixed", status=404, body="no such thing")
        self.assertEqual(error, "HTTP status 404: no such thing")
        self.assertEqual(len(self.server.seen), 1)

    def test_5xx_is_retried_with_the_same_key(self):
        job = self.s.add("u", {"status": 500, "until": 2})
        done = self.s.wait_done(job)
        self.assertEqual((done["result"], done["retries"]), ("late", 2))
        self.assertEqual(len({s[1]["Idempotency-Key"]
                              for s in self.server.seen}), 1)
        self.assertEqual([s[1]["TaskMQ-Attempt"] for s in self.server.seen],
                         ["1", "2", "3"])

    def test_retry_after(self):
        for status in (429, 503):
            del self.server.seen[:]
            job = self.s.add("u", {"status": status, "until": 1,
                                   "headers": {"Retry-After": "2"}})
            self.s.wait_done(job)
            a, b = [s[4] for s in self.server.seen]
            self.assertGreaterEqual(b - a, 1.95)
            self.assertLess(b - a, 2 + 0.5 * SLOW)

    def test_retry_after_as_a_date(self):
        """The other form. The usual wait here is 0.2 s."""
        at = time.time() + 4            # dates have whole seconds
        job = self.s.add("u", {"status": 503, "until": 1, "headers": {
            "Retry-After": email.utils.formatdate(at, usegmt=True)}})
        self.s.wait_done(job, 15)
        a, b = [s[4] for s in self.server.seen]
        self.assertGreaterEqual(b, int(at) - 0.05)
        self.assertLess(b, at + 1 * SLOW)
        # one that is over, and one that is none
        for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "soon"):
            del self.server.seen[:]
            job = self.s.add("u", {"status": 429, "until": 1,
                                   "headers": {"Retry-After": text}})
            self.s.wait_done(job)
            a, b = [s[4] for s in self.server.seen]
            self.assertLess(b - a, 1 * SLOW, text)

    def test_timeout_is_retried(self):
        job = self.s.add("u", {"sleep": 3, "until": 0}, max_retries=1)
        failed = self.s.wait_status(job, "FAILED", 15)
        self.assertEqual(failed["error_log"], "timed out after 2 s")
        self.assertEqual(failed["retries"], 2)
        self.done()

    def test_refused_connection_is_retried(self):
        job = self.s.add("nowhere", {}, max_retries=1)
        failed = self.s.wait_status(job, "FAILED")
        self.assertIn("Failed to connect", failed["error_log"])
        self.assertEqual(failed["retries"], 2)

    def test_redirects(self):
        self.assertEqual(self.done(status=307, headers={
            "Location": self.base + "/moved"}), "moved")
        self.assertEqual(self.server.seen[-1][2], self.server.seen[-2][2])
        for status, to in ((307, "http://localhost:%d/moved"
                            % self.server.server_address[1]),
                           (308, "https://example.org/"),
                           (307, self.other.base + "/moved"),
                           (302, self.base + "/moved"),
                           (308, self.base + "/run?x=1")):
            error = self.failed("fixed", status=status,
                                headers={"Location": to})
            self.assertIn("HTTP status %d, not followed: " % status, error)
        self.assertEqual(self.other.seen, [])

    def test_answer_over_the_limit(self):
        error = self.failed("fixed", body="x" * 1000, times=1200)
        self.assertIn("more than 1114112 bytes", error)
        error = self.failed("fixed", body='"%s"' % ("x" * (1 << 20)))
        self.assertIn("the limit is 1048576", error)

    def test_cancel(self):
        job = self.s.add("u", {"sleep": 1.5})
        wait_for(lambda: self.server.seen, 5)
        self.s.run("cancel", "--force", job)
        wait_for(lambda: "job cancelled" in self.w.tail(), 5)
        self.done()
        self.assertEqual(self.s.job(job)["status"], "CANCELLED")


class Library(unittest.TestCase):
    SOURCE = r"""
        #include "taskmq_handler.h"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int taskmq_handle(const char *task, size_t len, char **out) {
            if (strlen(task) != len || task[len - 1] != '}') return -1;
            if (strstr(task, "crash")) abort();
            if (strstr(task, "later")) { *out = strdup("later"); return 1; }
            if (strstr(task, "never")) { *out = strdup("never"); return -1; }
            if (strstr(task, "junk")) { *out = strdup("{junk"); return 0; }
            if (strstr(task, "null")) return 0;
            if (strstr(task, "any")) {
                *out = strdup("{\"a\":\"\\u0000\",\"a\":\"\\ud800\"}");
                return 0;
            }
            printf("{\"status\":\"success\",\"result\":\"wrong\"}\n");
            asprintf(out, "{\"pid\":\n%d}", (int) getpid());
            return 0;
        }
    """

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.dir.cleanup)
        so = os.path.join(cls.dir.name, "x.so")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-I",
                        os.path.join(ROOT, "clients/c"), "-x", "c", "-",
                        "-o", so], input=cls.SOURCE.encode(), check=True)
        count = os.path.join(cls.dir.name, "w.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", count, os.path.join(
            ROOT, "clients/c/wordcount.c")], check=True)
        cls.s = CliStack(handlers={
            "lib": {"library": so, "instances": 1},
            "count": {"library": count, "instances": 1},
            "none": {"library": "/no/such.so", "instances": 1},
        }, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker()

    def add(self, word, **kw):
        return self.s.add("lib", {"word": word}, **kw)

    def test_results(self):
        first = self.s.wait_done(self.add("x"))
        again = self.s.wait_done(self.add("x"))
        self.assertEqual(first["result"], again["result"])
        self.assertIsNone(self.s.wait_done(self.add("null"))["result"])
        job = self.add("any")
        self.s.wait_done(job)
        self.assertIn(r'"result":{"a":"\u0000","a":"\ud800"}',
                      self.s.run("--json", "get-job", job).decode())

    def test_what_it_prints_is_the_log(self):
        job = self.add("x")
        self.s.wait_done(job)
        self.assertIn("wrong", self.s.log(job))

    def test_errors(self):
        for word, error, retries in (("never", "never", 0),
                                     ("later", "later", 1),
                                     ("junk", "the library's result cannot "
                                      "be read: expected a key in double "
                                      "quotes at byte 1", 0)):
            job = self.s.wait_status(self.add(
                word, retry_policy="none"), "FAILED")
            self.assertEqual(job["error_log"], error)

    def test_crash_is_only_its_jobs(self):
        job = self.s.wait_status(self.add(
            "crash", retry_policy="none"), "FAILED")
        self.assertIn("killed by signal 6 (Aborted)", job["error_log"])
        self.s.wait_done(self.add("x"))
        self.assertTrue(self.w.alive())

    def test_example(self):
        job = self.s.add("count", {"text": "a bc  d"})
        self.assertEqual(self.s.wait_done(job)["result"], {"words": 3})

    def test_missing_library_keeps_its_jobs(self):
        job = self.s.add("none", {})
        wait_for(lambda: "/no/such.so: cannot open" in self.w.tail(100000),
                 10)
        self.assertNotEqual(self.s.job(job)["status"], "FAILED")


class Bounds(unittest.TestCase):

    def test_memory_limit(self):
        eat = ("import sys, json\n"
               "for line in sys.stdin:\n"
               "    n = json.loads(line)['task_data']['mb']\n"
               "    x = bytearray(n << 20)\n"
               "    print('{\"status\":\"success\",\"result\":%d}' % len(x),"
               " flush=True)\n")
        with CliStack(handlers={"eat": {
                "command": [sys.executable, "-c", eat], "instances": 1,
                "memory_limit": "256m"}}, aof=False) as s:
            w = s.worker()
            self.assertEqual(s.wait_done(s.add("eat", {"mb": 50}))["result"],
                             50 << 20)
            job = s.add("eat", {"mb": 400}, retry_policy="none")
            s.wait_status(job, "FAILED")
            # which one depends on the machine; the log says it
            line = re.search("memory limit handler=eat bytes=268435456 by="
                             "(\"cgroup v2\"|RLIMIT_AS because=.*)",
                             w.tail(20000))
            self.assertTrue(line, w.tail(20000))
            print("\n    memory limit by " + line.group(1))
            if "RLIMIT" in line.group(1):
                self.assertIn("MemoryError", s.log(job))
            else:
                self.assertIn("for its memory_limit", s.job(job)["error_log"])
            s.wait_done(s.add("eat", {"mb": 1}))

    @unittest.skipIf(os.getuid() != 0, "needs root to become another user")
    def test_user(self):
        nobody = pwd.getpwnam("nobody")
        look = ("import sys, os, json\n"
                "for line in sys.stdin:\n"
                "    with open('/proc/self/status') as f:\n"
                "        caps = [x.split()[1] for x in f"
                " if x.startswith('CapEff')][0]\n"
                "    print(json.dumps({'status': 'success', 'result': [\n"
                "        os.getuid(), os.geteuid(), os.getgid(),"
                " os.getgroups(),\n"
                "        os.environ['HOME'], os.environ['USER'], caps]}),"
                " flush=True)\n")
        with CliStack(handlers={"who": {
                "command": ["/usr/bin/python3", "-c", look], "user": "nobody",
                "instances": 1}}, aof=False) as s:
            w = s.worker()
            self.assertEqual(
                s.wait_done(s.add("who", {}))["result"],
                [nobody.pw_uid, nobody.pw_uid, nobody.pw_gid,
                 [nobody.pw_gid], nobody.pw_dir, "nobody", "0" * 16])
            # still tied to the worker
            with open("/proc/%d/task/%d/children" % (w.pid, w.pid)) as f:
                children = [int(c) for c in f.read().split()]
            w.kill()
            for c in children:
                wait_for(lambda c=c: gone(c), 5, "child %d ends" % c)

    def test_unknown_user(self):
        with CliStack(handlers={"x": {"command": ["true"],
                                      "user": "no-such-user"}}) as s:
            w = s.worker(wait=False)
            self.assertEqual(w.wait(), 2)
            self.assertIn("x.user: there is no such user", w.tail())

    def test_keys_that_mean_nothing(self):
        for conf, key in (({"builtin": "noop", "memory_limit": "1m"},
                           "memory_limit"),
                          ({"url": "http://a/", "env": {"A": "b"}}, "env"),
                          ({"command": ["a"], "runtime": "docker"},
                           "runtime")):
            with CliStack(handlers={"x": conf}) as s:
                w = s.worker(wait=False)
                self.assertEqual(w.wait(), 2)
                self.assertIn("x.%s: not for this kind" % key, w.tail())


# ---- containers ----

# what was seen to work with Debian's podman, runc and hybrid cgroups
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]
ULIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
           "--network=none"]
IN_CONTAINER = r"""
while read -r line; do
    case $line in
    *do-sleep*) sleep 100 ;;
    *do-stubborn*) trap '' TERM; sleep 100; sleep 100; sleep 100 ;;
    *do-env*) echo "{\"status\":\"success\",\"result\":\"$MINE,$PATH\"}" ;;
    *do-id*) echo "{\"status\":\"success\",\"result\":$(id -u)}" ;;
    *do-mem*)
        x=$(head -c 100000000 /dev/zero | tr '\0' x)
        test "${#x}" = 100000000 || exit 9
        echo '{"status":"success"}' ;;
    *do-note*)
        # the runtime carries stdout and stderr apart: one may overtake
        echo "note" >&2; sleep 1; echo '{"status":"success"}' ;;
    *) echo "{\"status\":\"success\",\"result\":$line}" ;;
    esac
done
"""

FAKE = r"""#!/bin/sh
# a runtime that runs nothing in a container: keeps its arguments
echo "$*" >> %(dir)s/calls
case $1 in
run) while read -r line; do echo '{"status":"success"}'; done ;;
ps) cat %(dir)s/containers 2> /dev/null ;;
rm) shift 2; for n; do sed -i "/^$n$/d" %(dir)s/containers; done ;;
esac
exit 0
"""


class FakeRuntime(unittest.TestCase):
    """The arguments, and the environment."""

    def test_arguments(self):
        with CliStack(handlers={}, aof=False) as s:
            runtime = s.path("runtime", (FAKE % {"dir": s.dir}).encode())
            os.chmod(runtime, 0o755)
            s.write_handlers({"c": {
                "image": "registry/x:1", "runtime": runtime,
                "runtime_args": ["--network=none", "-v", "/a:/b"],
                "instances": 1, "memory_limit": "64m", "user": "app",
                "workdir": "/srv", "env": {"A": "b c", "PATH": "/x"}}})
            s.worker()
            s.wait_done(s.add("c", {}))
            with open(s.path("calls")) as f:
                run = [c for c in f.read().splitlines()
                       if c.startswith("run ")][0]
            self.assertRegex(run, re.compile(
                r"^run -i --rm --init --name taskmq(-[0-9a-f]{8}){3}"
                r"-\d+-\d+-\d+ --stop-timeout 5 --memory 67108864 --user app "
                r"--workdir /srv -e A -e PATH=/x --network=none -v /a:/b "
                r"registry/x:1$"))

    def test_environment_of_the_runtime(self):
        """A container's PATH and HOME are not those of the program that runs
        it (docker, unless another is named), which is found in the worker's
        PATH."""
        with CliStack(handlers={}, aof=False) as s:
            os.mkdir(s.path("bin"))
            s.path("bin/docker", b"#!/bin/sh\necho \"$PATH $HOME\" > "
                   + s.path("saw").encode() + b"\n"
                   + (FAKE % {"dir": s.dir}).encode())
            os.chmod(s.path("bin/docker"), 0o755)
            s.write_handlers({"c": {
                "image": "x", "instances": 1,
                "env": {"PATH": "/x", "HOME": "/y"}}})
            path = s.path("bin") + ":" + os.environ["PATH"]
            s.worker(env={"PATH": path, "HOME": "/z"})
            s.wait_done(s.add("c", {}))
            with open(s.path("saw")) as f:
                self.assertEqual(f.read(), path + " /z\n")


def import_image(name):
    """An image of busybox alone."""
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(os.path.join(d, "bin"))
        subprocess.run(["cp", "/bin/busybox", os.path.join(d, "bin")],
                       check=True)
        for n in ("sh", "sleep", "echo", "id", "head", "tr", "test"):
            os.symlink("busybox", os.path.join(d, "bin", n))
        with open(os.path.join(d, "handler"), "w") as f:
            f.write(IN_CONTAINER)
        tar = subprocess.run(["tar", "-C", d, "-c", "."], check=True,
                             stdout=subprocess.PIPE).stdout
    subprocess.run(["podman", "import", "-c", 'CMD ["/bin/sh","/handler"]',
                    "-", name], input=tar, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Podman(unittest.TestCase):
    """The real thing: Debian's podman with runc."""
    IMAGE = "taskmq-test-%d" % os.getpid()

    @classmethod
    def setUpClass(cls):
        for program in ("podman", "runc", "/bin/busybox"):
            if subprocess.run(["which", program],
                              stdout=subprocess.DEVNULL).returncode:
                raise unittest.SkipTest("%s is not installed" % program)
        import_image(cls.IMAGE)
        cls.addClassCleanup(subprocess.run, ["podman", "rmi", "-f",
                                             cls.IMAGE],
                            stdout=subprocess.DEVNULL)

    def conf(self, **more):
        return dict({"image": self.IMAGE, "runtime": PODMAN, "instances": 1,
                     "runtime_args": ULIMITS}, **more)

    def containers(self):
        out = subprocess.run(
            ["podman", "ps", "-a", "-q", "--filter",
             "name=taskmq-"], check=True, stdout=subprocess.PIPE)
        return out.stdout.split()

    def test_jobs(self):
        with CliStack(handlers={"c": self.conf(env={"MINE": "yes"},
                                               user="65534",
                                               memory_limit="64m"),
                                "short": self.conf(timeout=1)},
                      aof=False) as s:
            # podman leaves a file "oom" where it was started
            w = s.start("worker", [
                "env", "-C", s.dir, os.path.join(BUILD, "taskmq-worker"),
                "--config", s.toml, "--redis-url", "unix:" + s.sock])
            job = s.wait_done(s.add("c", {"x": 1}), 30)
            self.assertEqual(job["result"]["task_data"], {"x": 1})
            job = s.wait_done(s.add("c", {"do": "do-note"}))
            self.assertEqual(s.log(job["id"]), "note\n")
            env = s.wait_done(s.add("c", {"do": "do-env"}))["result"]
            self.assertTrue(env.startswith("yes,/"), env)
            self.assertEqual(s.wait_done(s.add("c", {"do": "do-id"}))["result"],
                             65534)
            # the memory limit kills what is inside, and the job says so
            job = s.add("c", {"do": "do-mem"}, retry_policy="none")
            failed = s.wait_status(job, "FAILED", 30)
            self.assertRegex(failed["error_log"], "^handler exited with "
                             "status (9|137) without an answer$")
            s.wait_done(s.add("c", {}), 30)
            # a timeout: TERM, and for the stubborn one KILL by the runtime
            for do, most in (("do-sleep", 10), ("do-stubborn", 20)):
                job = s.add("short", {"do": do}, retry_policy="none")
                failed = s.wait_status(job, "FAILED", most)
                self.assertIn("timed out after 1 s", failed["error_log"])
                s.wait_done(s.add("short", {}), 30)
            self.assertEqual(w.stop(30), 0)
            wait_for(lambda: not self.containers(), 15, "no container stays")

    def test_left_behind_by_kill_9(self):
        with CliStack(handlers={"c": self.conf()}, lease=1, aof=False) as s:
            w = s.worker()
            s.add("c", {"do": "do-sleep"})
            wait_for(lambda: s.redis("ZCARD", s.key("leased")) == 1
                     and self.containers(), 30)
            old = self.containers()
            w.kill()
            w = s.worker()
            wait_for(lambda: not set(old) & set(self.containers()), 30,
                     "the old container is removed")
            w.signal(signal.SIGTERM)
            wait_for(lambda: "draining" in w.tail(), 5)
            w.stop(30)
            wait_for(lambda: not self.containers(), 15)


if __name__ == "__main__":
    unittest.main()
