"""HTTP clients that leave, dribble, stall and reset: nginx stays, its
connections and calls end, others are served, and nothing is stored that was
not asked for whole."""

import re
import socket
import struct
import threading
import time
import unittest

from harness import SLOW, Stack, wait_for

BODY = b'{"handler":"h","payload":{"a":"bcd"}}'


class Base(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(aof=False, server="""
            taskmq_redis_timeout 20s;
            client_body_timeout 2s;
            location = /status { stub_status; }
        """)
        cls.addClassCleanup(s.close)

    def setUp(self):
        self.before = self.stored()
        self.calm()

    def stored(self):
        return int(self.s.redis("GET", self.s.key("seq")) or 0)

    def calm(self):
        """Only this request is there, and Redis answers."""
        def alone():
            text = self.s.get("/status", token=None).body
            return re.search(rb"Active connections: 1 ", text)
        wait_for(alone, 20, "all other connections are closed")
        self.assertEqual(self.s.get("/health", token=None).status, 200)
        self.assertNotIn("exited on signal", self.s.error_log())

    def connect(self, port=None):
        c = socket.create_connection(("127.0.0.1", port or self.s.port),
                                     30 * SLOW)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    def reset(self, c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
        c.close()

    def check_stored(self, most):
        """A request that came whole may have been stored; no other was."""
        self.s.add("h")                 # what was on its way has passed
        self.assertIn(self.stored() - self.before - 1, range(most + 1))


class Http1(Base):

    def request(self, path="/add-job", body=BODY, head="", chunked=False):
        if chunked:
            head += "Transfer-Encoding: chunked\r\n"
            body = b"".join(b"1\r\n%c\r\n" % b for b in body) + b"0\r\n\r\n"
        else:
            head += "Content-Length: %d\r\n" % len(body)
        return ("POST %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
                "%s\r\n" % (path, self.s.token(), head)).encode() + body

    def status(self, c):
        data = b""
        while b"\r\n\r\n" not in data:
            more = c.recv(65536)
            if not more:
                return None
            data += more
        return int(data[9:12])

    def every_byte(self, request, end):
        for n in range(len(request) + 1):
            c = self.connect()
            c.sendall(request[:n])
            end(c)
        self.calm()
        return len(request) + 1

    def test_reset_after_every_byte(self):
        n = self.every_byte(self.request(), self.reset)
        self.check_stored(1)
        self.assertGreater(n, 250)

    def test_reset_after_every_byte_chunked(self):
        self.every_byte(self.request(chunked=True), self.reset)
        self.check_stored(1)

    def test_closed_after_every_byte(self):
        self.every_byte(self.request(), lambda c: c.close())
        self.check_stored(1)

    def test_half_closed_after_every_byte(self):
        """shutdown(WR): an answer may come; the connection is closed."""
        request = self.request(head="Connection: close\r\n")

        def half(c):
            c.shutdown(socket.SHUT_WR)
            while c.recv(4096):
                pass
            c.close()

        self.every_byte(request, half)
        # nothing says that a client which is half closed has gone
        self.check_stored(1)

    def test_reset_while_the_answer_comes(self):
        """A large answer, and nobody who reads it."""
        job = self.s.add("h", {"x": "y" * 900000})
        self.before = self.stored()
        get = ("GET /job/%d HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s"
               "\r\n\r\n" % (job, self.s.token())).encode()
        for n in (0, 1, 100, 5000, 70000, 300000):
            c = self.connect()
            c.sendall(get)
            while n > 0:
                n -= len(c.recv(min(n, 65536)))
            self.reset(c)
        self.calm()
        self.check_stored(0)

    def test_slow_body(self):
        """A byte at a time, on many connections; others are served
        meanwhile."""
        slow = []
        for n in range(30):
            request = self.request(chunked=n % 2 == 0)
            head = request.index(b"\r\n\r\n") + 4
            c = self.connect()
            c.sendall(request[:head])
            slow.append((c, request[head:]))
        longest = max(len(body) for _, body in slow)
        for i in range(longest):
            for c, body in slow:
                c.sendall(body[i:i + 1])
            if i % 10 == 0:
                began = time.monotonic()
                self.s.add("h")
                self.assertLess(time.monotonic() - began, 5 * SLOW)
        self.assertEqual([self.status(c) for c, _ in slow], [200] * 30)
        for c, _ in slow:
            c.close()
        self.assertEqual(self.stored() - self.before,
                         30 + (longest + 9) // 10)

    def test_slow_header(self):
        request = self.request()
        c = self.connect()
        for i in range(len(request)):
            c.sendall(request[i:i + 1])
        self.assertEqual(self.status(c), 200)
        c.close()
        self.assertEqual(self.stored() - self.before, 1)

    def test_body_that_stops(self):
        """client_body_timeout: nginx closes it, nothing is stored."""
        request = self.request()
        stalled = []
        for n in range(1, len(BODY) + 1, 4):
            c = self.connect()
            c.sendall(request[:-n])
            stalled.append(c)
        for c in stalled:
            self.assertIn(self.status(c), (408, None))
            c.close()
        self.calm()
        self.check_stored(0)

    def test_waiting_and_gone_one_by_one(self):
        """Clients leave while their calls are with Redis, in any order."""
        s = self.s
        s.server.signal(19)
        try:
            conns = [self.connect() for _ in range(40)]
            for c in conns:
                c.sendall(self.request())
            for c in conns[::3]:
                self.reset(c)
            for c in conns[1::3]:
                c.close()
        finally:
            s.server.signal(18)
        self.assertEqual([self.status(c) for c in conns[2::3]],
                         [200] * len(conns[2::3]))
        for c in conns[2::3]:
            c.close()
        self.calm()
        self.check_stored(40)

    def test_many_at_once(self):
        """Threads that all do the worst, while others add jobs."""
        request, errors = self.request(), []

        def bad(seed):
            for i in range(60):
                try:
                    c = self.connect()
                    c.sendall(request[:(seed * 37 + i * 11) % len(request)])
                    self.reset(c)
                except OSError as e:
                    errors.append(repr(e))

        threads = [threading.Thread(target=bad, args=(i,)) for i in range(6)]
        for t in threads:
            t.start()
        added = [self.s.add("h") for _ in range(30)]
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.stored(), added[-1])
        self.calm()


class Http2(Base):
    """Frames by hand: streams that are reset at each stage, connections that
    go. HPACK without tables: literal fields, new names."""

    DATA, HEADERS, RST, SETTINGS, GOAWAY = 0, 1, 3, 4, 7

    def frame(self, kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes(
            (kind, flags)) + struct.pack(">I", stream) + payload

    def field(self, name, value):
        def text(t):
            n = len(t)
            head = bytes((n,)) if n < 127 else bytes(
                (127, (n - 127) & 127 | 128, (n - 127) >> 7))
            return head + t
        return b"\0" + text(name) + text(value)

    def open(self):
        c = self.connect(self.s.port2)
        c.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                  + self.frame(self.SETTINGS, 0, 0))
        return c

    def headers(self, stream, end=False):
        block = b"".join(self.field(k, v) for k, v in (
            (b":method", b"POST"), (b":scheme", b"http"),
            (b":path", b"/add-job"), (b":authority", b"t"),
            (b"authorization", b"Bearer " + self.s.token().encode())))
        return self.frame(self.HEADERS, 4 | (1 if end else 0), stream, block)

    def data(self, stream, body=BODY, end=True):
        return self.frame(self.DATA, 1 if end else 0, stream, body)

    def cancel(self, stream):
        return self.frame(self.RST, 0, stream, struct.pack(">I", 8))

    def statuses(self, c, n):
        """The status of n streams, from HEADERS frames (nginx uses the static
        table's index for 200, and literals that end with the digits)."""
        found, data = {}, b""
        while len(found) < n:
            more = c.recv(65536)
            if not more:
                return found
            data += more
            while len(data) >= 9:
                size = int.from_bytes(data[:3], "big")
                if len(data) < 9 + size:
                    break
                if data[3] == self.HEADERS:
                    stream = int.from_bytes(data[5:9], "big")
                    block = data[9:9 + size]
                    found[stream] = 200 if block[0] == 0x88 else block[:8]
                data = data[9 + size:]
        return found

    def test_whole(self):
        c = self.open()
        c.sendall(b"".join(self.headers(i) + self.data(i)
                           for i in range(1, 41, 2)))
        found = self.statuses(c, 20)
        self.assertEqual(found, {i: 200 for i in range(1, 41, 2)})
        c.close()
        self.assertEqual(self.stored() - self.before, 20)

    def test_streams_reset(self):
        """After the headers, within the body, while Redis is asked."""
        s = self.s
        s.add("h")
        self.before = self.stored()
        s.server.signal(19)
        try:
            c = self.open()
            out = b""
            for i in range(1, 120, 2):
                out += self.headers(i)
                kind = i // 2 % 4
                if kind == 1:
                    out += self.data(i, BODY[:9], False)
                elif kind >= 2:
                    out += self.data(i)
                if kind != 3:
                    out += self.cancel(i)
            c.sendall(out)
        finally:
            s.server.signal(18)
        whole = [i for i in range(1, 120, 2) if i // 2 % 4 == 3]
        found = self.statuses(c, len(whole))
        self.assertEqual(found, {i: 200 for i in whole})
        c.close()
        self.calm()
        new = self.stored() - self.before
        self.assertGreaterEqual(new, len(whole))
        self.assertLessEqual(new, 2 * len(whole))

    def test_connection_gone(self):
        s = self.s
        s.server.signal(19)
        try:
            for n in range(12):
                c = self.open()
                c.sendall(b"".join(self.headers(i) + self.data(i)
                                   for i in range(1, 21, 2)))
                if n % 3 == 0:
                    self.reset(c)
                elif n % 3 == 1:
                    c.sendall(self.frame(self.GOAWAY, 0, 0, b"\0" * 8))
                    c.close()
                else:
                    c.close()
        finally:
            s.server.signal(18)
        self.calm()
        self.check_stored(120)

    def test_cut_after_every_byte(self):
        whole = self.headers(1) + self.data(1)
        for n in range(len(whole) + 1):
            c = self.open()
            c.sendall(whole[:n])
            self.reset(c)
        self.calm()
        self.check_stored(1)


if __name__ == "__main__":
    unittest.main()
