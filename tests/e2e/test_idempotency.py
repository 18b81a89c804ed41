"""One idempotency key, many clients at once: one job."""

import concurrent.futures
import json
import unittest

from harness import Stack, wait_for


class Idempotency(unittest.TestCase):

    def test_64_at_once(self):
        """Two nginx workers, one key: one job; another subject's key is
        another one."""
        with Stack(nginx_workers=2, server="location /d/ { taskmq_api "
                   "taskdaemon; }", aof=False) as s:
            wait_for(lambda: s.get("/d/health", token=None).status == 200, 10)
            tokens = {sub: s.token(sub=sub) for sub in ("ann", "bob")}
            for path, body, name in (
                    ("/add-job", {"handler": "h", "payload": {}}, "job_id"),
                    ("/add-jobs", [{"handler": "h", "payload": {}}] * 3,
                     "job_ids"),
                    ("/d/queue", {"type": "h", "data": {}}, "task_id")):
                before = int(s.redis("GET", s.key("seq")) or 0)

                def send(i):
                    return s.post(path, body, token=tokens[
                        "ann" if i % 3 else "bob"],
                        headers={"Idempotency-Key": "k" + path})

                with concurrent.futures.ThreadPoolExecutor(64) as pool:
                    replies = list(pool.map(send, range(64)))
                self.assertEqual({r.status for r in replies}, {200})
                ids = [json.dumps(r.json()[name]) for r in replies]
                self.assertEqual(len(set(ids)), 2, path)
                self.assertEqual(len(set(ids[::3])), 1)
                self.assertEqual(
                    int(s.redis("GET", s.key("seq"))) - before,
                    2 * (len(body) if isinstance(body, list) else 1))


if __name__ == "__main__":
    unittest.main()
