"""What an idle worker keeps in memory, and libcurl, which is loaded only when
a `url` handler is configured."""

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import unittest

from cli_stack import CliStack
from harness import BUILD, SLOW, memory_kb, source, wait_for

WORKER = os.path.join(BUILD, "taskmq-worker")
IDLE_KB = 6 * 1024              # 4.4 MB on Debian 12
NOOP = {"builtin": "noop"}
RELOADED = "configuration reloaded"
REFUSED = "configuration not reloaded"


def libraries(w):
    with open("/proc/%d/maps" % w.pid) as f:
        return set(re.findall(r"/(lib[^/]*?)\.so\b", f.read()))


def reload(s, w, handlers, word=RELOADED):
    s.write_handlers(handlers)
    n = w.tail(1 << 20).count(word)
    w.signal(signal.SIGHUP)
    wait_for(lambda: w.tail(1 << 20).count(word) > n, 10, word)


class Target(http.server.BaseHTTPRequestHandler):

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b'"done"')

    def log_message(self, *args):
        pass


class Memory(unittest.TestCase):

    def setUp(self):
        if os.environ.get("WRAP_WORKER"):
            self.skipTest("counts the wrapper's memory")

    def target(self):
        """A `url` handler that answers."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
        server.daemon_threads = True
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return {"url": "http://127.0.0.1:%d/" % server.server_port,
                "instances": 1}

    def bounded(self, w, bound):
        if "libasan" not in libraries(w):
            self.assertLess(memory_kb(w.pid), bound)

    def test_idle(self):
        handlers = {"c%d" % i: {"instances": 1} for i in range(4)}
        handlers.update(("b%d" % i, NOOP) for i in range(4))
        with CliStack(handlers=handlers, aof=False) as s:
            w = s.worker()
            for name in handlers:           # all of them are there
                s.wait_done(s.add(name, {"name": name}))
            self.assertNotIn("libcurl", libraries(w))
            self.bounded(w, IDLE_KB)
            self.assertEqual(w.stop(), 0)

    def test_reloads_leave_nothing(self):
        """handlers.toml is read by other threads, whose heaps would stay."""
        handlers = {"h%d" % i: NOOP for i in range(500)}
        with CliStack(handlers=handlers, aof=False) as s:
            w = s.worker()
            reload(s, w, handlers)
            first = memory_kb(w.pid)
            for _ in range(8):
                reload(s, w, handlers)
            self.bounded(w, first + 256)

    def test_url_handler_loads_it(self):
        with CliStack(handlers={"n": NOOP}, aof=False) as s:
            w = s.worker()
            self.assertNotIn("libcurl", libraries(w))
            url = self.target()
            for handlers in ({"n": NOOP, "u": url}, {"n": NOOP}, {"u": url}):
                reload(s, w, handlers)
                self.assertIn("libcurl", libraries(w))
                for name in handlers:
                    done = s.wait_done(s.add(name, {}))
                    self.assertEqual(done["result"],
                                     "done" if name == "u" else None)
            self.assertEqual(w.stop(), 0)
            # and at a start
            w = s.worker()
            self.assertIn("libcurl", libraries(w))
            self.assertEqual(s.wait_done(s.add("u", {}))["result"], "done")
            self.assertEqual(w.stop(), 0)


class Missing(unittest.TestCase):
    """A libcurl that cannot be loaded: told by place, and nothing starts or
    changes."""

    CONF = {"n": NOOP, "u": {"url": "http://127.0.0.1:1/", "instances": 1},
            "v": {"url": "http://127.0.0.1:1/", "instances": 1}}

    def broken(self, s):
        return s.path("libcurl.so.4", b"not a library")

    def says(self, s, why):
        return ["%s:%d: handlers.%s.url: expected libcurl on this machine: %s"
                % (s.toml, line, name, why) for line, name in
                ((4, "u"), (7, "v"))]

    def started(self, s, *args):
        return subprocess.run(
            [WORKER, "--config", s.toml, *args], capture_output=True,
            text=True, timeout=20 * SLOW,
            env=dict(os.environ, LD_LIBRARY_PATH=s.dir,
                     TASKMQ_REDIS_URL=s.url("worker")))

    def test_start_and_check(self):
        with CliStack(handlers=self.CONF, aof=False) as s:
            expected = self.says(s, self.broken(s) + ": file too short")
            for args in (), ("--check",):
                out = self.started(s, *args)
                self.assertEqual((out.returncode, out.stdout), (2, ""))
                self.assertEqual(out.stderr.splitlines(), expected)
            s.write_handlers({"n": NOOP})
            out = self.started(s, "--check")
            self.assertEqual((out.returncode, out.stderr), (0, ""))

    def other(self, s, source):
        """Another libcurl, made of C text."""
        src = s.path("other.c", source.encode())
        subprocess.run(["cc", "-shared", "-fPIC", "-Wl,-soname,libcurl.so.4",
                        "-o", os.path.join(s.dir, "libcurl.so.4"), src],
                       check=True)
        return self.started(s, "--check")

    def test_too_old(self):
        with open(source("curl_load.h")) as f:
            names = re.findall(r"\bF\((\w+)\)", f.read())
        self.assertIn("version_info", names)
        with CliStack(handlers=self.CONF, aof=False) as s:
            out = self.other(s, "int x;")
            self.assertEqual(out.returncode, 2)
            self.assertEqual(out.stderr.splitlines(), self.says(
                s, "libcurl.so.4 is too old or none: it has no curl_"
                + names[0]))
            # one with all functions, of before the options that are used
            text = "".join("void curl_%s(void) { }\n" % name
                           for name in names if name != "version_info")
            text += """
                static struct { int age; const char *version; unsigned num; }
                    info = { 0, "7.86.0", 0x075600 };
                void *curl_version_info(int now) { return &info; }"""
            out = self.other(s, text)
            self.assertEqual(out.returncode, 2)
            self.assertEqual(out.stderr.splitlines(), self.says(
                s, "libcurl.so.4 is too old: 7.86.0, expected 7.87.0 or "
                "later"))
            out = self.other(s, text.replace("0x075600", "0x075700"))
            self.assertEqual((out.returncode, out.stderr), (0, ""))

    def test_reload(self):
        with CliStack(handlers={"n": NOOP}, aof=False) as s:
            w = s.worker(env={"LD_LIBRARY_PATH": s.dir})
            path = self.broken(s)
            reload(s, w, self.CONF, REFUSED)
            wait_for(lambda: w.tail().count(REFUSED) == 2, 10, "both lines")
            for line in self.says(s, path + ": file too short"):
                self.assertIn(line, w.tail())
            s.wait_done(s.add("n", {}))
            waits = s.add("u", {}, retry_policy="none")
            os.unlink(path)
            reload(s, w, self.CONF)
            self.assertIn("onnect", s.wait_status(waits, "FAILED")[
                "error_log"])
            self.assertEqual(w.stop(), 0)


class Linked(unittest.TestCase):

    def test_note_for_packaging(self):
        """It is not linked to; tools that look for dependencies are told."""
        out = subprocess.run(["readelf", "-W", "-d", "-p", ".note.dlopen",
                              WORKER], capture_output=True, text=True,
                             check=True).stdout
        needed = re.findall(r"NEEDED.*\[(.*)\]", out)
        self.assertTrue(needed)
        self.assertNotIn("libcurl.so.4", needed)
        note, = json.loads(re.search(r"(\[{.*}\])", out).group(1))
        self.assertEqual(note["soname"], ["libcurl.so.4"])
        self.assertIn(note["priority"],
                      ("required", "recommended", "suggested"))


if __name__ == "__main__":
    unittest.main()
