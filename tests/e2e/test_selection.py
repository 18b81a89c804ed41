"""The order in which waiting jobs are taken, also after it was changed."""

import json
import os
import random
import unittest

from cli_stack import CliStack
from harness import wait_for
from layout import field

NOOP = {"n": {"builtin": "noop"}}


class Line:
    """Waiting jobs of one handler, each with its priority, and the order in
    which they must be taken."""

    def __init__(self, first, priorities):
        self.waiting = {first + i: p for i, p in enumerate(priorities)}

    def order(self, mode):
        key = {"priority": lambda i: (-self.waiting[i], i),
               "fifo": lambda i: i, "lifo": lambda i: -i}[mode]
        return sorted(self.waiting, key=key)

    def take(self, taken, mode):
        """How many of the taken ones, from the first, came in this order;
        those wait no longer."""
        n = 0
        for got, want in zip(taken, self.order(mode)):
            if got != want:
                break
            n += 1
        for i in taken[:n]:
            del self.waiting[i]
        return n


class Selection(unittest.TestCase):

    def add(self, s, n):
        """n jobs of "n" with priorities of all kinds, in one stream."""
        rng = random.Random(5)
        priorities = [rng.randint(0, 100) for _ in range(n)]
        text = "".join('{"handler":"n","payload":{},"priority":%d}\n' % p
                       for p in priorities)
        before = int(s.redis("GET", s.key("seq")) or 0)
        s.run("add-job", "--from", "-", stdin=text.encode())
        return Line(before + 1, priorities)

    def claims(self, s, n):
        """(number of the claim, id) of every job, from the run records."""
        wait_for(lambda: s.stat("success") == n, 300, "all %d are done" % n)
        found = []
        for first in range(1, n + 1, 1000):
            ids = range(first, min(first + 1000, n + 1))
            runs = s.redis("MGET", *(s.key("r:%d" % i) for i in ids))
            found += [(field(r, "RUN_COUNTER"), i)
                      for i, r in zip(ids, runs)]
        return found

    def test_100_000_waiting_are_drained_in_the_new_order(self):
        n, most = 100000, 20
        with CliStack(handlers=NOOP, aof=False) as s:
            line = self.add(s, n)
            self.assertEqual(s.waiting("n"), list(range(1, n + 1)))
            s.run("config", "set", "selection", "fifo")
            s.worker(env={"DAEMON_WORKERS": "50",
                          "DAEMON_BATCH_SIZE": str(most)})
            found = self.claims(s, n)
            self.assertGreaterEqual(len({c for c, _ in found}), n / most)
            # within one claim there is no order to see
            at = {i: k for k, i in enumerate(line.order("fifo"))}
            taken = [i for _, i in sorted(found, key=lambda f: (f[0],
                                                                at[f[1]]))]
            self.assertEqual(line.take(taken, "fifo"), n, taken[:50])

    def test_changes_while_they_are_drained(self):
        """Also while a worker is at it: each job was taken in the order that
        held then, and with 20,000 of them nearly all are taken after a
        change."""
        n, seen = 20000, []
        with CliStack(handlers=NOOP, aof=False) as s:
            line = self.add(s, n)
            # one job a claim, so that each has a number of its own
            w = s.worker(env={"DAEMON_WORKERS": "1",
                              "DAEMON_BATCH_SIZE": "1"})
            # it must not be done before a change has come
            os.setpriority(os.PRIO_PROCESS, w.pid, 10)
            for part, mode in enumerate(("lifo", "fifo", "priority"), 1):
                wait_for(lambda: s.stat("success") >= part * n / 5, 60)
                s.run("config", "set", "selection", mode)
            found = sorted(self.claims(s, n))
            self.assertEqual(len({c for c, _ in found}), n)
            taken = [i for _, i in found]
            for mode in ("priority", "lifo", "fifo", "priority"):
                seen.append(line.take(taken[sum(seen):], mode))
            self.assertEqual(sum(seen), n, seen)
            self.assertGreaterEqual(min(seen), n // 20, seen)

    def test_a_handlers_starts(self):
        """The three orders as a handler's process sees them; set by
        DAEMON_TASK_SELECTION, priority when that is not set."""
        for mode in ("fifo", "lifo", "priority", None):
            with self.subTest(mode), CliStack(
                    handlers={"t": {"instances": 1}}, aof=False) as s:
                priorities = [n * 37 % 101 for n in range(30)]
                text = "".join(json.dumps(
                    {"handler": "t", "payload": {"name": n},
                     "priority": p}) + "\n" for n, p in enumerate(priorities))
                s.run("add-job", "--from", "-", stdin=text.encode())
                s.worker("--concurrency", 1, env={
                    "DAEMON_TASK_SELECTION": mode or ""})
                wait_for(lambda: s.stat("success") == 30, 30)
                self.assertEqual(
                    [m["name"] + 1 for m in s.marks() if m["what"] == "start"],
                    Line(1, priorities).order(mode or "priority"))


if __name__ == "__main__":
    unittest.main()
