"""What an attacker who got somewhere finds: how the binaries were made, what a
handler can see of its worker, and where secrets are in nginx's memory."""

import os
import re
import signal
import subprocess
import unittest

from desk import Desk
from harness import BUILD, ROOT, Stack, wait_for

PRYING = ["python3", os.path.join(ROOT, "tests", "e2e", "prying_handler.py")]


class Binaries(unittest.TestCase):
    """Compiler and linker did what the Makefile asks them for."""

    def elf(self, name):
        out = subprocess.run(
            ["readelf", "-W", "-h", "-l", "-d", "--dyn-syms",
             os.path.join(BUILD, name)], capture_output=True, text=True,
            check=True).stdout
        if "__asan_init" in out:
            self.skipTest("built with sanitizers")
        return out

    def hardened(self, out):
        self.assertRegex(out, r"Type:\s+DYN")
        self.assertRegex(out, r"GNU_RELRO\s")
        self.assertRegex(out, r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b")
        self.assertRegex(out, r"GNU_STACK.* RW +0x")
        self.assertNotRegex(out, r"(LOAD|GNU_STACK).* RWE +0x")
        for bad in ("(TEXTREL)", "(RPATH)", "(RUNPATH)"):
            self.assertNotIn(bad, out)
        self.assertRegex(out, r"UND __stack_chk_fail\b")
        self.assertRegex(out, r"UND __\w+_chk\b")

    def test_programs(self):
        for name in ("taskmq-worker", "taskmq"):
            with self.subTest(name):
                out = self.elf(name)
                self.hardened(out)
                # position-independent, and a program
                self.assertRegex(out, r"INTERP\s")
                self.assertRegex(out, r"\(FLAGS_1\).*\bPIE\b")

    def test_module(self):
        self.hardened(self.elf("ngx_http_taskmq_module.so"))


class Children(unittest.TestCase):
    """A handler has no way to its worker's secrets and rights."""

    @classmethod
    def setUpClass(cls):
        handlers = {"plain": {"command": PRYING},
                    "given": {"command": PRYING, "env": {"OWN": "yes"}}}
        if os.getuid() == 0:
            handlers["other"] = {"command": PRYING, "user": "nobody"}
        s = cls.s = Desk(aof=False, handlers=handlers)
        cls.addClassCleanup(s.close)
        # as docs/security.md says: the URL in the environment
        cls.w = s.start("worker", [
            os.path.join(BUILD, "taskmq-worker"), "--config", s.toml],
            env={"PATH": os.environ["PATH"], "TASKMQ_JWT_SECRET": "abcsecret",
                 "TASKMQ_REDIS_URL": s.url("worker")})
        os.chmod(s.dir, 0o755)
        cls.handlers = handlers

    def found(self, name):
        return self.s.wait_done(self.s.add(name, {}), 20)["result"]

    def test_environment(self):
        for name in self.handlers:
            environ = self.found(name)["environ"]
            self.assertNotIn("TASKMQ", environ)
            self.assertNotIn("abcsecret", environ)
            self.assertNotIn(self.s.password, environ)
            self.assertEqual("OWN=yes" in environ, name == "given")

    def test_capabilities(self):
        for name in self.handlers:
            found = self.found(name)
            with self.subTest(name, found=found):
                self.assertEqual(set(found["caps"].values()), {0})
                self.assertEqual(found["no_new_privs"], "1")
                if os.getuid() == 0:
                    self.assertEqual(found["bounding"], 0)
                    self.assertEqual(found["uid"] == 0, name != "other")

    def test_descriptors(self):
        for name in self.handlers:
            fds = self.found(name)["fds"]
            self.assertEqual(sorted(fds), ["0", "1", "2"])
            for target in fds.values():
                self.assertRegex(target, "^pipe:")

    def test_worker_is_closed_to_them(self):
        for name in self.handlers:
            parent = self.found(name)["parent"]
            self.assertEqual(set(parent.values()), {"denied"}, parent)


    @unittest.skipIf(os.getuid() != 0, "needs root to become another user")
    def test_worker_is_out_of_reach_of_other_users(self):
        self.assertEqual(self.found("other")["reach"], dict.fromkeys(
            ("signal", "limit", "renice", "pin"), "denied"))


class SameUser(unittest.TestCase):
    """Whom nothing can keep from their worker are named at its start."""
    ROOT = "handlers run as root, and can stop, slow down or limit the " \
        "worker: give them a user handlers="
    OWN = "handlers run as the worker's own user, and can stop, slow down " \
        "or limit it"

    def said(self, handlers, *words, hup=None):
        """The warnings of a worker with these handlers."""
        with Desk(aof=False, handlers=handlers) as s:
            os.chmod(s.dir, 0o755)
            os.chmod(s.sock, 0o777)
            w = s.start("worker", list(words) + [
                os.path.join(BUILD, "taskmq-worker"), "--config", s.toml],
                env=dict(os.environ, TASKMQ_REDIS_URL=s.url("worker")))
            wait_for(lambda: " running " in w.tail(), 10, "it runs")
            if hup is not None:
                s.write_handlers(hup)
                w.signal(signal.SIGHUP)
                wait_for(lambda: "configuration reloaded" in w.tail(), 10)
            return [line for line in w.tail().splitlines()
                    if " warn " in line]

    @unittest.skipIf(os.getuid() != 0, "needs root")
    def test_root(self):
        mine = {"command": PRYING, "instances": 1}
        nobody = dict(mine, user="nobody")
        noop = {"builtin": "noop"}
        for handlers, said in (
                ({"n": noop, "a": mine, "b": mine, "c": nobody},
                 self.ROOT + "2 first=a"),
                ({"a": dict(mine, user="root")}, self.ROOT + "1 first=a"),
                ({"c": nobody, "n": noop}, None)):
            with self.subTest(handlers):
                lines = self.said(handlers)
                self.assertEqual(len(lines), 1 if said else 0, lines)
                self.assertIn(said or "", "".join(lines))
        lines = self.said({"n": noop}, hup={"n": noop, "z": mine})
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(self.ROOT + "1 first=z", lines[0])

    def test_own_user(self):
        words = ["setpriv", "--reuid", "65534", "--regid", "65534",
                 "--clear-groups"] if os.getuid() == 0 else []
        lines = self.said({"a": {"command": ["cat"]}}, *words)
        self.assertIn(self.OWN, "".join(lines))


class Reading(unittest.TestCase):
    """A handler with as many rights as its worker has cannot look into it."""

    def parent(self, s, **env):
        # of a worker that is root, its capabilities alone would keep it out
        bare = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all",
                "--"] if os.getuid() == 0 else []
        w = s.start("worker", bare + [
            os.path.join(BUILD, "taskmq-worker"), "--config", s.toml],
            env={"PATH": os.environ["PATH"],
                 "TASKMQ_REDIS_URL": s.url("worker"), **env})
        job = s.wait_done(s.add("plain", {}), 20)
        self.assertEqual(w.stop(), 0, w.tail())
        return job["result"]["parent"]

    def test_only_where_core_dumps_are_wanted(self):
        with Desk(aof=False, handlers={"plain": {"command": PRYING}}) as s:
            found = self.parent(s, TASKMQ_COREDUMP="1")
            self.assertIn(s.password, found["environ"])
            found = self.parent(s)
            self.assertEqual(set(found.values()), {"denied"}, found)


class NginxMemory(unittest.TestCase):
    """Every copy of a secret is on pages that no core dump contains."""

    @unittest.skipIf(os.getuid() != 0, "reads another process' memory")
    def test_secrets_are_not_dumped(self):
        with Stack(nginx=False, nginx_workers=1, aof=False) as s:
            s.path("redis.password", s.password.encode() + b"\n")
            s.conf["http"] = "taskmq_redis_password_file redis.password;"
            url = s.url("nginx")
            s.url = lambda role: url.replace(":" + s.password, "")
            s.start_nginx()
            for _ in range(3):
                s.add("h")
                self.assertEqual(s.get("/jobs", token=s.token(
                    "worker", sub="x")).status, 200)
                self.assertEqual(s.get("/jobs", token="a.b.c").status, 401)
                s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                wait_for(lambda: s.get("/health", token=None).status == 200,
                         20, "connected again")
            master = s.nginx.pid
            with open("/proc/%d/task/%d/children" % (master, master)) as f:
                pids = [master] + [int(p) for p in f.read().split()]
            self.assertEqual(len(pids), 2)
            for pid in pids:
                for secret in (s.secret, s.password.encode()):
                    found = list(self.places(pid, secret))
                    self.assertTrue(found, "it is somewhere")
                    for flags, name in found:
                        self.assertIn("dd", flags, name)

    def places(self, pid, secret):
        """The flags and name of each mapping that has it."""
        with open("/proc/%d/smaps" % pid) as f:
            maps = re.findall(
                r"^([0-9a-f]+)-([0-9a-f]+) r.*? +(\S*)\n(?:[^-\n]*\n)*?"
                r"VmFlags: (.*)$", f.read(), re.M)
        with open("/proc/%d/mem" % pid, "rb", buffering=0) as mem:
            for start, end, name, flags in maps:
                try:
                    mem.seek(int(start, 16))
                    data = mem.read(int(end, 16) - int(start, 16))
                except (OSError, OverflowError):
                    continue            # the kernel's own
                if secret in data:
                    yield flags.split(), name


if __name__ == "__main__":
    unittest.main()
