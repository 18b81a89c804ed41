"""`url` handlers: jobs as HTTP requests, and what becomes of the answers."""

import base64
import email.utils
import gzip
import http.server
import json
import socketserver
import threading
import time
import unittest
import zlib

from cli_stack import CliStack
from harness import SLOW, memory_kb, wait_for


def members(raw):
    """gzip of several files, which is that of all of them."""
    size = len(raw) // 3 + 1
    return b"".join(gzip.compress(raw[i:i + size])
                    for i in range(0, len(raw), size))


def many_members(raw):
    """As many as an answer has room for, all but one of nothing."""
    none = gzip.compress(b"")
    return gzip.compress(raw) + none * ((1114112 - len(raw)) // len(none))


class Target(http.server.BaseHTTPRequestHandler):
    """Does what the payload says; keeps what it saw."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        data = json.loads(body)
        self.server.seen.append((self.path, dict(self.headers), body,
                                 self.client_address[1], time.time()))
        time.sleep(data.get("sleep", 0))
        status, text = data.get("status", 200), data.get("body", "")
        if data.get("until", 1 << 30) < len([
                s for s in self.server.seen if s[2] == body]):
            status, text = 200, '"late"'
        if self.path == "/moved":
            status, text = 200, '"moved"'
        raw = text.encode() * data.get("times", 1)
        if "pack" in data:
            raw = {"gzip": gzip.compress, "deflate": zlib.compress,
                   "members": members, "many": many_members,
                   "raw": lambda b: zlib.compress(b, wbits=-15),
                   "none": bytes}[data["pack"]](raw)
        raw = raw[:data.get("cut")] + data.get("more", "").encode()
        self.send_response(status)
        for name, value in data.get("headers", {}).items():
            for line in value if isinstance(value, list) else [value]:
                self.send_header(name, line)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):

    def handle_error(self, request, client_address):
        """A client that went away is what some of these tests are about."""


class Url(unittest.TestCase):

    @classmethod
    def start_server(cls):
        server = Server(("127.0.0.1", 0), Target)
        server.daemon_threads = True
        server.seen = []
        server.base = "http://127.0.0.1:%d" % server.server_address[1]
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @classmethod
    def setUpClass(cls):
        cls.server, cls.other = cls.start_server(), cls.start_server()
        cls.base = cls.server.base
        cls.s = CliStack(handlers={
            "u": {"url": cls.base + "/run?x=1", "instances": 4, "timeout": 2},
            "auth": {"url": cls.base.replace(
                "//", "//us%40er:s3cr%2fet@") + "/run", "instances": 1},
            "nowhere": {"url": "http://127.0.0.1:1/", "instances": 1},
        }, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker("--concurrency", 6)
        cls.s.run("config", "set", "retry_wait_ms", "200")

    def setUp(self):
        del self.server.seen[:]

    def done(self, **data):
        return self.s.wait_done(self.s.add("u", data))["result"]

    def failed(self, retry_policy="none", **data):
        job = self.s.wait_status(self.s.add("u", data, retry_policy=(
            retry_policy)), "FAILED")
        return job["error_log"]

    def test_payload_and_headers(self):
        payload = '{"n":12345678901234567890123, "x":1.10}'
        job = self.s.add("u", payload)
        self.s.wait_done(job)
        (path, headers, body, _, _), = self.server.seen
        self.assertEqual((path, body), ("/run?x=1", payload.encode()))
        self.assertEqual(headers["TaskMQ-Job-Id"], str(job))
        self.assertEqual(headers["TaskMQ-Handler"], "u")
        self.assertEqual(headers["TaskMQ-Attempt"], "1")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertRegex(headers["TaskMQ-Task-Id"],
                         "^[0-9a-f]{8}-[0-9a-f]{4}-8")
        self.assertEqual(headers["Idempotency-Key"],
                         headers["TaskMQ-Task-Id"])

    def test_results(self):
        self.assertEqual(self.done(body='{"a": 1.10}'), {"a": 1.1})
        self.assertIsNone(self.done(body=""))
        self.assertIsNone(self.done(status=204))
        self.assertEqual(self.done(body="fine\n"), "fine\n")
        self.assertEqual(self.done(status=201, body="7"), 7)
        # what JSON allows is that value, byte for byte, and no text
        for body in (r'{"a":"x\u0000y"}', r'{"a":"\ud800","a":[1.10]}',
                     r'"\udfff"'):
            job = self.s.add("u", {"body": body})
            self.s.wait_done(job)
            self.assertIn('"result":' + body,
                          self.s.run("--json", "get-job", job).decode())

    def test_encodings_that_were_not_asked_for(self):
        body = '{"a":"' + "é" * 5000 + '"}'
        for pack, name in (("gzip", "gzip"), ("gzip", "x-gzip"),
                           ("deflate", "deflate"), ("raw", "deflate"),
                           ("members", "gzip"), ("members", "x-gzip"),
                           ("many", "gzip"),
                           ("gzip", " GZip, identity"), ("none", "identity"),
                           ("none", ""), ("gzip", ["identity", "gzip"])):
            self.assertEqual(self.done(body=body, pack=pack, headers={
                "Content-Encoding": name}), json.loads(body), name)
        self.assertEqual(self.server.seen[-1][1]["Accept-Encoding"],
                         "identity")
        # the work is done: not again
        for pack, name, more in (
                ("none", "gzip", {}), ("none", "zopfli", {}),
                ("gzip", "gzip, zopfli", {}), ("gzip", "gzip, gzip", {}),
                ("gzip", ["gzip", "gzip"], {}),
                # what is there is not all of it
                ("gzip", "gzip", {"cut": 3}),
                ("gzip", "gzip", {"cut": 40}), ("gzip", "gzip", {"cut": -8}),
                ("gzip", "gzip", {"cut": -1}), ("gzip", "gzip", {"more": "x"}),
                ("gzip", "gzip", {"cut": -8, "more": "\0" * 8}),
                ("members", "gzip", {"cut": -1}),
                ("members", "gzip", {"more": "x"}),
                ("members", "gzip", {"more": "\x1f"}),
                ("members", "gzip", {"cut": 40}),
                ("members", "deflate", {}),
                ("deflate", "deflate", {"cut": -1}),
                ("deflate", "deflate", {"more": "x\x9c"}),
                ("raw", "deflate", {"cut": -1})):
            del self.server.seen[:]
            error = self.failed("fixed", body=body, pack=pack, headers={
                "Content-Encoding": name}, **more)
            self.assertIn("a Content-Encoding that cannot be read: ", error)
            self.assertEqual(len(self.server.seen), 1)
        # of nothing, which proxies send, there is no more to come
        self.assertIsNone(self.done(body=body, pack="gzip", cut=0, headers={
            "Content-Encoding": "gzip"}))
        # unpacked it must not be longer, either
        for pack in ("gzip", "members"):
            self.assertIn("more than 1114112 bytes", self.failed(
                "fixed", body="x" * 1000, times=2000, pack=pack, headers={
                    "Content-Encoding": "gzip"}))
        # of an error the status counts
        self.assertEqual(self.failed(status=404, body="gone", pack="gzip",
                                     headers={"Content-Encoding": "gzip"}),
                         "HTTP status 404: gone")
        job = self.s.wait_status(self.s.add("u", {
            "status": 503, "body": "busy", "headers": {
                "Content-Encoding": "gzip"}}, max_retries=1), "FAILED")
        self.assertEqual((job["error_log"], job["retries"]),
                         ("HTTP status 503", 2))

    def test_a_name_and_password_in_the_url(self):
        """Sent, and neither shown nor logged."""
        def run(**data):
            return self.s.add("auth", data, retry_policy="none")

        basic = "Basic " + base64.b64encode(b"us@er:s3cr/et").decode()
        job = self.s.wait_done(run(status=307, headers={
            "Location": "/moved"}))
        self.assertEqual(job["result"], "moved")
        self.assertEqual([s[1]["Authorization"] for s in self.server.seen],
                         [basic] * 2)
        self.s.wait_done(run(status=307, headers={"Location": (
            self.base + "/moved").replace("//", "//x:y@")}))
        self.assertEqual(self.server.seen[-1][1]["Authorization"], basic)
        errors = []
        for status, to, says in (
                (302, "/else?w=1", self.base + "/else?w=1"),
                (302, "http://o:p%20q@example.org/", "http://example.org/"),
                (307, "http://o:pq@127.0.0.1:1/", "http://127.0.0.1:1/"),
                (302, "", "no Location that is a URL"),
                (400, "", "HTTP status 400")):
            job = self.s.wait_status(run(status=status, headers={
                "Location": to} if to else {}), "FAILED")
            self.assertIn(says, job["error_log"])
            errors.append(job["error_log"])
        for text in errors + [self.w.tail(1000000)]:
            for secret in ("s3cr", "us%40er", "us@er", "o:p", "p%20q"):
                self.assertNotIn(secret, text)

    def test_connection_is_kept(self):
        for _ in range(5):
            self.done()
        self.assertEqual(len({s[3] for s in self.server.seen}), 1)

    def test_4xx_is_permanent(self):
        error = self.failed("fixed", status=404, body="no such thing")
        self.assertEqual(error, "HTTP status 404: no such thing")
        self.assertEqual(len(self.server.seen), 1)

    def test_5xx_is_retried_with_the_same_key(self):
        job = self.s.add("u", {"status": 500, "until": 2})
        done = self.s.wait_done(job)
        self.assertEqual((done["result"], done["retries"]), ("late", 2))
        self.assertEqual(len({s[1]["Idempotency-Key"]
                              for s in self.server.seen}), 1)
        self.assertEqual([s[1]["TaskMQ-Attempt"] for s in self.server.seen],
                         ["1", "2", "3"])

    def test_retry_after(self):
        for status in (429, 503):
            del self.server.seen[:]
            job = self.s.add("u", {"status": status, "until": 1,
                                   "headers": {"Retry-After": "2"}})
            self.s.wait_done(job)
            a, b = [s[4] for s in self.server.seen]
            self.assertGreaterEqual(b - a, 1.95)
            self.assertLess(b - a, 2 + 0.5 * SLOW)

    def test_retry_after_as_a_date(self):
        """The other form. The usual wait here is 0.2 s."""
        at = time.time() + 4            # dates have whole seconds
        job = self.s.add("u", {"status": 503, "until": 1, "headers": {
            "Retry-After": email.utils.formatdate(at, usegmt=True)}})
        self.s.wait_done(job, 15)
        a, b = [s[4] for s in self.server.seen]
        self.assertGreaterEqual(b, int(at) - 0.05)
        self.assertLess(b, at + 1 * SLOW)
        # one that is over, and one that is none
        for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "soon"):
            del self.server.seen[:]
            job = self.s.add("u", {"status": 429, "until": 1,
                                   "headers": {"Retry-After": text}})
            self.s.wait_done(job)
            a, b = [s[4] for s in self.server.seen]
            self.assertLess(b - a, 1 * SLOW, text)

    def test_timeout_is_retried(self):
        job = self.s.add("u", {"sleep": 3, "until": 0}, max_retries=1)
        failed = self.s.wait_status(job, "FAILED", 15)
        self.assertEqual(failed["error_log"], "timed out after 2 s")
        self.assertEqual(failed["retries"], 2)
        self.done()

    def test_refused_connection_is_retried(self):
        job = self.s.add("nowhere", {}, max_retries=1)
        failed = self.s.wait_status(job, "FAILED")
        self.assertIn("Failed to connect", failed["error_log"])
        self.assertEqual(failed["retries"], 2)

    def test_redirects(self):
        self.assertEqual(self.done(status=307, headers={
            "Location": self.base + "/moved"}), "moved")
        self.assertEqual(self.server.seen[-1][2], self.server.seen[-2][2])
        for status, to in ((307, "http://localhost:%d/moved"
                            % self.server.server_address[1]),
                           (308, "https://example.org/"),
                           (307, self.other.base + "/moved"),
                           (302, self.base + "/moved"),
                           (308, self.base + "/run?x=1")):
            error = self.failed("fixed", status=status,
                                headers={"Location": to})
            self.assertIn("HTTP status %d, not followed: " % status, error)
        self.assertEqual(self.other.seen, [])

    def test_answer_over_the_limit(self):
        error = self.failed("fixed", body="x" * 1000, times=1200)
        self.assertIn("more than 1114112 bytes", error)
        error = self.failed("fixed", body='"%s"' % ("x" * (1 << 20)))
        self.assertIn("the limit is 1048576", error)

    def test_cancel(self):
        job = self.s.add("u", {"sleep": 1.5})
        wait_for(lambda: self.server.seen, 5)
        self.s.run("cancel", "--force", job)
        wait_for(lambda: "job cancelled" in self.w.tail(), 5)
        self.done()
        self.assertEqual(self.s.job(job)["status"], "CANCELLED")


class Raw(socketserver.StreamRequestHandler):
    """Answers one request with the payload's `first`, then `again` so many
    `times`, without end where that is not said."""

    def handle(self):
        length = 0
        for line in iter(self.rfile.readline, b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        data = json.loads(self.rfile.read(length))
        seen = self.server.seen
        seen.append(data)
        answer = data["answers"][min(len(seen), len(data["answers"])) - 1]
        self.wfile.write(answer["first"].encode())
        again = answer.get("again", "").encode()
        left = answer.get("times", 1 << 60 if again else 0)
        while left > 0:
            n = min(left, 1_000_000 // len(again))
            self.wfile.write(again * n)
            left -= n


class RawServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """The worker hangs up in the midst of most answers."""


class Flood(unittest.TestCase):
    """Targets that do not stop to send."""

    OK = "HTTP/1.1 200 OK\r\n"
    CHUNKED = OK + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    HEAD = ("the target's answer has more than 65536 bytes of headers and "
            "trailers")

    @classmethod
    def setUpClass(cls):
        cls.server = RawServer(("127.0.0.1", 0), Raw)
        cls.server.seen = []
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.s = CliStack(handlers={
            "f": {"url": "http://127.0.0.1:%d/"
                  % cls.server.server_address[1],
                  "instances": 8, "timeout": 3},
            "n": {"builtin": "noop"},
        }, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker("--concurrency", 10)
        cls.s.run("config", "set", "retry_wait_ms", "200")

    def setUp(self):
        del self.server.seen[:]

    def add(self, first, *more, **answer):
        return self.s.add("f", {"answers": [dict(answer, first=first)]
                                + list(more)}, retry_policy="fixed")

    def failed(self, *args, **answer):
        job = self.s.wait_status(self.add(*args, **answer), "FAILED", 15)
        return job["error_log"]

    def test_headers_and_trailers(self):
        """An end for good, and little memory, however they come."""
        before = memory_kb(self.w.pid, "VmHWM")
        for first, again in (
                (self.CHUNKED + "0\r\n", "X: y\r\n"),
                (self.OK, "X: y\r\n"),
                (self.OK, "a:\n"),
                ("HTTP/1.1 503 Busy\r\n", "X: %s\r\n" % ("y" * 9000)),
                ("", "HTTP/1.1 100 Continue\r\n\r\n"),
                ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
                # no line ends
                ("HTTP/1.1 200 O", "K"),
                (self.OK + "X: ", "y"),
                (self.OK + "X", "y")):
            del self.server.seen[:]
            self.assertEqual(self.failed(first, again=again), self.HEAD,
                             (first, again))
            self.assertEqual(len(self.server.seen), 1)
        self.assertEqual(self.failed(self.CHUNKED + "0\r\nX: ", again="y"),
                         "the target's answer has a trailer that is too long")
        self.assertLess(memory_kb(self.w.pid, "VmHWM") - before, 20_000)

    def test_as_many_as_may_be(self):
        """All lines count, also the empty one, and each answer anew."""
        end = "Content-Length: 1\r\n\r\n"
        line = "X: %s\r\n" % ("y" * 59)
        room = 65536 - len(self.OK) - len(end)
        times, more = divmod(room, len(line))
        pad = "Y:%s\r\n" % ("z" * (more - 4))
        head = self.OK + line * times + pad + end
        self.assertEqual(len(head), 65536)
        self.assertEqual(self.s.wait_done(self.add(head + "7"))["result"], 7)
        self.assertEqual(self.failed(head.replace("zz", "zzz", 1) + "7"),
                         self.HEAD)
        del self.server.seen[:]
        moved = head.replace("200 OK", "307 OK").replace(
            "Y:zzzzzzzzz", "Location: /").replace("h: 1", "h: 0")
        self.assertEqual(len(moved), 65536)
        self.assertEqual(self.s.wait_done(self.add(
            moved, {"first": head + "8"}))["result"], 8)
        self.assertEqual(len(self.server.seen), 2)

    def test_bytes_that_say_nothing(self):
        """Its timeout ends it; meanwhile the worker does its other work."""
        for first, again in ((self.CHUNKED + "2;x=", "y"),
                             (self.CHUNKED[:-1], "\r")):
            del self.server.seen[:]
            jobs = [self.s.add("f", {"answers": [{
                "first": first, "again": again}]},
                retry_policy="none") for _ in range(8)]
            wait_for(lambda: len(self.server.seen) == 8, 10)
            for _ in range(5):
                self.s.wait_done(self.s.add("n"), 5 * SLOW)
            for job in jobs:
                failed = self.s.wait_status(job, "FAILED", 15)
                self.assertEqual(failed["error_log"], "timed out after 3 s")

    def test_very_many_codings(self):
        """They are not all looked for."""
        first = self.OK + "Content-Length: 2\r\n"
        start = time.time()
        error = self.failed(first + "Content-Encoding:\n" * 3000
                            + "\r\n{}")
        self.assertIn("a Content-Encoding that cannot be read: ", error)
        self.assertLess(time.time() - start, 5 * SLOW)
        self.assertEqual(self.s.wait_done(self.add(
            first + "Content-Encoding: identity\r\n" * 16
            + "\r\n{}"))["result"], {})
        # Transfer-Encoding is libcurl's
        del self.server.seen[:]
        self.failed(self.OK + "Transfer-Encoding: %schunked\r\n\r\n"
                    "2\r\n{}\r\n0\r\n\r\n" % ("gzip, " * 9))
        self.assertEqual(len(self.server.seen), 1)


if __name__ == "__main__":
    unittest.main()
