"""Processes: started on given CPUs, measured with their descendants, ended by
their own id. A process belongs to a role (front, worker, store, load), and
figures are given per role."""

import os
import shlex
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A system could not be run: says why, ends that system's row."""


def wait_for(cond, timeout, what, proc=None):
    """Calls cond() until it is true; returns its value."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        try:
            value = cond()
        except OSError:
            value = None
        if value:
            return value
        if proc is not None and not proc.alive():
            raise Failed("%s ended (%s): %s" % (proc.name, what, proc.tail()))
        if time.monotonic() > end:
            raise Failed("not within %g s: %s%s" % (
                timeout, what, ": " + proc.tail() if proc else ""))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def pinned(cpus, argv):
    """argv on those CPUs only; None: on all."""
    return argv if cpus is None else ["taskset", "-c", str(cpus)] + argv


def _stat(pid):
    """parent, ticks of its own, ticks of its ended children"""
    with open("/proc/%d/stat" % pid) as f:
        text = f.read()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[1]), int(fields[11]) + int(fields[12]),
            int(fields[13]) + int(fields[14]))


def _peak_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def tree(root):
    """root and what it started, as pids."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(_stat(int(name))[0], []).append(int(name))
            except (OSError, ValueError):
                pass
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


class Proc:
    def __init__(self, role, name, argv, cpus, log, env=None, cwd=None,
                 stdin=None):
        self.role, self.name, self.log = role, name, log
        self.argv = pinned(cpus, argv)
        full = ["setpriv", "--pdeathsig", "KILL", "--"] + self.argv
        with open(log, "ab") as out:
            try:
                self.proc = subprocess.Popen(
                    full, stdin=stdin or subprocess.DEVNULL, stdout=out,
                    stderr=out, cwd=cwd, start_new_session=True,
                    env=dict(os.environ, **env) if env else None)
            except OSError as e:
                raise Failed("%s: %s" % (name, e)) from None
        self.pid = self.proc.pid

    @property
    def command(self):
        return " ".join(shlex.quote(a) for a in self.argv)

    def alive(self):
        return self.proc.poll() is None

    def cpu(self):
        """CPU seconds so far, descendants' too."""
        ticks = 0
        for pid in tree(self.pid):
            try:
                _, own, ended = _stat(pid)
                ticks += own + ended
            except OSError:
                pass
        return ticks / TICK

    def peak_kb(self):
        kb = 0
        for pid in tree(self.pid):
            try:
                kb += _peak_kb(pid)
            except OSError:
                pass
        return kb

    def tail(self, n=1500):
        with open(self.log, errors="replace") as f:
            return f.read()[-n:].strip()

    def stop(self, sig=signal.SIGTERM, timeout=15):
        if self.alive():
            os.kill(self.pid, sig)
            try:
                self.proc.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)   # its own session
                self.proc.wait()
        else:
            self.proc.wait()


def run(argv, cpus=None, timeout=600, **kw):
    """Runs a command to its end; its output. Not zero is Failed."""
    try:
        r = subprocess.run(pinned(cpus, argv), capture_output=True,
                           timeout=timeout, text=True, **kw)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed("%s: %s" % (argv[0], e)) from None
    if r.returncode != 0:
        raise Failed("%s: exit status %d: %s" % (
            argv[0], r.returncode, (r.stdout + r.stderr)[-1500:].strip()))
    return r.stdout
