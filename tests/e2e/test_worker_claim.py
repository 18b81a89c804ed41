"""How the worker asks and tells: one call claims for all handlers, the best
jobs first, never more than can run; one call extends all leases; outcomes
leave together."""

import json
import random
import time
import unittest

from cli_stack import CliStack
from harness import wait_for
from redis_monitor import RedisMonitor


class Claims(unittest.TestCase):

    def handlers(self, n):
        return {"h%d" % i: {"instances": 2} for i in range(n)}

    def test_one_call_for_many_handlers_in_priority_order(self):
        names = sorted(self.handlers(6))
        for concurrency in (1, 4):
            with CliStack(handlers=self.handlers(6), aof=False) as s:
                order = list(range(1, 49))
                random.Random(1).shuffle(order)
                seen = RedisMonitor(s)
                s.worker("--concurrency", concurrency)
                # one claim names all six handlers, once they are there
                wait_for(lambda: names in [sorted(c[5::2]) for c in
                                           seen.of("claim")], 20)
                # in one step: none is claimed before all are there
                s.run("add-job", "--from", "-", stdin="".join(json.dumps({
                    "handler": names[p % 6], "priority": p, "payload": {
                        "name": p, "sleep": 0.01}}) + "\n"
                    for p in order).encode())
                wait_for(lambda: s.stat("success") == 48, 60)
                for args in seen.of("claim"):
                    self.assertLessEqual(int(args[3]), concurrency)
                starts = [m["name"] for m in s.marks()
                          if m["what"] == "start"]
                self.assertEqual(len(starts), 48)
                if concurrency == 1:
                    self.assertEqual(starts, sorted(order, reverse=True))
                else:
                    # no job is overtaken by more than those beside it, and
                    # by what its handler's two instances leave waiting
                    for n, p in enumerate(starts):
                        better = [q for q in starts[n + 1:] if q > p
                                  and q % 6 == p % 6]
                        self.assertLess(len(better), 2, (p, better))

    def test_never_more_than_can_run(self):
        """What a claim asks for fits into the slots that are free."""
        with CliStack(handlers={"a": {"instances": 2}, "b": {"instances": 1},
                                "c": {"instances": 3}}, aof=False) as s:
            for n in "abc":
                s.add_many(n, [{"sleep": 0.02}] * 40)
            seen = RedisMonitor(s)
            s.worker("--concurrency", 4)
            most = 0
            while s.stat("success") < 120:
                most = max(most, len(s.leased()))
            self.assertLessEqual(most, 4)
            for args in seen.of("claim"):
                free = dict(zip(args[5::2], map(int, args[6::2])))
                self.assertLessEqual(int(args[3]), 4)
                for n, limit in (("a", 2), ("b", 1), ("c", 3)):
                    self.assertLessEqual(free.get(n, 0), limit)


class Leases(unittest.TestCase):

    def test_one_call_for_all_running_jobs(self):
        """Every third of the lease, and no other call for them; a job that
        has ended is not among them."""
        with CliStack(handlers={"t": {"instances": 6}}, lease=1,
                      aof=False) as s:
            s.worker("--concurrency", 6)
            ids = s.add_many("t", [{"sleep": 2.5}] * 5 + [{"die": 1,
                             "fail_until": 9}])
            wait_for(lambda: s.stat("retries") == 1, 10)
            seen, began = RedisMonitor(s), time.monotonic()
            wait_for(lambda: s.stat("success") == 5, 20)
            calls = [set(args) for args in seen.of("extend")]
            took = time.monotonic() - began
            self.assertLessEqual(len(calls), took * 3 + 3)
            self.assertTrue([c for c in calls if c.issuperset(
                str(i) for i in ids[:5])])
            # the one whose process died runs again for a moment, twice
            self.assertLessEqual(sum(str(ids[5]) in c for c in calls), 2)


class Outcomes(unittest.TestCase):

    def test_batches(self):
        """Many at once: a call for many."""
        with CliStack(handlers={"n": {"builtin": "noop"}}, aof=False) as s:
            s.worker("--concurrency", 100)
            s.wait_done(s.add("n", {}))
            seen = RedisMonitor(s)
            s.add_many("n", [{}] * 3000)
            wait_for(lambda: s.stat("success") == 3001, 60)
            self.assertLess(len(seen.of("complete")), 3000 / 20)


if __name__ == "__main__":
    unittest.main()
