"""The `taskmq` command in front of a scripted Redis: what its exit status says
of a change is true. 75: it may have been made; 69: it was not."""

import json
import time
import unittest

from fake_redis import FakeRedis, close, cut, error, reply, silence
from harness import Stack

PAYLOADS, JOBS = b'{"a":1}\n' * 2, b'{"handler":"h","payload":{}}\n' * 2
REFUSALS = ("OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.")

done_then_close = cut(0)


class Fake(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        s = cls.s = Stack(nginx=False, aof=False, handlers={"t": {}})
        cls.addClassCleanup(s.close)
        cls.fake = FakeRedis(s.path("fake.sock"), s.sock)
        cls.addClassCleanup(cls.fake.close)

    def setUp(self):
        self.addCleanup(self.fake.well)

    def stored(self):
        return int(self.s.redis("GET", self.s.key("seq")) or 0)

    def cli(self, *args, code, says=""):
        """Runs it, for people and for programs; the exit status is code, and
        says is in what it wrote."""
        stdin = PAYLOADS if "h" in args else JOBS
        for first in ((), ("--json",)):
            out = self.s.cli(*first, *args, stdin=stdin, env={
                "TASKMQ_REDIS_URL": "unix:" + self.fake.path})
            self.assertEqual(out.returncode, code, out)
            text = (out.stdout + out.stderr).decode()
            self.assertIn(says, text)
            for line in text.splitlines() if first else ():
                self.assertIsInstance(json.loads(line), dict)
        return out

    def changes(self):
        """(script, arguments) of every command that changes something."""
        job = self.s.cli("add-job", "h").stdout.decode().strip()
        for script, *args in (
                ("enqueue", "add-job", "h"),
                ("enqueue", "add-job", "h", "--from", "-"),
                ("enqueue", "add-job", "--from", "-"),
                ("change", "cancel", job), ("change", "retry", job),
                ("replay", "replay", job),
                ("replay", "replay", "--handler", "h"),
                ("config_set", "config", "set", "dead_max", "9"),
                ("change", "delete", job)):
            yield script, args

    def test_75_no_reply(self):
        for rule in (close, done_then_close):
            for script, args in self.changes():
                self.fake.say(script, rule)
                self.cli(*args, code=75, says="unknown")
                self.fake.well()

    def test_75_after_two_seconds_of_silence(self):
        self.fake.say("enqueue", silence)
        self.cli("add-job", "h", code=75, says="unknown")

    def test_75_is_repeated_with_a_key(self):
        """The same job, whether it was there or not."""
        self.s.redis("ZADD", self.s.key("served"), int(time.time() * 1000),
                     "h")
        for rule, key in ((done_then_close, "there"), (close, "not there")):
            args = ("add-job", "h", "--idempotency-key", key)
            self.fake.say("enqueue", rule, times=2)
            before = self.stored()
            self.cli(*args, code=75)
            self.fake.well()
            self.assertEqual(self.stored() - before, key == "there")
            out = self.cli(*args, code=0)
            self.assertEqual(json.loads(out.stdout)["job_id"], before + 1)
            self.assertEqual(self.stored(), before + 1)

    def test_69_refused(self):
        for text in REFUSALS:
            for script, args in self.changes():
                before = self.stored()
                self.fake.say(script, error(text))
                self.cli(*args, code=69)
                self.fake.well()
                self.assertEqual(self.stored(), before)

    def test_75_stopped_on_its_way(self):
        """A right that is taken away: a part may have been done. Where nothing
        is changed, nothing was."""
        for text in ("The user executing the script can't run this command",
                     "ACL failure in script: no permissions"):
            text = "ERR %s script: f_x, on @user_script:9." % text
            for script, args in self.changes():
                self.fake.say(script, error(text))
                self.cli(*args, code=75, says="unknown"
                         if args[0] in ("add-job", "config") else "permission")
                self.fake.well()
            self.fake.say("stats", error(text))
            self.cli("stats", code=69)
            self.fake.well()

    def test_1_an_answer_that_is_none(self):
        for script, args in self.changes():
            self.fake.say(script, reply(b"+OK\r\n"))
            # of many that were sent together it is not known which are there
            self.cli(*args, code=75 if args == ["add-job", "--from", "-"]
                     else 1, says="understand")
            self.fake.well()


if __name__ == "__main__":
    unittest.main()
