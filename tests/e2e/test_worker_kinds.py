"""Handlers that are shared objects or containers; and what bounds a child:
memory, user."""

import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from cli_stack import CliStack, gone
from harness import BUILD, ROOT, wait_for


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
