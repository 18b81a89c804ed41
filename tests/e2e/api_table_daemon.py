#!/usr/bin/env python3
"""Every row of the TaskDaemon API: expected beside answered. Exits non-zero on
any difference.

    tests/e2e/api_table_daemon.py
"""

import functools
import re
import os
import signal
import subprocess
import sys

from api_table_edges import hasty, iter_body
from harness import BUILD, ROOT, Stack, wait_for
from request_table import (ANY, INT, Match, Re, Some, TEXT, TIME, Table,
                   UUID, allows)

TASK = {"id": UUID, "task_type": "parked", "task_data": {},
        "status": "pending", "priority": 50, "created_at": TIME,
        "completed_at": None, "attempts": 0, "last_error": None,
        "result": None}
QUEUED = {"task_id": UUID}
GONE = "Task not found"
NOBODY = "550e8400-e29b-81d4-a716-446655440000"
NUMBER = Match("number", lambda v: isinstance(v, int) and v >= 0)


def parked(**more):
    return dict({"type": "parked", "data": {}}, **more)


def names(*fields):
    """The text of a 400 that names these fields."""
    return Match("names " + ", ".join(fields), lambda v: isinstance(v, str)
                 and all(f in v for f in fields))


class Daemon(Table):
    default_token = None

    def queue(self, what, body, **kw):
        got = self(what, "POST", "/queue", 200, QUEUED, body, **kw)
        return got["task_id"] if got else NOBODY

    def status(self, task):
        return self.stack.get("/api/tasks/" + task, token=None
                              ).json()["status"]


def queueing(t):
    t.section("POST /queue")
    t.queue("only what is required", parked())
    task = t.queue("every field", parked(
        data={"url": "https://example.com/image.jpg",
              "n": 12345678901234567890123}, priority=75))
    t("… and reads back", "GET", "/api/tasks/" + task, 200, dict(
        TASK, id=task, priority=75,
        task_data={"url": "https://example.com/image.jpg",
                   "n": 12345678901234567890123}))
    task = t.queue("null priority", parked(priority=None))
    t("… is 50", "GET", "/api/tasks/" + task, 200, dict(TASK, id=task))
    t.queue("no Content-Type", parked(), headers={"Content-Type": None})
    t.queue("any Content-Type, as curl's", parked(), headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    t.queue("unknown fields are ignored", parked(more=1))
    t.queue("chunked", iter_body(parked()),
            headers={"Transfer-Encoding": "chunked"})
    for value in (0, 100):
        t.queue("priority %d" % value, parked(priority=value))
    for what, body, fields in (
            ("no type", {"data": {}}, ["type"]),
            ("no data", {"type": "x"}, ["data"]),
            ("neither", {}, ["type", "data"]),
            ("type null", parked(type=None), ["type"]),
            ("type a number", parked(type=5), ["type"]),
            ("type empty", parked(type=""), ["type"]),
            ("type of 65 characters", parked(type="a" * 65), ["type"]),
            ("data null", parked(data=None), ["data"]),
            ("data an array", parked(data=[]), ["data"]),
            ("data a string", parked(data="{}"), ["data"]),
            ("priority -1", parked(priority=-1), ["priority"]),
            ("priority 101", parked(priority=101), ["priority"]),
            ("priority 1.5", parked(priority=1.5), ["priority"]),
            ("priority a string", parked(priority="1"), ["priority"]),
            ("three wrong fields", {"type": 1, "data": 2, "priority": 101},
             ["type", "data", "priority"]),
            ("array", [], ["body"]), ("empty body", b"", ["body"]),
            ("not JSON", b"hello", ["body", "byte 0"]),
            ("bad UTF-8", b'{"type":"\xff"}', ["body", "byte 9"]),
            ("duplicate key", '{"type":"a","data":{},"type":"b"}', ["body"]),
            ("trailing bytes", '{"type":"a","data":{}} x',
             ["body", "byte 23"]),
            ("007", '{"type":"a","data":{"n":007}}', ["body"]),
            ("5,000 levels deep", '{"type":"a","data":{"a":' + "[" * 5000,
             ["body"])):
        t(what, "POST", "/queue", 400, names(*fields), body)
    t("2 MB", "POST", "/queue", 413, TEXT,
      parked(data={"a": "x" * 2000000}))
    t("Content-Encoding", "POST", "/queue", 415, TEXT, parked(),
      headers={"Content-Encoding": "gzip"})

    key = {"Idempotency-Key": "task-1"}
    first = t.queue("Idempotency-Key", parked(), headers=key)
    t("again: the same id", "POST", "/queue", 200, {"task_id": first},
      parked(), headers=key)
    t("another body", "POST", "/queue", 422, TEXT, parked(priority=1),
      headers=key)
    t("deleted", "DELETE", "/api/tasks/" + first, 204)
    t("a deleted task's key is free", "POST", "/queue", 200,
      {"task_id": Match("another id", lambda v: v != first)}, parked(),
      headers=key)


def running(t):
    s = t.stack
    t.section("tasks that run")
    done = t.queue("good", {"type": "work", "data": {"result": [1, "x"]}})
    failed = t.queue("bad", {"type": "work", "data": {"fail": "boom"}})
    slow = t.queue("slow", {"type": "slow", "data": {"sleep": 600}})
    wait_for(lambda: t.status(done) == "completed", what="completed")
    wait_for(lambda: t.status(failed) == "failed", what="failed")
    wait_for(lambda: t.status(slow) == "processing", what="processing")
    t("completed", "GET", "/api/tasks/" + done, 200, dict(
        TASK, id=done, task_type="work", task_data={"result": [1, "x"]},
        status="completed", completed_at=TIME, attempts=1, result=[1, "x"]))
    t("failed: a missing retryable is false", "GET", "/api/tasks/" + failed,
      200, dict(TASK, id=failed, task_type="work", task_data={"fail": "boom"},
                status="failed", completed_at=TIME, attempts=1,
                last_error="boom"))
    t("processing", "GET", "/api/tasks/" + slow, 200, dict(
        TASK, id=slow, task_type="slow", task_data={"sleep": 600},
        status="processing", attempts=1))
    again = t.queue("retryable: 4 tries", {"type": "work", "data": {
        "fail": "busy", "retryable": True}})
    s.redis("HSET", s.key("config"), "retry_wait_ms", "20")
    wait_for(lambda: t.status(again) == "failed", 30, "failed after 4 tries")
    t("… then failed", "GET", "/api/tasks/" + again, 200, Some(
        status="failed", attempts=4, last_error="busy"))

    t.section("redrive and delete")
    for what, task in (("completed", done), ("processing", slow),
                       ("none", NOBODY)):
        t(what, "POST", "/api/tasks/%s/redrive" % task, 404, ANY)
    t("failed", "POST", "/api/tasks/%s/redrive" % failed, 200)
    wait_for(lambda: t.status(failed) == "failed", what="failed again")
    t("… ran again, with a new budget", "GET", "/api/tasks/" + failed, 200,
      Some(status="failed", attempts=1))
    parked_ = t.queue("pending", parked())
    for what, task in (("pending", parked_), ("completed", done),
                       ("failed", failed), ("processing", slow)):
        t(what, "DELETE", "/api/tasks/" + task, 204, head={
            "Content-Type": None})
        t("… is gone", "GET", "/api/tasks/" + task, 404, GONE)
        t("… again", "DELETE", "/api/tasks/" + task, 404, GONE)

    t.section("the same jobs in the TaskMQ API")
    task = t.queue("queued here", parked(data={"n": 7}))
    job = s.redis("GET", s.key("seq")).decode()
    t("read there", "GET", "/taskmq/job/" + job, 200, Some(
        id=int(job), handler="parked", payload={"n": 7}, priority=50,
        status="PENDING"), token="admin")
    t("cancelled there", "POST", "/taskmq/cancel", 200, ANY,
      {"job_id": int(job)}, token="admin")
    t("is failed, cancelled here", "GET", "/api/tasks/" + task, 200, Some(
        status="failed", last_error="cancelled", completed_at=TIME))
    t("cannot be redriven", "POST", "/api/tasks/%s/redrive" % task, 404, ANY)


def ids(t):
    t.section("task ids")
    task = t.queue("one", parked())
    t("as it is", "GET", "/api/tasks/" + task, 200, dict(TASK, id=task))
    t("HEAD", "HEAD", "/api/tasks/" + task, 200)
    flipped = task[:-1] + ("0" if task[-1] != "0" else "1")
    first = ("0" if task[0] != "0" else "1") + task[1:]
    other = t("one of another namespace", "POST", "/other/queue", 200, QUEUED,
              parked())["task_id"]
    for what, bad in (("one character changed", flipped),
                      ("the first changed", first), ("not issued", NOBODY),
                      ("another namespace's", other),
                      ("version 4", NOBODY.replace("-8", "-4", 1)),
                      ("upper case", task.upper() + "X"), ("a job id", "1"),
                      ("cut", task[:-1]), ("longer", task + "0"),
                      ("no dashes", task.replace("-", "")),
                      ("not hex", "g" + task[1:])):
        t(what, "GET", "/api/tasks/" + bad, 404, GONE)
        t(what, "DELETE", "/api/tasks/" + bad, 404, GONE)
        t(what, "POST", "/api/tasks/%s/redrive" % bad, 404, ANY)
    t("no id", "GET", "/api/tasks/", 404, TEXT)


def next_path(reply):
    """The path of rel=next in a Link header, or None."""
    for target, rel in re.findall(r'<([^>]*)>\s*;\s*rel="?(\w+)"?',
                                  reply.headers.get("Link") or ""):
        if rel == "next":
            return re.sub("^https?://[^/]*", "", target)
    return None


def listing(t):
    t.section("GET /api/tasks")
    mine = [t.queue("task %d" % n, {"type": "listed", "data": {"n": n}})
            for n in range(5)]
    t("newest first", "GET", "/api/tasks?limit=5", 200, [
        dict(TASK, id=task, task_type="listed", task_data={"n": 4 - n})
        for n, task in enumerate(reversed(mine))])
    for n in range(20):
        t.stack.post("/queue", parked(), token=None)
    got = t("20 by default", "GET", "/api/tasks", 200)
    t.check("… 20", 20, len(got or []))
    t("unknown names are ignored", "GET", "/api/tasks?foo=1&type=nobody",
      200, [])
    t("by type", "GET", "/api/tasks?type=listed", 200,
      [Some(id=task) for task in reversed(mine)])
    t("by type and status", "GET", "/api/tasks?type=listed&status=failed",
      200, [])
    for status in ("pending", "processing", "completed", "failed"):
        t("status " + status, "GET", "/api/tasks?status=%s&limit=3" % status,
          200, Match("all " + status, lambda v, s=status: isinstance(v, list)
                     and all(x["status"] == s for x in v)))
    seen, path = [], "/api/tasks?type=listed&limit=2"
    for _ in range(50):
        page = t("page", "GET", path, 200)
        seen += [x["id"] for x in page or []]
        path = next_path(t.replies[-1][2])
        if path is None:
            break
        if len(seen) == 2:
            t.queue("one more arrives", {"type": "listed", "data": {}})
    t.check("every task once", mine[::-1], seen)
    for path, shown in (("/api/tasks", "/api/tasks"),
                        ("//host/../api/tasks", "/host/../api/tasks"),
                        ("/\\host/../api/tasks", "/%5Chost/../api/tasks"),
                        ('/a>,<b>"/../api/tasks',
                         "/a%3E,%3Cb%3E%22/../api/tasks"),
                        ("/api/tasks#part", "/api/tasks")):
        r = t.stack.get(path + "?limit=20", token=None)
        t.check("Link of " + path, Re(
            "^<%s[?]limit=20&cursor=[0-9a-f-]{36}>; rel=\"next\"$"
            % re.escape(shown)), r.headers.get("Link"))
    for field, value in (("limit", "0"), ("limit", "101"), ("limit", "x"),
                         ("status", "done"), ("cursor", "x")):
        t("%s=%s" % (field, value), "GET", "/api/tasks?%s=%s"
          % (field, value), 400, names(field))


def monitoring(t):
    t.section("monitoring and pages")
    # what it says may be a second old, and all of the above takes less
    wait_for(lambda: t.stack.get("/health", token=None).json()["workers"],
             what="a look that saw the worker")
    t("health", "GET", "/health", 200, {
        "status": "healthy", "queue_size": NUMBER, "workers": 1,
        "timestamp": TIME})
    t.check("its bytes", True,
            b'"status":"healthy"' in t.replies[-1][2].body)
    t("summary", "GET", "/api/metrics", 200, {
        "tasks_received": INT, "tasks_processed_success": INT,
        "tasks_processed_failed": INT, "queue_size": INT,
        "daemon_healthy": True})
    wait_for(lambda: b'\ncontainer_pool_idle{handler="work"} ' in t.stack.get(
        "/metrics", token=None).body, what="a heartbeat with its pools")
    t("metrics", "GET", "/metrics", 200,
      head={"Content-Type": Re("^text/plain; version=0.0.4")})
    text = t.replies[-1][2].body.decode()
    for name in ("tasks_received_total", 'tasks_processed_total{status="'
                 'success"}', 'tasks_processed_total{status="failed"}',
                 'task_processing_seconds_bucket{le="+Inf"}', "queue_size",
                 'container_pool_active{handler="work"}',
                 'container_pool_idle{handler="work"}', "daemon_health"):
        t.check(name, True, re.search("(?m)^%s [0-9]" % re.escape(name), text)
                is not None)
    t("openapi.json", "GET", "/openapi.json", 200, Some(openapi="3.1.0"))
    t("Swagger UI", "GET", "/swagger-ui/", 200,
      head={"Content-Type": Re("^text/html")})
    t("without the slash", "GET", "/swagger-ui", 301,
      head={"Location": Re("/swagger-ui/$")})
    t("its assets", "GET", "/swagger-ui/swagger-ui.css", 200,
      head={"Content-Type": Re("^text/css")})
    t("no such asset", "GET", "/swagger-ui/x", 404, TEXT)
    t("no such path", "GET", "/nothing", 404, TEXT)
    for path, allow in (("/queue", {"POST"}), ("/api/tasks", {"GET"}),
                        ("/api/tasks/" + NOBODY, {"GET", "DELETE"}),
                        ("/api/tasks/%s/redrive" % NOBODY, {"POST"}),
                        ("/health", {"GET"}), ("/metrics", {"GET"}),
                        ("/api/metrics", {"GET"})):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            if method not in allow:
                t("not its method", method, path, 405, TEXT,
                  head={"Allow": allows(allow)})


def with_jwt(t):
    t.section("with taskmq_auth jwt")
    t("no token", "POST", "/secured/queue", 401, "Invalid or missing token",
      parked(), head={"WWW-Authenticate": "Bearer"})
    t("role worker may not queue", "POST", "/secured/queue", 403,
      "Insufficient permissions", parked(), token="worker")
    t("admin", "POST", "/secured/queue", 200, QUEUED, parked(),
      token="admin")
    t("reading", "GET", "/secured/api/tasks", 200, token="worker")
    t("health needs none", "GET", "/secured/health", 200,
      Some(status="healthy"))


def bounds(t):
    t.section("taskmq_known_handlers on; taskmq_max_pending 1")
    t("a type that no worker serves", "POST", "/known/queue", 400,
      names("type"), parked())
    t("one that is served", "POST", "/known/queue", 200, QUEUED,
      {"type": "work", "data": {}})
    wait_for(lambda: t.stack.post("/busy/queue", parked(), token=None
                                  ).status == 429, what="a look at the queue")
    t("more than one waits", "POST", "/busy/queue", 429, TEXT, parked(),
      head={"Retry-After": Re("^[1-9][0-9]*$")})


def redis_in_trouble(t):
    s = t.stack
    t.section("Redis silent and away")

    def health(status):
        wait_for(lambda: s.get("/health", token=None).status == status)

    wait_for(lambda: s.post("/hasty/queue", parked(), token=None
                            ).status == 200, what="its connection")
    os.kill(s.server.pid, signal.SIGSTOP)
    try:
        t("silent: outcome unknown", "POST", "/hasty/queue", 504, TEXT,
          parked(), head={"Retry-After": None})
    finally:
        os.kill(s.server.pid, signal.SIGCONT)
    health(200)
    s.server.kill()
    health(503)
    t("health", "GET", "/health", 503, Some(status="unhealthy"))
    t.check("its bytes", True,
            b'"status":"unhealthy"' in t.replies[-1][2].body)
    for method, path, body in (
            ("POST", "/queue", parked()), ("GET", "/api/tasks", None),
            ("GET", "/metrics", None)):
        t("away", method, path, 503, TEXT, body,
          head={"Retry-After": Re("^[1-9][0-9]*$")})
    t("summary says so or cannot", "GET", "/api/metrics", 503, ANY)
    s.start_redis()
    health(200)
    t("and back", "POST", "/queue", 200, QUEUED, parked())


def stack():
    subprocess.run(["make", "-s", "-C", ROOT, "BUILD=" + BUILD, "web"],
                   check=True)
    return Stack(
        api="taskdaemon", location="taskmq_auth off;",
        handlers={"work": {}, "slow": {"timeout": 600}},
        http="taskmq_docs_root %s/web;" % BUILD,
        server="location /taskmq/ { taskmq_api taskmq; }"
               " location /secured/ { taskmq_api taskdaemon; }"
               " location /known/ { taskmq_api taskdaemon; taskmq_auth off;"
               " taskmq_known_handlers on; }"
               " location /busy/ { taskmq_api taskdaemon; taskmq_auth off;"
               " taskmq_max_pending 1; }"
               " location /other/ { taskmq_api taskdaemon; taskmq_auth off;"
               " taskmq_namespace other; }"
               + hasty("taskdaemon"))


@functools.lru_cache(maxsize=None)
def run(out=None):
    with stack() as s:
        s.worker()
        t = Daemon(s, "TaskDaemon API", error="error", out=out)
        for part in (queueing, ids, running, listing, monitoring, with_jwt,
                     bounds, redis_in_trouble):
            part(t)
        t.end()
        return t


if __name__ == "__main__":
    sys.exit(1 if run().bad else 0)
