#!/usr/bin/env python3
"""Runs tests/fault/test_*.py, or those named, as tests/e2e/run.py does:
five classes at a time, or -j N. They wait even more.

    tests/fault/run.py [-j N] [test_cut_nginx [test_redis_faults.Full ...]]

Standard library only; BUILD says where the built parts are.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.join(os.path.dirname(HERE), "e2e")

if __name__ == "__main__":
    sys.path.insert(0, E2E)
    import run              # tests/e2e/run.py
    run.HERE = HERE
    sys.exit(run.main(jobs=5))
