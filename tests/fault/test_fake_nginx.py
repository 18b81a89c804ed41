"""The nginx module in front of a scripted Redis: what the HTTP client sees
and how soon, what /health, the metrics and the log say, and that it all goes
on without a restart when the fault is over."""

import re
import socket
import threading
import time
import unittest

from fake_redis import (FakeRedis, bytewise, close, cut, done_then_silence,
                        dribble, error, extra, reply, silence)
from harness import SLOW, Stack, wait_for

GOOD = '{"handler":"h","payload":{"a":1}}'
TIMEOUT = 0.7            # taskmq_redis_timeout
BOUND = 5                # no answer takes longer, on a busy machine
NOT_SENT, UNKNOWN = 503, 504


class Fake(unittest.TestCase):
    """One nginx for all tests of a class: every test ends with everything
    well again."""
    LOCATIONS = ""

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(nginx=False)
        cls.addClassCleanup(s.close)
        cls.fake = FakeRedis(s.path("fake.sock"), s.sock)
        cls.addClassCleanup(cls.fake.close)
        s.conf["server"] = "taskmq_redis_timeout %dms; taskmq_redis %s; %s" \
            % (TIMEOUT * 1000, s.url("nginx", cls.fake.path), cls.LOCATIONS)
        s.start_nginx()

    def setUp(self):
        self.fake.well()
        self.recovered()
        self.before = self.stored()
        self.log_at = len(self.s.error_log())

    def stored(self):
        return int(self.s.redis("GET", self.s.key("seq")) or 0)

    def log(self):
        return self.s.error_log()[self.log_at:]

    def add(self, **kw):
        began = time.monotonic()
        r = self.s.post("/add-job", GOOD, **kw)
        self.assertLess(time.monotonic() - began, BOUND * SLOW)
        self.assertEqual(r.headers["Content-Type"], "application/json")
        if r.status == 503:
            self.assertGreaterEqual(int(r.headers["Retry-After"]), 1)
        else:
            self.assertIsNone(r.headers["Retry-After"])
        if r.status != 200:
            self.assertTrue(r.json()["detail"])
        return r

    def health(self):
        return self.s.get("/health", token=None)

    def recovered(self, bound=20):
        """Jobs are taken and health is good, without a restart."""
        pid = self.s.nginx.pid
        wait_for(lambda: self.health().status == 200, bound, "healthy")
        wait_for(lambda: self.s.post("/add-job", GOOD).status == 200, bound,
                 "jobs are taken")
        self.assertTrue(self.s.nginx.alive() and self.s.nginx.pid == pid)
        self.assertNotIn("exited on signal", self.s.error_log())
        wait_for(self.fake.stable, bound, "stable")

    def after(self, status, stored):
        """The fault is over; as many jobs were stored meanwhile."""
        self.fake.well()
        self.assertEqual(self.stored() - self.before, stored, status)
        self.recovered()


class OneCall(Fake):
    """A fault in the reply to one add-job."""

    def once(self, rule, status, stored, text=None, log=None):
        self.fake.say("enqueue", rule, times=1)
        r = self.add()
        self.assertEqual(r.status, status, r)
        if text:
            self.assertIn(text, r.json()["detail"])
        if log:
            wait_for(lambda: re.search(log, self.log()), 5, log)
        self.after(r, stored)
        return r

    def test_silence(self):
        began = time.monotonic()
        self.once(silence, UNKNOWN, 0, "not known", "did not answer in time")
        self.assertGreaterEqual(time.monotonic() - began, TIMEOUT)

    def test_silence_after_it_was_done(self):
        self.once(done_then_silence, UNKNOWN, 1, "not known")

    def test_byte_by_byte(self):
        self.once(bytewise, 200, 1)

    def test_closed_before_the_reply(self):
        self.once(close, UNKNOWN, 0, "not known", "Redis closed")

    def test_closed_after_every_byte_of_the_reply(self):
        """`*1 CR LF :N CR LF`; all but the last byte leave it unknown."""
        length = len("*1\r\n:%d\r\n" % (self.before + 1))
        for n in range(length):
            with self.subTest(n=n):
                self.setUp()
                self.once(cut(n), UNKNOWN, 1, "not known")

    def test_closed_after_the_reply(self):
        self.once(cut(1 << 20), 200, 1)

    def test_scripts_forgotten(self):
        evals = self.fake.count("enqueue EVAL")
        self.once(error("NOSCRIPT No matching script."), 200, 1)
        self.assertEqual(self.fake.count("enqueue EVAL"), evals + 1)

    def test_scripts_forgotten_always(self):
        """Not even its text is taken: sent twice, not for ever."""
        sent = self.fake.count("enqueue")
        self.fake.say("enqueue", error("NOSCRIPT No matching script."))
        self.assertEqual(self.add().status, 500)
        self.assertEqual(self.fake.count("enqueue"), sent + 2)
        self.after(500, 0)

    def test_wrong_types(self):
        """A reply that is none of enqueue's: nobody is told a job id."""
        for data in (b"+OK\r\n", b":7\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n",
                     b"$2\r\nhi\r\n", b"*1\r\n$1\r\nx\r\n", b"*1\r\n$-1\r\n",
                     b"*1\r\n*1\r\n:7\r\n", b"*1\r\n+OK\r\n",
                     b"*1\r\n:-99\r\n", b"*1\r\n:0\r\n",
                     b"*2\r\n:7\r\n:8\r\n", b"*2\r\n:7\r\n+OK\r\n",
                     b"*1\r\n:9007199254740992\r\n",
                     b"*1\r\n-ERR inside\r\n"):
            with self.subTest(data=data):
                self.fake.say("enqueue", reply(data), times=1)
                r = self.add()
                self.assertEqual(r.status, 500, r)
                self.assertIn("nexpected", r.json()["detail"])
        self.assertIn("unexpected reply from Redis", self.log())
        # the connection was not given up: the stream is in order
        self.assertEqual(self.add().status, 200)
        self.after(500, 1)

    def test_unknown_error(self):
        self.once(error("ERR something new"), 500, 0, log="something new")

    def test_large_replies_of_the_wrong_kind(self):
        for n in (65535, 65536, 65537, 3 << 20):
            with self.subTest(n=n):
                self.fake.say("enqueue", reply(b"$%d\r\n%s\r\n"
                                               % (n, b"x" * n)), times=1)
                self.assertEqual(self.add().status, 500)
        self.after(500, 0)

    def test_unasked_reply(self):
        self.once(extra(b":7\r\n"), 200, 1, log="a reply without a call")

    def test_garbage(self):
        for data in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\0\r\n",
                     b"*2147483647\r\n", b"*1000001\r\n", b"$abc\r\n",
                     b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
                     b":1\r\n"):
            with self.subTest(data=data):
                self.setUp()
                self.once(reply(data), UNKNOWN, 0, log="broken reply")


class Refusals(Fake):
    """Error replies that pass: nothing was stored, and the reason is told to
    the client, by /health, in a metric and in the log."""

    def metric(self, name, value):
        """name{label="value"}, by nginx."""
        r = self.s.get("/monitor/metrics", token=None)
        self.assertEqual(r.status, 200, r)
        return int(re.search(r'^taskmq_redis_%s\{\w+="%s"\} (\d+)'
                             % (name, value), r.body.decode(), re.M).group(1))

    def refused(self, text, words):
        self.recovered()
        self.before = self.stored()
        reason = text.split()[0].lower()
        errors = self.metric("calls_total", "error")
        reasons = self.metric("errors_total", reason)
        for name in ("enqueue", "probe"):
            self.fake.say(name, error(text))
        r = self.add()
        self.assertEqual(r.status, NOT_SENT, r)
        self.assertIn(words, r.json()["detail"])

        def unhealthy():
            h = self.health()
            return h.status == 503 and words in h.json()["detail"]

        wait_for(unhealthy, 10, "/health: " + words)
        self.after(r, 0)
        self.assertGreater(self.metric("calls_total", "error"), errors)
        self.assertGreater(self.metric("errors_total", reason), reasons)
        self.assertRegex(self.log(), "Redis refuses a call: .*" + words)

    def test_words(self):
        for text, words in (
                ("LOADING Redis is loading the dataset in memory", "loading"),
                ("OOM command not allowed when used memory > 'maxmemory'.",
                 "out of memory"),
                ("MISCONF Redis is configured to save RDB snapshots",
                 "cannot save to disk"),
                ("READONLY You can't write against a read only replica.",
                 "read-only"),
                ("MASTERDOWN Link with MASTER is down", "lost its master"),
                ("BUSY Redis is busy running a script.", "busy"),
                ("CLUSTERDOWN The cluster is down", "cluster"),
                ("NOREPLICAS Not enough good replicas to write.",
                 "too few replicas"),
                ("NOAUTH Authentication required.", "password"),
                ("NOPERM this user has no permissions", "permission")):
            with self.subTest(text):
                self.refused(text, words)

    def test_readonly_connects_anew(self):
        """A failover: the address may lead to another server now."""
        shakes = self.fake.count("SCRIPT LOAD")
        self.fake.say("enqueue", error("READONLY You can't write."), times=1)
        self.assertEqual(self.add().status, NOT_SENT)
        wait_for(lambda: self.fake.count("SCRIPT LOAD") > shakes, 10,
                 "a new connection")
        wait_for(lambda: "read-only replica" in self.log(), 5, "logged")
        self.after(503, 0)

    def test_others_keep_the_connection(self):
        shakes = self.fake.count("SCRIPT LOAD")
        for _ in range(20):
            self.fake.say("enqueue", error("OOM command not allowed."),
                          times=1)
            self.assertEqual(self.add().status, NOT_SENT)
        self.assertEqual(self.fake.count("SCRIPT LOAD"), shakes)
        self.after(503, 0)


class Handshake(Fake):
    """Faults before the connection is ready: 503 at once, nothing stored."""

    def failing(self, name, rule, words, requests=5):
        self.fake.say(name, rule)
        self.fake.drop()

        def down():
            h = self.health()
            return h.status == 503 and re.search(words, h.json()["detail"])

        wait_for(down, 15, "/health says " + words)
        for _ in range(requests):
            r = self.add()
            self.assertEqual(r.status, NOT_SENT, r)
        self.assertIn("Redis is not available", self.log())
        self.after(503, 0)

    def test_faults(self):
        for name, rule, words in (
                ("SCRIPT LOAD", error("LOADING Redis is loading"), "LOADING"),
                ("SCRIPT LOAD", error("NOPERM no"), "NOPERM"),
                ("SCRIPT LOAD", reply(b"$40\r\n" + b"0" * 40 + b"\r\n"),
                 "another SHA-1"),
                ("SCRIPT LOAD", reply(b":1\r\n"), "another SHA-1"),
                ("CLIENT SETNAME", error("ERR unknown command"), "SETNAME|"
                 "CLIENT was refused"),
                ("open", reply(b"$4\r\nPONG\r\n"), "schema cannot be read"),
                ("open", reply(b":-2\r\n"), "schema cannot be read"),
                ("open", error("NOPERM no"), "rights of redis-acl.example"),
                ("open", reply(b"GET / HTTP/1.1\r\n"), "broken reply"),
                ("SCRIPT LOAD", cut(20), "closed|reset"),
                ("*", close, "closed|reset"),
                ("*", silence, "did not finish the handshake"),
                ("open", silence, "did not finish the handshake")):
            with self.subTest(name=name, words=words):
                self.setUp()
                self.failing(name, rule, words)

    def test_byte_by_byte(self):
        self.fake.say("*", dribble)
        self.fake.drop()
        wait_for(lambda: self.add().status == 200, 20, "a job is taken")
        self.assertEqual(self.health().status, 200)
        self.fake.well()
        self.recovered()

    def test_error_without_a_question(self):
        """maxclients: Redis says why, then closes."""
        def full(conn, ask):
            conn.send(b"-ERR max number of clients reached\r\n")
            raise OSError

        self.failing("CLIENT SETNAME", full, "max number of clients")

    def test_does_not_spin(self):
        """A Redis that closes every connection sees few of them."""
        self.fake.say("*", close)
        before = self.fake.connects
        self.fake.drop()
        wait_for(lambda: self.health().status == 503, 10, "it is away")
        wait_for(lambda: self.fake.connects > before, 10, "another try")
        before = self.fake.connects
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.assertEqual(self.add().status, NOT_SENT)
        # 4 or 5 with backoff, 850 without
        self.assertLess(self.fake.connects - before, 40)
        self.after(503, 0)


class Reading(Fake):
    """What a reader gets, and large replies as they are."""

    def job(self, job_id):
        return self.s.get("/job/%d" % job_id)

    def test_large_payload_byte_for_byte(self):
        for n in (60000, 65536, 200000, 1000000):
            text = "".join(chr(33 + i * 7 % 90) for i in range(n)) \
                .replace('"', "_").replace("\\", "/")
            job = self.s.add("h", '{"t":"%s"}' % text)
            self.assertEqual(self.job(job).json()["payload"]["t"], text)
            if n < 100000:
                self.fake.say("get", bytewise, times=1)
                r = self.s.get("/job/%d" % job, timeout=60)
                # slow, but it goes on; the bound is for the whole reply
                self.assertIn(r.status, (200, 504))
                self.fake.well()
                self.recovered()

    def test_faults(self):
        job = self.s.add("h", {})
        for rule, status in ((silence, 504), (close, 504), (cut(3), 504),
                             (cut(-3), 504), (cut(20), 504),
                             (error("LOADING x"), 503),
                             (error("ERR x"), 500),
                             (reply(b"+OK\r\n"), 500),
                             # a job whose record cannot be read is shown
                             (reply(b"*3\r\n$3\r\nabc\r\n$0\r\n\r\n:0\r\n"),
                              200),
                             (reply(b"*1\r\n:1\r\n"), 500),
                             (reply(b"*3\r\n:1\r\n:1\r\n:1\r\n"), 500),
                             (error("NOSCRIPT x"), 200)):
            with self.subTest(status=status):
                self.recovered()
                self.fake.say("get", rule, times=1)
                r = self.job(job)
                self.assertEqual(r.status, status, r)
                self.fake.well()
        self.recovered()
        self.assertEqual(self.job(job).json()["payload"], {})

    def test_health_probe(self):
        for rule in (silence, close, reply(b"+OK\r\n"), cut(3),
                     reply(b"*3\r\n$1\r\nx\r\n:1\r\n:1\r\n")):
            self.recovered()
            self.fake.say("probe", rule)
            wait_for(lambda: self.health().status == 503, 15, "unhealthy")
            began = time.monotonic()
            self.assertEqual(self.health().status, 503)
            self.assertLess(time.monotonic() - began, BOUND * SLOW)
            self.fake.well()
        self.recovered()

    def test_metrics_and_lists(self):
        for path in ("/monitor/metrics", "/queues", "/jobs"):
            for rule, status in ((silence, 504), (reply(b"+OK\r\n"), 500),
                                 (reply(b"*2\r\n:1\r\n$1\r\nx\r\n"), 500),
                                 (error("BUSY x"), 503)):
                with self.subTest(path=path, status=status):
                    self.recovered()
                    # what was read last is good for a second
                    old = time.monotonic() + 1.1
                    wait_for(lambda: time.monotonic() > old, 5)
                    for name in ("stats", "list"):
                        self.fake.say(name, rule, times=1)
                    r = self.s.get(path)
                    self.assertEqual(r.status, status, r)
                    self.fake.well()
        self.recovered()


class Statistics(Fake):
    """All pages with sums are made of one reading a second: whoever asks, as
    often as they like, costs Redis no more."""

    LOCATIONS = "location /td/ { taskmq_api taskdaemon; }"
    PAGES = ("/monitor/metrics", "/queues", "/td/metrics", "/td/api/metrics")

    def hammer(self, seconds, threads=8):
        """Asks for all pages all the time; returns statuses and how often."""
        end, seen = time.monotonic() + seconds, []

        def ask(n):
            while time.monotonic() < end:
                n += 1
                seen.append(self.s.get(self.PAGES[n % 4]).status)

        all_of_them = [threading.Thread(target=ask, args=(n,))
                       for n in range(threads)]
        for t in all_of_them:
            t.start()
        while time.monotonic() < end:
            self.assertEqual(self.add().status, 200)
        for t in all_of_them:
            t.join()
        return set(seen), len(seen)

    def test_once_a_second(self):
        before = self.fake.count("stats"), self.fake.count("probe")
        began = time.monotonic()
        statuses, n = self.hammer(3)
        seconds = time.monotonic() - began
        self.assertEqual(statuses, {200})
        self.assertGreater(n, 50)
        for name, was in zip(("stats", "probe"), before):
            self.assertLessEqual(self.fake.count(name) - was, seconds + 1,
                                 name)

    def test_errors_once_a_second(self):
        for text, status in (("BUSY x", 503), ("ERR x", 500)):
            with self.subTest(text):
                self.setUp()
                self.fake.say("stats", error(text))
                wait_for(lambda: self.s.get("/queues").status == status, 5)
                before, began = self.fake.count("stats"), time.monotonic()
                self.assertEqual(self.hammer(2)[0], {status})
                self.assertLessEqual(self.fake.count("stats") - before,
                                     time.monotonic() - began + 1)
                self.fake.well()
                wait_for(lambda: self.s.get("/queues").status == 200, 5)

    def test_those_who_wait_share(self):
        """One reading is under way: who comes meanwhile gets its answer, and
        who has gone meanwhile takes nothing along."""
        go = threading.Event()
        self.addCleanup(go.set)

        def hold(conn, ask):
            data = ask()
            go.wait(TIMEOUT / 2)
            conn.send(data)

        self.assertEqual(self.s.get("/queues").status, 200)
        old = time.monotonic() + 1.1
        wait_for(lambda: time.monotonic() > old, 5, "the reading is old")
        self.fake.say("stats", hold)
        before = self.fake.count("stats")
        answers, threads = [], []
        for n in range(20):
            t = threading.Thread(target=lambda n=n: answers.append(
                self.s.get(self.PAGES[n % 4]).status))
            t.start()
            threads.append(t)
        wait_for(lambda: self.fake.count("stats") > before, 5)
        gone = socket.create_connection(("127.0.0.1", self.s.port))
        gone.sendall(b"GET /monitor/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        gone.close()
        go.set()
        for t in threads:
            t.join()
        self.assertEqual(answers, [200] * 20)
        self.assertEqual(self.fake.count("stats"), before + 1)

    def test_a_new_connection_reads_anew(self):
        """It may lead to another Redis."""
        self.assertEqual(self.s.get("/queues").status, 200)
        before, probes = self.fake.count("stats"), self.fake.count("probe")
        self.fake.drop()
        # as soon as it is connected it asks this
        wait_for(lambda: self.fake.count("probe") > probes, 10)
        wait_for(lambda: self.s.get("/queues").status == 200, 10)
        self.assertEqual(self.fake.count("stats"), before + 1)


class HeldBack(Fake):
    """Two calls with new jobs are on their way, TQ_BATCHES_IN_FLIGHT: those
    that come meanwhile have not been sent, and are known not to be stored."""

    LOCATIONS = "location /fast/ { taskmq_api taskmq;" \
        " taskmq_redis_timeout 100ms; } location /status { stub_status; }"

    def one_by_one(self, paths):
        """Requests, each in a turn of nginx' event loop after the one
        before. Their statuses by place, filled in the order of answers."""
        answers, threads = {}, []

        def ask(n, path):
            answers[n] = self.s.post(path, GOOD)

        for n, path in enumerate(paths):
            t = threading.Thread(target=ask, args=(n, path))
            t.start()
            threads.append(t)
            wait_for(lambda n=n: self.under_way() == n + 1 or n in answers,
                     5, "request %d has come" % n)
        return answers, threads

    def under_way(self):
        """Requests that nginx has read and not answered: their connections,
        without this look's own."""
        text = self.s.get("/status", token=None).body.decode()
        return int(re.search(r"Writing: (\d+)", text).group(1)) - 1

    def finish(self, answers, threads):
        for t in threads:
            t.join()
        return [answers[n].status for n in range(len(threads))]

    def test_they_leave_together_with_the_next_answer(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def hold(conn, ask):
            go.wait()
            conn.send(ask())

        calls = self.fake.count("enqueue")
        self.fake.say("enqueue", hold, times=1)
        answers, threads = self.one_by_one(["/add-job"] * 6)
        self.assertEqual(answers, {})
        go.set()
        self.assertEqual(self.finish(answers, threads), [200] * 6)
        self.assertEqual(self.fake.count("enqueue") - calls, 3)
        self.assertEqual(sorted(a.json()["job_id"] for a in answers.values()),
                         [self.before + 1 + n for n in range(6)])
        self.after(200, 6)

    def test_they_were_surely_not_stored(self):
        self.fake.say("enqueue", silence, times=1)
        answers, threads = self.one_by_one(["/add-job"] * 4)
        self.assertEqual(self.finish(answers, threads),
                         [UNKNOWN, UNKNOWN, NOT_SENT, NOT_SENT])
        self.assertIsNotNone(answers[3].headers["Retry-After"])
        self.after(answers[3], 0)

    def test_they_have_deadlines_of_their_own(self):
        self.fake.say("enqueue", silence, times=1)
        answers, threads = self.one_by_one(["/add-job"] * 2 + ["/fast/add-job"])
        self.assertEqual(self.finish(answers, threads),
                         [UNKNOWN, UNKNOWN, NOT_SENT])
        self.assertEqual(list(answers)[0], 2, "answered first")
        self.after(answers[2], 0)


if __name__ == "__main__":
    unittest.main()
