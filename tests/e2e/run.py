#!/usr/bin/env python3
"""Runs tests/e2e/test_*.py, or those named, and ends with
"N passed, N failed". A skipped test is listed and counts as neither.

    tests/e2e/run.py [test_main_job [test_main_job.Jobs.test_200 ...]]
"""

import glob
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TextTestResult):
    """Says what each test took, and counts."""

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


def main():
    sys.path.insert(0, HERE)
    names = sys.argv[1:] or sorted(
        os.path.basename(p)[:-3]
        for p in glob.glob(os.path.join(HERE, "test_*.py")))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    result = runner.run(suite)
    sys.stderr.flush()
    failed = (len(result.failures) + len(result.errors)
              + len(result.unexpectedSuccesses))
    for test, why in result.skipped:
        print("skipped: %s: %s" % (test, why))
    print("%d passed, %d failed" % (result.passed, failed))
    return 0 if failed == 0 and result.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
