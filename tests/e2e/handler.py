"""The tests' own handler: does what the task's data says, and keeps a record.

    python3 handler.py RECORD

Every task appends a line when it starts and one when it is about to answer:
{"what", "id", "attempt", "t", "pid"} and the data's "name". The data may hold
"sleep" (s), "until" (a file to wait for), "fail" (error text), "retryable",
"fail_until" (attempts up to this fail), "raw" (answer with the line as it
came), "die" (exit status), "noise" (lines on stdout first), "stderr" (text),
"result".
"""

import json
import os
import sys
import time

fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def record(what, task):
    line = {"what": what, "id": task["task_id"], "attempt": task["attempt"],
            "t": time.time(), "pid": os.getpid(),
            "name": task["task_data"].get("name"), "keys": sorted(task)}
    os.write(fd, (json.dumps(line) + "\n").encode())


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    task = json.loads(line)
    data = task["task_data"]
    record("start", task)

    if "stderr" in data:
        sys.stderr.write(data["stderr"])
        sys.stderr.flush()
    if "noise" in data:
        say(data["noise"])
    if "sleep" in data:
        time.sleep(data["sleep"])
    while "until" in data and not os.path.exists(data["until"]):
        time.sleep(0.01)
    if "die" in data and task["attempt"] <= data.get("fail_until", 1):
        os._exit(data["die"])

    record("end", task)

    if "fail" in data and task["attempt"] <= data.get("fail_until", 1 << 30):
        answer = {"status": "error", "task_id": task["task_id"],
                  "error": data["fail"]}
        if "retryable" in data:
            answer["retryable"] = data["retryable"]
        say(json.dumps(answer))
    elif data.get("raw"):
        say('{"status":"success","task_id":"%s","result":%s}' % (
            task["task_id"], line.rstrip("\n")))
    else:
        answer = {"status": "success", "task_id": task["task_id"]}
        if "result" in data:
            answer["result"] = data["result"]
        say(json.dumps(answer))
