"""Jobs that failed for good are replayed, single and in bulk."""

import json
import unittest

from harness import Stack, wait_for


class DeadLetters(unittest.TestCase):
    """Replay, single and in bulk, from the command line."""

    def run_json(self, s, *args, code=0):
        out = s.cli("--json", *args)
        self.assertEqual(out.returncode, code, out)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def test_single_and_bulk(self):
        with Stack(handlers={"a": {"instances": 4}, "b": {}},
                   aof=False) as s:
            w = s.worker("--concurrency", 6)
            bodies = [{"handler": "ab"[i % 5 == 0], "priority": i % 101,
                       "retry_policy": ("exponential", "fixed")[i % 2],
                       "max_retries": 1 + i % 3, "timeout": 5 + i,
                       "payload": {"n": i, "fail": "boom"}}
                      for i in range(150)]
            r = s.post("/add-jobs", bodies)
            dead = r.json()["job_ids"]
            fine = s.add("a", {"result": 1})
            wait_for(lambda: s.stat("failed") == 150, 60)
            s.wait_done(fine)
            w.stop()
            was = dict(zip(dead, bodies))

            def copies(rows):
                """Each row is a new job like its old one, which stays."""
                for row in rows:
                    old, new = s.job(row["job_id"]), s.job(row["new_job_id"])
                    self.assertEqual(row["status"], "replayed")
                    self.assertEqual((old["status"], new["status"]),
                                     ("FAILED", "PENDING"))
                    for key, value in was[row["job_id"]].items():
                        self.assertEqual(new[key], value, key)
                    self.assertEqual((new["retries"], new["error_log"]),
                                     (0, None))
                return [row["job_id"] for row in rows]

            self.assertEqual(copies(self.run_json(s, "replay-dead", dead[3])),
                             [dead[3]])
            self.assertEqual(copies(self.run_json(s, "replay", dead[5],
                                                  dead[4])),
                             [dead[5], dead[4]])
            self.assertEqual(copies(self.run_json(
                s, "replay-dead", "--handler", "b")),
                [j for j in dead[::-1] if was[j]["handler"] == "b"])
            self.assertEqual(copies(self.run_json(s, "replay-dead",
                                                  "--all")), dead[::-1])
            self.assertEqual(copies(self.run_json(
                s, "replay", "--status", "failed", "--handler", "a")),
                [j for j in dead[::-1] if was[j]["handler"] == "a"])
            row, = self.run_json(s, "replay", "--status", "success")
            self.assertEqual(s.job(row["new_job_id"])["payload"],
                             {"result": 1})

            # what is not dead is not replayed as dead
            row, = self.run_json(s, "replay-dead", fine, code=1)
            self.assertEqual(row["error"], "Job is not failed")
            rows = self.run_json(s, "replay-dead", fine, dead[0], code=1)
            self.assertEqual([r.get("status") for r in rows],
                             [None, "replayed"])

            # retry is the same job again
            self.assertEqual([r["status"] for r in self.run_json(
                s, "retry", *dead[:100])], ["retrying"] * 100)
            self.assertEqual(s.redis("ZCARD", s.key("dead")), 50)
            self.assertEqual(s.job(dead[0])["status"], "PENDING")


if __name__ == "__main__":
    unittest.main()
