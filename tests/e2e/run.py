#!/usr/bin/env python3
"""Runs tests/e2e/test_*.py, or those named, and ends with
"N passed, N failed". A skipped test is listed and counts as neither.

    tests/e2e/run.py [-j N] [test_main_job [test_cli.Jobs.test_config ...]]

Each class of tests runs in a process of its own, N at a time (4 unless given:
they wait more than they compute), so that one that hangs or dies does not take
the others along. A file says where it goes: with a line `ALONE = True` its
classes, which measure time, run one after another at the end; with
`FIRST = True` they begin before all others, because they take long; with
`EACH = True` each test has a process of its own, because most of them wait.
"""

import concurrent.futures
import glob
import json
import os
import resource
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
    used = sum(getattr(resource.getrusage(who), name)
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
               for name in ("ru_utime", "ru_stime"))
    print(MARK + json.dumps(
        [r.passed, failed, ["%s: %s" % (t, why) for t, why in r.skipped],
         used]))


def list_tests(folder, files):
    """Prints {file: its tests, "Class.test"}. One that cannot be loaded has
    none: it is run as a whole, to say why."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, folder)

    def tests(suite):
        for x in suite:
            yield from tests(x) if isinstance(x, unittest.TestSuite) else [x]

    print(MARK + json.dumps({
        name: [t.id().partition(".")[2] for t in tests(
            unittest.defaultTestLoader.loadTestsFromName(name))
            if type(t).__module__ == name] for name in files}))


def work(names):
    """[(file, names of tests)]: what is run in one process each."""
    whole = [name for name in names if "." not in name]
    out = whole and subprocess.run(
        [sys.executable, os.path.abspath(__file__), "--list", HERE] + whole,
        stdout=subprocess.PIPE, text=True).stdout.rpartition(MARK)[2]
    found = json.loads(out or "{}")
    units = {}
    for name in names:
        depth = 2 if says(name, "EACH = True") else 1
        keys = {".".join([name] + test.split(".")[:depth])
                for test in found.get(name, [])}
        for key in sorted(keys) or [name]:
            unit = key if key in keys else ".".join(key.split(".")[:2])
            units.setdefault(unit, []).append(key)
    return [(key.split(".")[0], tests) for key, tests in units.items()]


def run_one(names):
    """Some names of one file in a process group of their own."""
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
        return text + "%s %s\n" % (" ".join(names), why), 0, 1, [], 0
    return (body,) + tuple(json.loads(last))


def timed(names):
    began = time.monotonic()
    result = run_one(names)
    return time.monotonic() - began, " ".join(names), result


def says(name, line):
    """Whether the file has this line."""
    try:
        with open(os.path.join(HERE, name + ".py")) as f:
            return line + "\n" in f.read()
    except OSError:
        return False


def main(jobs=4):
    # under nohup the programs that are tested would ignore it, too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    args = sys.argv[1:]
    if args[:1] == ["--one"]:
        one(args[1], args[2:])
        return 0
    if args[:1] == ["--list"]:
        list_tests(args[1], args[2:])
        return 0
    if args[:1] == ["-j"]:
        jobs, args = int(args[1]), args[2:]

    units = work(args or sorted(
        os.path.basename(p)[:-3]
        for p in glob.glob(os.path.join(HERE, "test_*.py"))))
    units.sort(key=lambda unit: not says(unit[0], "FIRST = True"))
    parts = {True: [], False: []}
    for file, names in units:
        parts[says(file, "ALONE = True")].append(names)

    passed, failed, skipped, times = 0, 0, [], []
    for names, n in (parts[False], jobs), (parts[True], 1):
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            for done in concurrent.futures.as_completed(
                    pool.submit(timed, x) for x in names):
                took, who, (text, ok, bad, left, used) = done.result()
                sys.stdout.write("==== %s: %.0f s, %.0f s of a processor\n%s"
                                 % (who, took, used, text))
                sys.stdout.flush()
                passed, failed = passed + ok, failed + bad
                skipped += left
                times.append((took, who))

    print("longest: " + ", ".join("%s %.0f s" % (who, took) for took, who in
                                  sorted(times, reverse=True)[:10]))
    for line in skipped:
        print("skipped: " + line)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
