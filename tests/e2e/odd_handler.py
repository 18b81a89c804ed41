"""A handler that misbehaves as its task says. {"do": NAME, …}; see below."""

import json
import os
import signal
import subprocess
import sys
import time


def say(data):
    os.write(1, data)


def success(result=None):
    say(json.dumps({"status": "success", "result": result}).encode() + b"\n")


def status_line(name):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(name + ":"):
                return line.split(":")[1].strip()
    return None


def run(task, data):
    do = data["do"]
    if do == "ok":
        success(data.get("result"))
    elif do == "raw":                       # bytes as they are
        say(bytes.fromhex(data["hex"]))
        if data.get("then") == "exit":
            os._exit(data.get("status", 0))
        if data.get("then") == "answer":
            success("after")
    elif do == "write":                     # so many bytes, "{" first or not
        say(data["first"].encode())
        left = data["bytes"] - len(data["first"])
        while left > 0:
            left -= os.write(1, b"x" * min(left, 65536))
        if data.get("newline", True):
            say(b"\n")
        if data.get("answer"):
            success("after")
    elif do == "big":                       # a result of so many bytes
        success("x" * (data["bytes"] - 2))
    elif do == "twice":
        line = b'{"status":"success","result":1}\n'
        say(line + line)
    elif do == "exit":
        os._exit(data["status"])
    elif do == "kill":
        os.kill(os.getpid(), data["signal"])
    elif do == "close":
        os.close(data["fd"])
        time.sleep(60)
    elif do == "stderr":
        left = data["bytes"]
        while left > 0:
            left -= os.write(2, (b"e" * 99 + b"\n") * min(650, left // 100))
        os.write(2, b"the end\n")
        success()
    elif do == "stubborn":                  # TERM is not enough
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(data["mark"], "w") as f:
            f.write(str(os.getpid()))
        time.sleep(60)
    elif do == "family":                    # a child of its own
        p = subprocess.Popen(["sleep", "600"])
        with open(data["mark"], "w") as f:
            f.write(str(p.pid))
        if data.get("then") == "exit":
            os._exit(5)
        if data.get("then") == "answer":
            success(p.pid)
        else:
            time.sleep(60)
    elif do == "escape":                    # a child in a session of its own
        p = subprocess.Popen(["sleep", "600"], start_new_session=True)
        with open(data["mark"], "w") as f:
            f.write(str(p.pid))
        os._exit(5)
    elif do == "look":                      # at itself
        success({
            "env": dict(os.environ), "cwd": os.getcwd(),
            "fds": sorted(int(x) for x in os.listdir("/proc/self/fd")),
            "pid": os.getpid(), "pgid": os.getpgid(0),
            "sid": os.getsid(0),
            "nnp": status_line("NoNewPrivs"),
            "blocked": status_line("SigBlk"),
            "ignored": status_line("SigIgn"), "task": task})
    elif do == "sleep":
        time.sleep(data["s"])
        success()
    elif do == "until":                     # there is such a file
        while not os.path.exists(data["file"]):
            time.sleep(0.01)
        success()
    else:
        raise ValueError(do)


for text in sys.stdin:
    one = json.loads(text)
    run(one, one["task_data"])
