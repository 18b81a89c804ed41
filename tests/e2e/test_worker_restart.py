"""`taskmq restart HANDLER`: changed code, one process after the other."""

import json
import os
import sys
import threading
import unittest
import urllib.request

from cli_stack import CliStack
from harness import free_port, wait_for

CODE = '''
import json, os, sys, time
for line in sys.stdin:
    task = json.loads(line)
    time.sleep(task["task_data"].get("sleep", 0))
    print(json.dumps({"task_id": task["task_id"], "status": "success",
                      "result": [%r, os.getpid()]}), flush=True)
'''


class Restart(unittest.TestCase):

    def start(self, *args, n=3, **more):
        s = CliStack(lease=1, aof=False)
        self.addCleanup(s.close)
        self.code = s.path("code.py", (CODE % "one").encode())
        one = dict({"command": [sys.executable, self.code], "instances": n},
                   **more)
        s.write_handlers({"h": one, "other": one})
        return s, s.worker(*args)

    def change(self, text):
        with open(self.code + ".new", "w") as f:
            f.write(text)
        os.rename(self.code + ".new", self.code)

    def restart(self, s, name="h"):
        out = s.cli("restart", name)
        self.assertEqual(out.returncode, 0, out)
        return out.stdout.decode()

    def look(self, s, handler="h", jobs=12):
        """{version}, {pid} of those that answer jobs."""
        ids = [s.add(handler, {"sleep": 0.02}) for _ in range(jobs)]
        got = [s.wait_done(i, 20) for i in ids]
        self.assertEqual({j["retries"] for j in got}, {0})
        return ({j["result"][0] for j in got}, {j["result"][1] for j in got})

    def replaced(self, w, times=1):
        wait_for(lambda: w.tail(1 << 20).count("processes were replaced")
                 >= times, 20, "replaced")

    def test_changed_code(self):
        """With jobs all the while: none is lost, late or run twice."""
        s, w = self.start()
        _, other = self.look(s, "other")
        version, before = self.look(s)
        self.assertEqual(version, {"one"})
        long = s.add("h", {"sleep": 2})
        s.wait_status(long, "RUNNING")
        self.change(CODE % "two")

        # HUP looks at handlers.toml, which did not change
        w.signal(1)
        wait_for(lambda: "configuration reloaded" in w.tail(1 << 20), 10)
        self.assertEqual(self.look(s)[0], {"one"})

        ids, end = [], threading.Event()

        def load():
            while not end.wait(0.01):
                ids.append(s.add("h", {"sleep": 0.005}))

        t = threading.Thread(target=load)
        t.start()
        try:
            self.assertIn("seen in the last minute: 1)", self.restart(s))
            self.replaced(w)
        finally:
            end.set()
            t.join()
        self.assertEqual(s.wait_done(long)["result"][0], "one")
        for i in ids:
            self.assertEqual(s.wait_done(i)["retries"], 0)
        version, after = self.look(s)
        self.assertEqual((version, before & after), ({"two"}, set()))
        _, now = self.look(s, "other")
        self.assertLessEqual(now, other | now)
        self.assertTrue(now & other)
        self.assertNotIn("cannot start", w.tail(1 << 20))
        self.assertEqual(w.tail(1 << 20).count("are replaced"), 1)

        # … and again
        self.change(CODE % "three")
        self.restart(s)
        self.replaced(w, 2)
        self.assertEqual(self.look(s)[0], {"three"})
        self.assertEqual(w.stop(), 0)

    def test_two_workers_and_a_third_later(self):
        s, w = self.start()
        w2 = s.worker()
        self.change(CODE % "two")
        self.restart(s)
        for each in (w, w2):
            self.replaced(each)
        wait_for(lambda: int(s.redis("TIME")[0]) > int(s.redis(
            "HGET", s.key("config"), "restart:h")), 5)
        w3 = s.worker()
        self.assertEqual(self.look(s, jobs=40)[0], {"two"})
        self.assertNotIn("are replaced", w3.tail(1 << 20))
        self.assertNotIn("restart", json.loads(
            s.cli("--json", "config").stdout))

    def test_broken_code(self):
        """The first that cannot run is the last that is tried: the others
        go on, and are replaced when it is mended."""
        s, w = self.start()
        _, before = self.look(s)
        self.change("raise SystemExit(3)\n")
        self.restart(s)
        wait_for(lambda: "cannot start" in w.tail(1 << 20), 10)
        for _ in range(3):
            version, now = self.look(s)
            self.assertEqual((version, now - before), ({"one"}, set()))
            self.assertGreaterEqual(len(now), 2)
        self.change(CODE % "two")
        wait_for(lambda: self.look(s)[0] == {"two"}, 60)
        self.replaced(w)

    def test_broken_code_without_a_job(self):
        """Nothing but time tells that the mended code runs."""
        port = free_port()
        s, w = self.start("--listen", "127.0.0.1:%d" % port)
        self.look(s)
        self.change("raise SystemExit(3)\n")
        self.restart(s)
        wait_for(lambda: w.tail(1 << 20).count("cannot start") >= 3, 10)
        log = w.tail(1 << 20)
        self.assertIn("a process of this handler cannot start, the others go "
                      "on handler=h", log)
        self.assertNotIn("jobs wait", log)
        self.assertIn("failing", self.pool(port))
        self.change(CODE % "two")
        self.replaced(w)
        self.assertIn("handler works again", w.tail(1 << 20))
        self.assertEqual(self.pool(port), {"active": 0, "idle": 3})
        self.assertEqual(self.look(s)[0], {"two"})

    def pool(self, port):
        with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % port,
                                    timeout=20) as answer:
            return json.load(answer)["pools"]["h"]

    def test_a_file_that_cannot_be_executed(self):
        """No process is lost for it, and no job is needed to go on."""
        s, w = self.start()
        self.change("#!%s\n%s" % (sys.executable, CODE % "one"))
        os.chmod(self.code, 0o755)
        s.write_handlers({"h": {"command": [self.code], "instances": 3}})
        w.signal(1)
        wait_for(lambda: "configuration reloaded" in w.tail(1 << 20), 10)
        _, before = self.look(s)
        os.chmod(self.code, 0o644)
        self.restart(s)
        wait_for(lambda: w.tail(1 << 20).count("Permission denied") >= 4, 10)
        self.assertEqual(self.look(s), ({"one"}, before))
        self.assertNotIn("jobs wait", w.tail(1 << 20))
        os.chmod(self.code, 0o755)
        self.replaced(w)
        self.assertFalse(before & self.look(s)[1])

    def test_code_that_dies_slowly(self):
        """It lives for a second, which the one before it did, too: that is no
        success. Tries come with growing pauses, and the old ones go on."""
        s, w = self.start(n=2)
        self.change("import time; time.sleep(0.7)\n")
        self.restart(s)
        wait_for(lambda: w.tail(1 << 20).count("cannot start") >= 1, 10)
        self.change("import time; time.sleep(1.1)\n")
        wait_for(lambda: "retry_in_ms=1600" in w.tail(1 << 20), 30)
        self.assertNotIn("works again", w.tail(1 << 20))
        self.change(CODE % "two")
        self.replaced(w)
        self.assertEqual(self.look(s)[0], {"two"})

    def test_wrong_names(self):
        s, w = self.start()
        for args in ((), ("a b",), ("h", "other"), ("",)):
            self.assertEqual(s.cli("restart", *args).returncode, 2)
        out = json.loads(s.cli("--json", "restart", "h").stdout)
        self.assertEqual(out, {"handler": "h", "workers": 1})

    def test_a_url(self):
        """It has no processes; the workers say what kind it is."""
        s = CliStack(aof=False, handlers={"u": {"url": "http://127.0.0.1:1/"}})
        self.addCleanup(s.close)
        s.worker()
        out = s.cli("restart", "u")
        self.assertEqual((out.returncode, out.stderr.decode()), (
            0, "taskmq restart: \"u\" is a url handler: it has no processes "
               "to replace\n"))
        self.assertEqual(out.stdout, b"")
        out = s.cli("--json", "restart", "u")
        self.assertEqual((json.loads(out.stdout), out.stderr),
                         ({"handler": "u", "workers": 0}, b""))

    def test_a_handler_that_no_worker_serves(self):
        """Most likely the name is wrong: it says so, as add-job does."""
        s, w = self.start()
        for name in ("nobody", "H", "othe", "pools", "active", "running"):
            with self.subTest(name=name):
                out = s.cli("restart", name)
                self.assertEqual((out.returncode, out.stderr.decode()),
                                 (0, "taskmq restart: no worker serves "
                                     "\"%s\" now\n" % name))
                self.assertIn(b"minute: 0)", out.stdout)
                out = s.cli("--json", "restart", name)
                self.assertEqual((json.loads(out.stdout), out.stderr),
                                 ({"handler": name, "workers": 0}, b""))
        self.assertEqual(s.cli("restart", "h").stderr, b"")


if __name__ == "__main__":
    unittest.main()
