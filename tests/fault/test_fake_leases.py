"""The worker in front of a scripted Redis, the calls that a job does not
wait for: leases, wake-ups, and what opens a session."""

import unittest

from cli_stack import CliStack
from fake_redis import (FakeRedis, close, cut, error, extra, reply, silence)
from harness import wait_for
from test_fake_worker import DONE, UNDONE, WRONG, Fake

FIRST = True
EACH = True


class Rest(Fake):
    """extend, reap, the wake-up connection, the start of a
    session."""

    def test_extend(self):
        """A running job that outlives several faulty extends keeps its
        lease."""
        for name in ("silence", "close", "loading", "lost reply", "cut",
                     "noscript"):
            with self.subTest(name):
                self.faulty("extend", {**UNDONE, **DONE}[name],
                            options=',"sleep":3')
        for data in WRONG:
            with self.subTest(data[:20]):
                self.faulty("extend", reply(data), options=',"sleep":0.1')

    def test_reap(self):
        for rule in [UNDONE["loading"], silence, cut(5),
                     extra(b"+x\r\n")] + [reply(x) for x in WRONG[:3]]:
            self.faulty("reap", rule)

    def test_wake_up(self):
        """Without the blocking read jobs come late, but they come."""
        for name in ("close", "cut", "loading", "garbage", "one too many",
                     "dribble"):
            with self.subTest(name):
                self.faulty("BZPOPMIN", {**UNDONE, **DONE}[name])
        for data in WRONG[:5]:
            with self.subTest(data):
                self.faulty("BZPOPMIN", reply(data))

    def test_wake_up_silent(self):
        """The marker is lost with it."""
        self.faulty("BZPOPMIN", silence)

    def test_session(self):
        """The calls that open the gate after every connect."""
        for call, names in (
                ("extend", ("loading", "close", "garbage", "cut",
                            "silence")),
                ("SCRIPT LOAD", ("loading", "cut", "silence")),
                ("open", ("loading", "garbage", "one too many", "close", "cut",
                          "silence")),
                ("CLIENT SETNAME", ("close", "loading")),
                ("CLIENT ID", ("loading", "garbage", "cut", "silence"))):
            for name in names:
                with self.subTest(call=call, name=name):
                    self.fake.say(call, {**UNDONE, **DONE}[name], times=1)
                    self.fake.drop()
                    wait_for(self.fake.used, 30, call)
                    i, job = self.add()
                    self.ends(i)
                    self.assertEqual((self.runs(job), self.crashes(i)),
                                     (1, 0))
                    self.settled()

    def test_unblock(self):
        """A slot that frees while the read waits for other handlers."""
        self.fake.say("CLIENT UNBLOCK", close, times=1)
        a, _ = self.add(options=',"sleep":0.3')
        b, _ = self.add(options=',"sleep":0.6')
        for i in (a, b) + tuple(self.add()[0] for _ in range(6)):
            self.ends(i)
        self.settled()


class Start(unittest.TestCase):
    """A worker whose first contact is faulty gets there all the same."""

    def test_first_calls(self):
        with CliStack(handlers=Fake.HANDLERS, aof=False) as s:
            fake = FakeRedis(s.path("fake.sock"), s.sock)
            self.addCleanup(fake.close)
            for call in ("open", "probe", "uuid", "extend", "CLIENT ID"):
                # not one of the embedded scripts: it has no hash
                name = {"uuid": "unknown script"}.get(call, call)
                for rule in (error("LOADING Redis is loading"),
                             reply(b"+OK\r\n"), close, cut(2)):
                    with self.subTest(call=call):
                        s.redis("FLUSHALL")
                        fake.say(name, rule, times=1)
                        w = s.worker("--redis-url", s.url(
                            "worker", fake.path))
                        job = s.add("n", {})
                        s.wait_done(job, 30)
                        w.stop()
                        fake.well()


if __name__ == "__main__":
    unittest.main()
