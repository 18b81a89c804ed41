#!/usr/bin/env python3
"""Runs tests/e2e/test_*.py, or those named, and ends with
"N passed, N failed". A skipped test is listed and counts as neither.

    tests/e2e/run.py [-j N] [test_main_job [test_cli.Jobs.test_config ...]]

Each file runs in a process of its own, N files at a time (3 unless given: they
wait more than they compute), so that one that hangs or dies does not take the
others along. Files that measure
time say so with a line `ALONE = True` and run one after another at the end.
"""

import concurrent.futures
import glob
import json
import os
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))  # tests/fault sets its own
FILE_TIMEOUT_S = 900
MARK = "@@result "


class Result(unittest.TextTestResult):
    """Says what slow tests took, and counts."""

    def __init__(self, *args):
        super().__init__(*args)
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test):
        took = time.monotonic() - self.began
        if took >= 1:
            self.stream.writeln("    %.1f s" % took)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def one(folder, names):
    """The tests of one file, in this process."""
    # ignored where a shell started us in the background, and then by all that
    # we start, shells included: those cannot trap it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, folder)
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2,
                                     resultclass=Result)
    r = runner.run(suite)
    failed = len(r.failures) + len(r.errors) + len(r.unexpectedSuccesses)
    sys.stdout.flush()
    print(MARK + json.dumps(
        [r.passed, failed, ["%s: %s" % (t, why) for t, why in r.skipped]]))


def run_file(names):
    """One file's names in a process group of their own."""
    p = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", sys.executable,
         os.path.abspath(__file__), "--one", HERE] + names,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True)
    try:
        text, _ = p.communicate(timeout=FILE_TIMEOUT_S)
        why = "ended with status %d" % p.returncode
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        text, _ = p.communicate()
        why = "did not end within %d s" % FILE_TIMEOUT_S
    except BaseException:
        os.killpg(p.pid, signal.SIGTERM)
        raise
    body, mark, last = text.rpartition(MARK)
    if not mark:
        return text + "%s %s\n" % (" ".join(names), why), 0, 1, []
    return (body,) + tuple(json.loads(last))


def alone(name):
    try:
        with open(os.path.join(HERE, name + ".py")) as f:
            return "ALONE = True\n" in f.read()
    except OSError:
        return False


def main(jobs=3):
    args = sys.argv[1:]
    if args[:1] == ["--one"]:
        one(args[1], args[2:])
        return 0
    if args[:1] == ["-j"]:
        jobs, args = int(args[1]), args[2:]

    files = {}
    for name in args or sorted(
            os.path.basename(p)[:-3]
            for p in glob.glob(os.path.join(HERE, "test_*.py"))):
        files.setdefault(name.split(".")[0], []).append(name)

    passed, failed, skipped = 0, 0, []
    for names, n in (([f for f in files if not alone(f)], jobs),
                     ([f for f in files if alone(f)], 1)):
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            for text, ok, bad, left in pool.map(
                    lambda f: run_file(files[f]), names):
                sys.stdout.write(text)
                sys.stdout.flush()
                passed, failed = passed + ok, failed + bad
                skipped += left

    for line in skipped:
        print("skipped: " + line)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
