"""Real faults of a real Redis, under load: every job that was accepted is
there and has run, and everything goes on without a restart of ours."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from cut_proxy import CutProxy
from harness import Redis, free_port, wait_for
from ledger import Load, bed, start_worker


def pause(seconds):
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, seconds + 10)


class Faults(unittest.TestCase):

    def bed(self, workers=2, **kw):
        kw.setdefault("server", "taskmq_redis_timeout 1s;")
        s = bed(**kw)
        self.addCleanup(s.close)
        for _ in range(workers):
            start_worker(s)
        return s

    def health(self, s):
        return s.get("/health", token=None)

    def unhealthy(self, s, words):
        def there():
            h = self.health(s)
            return h.status == 503 and words in h.json()["detail"]
        wait_for(there, 20, "/health: " + words)

    def metric(self, s, result):
        return self.sample(s, 'taskmq_redis_calls_total{result="%s"}'
                           % result)

    def reason(self, s, reason):
        return self.sample(s, 'taskmq_redis_errors_total{reason="%s"}'
                           % reason)

    def sample(self, s, name):
        text = s.get("/monitor/metrics", token=None).body.decode()
        return int(re.search(re.escape(name) + r" (\d+)", text).group(1))

    def restart(self, s):
        s.server = s.start("redis", s.redis_argv)
        s._redis = None

        def up():
            try:
                return s.redis("PING") == "PONG"
            except (OSError, RuntimeError):
                s._redis = None
                return False

        wait_for(up, 60, "Redis is back")

    def tell(self, load, what):
        print("\n    %s: %s" % (what, ", ".join(
            "%d %s" % (load.sums[k], k) for k in (
                "accepted", "lost", "ended wrong", "run twice", "unknown",
                "unknown, stored", "refused"))))

    def no_crash(self, s):
        """Nobody's lease was taken, no worker or nginx worker was replaced."""
        self.assertEqual(s.stat("crashes"), 0)
        self.assertNotIn("exited on signal", s.error_log())
        for p in s.processes:
            if p.name == "worker":
                self.assertTrue(p.alive(), p.tail())


class Killed(Faults):

    def test_always(self):
        """appendfsync always: a 200 is on disk."""
        s = self.bed()
        with Load(s) as load:
            for _ in range(4):
                load.progress()
                s.server.kill()
                self.unhealthy(s, "")
                self.restart(s)
            load.progress()
        self.tell(load, "kill -9, always, 4 times")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_everysec(self):
        """What is lost, if anything, was accepted in the last two seconds."""
        s = self.bed(redis_args=("--appendfsync", "everysec"))
        with Load(s, verify=False) as load:
            load.progress(1000, 1000)
            killed = time.monotonic()
            s.server.kill()
            for c in load.clients.all:      # no new ids in place of lost ones
                c.stop = True
            self.restart(s)
        self.tell(load, "kill -9, everysec")
        late = [killed - load.ledger.when[n] for n in load.ledger.lost]
        self.assertLess(max(late, default=0), 2.5)
        for what in ("stored twice", "not run", "ended wrong"):
            self.assertEqual(load.sums[what], 0, what)
        self.no_crash(s)


class Silent(Faults):

    def test_stopped(self):
        """SIGSTOP: shorter than a call's time, and longer."""
        s = self.bed()
        with Load(s) as load:
            for seconds in (0.3, 2.5, 0.3, 4):
                load.progress()
                s.server.signal(signal.SIGSTOP)
                if seconds > 2:
                    self.unhealthy(s, "")
                else:
                    pause(seconds)
                s.server.signal(signal.SIGCONT)
            load.progress()
        self.tell(load, "stopped 4 times")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_stopped_for_longer_than_the_lease(self):
        """Nobody is taken for dead because Redis was."""
        s = self.bed(lease=2)
        with Load(s, ms=(300,)) as load:
            load.progress()
            s.server.signal(signal.SIGSTOP)
            pause(5)
            s.server.signal(signal.SIGCONT)
            load.progress()
        self.tell(load, "stopped for 5 s with a lease of 2 s")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_paused(self):
        s = self.bed()
        with Load(s) as load:
            for args in (("300", "WRITE"), ("2500", "WRITE"), ("300", "ALL"),
                         ("2500", "ALL")):
                load.progress()
                s.redis("CLIENT", "PAUSE", *args)
            load.progress()
        self.tell(load, "CLIENT PAUSE 4 times")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)


class Small(Faults):

    def test_connections_killed(self):
        s = self.bed()
        with Load(s) as load:
            for _ in range(8):
                load.progress(100, 100)
                s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            load.progress()
        self.tell(load, "CLIENT KILL 8 times")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_scripts_flushed(self):
        """Nobody notices."""
        s = self.bed()
        with Load(s) as load:
            for _ in range(20):
                load.progress(20, 20)
                s.redis("SCRIPT", "FLUSH")
            load.progress()
        self.tell(load, "SCRIPT FLUSH 20 times")
        for what in ("run twice", "unknown", "refused", "repeated"):
            self.assertEqual(load.sums[what], 0, what)
        self.no_crash(s)


class Full(Faults):

    def test_maxmemory(self):
        """New jobs are refused, those that wait are worked off."""
        s = self.bed(workers=0)
        with Load(s, ahead=100000) as load:
            load.progress(3000, 0)
            s.redis("CONFIG", "SET", "maxmemory", "1")
            self.unhealthy(s, "out of memory")
            errors = self.metric(s, "error")
            refused = load.ledger.counts["refused"]
            wait_for(lambda: load.ledger.counts["refused"] > refused + 20, 20,
                     "jobs are refused")
            seq = s.redis("GET", s.key("seq"))
            w = start_worker(s)
            wait_for(lambda: s.line_keys("mark", "leased") == 0, 60,
                     "a full Redis drains")
            self.assertEqual(s.redis("GET", s.key("seq")), seq)
            self.assertGreaterEqual(s.stat("success"), 3000)
            self.assertGreater(self.metric(s, "error"), errors)
            self.assertGreater(self.reason(s, "oom"), 0)
            self.assertIn("Redis is full", w.tail(1 << 20))
            s.redis("CONFIG", "SET", "maxmemory", "0")
            wait_for(lambda: self.health(s).status == 200, 20, "healthy")
            load.progress()
        self.tell(load, "maxmemory 1")
        self.assertGreater(load.sums["refused"], 20)
        self.no_crash(s)


@unittest.skipIf(os.getuid() != 0, "needs root, for a file system of its own")
class DiskFull(Faults):
    """The file system of Redis' append-only file is full."""

    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="taskmq-disk-")
        self.addCleanup(os.rmdir, self.disk)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m",
                                "taskmq-test", self.disk],
                               capture_output=True, text=True)
        if mount.returncode != 0:
            self.skipTest("no tmpfs can be mounted: " + mount.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.filler = os.path.join(self.disk, "filler")

    def fill(self):
        with open(self.filler, "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def stack(self, fsync):
        return self.bed(redis_args=("--dir", self.disk, "--appendfsync",
                                    fsync))

    def test_everysec(self):
        """Redis refuses writes until there is room: 503, and it goes on."""
        s = self.stack("everysec")
        with Load(s) as load:
            load.progress()
            self.fill()
            self.unhealthy(s, "cannot save to disk")
            refused = load.ledger.counts["refused"]
            wait_for(lambda: load.ledger.counts["refused"] > refused + 20, 20,
                     "jobs are refused")
            self.assertGreater(self.reason(s, "misconf"), 0)
            self.assertIn("Redis refuses a call: Redis cannot save to disk",
                          s.error_log())
            os.unlink(self.filler)
            wait_for(lambda: self.health(s).status == 200, 30, "healthy")
            load.progress()
        self.tell(load, "disk full, everysec")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_always(self):
        """Redis ends itself; nothing that it said is lost."""
        s = self.stack("always")
        with Load(s) as load:
            load.progress()
            self.fill()
            wait_for(lambda: not s.server.alive(), 30, "Redis ends")
            self.unhealthy(s, "")
            os.unlink(self.filler)
            self.restart(s)
            wait_for(lambda: self.health(s).status == 200, 30, "healthy")
            load.progress()
        self.tell(load, "disk full, always")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)


class Failover(Faults):
    """Two servers behind one address. A switched one says READONLY, or
    nothing, and the next connection leads to the other."""

    def setUp(self):
        self.ports = free_port(), free_port()
        s = self.s = self.bed_of_two()
        self.other = s.path("other.sock")
        os.mkdir(s.path("other"))
        self.replica = s.start("redis", [
            "redis-server", "--port", str(self.ports[1]), "--unixsocket",
            self.other, "--aclfile", s.path("acl"), "--dir",
            s.path("other"), "--save", "",
            "--replicaof", "127.0.0.1 %d" % self.ports[0],
            "--repl-diskless-sync-delay", "0"])
        self.synced()
        for _ in range(2):
            start_worker(s, "--redis-url",
                         s.url("worker", self.line.path))

    def bed_of_two(self):
        proxy = CutProxy()
        self.addCleanup(proxy.close)
        folder = tempfile.mkdtemp(prefix="taskmq-vip-")
        self.addCleanup(shutil.rmtree, folder)
        vip = os.path.join(folder, "s")
        s = bed(nginx=False, redis_args=("--port", str(self.ports[0]),
                                         "--repl-diskless-sync-delay", "0"))
        self.addCleanup(s.close)
        self.line = proxy.line(vip, s.sock)
        s.conf["server"] = "taskmq_redis_timeout 1s; taskmq_redis %s;" \
            % s.url("nginx", vip)
        s.start_nginx()
        return s

    def synced(self):
        wait_for(lambda: b"state=online" in self.s.redis("INFO",
                                                         "replication"),
                 60, "the replica is in sync")

    def switch(self):
        """The address leads to the other server from now on."""
        s = self.s
        s.sock, self.other = self.other, s.sock
        s._redis.close()
        s._redis = None
        self.line.to(s.sock)

    def test_planned(self):
        """FAILOVER, there and back: the old master says READONLY."""
        s = self.s
        with Load(s) as load:
            for port in (self.ports[1], self.ports[0]):
                load.progress()
                self.synced()
                s.redis("FAILOVER", "TO", "127.0.0.1", port)
                wait_for(lambda: s.redis("ROLE")[0] == b"slave", 30,
                         "it is a replica")
                self.unhealthy(s, "")
                self.switch()
                wait_for(lambda: self.health(s).status == 200, 30, "healthy")
                load.progress()
        self.tell(load, "FAILOVER twice")
        self.assertIn("read-only replica", s.error_log())
        self.assertGreater(self.reason(s, "readonly"), 0)
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_replica_for_a_while(self):
        """REPLICAOF and back, one server: READONLY, then well."""
        s = self.s
        s.redis("CONFIG", "SET", "replica-serve-stale-data", "yes")
        with Load(s) as load:
            for _ in range(3):
                load.progress()
                s.redis("REPLICAOF", "127.0.0.1", "1")
                self.unhealthy(s, "read-only")
                s.redis("REPLICAOF", "NO", "ONE")
                wait_for(lambda: self.health(s).status == 200, 30, "healthy")
            load.progress()
        self.tell(load, "REPLICAOF three times")
        self.assertEqual(load.sums["run twice"], 0)
        self.no_crash(s)

    def test_master_dies(self):
        """What was replicated is there on the other one."""
        s = self.s
        with Load(s) as load:
            load.progress()
            load.hold()
            # WAIT is about what its own connection wrote, and before
            s.redis("SET", "after-all", "1")
            wait_for(lambda: s.redis("WAIT", "1", "1000") == 1, 20,
                     "all is replicated")
            s.server.kill()
            replica = Redis(self.other)
            replica("REPLICAOF", "NO", "ONE")
            replica.close()
            self.switch()
            load.go_on()
            load.progress()
        self.tell(load, "the master dies")
        self.no_crash(s)


if __name__ == "__main__":
    unittest.main()
