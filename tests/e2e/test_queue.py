"""The queue as users meet it: what an unusual job, name or setting does to
all others, through nginx, workers and command line together."""

import unittest

from harness import Stack


class Figures(unittest.TestCase):

    def test_many_waiting_in_every_selection(self):
        """Statistics of a handler with more waiting jobs than one look at
        them reads."""
        with Stack() as s:
            for i in range(150):
                s.add("h", {}, priority=i % 3)
            for mode in ("lifo", "fifo", "priority"):
                out = s.cli("config", "set", "selection", mode)
                self.assertEqual(out.returncode, 0, out)
                self.check(s, mode)
                # another selection's jobs are moved by the next claim
                s.write_handlers({"other": {"builtin": "noop"}})
                w = s.worker()
                s.wait_done(s.add("other"))
                w.stop()
                self.check(s, mode)

    def check(self, s, mode):
        queues = s.get("/queues")
        self.assertEqual(queues.status, 200, (mode, queues))
        waiting = {q["handler"]: q["waiting"] for q in queues.json()["queues"]}
        self.assertEqual(waiting["h"], 150)
        metrics = s.get("/monitor/metrics", token=None)
        self.assertEqual(metrics.status, 200, mode)
        self.assertRegex(metrics.body, rb'\{[^}]*"h"[^}]*\} 150\n')
        out = s.cli("--json", "stats")
        self.assertEqual(out.returncode, 0, (mode, out))
        self.assertIn(b'"waiting":150', out.stdout)


if __name__ == "__main__":
    unittest.main()
