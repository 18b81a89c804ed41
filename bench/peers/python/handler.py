"""The smallest handler: reads a JSON line, works so many microseconds of its own
CPU time (the first argument; none without it), writes a JSON line."""
import json
import sys
import time

work = 1000 * int(sys.argv[1]) if len(sys.argv) > 1 else 0

for line in sys.stdin:
    task = json.loads(line)
    if work:
        end = time.thread_time_ns() + work
        while time.thread_time_ns() < end:
            pass
    print(json.dumps({"status": "success", "task_id": task["task_id"],
                      "result": task["attempt"]}), flush=True)
