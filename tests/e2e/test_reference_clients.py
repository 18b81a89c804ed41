"""TaskMQ's reference, run as it is printed there: its token, its curl line and
its three Python clients, against `taskmq serve-api` and `taskmq run-worker`
with its three environment variables. Only the port and the token are put in.
"""

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import unittest

from harness import BUILD, Stack, free_port, wait_for

SECRET = "your-secret-key"

TOKEN = '''
import jwt
from datetime import datetime, timedelta, UTC

secret = "your-secret-key"  # Same as TASKMQ_JWT_SECRET env var
payload = {
    "sub": "admin",
    "role": "admin",
    "exp": datetime.now(UTC) + timedelta(hours=24)
}
token = jwt.encode(payload, secret, algorithm="HS256")
print(token)
'''

CURL = r'''
curl -X POST http://127.0.0.1:8000/add-job \
  -H "Authorization: Bearer <your-token>" \
  -H "Content-Type: application/json" \
  -d '{"payload": {"task": "test"}, "handler": "dummy"}'
'''

HTTPX = '''
import httpx

BASE_URL = "http://127.0.0.1:8000"
TOKEN = "your-jwt-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

# Add a job
response = httpx.post(
    f"{BASE_URL}/add-job",
    json={"payload": {"task": "process"}, "handler": "mytask"},
    headers=HEADERS
)
job_id = response.json()["job_id"]
print(f"Created job: {job_id}")

# Cancel a job
response = httpx.post(
    f"{BASE_URL}/cancel",
    json={"job_id": job_id},
    headers=HEADERS
)
print(response.json())
'''

REQUESTS = '''
import requests

BASE_URL = "http://127.0.0.1:8000"
TOKEN = "your-jwt-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

# Add a scheduled job
from datetime import datetime, timedelta, UTC

future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
response = requests.post(
    f"{BASE_URL}/add-job",
    json={
        "payload": {"scheduled": True},
        "handler": "mytask",
        "scheduled_for": future
    },
    headers=HEADERS
)
print(response.json())
'''

ASYNC = '''
import asyncio
import httpx

async def add_jobs():
    async with httpx.AsyncClient() as client:
        headers = {"Authorization": "Bearer your-token"}

        tasks = []
        for i in range(10):
            task = client.post(
                "http://127.0.0.1:8000/add-job",
                json={"payload": {"index": i}, "handler": "batch"},
                headers=headers
            )
            tasks.append(task)

        responses = await asyncio.gather(*tasks)
        for r in responses:
            print(r.json())

asyncio.run(add_jobs())
'''

BODY = '''
{
  "payload": {"key": "value"},
  "handler": "handler_name",
  "priority": 10,
  "retry_policy": "fixed",
  "scheduled_for": "2026-04-01T12:00:00Z",
  "interval_seconds": null
}
'''


class Reference(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        port = free_port()
        s = cls.stack = Stack(nginx=False, redis_args=("--port", str(port)))
        cls.addClassCleanup(s.close)
        s.allowed.append(r"\[warn\]")
        s.port = free_port()
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("TASKMQ_")}
        env.update(TASKMQ_JWT_SECRET=SECRET, TASKMQ_BACKEND="redis")

        def as_user(role):
            return dict(env, TASKMQ_REDIS_URL="redis://taskmq-%s:%s@localhost"
                        ":%d/0" % (role, s.password, port))

        taskmq = os.path.join(BUILD, "taskmq")
        cls.api = s.start("serve-api", [taskmq, "serve-api", "--port",
                                        str(s.port)],
                          env=as_user("nginx"))
        cls.worker = s.start("run-worker", [taskmq, "run-worker"],
                             env=as_user("worker"))
        cls.addClassCleanup(cls.worker.stop)
        cls.addClassCleanup(cls.api.stop)

        def ready():
            for p in (cls.api, cls.worker):
                if not p.alive():
                    raise AssertionError(p.tail())
            try:
                return s.get("/health", token=None).status == 200 \
                    and s.redis("HLEN", s.key("workers")) == 1
            except OSError:
                return False

        wait_for(ready, 15, "API and worker")
        cls.token = cls.python(TOKEN).strip()

    @classmethod
    def put_in(cls, text):
        text = text.replace("127.0.0.1:8000",
                            "127.0.0.1:%d" % cls.stack.port)
        return re.sub("<your-token>|your-jwt-token|your-token",
                      getattr(cls, "token", ""), text)

    @classmethod
    def python(cls, text):
        env = {k: v for k, v in os.environ.items()
               if not k.lower().endswith("_proxy")}
        out = subprocess.run([sys.executable, "-c", cls.put_in(text)],
                             capture_output=True, text=True, timeout=60,
                             env=env)
        if out.returncode:
            raise AssertionError(out.stdout + out.stderr)
        return out.stdout

    def job(self, job_id):
        r = self.stack.get("/job/%d" % job_id, token=self.token)
        self.assertEqual(r.status, 200)
        return r.json()

    def test_curl_runs_the_dummy_handler(self):
        out = subprocess.run(["sh", "-c", self.put_in(CURL).strip()
                              .replace("curl ", "curl -sS ", 1)],
                             capture_output=True, text=True, timeout=30)
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        answer = json.loads(out.stdout)
        self.assertEqual(answer, {"status": "ok",
                                  "job_id": answer["job_id"]})
        job = wait_for(lambda: (lambda j: j["status"] == "SUCCESS" and j)(
            self.job(answer["job_id"])), 15, "the dummy job succeeds")
        self.assertEqual(job["payload"], {"task": "test"})

    def test_httpx(self):
        lines = self.python(HTTPX).splitlines()
        created = re.fullmatch(r"Created job: (\d+)", lines[0])
        job = int(created.group(1))
        self.assertEqual(lines[1:], ["{'status': 'cancelled', 'job_id': %d}"
                                     % job])
        self.assertEqual(self.job(job)["status"], "CANCELLED")

    def test_requests(self):
        answer = ast.literal_eval(self.python(REQUESTS))
        self.assertEqual(answer["status"], "ok")
        job = self.job(answer["job_id"])
        self.assertEqual((job["status"], job["payload"]),
                         ("PENDING", {"scheduled": True}))
        self.assertGreater(job["scheduled_for"], job["created_at"])

    def test_asyncio_gather(self):
        answers = [ast.literal_eval(line) for line in
                   self.python(ASYNC).splitlines()]
        self.assertEqual(len(answers), 10)
        jobs = [self.job(a["job_id"]) for a in answers]
        self.assertEqual(sorted(j["payload"]["index"] for j in jobs),
                         list(range(10)))
        self.assertEqual({j["handler"] for j in jobs}, {"batch"})

    def test_request_body_as_printed(self):
        r = self.stack.post("/add-job", BODY, token=self.token)
        self.assertEqual(r.status, 200, r)
        job = self.job(r.json()["job_id"])
        self.assertEqual((job["handler"], job["priority"],
                          job["retry_policy"], job["interval_seconds"]),
                         ("handler_name", 10, "fixed", None))
        self.assertEqual(job["scheduled_for"], "2026-04-01T12:00:00.000Z")

    def test_errors_as_printed(self):
        s = self.stack
        r = s.post("/add-job", {}, token=None)
        self.assertEqual((r.status, r.json()),
                         (401, {"detail": "Invalid or missing token"}))
        worker = self.python(TOKEN.replace('"role": "admin"',
                                           '"role": "worker"')).strip()
        r = s.post("/cancel", {"job_id": 1}, token=worker)
        self.assertEqual((r.status, r.json()),
                         (403, {"detail": "Insufficient permissions"}))
        r = s.post("/retry", {"job_id": 999999}, token=worker)
        self.assertEqual((r.status, r.json()),
                         (404, {"detail": "Job not found"}))
        r = s.post("/add-job", {"payload": {}}, token=self.token)
        self.assertEqual((r.status, r.json()), (422, json.loads(
            textwrap.dedent('''
            {
              "detail": [
                {
                  "loc": ["body", "handler"],
                  "msg": "field required",
                  "type": "value_error.missing"
                }
              ]
            }'''))))

    def test_open_endpoints(self):
        s = self.stack
        self.assertEqual(s.get("/health", token=None).json()["status"], "ok")
        text = s.get("/monitor/metrics", token=None).body.decode()
        for line in ("# TYPE taskmq_jobs_total counter",
                     "# TYPE taskmq_job_duration_seconds histogram"):
            self.assertIn(line + "\n", text)
        self.assertRegex(text, r'(?m)^taskmq_jobs_total\{status="success"\} \d')
        self.assertRegex(
            text, r'(?m)^taskmq_job_duration_seconds_bucket\{le="0\.1"\} \d')


class OtherBackend(unittest.TestCase):

    def test_sqlite_is_refused_in_one_clear_line(self):
        for command in ("serve-api", "run-worker"):
            with self.subTest(command=command):
                out = subprocess.run(
                    [os.path.join(BUILD, "taskmq"), command],
                    env=dict(os.environ, TASKMQ_BACKEND="sqlite",
                             TASKMQ_JWT_SECRET=SECRET),
                    capture_output=True, text=True, timeout=20)
                self.assertNotEqual(out.returncode, 0)
                self.assertEqual(len(out.stderr.splitlines()), 1, out.stderr)
                self.assertIn("sqlite", out.stderr)
                self.assertIn("TASKMQ_BACKEND", out.stderr)


if __name__ == "__main__":
    unittest.main()
