"""Plays the handler's side of one of transcripts/*.jsonl.

    python3 sdk_player.py TRANSCRIPT

Looks a task up by its data's "case" and its attempt, and answers with the
bytes that were recorded, after the recorded time; exits where the recorded
program exited. A line with keys that the SDKs do not know is played as the
SDK took it. A task that comes while one is in flight ends the player with
status 99, which the tests never expect.
"""

import json
import os
import select
import sys

KEYS = ["task_id", "task_type", "task_data", "attempt"]

rows = {}
with open(sys.argv[1], encoding="utf-8") as f:
    for text in f:
        row = json.loads(text)
        rows[row.get("case"), row.get("attempt")] = row


def play(row):
    if select.select([0], [], [], row.get("after_ms", 0) / 1000)[0]:
        if os.read(0, 1):
            sys.stderr.write("a second task while one is in flight\n")
            os._exit(99)
    for out in row["out"]:
        sys.stdout.buffer.write(out.encode())
        sys.stdout.buffer.flush()
    if row.get("exit") is not None:
        os._exit(row["exit"])


pending = b""
while True:
    chunk = os.read(0, 65536)
    if not chunk:
        break
    pending += chunk
    if not pending.endswith(b"\n"):
        continue
    line, pending = pending, b""
    if line.count(b"\n") != 1:
        sys.stderr.write("not one line: %r\n" % line)
        os._exit(99)
    task = json.loads(line)
    if list(task) != KEYS:
        play(rows["unknown key", 1])
    else:
        play(rows[task["task_data"]["case"], task["attempt"]]
             if (task["task_data"]["case"], task["attempt"]) in rows
             else rows[task["task_data"]["case"], 1])

play(rows["end of input", None])
