"""Workers killed and stopped under load: their jobs run again, nobody else's
do, and a result that comes too late changes nothing."""

import signal
import unittest

from harness import wait_for
from ledger import (Load, bed, kill_worker, leased_by, start_worker,
                    worker_id)


class Workers(unittest.TestCase):

    def bed(self, workers=2, **kw):
        s = bed(**kw)
        self.addCleanup(s.close)
        self.workers = [self.worker(s) for _ in range(workers)]
        return s

    def worker(self, s):
        return start_worker(s)

    def tell(self, load, what):
        print("\n    %s: %s" % (what, ", ".join(
            "%d %s" % (load.sums[k], k) for k in (
                "accepted", "lost", "ended wrong", "run twice",
                "run twice, not in flight", "crashes"))))

    def test_killed(self):
        s = self.bed(lease=3)
        with Load(s) as load:
            for n in range(8):
                load.progress(100, 100)
                kill_worker(s, load.ledger, self.workers[n % 2])
                self.workers[n % 2] = self.worker(s)
            load.progress(100, 100)
        self.tell(load, "worker: kill -9, 8 times, %d jobs in flight"
                  % len(load.ledger.in_flight))
        self.assertEqual(s.stat("failed"), 0)

    def test_stopped_for_longer_than_the_lease(self):
        """Its jobs go to the other one; what it says afterwards is
        dropped."""
        s = self.bed(lease=2)
        a, b = self.workers
        with Load(s, ms=(50, 200, 300, 400)) as load:
            for _ in range(2):
                load.progress(50, 50)
                wid = worker_id(s, a)
                a.signal(signal.SIGSTOP)
                held = leased_by(s, wid)
                load.ledger.in_flight |= held
                wait_for(lambda: not leased_by(s, wid), 30,
                         "its leases have run out")
                load.progress(50, 50)
                a.signal(signal.SIGCONT)
                wait_for(lambda: leased_by(s, wid), 30, "it works again")
        self.tell(load, "worker: stopped twice, %d jobs in flight"
                  % len(load.ledger.in_flight))
        self.assertGreater(load.sums["crashes"], 0)
        self.assertTrue(a.alive() and b.alive())

    def test_drained(self):
        """TERM: nothing runs twice, nothing is counted."""
        s = self.bed()
        with Load(s) as load:
            for n in range(6):
                load.progress(50, 50)
                old = self.workers[n % 2]
                self.workers[n % 2] = self.worker(s)
                self.assertEqual(old.stop(60), 0, old.tail())
            load.progress(50, 50)
        self.tell(load, "worker: TERM, 6 times")
        self.assertEqual(load.sums["run twice"], 0)
        self.assertEqual(load.sums["crashes"], 0)

    def test_all_killed(self):
        """Nobody is left to reap; the next worker does."""
        s = self.bed(lease=2)
        with Load(s) as load:
            load.progress(100, 100)
            for w in self.workers:
                kill_worker(s, load.ledger, w)
            self.workers = [self.worker(s)]
            load.progress(100, 100)
        self.tell(load, "all workers: kill -9, %d jobs in flight"
                  % len(load.ledger.in_flight))


if __name__ == "__main__":
    unittest.main()
