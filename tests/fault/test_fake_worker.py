"""The worker in front of a scripted Redis: whatever a call is answered with,
the jobs end, each has run as often as it should, the log says what is wrong,
nothing spins, and no restart is needed."""

import http.client
import json
import os
import re
import socket
import sys
import threading
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "scripts"))

import tmq  # noqa: E402
from cli_stack import CliStack  # noqa: E402
from fake_redis import (FakeRedis, bytewise, close, cut,  # noqa: E402
                        done_then_silence, dribble, error, extra, reply,
                        silence)
from harness import free_port, wait_for  # noqa: E402
from layout import field  # noqa: E402

FIRST = True
EACH = True
LEASE = 3
# what a call may be answered with when nothing was done
UNDONE = {
    "silence": silence, "close": close,
    "loading": error("LOADING Redis is loading the dataset in memory"),
    "readonly": error("READONLY You can't write against a read only"),
    "oom": error("OOM command not allowed when used memory > 'maxmemory'."),
    "misconf": error("MISCONF Redis is configured to save RDB snapshots"),
    "busy": error("BUSY Redis is busy running a script."),
    "noscript": error("NOSCRIPT No matching script."),
    "garbage": reply(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}
# … and when it was
DONE = {
    "lost reply": done_then_silence, "cut": cut(3), "cut at its end": cut(-1),
    "closed after": cut(1 << 20), "byte by byte": bytewise,
    "dribble": dribble, "one too many": extra(b":7\r\n"),
}
WRONG = [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*0\r\n", b"*1\r\n$1\r\nx\r\n",
         b"$200000\r\n" + b"x" * 200000 + b"\r\n"]


class Fake(unittest.TestCase):

    HANDLERS = {"t": {"instances": 2}, "n": {"builtin": "noop"}}

    @classmethod
    def setUpClass(cls):
        s = cls.s = CliStack(handlers=cls.HANDLERS, lease=LEASE, aof=False)
        cls.addClassCleanup(s.close)
        cls.fake = FakeRedis(s.path("fake.sock"), s.sock)
        cls.addClassCleanup(cls.fake.close)
        cls.port = free_port()
        cls.w = s.worker("--redis-url", s.url("worker", cls.fake.path),
                         "--listen", "127.0.0.1:%d" % cls.port)
        cls.n = 0
        redis = tmq.Client(s)
        cls.addClassCleanup(redis.close)
        cls.scripts = tmq.Scripts(redis)

    def setUp(self):
        self.settled()

    def get(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            c.request("GET", path)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def settled(self):
        self.fake.well()
        wait_for(self.fake.stable, 30, "the worker is connected")
        self.assertTrue(self.w.alive(), self.w.tail())

    def add(self, handler="t", options="", policy="f"):
        """A job, straight into Redis; its name for the marks."""
        type(self).n += 1
        name = "job%d" % self.n
        [i] = self.s.redis(
            "EVALSHA", self.scripts.sha["enqueue"], 1, self.s.key(""),
            *tmq.group([tmq.job(handler, '{"name":"%s"%s}' % (name, options),
                                policy=policy)]))
        return i, name

    def state(self, i):
        run = self.s.redis("GET", self.s.key("r:%d" % i))
        return field(run, "RUN_STATE").decode() if run else "-"

    def crashes(self, i):
        return int(field(self.s.redis("GET", self.s.key("r:%d" % i)),
                         "RUN_CRASHES"))

    def runs(self, name):
        return len([m for m in self.s.marks()
                    if m["name"] == name and m["what"] == "start"])

    def ends(self, i, state="S", bound=40):
        wait_for(lambda: self.state(i) == state, bound,
                 "job %d ends\n%s" % (i, self.w.tail()))

    def faulty(self, call, rule, times=1, handler="t", options="",
               state="S", policy="f"):
        """One job while the rule holds for the call; and one after."""
        at = len(self.w.tail(1 << 20))
        done = self.s.stat("success")
        self.fake.say(call, rule, times)
        i, name = self.add(handler, options, policy)
        # a call that is made rarely is waited for
        wait_for(self.fake.used, 40, "%s is called" % call)
        self.ends(i, state)
        if handler == "t":
            self.assertEqual(self.runs(name), 1)
        self.assertEqual(self.crashes(i), 0)
        self.assertEqual(self.s.stat("success") - done, state == "S")
        self.assertEqual(self.s.redis("ZCARD", self.s.key("leased")), 0)
        self.settled()
        return self.w.tail(1 << 20)[at:]


class Outcomes(Fake):
    """complete and fail: the outcome is repeated, the job is not."""

    def test_complete(self):
        for name, rule in {**UNDONE, **DONE}.items():
            with self.subTest(name):
                self.faulty("complete", rule)

    def test_complete_refused_for_a_while(self):
        log = self.faulty("complete", UNDONE["oom"], times=4)
        self.assertIn("Redis refuses outcomes", log)
        self.assertIn("OOM command", log)
        self.faulty("complete", error("ERR some surprise"), times=4)

    def test_fail(self):
        for name in ("silence", "readonly", "lost reply", "cut", "close"):
            with self.subTest(name):
                self.faulty("fail", {**UNDONE, **DONE}[name],
                            options=',"fail":"on purpose"', policy="n",
                            state="F")

    def test_noop_handler(self):
        for name in ("silence", "lost reply", "cut", "noscript"):
            with self.subTest(name):
                self.faulty("complete", {**UNDONE, **DONE}[name],
                            handler="n")

    def test_large_result(self):
        """A call that does not fit into the socket's buffer."""
        for name in ("close", "lost reply", "noscript"):
            with self.subTest(name):
                self.faulty("complete", {**UNDONE, **DONE}[name],
                            options=',"result":"%s"' % ("r" * 600000))

    def test_errors_that_are_none_of_theirs(self):
        """However often Redis refuses for a reason that has nothing to do
        with the outcome, it is repeated and the job runs once."""
        for call in ("complete", "fail"):
            for text in ("MOVED 3999 127.0.0.1:6381", "ASK 1 x",
                         "TRYAGAIN Multiple keys request", "ERR no",
                         "ERR max number of clients reached",
                         "UNKILLABLE x"):
                with self.subTest(call=call, text=text):
                    self.faulty(call, error(text), times=7,
                                options=',"fail":"on purpose"'
                                if call == "fail" else "", policy="n",
                                state="F" if call == "fail" else "S")
        self.assertNotIn("they are lost", self.w.tail(1 << 24))

    def test_one_bad_outcome(self):
        """A script that fails at one job of many: the others get there."""
        def spoil(conn, ask):
            if b"%d" % jobs[7] in conn.words:
                conn.send(b"-ERR x script: f, on @user_script:9.\r\n")
            else:
                conn.send(ask())

        jobs = []
        go = threading.Event()
        self.addCleanup(go.set)

        def hold(conn, ask):
            go.wait(5)
            conn.send(ask())

        self.fake.say("claim", hold, times=1)
        self.fake.say("complete", spoil)
        at = len(self.w.tail(1 << 24))
        for _ in range(20):
            jobs.append(self.add("n")[0])
        go.set()
        wait_for(lambda: "they are lost" in self.w.tail(1 << 24)[at:], 30)
        for i in jobs:
            if i != jobs[7]:
                self.ends(i)
        log = self.w.tail(1 << 24)[at:]
        self.assertEqual(log.count("they are lost"), 1, log)
        self.assertIn("job=%d" % jobs[7], log)
        # that one's lease runs out
        self.fake.well()
        self.ends(jobs[7])
        self.assertEqual([self.crashes(i) for i in jobs],
                         [0] * 7 + [1] + [0] * 12)

    def test_never_taken(self):
        """Wrong answers, and a script that always fails: the outcome is told
        again; in the end it is lost, and said to be; the lease runs out and
        the job runs again."""
        for rule, times, words, ran in (
                (reply(b"+OK\r\n"), 1, "unexpected reply", (1, 0)),
                (reply(b"*2\r\n:0\r\n:0\r\n"), 4, "unexpected reply",
                 (1, 0)),
                (reply(b"*1\r\n$1\r\nx\r\n"), 5, "they are lost", (2, 1)),
                (error("ERR x script: f, on @user_script:9."), 5,
                 "they are lost", (2, 1))):
            with self.subTest(words, times=times):
                at = len(self.w.tail(1 << 20))
                self.fake.say("complete", rule, times)
                i, name = self.add()
                self.ends(i)
                self.assertEqual((self.runs(name), self.crashes(i)), ran)
                self.assertIn(words, self.w.tail(1 << 20)[at:])
                self.settled()


class Claims(Fake):
    """claim: a lost reply's jobs are given back, uncounted."""

    def test_faults(self):
        for name, rule in {**UNDONE, **DONE}.items():
            with self.subTest(name):
                self.faulty("claim", rule)

    def test_wrong_types(self):
        log = ""
        for data in WRONG + [b"*3\r\n:1\r\n:0\r\n$12\r\n000000000001\r\n"]:
            with self.subTest(data[:20]):
                log += self.faulty("claim", reply(data))
        self.assertIn("Redis refuses claims", log)
        self.assertIn("Redis works again after=", log)

    def test_more_jobs_than_asked(self):
        """The same job thirty times: no slot is left, and nobody falls."""
        sent = []

        def rule(conn, ask):
            data = ask()
            # *5 :now :due, $… id :n $… record
            if data.startswith(b"*5\r\n") and not sent:
                words = data.split(b"\r\n")
                data = b"\r\n".join([b"*92"] + words[1:3]
                                    + 30 * words[3:8]) + b"\r\n"
                sent.append(data)
            conn.send(data)

        for handler in ("t", "n"):
            with self.subTest(handler):
                sent.clear()
                self.fake.say("claim", rule)
                self.ends(self.add(handler)[0])
                self.assertEqual(len(sent), 1)
                self.settled()
                self.ends(self.add(handler)[0])
                wait_for(lambda: self.s.redis(
                    "ZCARD", self.s.key("leased")) == 0, 20)

    def test_large_jobs(self):
        for name in ("byte by byte", "cut", "cut at its end", "lost reply"):
            with self.subTest(name):
                rule = dribble if name == "byte by byte" else DONE[name]
                self.faulty("claim", rule,
                            options=',"pad":"%s"' % ("p" * 200000))

    def test_refused_for_a_while(self):
        """It asks again, but does not spin."""
        for name in ("loading", "oom", "misconf", "busy"):
            with self.subTest(name):
                self.fake.say("claim", UNDONE[name])
                i, job = self.add()
                calls = self.fake.count("claim")
                end = time.monotonic() + 1.5
                wait_for(lambda: time.monotonic() > end, 10)
                self.assertLess(self.fake.count("claim") - calls, 20)
                self.assertEqual(self.runs(job), 0)
                self.fake.well()
                self.ends(i)
                self.assertEqual(self.runs(job), 1)

    def test_healthz_says_it(self):
        """Alive means that claiming works: refused or unanswered claims are a
        503, for as long as they last, on whatever connection."""
        for name, rule, why in (
                ("refused", UNDONE["loading"], "Redis refuses claims"),
                ("unanswered", silence, "no claim was answered")):
            with self.subTest(name):
                self.assertEqual(self.health()[0], 200)
                self.fake.say("claim", rule)
                wait_for(lambda: why in self.health()[1], 30, why)
                end = time.monotonic() + 5
                seen = set()
                while time.monotonic() < end:
                    seen.add(self.health())
                self.assertEqual({status for status, _ in seen}, {503}, seen)
                self.fake.well()
                wait_for(lambda: self.health()[0] == 200, 20)
                self.settled()

    def health(self):
        status, body = self.get("/healthz")
        return status, json.loads(body).get("detail", "")

    def test_silent_for_a_while(self):
        """Longer than a call's time: the connection is made anew."""
        self.fake.say("claim", silence, times=3)
        i, job = self.add()
        self.ends(i)
        self.assertEqual((self.runs(job), self.crashes(i)), (1, 0))
        self.assertIn("did not answer in time", self.w.tail(1 << 20))


class Statistics(Fake):
    """GET /metrics costs Redis one reading a second, whoever asks."""

    def healthy(self):
        """What /metrics says of the queue: 0 or 1."""
        status, text = self.get("/metrics")
        self.assertEqual(status, 200)
        return int(re.search(r"^daemon_health (\d)", text, re.M).group(1))

    def hammer(self, seconds, value):
        before, began, n = self.fake.count("stats"), time.monotonic(), 0
        while time.monotonic() - began < seconds:
            self.assertEqual(self.healthy(), value)
            n += 1
        self.assertGreater(n, 20)
        self.assertLessEqual(self.fake.count("stats") - before,
                             time.monotonic() - began + 1)

    def test_once_a_second(self):
        wait_for(lambda: self.healthy() == 1, 10)
        self.hammer(3, 1)

    def test_errors_once_a_second(self):
        self.fake.say("stats", error("BUSY x"))
        wait_for(lambda: self.healthy() == 0, 10)
        self.hammer(2, 0)
        self.fake.well()
        wait_for(lambda: self.healthy() == 1, 10)

    def test_those_who_wait_share(self):
        """… also when some of them have gone."""
        go = threading.Event()
        self.addCleanup(go.set)

        def hold(conn, ask):
            data = ask()
            go.wait(1.5)
            conn.send(data)

        before = self.fake.count("stats")
        wait_for(lambda: self.healthy() == 1
                 and self.fake.count("stats") > before, 10)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 1.1, 5)
        self.fake.say("stats", hold)
        before = self.fake.count("stats")
        answers, threads = [], []
        for _ in range(10):
            t = threading.Thread(target=lambda: answers.append(
                self.healthy()))
            t.start()
            threads.append(t)
        wait_for(lambda: self.fake.count("stats") > before, 5)
        gone = socket.create_connection(("127.0.0.1", self.port))
        gone.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        gone.close()
        go.set()
        for t in threads:
            t.join()
        self.assertEqual(answers, [1] * 10)
        self.assertEqual(self.fake.count("stats"), before + 1)


if __name__ == "__main__":
    unittest.main()
