"""`taskmq serve-api` and `taskmq run-worker`: nginx and a worker as the
reference's commands start them."""

import os
import re
import socket
import unittest

from harness import Process, Stack, free_port, wait_for
from test_cli import TASKMQ


class Serve(unittest.TestCase):
    """The reference's commands, as printed there."""

    SECRET = "your-secure-secret-key"

    def setUp(self):
        # as root, nginx' workers are another user, who must get at the socket
        self.s = Stack(nginx=False,
                       redis_args=("--unixsocketperm", "777"))
        os.chmod(self.s.dir, 0o755)
        self.addCleanup(self.s.close)
        self.env = dict(os.environ, TASKMQ_JWT_SECRET=self.SECRET,
                        TASKMQ_BACKEND="redis", TMPDIR=self.s.dir)

    def start(self, *args, env=None):
        role = {"serve-api": "nginx", "run-worker": "worker"}[args[0]]
        env = dict(env or self.env, TASKMQ_REDIS_URL=self.s.url(role))
        p = Process("cli", [TASKMQ] + list(args),
                    self.s.path("cli-%d.log" % len(self.s.processes)),
                    env=env, cwd=self.s.dir)
        self.s.processes.append(p)
        self.addCleanup(lambda: p.alive() and p.stop())
        return p

    def test_api_and_worker(self):
        port, port2 = free_port(), free_port()
        api = self.start("serve-api", "--port", str(port), "--daemon-port",
                         str(port2), "--processes", "1")
        self.s.port = port

        def healthy():
            self.assertTrue(api.alive(), api.tail())
            try:
                return self.s.get("/health", token=None).status == 200
            except OSError:
                return False

        wait_for(healthy, 10, "the API is healthy")
        for where in ("serving http://127.0.0.1:%d\n" % port,
                      "TaskDaemon's API at http://127.0.0.1:%d\n" % port2):
            self.assertIn(where, api.tail())
        self.assertEqual(len([n for n in os.listdir(self.s.dir)
                              if n.startswith("taskmq-api.")]), 1)
        os.unlink(self.s.toml)
        self.start("run-worker")
        self.s.secret = self.SECRET.encode()
        job = self.s.add("dummy", {"task": "test"})
        self.s.wait_done(job)
        self.s.port = port2
        self.assertIn(b'"status":"healthy"',
                      self.s.get("/health", token=None).body)
        self.assertEqual(api.stop(), 0)
        self.assertEqual([n for n in os.listdir(self.s.dir)
                          if n.startswith("taskmq-api.")], [])

    def test_sqlite_is_refused_in_one_line(self):
        for command in ("serve-api", "run-worker"):
            p = self.start(command, env=dict(self.env,
                                             TASKMQ_BACKEND="sqlite"))
            self.assertEqual(p.wait(), 2)
            self.assertEqual(p.tail().count("\n"), 1)
            self.assertIn("TASKMQ_BACKEND=sqlite", p.tail())

    def test_a_namespace_of_the_environment_is_checked(self):
        for command in ("serve-api", "run-worker"):
            p = self.start(command, env=dict(self.env,
                                             TASKMQ_NAMESPACE="a b;"))
            self.assertEqual(p.wait(), 2)
            self.assertEqual(p.tail().count("\n"), 1)
            self.assertIn('"a b;" is not a namespace', p.tail())

    def test_no_secret(self):
        env = dict(self.env)
        del env["TASKMQ_JWT_SECRET"]
        p = self.start("serve-api", env=env)
        self.assertEqual(p.wait(), 2)
        self.assertIn("TASKMQ_JWT_SECRET", p.tail())

    @unittest.skipUnless(os.geteuid() == 0, "nginx keeps its user")
    def test_a_socket_that_nginx_may_not_open(self):
        """As root: a hint names the fix, and the fix works."""
        hint = "may not open %s: give --user" % self.s.sock

        def serve(*args):
            self.s.port = free_port()
            p = self.start("serve-api", "--port", str(self.s.port),
                           "--processes", "1", *args)
            wait_for(lambda: "serving http" in p.tail() or not p.alive(), 10,
                     "it starts")
            return p

        open_to_all = serve()
        self.assertNotIn(hint, open_to_all.tail())
        open_to_all.stop()
        os.chmod(self.s.sock, 0o700)
        p = serve()
        self.assertIn(hint, p.tail())
        refused = "connect() failed (13: Permission denied)"
        wait_for(lambda: refused in p.tail(), 10, "the hint was right")
        p.stop()
        self.s.allowed.append(re.escape(refused))
        p = serve("--user", "root")
        self.assertNotIn(hint, p.tail())

        def healthy():
            try:
                return self.s.get("/health", token=None).status == 200
            except OSError:
                return False

        wait_for(healthy, 10, "the API is healthy")
        p.stop()
        p = self.start("serve-api", "--user", "no such")
        self.assertEqual(p.wait(), 2)
        self.assertIn("--user", p.tail())

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            p = self.start("serve-api", "--port", str(port))
            self.assertNotEqual(p.wait(20), 0)
            self.assertIn(str(port), p.tail())
        self.s.allowed.append("Address already in use")
        self.s.allowed.append("still could not bind")


if __name__ == "__main__":
    unittest.main()
