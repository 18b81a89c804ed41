"""Payloads that are stored apart from their jobs' records, when Redis
misbehaves between the two: a job never is there without its payload, nobody
who was told 503 has a job, and what was put aside in vain goes by itself."""

import threading
import time
import unittest

import test_fake_nginx
import test_fake_worker
from fake_redis import (FakeRedis, close, cut, done_then_silence, error,
                        reply, silence)
from harness import Stack, wait_for
from ledger import start_worker
from test_fake_worker import DONE, UNDONE, tmq

PAD = "y" * 2000
LARGE = '{"handler":"h","payload":{"p":"%s"}}' % PAD
KEPT = (error("OOM command not allowed when used memory > 'maxmemory'."),
        error("READONLY You can't write against a read only replica."),
        error("LOADING Redis is loading the dataset in memory"),
        error("MISCONF Redis is configured to save RDB snapshots"),
        # it was lost, though it was said to be there
        reply(b"+OK\r\n"))


class Nginx(test_fake_nginx.Fake):

    def whole(self):
        """Every stored job that should have a payload has it."""
        s = self.s
        apart = s.asides()
        for job in s.waiting("h"):
            if b" b=" in s.redis("GET", s.key("j:%d" % job)):
                self.assertEqual(apart[str(job)], -1)
                self.assertEqual(s.redis("STRLEN", s.key("b:%d" % job)),
                                 len(PAD) + 8)

    def both(self, rule, statuses, stored, call="SET b", words="."):
        for path, body in (("/add-job", LARGE),
                           ("/add-jobs", "[%s]" % ",".join([LARGE] * 3))):
            with self.subTest(path=path):
                self.setUp()
                self.fake.say(call, rule, times=1)
                began = time.monotonic()
                r = self.s.post(path, body)
                self.assertLess(time.monotonic() - began, 20)
                self.assertIn(r.status, statuses, r)
                if r.status == 503:
                    self.assertIsNotNone(r.headers["Retry-After"])
                    self.assertRegex(r.json()["detail"], words)
                self.fake.well()
                jobs = body.count("handler")
                self.assertEqual(self.stored() - self.before,
                                 jobs if stored else 0, r)
                self.whole()
        self.recovered()

    def test_put_aside_in_vain(self):
        """The payload is refused, or gone: nothing is stored, and that is
        sure."""
        for n, rule in enumerate(KEPT):
            with self.subTest(n):
                self.both(rule, {503}, False,
                          words="^The payload did not reach Redis")

    def test_silent_and_closed(self):
        """No reply to the pair's first call: nothing came after it."""
        for name, rule in (("close", close), ("silence", silence),
                           ("done, silence", done_then_silence),
                           ("cut", cut(2)), ("garbage", reply(b"HTTP\r\n"))):
            with self.subTest(name):
                self.both(rule, {503, 504}, False)

    def test_refused_after_it(self):
        """What was put aside belongs to nobody, and expires."""
        for n, rule in enumerate(KEPT[:4]):
            with self.subTest(n):
                self.both(rule, {503}, False, call="enqueue")

    def test_the_script_was_forgotten(self):
        """NOSCRIPT: the call is repeated; the payload is still there."""
        self.both(error("NOSCRIPT No matching script."), {200}, True,
                  call="enqueue EVALSHA")
        for _ in range(3):
            self.s.redis("SCRIPT", "FLUSH")
            r = self.s.post("/add-job", LARGE)
            self.assertEqual(r.status, 200, r)
            self.whole()


class Tool(unittest.TestCase):

    def test_put_aside_in_vain(self):
        with Stack(nginx=False, aof=False) as s:
            fake = FakeRedis(s.path("fake.sock"), s.sock)
            self.addCleanup(fake.close)
            for n, rule in enumerate(KEPT):
                for args, stdin in (
                        (("add-job", "h", "-"), b'{"p":"%s"}'),
                        (("add-job", "h", "--from", "-"), b'{"p":"%s"}\n')):
                    with self.subTest(n=n, args=args):
                        fake.say("SET b", rule)
                        out = s.cli(*args, stdin=stdin % PAD.encode(), env={
                            "TASKMQ_REDIS_URL": "unix:" + fake.path})
                        fake.well()
                        self.assertEqual(out.returncode, 69, out)
                        self.assertEqual(s.redis("GET", s.key("seq")), None)
                        s.asides()


class Worker(test_fake_worker.Fake):

    def add(self, handler="t", options="", policy="f"):
        """A job whose payload is apart."""
        type(self).n += 1
        name = "job%d" % self.n
        payload = '{"name":"%s"%s,"pad":"%s"}' % (name, options, PAD)
        self.s.redis("SET", self.s.key("b:abc"), payload, "EX", 60)
        [i] = self.s.redis(
            "EVALSHA", self.scripts.sha["enqueue"], 1, self.s.key(""),
            *tmq.group([tmq.job(handler, payload, policy=policy,
                                aside="abc")]))
        return i, name

    def test_read(self):
        """Whatever the read is answered with: it is read again, and the job
        runs once."""
        for name, rule in {**UNDONE, **DONE}.items():
            with self.subTest(name):
                self.faulty("GET b", rule)

    def test_refused_for_a_while(self):
        for name in ("loading", "close"):
            with self.subTest(name):
                self.faulty("GET b", UNDONE[name], times=4)

    def test_not_a_payload(self):
        """What is no payload, or of another length, is not run: the job
        fails, and says why."""
        for data, why in ((b"$-1\r\n", "not in Redis any more"),
                          (b"$2\r\n{}\r\n", "damaged"),
                          (b"+OK\r\n", "damaged"), (b"*0\r\n", "damaged"),
                          (b":7\r\n", "damaged")):
            with self.subTest(data):
                self.fake.say("GET b", reply(data), times=1)
                i, name = self.add()
                self.ends(i, "F")
                self.assertEqual(self.runs(name), 0)
                self.assertIn(why, self.s.job(i)["error_log"])
                self.settled()


class Restarts(unittest.TestCase):
    """Redis dies, restarts, is stopped, while payloads are read."""

    def test_all_run_once(self):
        s = Stack(lease=5, handlers={"t": {"instances": 8}},
                  server="taskmq_redis_timeout 2s; client_max_body_size 9m;")
        self.addCleanup(s.close)
        body = "[%s]" % ",".join(
            '{"handler":"t","payload":{"name":%d,"sleep":0.02,"pad":"%s"}}'
            % (n, PAD * 5) for n in range(100))
        for _ in range(6):
            r = s.post("/add-jobs", body)
            self.assertEqual(r.status, 200, r)
        workers = [start_worker(s, concurrency=32) for _ in range(2)]
        for n in range(4):
            before = s.stat("success")
            wait_for(lambda: s.stat("success") >= min(before + 40, 600), 60)
            s.server.kill()
            s.start_redis()
        wait_for(lambda: s.stat("success") == 600, 120)
        starts = [m["id"] for m in s.marks() if m["what"] == "start"]
        self.assertEqual((len(starts), len(set(starts))), (600, 600))
        self.assertEqual((s.stat("crashes"), s.stat("failed"),
                          s.redis("ZCARD", s.key("leased")),
                          s.counted("t")), (0, 0, 0, (0, 0)))
        self.assertEqual(len(s.asides()), 600)
        self.assertTrue(all(w.alive() for w in workers))


class Emptied(unittest.TestCase):

    def test_under_load(self):
        """FLUSHALL while jobs are stored and run: nginx and workers go on,
        the new namespace has its schema, and its account is right."""
        s = Stack(lease=2, aof=False, nginx_workers=2,
                  handlers={"t": {"instances": 4},
                            "n": {"builtin": "noop"}})
        self.addCleanup(s.close)
        workers = [start_worker(s, concurrency=16) for _ in range(2)]
        stop, odd = threading.Event(), []

        def load():
            n = 0
            while not stop.is_set():
                n += 1
                r = s.post("/add-job", {
                    "handler": "tn"[n % 2],
                    "payload": {"pad": "z" * (n * 701 % 4000)}})
                # 503: what was put aside was flushed before its job came
                if r.status not in (200, 503):
                    odd.append(r)

        threads = [threading.Thread(target=load) for _ in range(6)]
        for t in threads:
            t.start()
        try:
            for _ in range(8):
                wait_for(lambda: s.stat("success") > 40, 60)
                s.redis("FLUSHALL")
            wait_for(lambda: s.stat("success") > 40, 60)
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(odd, [])
        self.assertEqual(s.redis("GET", s.key("schema")), b"3")
        seq = int(s.redis("GET", s.key("seq")))
        wait_for(lambda: s.stat("success") == seq, 60)
        self.assertEqual((s.counted("t"), s.counted("n"), s.stat("crashes"),
                          s.redis("ZCARD", s.key("leased"))),
                         ((0, 0), (0, 0), 0, 0))
        s.asides()
        self.assertEqual(s.get("/health", token=None).status, 200)
        self.assertTrue(all(w.alive() for w in workers))


class Nobodys(unittest.TestCase):

    LEASE = 6

    def test_a_job_that_nobody_holds(self):
        """It runs under a lease that lives, but its worker does not have it:
        it comes back with the worker's next beat, and runs once."""
        with Stack(lease=self.LEASE, aof=False,
                   handlers={"t": {"instances": 1}}) as s:
            s.worker("--concurrency", 1)
            go = s.path("go")
            held = s.add("t", {"name": "held", "until": go})
            s.wait_status(held, "RUNNING")
            lost = s.add("t", {"name": "lost"})
            run = s.redis("GET", s.key("r:%d" % held))
            token, = s.redis("ZRANGE", s.key("leased"), 0, -1)
            lane = s.key("h:t:lane:000")
            self.assertEqual(s.redis("LRANGE", lane, 0, -1),
                             [b"%d" % lost])
            for command in (
                    ("MULTI",), ("DEL", lane), ("DEL", s.key("h:t:ready")),
                    ("SET", s.key("r:%d" % lost), run),
                    ("SET", s.key("t:" + token.decode()),
                     "0002 %d %d" % (held, lost)),
                    ("HINCRBY", s.key("stats"), "claimed:t", 1), ("EXEC",)):
                s.redis(*command)
            self.assertEqual(s.leased(), [held, lost])
            # a beat is a third of the lease
            wait_for(lambda: s.waiting("t") == [lost], self.LEASE / 3 + 1,
                     "it is given back")
            self.assertEqual(s.leased(), [held])
            with open(go, "wb"):
                pass
            s.wait_done(held, 20)
            got = s.wait_done(lost, 20)
            self.assertEqual((got["retries"], got["crashes"]), (0, 0))
            names = [m["name"] for m in s.marks() if m["what"] == "start"]
            self.assertEqual(names, ["held", "lost"])
            self.assertEqual(s.counted("t"), (0, 0))


if __name__ == "__main__":
    unittest.main()
