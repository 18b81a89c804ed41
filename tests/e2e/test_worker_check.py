"""taskmq-worker --check: what is missing on this machine is named by file,
line, handler and what was expected. Nothing is started."""

import os
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT


class Check(unittest.TestCase):

    def setUp(self):
        d = tempfile.TemporaryDirectory()
        self.addCleanup(d.cleanup)
        self.dir = d.name
        self.toml = self.file("handlers.toml", "")
        self.file("prog", "#!/bin/sh\n", 0o755)
        self.file("plain", "#!/bin/sh\n", 0o644)
        self.file("lib.so", "")

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def check(self, text, path=None):
        self.file("handlers.toml", text.replace("DIR", self.dir))
        env = dict(os.environ)
        if path is not None:
            env["PATH"] = path
        return subprocess.run(
            [os.path.join(BUILD, "taskmq-worker"), "--check", "--config",
             self.toml], capture_output=True, text=True, timeout=20,
            env=env, cwd="/")

    def fine(self, text, path=None):
        out = self.check("[handlers.x]\n" + text, path)
        self.assertEqual((out.returncode, out.stderr), (0, ""), text)
        self.assertIn("1 handler, configuration is fine", out.stdout)

    def missing(self, text, *lines, path=None):
        out = self.check("[handlers.x]\n" + text, path)
        self.assertEqual((out.returncode, out.stdout), (2, ""), text)
        self.assertEqual(out.stderr.splitlines(), [
            "%s:%s" % (self.toml, x.replace("DIR", self.dir))
            for x in lines])

    def test_command(self):
        self.fine('command = ["sh", "-c", "no-such-program"]')
        self.fine('command = ["DIR/prog"]')
        self.missing('\ncommand = ["no-such-program"]',
                     "3: handlers.x.command: expected a program, "
                     "no-such-program is not in PATH")
        self.missing('command = ["/no/such"]',
                     "2: handlers.x.command: expected a program, /no/such "
                     "does not exist")
        for there in ("DIR/plain", "DIR"):
            self.missing('command = ["%s"]' % there,
                         "2: handlers.x.command: expected a program, %s "
                         "is not an executable file" % there)

    def test_path(self):
        """The handler's own PATH wins over the worker's; one that cannot be
        executed is passed over."""
        self.missing('command = ["prog"]',
                     "2: handlers.x.command: expected a program, prog is not "
                     "in PATH")
        self.fine('command = ["prog"]', path="/no/such:" + self.dir)
        self.fine('command = ["prog"]\nenv = { PATH = "DIR" }')
        self.missing('command = ["prog"]\nenv = { PATH = "/bin" }',
                     "2: handlers.x.command: expected a program, prog is not "
                     "in PATH", path=self.dir)
        self.missing('command = ["plain"]',
                     "2: handlers.x.command: expected a program, plain is "
                     "not an executable file", path=self.dir + ":/bin")

    def test_workdir(self):
        """A relative path is that of the process, after its change."""
        self.fine('command = ["./prog"]\nworkdir = "DIR"')
        self.fine('command = ["prog"]\nworkdir = "DIR"\n'
                  'env = { PATH = "/bin:." }')
        self.missing('command = ["./prog"]',
                     "2: handlers.x.command: expected a program, ./prog "
                     "does not exist")
        self.missing('command = ["DIR/prog"]\nworkdir = "/no/such"',
                     "3: handlers.x.workdir: expected a folder, /no/such "
                     "does not exist")
        self.missing('command = ["sh"]\nworkdir = "DIR/prog"',
                     "3: handlers.x.workdir: expected a folder, DIR/prog "
                     "is none")

    def test_library(self):
        self.fine('library = "DIR/lib.so"')
        self.fine('library = "lib.so"')     # the dynamic linker's to find
        self.missing('library = "/no/such.so"',
                     "2: handlers.x.library: expected a shared object, "
                     "/no/such.so does not exist")

    def test_runtime(self):
        self.fine('image = "i"\nruntime = "DIR/prog"\nworkdir = "/in/image"')
        self.fine('image = "i"\nruntime = ["prog", "--x"]\n'
                  'env = { PATH = "/in/image" }', path=self.dir)
        self.missing('image = "i"\nruntime = "no-such-runtime"',
                     "3: handlers.x.runtime: expected a program, "
                     "no-such-runtime is not in PATH")
        self.missing('image = "i"',
                     "2: handlers.x.image: expected a program, docker is "
                     "not in PATH", path=self.dir)

    def test_no_file_kills_it(self):
        """Too deep, too long, no text: a line that says so."""
        part = '"a,\\".#b"'
        for text, line, word in (
                ("\n" + "a" + ".a" * 400_000 + " = 1", 2, "16 parts"),
                ("#.\n[" + ".".join(["a"] * 17) + "]", 2, "16 parts"),
                ('x = """a""""\n' + "a" + ".a" * 200_000 + " = 1", 2,
                 "16 parts"),
                ("x = '''a'''''\n" + "a" + ".a" * 200_000 + " = 1", 2,
                 "16 parts"),
                ('x = {y = """a"""", ' + "a" + ".a" * 200_000 + " = 1}", 1,
                 "16 parts"),
                ('x = """\n\n"""\n' + ".".join([part] * 90_000) + " = 1", 4,
                 "16 parts"),
                ("a" + ".a" * 15 + " = 1\n" + "b" + ".b" * 15 + " = 1\n", 1,
                 "unknown key"),
                ("x = " + "[" * 500_000, 1, "depth"),
                ("x = " + "{a=" * 300_000, 1, "depth"),
                ("x = '" + "a" * 500_000, 1, ""),
                ('x = "' + "." * 500_000 + '"', 1, "unknown key"),
                ("\x00\x01", 1, ""), ("x", 1, ""), ("\"", 1, ""),
                ("x = 1\n" * 90_000, 2, "")):
            out = self.check(text)
            self.assertEqual(out.returncode, 2, (text[:40], out.stderr[:300]))
            self.assertIn("%s:%d: " % (self.toml, line), out.stderr,
                          text[:40])
            self.assertIn(word, out.stderr)
        out = self.check("#" * 1_100_000)
        self.assertIn("cannot be read: File too large", out.stderr)

    def test_an_old_key(self):
        """It does not stop an upgrade, and is told of."""
        out = self.check('[handlers.x]\ncommand = ["true"]\nprefetch = 100\n')
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        self.assertEqual(out.stdout.splitlines()[1:], [
            self.toml + ":3: handlers.x.prefetch has no effect any more: "
            "remove it, and raise instances if its jobs are tiny"])

    def test_all_are_named(self):
        out = self.check('[handlers.a]\ncommand = ["/no/a"]\n'
                         '[handlers.b]\nbuiltin = "noop"\n'
                         '[handlers.c]\nurl = "http://nowhere.invalid/"\n'
                         '[handlers.d]\ncommand = ["/no/d"]\n')
        self.assertEqual(out.returncode, 2)
        self.assertEqual([x.split(": ")[1] for x in out.stderr.splitlines()],
                         ["handlers.a.command", "handlers.d.command"])

    def test_example(self):
        out = subprocess.run(
            [os.path.join(BUILD, "taskmq-worker"), "--check", "--config",
             "handlers.toml.example"], capture_output=True, text=True,
            timeout=20, cwd=ROOT)
        self.assertEqual((out.returncode, out.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
