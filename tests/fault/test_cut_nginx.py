"""The connection between nginx and Redis is cut after every single byte of
one add-job exchange, both ways: what the client is told, and what Redis has.

All cuts are made side by side: one nginx, and for each cut a location with a
connection, a proxy line and a namespace of its own."""

import concurrent.futures
import unittest

from cut_proxy import CutProxy
from harness import Stack, wait_for

ONE = '{"handler":"h","payload":{"a":"b"}}'
THREE = '[%s]' % ",".join([ONE] * 3)
MARK = b"EVALSHA"
# apart from its record: the pair of calls that stores it begins with a SET
LARGE = '{"handler":"h","payload":{"a":"%s"}}' % ("b" * 1017)
SET = b"\r\nSET\r\n"


class Lines(Stack):
    """nginx with one location per name, each through a line of its own."""

    def __init__(self, names):
        super().__init__(nginx=False, aof=False)
        self.proxy = CutProxy()
        self.lines = {n: self.proxy.line(self.path(n), self.sock)
                      for n in names}
        self.conf["server"] = "taskmq_redis_timeout 10s;" + "".join(
            "location /%s/ { taskmq_api taskmq; taskmq_redis %s;"
            " taskmq_namespace %s; }" % (
                n, self.url("nginx", self.path(n)), n) for n in names)
        for n in names:
            self.allow(n)
        self.conf["main"] = "worker_rlimit_nofile 8192;"
        self.start_nginx()

    def nginx_conf(self):
        return super().nginx_conf().replace("worker_connections 1024",
                                            "worker_connections 4096")

    def close(self):
        try:
            super().close()
        finally:
            self.proxy.close()

    def ready(self, names):
        """Every one of them has a connection that works."""
        def up(n):
            wait_for(lambda: self.get("/%s/health" % n, token=None).status
                     == 200, 60, n)
        self.each(up, names)

    def each(self, f, names):
        """f(name) for all, some at a time; {name: result}."""
        names = list(names)
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            return dict(zip(names, pool.map(f, names)))

    def add(self, name, body=ONE, key=None):
        path = "add-job" if body[0] == "{" else "add-jobs"
        return self.post("/%s/%s" % (name, path), body,
                         headers={"Idempotency-Key": key} if key else None)

    def stored(self, name):
        """Jobs in the namespace; and they are all there is."""
        ids = self.waiting("h", name)
        seq = int(self.redis("GET", "{%s}:seq" % name) or 0)
        if ids != list(range(1, seq + 1)) or self.redis(
                "EXISTS", "{%s}:j:%d" % (name, seq)) != (seq > 0):
            raise AssertionError("%s: %r wait, seq %d" % (name, ids, seq))
        return seq


def measure(body, key, mark):
    """Bytes of the exchange, both ways. The namespace's name is as long as
    those of the cuts."""
    with Lines(["m0000"]) as s:
        s.ready(["m0000"])
        line = s.lines["m0000"]
        line.measure(mark)
        assert s.add("m0000", body, key).status == 200
        return dict(line.seen)


class AddJob(unittest.TestCase):

    ONE, THREE, MARK = ONE, THREE, MARK
    SKIPPED = range(0)          # of the bytes on their way up

    @classmethod
    def setUpClass(cls):
        cls.lengths = {
            "one": measure(cls.ONE, None, cls.MARK),
            "key": measure(cls.ONE, "k" * 8, cls.MARK),
            "bulk": measure(cls.THREE, "k" * 8, cls.MARK)}
        most = {d: max(x[d] for x in cls.lengths.values())
                for d in ("up", "down")}
        ends = {x["up"] for x in cls.lengths.values()}
        cls.names = {"%s%04d" % (d[0], k): (d, k)
                     for d in most for k in range(most[d] + 1)
                     if d == "down" or k in ends or k not in cls.SKIPPED}
        cls.s = Lines(cls.names)
        cls.addClassCleanup(cls.s.close)

    def cut(self, what, body, key=None):
        """Every cut of the exchange; {name: (reply, jobs that are new)}."""
        length = self.lengths[what]
        names = [n for n, (d, k) in self.names.items() if k <= length[d]]
        self.s.ready(self.names)
        before = {n: self.s.stored(n) for n in names}
        cuts = {n: self.s.lines[n].cuts for n in names}

        def one(name):
            line = self.s.lines[name]
            line.arm(*self.names[name], self.MARK)
            return self.s.add(name, body, key)

        replies = self.s.each(one, names)
        wait_for(lambda: all(self.s.lines[n].cuts == cuts[n] + 1
                             for n in names), 30, "all are cut")
        self.s.ready(names)         # Redis has read what there was to read
        out = {}
        for n in names:
            out[n] = replies[n], self.s.stored(n) - before[n]
            self.payloads(n)
        return out

    def payloads(self, name):
        """All are in their records."""
        self.assertEqual(self.s.asides(name), {})

    def check(self, what, results, jobs):
        """The client is told the truth, and as much as is known."""
        length = self.lengths[what]
        told = {200: 0, 503: 0, 504: 0}
        for name, (reply, new) in results.items():
            direction, k = self.names[name]
            with self.subTest(what=what, direction=direction, k=k):
                self.assertIn(reply.status, told, reply)
                told[reply.status] += 1
                if reply.status == 200:
                    self.assertEqual(new, jobs)
                elif reply.status == 503:
                    self.assertEqual(new, 0)
                else:
                    self.assertIsNone(reply.headers["Retry-After"])
                    self.assertIn(new, (0, jobs))
                whole = k == length[direction]
                self.assertEqual(reply.status, 200 if direction == "down"
                                 and whole else 504)
                self.assertEqual(new, jobs if direction == "down" or whole
                                 else 0)
        print("\n    %s: %d places, %r" % (what, len(results), told))

    def test_1_without_key(self):
        self.check("one", self.cut("one", self.ONE), 1)

    def test_2_repeated_with_key(self):
        """The same key until it is 200: exactly one job, and its id."""
        self.repeat("key", self.ONE, "key-none", 1)

    def test_3_bulk(self):
        self.repeat("bulk", self.THREE, "key-bulk", 3)

    def repeat(self, what, body, key, jobs):
        before = {n: self.s.stored(n) for n in self.names}
        results = self.cut(what, body, key)
        self.check(what, results, jobs)
        for name, reply in self.s.each(
                lambda n: self.s.add(n, body, key), results).items():
            with self.subTest(name):
                self.assertEqual(reply.status, 200)
                self.assertEqual(self.s.stored(name) - before[name], jobs)
                first = before[name] + 1
                self.assertEqual(reply.json(), dict(
                    {"job_id": first} if jobs == 1 else
                    {"job_ids": list(range(first, first + jobs))},
                    status="ok"))
                if results[name][0].status == 200:
                    self.assertEqual(results[name][0].json(), reply.json())
                self.payloads(name)


class AddLargeJob(AddJob):
    """The same where the payload is stored apart: with its job or not at
    all, and what no job took expires."""

    ONE, THREE, MARK = LARGE, "[%s]" % ",".join([LARGE, ONE, LARGE]), SET
    SKIPPED = [k for k in range(120, 2060) if k % 41 and not
               1020 < k < 1220]

    def payloads(self, name):
        s = self.s
        apart = s.asides(name)
        for job in range(1, s.stored(name) + 1):
            record = s.redis("GET", "{%s}:j:%d" % (name, job))
            head, _, payload = record.partition(b"\n")
            if b" b=" not in head:
                self.assertEqual(payload, b'{"a":"b"}')
                continue
            self.assertEqual((payload, apart.pop(str(job))), (b"", -1))
            self.assertEqual(s.redis("GET", "{%s}:b:%d" % (name, job)),
                             b'{"a":"%s"}' % (b"b" * 1017))
        # of each cut exchange, and none of those that went well
        self.assertLessEqual(len(apart), 2 * s.lines[name].cuts)


class Handshake(unittest.TestCase):
    """Cut while it connects: 503, and surely not stored. Those who wait for it
    leave as soon as the handshake is over, with what is cut then: 504."""

    def test_places(self):
        with Lines(["m000"]) as s:
            s.ready(["m000"])
            line = s.lines["m000"]
            line.arm("never", 0, b"")
            s.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            s.ready(["m000"])
            length = dict(line.seen)
        names = {}
        for d in length:
            step = length[d] // 60
            names.update({"%s%05d" % (d[0], k): (d, k)
                          for k in range(0, length[d], step)})
        with Lines(names) as s:
            s.ready(names)
            for line in s.lines.values():
                line.refuse()

            def away(name):
                wait_for(lambda: s.get("/%s/health" % name, token=None).status
                         == 503, 30, name)
                return s.add(name).status

            self.assertEqual(set(s.each(away, names).values()), {503})
            for name, (d, k) in names.items():
                s.lines[name].arm(d, k, b"")
                s.lines[name].refuse(False)
            told = s.each(lambda n: self.until_taken(s, n), names)
            s.ready(names)
            for name, statuses in told.items():
                d, k = names[name]
                with self.subTest(names[name]):
                    self.assertEqual(set(statuses) - {200, 503, 504}, set())
                    self.assertLessEqual(statuses.count(504),
                                         k > length[d] * 9 // 10)
                    self.assertEqual(s.lines[name].cuts, 1)
                    self.assertIn(s.stored(name) - statuses.count(200),
                                  (0, statuses.count(504)))
            print("\n    handshake: %d places, refused %d times" % (
                len(names), sum(x.count(503) for x in told.values())))

    def until_taken(self, s, name):
        """Statuses of add-job from before the cut until one is a 200."""
        statuses = []

        def taken():
            statuses.append(s.add(name).status)
            return s.lines[name].cuts == 1 and statuses[-1] == 200

        wait_for(taken, 60, name)
        return statuses


if __name__ == "__main__":
    unittest.main()
