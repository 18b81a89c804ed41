"""A handler that looks for what is not its business: what it was given, and
what it can read of its worker. Answers each task with what it found."""

import json
import os
import resource
import sys


def status(name):
    with open("/proc/self/status") as f:
        return next(line.split()[1] for line in f
                    if line.startswith(name + ":"))


def attempt(f):
    """"denied", or what came of it."""
    try:
        return repr(f())[:8192]
    except PermissionError:
        return "denied"


def read(path):
    with open(path, "rb") as f:
        return f.read(4096)


def reach(pid):
    """What would change another process; here nothing does."""
    core = resource.RLIMIT_CORE
    return {name: attempt(f) for name, f in (
        ("signal", lambda: os.kill(pid, 0)),
        ("limit", lambda: resource.prlimit(
            pid, core, resource.prlimit(pid, core))),
        ("renice", lambda: os.setpriority(
            os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))),
        ("pin", lambda: os.sched_setaffinity(
            pid, os.sched_getaffinity(pid))))}


def found():
    parent = "/proc/%d/" % os.getppid()
    with open("/proc/self/environ", "rb") as f:
        environ = f.read().replace(b"\0", b"\n").decode("utf-8", "replace")
    return {
        "environ": environ,
        "caps": {name: int(status(name), 16) for name in (
            "CapInh", "CapPrm", "CapEff", "CapAmb")},
        "bounding": int(status("CapBnd"), 16),
        "no_new_privs": status("NoNewPrivs"),
        "uid": os.geteuid(),
        "fds": {fd: os.readlink("/proc/self/fd/" + fd)
                for fd in os.listdir("/proc/self/fd")
                if os.path.exists("/proc/self/fd/" + fd)},
        "reach": reach(os.getppid()),
        "parent": {name: attempt(f) for name, f in (
            ("environ", lambda: read(parent + "environ")),
            ("mem", lambda: open(parent + "mem", "rb")),
            ("maps", lambda: read(parent + "maps")),
            ("fd", lambda: os.readlink(parent + "fd/0")))},
    }


for line in sys.stdin:
    print(json.dumps({"status": "success", "result": found()}), flush=True)
