"""The ledger's handler: notes that a job ran, then answers.

    python3 mark_handler.py FILE

Appends the job's serial number, `n` of its data, as a line to FILE (one write
of a few bytes to a file opened with O_APPEND: whole or not at all), waits `ms`
milliseconds, if any, and succeeds. Reads as little of the line as it can: a
million of these are run.
"""

import os
import re
import sys
import time

fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
data = re.compile(rb'"task_data":\{"n":(\d+)(?:,"ms":(\d+))?\}')

for line in sys.stdin.buffer:
    n, ms = data.search(line).groups()
    os.write(fd, n + b"\n")
    if ms:
        time.sleep(int(ms) / 1000)
    os.write(1, b'{"status":"success"}\n')
