"""prefetch: workers that stop, are killed or read handlers.toml again while
lines lie ready."""

import signal

from harness import wait_for
from prefetch_rig import Base


class Stops(Base):

    def test_term_finishes_what_is_written(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        w.signal(signal.SIGTERM)
        wait_for(lambda: "draining" in w.tail(), 10)
        self.open(s)
        self.assertEqual(w.wait(10), 0)
        self.assertEqual((s.stat("success"), self.held(s)), (21, 0))
        self.assertEqual(len(s.waiting("t")), 20)
        self.counted(s)

    def test_grace_is_over(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"), "--grace", 1)
        w.signal(signal.SIGTERM)
        self.assertEqual(w.wait(10), 0)
        self.nothing_happened(s, [head] + ids)
        self.open(s)
        self.worker(s)
        self.rest(s, ids, 41)

    def nothing_happened(self, s, ids):
        self.assertEqual((s.stat("success"), self.held(s)), (0, 0))
        self.assertEqual(s.waiting("t"), sorted(ids))
        self.counted(s)

    def test_second_term(self):
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        w.signal(signal.SIGTERM)
        wait_for(lambda: "draining" in w.tail(), 10)
        w.signal(signal.SIGTERM)
        self.assertEqual(w.wait(10), 0)
        self.nothing_happened(s, [head] + ids)

    def test_killed_worker(self):
        """Redis cannot know which of them had begun: a crash for each that
        was held, and every one ends."""
        s = self.stack(lease=1)
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        w.kill()
        self.open(s)
        self.worker(s)
        self.finished(s, 41)
        self.assertEqual(s.stat("success"), 41)
        self.counted(s, crashes=21)

    def test_leases_of_all_are_extended(self):
        s = self.stack(lease=1)
        w, head, ids = self.fill(s, self.gate(s, name="head"))

        def expiry():
            return int(s.redis("ZRANGE", s.key("leased"), 0, 0,
                               "WITHSCORES")[1])

        first = expiry()
        wait_for(lambda: expiry() > first + 2000, 10, "two leases went by")
        self.open(s)
        self.finished(s, 41)
        self.counted(s)

    def test_reload(self):
        """The old process finishes what it has; the new one, with another
        prefetch, gets the rest."""
        s = self.stack()
        w, head, ids = self.fill(s, self.gate(s, name="head"))
        s.write_handlers({"t": {"instances": 1, "prefetch": 3}})
        w.signal(signal.SIGHUP)
        wait_for(lambda: "handler changed" in w.tail(), 10)
        wait_for(lambda: self.held(s) == 0 or s.stat("success") == 20, 10,
                 "the new one has done the rest")
        self.open(s)
        self.finished(s, 41)
        self.counted(s)
        self.once(s, ["head"] + ["b%d" % i for i in range(40)])


    def test_reload_without_room(self):
        """The number of slots stays what it was at the start."""
        s = self.stack(prefetch=0, instances=4)
        w = self.worker(s)
        self.assertNotIn("prefetch has no effect", w.tail())
        s.write_handlers({"t": {"instances": 4, "prefetch": 3}})
        w.signal(signal.SIGHUP)
        wait_for(lambda: "handler changed" in w.tail(), 10)
        self.assertIn("prefetch has no effect", w.tail())
