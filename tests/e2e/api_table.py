#!/usr/bin/env python3
"""Every row of the TaskMQ API: expected beside answered. Exits non-zero on any
difference.

    tests/e2e/api_table.py
"""

import functools
import os
import subprocess
import sys

from api_table_edges import (OK, busy, fields, hasty, iter_body, memory,
                             odd_input, open_paths, parked, prefix,
                             redis_in_trouble)
from api_tokens import tokens
from harness import BUILD, ROOT, Stack, wait_for
from request_table import ANY, Has, ID, Match, Some, TEXT, TIME, Table

JOB = {"id": ID, "status": "PENDING", "handler": "parked", "priority": 0,
       "payload": {}, "result": None, "error_log": None, "retries": 0,
       "runs": 0, "retry_policy": "fixed", "max_retries": None,
       "timeout": None, "retention_seconds": None, "interval_seconds": None,
       "created_at": TIME, "scheduled_for": None, "started_at": None,
       "finished_at": None, "worker": None, "crashes": 0}
INVALID = "Invalid or missing token"
DENIED = "Insufficient permissions"


def query_error(field):
    return {"detail": Has([Some(loc=["query", field], msg=TEXT, type=TEXT)])}


def adding(t):
    t.section("POST /add-job")

    def good(what, body, **kw):
        return t(what, "POST", "/add-job", 200, OK, body, **kw)["job_id"]

    good("only what is required", parked())
    job = good("every field", parked(
        payload={"key": "value", "n": 12345678901234567890123, "x": [1.5]},
        priority=10, retry_policy="exponential", max_retries=7, timeout=60,
        retention_seconds=3600, interval_seconds=600,
        scheduled_for="2099-04-01T12:00:00Z"))
    t("… and reads back", "GET", "/job/%d" % job, 200, dict(
        JOB, id=job, payload={"key": "value", "n": 12345678901234567890123,
                              "x": [1.5]},
        priority=10, retry_policy="exponential", max_retries=7, timeout=60,
        retention_seconds=3600, interval_seconds=600,
        scheduled_for="2099-04-01T12:00:00.000Z"))
    job = good("null is the same as absent", parked(
        priority=None, retry_policy=None, max_retries=None, timeout=None,
        retention_seconds=None, interval_seconds=None, scheduled_for=None))
    t("… and reads back", "GET", "/job/%d" % job, 200, dict(JOB, id=job))
    good("no Content-Type", parked(), headers={"Content-Type": None})
    good("Content-Type with charset", parked(),
         headers={"Content-Type": "application/json; charset=utf-8"})
    for kind in ("text/plain", "application/x-www-form-urlencoded",
                 "application/jsonx"):
        t("Content-Type " + kind, "POST", "/add-job", 415, None, parked(),
          headers={"Content-Type": kind})
    t("Content-Encoding", "POST", "/add-job", 415, None, parked(),
      headers={"Content-Encoding": "gzip"})

    for name, low, high in (("priority", 0, 100), ("max_retries", 0, 100),
                            ("timeout", 1, 604800),
                            ("retention_seconds", 1, 31536000),
                            ("interval_seconds", 1, 31536000)):
        for value in (low, high):
            good("%s %d" % (name, value), parked(**{name: value}))
        for value, kind in ((low - 1, "value_error.number.not_ge"),
                            (high + 1, "value_error.number.not_le"),
                            (1.5, "type_error.integer"),
                            ("1", "type_error.integer"),
                            (True, "type_error.integer"),
                            ([], "type_error.integer")):
            t("%s %r" % (name, value), "POST", "/add-job", 422,
              fields(([name], kind)), parked(**{name: value}))
    t("priority 1e1", "POST", "/add-job", 422,
      fields((["priority"], "type_error.integer")),
      '{"payload":{},"handler":"parked","priority":1e1}')
    t("priority of 40 digits", "POST", "/add-job", 422,
      {"detail": Has([Some(loc=["body", "priority"])])},
      '{"payload":{},"handler":"parked","priority":%s}' % ("9" * 40))

    for policy in ("fixed", "exponential", "none"):
        good("retry_policy " + policy, parked(retry_policy=policy))
    for policy in ("Fixed", "", 1, False):
        t("retry_policy %r" % (policy,), "POST", "/add-job", 422,
          fields((["retry_policy"], "type_error.enum")),
          parked(retry_policy=policy))

    for given, read in (
            ("2099-04-01T12:00:00Z", "2099-04-01T12:00:00.000Z"),
            ("2099-04-01T12:00:00", "2099-04-01T12:00:00.000Z"),
            ("2099-04-01 12:00", "2099-04-01T12:00:00.000Z"),
            ("2099-04-01T12:00:00+02:00", "2099-04-01T10:00:00.000Z"),
            ("2099-04-01T12:00:00-0530", "2099-04-01T17:30:00.000Z"),
            ("2099-04-01T12:00:00.123987Z", "2099-04-01T12:00:00.123Z"),
            ("2096-02-29T00:00:00Z", "2096-02-29T00:00:00.000Z")):
        job = good("scheduled_for " + given, parked(scheduled_for=given))
        t("… and reads back", "GET", "/job/%d" % job, 200,
          dict(JOB, id=job, scheduled_for=read))
    for given in ("2001-01-01", "1969-12-31T23:59:59Z",
                  "0001-01-01T00:00:00"):
        job = good("scheduled_for in the past: " + given,
                   parked(scheduled_for=given))
        t("… means now", "GET", "/job/%d" % job, 200, Some(
            id=job, status="PENDING"))
        t.check("… it waits to be run", True,
                job in t.stack.waiting("parked"))
    for given in ("tomorrow", "", "2099-13-01T00:00:00Z",
                  "2099-02-29T00:00:00Z", "2099-04-01T25:00:00Z",
                  "2099-04-01T12:00:00Zjunk", "12345"):
        t("scheduled_for %r" % given, "POST", "/add-job", 422,
          fields((["scheduled_for"], "value_error.datetime")),
          parked(scheduled_for=given))
    t("scheduled_for a number", "POST", "/add-job", 422,
      {"detail": Has([Some(loc=["body", "scheduled_for"])])},
      parked(scheduled_for=1700000000))

    good("handler of 64 characters", parked(handler="a" * 64))
    good("handler of all its characters", parked(handler="Az_09.-"))
    for name in ("", "a" * 65, "two words", "naïve", "a/b", "a\n"):
        t("handler %r" % name[:9], "POST", "/add-job", 422,
          fields((["handler"], "value_error.str.regex")),
          parked(handler=name))
    for value in (5, [], {}):
        t("handler %r" % (value,), "POST", "/add-job", 422,
          fields((["handler"], "type_error.str")), parked(handler=value))
    for value in ("text", [1], 5):
        t("payload %r" % (value,), "POST", "/add-job", 422,
          fields((["payload"], "type_error.dict")), parked(payload=value))
    t("required field null", "POST", "/add-job", 422,
      fields((["payload"], "type_error.none.not_allowed")),
      parked(payload=None))
    t("missing handler, as documented", "POST", "/add-job", 422,
      {"detail": [{"loc": ["body", "handler"], "msg": "field required",
                   "type": "value_error.missing"}]}, {"payload": {}})
    t("every wrong field is listed", "POST", "/add-job", 422, fields(
        (["payload"], "value_error.missing"),
        (["handler"], "value_error.missing"),
        (["priority"], "value_error.number.not_le"),
        (["schedule_for"], "value_error.extra")),
      {"priority": 101, "schedule_for": "2099-01-01"})
    t("HTTP/1.1 chunked body", "POST", "/add-job", 200, OK,
      iter_body(parked()), headers={"Transfer-Encoding": "chunked"})


def roles(t, job):
    t.section("roles")
    table = (("POST", "/add-job", parked(), "admin"),
             ("POST", "/add-jobs", [parked()], "admin"),
             ("POST", "/cancel", {"job_id": job}, "admin"),
             ("POST", "/retry", {"job_id": job}, "worker"),
             ("GET", "/job/%d" % job, None, "worker"),
             ("GET", "/jobs", None, "worker"),
             ("GET", "/queues", None, "worker"),
             ("DELETE", "/job/%d" % job, None, "admin"))
    for method, path, body, least in table:
        t("no token", method, path, 401, INVALID, body, token=None,
          head={"WWW-Authenticate": "Bearer"})
        t("role nobody", method, path, 403, DENIED, body,
          token=t.stack.token("nobody"))
        if least == "admin":
            t("role worker", method, path, 403, DENIED, body, token="worker")
    t("worker may read", "GET", "/job/%d" % job, 200, Some(id=job),
      token="worker")
    t("worker may list", "GET", "/jobs", 200, token="worker")
    t("worker may see queues", "GET", "/queues", 200, token="worker")
    t("worker may retry (not failed)", "POST", "/retry", 409,
      "Job is not failed", {"job_id": job}, token="worker")
    t("401 comes before the body is looked at", "POST", "/add-job", 401,
      INVALID, "nonsense", token=None)


def authentication(t):
    t.section("tokens")
    for what, header, status in tokens(t.stack.secret):
        t(what, "GET", "/queues", status,
          INVALID if status == 401 else DENIED if status == 403 else None,
          token=None, headers={"Authorization": header})


def reading(t, job):
    t.section("GET /job/{id}")
    t("a waiting job", "GET", "/job/%d" % job, 200, dict(JOB, id=job))
    for bad in ("4503599627370497", "0", "-1", "007", "1.0", "abc",
                "9007199254740992", "99999999999999999999999", "1/2"):
        t("id " + bad, "GET", "/job/" + bad, 404, TEXT)
    t("the error's words", "GET", "/job/4503599627370497", 404,
      "Job not found")
    t("HEAD", "HEAD", "/job/%d" % job, 200)
    t("HEAD of none", "HEAD", "/job/4503599627370497", 404)


def states(t):
    """Jobs in every state, made by a real worker."""
    s = t.stack
    t.section("jobs that run")
    done = s.add("work", {"result": {"a": [1, "x"]}})
    failed = s.add("work", {"fail": "boom", "retryable": False})
    retried = s.add("work", {"fail": "again", "retryable": True},
                    retry_policy="none")
    s.wait_done(done)
    s.wait_status(failed, "FAILED")
    s.wait_status(retried, "FAILED")
    ran = dict(JOB, handler="work", started_at=TIME, finished_at=TIME,
               worker=TEXT, payload=Some())
    t("SUCCESS", "GET", "/job/%d" % done, 200, dict(
        ran, id=done, status="SUCCESS", result={"a": [1, "x"]}))
    t("FAILED, not retryable", "GET", "/job/%d" % failed, 200, dict(
        ran, id=failed, status="FAILED", error_log="boom", retries=1))
    t("FAILED, policy none", "GET", "/job/%d" % retried, 200, dict(
        ran, id=retried, status="FAILED", error_log="again", retries=1,
        retry_policy="none"))
    slow = s.add("slow", {"sleep": 600})
    s.wait_status(slow, "RUNNING")
    t("RUNNING", "GET", "/job/%d" % slow, 200, dict(
        JOB, id=slow, handler="slow", payload={"sleep": 600},
        status="RUNNING", started_at=TIME, worker=TEXT))

    t.section("POST /cancel")
    waiting = s.add("parked")
    later = s.add("parked", scheduled_for="2099-01-01")
    for what, job in (("pending", waiting), ("scheduled", later)):
        for again in ("", ", again"):
            t(what + again, "POST", "/cancel", 200,
              {"status": "cancelled", "job_id": job}, {"job_id": job})
        t("… is CANCELLED", "GET", "/job/%d" % job, 200,
          Some(status="CANCELLED", finished_at=TIME))
    for what, job in (("running", slow), ("succeeded", done),
                      ("failed", failed)):
        t(what, "POST", "/cancel", 409, "Job is not pending",
          {"job_id": job})
    t("none", "POST", "/cancel", 404, "Job not found",
      {"job_id": 4503599627370497})
    t("running, force false", "POST", "/cancel", 409, "Job is not pending",
      {"job_id": slow, "force": False})
    t("running, force null", "POST", "/cancel", 409, "Job is not pending",
      {"job_id": slow, "force": None})
    t("running, force", "POST", "/cancel", 200,
      {"status": "cancelled", "job_id": slow}, {"job_id": slow, "force": True})
    t("… at once", "GET", "/job/%d" % slow, 200, Some(status="CANCELLED"))
    ids("/cancel", t)
    t("force a number", "POST", "/cancel", 422,
      fields((["force"], "type_error.bool")), {"job_id": 1, "force": 1})

    t.section("POST /retry")
    for what, job in (("succeeded", done), ("cancelled", waiting)):
        t(what, "POST", "/retry", 409, "Job is not failed", {"job_id": job})
    t("none", "POST", "/retry", 404, "Job not found",
      {"job_id": 4503599627370497})
    t("failed", "POST", "/retry", 200,
      {"status": "retrying", "job_id": failed}, {"job_id": failed},
      token="worker")
    s.wait_status(failed, "FAILED")
    t("… ran again, with a new budget", "GET", "/job/%d" % failed, 200,
      Some(status="FAILED", retries=1, error_log="boom"))
    t("force is not one of its fields", "POST", "/retry", 422,
      fields((["force"], "value_error.extra")), {"job_id": 1, "force": True})
    ids("/retry", t)

    t.section("DELETE /job/{id}")
    t("role worker", "DELETE", "/job/%d" % done, 403, DENIED, token="worker")
    t("succeeded", "DELETE", "/job/%d" % done, 200)
    t("… is gone", "GET", "/job/%d" % done, 404, "Job not found")
    t("again", "DELETE", "/job/%d" % done, 404, "Job not found")
    return retried


def ids(path, t):
    for value, kind in ((0, "value_error.number.not_ge"),
                        (-5, "value_error.number.not_ge"),
                        (2 ** 53, "value_error.number.not_le"),
                        ("1", "type_error.integer"),
                        (1.5, "type_error.integer"),
                        (None, "type_error.none.not_allowed")):
        t("job_id %r" % (value,), "POST", path, 422,
          fields((["job_id"], kind)), {"job_id": value})
    t("no job_id", "POST", path, 422,
      fields((["job_id"], "value_error.missing")), {})
    t("unknown field", "POST", path, 422,
      fields((["id"], "value_error.extra")), {"job_id": 1, "id": 1})
    t("not JSON", "POST", path, 422, {"detail": [{
        "loc": ["body", 0], "msg": TEXT, "type": "value_error.jsondecode"}]},
      "x")


def bulk(t):
    t.section("POST /add-jobs")
    got = t("three jobs", "POST", "/add-jobs", 200,
            {"status": "ok", "job_ids": [ID, ID, ID]},
            [parked(payload={"n": n}, priority=n) for n in range(3)])
    for n, job in enumerate(got["job_ids"] if got else []):
        t("… number %d" % n, "GET", "/job/%d" % job, 200,
          dict(JOB, id=job, payload={"n": n}, priority=n))
    t("1,000 jobs", "POST", "/add-jobs", 200, {
        "status": "ok", "job_ids": Match(
            "1,000 ids", lambda v: len(set(v)) == 1000)},
      [parked(handler="bulk")] * 1000)
    before = t.stack.redis("GET", t.stack.key("seq"))
    t("1,001 jobs", "POST", "/add-jobs", 422,
      fields(([], "value_error.list.max_items")),
      [parked(handler="bulk")] * 1001)
    t("no job", "POST", "/add-jobs", 422,
      fields(([], "value_error.list.min_items")), [])
    t("not an array", "POST", "/add-jobs", 422,
      fields(([], "type_error.list")), parked())
    t("two are wrong: their places", "POST", "/add-jobs", 422, fields(
        ([1, "handler"], "value_error.missing"),
        ([2, "priority"], "value_error.number.not_le"),
        ([2, "x"], "value_error.extra")),
      [parked(), {"payload": {}}, parked(priority=101, x=1)])
    t("an item is no object", "POST", "/add-jobs", 422,
      fields(([0], "type_error.dict")), [5])
    t("a payload over the limit", "POST", "/add-jobs", 413, TEXT,
      [parked(), parked(payload={"a": "x" * 1100000})])
    t("over the bulk limit", "POST", "/add-jobs", 413, TEXT,
      [parked(payload={"a": "x" * 900000})] * 10)
    t.check("none of the refused stored anything", before,
            t.stack.redis("GET", t.stack.key("seq")))


def idempotency(t):
    t.section("Idempotency-Key")
    key = {"Idempotency-Key": "order-1"}
    first = t("first time", "POST", "/add-job", 200, OK, parked(),
              headers=key)
    t("again: the same id", "POST", "/add-job", 200, first, parked(),
      headers=key)
    t("another body", "POST", "/add-job", 422, ANY, parked(priority=3),
      headers=key)
    was = (first or {}).get("job_id")
    t("deleted", "DELETE", "/job/%s" % was, 200)
    again = t("a deleted job's key is free", "POST", "/add-job", 200, {
        "status": "ok", "job_id": Match("another id", lambda v: v != was)},
      parked(priority=3), headers=key)
    t("and taken", "POST", "/add-job", 200, again, parked(priority=3),
      headers=key)
    t("there is its job", "GET", "/job/%s" % (again or {}).get("job_id"), 200,
      ANY)
    t("another subject", "POST", "/add-job", 200, {
        "status": "ok", "job_id": Match(
            "another id", lambda v: v != (again or {}).get("job_id"))},
      parked(), headers=key, token=t.stack.token(sub="somebody"))
    many = {"Idempotency-Key": "é" .encode().decode("latin-1")}
    first = t("bulk", "POST", "/add-jobs", 200,
              {"status": "ok", "job_ids": [ID, ID]}, [parked(), parked()],
              headers=many)
    t("bulk again", "POST", "/add-jobs", 200, first, [parked(), parked()],
      headers=many)
    ids = (first or {}).get("job_ids") or [0, 0]
    for n, job in enumerate(ids):
        t("bulk again, %d of 2 deleted" % n, "POST", "/add-jobs", 200, first,
          [parked(), parked()], headers=many)
        t("deleted", "DELETE", "/job/%d" % job, 200)
    t("all deleted: the key is free", "POST", "/add-jobs", 200, {
        "status": "ok", "job_ids": Match(
            "other ids", lambda v: len(v) == 2 and not set(v) & set(ids))},
      [parked(), parked()], headers=many)
    t("255 bytes", "POST", "/add-job", 200, OK, parked(),
      headers={"Idempotency-Key": "k" * 255})
    for what, value in (("256 bytes", "k" * 256), ("empty", "")):
        t(what, "POST", "/add-job", 422, ANY, parked(),
          headers={"Idempotency-Key": value})


def listing(t):
    t.section("GET /jobs")
    s = t.stack
    mine = [s.add("listed", {"n": n}) for n in range(5)]
    s.post("/cancel", {"job_id": mine[2]})
    page = t("newest first", "GET", "/jobs?handler=listed", 200, {
        "jobs": [Some(id=j) for j in reversed(mine)], "next_cursor": ANY})
    t("each as GET /job/{id} shows it", "GET", "/jobs?handler=listed&limit=1",
      200, {"jobs": [dict(JOB, id=mine[4], handler="listed",
                          payload={"n": 4})], "next_cursor": TEXT})
    seen, cursor = [], None
    for _ in range(50):
        page = t("page after %s" % cursor, "GET", "/jobs?handler=listed"
                 "&limit=2" + ("&cursor=" + cursor if cursor else ""), 200,
                 Some(jobs=ANY))
        seen += [j["id"] for j in (page or {}).get("jobs", [])]
        cursor = (page or {}).get("next_cursor")
        if cursor is None:
            break
        if len(seen) == 2:
            s.add("listed", {"late": 1})
    t.check("every job once, though one was added meanwhile",
            mine[::-1], seen)
    t("by status", "GET", "/jobs?handler=listed&status=CANCELLED", 200,
      Some(jobs=[Some(id=mine[2], status="CANCELLED")]))
    t("unknown names are ignored", "GET",
      "/jobs?foo=1&handler=nobody", 200, Some(jobs=[]))
    t("a handler that never was", "GET", "/jobs?handler=nobody", 200,
      Some(jobs=[]))
    for field, value in (("limit", "0"), ("limit", "101"), ("limit", "x"),
                         ("limit", ""), ("status", "DONE"),
                         ("handler", "a%20b"), ("cursor", "x"),
                         ("cursor", "-1")):
        t("%s=%s" % (field, value), "GET", "/jobs?%s=%s" % (field, value),
          422, query_error(field))

    t.section("GET /queues")
    # the sums may be those of a second ago
    wait_for(lambda: "listed" in str(t.stack.get("/queues").json()),
             what="the next reading")
    t("per handler", "GET", "/queues", 200, {"queues": Has([
        {"handler": "listed", "waiting": 5, "scheduled": 0, "running": 0,
         "dead": 0, "oldest": TIME},
        Some(handler="work", waiting=0, running=0, dead=2, oldest=None)])})


def table(s, out=None):
    t = Table(s, "TaskMQ API", out=out)
    job = t("first job", "POST", "/add-job", 200, OK, parked())["job_id"]
    adding(t)
    odd_input(t)
    memory(t)
    authentication(t)
    roles(t, job)
    reading(t, job)
    states(t)
    bulk(t)
    idempotency(t)
    listing(t)
    open_paths(t)
    prefix(t)
    busy(t)
    redis_in_trouble(t)
    t.end()
    return t


def stack(docs_root=None):
    if docs_root is None:
        docs_root = os.path.join(BUILD, "web")
        subprocess.run(["make", "-s", "-C", ROOT, "BUILD=" + BUILD, "web"],
                       check=True)
    return Stack(
        handlers={"work": {}, "slow": {"timeout": 600}},
        http="taskmq_docs_root %s; large_client_header_buffers 4 16k;"
             % docs_root,
        server="location /jobs-api/ { taskmq_api taskmq; }"
               " location /busy/ { taskmq_api taskmq; taskmq_max_pending 1; }"
               + hasty("taskmq"))


@functools.lru_cache(maxsize=None)
def run():
    """The table, once per process: test_docs.py looks at the same answers."""
    with stack() as s:
        s.worker()
        return table(s)


if __name__ == "__main__":
    sys.exit(1 if run().bad else 0)
