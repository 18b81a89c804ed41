"""Many clients cancel, retry, delete and read the same jobs at the same time,
while workers run them. Whatever the order was, every answer was one of those
that the API has for it, and in the end every job is in one place, counted
once."""

import concurrent.futures
import http.client
import random
import unittest

from harness import SLOW, Stack, wait_for

JOBS, CLIENTS, ROUNDS = 100, 16, 3

# How often each is asked: a job that was cancelled or deleted runs no more.
WEIGHTS = {"cancel": 2, "force": 2, "retry": 60, "delete": 1, "get": 20}

# What may come of each: status -> detail, None: the 200's body.
ANSWERS = {
    "cancel": {200: None, 404: "Job not found", 409: "Job is not pending"},
    "force": {200: None, 404: "Job not found", 409: "Job is not pending"},
    "retry": {200: None, 404: "Job not found", 409: "Job is not failed"},
    "delete": {200: None, 404: "Job not found"},
    "get": {200: None, 404: "Job not found"},
}
DONE = {"cancel": "cancelled", "force": "cancelled", "retry": "retrying",
        "delete": "deleted"}
ENDED = {"SUCCESS", "FAILED", "CANCELLED"}


class Races(unittest.TestCase):

    def ask(self, s, conn, what, job):
        if what == "get":
            r = s.get("/job/%d" % job, conn=conn)
        elif what == "delete":
            r = s.request("DELETE", "/job/%d" % job, conn=conn)
        else:
            body = {"job_id": job}
            if what == "force":
                body["force"] = True
            r = s.post("/retry" if what == "retry" else "/cancel", body,
                       conn=conn)
        self.assertIn(r.status, ANSWERS[what], (what, job, r))
        if r.status != 200:
            self.assertEqual(r.json(), {"detail": ANSWERS[what][r.status]})
        elif what == "get":
            self.assertEqual(r.json()["id"], job)
        else:
            self.assertEqual(r.json(), {"status": DONE[what], "job_id": job})
        return r.status == 200

    def client(self, s, seed, jobs):
        """Returns {what: jobs it was done to}."""
        rng, done = random.Random(seed), {what: [] for what in ANSWERS}
        conn = http.client.HTTPConnection("127.0.0.1", s.port,
                                          timeout=15 * SLOW)
        for _ in range(ROUNDS):
            for job in jobs:
                what, = rng.choices(list(WEIGHTS), WEIGHTS.values())
                if self.ask(s, conn, what, job):
                    done[what].append(job)
        conn.close()
        return done

    def test_every_job_ends_in_one_place(self):
        with Stack(handlers={"t": {"instances": 4}}, nginx_workers=2,
                   aof=False) as s:
            s.worker()
            s.worker()
            bodies = [{"handler": "t", "retry_policy": "none", "payload": dict(
                {"sleep": i % 4 / 100}, **{"fail": "x"} if i % 3 else {})}
                for i in range(JOBS)]
            jobs = s.post("/add-jobs", bodies).json()["job_ids"]
            wait_for(lambda: s.stat("failed") >= 20, 20, "some have failed")
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                results = list(pool.map(lambda n: self.client(s, n, jobs),
                                        range(CLIENTS)))
            done = {what: [job for r in results for job in r[what]]
                    for what in ANSWERS}
            self.assertEqual(len(done["delete"]), len(set(done["delete"])),
                             "a job can be deleted once")
            for what in ("force", "retry", "delete"):
                self.assertGreater(len(done[what]), 0, what)

            wait_for(lambda: s.counted("t") == (0, 0) and not s.waiting("t"),
                     20, "all have ended")
            left = {}
            for job in jobs:
                r = s.get("/job/%d" % job)
                if r.status == 200:
                    left[job] = r.json()["status"]
            self.assertEqual(set(jobs) - set(left), set(done["delete"]))
            self.assertLessEqual(set(left.values()), ENDED)

            def members(name):
                return {int(i) for i in s.redis("ZRANGE", s.key(name), 0, -1)}

            dead = {job for job, how in left.items() if how == "FAILED"}
            self.assertEqual(members("dead"), dead)
            # ids of deleted jobs may be left in packs
            self.assertEqual(set(s.finished()) - set(done["delete"]),
                             set(left) - dead)
            self.assertEqual(len(s.finished()), len(set(s.finished())))
            self.assertEqual(members("leased") | members("scheduled"), set())
            self.assertEqual((s.stat("dead:t"), s.stat("sch:t")),
                             (len(dead), 0))
            # each run of a job ended once, or the job was deleted before
            ended = sum(map(s.stat, ("success", "failed", "cancelled")))
            runs = JOBS + len(done["retry"])
            self.assertLessEqual(ended, runs)
            self.assertGreaterEqual(ended, runs - len(done["delete"]))


if __name__ == "__main__":
    unittest.main()
