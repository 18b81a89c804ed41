"""Bodies that are refused: the answer names the place, memory stays flat."""

import http.client
import unittest

from harness import SLOW, Stack, memory_kb


class OddInput(unittest.TestCase):

    BODIES = (
        ("empty body", b"", 0), ("not JSON", b"hello", 0),
        ("array", b"[]", "body"),
        ("bad UTF-8", b'{"payload":{"a":"\xff"},"handler":"h"}', 17),
        ("duplicate key", b'{"handler":"h","handler":"h","payload":{}}', 15),
        ("NUL", b'{"payload":{"a":"\x00"},"handler":"h"}', 17),
        ("escaped NUL in a name", b'{"payload":{},"handler":"\\u0000"}', 25),
        ("trailing bytes", b'{"payload":{},"handler":"h"} x', 29),
        ("5,000 levels deep", b'{"handler":"h","payload":{"a":'
         + b"[" * 5000 + b"]" * 5000 + b"}}", range(100, 300)),
        ("007", b'{"payload":{"a":007},"handler":"h"}', range(16, 18)),
        ("2 MB", b'{"handler":"h","payload":{"a":"' + b"x" * 2000000
         + b'"}}', None),
        ("no handler", b'{"payload":{}}', "handler"))

    def test_refused_with_the_place_named_and_memory_flat(self):
        """The whole list, again and again, on one connection, which then
        still takes a job."""
        with Stack(aof=False) as s:
            conn = http.client.HTTPConnection("127.0.0.1", s.port,
                                              timeout=15 * SLOW)
            conn.connect()
            sock = conn.sock
            with open("/proc/%d/task/%d/children" % ((s.nginx.pid,) * 2)
                      ) as f:
                pid = int(f.read().split()[0])

            token = s.token()

            def one_round():
                for what, body, place in self.BODIES:
                    r = s.post("/add-job", body, token=token, conn=conn)
                    if place is None:
                        self.assertEqual(r.status, 413, what)
                        self.assertRegex(r.json()["detail"], "1048576|1 MiB"
                                         "|payload|body")
                        continue
                    self.assertEqual(r.status, 422, what)
                    loc = r.json()["detail"][0]["loc"]
                    if isinstance(place, range):
                        self.assertIn(loc[1], place, what)
                    else:
                        self.assertEqual(loc[-1], place, what)

            for _ in range(10):
                one_round()
            before = memory_kb(pid)
            for _ in range(60):
                one_round()
            grown = memory_kb(pid) - before
            self.assertLess(grown, 512, "kB more after 720 refusals")
            self.assertIs(conn.sock, sock, "the connection was kept")
            r = s.post("/add-job", {"payload": {}, "handler": "h"},
                       token=token, conn=conn)
            self.assertEqual((r.status, r.json()["job_id"]), (200, 1))
            self.assertIs(conn.sock, sock)
            conn.close()


if __name__ == "__main__":
    unittest.main()
