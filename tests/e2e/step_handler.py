"""A handler that leaves the step of its tasks as they say. The data may hold
"early" (answers before the line was read, then goes on), "log" (text for
stderr, which is taken before the answer), "say" (a line before the answer),
"pause" (s, after that), "no_answer", "no_id", "id" (instead of the task's), "echo". Lines
that are no task are written to the file of the first argument."""

import fcntl
import json
import os
import re
import struct
import sys
import termios
import time

rest = b""


def unread(pipe):
    """How many bytes of what was written nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[
        0]


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


while (text := line()) is not None:
    try:
        task = json.loads(text)
    except ValueError:
        with open(sys.argv[1], "ab") as f:
            f.write(text[:100] + b"\n")
        continue
    data = task["task_data"]
    if "log" in data:
        os.write(2, data["log"].encode() + b"\n")
        while unread(2):
            time.sleep(0.001)
    if "say" in data:
        os.write(1, data["say"].encode() + b"\n")
        time.sleep(data.get("pause", 0))
    if not data.get("no_answer"):
        answer = {"status": "success", "result": data.get("echo"),
                  "task_id": data.get("id", task["task_id"])}
        if data.get("no_id"):
            del answer["task_id"]
        os.write(1, json.dumps(answer).encode() + b"\n")
