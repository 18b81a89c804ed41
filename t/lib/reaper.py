#!/usr/bin/env python3
"""Runs a command and buries what it orphans, as init does.

In a container whose first process is slow to reap, an nginx that has ended
stays visible as a zombie for seconds, and tests that look for its pid wait.
"""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36

ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
command = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])



def forward(number, frame):
    try:
        os.kill(command, number)
    except ProcessLookupError:
        pass


for name in (signal.SIGINT, signal.SIGTERM):
    signal.signal(name, forward)

status = None
while status is None:
    pid, code = os.wait()
    if pid == command:
        status = os.waitstatus_to_exitcode(code)

sys.exit(status if status >= 0 else 128 - status)
