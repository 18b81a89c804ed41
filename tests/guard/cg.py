"""Programs under callgrind: started, counted in parts, ended."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time


class Broken(Exception):
    pass


def wait_for(cond, timeout, what):
    end = time.monotonic() + timeout
    while True:
        try:
            if cond():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise Broken("not within %d s: %s" % (timeout, what))
        time.sleep(0.02)


class Folder:
    """A temporary folder and the processes in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="taskmq-guard-")
        self.procs = []

    def path(self, name, text=None):
        p = os.path.join(self.dir, name)
        if text is not None:
            with open(p, "w") as f:
                f.write(text)
        return p

    def start(self, name, argv):
        with open(self.path(name + ".log"), "ab") as out:
            p = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--"] + argv,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.dir)
        self.procs.append(p)
        return p

    def log(self, name):
        with open(self.path(name + ".log"), errors="replace") as f:
            return f.read()[-2000:]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p in reversed(self.procs):
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Counted:
    """A program whose instructions are counted from mark() to count()."""

    def __init__(self, folder, name, argv):
        self.folder, self.name = folder, name
        self.out = folder.path(name + ".callgrind")
        self.proc = folder.start(name, [
            "valgrind", "--tool=callgrind", "--callgrind-out-file=" + self.out,
            "--trace-children=no"] + argv)
        self.dumps = 0

    def _control(self, *args):
        # callgrind_control finds the process by its files in the temporary
        # folder; with the id it asks no other
        r = subprocess.run(["callgrind_control", *args, str(self.proc.pid)],
                           capture_output=True, text=True)
        if r.returncode != 0 or "Error" in r.stdout + r.stderr:
            raise Broken("callgrind_control: %s%s%s" % (
                r.stdout, r.stderr, self.folder.log(self.name)))

    def mark(self):
        self._control("-z")

    def count(self):
        self._control("-d")
        self.dumps += 1
        return total("%s.%d" % (self.out, self.dumps))

    def end(self, timeout=60):
        """Ends it by TERM; the instructions of all of its life."""
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(timeout)
        return total(self.out)


def total(path):
    def there():
        with open(path) as f:
            return re.search(r"^(?:summary|totals): \d+", f.read(), re.M)
    wait_for(there, 20, path)
    with open(path) as f:
        text = f.read()
    m = re.search(r"^totals: (\d+)", text, re.M) \
        or re.search(r"^summary: (\d+)", text, re.M)
    return int(m.group(1))
