#!/usr/bin/env python3
"""Runs the modules tests/fault/test_*.py, or those named, two at a time
(they wait more than they compute), shows each one's output when it has ended,
and ends with "N passed, N failed". Skipped tests are listed.

    tests/fault/run.py [-j N] [test_cut [test_cut.AddJob ...]]

Standard library only; BUILD says where the built parts are.
"""

import glob
import os
import re
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.join(os.path.dirname(HERE), "e2e")
# the long ones first
ORDER = ["test_fake_worker", "test_fake_leases", "test_fake_nginx"]


def one(name):
    sys.path[:0] = [E2E, HERE]
    import run as e2e           # tests/e2e/run.py
    e2e.HERE = HERE
    sys.argv = ["run.py", name]
    return e2e.main()


def main(argv):
    if argv[:1] == ["--one"]:
        return one(argv[1])
    jobs = 2
    if argv[:1] == ["-j"]:
        jobs, argv = int(argv[1]), argv[2:]
    names = argv or sorted(
        (os.path.basename(p)[:-3]
         for p in glob.glob(os.path.join(HERE, "test_*.py"))),
        key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    left, lock = list(names), threading.Lock()
    total = [0, 0]

    def work():
        while True:
            with lock:
                if not left:
                    return
                name = left.pop(0)
            p = subprocess.run(
                [sys.executable, os.path.abspath(__file__), "--one", name],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace")
            said = re.findall(r"^(\d+) passed, (\d+) failed$", p.stdout, re.M)
            with lock:
                print("---- %s" % name)
                print(re.sub(r"^(\d+) passed, (\d+) failed$", r"\1 of them "
                             r"passed, \2 did not", p.stdout, flags=re.M),
                      flush=True)
                if not said or (p.returncode != 0 and said[-1][1] == "0"):
                    print("%s: exit status %d" % (name, p.returncode))
                    total[1] += 1
                if said:
                    total[0] += int(said[-1][0])
                    total[1] += int(said[-1][1])

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("%d passed, %d failed" % tuple(total))
    return 0 if total[1] == 0 and total[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
