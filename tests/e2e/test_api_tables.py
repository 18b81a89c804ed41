"""The tables of both APIs: expected beside answered."""

import email.message
import io
import unittest

import api_table
import api_table_daemon
from harness import Reply
from request_table import ANY, Has, ID, Re, Some, TIME, Table, same


class Tables(unittest.TestCase):

    def test_taskmq(self):
        self.assertEqual(api_table.run().bad, 0)

    def test_taskdaemon(self):
        self.assertEqual(api_table_daemon.run().bad, 0)

    def test_a_difference_is_seen(self):
        for want, good, bad in (
                ({"a": 1}, {"a": 1}, {"a": 1, "b": 2}), (1, 1, True),
                (1, 1, 1.0), ({"a": ID}, {"a": 7}, {"a": 0}),
                ([ID], [1], [1, 2]), (Some(a=1), {"a": 1, "b": 2}, {"b": 2}),
                (Has([Some(a=1)]), [{"a": 2}, {"a": 1}], [{"a": 2}]),
                (TIME, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"),
                (Re("^x"), "xy", "yx"), (None, None, False)):
            self.assertTrue(same(want, good), (want, good))
            self.assertFalse(same(want, bad), (want, bad))

        headers = email.message.Message()
        headers["Content-Type"] = "application/json"

        def rows(status=200, want={"a": ANY}, head=None, body=b'{"a":1}',
                 still=True):
            t = Table(None, "none", out=io.StringIO())
            t.compare("row", "GET /", status, want, head, True,
                      Reply(200, headers, body), still)
            return t.bad

        self.assertEqual(rows(), 0)
        self.assertEqual([rows(status=503), rows(want={"b": 1}),
                          rows(head={"Allow": "GET"}), rows(body=b"{"),
                          rows(still=False)], [1] * 5)
        headers.replace_header("Content-Type", "text/html")
        self.assertEqual(rows(), 1)


if __name__ == "__main__":
    unittest.main()
