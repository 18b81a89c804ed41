#!/usr/bin/env python3
"""Runs tests/fault/test_*.py, or those named, as tests/e2e/run.py does.

    tests/fault/run.py [test_cut [test_cut.AddJob.test_request ...]]

Standard library only; BUILD says where the built parts are.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import run  # noqa: E402  (tests/e2e/run.py)

if __name__ == "__main__":
    run.HERE = HERE
    sys.exit(run.main())
