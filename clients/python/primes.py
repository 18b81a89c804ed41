#!/usr/bin/env python3
"""A handler: {"limit": N} -> how many primes up to N, and the largest.

handlers.toml:
    [handlers.primes]
    command = ["python3", "clients/python/primes.py"]
"""

import json
import sys

DEFAULT_LIMIT = 1000000
MAX_LIMIT = 10000000


class BadInput(Exception):
    """Trying again would not help."""


def primes(data):
    limit = data.get("limit", DEFAULT_LIMIT)
    if type(limit) is not int or not 0 <= limit <= MAX_LIMIT:
        raise BadInput("limit must be an integer from 0 to %d" % MAX_LIMIT)
    sieve = bytearray([1]) * (limit + 1)
    sieve[:2] = bytes(len(sieve[:2]))
    for n in range(2, int(limit ** 0.5) + 1):
        if sieve[n]:
            multiples = range(n * n, limit + 1, n)
            sieve[n * n::n] = bytes(len(multiples))
    return {"limit": limit, "count": sieve.count(1),
            "largest": max(sieve.rfind(1), 0)}


# Every answer carries the task's id: it is never taken for another's.
def answer(line):
    task_id = None
    try:
        task = json.loads(line)
        task_id = task["task_id"]
        return {"status": "success", "task_id": task_id,
                "result": primes(task["task_data"])}
    except BadInput as err:
        return {"status": "error", "task_id": task_id, "error": str(err),
                "retryable": False}
    except Exception as err:                # a bug, or the machine: try again
        print("task failed: %r" % err, file=sys.stderr)
        return {"status": "error", "task_id": task_id, "error": repr(err),
                "retryable": True}


# stdout belongs to the protocol: everything else goes to stderr, which is the
# job's log. The loop ends with the input; the exit status is then 0.
for request in sys.stdin:
    print(json.dumps(answer(request)), flush=True)
