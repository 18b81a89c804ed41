#!/usr/bin/env python3
"""Proof that the tests can fail. Each *.patch here is a small change that puts
back a trap; its opening lines say which, in which section of the traps' page it
is explained, and the test that must fail with it:

    Trap: a reply of Redis after the client left
    See: docs/internals/traps.md#requests
    Test: spec t/faults.t

Every patch is applied to a copy of the tree (a file that has moved since is
found by its name), what it touches is built, the test is run, and the patch is
taken back. The same tests must pass without any patch first. Ends with a table
and "N passed, N failed"; a patch that does not apply or build is a failure.

    tests/mutants/run.py [TEXT ...]     only patches with TEXT in their name
    tests/mutants/run.py --applies      only whether each patch still applies

Kinds of tests: `unit NAME` (one cmocka binary), `spec FILE` (one file of t/),
`sanitized FILE` (the same in the nginx with sanitizers), `exports module`,
`e2e NAME` and `fault NAME` (a module, class or method of tests/e2e,
tests/fault), `scripts NAME`. The copy and its build are in a folder of their
own (MUTANTS=FOLDER keeps one, so that the next run builds less).
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TEST_TIMEOUT_S = 300


class Mutant:

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-len(".patch")]
        with open(path) as f:
            self.text = f.read()
        head = self.text.split("\n--- ", 1)[0]
        self.trap = re.search(r"^Trap: (.+)$", head, re.M).group(1)
        self.kind, self.test = re.search(r"^Test: (\w+) (\S+)$", head,
                                         re.M).groups()


class Tree:
    """The copy, and what can be done in it."""

    def __init__(self, folder):
        self.folder = folder
        self.src = os.path.join(folder, "tree")
        self.build = os.path.join(folder, "build")
        files = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard",
             "-z"], check=True, capture_output=True).stdout.split(b"\0")
        names = self.names = {f.decode() for f in files if f}
        for name in sorted(names):
            self.copy(name)
        for path, _, there in os.walk(self.src):
            for f in there:
                name = os.path.relpath(os.path.join(path, f), self.src)
                if name not in names and "__pycache__" not in name:
                    os.unlink(os.path.join(path, f))

    def copy(self, name):
        """Only what has changed, so that less is built."""
        src, dst = os.path.join(ROOT, name), os.path.join(self.src, name)
        if not os.path.isfile(src) or os.path.islink(src):
            return
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        try:
            with open(src, "rb") as a, open(dst, "rb") as b:
                if a.read() == b.read():
                    return
        except FileNotFoundError:
            pass
        shutil.copy(src, dst)

    def run(self, argv, timeout=None, **env):
        """(exit status, output); the status is None after a timeout."""
        p = subprocess.Popen(
            argv, cwd=self.src, env=dict(os.environ, BUILD=self.build, **env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True)
        try:
            out, _ = p.communicate(timeout=timeout)
            return p.returncode, out
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            return None, p.communicate()[0]

    def make(self, *targets):
        return self.run(["make", "-s", "-j2", "BUILD=" + self.build,
                         *targets])

    def sanitized(self):
        """make's words; the nginx that was built for ROOT, when it is there."""
        nginx = os.path.join(ROOT, "build", "san", "nginx-san", "nginx")
        return ["BUILD=" + os.path.join(self.build, "san"),
                "SAN=address,undefined"] + (
            ["NGINX_SAN=" + nginx] if os.path.exists(nginx) else [])

    def where(self, name):
        """The file that a patch means. One that has moved is found by its
        name, below the same top folder."""
        if name in self.names:
            return name
        found = [n for n in self.names
                 if os.path.basename(n) == os.path.basename(name)
                 and n.split("/")[0] == name.split("/")[0]]
        return found[0] if len(found) == 1 else name

    def patch(self, mutant, *options):
        diff = re.sub(r"^(---|\+\+\+) ([ab]/)(\S+)",
                      lambda m: "%s %s%s" % (m[1], m[2], self.where(m[3])),
                      mutant.text, flags=re.M)
        with open(os.path.join(self.folder, "patch"), "w") as f:
            f.write(diff)
        return self.run(["patch", "-p1", "-s", "--no-backup-if-mismatch",
                         "-i", f.name, *options])

    def prepare(self, kind, test):
        """Builds what the test needs."""
        if kind == "unit":
            return self.make("%s/unit/%s" % (self.build, test))
        if kind in ("spec", "exports"):
            return self.make("module")
        if kind == "sanitized":
            return self.make("module", *self.sanitized())
        if kind == "scripts":
            return 0, ""
        return self.make("all")

    def check(self, kind, test):
        """Runs the test; the last line that says what failed, too."""
        python = sys.executable
        argv = {
            "unit": ["%s/unit/%s" % (self.build, test)],
            "spec": ["make", "-s", "BUILD=" + self.build, "t", "T=" + test],
            "sanitized": ["make", "-s", *self.sanitized(), "t", "T=" + test],
            "exports": ["sh", "tests/unit/test_exports.sh",
                        self.build + "/ngx_http_taskmq_module.so"],
            "e2e": [python, "tests/e2e/run.py", test],
            "fault": [python, "tests/fault/run.py", test],
            "scripts": [python, "tests/scripts/run.py", "--ops", "0", test],
        }[kind]
        return self.run(argv, TEST_TIMEOUT_S, FAULT_RELOADS="5")


def verdict(tree, mutant):
    """(killed, words)"""
    status, out = tree.patch(mutant)
    if status != 0:
        return False, "does not apply: " + out.strip()[-200:]
    try:
        status, out = tree.prepare(mutant.kind, mutant.test)
        if status != 0:
            return False, "does not build: " + out.strip()[-300:]
        status, out = tree.check(mutant.kind, mutant.test)
    finally:
        status_back, out_back = tree.patch(mutant, "-R")
        if status_back != 0:
            raise SystemExit("%s: cannot be taken back: %s"
                             % (mutant.name, out_back))
    if status == 0:
        return False, "SURVIVED"
    return True, "does not end" if status is None else what_failed(out)


def what_failed(out):
    for pattern in (r"^FAIL: (\S+)", r"^ERROR: (\S+)",
                    r"^\[  FAILED  \] (\w+)$", r"Failed test '([^']{,60})",
                    r"^(\S+ exports: .*)",
                    r"^\[  FAILED  \] (.+)", r"(Sanitizer: \S+)",
                    r"(exited on signal \d+)", r"^FAILED (\S+)"):
        m = re.search(pattern, out, re.M)
        if m:
            return m.group(1)
    return "failed"


def baseline(tree, mutants):
    """The tests that pass without any patch; the others are of no use."""
    bad = []
    for kind, test in sorted({(m.kind, m.test) for m in mutants}):
        status, out = tree.prepare(kind, test)
        if status == 0:
            status, out = tree.check(kind, test)
        if status != 0:
            bad.append((kind, test))
            print("%s %s fails without any change:\n%s" % (kind, test,
                                                           out[-3000:]))
    return bad


def applies(mutants):
    """Whether each one still fits the files as they are; builds nothing."""
    tree = Tree.__new__(Tree)
    tree.src = ROOT
    tree.names = set()      # without git, which not every copy has
    for path, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders
                      if f not in (".git", "build", "node_modules")]
        tree.names |= {os.path.relpath(os.path.join(path, f), ROOT)
                       for f in files}
    failed = 0
    with tempfile.TemporaryDirectory() as tree.folder:
        tree.build = tree.folder
        for m in mutants:
            status, out = tree.patch(m, "--dry-run", "-f")
            if status != 0:
                failed += 1
                print("%s: does not apply: %s" % (m.name, out.strip()))
    print("%d passed, %d failed" % (len(mutants) - failed, failed))
    return 1 if failed else 0


def main():
    words = sys.argv[1:]
    mutants = [Mutant(p) for p in sorted(glob.glob(os.path.join(
        HERE, "*.patch")))]
    if words == ["--applies"]:
        return applies(mutants)
    mutants = [m for m in mutants if not words
               or any(w in m.name for w in words)]
    kept = os.environ.get("MUTANTS")
    folder = os.path.abspath(kept) if kept else tempfile.mkdtemp(
        prefix="taskmq-mutants-")
    passed = failed = 0
    rows = []
    try:
        tree = Tree(folder)
        bad = baseline(tree, mutants)
        failed += len(bad)
        # those of one kind build on each other
        for m in sorted(mutants, key=lambda m: (m.kind, m.name)):
            began = time.monotonic()
            killed, said = verdict(tree, m) if (m.kind, m.test) not in bad \
                else (False, "its test fails without it")
            passed, failed = passed + killed, failed + (not killed)
            rows.append((m, killed, said))
            print("%-7s %-34s %4.0f s  %s" % (
                "killed" if killed else "ALIVE", m.name,
                time.monotonic() - began, said), flush=True)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n| change | puts back | test | what failed |\n|---|---|---|---|")
    for m, killed, said in sorted(rows, key=lambda r: r[0].name):
        print("| %s | %s | `%s` | %s |" % (
            m.name, m.trap, m.test, said if killed else "**%s**" % said))
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
