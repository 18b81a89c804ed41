"""The connection between worker and Redis is cut after every byte of a
complete exchange, and after many of a claim's and of a payload's that is read
apart, both ways: every job ends, has
run once, is completed once, and nobody counts a crash.

Several workers side by side, each with a proxy line and a namespace of its
own; each takes one cut after the other."""

import os
import re
import sys
import threading
import unittest

from cut_proxy import CutProxy
from cli_stack import CliStack
from harness import BUILD, wait_for
from layout import field

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "scripts"))

import tmq  # noqa: E402

WORKERS = 16
# every byte of complete; of the others, every so many
STEP = {"claim": 3, "complete": 1, "payload": 11}
JOB = tmq.group([tmq.job("t", '{"name":"%s"}' % ("x" * 12))])
LARGE = '{"name":"%s","pad":"%s"}' % ("x" * 12, "y" * 1100)
APART = tmq.group([tmq.job("t", LARGE, aside="abc")])


def shas():
    with open(os.path.join(BUILD, "gen", "tq_scripts.c")) as f:
        return {name: sha.encode() for name, sha in re.findall(
            r'"(\w+)",\s*"([0-9a-f]{40})"', f.read())}


class Places:
    """The cuts that are still to be made, handed out one by one."""

    def __init__(self, lengths):
        self.lock = threading.Lock()
        self.left = [(call, d, k) for call, step in STEP.items()
                     for d, n in lengths[call].items()
                     for k in range(0, n + 1, step)]
        self.number = len(self.left)

    def next(self):
        with self.lock:
            return self.left.pop() if self.left else None


class Bench(threading.Thread):
    """One worker behind its line, and the cuts that it takes."""

    def __init__(self, test, n):
        super().__init__()
        s = test.s
        self.test, self.s, self.ns = test, s, "w%03d" % n
        self.line = s.proxy.line(s.path(self.ns), s.sock)
        self.redis = tmq.Client(s)
        self.scripts = tmq.Scripts(self.redis)
        self.jobs, self.errors = 0, []
        s.allow(self.ns)
        self.w = s.worker("--namespace", self.ns, "--concurrency", 1,
                          "--redis-url", s.url("worker", self.line.path),
                          wait=False)

    def key(self, name):
        return "{%s}:%s" % (self.ns, name)

    def add(self, call):
        apart = call == "payload"
        if apart:
            self.redis("SET", self.key("b:abc"), LARGE, "EX", 60)
        [i] = self.redis("EVALSHA", self.scripts.sha["enqueue"], 1,
                         self.key(""), *(APART if apart else JOB))
        self.jobs += 1
        return i

    def done(self, i):
        run = self.redis("GET", self.key("r:%d" % i))
        return run is not None and field(run, "RUN_STATE") == b"S"

    def settle(self):
        wait_for(lambda: self.line.stable(2), 60, "connected")

    def run_one(self):
        self.settle()
        i = self.add("claim")
        wait_for(lambda: self.done(i), 60, "job %d" % i)

    def measure(self, call):
        self.settle()
        self.line.measure(self.test.marks[call])
        i = self.add(call)
        # what follows the exchange is counted, too, until it is measured
        wait_for(lambda: self.line.seen.get("down"), 30, "an exchange")
        seen = dict(self.line.seen)
        wait_for(lambda: self.done(i), 60, "job %d" % i)
        return seen

    def cut(self, call, direction, k):
        self.settle()
        cuts = self.line.cuts
        self.line.arm(direction, k, self.test.marks[call])
        i = self.add(call)
        wait_for(lambda: self.line.cuts == cuts + 1, 60, "the cut")
        wait_for(lambda: self.done(i), 60, "job %d ends\n%s"
                 % (i, self.w.tail()))
        run = self.redis("GET", self.key("r:%d" % i))
        stats = dict(zip(*[iter(self.redis("HGETALL", self.key("stats")))]
                         * 2))
        state = {
            "attempts and crashes": (field(run, "RUN_ATTEMPTS") + b" "
                                     + field(run, "RUN_CRASHES")).decode(),
            "completed": sum(int(n) for name, n in stats.items()
                             if re.match(rb"d\d", name)),
            "leased": self.redis("ZCARD", self.key("leased")),
            "alive": self.w.alive(),
            "crashes": int(stats.get(b"crashes", 0))}
        expected = {"attempts and crashes": "000 0", "completed": self.jobs,
                    "leased": 0, "alive": True, "crashes": 0}
        if state != expected:
            self.errors.append("%s %s %d: %r" % (call, direction, k, state))

    def run(self):
        try:
            while True:
                place = self.test.places.next()
                if place is None:
                    return
                self.cut(*place)
        except Exception as e:      # noqa: BLE001  (told by the test)
            self.errors.append(repr(e))


class Worker(unittest.TestCase):

    def setUp(self):
        self.s = CliStack(handlers={"t": {"instances": 1}}, lease=5, aof=False)
        self.addCleanup(self.s.close)
        self.s.proxy = CutProxy()
        self.addCleanup(self.s.proxy.close)
        self.marks = dict(shas(), payload=b"}:b:")

    def test_claim_payload_and_complete(self):
        benches = [Bench(self, n) for n in range(WORKERS)]
        benches[0].run_one()
        lengths = {c: benches[0].measure(c) for c in STEP}
        self.assertGreater(lengths["payload"]["down"], 1100, lengths)
        self.assertGreater(lengths["complete"]["up"], 100, lengths)
        self.places = Places(lengths)
        for b in benches:
            b.start()
        for b in benches:
            b.join()
        self.assertEqual([e for b in benches for e in b.errors], [])
        self.assertEqual(self.places.left, [])
        # the handlers' own record: as many runs as jobs
        jobs = sum(b.jobs for b in benches)
        marks = self.s.marks()
        self.assertEqual(len([m for m in marks if m["what"] == "start"]),
                         jobs)
        self.assertEqual(len({m["id"] for m in marks}), jobs)
        print("\n    %d places of %r" % (self.places.number, lengths))


if __name__ == "__main__":
    unittest.main()
