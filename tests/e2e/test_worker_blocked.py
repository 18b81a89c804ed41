"""Nothing that takes its time blocks the worker: names that are looked up,
files on a slow disk."""

import http.client
import json
import os
import signal
import time
import unittest

import preload
from cli_stack import CliStack
from harness import BUILD, SLOW, free_port, wait_for


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


class Names(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.preload = preload.build(cls)

    def env(self, s):
        return {"LD_PRELOAD": self.preload, "FAKE_DNS": s.path("looked-up")}

    def test_url_whose_name_is_not_found_in_time(self):
        """Its timeout ends the job, though the look-up goes on: other jobs
        run, leases are kept, and the worker can stop."""
        with CliStack(handlers={"u": {"url": "http://a.slow.test/",
                                      "instances": 1, "timeout": 1},
                                "t": {"instances": 1}},
                      lease=1, aof=False) as s:
            w = s.worker(env=self.env(s))
            s.wait_done(s.add("t", {}))
            job = s.add("u", {}, retry_policy="none")
            wait_for(lambda: size(s.path("looked-up")), 10, "the look-up")
            long = s.add("t", {"sleep": 3})
            failed = s.wait_status(job, "FAILED", 10)
            self.assertEqual(failed["error_log"], "timed out after 1 s")
            done = s.wait_done(long, 10)
            self.assertEqual((done["crashes"], done["retries"]), (0, 0))
            late = s.add("u", {})
            s.run("cancel", "--force", late)
            self.assertEqual(s.wait_done(s.add("t", {"result": 1}), 5)[
                "result"], 1)
            self.assertEqual(w.stop(10), 0)

    def test_name_of_redis(self):
        """The worker answers /healthz meanwhile, and can stop."""
        with CliStack(handlers={"n": {"builtin": "noop"}}, aof=False) as s:
            port = free_port()
            w = s.start("worker", [
                os.path.join(BUILD, "taskmq-worker"), "--config", s.toml,
                "--redis-url", "redis://b.slow.test:6379/0", "--listen",
                "127.0.0.1:%d" % port], env=dict(os.environ, **self.env(s)))
            wait_for(lambda: size(s.path("looked-up")), 10, "the look-up")
            c = http.client.HTTPConnection("127.0.0.1", port,
                                           timeout=5 * SLOW)
            c.request("GET", "/healthz")
            r = c.getresponse()
            self.assertEqual((r.status, json.loads(r.read())["detail"]),
                             (503, "Redis is away: not connected yet"))
            c.close()
            self.assertEqual(w.stop(10), 0)
            self.assertIn("leaving while a name or a file is being looked up",
                          w.tail())


class Processes(unittest.TestCase):

    def test_starting_very_many(self):
        """A thousand processes are started little by little: somebody who
        asks meanwhile has an answer long before the last of them."""
        many = {"command": ["sleep", "600"], "instances": 1000}
        with CliStack(handlers={"t": {"instances": 1}},
                      lease=1, aof=False) as s:
            port = free_port()
            w = s.worker("--listen", "127.0.0.1:%d" % port)
            job = s.add("t", {"sleep": 8})
            slowest = []
            for n in range(3):
                s.write_handlers({"t": {"instances": 1}, "many%d" % n: many})
                slowest.append(self.slowest(s, w, port, "many%d" % n))
                if slowest[-1] < 0.3:
                    break
            print("\n    longest wait of the whole: %r" % slowest)
            self.assertLess(min(slowest), 0.3, slowest)
            done = s.wait_done(job, 20)
            self.assertEqual((done["retries"], done["crashes"]), (0, 0))
            w.kill()            # TERM would wait for those that do not read

    def slowest(self, s, w, port, name):
        """The longest wait for /healthz until all of them are there, as a
        part of the whole."""
        most, idle, began = 0, 0, time.monotonic()
        w.signal(signal.SIGHUP)
        end = time.monotonic() + 30 * SLOW
        while idle < 1000:
            t = time.monotonic()
            self.assertLess(t, end)
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            c.request("GET", "/healthz")
            pools = json.loads(c.getresponse().read())["pools"]
            c.close()
            most = max(most, time.monotonic() - t)
            idle = pools.get(name, {"idle": 0})["idle"]
        return most / (time.monotonic() - began)


class Files(unittest.TestCase):
    """handlers.toml is a FIFO: whoever reads it waits for a writer."""

    def slow_file(self, s):
        os.rename(s.toml, s.path("was.toml"))
        os.mkfifo(s.toml)

    def write(self, s, text):
        def opened():
            try:
                return os.open(s.toml, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:             # nobody reads yet
                return None

        fd = wait_for(opened, 10, "somebody reads the file")
        os.write(fd, text)
        os.close(fd)

    def test_jobs_run_while_the_file_is_read(self):
        with CliStack(handlers={"t": {"instances": 1}},
                      lease=1, aof=False) as s:
            w = s.worker()
            s.wait_done(s.add("t", {}))
            self.slow_file(s)
            w.signal(signal.SIGHUP)
            done = s.wait_done(s.add("t", {"sleep": 2}), 10)
            self.assertEqual(done["crashes"], 0)
            # and the worker can stop: nobody ever writes
            self.assertEqual(w.stop(10), 0)

    def test_signal_while_the_file_is_read_is_not_lost(self):
        """The file may have changed after it was read: it is read again."""
        with CliStack(handlers={"t": {"instances": 1}}, aof=False) as s:
            w = s.worker()
            self.slow_file(s)
            for n in (1, 2):
                w.signal(signal.SIGHUP)
                wait_for(lambda: w.tail(20000).count("signal=Hangup") == n,
                         10)
            for n, name in ((1, "a"), (2, "b")):
                self.write(s, b'[handlers.%s]\nbuiltin = "noop"\n'
                           % name.encode())
                wait_for(lambda: w.tail(20000).count("configuration reloaded")
                         == n, 10)
            s.wait_done(s.add("b", {}))


if __name__ == "__main__":
    unittest.main()
