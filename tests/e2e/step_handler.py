"""A handler that leaves the step of its tasks as they say; for prefetch, where
their lines lie ready. The data may hold "swap" (answers the next task first,
with its task_id), "early" (answers before the line was read, then goes on),
"log" (text for stderr, in the middle of the task), "until" (a file to wait
for), "say" (a line before the answer), "pause" (s, after that), "no_answer",
"no_id", "echo". Lines that are no task are written to the file of the first
argument."""

import json
import os
import re
import sys
import time

rest = b""


def say(answer):
    os.write(1, json.dumps(answer).encode() + b"\n")


def line():
    """The next line; None at the end of input. Of one with "early" only the
    beginning, the rest is the next line."""
    global rest
    while b"\n" not in rest:
        got = os.read(0, 4096)
        if not got:
            return None
        rest += got
        if b'"early"' in rest:
            task_id = re.match(rb'{"task_id":"(.*?)"', rest)[1]
            rest = b""
            return b'{"task_id":"%s","task_data":{"early":1}}' % task_id
    one, rest = rest.split(b"\n", 1)
    return one


def answer(task):
    one = {"status": "success", "task_id": task["task_id"],
           "result": task["task_data"].get("echo")}
    if task["task_data"].get("no_id"):
        del one["task_id"]
    say(one)


while (text := line()) is not None:
    try:
        task = json.loads(text)
    except ValueError:
        with open(sys.argv[1], "ab") as f:
            f.write(text[:100] + b"\n")
        continue
    data = task["task_data"]
    if "early" in data:
        answer(task)
    elif "swap" in data:
        answer(json.loads(line()))
        answer(task)
    else:
        while "until" in data and not os.path.exists(data["until"]):
            time.sleep(0.01)
        if "log" in data:
            time.sleep(0.05)
            os.write(2, data["log"].encode() + b"\n")
            time.sleep(0.05)
        if "say" in data:
            os.write(1, data["say"].encode() + b"\n")
            time.sleep(data.get("pause", 0))
        if not data.get("no_answer"):
            answer(task)
