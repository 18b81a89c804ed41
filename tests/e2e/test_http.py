"""POST /add-job, GET /job/{id} and GET /health over HTTP: what is refused and
how, who may do what, and every way a body can arrive."""

import base64
import http.client
import json
import re
import socket
import subprocess
import tempfile
import time
import unittest

from harness import SLOW, Stack, jwt

GOOD = '{"handler":"h","payload":{}}'


class Http(unittest.TestCase):

    location = "client_body_buffer_size 1k;"
    server = "large_client_header_buffers 4 32k;"

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(location=cls.location, server=cls.server)
        cls.addClassCleanup(cls.s.close)

    def stored(self):
        return int(self.s.redis("GET", self.s.key("seq")) or 0)

    def raw(self, data, until=None, port=None):
        """Sends bytes, returns all that comes back before the close, or
        until so many responses came."""
        with socket.create_connection(
                ("127.0.0.1", port or self.s.port), 30 * SLOW) as c:
            c.sendall(data)
            got = b""
            while until is None or got.count(b"HTTP/1.1 ") < until \
                    or not got.endswith(b"}"):
                more = c.recv(65536)
                if not more:
                    break
                got += more
            return got

    def head(self, extra="", path="/add-job", method="POST"):
        return ("%s %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n%s"
                % (method, path, self.s.token(), extra))


class Refused(Http):
    """Each is refused with the API's error, and changes nothing."""

    def setUp(self):
        self.before = self.stored()

    def tearDown(self):
        self.assertEqual(self.stored(), self.before, "a job was stored")
        self.assertEqual(self.s.get("/health", token=None).status, 200)

    def check422(self, body, loc, kind=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.s.port,
                                          timeout=20)
        try:
            r = self.s.post("/add-job", body, conn=conn)
            self.assertEqual(r.status, 422, (body[:80], r))
            self.assertEqual(r.headers["Content-Type"], "application/json")
            errors = r.json()["detail"]
            where = [e["loc"] for e in errors]
            self.assertIn(["body"] + loc, where, (body[:80], r))
            for e in errors:
                self.assertEqual(sorted(e), ["loc", "msg", "type"])
            if kind:
                self.assertIn(kind, [e["type"] for e in errors
                                     if e["loc"] == ["body"] + loc])
            # the connection stays usable
            again = self.s.get("/health", token=None, conn=conn)
            self.assertEqual(again.status, 200)
        finally:
            conn.close()

    def test_fields(self):
        for body, field in (
                ('{"payload":{}}', "handler"),
                ('{"handler":"h"}', "payload"),
                ('{"handler":1,"payload":{}}', "handler"),
                ('{"handler":"","payload":{}}', "handler"),
                ('{"handler":"a b","payload":{}}', "handler"),
                ('{"handler":"%s","payload":{}}' % ("x" * 65), "handler"),
                ('{"handler":"h","payload":[]}', "payload"),
                ('{"handler":"h","payload":"{}"}', "payload"),
                ('{"handler":"h","payload":null}', "payload"),
                ('{"handler":"h","payload":{},"priority":101}', "priority"),
                ('{"handler":"h","payload":{},"priority":-1}', "priority"),
                ('{"handler":"h","payload":{},"priority":1.5}', "priority"),
                ('{"handler":"h","payload":{},"priority":"10"}', "priority"),
                ('{"handler":"h","payload":{},"priority":true}', "priority"),
                ('{"handler":"h","payload":{},'
                 '"priority":99999999999999999999}', "priority"),
                ('{"handler":"h","payload":{},"retry_policy":"often"}',
                 "retry_policy"),
                ('{"handler":"h","payload":{},"scheduled_for":"tomorrow"}',
                 "scheduled_for"),
                ('{"handler":"h","payload":{},"scheduled_for":'
                 '"2026-02-30T00:00:00Z"}', "scheduled_for"),
                ('{"handler":"h","payload":{},"interval_seconds":0}',
                 "interval_seconds"),
                ('{"handler":"h","payload":{},"max_retries":-1}',
                 "max_retries"),
                ('{"handler":"h","payload":{},"timeout":0}', "timeout"),
                ('{"handler":"h","payload":{},"schedule_for":"x"}',
                 "schedule_for")):
            with self.subTest(body[:70]):
                self.check422(body, [field])

    def test_every_wrong_field_is_listed(self):
        r = self.s.post("/add-job", '{"priority":"x","retry_policy":1}')
        self.assertEqual(
            sorted(e["loc"][1] for e in r.json()["detail"]),
            ["handler", "payload", "priority", "retry_policy"])

    def test_missing_has_fastapis_words(self):
        r = self.s.post("/add-job", '{"payload":{}}')
        self.assertEqual(r.json(), {"detail": [
            {"loc": ["body", "handler"], "msg": "field required",
             "type": "value_error.missing"}]})

    def test_not_json_names_the_byte(self):
        kind = "value_error.jsondecode"
        head = '{"handler":"h","payload":{'
        for body, offset in (
                ("", 0), ("x", 0), ("\ufeff" + GOOD, 0),
                (GOOD + "x", len(GOOD)), (GOOD + GOOD, len(GOOD)),
                (head + '"a":007}}', len(head) + 4),
                (head + '"a":1.}}', None), (head + '"a":1e}}', None),
                (head + '"a":+1}}', len(head) + 4),
                (head + '"a":nul}}', None), (head + '"a":NaN}}', None),
                (head + "'a':1}}", len(head)),
                (head + '"a":"\\x"}}', None),
                ('{"payload":{},"handler":"\\ud800"}', 25),
                ('{"payload":{},"handler":"\\u0000"}', 25),
                (head + '"a":"\t"}}', None), (head + '"a":1,}}', None),
                (head + '"a":1', None), (head + '"a":1,"a":2}}', None),
                (head + '"a":1,"\\u0061":2}}', None)):
            with self.subTest(body[-30:]):
                r = self.s.post("/add-job", body)
                self.assertEqual(r.status, 422, r)
                error, = r.json()["detail"]
                self.assertEqual(error["type"], kind, r)
                self.assertEqual(error["loc"][0], "body")
                self.assertIsInstance(error["loc"][1], int)
                if offset is not None:
                    self.assertEqual(error["loc"][1], offset, r)

    def test_bytes_that_are_no_text(self):
        for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xe2\x82"):
            body = b'{"handler":"h","payload":{"a":"' + bad + b'"}}'
            r = self.s.post("/add-job", body)
            self.assertEqual(r.status, 422, (bad, r))
            self.assertEqual(r.json()["detail"][0]["loc"], ["body", 31], r)

    def test_deep_nesting(self):
        body = '{"handler":"h","payload":{"a":%s%s}}' % ("[" * 5000, "]" * 5000)
        self.assertEqual(self.s.post("/add-job", body).status, 422)

    def test_not_an_object(self):
        for body in ("[]", "1", '"x"', "null", "true"):
            r = self.s.post("/add-job", body)
            self.assertEqual(r.status, 422, body)
            self.assertEqual(r.json()["detail"][0]["loc"], ["body"], r)

    def test_too_large(self):
        body = '{"handler":"h","payload":{"a":"%s"}}' % ("x" * 2_000_000)
        r = self.s.post("/add-job", body)
        self.assertEqual(r.status, 413)
        self.assertIn("detail", r.json())

    def test_content_type(self):
        for kind, status in (("text/plain", 415),
                             ("application/x-www-form-urlencoded", 415),
                             ("application/jsonx", 415)):
            r = self.s.post("/add-job", GOOD,
                            headers={"Content-Type": kind})
            self.assertEqual(r.status, status, kind)
            self.assertIn("detail", r.json())

    def test_content_encoding(self):
        r = self.s.post("/add-job", GOOD,
                        headers={"Content-Encoding": "gzip"})
        self.assertEqual(r.status, 415)

    def test_methods(self):
        for method, path, allow in (("GET", "/add-job", "POST"),
                                    ("DELETE", "/add-job", "POST"),
                                    ("POST", "/health", "GET"),
                                    ("PUT", "/job/1", "GET")):
            r = self.s.request(method, path)
            self.assertEqual(r.status, 405, (method, path, r))
            self.assertIn(allow, r.headers["Allow"])
            self.assertIn("detail", r.json())

    def test_no_such_place(self):
        for path in ("/", "/add-jo", "/add-job/", "/job", "/job/", "/add-jobx",
                     "/job/1/2"):
            r = self.s.get(path)
            self.assertEqual(r.status, 404, path)
            self.assertIn("detail", r.json())

    def test_job_ids(self):
        for path in ("/job/0", "/job/01", "/job/x", "/job/-1", "/job/1.0",
                     "/job/9007199254740992", "/job/99999999999999999999999",
                     "/job/9007199254740991", "/job/%31%00"):
            r = self.s.get(path)
            self.assertIn(r.status, (400, 404), (path, r))
            if r.status == 404:
                self.assertEqual(r.json(), {"detail": "Job not found"})


class Tokens(Http):

    def setUp(self):
        self.before = self.stored()

    def status(self, token, path="/add-job", header=None):
        h = {"Authorization": header} if header is not None else {}
        r = self.s.post(path, GOOD, token=token, headers=h)
        if r.status == 401:
            self.assertEqual(r.json(), {"detail": "Invalid or missing token"})
            self.assertTrue(r.headers["WWW-Authenticate"]
                            .startswith("Bearer"))
        if r.status == 403:
            self.assertEqual(r.json(), {"detail": "Insufficient permissions"})
        return r.status

    def test_accepted(self):
        now = int(time.time())
        good = {"sub": "a", "role": "admin", "exp": now + 60}
        for claims in (good, dict(good, nbf=now - 5), dict(good, iat=now),
                       dict(good, role=["x", "admin"]),
                       dict(good, other={"a": [1]})):
            self.assertEqual(self.status(jwt(self.s.secret, claims)), 200)
        self.assertEqual(self.status(None, header="bearer "
                                     + self.s.token()), 200)
        self.assertEqual(self.stored(), self.before + 6)

    def test_refused(self):
        now = int(time.time())
        good = {"sub": "a", "role": "admin", "exp": now + 60}
        key = self.s.secret
        text = jwt(key, good)
        head, body, mac = text.split(".")
        none = {"alg": "none", "typ": "JWT"}
        cases = {
            "missing": None,
            "empty": "",
            "other key": jwt(b"x" * 48, good),
            "empty key": jwt(b"", good),
            "expired": jwt(key, dict(good, exp=now - 120)),
            "no exp": jwt(key, {"sub": "a", "role": "admin"}),
            "exp text": jwt(key, dict(good, exp=str(now + 60))),
            "exp a past float": jwt(key, '{"role":"admin","exp":1.7e9}'),
            "exp 2^63": jwt(key, '{"role":"admin","exp":9223372036854775808}'),
            "exp null": jwt(key, dict(good, exp=None)),
            "two exp": jwt(key, '{"role":"admin","exp":1,"exp":%d}'
                           % (now + 60)),
            "not yet": jwt(key, dict(good, nbf=now + 600)),
            "alg none, no mac": jwt(key, good, none, sign=False),
            "alg none, mac": jwt(key, good, none),
            "alg HS512": jwt(key, good, {"alg": "HS512", "typ": "JWT"}),
            "alg RS256": jwt(key, good, {"alg": "RS256", "typ": "JWT"}),
            "alg missing": jwt(key, good, {"typ": "JWT"}),
            "crit": jwt(key, good, {"alg": "HS256", "crit": ["x"], "x": 1}),
            "array": jwt(key, "[]"),
            "not json": jwt(key, "x"),
            "cut": text[:-1],
            "no mac": head + "." + body + ".",
            "two parts": head + "." + body,
            "four parts": text + ".x",
            "body swapped": ".".join((head, base64.urlsafe_b64encode(
                json.dumps(dict(good, sub="b")).encode()).decode()
                .rstrip("="), mac)),
            "long": jwt(key, dict(good, x="y" * 9000)),
            "spaces": text + " x",
        }
        for name, token in cases.items():
            with self.subTest(name):
                self.assertEqual(self.status(token), 401)
        for header in ("Basic YTpi", "Bearer", "Bearer ", text, "Bearer\t"):
            with self.subTest(header[:12]):
                self.assertEqual(self.status(None, header=header), 401)
        self.assertEqual(self.stored(), self.before)

    def test_roles(self):
        self.assertEqual(self.status(self.s.token("worker")), 403)
        self.assertEqual(self.status(self.s.token("nobody")), 403)
        self.assertEqual(self.status(self.s.token("Admin")), 403)
        self.assertEqual(self.status(
            jwt(self.s.secret, {"sub": "a", "exp": int(time.time()) + 60})),
            403)
        job = self.s.add("h", {})
        self.assertEqual(self.s.get("/job/%d" % job, token="worker").status,
                         200)
        self.assertEqual(self.s.get("/job/%d" % job, token=None).status, 401)
        self.assertEqual(self.s.get("/health", token=None).status, 200)
        self.assertEqual(self.stored(), self.before + 1)

    def test_refused_before_the_body_is_read(self):
        # nginx must not wait for a body that nobody may send
        start = time.monotonic()
        got = self.raw(b"POST /add-job HTTP/1.1\r\nHost: t\r\n"
                       b"Content-Length: 500000\r\n\r\n", until=1)
        self.assertTrue(got.startswith(b"HTTP/1.1 401 "), got)
        # nginx' own patience with a body is 60 s
        self.assertLess(time.monotonic() - start, 20 * SLOW)

    def test_the_log_says_why_and_never_the_token(self):
        token = jwt(self.s.secret, {"role": "admin", "exp": 1})
        self.status(token)
        log = self.s.error_log()
        self.assertIn("expired", log)
        self.assertNotIn(token.split(".")[2], log)


class Arrivals(Http):
    """However the body comes, the same job is stored."""

    def payload(self, n=0):
        return {"text": "y" * n, "n": 1}

    def body(self, n=0):
        return json.dumps({"handler": "h", "payload": self.payload(n)}).encode()

    def check(self, reply, n):
        self.assertIn(b"HTTP/1.1 200 ", reply)
        body = reply.split(b"\r\n\r\n", 1)[1]
        job = self.s.job(json.loads(body)["job_id"])
        self.assertEqual(job["payload"], self.payload(n))

    def test_in_a_temp_file(self):
        # client_body_buffer_size is 1k here
        for n in (10, 2_000, 200_000, 900_000):
            body = self.body(n)
            self.check(self.raw(
                (self.head("Connection: close\r\nContent-Length: %d\r\n\r\n"
                           % len(body))).encode() + body), n)

    def test_chunked(self):
        for n, size in ((0, 1), (500, 7), (100_000, 4096)):
            body = self.body(n)
            chunks = b"".join(
                b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                for i in range(0, len(body), size))
            self.check(self.raw(
                self.head("Connection: close\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n").encode()
                + chunks + b"0\r\n\r\n"), n)

    def test_chunked_too_large(self):
        body = self.body(1_500_000)
        got = self.raw(self.head("Connection: close\r\nTransfer-Encoding: "
                                 "chunked\r\n\r\n").encode()
                       + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        self.assertIn(b" 413 ", got.split(b"\r\n", 1)[0])
        self.assertIn(b'"detail"', got)

    def test_byte_by_byte(self):
        body = self.body(20)
        data = (self.head("Connection: close\r\nContent-Length: %d\r\n\r\n"
                          % len(body))).encode() + body
        with socket.create_connection(("127.0.0.1", self.s.port),
                                      10 * SLOW) as c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(data)):
                c.sendall(data[i:i + 1])
            got = b""
            while True:
                more = c.recv(65536)
                if not more:
                    break
                got += more
        self.check(got, 20)

    def test_without_content_type(self):
        r = self.s.post("/add-job", self.body(), headers={
            "Content-Type": None})
        self.assertEqual(r.status, 200, r)

    def test_content_type_with_charset(self):
        r = self.s.post("/add-job", self.body(), headers={
            "Content-Type": "Application/JSON; charset=utf-8"})
        self.assertEqual(r.status, 200, r)

    def test_expect_100(self):
        body = self.body()
        got = self.raw((self.head("Connection: close\r\nExpect: 100-continue"
                                  "\r\nContent-Length: %d\r\n\r\n"
                                  % len(body))).encode() + body)
        self.assertIn(b"HTTP/1.1 200 ", got)

    def test_http2(self):
        for n in (0, 50_000, 900_000):
            with tempfile.NamedTemporaryFile() as f:
                f.write(self.body(n))
                f.flush()
                out = subprocess.run(
                    ["curl", "-sS", "--http2-prior-knowledge", "-w",
                     "\n%{http_code} %{http_version}", "--data-binary",
                     "@" + f.name, "-H", "Content-Type: application/json",
                     "-H", "Authorization: Bearer " + self.s.token(),
                     "http://127.0.0.1:%d/add-job" % self.s.port2],
                    capture_output=True, timeout=30 * SLOW)
            body, _, status = out.stdout.rpartition(b"\n")
            self.assertEqual(status, b"200 2", out)
            job = self.s.job(json.loads(body)["job_id"])
            self.assertEqual(job["payload"], self.payload(n))

    def test_http2_many_streams(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.body(10))
            f.flush()
            before = self.stored()
            out = subprocess.run(
                ["nghttp", "-nsa", "-m", "50", "-d", f.name,
                 "-H", "authorization: Bearer " + self.s.token(),
                 "-H", "content-type: application/json",
                 "http://127.0.0.1:%d/add-job" % self.s.port2],
                capture_output=True, timeout=30 * SLOW)
        self.assertEqual(self.stored(), before + 50, out)
        self.assertEqual(out.stdout.count(b" 200 "), 50, out)

    def test_head(self):
        job = self.s.add("h", {})
        full = self.s.get("/job/%d" % job)
        for path in ("/job/%d" % job, "/health"):
            r = self.s.request("HEAD", path)
            self.assertEqual((r.status, r.body), (200, b""))
        r = self.s.request("HEAD", "/job/%d" % job)
        self.assertEqual(r.headers["Content-Length"], str(len(full.body)))

    def test_pipelining(self):
        job = self.s.add("h", {"name": "first"})
        before = self.stored()
        body = self.body()
        post = self.head("Content-Length: %d\r\n\r\n"
                         % len(body)).encode() + body
        bad = self.head("Content-Length: 1\r\n\r\n").encode() + b"x"
        get = self.head("\r\n", "/job/%d" % job, "GET").encode()
        last = self.head("Connection: close\r\n\r\n", "/health",
                         "GET").encode()
        got = self.raw(post + get + bad + post * 20 + get + last)
        codes = re.findall(rb"HTTP/1\.1 (\d+) ", got)
        self.assertEqual(codes, [b"200", b"200", b"422"] + [b"200"] * 22)
        self.assertEqual(self.stored(), before + 21)

    def test_keepalive(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.s.port,
                                          timeout=20)
        for _ in range(50):
            r = self.s.post("/add-job", self.body(), conn=conn)
            self.assertEqual(r.status, 200)
        conn.close()


if __name__ == "__main__":
    unittest.main()
