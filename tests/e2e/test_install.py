"""make install: what it brings, and that manual and unit name what is there."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT, SLOW

UNIT = "lib/systemd/system/taskmq-worker.service"


class Install(unittest.TestCase):

    def make(self, target, folder, prefix):
        out = subprocess.run(
            ["make", "-s", target, "BUILD=" + BUILD, "DESTDIR=" + folder,
             "PREFIX=" + prefix], cwd=ROOT, capture_output=True, text=True,
            timeout=300 * SLOW)
        self.assertEqual(out.returncode, 0, out)

    def install(self, prefix):
        folder = tempfile.mkdtemp(prefix="taskmq-install-")
        self.addCleanup(shutil.rmtree, folder)
        self.make("install", folder, prefix)
        return folder + prefix

    def test_uninstall(self):
        """All of it goes, and nothing of others."""
        top = self.install("/opt/mq")
        installed = sorted(os.path.join(folder, name)
                           for folder, _, names in os.walk(top)
                           for name in names)
        kept = sorted({os.path.join(os.path.dirname(name), "others")
                       for name in installed
                       if not re.search("/share/(doc/)?taskmq/", name)})
        self.assertGreater(len(kept), 5)
        for name in kept:
            with open(name, "w"):
                pass
        for _ in range(2):
            self.make("uninstall", top[:-len("/opt/mq")], "/opt/mq")
            self.assertEqual(sorted(
                os.path.join(folder, name)
                for folder, _, names in os.walk(top) for name in names), kept)
        for name in "share/doc/taskmq", "share/taskmq":
            self.assertFalse(os.path.exists(os.path.join(top, name)))

    def test_what_there_is(self):
        top = self.install("/usr")
        for name, mode in (("bin/taskmq", 0o755), ("bin/taskmq-worker", 0o755),
                           ("lib/nginx/modules/ngx_http_taskmq_module.so",
                            0o644), (UNIT, 0o644),
                           ("include/taskmq_handler.h", 0o644),
                           ("share/doc/taskmq/clients/shell/primes.sh", 0o644),
                           ("share/man/man1/taskmq.1", 0o644),
                           ("share/man/man8/taskmq-worker.8", 0o644)):
            mode_is = os.stat(os.path.join(top, name)).st_mode & 0o777
            self.assertEqual(mode_is, mode, name)
        for name in ("handlers.toml", "nginx.conf", "redis-acl"):
            name += ".example"
            with open(os.path.join(top, "share/doc/taskmq", name)) as f, \
                    open(os.path.join(ROOT, name)) as ours:
                self.assertEqual(f.read(), ours.read())
        # what the manual and the unit say is there
        for page in ("share/man/man8/taskmq-worker.8", UNIT):
            with open(os.path.join(top, page)) as f:
                named = re.findall(r"/usr/(share/doc/\S*\w)", f.read())
            self.assertTrue(named, page)
            for name in named:
                self.assertTrue(os.path.exists(os.path.join(top, name)), name)

    def test_documentation(self):
        """What it links to is there, and what the example's handlers run; a
        shared object is built with the header that was installed."""
        top = self.install("/usr")
        doc = os.path.join(top, "share/doc/taskmq")
        pages = [os.path.join(folder, name)
                 for folder, _, names in os.walk(doc) for name in names]
        self.assertFalse([p for p in pages if "__pycache__" in p])
        for page in pages:
            with open(page) as f:
                text = f.read()
            links = re.findall(r"\]\(([^)#]+)", text) \
                if page.endswith(".md") else []
            if page.endswith(".example"):
                links = re.findall(r"clients/[\w./]*\w", text)
            for link in links:
                if "://" not in link:
                    self.assertTrue(os.path.exists(os.path.join(
                        os.path.dirname(page), link)), (page, link))
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-I" + os.path.join(top, "include"),
             "-o", os.path.join(top, "wordcount.so"), "-x", "c", "-"],
            input=b"#include <taskmq_handler.h>\nint taskmq_handle(const char "
            b"*t, size_t n, char **o) { (void) t; *o = 0; return !n; }\n",
            check=True)

    def test_serve_api_finds_what_came_with_it(self):
        top = self.install("/opt/mq")
        nginx = os.path.join(top, "nginx")
        with open(nginx, "w") as f:
            f.write('#!/bin/sh\nwhile [ "$1" != -c ]; do shift; done\n'
                    'cat "$2"\n')
        os.chmod(nginx, 0o755)
        os.makedirs(os.path.join(top, "share/taskmq/web"), exist_ok=True)
        out = subprocess.run(
            [os.path.join(top, "bin/taskmq"), "serve-api", "--nginx", nginx],
            env=dict(os.environ, TASKMQ_JWT_SECRET="x" * 32),
            capture_output=True, text=True, timeout=60 * SLOW)
        for word, name in (("load_module", "lib/nginx/modules/"
                            "ngx_http_taskmq_module.so"),
                           ("taskmq_docs_root", "share/taskmq/web")):
            found = re.search(r"(?m)^\s*%s \"?([^\s\";]+)" % word, out.stdout)
            self.assertTrue(found, out)
            self.assertTrue(os.path.samefile(found[1],
                                             os.path.join(top, name)), out)

    def test_unit(self):
        """It starts the program that was installed with it, with options that
        the program knows; TERM leaves more time than --grace and 5 s."""
        top = self.install("/opt/mq")
        with open(os.path.join(top, UNIT)) as f:
            keys = dict(re.findall(r"(?m)^(\w+)=(.*)$", f.read()))
        self.assertEqual(keys["Documentation"],
                         "file:/opt/mq/share/doc/taskmq/docs/operations.md")
        argv = keys["ExecStart"].split()
        self.assertEqual(argv[0], "/opt/mq/bin/taskmq-worker")
        argv[0] = os.path.join(top, "bin/taskmq-worker")
        argv[argv.index("/etc/taskmq/handlers.toml")] = os.path.join(
            top, "share/doc/taskmq/handlers.toml.example")
        out = subprocess.run(argv + ["--check"], capture_output=True,
                             text=True, cwd=ROOT, timeout=60 * SLOW)
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        usage = subprocess.run([argv[0], "--help"], capture_output=True,
                               text=True).stdout
        grace = int(re.search(r"--grace\D*(\d+)", usage).group(1))
        self.assertGreater(int(keys["TimeoutStopSec"]), grace + 5)


if __name__ == "__main__":
    unittest.main()


class Paths(unittest.TestCase):
    """The Makefile's commands do not quote the folder they build in."""

    def refused(self, folder, word, *args):
        env = {k: v for k, v in os.environ.items()
               if k not in ("BUILD", "MAKEFLAGS", "MAKELEVEL")}
        out = subprocess.run(["make", *args, "build/nginx/Makefile"],
                             cwd=folder, env=env, capture_output=True,
                             text=True, timeout=300 * SLOW)
        self.assertEqual(out.returncode, 2, out)
        self.assertIn(word, out.stderr)

    def test_odd_characters_remove_nothing(self):
        top = tempfile.mkdtemp(prefix="taskmq-paths-")
        self.addCleanup(shutil.rmtree, top)
        kept = os.path.join(top, "kept")
        os.makedirs(os.path.join(kept, "inside"))
        for odd in " ;$'#(":
            folder = kept + odd + "x"
            os.mkdir(folder)
            for name in os.listdir(ROOT):
                if name not in (".git", "build", "run"):
                    os.symlink(os.path.join(ROOT, name),
                               os.path.join(folder, name))
            with self.subTest(odd):
                self.refused(folder, "a path without " +
                             odd.replace(" ", "space"))
                self.assertTrue(os.path.exists(kept + "/inside"))
        self.refused(ROOT, 'BUILD="%s x": ' % kept, "BUILD=%s x" % kept)
        self.refused(ROOT, "BUILD is empty", "BUILD=")
        self.assertTrue(os.path.exists(kept + "/inside"))
