"""Payloads in their records (up to 1 KiB) and apart from them: the same bytes
come to the handler and to who asks, by every way that makes a job; and nothing
of them is left when it is gone."""

import json
import unittest

from harness import Stack, wait_for

SIZES = (2, 1000, 1023, 1024, 1025, 10 * 1024, 1000000)


def payload(size):
    """JSON of exactly so many bytes, some of which are not ASCII, and none as
    a library would write them."""
    if size == 2:
        return b"{}"
    head, tail = b'{ "raw": true, "t":"\xc3\xa9\\u0041/', b'" }'
    return head + b"y" * (size - len(head) - len(tail)) + tail


class Bytes(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(aof=False, handlers={"t": {"instances": 2}},
                          server="""
            client_max_body_size 4m;
            location /td/ { taskmq_api taskdaemon; taskmq_auth off; }
            """)
        cls.addClassCleanup(s.close)
        s.worker()

    def check(self, job, data):
        """The job has these bytes, in Redis, in nginx, in the tool, and in
        its handler, which answers with the line as it came."""
        s = self.s
        s.wait_done(job, 30)
        apart = len(data) > 1024
        key = s.key("b:%d" % job)
        self.assertEqual(s.redis("GET", key), data if apart else None)
        record = s.redis("GET", s.key("j:%d" % job))
        self.assertEqual(record.split(b"\n", 1)[1], b"" if apart else data)
        if apart:
            self.assertIn(b" b=%d" % len(data), record.split(b"\n")[0])
            self.assertEqual(s.redis("TTL", key), -1)
        self.assertIn(b'"payload":%s,' % data, s.get("/job/%d" % job).body)
        self.assertIn(b'"payload":%s,' % data,
                      s.cli("--json", "get-job", job).stdout)
        if len(data) > 2:
            run = s.redis("GET", s.key("r:%d" % job))
            self.assertIn(b'"task_data":%s' % data, run)
        s.asides()

    def each(self, add):
        for size in SIZES:
            with self.subTest(size):
                data = payload(size)
                self.assertEqual(len(data), size)
                self.check(add(data), data)

    def post(self, path, body, key):
        r = self.s.post(path, body)
        self.assertEqual(r.status, 200, r)
        return r.json()[key]

    def add(self, data, more=b""):
        return self.post("/add-job", b'{"handler":"t","payload":%s%s}'
                         % (data, more), "job_id")

    def test_add_job(self):
        self.each(self.add)

    def test_add_jobs(self):
        """All sizes in one request, which is one call, and once more."""
        body = b"[%s]" % b",".join(b'{"handler":"t","payload":%s}'
                                   % payload(n) for n in SIZES)
        headers = {"Idempotency-Key": "k"}
        first = self.s.post("/add-jobs", body, headers=headers).json()
        again = self.s.post("/add-jobs", body, headers=headers).json()
        self.assertEqual(first, again)
        for job, size in zip(first["job_ids"], SIZES):
            self.check(job, payload(size))
        # what the repetition put aside is no job's, and went with the call
        self.assertNotIn(32, map(len, self.s.asides()))

    def test_taskdaemon(self):
        def add(data):
            task = self.post("/td/queue", b'{"type":"t","data":%s}' % data,
                             "task_id")
            got = self.s.get("/td/api/tasks/" + task)
            self.assertIn(data, got.body)
            return int(self.s.redis("GET", self.s.key("seq")))
        self.each(add)

    def cli(self, *args, stdin=None):
        out = self.s.cli(*args, stdin=stdin)
        self.assertEqual(out.returncode, 0, out)
        return out.stdout

    def test_tool(self):
        self.each(lambda data: int(self.cli("add-job", "t", "-",
                                            stdin=data)))

    def test_tool_from_a_file(self):
        """Many lines, one call for many."""
        before = int(self.s.redis("GET", self.s.key("seq")) or 0)
        self.cli("add-job", "t", "--from", "-", stdin=b"".join(
            payload(n) + b"\n" for n in SIZES))
        for n, size in enumerate(SIZES):
            self.check(before + 1 + n, payload(size))

    def test_replay(self):
        """The copy has its own: the first one may go."""
        def add(data):
            old = self.add(data)
            self.s.wait_done(old, 30)
            new = int(self.cli("replay", old).split()[-1])
            self.s.wait_done(new, 30)
            self.assertEqual(self.s.request("DELETE", "/job/%d" % old).status,
                             200)
            self.assertEqual(self.s.redis("EXISTS", self.s.key("b:%d" % old)),
                             0)
            return new
        self.each(add)

    def test_retried(self):
        for size in SIZES[3:]:
            data = payload(size).replace(
                b'"raw": true', b'"raw": true, "fail":"x", "retryable":true,'
                b' "fail_until":1')
            job = self.add(data, b',"max_retries":3')
            self.s.redis("HSET", self.s.key("config"), "retry_wait_ms", "10")
            self.check(job, data)

    def test_periodic(self):
        """Run after run the same."""
        for size in SIZES:
            data = payload(size)
            job = self.add(data, b',"interval_seconds":1')
            got = wait_for(lambda: [j for j in [self.s.job(job)]
                                    if j["runs"] >= 2], 20)[0]
            self.assertEqual(got["payload"], json.loads(data))
            run = self.s.redis("GET", self.s.key("r:%d" % job))
            if size > 2:
                self.assertIn(b'"task_data":%s' % data, run)
            self.assertEqual(self.s.redis("EXISTS", self.s.key("b:%d" % job)),
                             size > 1024)
            self.assertEqual(self.s.request("DELETE", "/job/%d" % job).status,
                             200)
            self.assertEqual(self.s.redis("EXISTS", self.s.key("b:%d" % job)),
                             0)

    def test_scheduled_and_cancelled(self):
        for size in SIZES:
            data = payload(size)
            job = self.add(data, b',"scheduled_for":"2100-01-01T00:00:00Z"')
            self.assertIn(b'"payload":%s,' % data,
                          self.s.get("/job/%d" % job).body)
            self.assertEqual(self.s.post("/cancel", {"job_id": job}).status,
                             200)
            self.s.asides()
            self.assertEqual(self.s.request("DELETE", "/job/%d" % job).status,
                             200)
            self.assertNotIn(str(job), self.s.asides())

    def test_swept(self):
        """… when its time is over."""
        jobs = [self.add(payload(n), b',"retention_seconds":1')
                for n in SIZES]
        wait_for(lambda: self.s.redis("EXISTS", *(
            self.s.key("%s:%d" % (kind, job)) for job in jobs
            for kind in "jrbl")) == 0, 30, "all keys are gone")

    def test_refused(self):
        """What no job takes goes with the call: another body under the same
        key, an unknown handler."""
        s = self.s
        before = s.asides()
        big = payload(5000)
        for n, (body, path, status) in enumerate((
                (b'{"handler":"t","payload":%s}' % big, "/add-job", 200),
                (b'{"handler":"t","payload":%s}' % big, "/add-job", 200),
                (b'{"handler":"t","payload":%s}' % payload(5001), "/add-job",
                 422))):
            r = s.post(path, body, headers={"Idempotency-Key": "refused"})
            self.assertEqual(r.status, status, (n, r))
        self.assertEqual(len(s.asides()), len(before) + 1)

    def test_no_payload(self):
        """It was lost: the job fails at once, and says why; others run."""
        s = self.s
        s.redis("HSET", s.key("config"), "retry_wait_ms", "10")
        job = self.add(payload(5000),
                       b',"scheduled_for":"2100-01-01T00:00:00Z"')
        s.redis("DEL", s.key("b:%d" % job))
        self.assertEqual(s.get("/job/%d" % job).status, 200)
        s.redis("ZADD", s.key("scheduled"), "1000", job)
        self.check(self.add(payload(1025)), payload(1025))
        got = s.wait_status(job, "FAILED", 20)
        self.assertIn("not in Redis any more", got["error_log"])


if __name__ == "__main__":
    unittest.main()
