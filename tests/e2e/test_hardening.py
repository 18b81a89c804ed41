"""What an attacker who got somewhere finds: how the binaries were made, what a
handler can see of its worker, and where secrets are in nginx's memory."""

import errno
import os
import platform
import pty
import re
import shutil
import signal
import subprocess
import unittest

from cli_stack import CliStack
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
        s = cls.s = CliStack(aof=False, handlers=handlers)
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


    def test_session(self):
        """Its own: an autogroup's nice value is that of a whole session."""
        for name in self.handlers:
            found = self.found(name)
            self.assertTrue(found["session"], name)
            groups = found["autogroup"]
            self.assertEqual(len(set(groups)), len(groups), groups)

    @unittest.skipIf(os.getuid() != 0, "needs root to become another user")
    def test_worker_is_out_of_reach_of_other_users(self):
        self.assertEqual(self.found("other")["reach"], dict.fromkeys(
            ("signal", "limit", "renice", "pin"), "denied"))


class Terminal(unittest.TestCase):
    """A worker that somebody started by hand. Its handlers cannot type into
    its terminal, where ^C is its end."""

    def test_out_of_reach(self):
        with CliStack(aof=False, handlers={"p": {"command": PRYING}}) as s:
            master, tty = pty.openpty()
            self.addCleanup(os.close, master)
            name = os.ttyname(tty)
            with open(tty, "r+b", 0) as tty:
                p = subprocess.Popen(
                    ["setsid", "--ctty", os.path.join(BUILD, "taskmq-worker"),
                     "--config", s.toml], stdin=tty, stdout=tty, stderr=tty,
                    env=dict(os.environ, TASKMQ_REDIS_URL=s.url("worker")))
            try:
                found = s.wait_done(s.add("p", {"tty": name}), 20)["result"]
            finally:
                p.kill()
                p.wait()
        self.assertEqual(found, {
            "/dev/tty": os.strerror(errno.ENXIO), name: "denied"})


class SameUser(unittest.TestCase):
    """A handler of its worker's user cannot stop it, slow it down or limit it;
    where it can, the worker says so at its start."""
    AS_ROOT = "handlers run as root, and can stop, slow down or limit the " \
        "worker: give them a user handlers="
    AS_OWN = "handlers run as the worker's own user, and can stop, slow down " \
        "or limit it"
    NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534",
              "--clear-groups"]

    def start(self, s, *words, **env):
        os.chmod(s.dir, 0o755)
        os.chmod(s.sock, 0o777)
        # nobody may not reach the folder that was built in
        program = shutil.copy(os.path.join(BUILD, "taskmq-worker"), s.dir)
        w = s.start("worker", list(words) + [program, "--config", s.toml],
            env=dict(os.environ, TASKMQ_REDIS_URL=s.url("worker"), **env))
        wait_for(lambda: " running " in w.tail(), 10, "it runs")
        return w

    def said(self, handlers, *words, hup=None, **env):
        """The warnings of a worker with these handlers."""
        with CliStack(aof=False, handlers=handlers) as s:
            w = self.start(s, *words, **env)
            if hup is not None:
                s.write_handlers(hup)
                w.signal(signal.SIGHUP)
                wait_for(lambda: "configuration reloaded" in w.tail(), 10)
            return [line for line in w.tail().splitlines()
                    if " warn " in line]

    def reach(self, *words, **payload):
        with CliStack(aof=False) as s:
            handler = shutil.copy(os.path.join(
                ROOT, "tests", "e2e", "reaching_handler.py"), s.dir)
            s.write_handlers({"r": {"command": ["python3", handler],
                                    "instances": 1}})
            w = self.start(s, *words)
            found = s.wait_done(s.add("r", payload), 30)["result"]
            self.assertTrue(w.alive(), w.tail())
            return found

    def out_of_reach(self, found):
        self.assertGreater(found["threads"], 1, "the pool has started")
        for call, codes in found["worker"].items():
            # callers of a pidfd have another way where there is none
            self.assertEqual(set(codes), {
                errno.ENOSYS if call == "pidfd" else errno.EPERM}, call)
        for call, codes in found["own"].items():
            self.assertEqual(set(codes), {0}, call)
        self.assertLess(set(found["own"]), set(found["worker"])
                        | {"killed", "ask", "none"})

    def nobody(self):
        return self.NOBODY if os.getuid() == 0 else []

    def test_out_of_reach(self):
        found = self.reach(*self.nobody())
        self.out_of_reach(found)
        self.assertGreaterEqual(len(found["worker"]), 25)

    def test_service_with_a_filter(self):
        """One that kills whoever calls seccomp(), as a unit's may."""
        code = ("import ctypes, os, struct, sys\n"
                "bpf = struct.pack('HBBI' * 4, 0x20, 0, 0, 0, 0x15, 0, 1, "
                "{'x86_64': 317, 'aarch64': 277}[os.uname().machine], "
                "6, 0, 0, 0x80000000, 6, 0, 0, 0x7fff0000)\n"
                "keep = ctypes.create_string_buffer(bpf)\n"
                "libc = ctypes.CDLL(None, use_errno=True)\n"
                "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
                "assert libc.prctl(22, 2, struct.pack('HxxxxxxQ', 4, "
                "ctypes.addressof(keep))) == 0\n"
                "os.execvp(sys.argv[1], sys.argv[1:])\n")
        self.out_of_reach(self.reach("python3", "-c", code, *self.nobody()))

    @unittest.skipIf(os.getuid() != 0, "needs root")
    def test_out_of_reach_of_root(self):
        self.out_of_reach(self.reach())

    @unittest.skipIf(platform.machine() != "x86_64", "needs an x86-64")
    def test_out_of_reach_of_32_bit_programs(self):
        found = self.reach(*self.nobody(), **{"as": "i386"})
        self.out_of_reach(found)
        self.assertGreaterEqual(len(found["worker"]), 13)

    @unittest.skipIf(platform.machine() != "x86_64", "needs an x86-64")
    def test_no_x32(self):
        self.assertEqual(self.reach(*self.nobody(), **{"as": "x32"}),
                         {"getppid": errno.ENOSYS})

    @unittest.skipIf(os.getuid() != 0, "needs root")
    def test_root(self):
        mine = {"command": PRYING, "instances": 1}
        nobody = dict(mine, user="nobody")
        noop = {"builtin": "noop"}
        for handlers, said in (
                ({"n": noop, "a": mine, "b": mine, "c": nobody},
                 self.AS_ROOT + "2 first=a"),
                ({"a": dict(mine, user="root")}, self.AS_ROOT + "1 first=a"),
                ({"c": nobody, "n": noop}, None)):
            with self.subTest(handlers):
                lines = self.said(handlers)
                self.assertEqual(len(lines), 1 if said else 0, lines)
                self.assertIn(said or "", "".join(lines))
        lines = self.said({"n": noop}, hup={"n": noop, "z": mine})
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(self.AS_ROOT + "1 first=z", lines[0])

    @unittest.skipIf(os.getuid() != 0, "a user's session may own its cgroup")
    def test_own_user(self):
        """Said with the reason, where it is so, and nowhere else."""
        cat = {"command": ["cat"], "instances": 1}
        image = {"image": "none", "runtime": "/bin/false"}
        target = {"url": "http://localhost:1/"}
        self.assertEqual(self.said({"a": cat}, *self.NOBODY), [])
        self.assertEqual(self.said({"t": target}, *self.NOBODY), [])
        for handlers, env, why in (
                ({"a": cat}, {"TASKMQ_COREDUMP": "1"}, "TASKMQ_COREDUMP=1"),
                ({"a": cat, "t": target}, {}, "threads"),
                ({"a": cat, "i": image}, {}, "containers")):
            with self.subTest(why):
                lines = [line for line in self.said(
                    handlers, *self.NOBODY, **env) if self.AS_OWN in line]
                self.assertEqual(len(lines), 1)
                self.assertIn(why, lines[0])
                self.assertIn("handlers=1 first=a", lines[0])


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
        with CliStack(aof=False, handlers={"plain": {"command": PRYING}}) as s:
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
