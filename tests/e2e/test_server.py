"""script/server: what it prints works when pasted, Ctrl-C ends everything it
started, the data stays, and what is in its way is said."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT, SLOW, free_port, wait_for


class Server(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="taskmq-server-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.run_dir = os.path.join(self.dir, "run")
        self.log = os.path.join(self.dir, "log")
        self.port = free_port()

    def start(self, port=None):
        with open(self.log, "wb") as out:
            p = subprocess.Popen(
                [os.path.join(ROOT, "script", "server")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=dict(os.environ, BUILD=BUILD, RUN=self.run_dir,
                         PORT=str(port or self.port),
                         DAEMON_PORT=str(free_port())))

        def end():
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                p.wait(60 * SLOW)

        self.addCleanup(end)
        return p

    def output(self):
        with open(self.log) as f:
            return f.read()

    def started(self, p):
        def there():
            self.assertIsNone(p.poll(), self.output())
            return "TaskMQ runs" in self.output() \
                and "machine\nonly" in self.output()

        wait_for(there, 120, "script/server has started")
        return self.output()

    def ours(self):
        """Processes whose command line names our folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode("utf-8", "?")
            except OSError:
                continue
            if self.dir in line:
                found.append(line)
        return found

    def paste(self, text):
        """Runs the curl command in the text."""
        command = re.search(r"(?ms)^(curl -X POST .*?\}')$", text).group(1)
        out = subprocess.run(["sh", "-c", command], capture_output=True,
                             timeout=30 * SLOW)
        return json.loads(out.stdout)["job_id"]

    def test_run_paste_interrupt_again(self):
        p = self.start()
        text = self.started(p)
        self.assertIn('"status":"SUCCESS"', text)
        job = self.paste(text)
        self.assertEqual(job, 2)
        self.assertTrue(self.ours())

        stats = re.search(r"(?m)^(TASKMQ_REDIS_URL=.* stats)$", text).group(1)
        out = subprocess.run(["sh", "-c", stats], capture_output=True,
                             text=True, cwd=ROOT)
        self.assertIn("1 worker", out.stdout, out)

        # as in a terminal: Ctrl-C reaches the script
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(60 * SLOW), 130, self.output())
        self.assertEqual(self.ours(), [])
        mode = os.stat(os.path.join(self.run_dir, "jwt.secret")).st_mode
        self.assertEqual(mode & 0o777, 0o600)

        # the jobs are still there, the ids go on
        p = self.start()
        self.assertEqual(self.paste(self.started(p)), 4)

        # a second one in the same folder is told so
        second = subprocess.run(
            [os.path.join(ROOT, "script", "server")], capture_output=True,
            text=True, env=dict(os.environ, BUILD=BUILD, RUN=self.run_dir,
                                PORT=str(free_port())))
        self.assertEqual(second.returncode, 1)
        self.assertIn("another script/server", second.stderr)

        # should it be killed, nothing is left behind
        p.kill()
        p.wait()
        wait_for(lambda: self.ours() == [], 60, "all have ended")

    def test_nginx_killed(self):
        """It says so and ends, and nobody keeps the port."""
        p = self.start()
        self.started(p)
        with open(os.path.join(self.run_dir, "nginx.pid")) as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.assertEqual(p.wait(60 * SLOW), 1, self.output())
        self.assertIn("nginx ended by itself", self.output())
        self.assertEqual(self.ours(), [])

        def port_is_free():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) != 0

        wait_for(port_is_free, 10, "nginx's worker has ended")

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            p = self.start(port)
            self.assertEqual(p.wait(120 * SLOW), 1)
            self.assertIn("port %d is in use" % port, self.output())
        self.assertEqual(self.ours(), [])

    def test_wrong_arguments(self):
        for args, env, status in ((["--nonsense"], {}, 2), ([], {"PORT": "x"},
                                                            1),
                                  ([], {"PORT": "70000"}, 1)):
            out = subprocess.run(
                [os.path.join(ROOT, "script", "server")] + args,
                capture_output=True, text=True, env=dict(
                    os.environ, BUILD=BUILD, RUN=self.run_dir, **env))
            self.assertEqual(out.returncode, status, out)
            self.assertTrue(out.stderr)


if __name__ == "__main__":
    unittest.main()
