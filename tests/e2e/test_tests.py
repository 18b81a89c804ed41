"""The tests' own machinery: what must fail a run does fail it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import ROOT, Stack, wait_for

MAKEFILE = """.PHONY: all unit scripts specs
all: ; @true
unit: ; @cat unit; exit $$(cat unit.status)
scripts: ; @cat scripts; exit $$(cat scripts.status)
specs: ; @cat specs; exit $$(cat specs.status)
"""

CMOCKA = """[==========] Running 3 test(s).
[       OK ] test_a
[==========] 3 test(s) run.
[  PASSED  ] %d test(s).
"""

PROVE = """t/a.t .. ok
t/b.t .. Failed 3/9 subtests
  Failed tests:  2, 4-5
Files=2, Tests=20,  3 wallclock secs
Result: FAIL
"""


class Harness(unittest.TestCase):

    def test_forbidden_lines_fail(self):
        for line in ("2026/01/01 [alert] 1#1: worker process 2 exited on "
                     "signal 11", "[emerg] x", "[crit] x",
                     "==1==ERROR: AddressSanitizer: heap-use-after-free",
                     "x.c:1:2: runtime error: signed integer overflow",
                     "==1== ERROR SUMMARY: 3 errors from 2 contexts",
                     "w: a.c:1: f: Assertion `x' failed."):
            with self.subTest(line):
                s = Stack(nginx=False)
                s.path("error.log", line.encode() + b"\n")
                with self.assertRaises(AssertionError) as caught:
                    s.close()
                self.assertIn(line, str(caught.exception))
        s = Stack(nginx=False)
        s.path("error.log", b"[error] [warn] ERROR SUMMARY: 0 errors\n"
               b"[crit] 1#1: *2 connect() to unix:/x/redis.sock failed (2: No"
               b" such file or directory), Redis: \"unix:/x/redis.sock\"\n")
        s.close()

    def test_what_does_not_stop_is_killed_and_fails(self):
        s = Stack(nginx=False)
        p = s.start("worker", ["sh", "-c", "trap '' TERM; echo up; "
                               "while :; do sleep 0.1; done"])
        wait_for(lambda: "up" in p.tail(), 10, "it ignores TERM")
        with self.assertRaises(AssertionError):
            p.stop(0.5)
        self.assertFalse(p.alive())
        s.close()


class Ports(unittest.TestCase):
    """No port is given twice while its process lives."""

    PYTHON = ("import ports, sys\n"
              "print(*[ports.free_port() for _ in range(300)], flush=True)\n"
              "sys.stdin.read()")
    PERL = ("$| = 1; print join(' ', map { free_port() } 1 .. 300), qq(\\n);"
            "<STDIN>")

    def test_picks_of_parallel_processes_differ(self):
        procs = [subprocess.Popen(
            argv, cwd=os.path.join(ROOT, "tests", "e2e"), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for argv in 2 * [[sys.executable, "-c", self.PYTHON]]
            + 2 * [["perl", "-I" + os.path.join(ROOT, "t", "lib"),
                    "-MTaskMQ::Port=free_port", "-e", self.PERL]]]
        picked = []
        for p in procs:
            picked += map(int, p.stdout.readline().split())
        for p in procs:
            p.communicate()
            self.assertEqual(p.returncode, 0)
        self.assertEqual(len(picked), 1200)
        self.assertEqual(len(set(picked)), 1200)

    def test_a_command_has_ports_of_its_own(self):
        show = ["sh", "-c", "echo $A $B; read line"]
        procs = [subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "tests", "e2e", "ports.py"),
             "A", "B", "--"] + show, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) for _ in range(2)]
        picked = []
        for p in procs:
            picked += p.stdout.readline().split()
        for port in picked:         # the claims came along to the command
            with socket.socket(socket.AF_UNIX) as s:
                with self.assertRaises(OSError):
                    s.bind("\0taskmq-port-" + port)
        for p in procs:
            p.communicate("\n")
        self.assertEqual(len(set(picked)), 4)


class CheckDocs(unittest.TestCase):
    """tests/check_docs.py on a copy in which something is wrong."""

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        for name in ("docs", "t", "tests", "libtaskmq"):
            shutil.copytree(os.path.join(ROOT, name),
                            os.path.join(self.dir, name),
                            ignore=shutil.ignore_patterns(
                                "servroot*", "node_modules", "seeds"))

    def change(self, name, a, b):
        path = os.path.join(self.dir, name)
        with open(path) as f:
            text = f.read()
        self.assertIn(a, text)
        with open(path, "w") as f:
            f.write(text.replace(a, b))

    def says(self, *lines):
        out = subprocess.run(
            [sys.executable, os.path.join(self.dir, "tests/check_docs.py")],
            capture_output=True, text=True)
        self.assertEqual((out.returncode != 0, out.stderr.splitlines()),
                         (bool(lines), list(lines)))

    def test_as_it_is(self):
        self.says()

    def test_table(self):
        os.rename(self.dir + "/t/auth.t", self.dir + "/t/tokens.t")
        self.says("docs/testing.md: t/tokens.t is in no row",
                  "docs/testing.md: there is no t/auth.t")

    def test_schema(self):
        self.change("libtaskmq/tq_layout.h", "TQ_RUN_CRASHES      64, 64",
                    "TQ_RUN_CRASHES      64, 65")
        self.says("docs/redis-schema.md: no row has TQ_RUN_CRASHES, bytes "
                  "64–65", "docs/redis-schema.md: bytes 64 are no field of "
                  "tq_layout.h")

    def test_traps(self):
        page, patch = "docs/internals/traps.md", "tests/mutants/crit.patch"
        self.change(page, "## Tokens", "## Tokens, all of them")
        self.change(patch, "\nSee:", "\nLook:")
        lines = [p for p in sorted(os.listdir(self.dir + "/tests/mutants"))
                 if p.endswith(".patch") and "traps.md#tokens\n" in open(
                     self.dir + "/tests/mutants/" + p).read()]
        self.says(*("tests/mutants/" + p + ": " + (
            "it does not begin with Trap:, See: %s#…, Test:" % page
            if p == "crit.patch" else "%s has no section #tokens" % page)
            for p in lines), page + ": no patch names #tokens-all-of-them")


BAD_FORM = """static int f(int a)
{
    int b;
	int c;
    // no
    if (a
        && b) {
        return 1;
    }
    return %s;
}
""" % " + ".join("a%03d" % i for i in range(20))


class Form(unittest.TestCase):
    """make style and make rooms."""

    def style(self, text, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as f:
            f.write(text)
            f.flush()
            r = subprocess.run([sys.executable, ROOT + "/tests/style.py",
                                *options, f.name], text=True,
                               capture_output=True)
            with open(f.name) as again:
                return r.stdout + r.stderr, again.read()

    def test_style(self):
        told, _ = self.style(BAD_FORM)
        for n, what in ((1, "a function's name begins its line"),
                        (3, "declarations stand in columns"),
                        (4, "a tab, or a blank at the end"),
                        (5, "a comment with //"), (7, "has its brace below"),
                        (10, "characters")):
            self.assertRegex(told, r"\.c:%d: .*%s" % (n, what))
        self.assertIn("0 passed, 1 failed", told)

    def test_style_mended(self):
        _, text = self.style(BAD_FORM, "--fix")
        self.assertIn("    int  b;\n", text)
        self.assertIn("        && b)\n    {\n", text)
        told, _ = self.style("int\nf(int a)\n{\n    return a;\n}\n")
        self.assertIn("1 passed, 0 failed", told)

    def test_rooms(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("base/tq_base.h", '#include "tq_queue.h"'),
                               ("base/tq_buf.h", ""),
                               ("queue/tq_queue.h", '#include "tq_buf.h"')):
                path = os.path.join(folder, "libtaskmq", name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as f:
                    f.write(text + "\n")
            shutil.copy(ROOT + "/tests/rooms.py",
                        os.path.join(folder, "libtaskmq/rooms.py"))
            r = subprocess.run([sys.executable,
                                folder + "/libtaskmq/rooms.py"],
                               capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        for what in ("libtaskmq/base/tq_base.h:1: libtaskmq/base may not use "
                     "libtaskmq/queue",
                     "libtaskmq/queue/tq_queue.h:1: tq_buf.h is private to "
                     "libtaskmq/base; include tq_base.h",
                     "libtaskmq/queue uses nothing of libtaskmq/redis"):
            self.assertIn(what, r.stderr)


class ScriptTest(unittest.TestCase):
    """script/test with parts that say what they are told."""

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        os.mkdir(os.path.join(self.dir, "script"))
        shutil.copy(os.path.join(ROOT, "script", "test"),
                    os.path.join(self.dir, "script"))
        self.write("script/setup", "#!/bin/sh\n")
        os.chmod(os.path.join(self.dir, "script/setup"), 0o755)
        self.write("Makefile", MAKEFILE)
        self.part("unit", CMOCKA % 3, 0)
        self.part("scripts", "12 passed, 0 failed\n", 0)
        self.part("specs", "Files=2, Tests=20,  3 wallclock secs\n", 0)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def part(self, name, text, status):
        self.write(name, text)
        self.write(name + ".status", str(status))

    def run_parts(self, *parts):
        env = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        out = subprocess.run(["script/test", *parts], cwd=self.dir, env=env,
                             capture_output=True, text=True)
        self.lines = out.stdout.splitlines()
        return out.returncode, self.lines[-1]

    def test_all_well(self):
        self.assertEqual(self.run_parts("unit", "scripts", "specs"),
                         (0, "35 ran: 35 passed, 0 failed, 0 skipped"))

    def test_failures_are_counted(self):
        self.part("unit", CMOCKA % 2 + "[  FAILED  ] 1 test(s), listed "
                  "below:\n[  FAILED  ] test_c\n", 1)
        self.part("specs", PROVE, 1)
        self.assertEqual(self.run_parts("unit", "scripts", "specs"),
                         (1, "35 ran: 31 passed, 4 failed, 0 skipped"))

    def test_a_part_that_dies_fails_and_the_next_runs(self):
        self.part("unit", CMOCKA % 3, 1)
        self.assertEqual(self.run_parts("unit", "scripts"),
                         (1, "16 ran: 15 passed, 1 failed, 0 skipped"))

    def test_a_part_that_runs_nothing_fails(self):
        self.part("unit", "", 0)
        self.assertEqual(self.run_parts("unit", "scripts"),
                         (1, "13 ran: 12 passed, 1 failed, 0 skipped"))

    def test_set_up_that_fails_is_a_failure(self):
        self.write("script/setup", "#!/bin/sh\nexit 1\n")
        self.assertEqual(self.run_parts("scripts"),
                         (1, "13 ran: 12 passed, 1 failed, 0 skipped"))

    def test_skipped_fails_and_says_why(self):
        self.part("unit", CMOCKA % 2 + "[  SKIPPED ] test_c\n"
                  "[  SKIPPED ] 1 test(s), listed below:\n", 0)
        self.part("specs", "t/a.t .. ok\nok 3 # SKIP not now\n"
                  "t/b.t .. skipped: no nginx\n"
                  "Files=2, Tests=20,  3 wallclock secs\n", 0)
        self.part("scripts", "skipped: a.B.c: no Redis\n"
                  "12 passed, 0 failed\n", 0)
        self.assertEqual(self.run_parts("unit", "scripts", "specs"),
                         (1, "33 ran: 33 passed, 0 failed, 4 skipped"))
        for line in ("unit: [  SKIPPED ] test_c",
                     "specs: ok 3 # SKIP not now",
                     "specs: t/b.t .. skipped: no nginx",
                     "scripts: skipped: a.B.c: no Redis"):
            self.assertIn(line, self.lines)

    def test_unknown_part(self):
        out = subprocess.run(["script/test", "nonsense"], cwd=self.dir,
                             capture_output=True, text=True)
        self.assertEqual(out.returncode, 2)


if __name__ == "__main__":
    unittest.main()
