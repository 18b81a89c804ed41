"""get_backend(): queue a job from inside a handler, through the HTTP API.

TASKMQ_API_URL says where it is (http://127.0.0.1:8000). TASKMQ_TOKEN is the
token to use; without it one is made from TASKMQ_JWT_SECRET.
"""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from datetime import datetime

from taskmq.storage.base import Job, JobStatus

TIMEOUT_S = 10
TOKEN_LIFE_S = 60


def get_backend():
    """The queue behind TASKMQ_API_URL."""
    return HttpBackend()


class HttpBackend:
    """What handlers use of TaskMQ's backends: insert_job and get_job."""

    def __init__(self, url=None, token=None):
        self.url = (url or os.environ.get("TASKMQ_API_URL")
                    or "http://127.0.0.1:8000").rstrip("/")
        # urllib does not take them, and says them in its error
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError("TASKMQ_API_URL must have no name and password:"
                             " set TASKMQ_TOKEN")
        self.token = token or os.environ.get("TASKMQ_TOKEN")

    def insert_job(self, payload, retry_policy="exponential",
                   scheduled_for=None, interval_seconds=None, handler=None,
                   priority=0):
        """Queues a job and returns its id. RuntimeError says why not."""
        if isinstance(payload, (str, bytes)):
            payload = json.loads(payload)
        if isinstance(scheduled_for, datetime):
            scheduled_for = scheduled_for.isoformat()
        return self._call("POST", "/add-job", {
            "payload": payload, "handler": handler, "priority": priority,
            "retry_policy": retry_policy, "scheduled_for": scheduled_for,
            "interval_seconds": interval_seconds})["job_id"]

    def get_job(self, job_id):
        """The job, or None when there is none with this id."""
        job = self._call("GET", "/job/%d" % job_id, none_on=404)
        if job is None:
            return None
        fields = {name: job.get(name) for name in Job.__dataclass_fields__}
        fields["status"] = JobStatus(job["status"])
        for name in ("created_at", "scheduled_for"):
            if fields[name] is not None:
                fields[name] = datetime.fromisoformat(
                    fields[name].replace("Z", "+00:00"))
        return Job(**fields)

    def _call(self, method, path, body=None, none_on=None):
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer " + (self.token or _token()),
                     "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as err:
            with err:
                if err.code == none_on:
                    return None
                text = err.read().decode("utf-8", "replace")
            raise RuntimeError("%s %s: %d %s" % (method, path, err.code, text)
                               ) from None


def _token():
    secret = os.environ.get("TASKMQ_JWT_SECRET")
    if not secret:
        raise RuntimeError("set TASKMQ_TOKEN or TASKMQ_JWT_SECRET, so that"
                           " handlers can queue jobs")

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"sub": "handler", "role": "admin",
              "exp": int(time.time()) + TOKEN_LIFE_S}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." \
        + part(json.dumps(claims).encode())
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + part(mac)).decode()
