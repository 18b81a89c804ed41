"""taskmq-worker --check: what it says of a prefetch."""

import os
import unittest

from cli_stack import CliStack
from harness import BUILD


class Check(unittest.TestCase):

    def check(self, keys):
        s = CliStack(handlers={"t": keys}, aof=False)
        self.addCleanup(s.close)
        return s.toml, s.start("check", [
            os.path.join(BUILD, "taskmq-worker"), "--check", "--config",
            s.toml])

    def test_not_for_other_kinds(self):
        for keys in ({"url": "http://127.0.0.1:1/"}, {"builtin": "noop"}):
            toml, p = self.check(dict(keys, prefetch=5))
            self.assertEqual(p.wait(), 2)
            self.assertEqual(p.tail().strip(), "%s:3: handlers.t.prefetch: "
                             "not for this kind of handler" % toml)

    def test_range(self):
        toml, p = self.check({"prefetch": 1001})
        self.assertEqual(p.wait(), 2)
        self.assertIn(":2: handlers.t.prefetch: expected an integer from 0 "
                      "to 1000", p.tail())

    def test_says_how_many(self):
        toml, p = self.check({"prefetch": 100, "instances": 8})
        self.assertEqual(p.wait(), 0)
        self.assertIn("handlers.t.prefetch: up to 100 jobs behind the one "
                      "that each of 8 processes works on", p.tail())

    def test_says_when_there_is_no_room(self):
        os.environ["DAEMON_WORKERS"] = "8"
        self.addCleanup(os.environ.pop, "DAEMON_WORKERS")
        toml, p = self.check({"prefetch": 100, "instances": 8})
        self.assertEqual(p.wait(), 0)
        self.assertIn("handlers.t.prefetch: has no effect", p.tail())


if __name__ == "__main__":
    unittest.main()
