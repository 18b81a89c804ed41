"""nginx killed, reloaded, upgraded, under load: no accepted job is lost, and a
reload or upgrade fails no request."""

import os
import signal
import subprocess
import time
import unittest

from harness import NGINX, SLOW, wait_for
from ledger import Load, bed, start_worker

RELOADS = int(os.environ.get("FAULT_RELOADS", "50"))


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return {int(x) for x in f.read().split()}


def command(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as f:
            return f.read()
    except OSError:
        return ""


class Base(unittest.TestCase):

    def bed(self, **kw):
        s = bed(**kw)
        self.addCleanup(s.close)
        start_worker(s)
        return s

    def tell(self, load, what):
        print("\n    %s: %s" % (what, ", ".join(
            "%d %s" % (load.sums[k], k) for k in (
                "requests", "accepted", "lost", "run twice", "unknown",
                "unknown, stored", "repeated"))))

    def strict(self, s):
        """Clients with a connection per request, none of which may end with
        anything but 200. (An idle keep-alive connection may be closed by
        nginx at any time; that is HTTP's way.)"""
        return Load(s, strict=True)

    def gone(self, old, began):
        wait_for(lambda: not any(os.path.exists("/proc/%d" % p)
                                 for p in old), 10 * SLOW,
                 "the old workers are gone")
        return time.monotonic() - began


class Killed(Base):

    def test_workers(self):
        """Clients do not know what became of what they had asked for; Redis
        does."""
        s = self.bed()
        s.allowed = [r"worker process \d+ exited on signal 9"]
        with Load(s) as load:
            for _ in range(8):
                load.progress(100, 100)
                old = children(s.nginx.pid)
                os.kill(min(old), signal.SIGKILL)
                wait_for(lambda: len(children(s.nginx.pid) - old) == 1, 20,
                         "a new worker")
            load.progress(100, 100)
        self.tell(load, "nginx worker: kill -9, 8 times")
        self.assertEqual(load.sums["run twice"], 0)


class Reload(Base):

    def test_reloads(self):
        s = self.bed()
        longest = 0
        with self.strict(s) as load:
            for _ in range(RELOADS):
                load.progress(10, 0)
                old = children(s.nginx.pid)
                began = time.monotonic()
                s.nginx.signal(signal.SIGHUP)
                wait_for(lambda: len(children(s.nginx.pid) - old) == 2, 20,
                         "there are new workers")
                longest = max(longest, self.gone(old, began))
            load.progress(100, 100)
        self.tell(load, "%d reloads, old workers gone within %.1f s" % (
            RELOADS, longest))
        self.assertEqual(load.ledger.wrong, [])
        self.assertEqual(load.sums["unknown"], 0)



class Upgrade(Base):
    """USR2. nginx takes it only when the process that started it has gone, so
    it is a daemon here."""

    # ends what the pid files name when its input ends, however that happens
    GUARD = """cat > /dev/null
        for f in "$1/nginx.pid" "$1/nginx.pid.oldbin"; do
            [ -f "$f" ] && kill -TERM "$(cat "$f")"
        done"""

    def bed(self):
        s = bed(nginx=False)
        self.addCleanup(s.close)
        self.pid_file = s.path("nginx.pid")
        conf = s.nginx_conf().replace("daemon off;", "")
        # secret and URL come from the environment, which a new binary does
        # not simply have
        for line in ("taskmq_jwt_secret_file jwt.secret;",
                     "taskmq_redis %s;" % s.url("nginx")):
            self.assertIn(line, conf)
            conf = conf.replace(line, "")
        s.path("nginx.conf", conf.encode())
        env = dict(os.environ, TASKMQ_JWT_SECRET=s.secret.decode(),
                   TASKMQ_REDIS_URL=s.url("nginx"))
        guard = subprocess.Popen(["sh", "-c", self.GUARD, "sh", s.dir],
                                 stdin=subprocess.PIPE,
                                 start_new_session=True)
        self.addCleanup(self.end, guard)
        subprocess.run([NGINX, "-p", s.dir, "-c", s.path("nginx.conf"), "-e",
                        s.path("error.log")], check=True, env=env)
        self.master = wait_for(self.read_pid, 20, "nginx has started")
        start_worker(s)
        return s

    def read_pid(self, name=""):
        try:
            with open(self.pid_file + name) as f:
                return int(f.read())
        except (FileNotFoundError, ValueError):
            return None

    def end(self, guard):
        guard.stdin.close()
        guard.wait()
        wait_for(lambda: self.read_pid() is None, 30, "nginx has ended")

    def new_master(self, old):
        """USR2; when it has its workers."""
        os.kill(old, signal.SIGUSR2)

        def there():
            pid = self.read_pid()
            return pid and pid != old and self.read_pid(".oldbin") == old \
                and len(children(pid)) == 2 and pid

        return wait_for(there, 30, "a new master with workers")

    def quit(self, master):
        """QUIT; how long its workers and it took."""
        old = children(master) | {master}
        # a new master is a child of the old one
        old -= {p for p in old if p == self.read_pid()}
        old = {p for p in old if p == master
               or "worker process" in command(p)}
        began = time.monotonic()
        os.kill(master, signal.SIGQUIT)
        return self.gone(old, began)

    def test_twice(self):
        """And then a reload: what is inherited is inherited again."""
        s = self.bed()
        longest = 0
        with self.strict(s) as load:
            for _ in range(2):
                load.progress(100, 100)
                new = self.new_master(self.master)
                load.progress(100, 100)
                longest = max(longest, self.quit(self.master))
                self.master = new
            load.progress(100, 100)
            old = children(self.master)
            began = time.monotonic()
            os.kill(self.master, signal.SIGHUP)
            self.gone(old, began)
            load.progress(100, 100)
        self.tell(load, "two upgrades, old workers gone within %.1f s"
                  % longest)
        self.assertEqual(load.ledger.wrong, [])
        self.assertEqual(load.sums["unknown"], 0)

    def test_taken_back(self):
        """The new master is ended, the old one stays."""
        s = self.bed()
        with self.strict(s) as load:
            load.progress(100, 100)
            new = self.new_master(self.master)
            load.progress(100, 100)
            workers = children(new)
            began = time.monotonic()
            os.kill(new, signal.SIGQUIT)
            self.gone(workers, began)
            wait_for(lambda: self.read_pid() == self.master, 20,
                     "the old master is the only one")
            load.progress(100, 100)
        self.tell(load, "an upgrade taken back")
        self.assertEqual(load.ledger.wrong, [])
        self.assertEqual(load.sums["unknown"], 0)


if __name__ == "__main__":
    unittest.main()
