"""A namespace whose keys are those of another version is not touched: nginx, a
worker and the tool say so, in one sentence, and go on when it is ours."""

import unittest

from harness import Stack, wait_for

OLD = "this namespace was made by an older TaskMQ: let that one finish its " \
    "jobs and delete its keys, or use another namespace"
NEW = "this namespace is a newer TaskMQ's: upgrade this program"
NOT_READ = "the namespace's schema cannot be read"


class Schema(unittest.TestCase):

    def become(self, s, keys):
        """The namespace has these keys, and no other; connections are new."""
        s.redis("FLUSHALL")
        for name, value in keys.items():
            s.redis("SET", s.key(name), value)
        for role in ("nginx", "worker", "cli"):
            s.redis("CLIENT", "KILL", "USER", "taskmq-" + role)

    def check(self, keys, word):
        with Stack(aof=False, handlers={"n": {"builtin": "noop"}}) as s:
            w = s.worker()
            s.wait_done(s.add("n"))
            self.become(s, keys)
            before = s.redis("DBSIZE")

            # nginx
            def refused():
                h = s.get("/health", token=None)
                return h.status == 503 and h.json()["detail"].endswith(word)
            wait_for(refused, 10, "/health says it")
            for method, path, body in (
                    ("POST", "/add-job", {"handler": "n", "payload": {}}),
                    ("GET", "/job/1", None), ("GET", "/queues", None),
                    ("DELETE", "/job/1", None)):
                r = s.request(method, path, body)
                self.assertEqual(r.status, 503, r)
                self.assertIn(word, r.json()["detail"])
                self.assertIsNotNone(r.headers["Retry-After"])

            # the tool
            for args in (("add-job", "n", "{}"), ("list",), ("stats",),
                         ("delete", "1")):
                out = s.cli(*args)
                self.assertEqual((out.returncode, out.stdout), (69, b""), out)
                self.assertIn(word, out.stderr.decode())
                self.assertEqual(out.stderr.count(b"\n"), 1, out)

            # one that runs, and one that starts
            wait_for(lambda: word in w.tail(1 << 20), 10, "the worker says it")
            new = s.worker(wait=False)
            wait_for(lambda: word in new.tail(1 << 20), 10, "so does this one")

            # it goes on asking, and has said it once
            s.redis("CONFIG", "RESETSTAT")
            wait_for(lambda: int(dict(
                line.split(":", 1) for line in s.redis("INFO", "stats")
                .decode().splitlines() if ":" in line)[
                    "total_connections_received"]) >= 6, 30, "they ask")
            for text in (w.tail(1 << 20), new.tail(1 << 20)):
                self.assertEqual(text.count(word), 1, text)
            said = [line for line in s.error_log().splitlines()
                    if word in line and "[error]" in line
                    and "request:" not in line]
            self.assertEqual(len(said), 1, said)
            self.assertEqual(s.redis("DBSIZE"), before)

            # … until it is ours
            s.redis("FLUSHALL")
            wait_for(lambda: s.post("/add-job", {
                "handler": "n", "payload": {}}).status == 200, 20)
            s.wait_done(s.add("n"), 20)
            self.assertEqual(s.redis("GET", s.key("schema")), b"3")
            self.assertTrue(w.alive() and new.alive())

    def test_older(self):
        self.check({"seq": 5}, OLD)

    def test_its_number_is_lower(self):
        for schema in (1, 2):
            self.check({"schema": schema, "seq": 5}, OLD)

    def test_newer(self):
        self.check({"schema": 4}, NEW)

    def test_no_number(self):
        for schema in ("x", "2.5"):
            self.check({"schema": schema}, NOT_READ)


if __name__ == "__main__":
    unittest.main()
