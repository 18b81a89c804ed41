"""A handler that looks for what is not its business: what it was given, and
what it can read of its worker. Answers each task with what it found."""

import fcntl
import json
import os
import resource
import sys
import termios


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
    except OSError as e:
        return e.strerror


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


def type_into(path):
    """As if somebody had typed ^C there."""
    with open(path, "r+b", 0, opener=lambda name, flags: os.open(
            name, flags | os.O_NOCTTY)) as f:
        fcntl.ioctl(f, termios.TIOCSTI, b"\x03")


def terminal(name):
    return {path: attempt(lambda: type_into(path))
            for path in ("/dev/tty", name)}


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
        "session": os.getsid(0) == os.getpid(),
        "autogroup": [open("/proc/%s/autogroup" % pid).read().split()[0]
                      for pid in ("self", os.getppid())
                      if os.path.exists("/proc/self/autogroup")],
        "reach": reach(os.getppid()),
        "parent": {name: attempt(f) for name, f in (
            ("environ", lambda: read(parent + "environ")),
            ("mem", lambda: open(parent + "mem", "rb")),
            ("maps", lambda: read(parent + "maps")),
            ("fd", lambda: os.readlink(parent + "fd/0")))},
    }


for line in sys.stdin:
    tty = json.loads(line)["task_data"].get("tty")
    print(json.dumps({"status": "success", "result":
                      terminal(tty) if tty else found()}), flush=True)
