"""The smallest handler: reads a JSON line, writes a JSON line."""
import json
import sys

for line in sys.stdin:
    task = json.loads(line)
    print(json.dumps({"status": "success", "task_id": task["task_id"],
                      "result": task["attempt"]}), flush=True)
