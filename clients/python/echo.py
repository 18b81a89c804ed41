#!/usr/bin/env python3
"""A handler that answers with what it was sent. No dependency.

handlers.toml:
    [handlers.echo]
    command = ["python3", "clients/python/echo.py"]
"""

import json
import sys

# The loop ends when the worker closes stdin; the exit status is then 0.
for line in sys.stdin:
    task = json.loads(line)
    print("task %(task_id)s, attempt %(attempt)d" % task, file=sys.stderr,
          flush=True)
    print(json.dumps({"status": "success", "task_id": task["task_id"],
                      "result": task["task_data"]}), flush=True)
