"""The rest of the TaskMQ table: odd input, paths without a token, methods,
prefixes, and Redis in trouble."""

import json
import os
import signal

from harness import memory_kb, wait_for
from request_table import Has, ID, Match, RAW, Re, Some, TEXT, allows, same

OK = {"status": "ok", "job_id": ID}


def hasty(api):
    """For the row about a silent Redis, a location with a short deadline and
    (for it has a namespace of its own) a connection of its own. No other row
    may depend on how fast Redis is on a busy machine."""
    return (" location /hasty/ { taskmq_api %s; taskmq_auth off;"
            " taskmq_namespace hasty; taskmq_redis_timeout 400ms; }" % api)


def parked(**more):
    """A job of a handler that no worker serves."""
    return dict({"payload": {}, "handler": "parked"}, **more)


def fields(*errors):
    """The body of a 422: (loc after "body", type) pairs, in any order."""
    items = [Some(loc=["body", *loc], msg=TEXT, type=kind)
             for loc, kind in errors]
    return {"detail": Match(
        repr(errors), lambda v: isinstance(v, list) and len(v) == len(items)
        and same({"detail": Has(items)}, {"detail": v}))}


def iter_body(value):
    data = json.dumps(value).encode()
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


def odd_input(t):
    t.section("odd input to /add-job, all on one connection")
    head = '{"handler":"parked","payload":'
    for what, body, offset in (
            ("empty body", b"", 0),
            ("white space only", b" \r\n\t", 4),
            ("not JSON", b"hello", 0),
            ("cut short", b'{"payload":{', 12),
            ("bad UTF-8", head.encode() + b'{"a":"\xff\xfe"}}', 36),
            ("overlong UTF-8", head.encode() + b'{"a":"\xc0\x80"}}', 36),
            ("lone surrogate in a key", '{"\\ud800":1}', 2),
            ("lone surrogate in a handler's name",
             '{"payload":{},"handler":"a\\udc00"}', 26),
            ("raw NUL", head.encode() + b'{"a":"\x00"}}', 36),
            ("escaped NUL in a handler's name",
             '{"payload":{},"handler":"a\\u0000"}', 26),
            ("raw newline in a string", head + '{"a":"\n"}}', 36),
            ("duplicate key", '{"handler":"a","handler":"b","payload":{}}',
             Match("offset", lambda v: 15 <= v <= 25)),
            ("duplicate key in the payload", head + '{"a":1,"\\u0061":2}}',
             Match("offset", lambda v: 37 <= v <= 46)),
            ("trailing bytes", head + "{}} x", 34),
            ("two values", head + "{}}{}", 33),
            ("byte order mark", "\ufeff{}", 0),
            ("007", head + '{"n":007}}', Match(
                "offset", lambda v: 35 <= v <= 36)),
            ("1.", head + '{"n":1.}}', Match(
                "offset", lambda v: 35 <= v <= 37)),
            ("+1", head + '{"n":+1}}', 35),
            (".5", head + '{"n":.5}}', 35),
            ("NaN", head + '{"n":NaN}}', 35),
            ("single quotes", "{'handler':'a'}", 1),
            ("comma at the end", head + '{"a":1,}}', 37),
            ("comment", head + "{/**/}}", 31),
            ("5,000 levels deep", head + '{"a":' + "[" * 5000 + "]" * 5000
             + "}}", Match("offset", lambda v: 100 < v < 300)),
            ("1,000,000 levels deep", "[" * 1000000, Match(
                "offset", lambda v: 100 < v < 300))):
        t(what, "POST", "/add-job", 422, {"detail": [{
            "loc": ["body", offset], "msg": TEXT,
            "type": "value_error.jsondecode"}]}, body)
    for what, body in (("array", "[]"), ("string", '"x"'), ("null", "null"),
                       ("number", "7")):
        t(what, "POST", "/add-job", 422, fields(([], "type_error.dict")),
          body)
    t("2 MB payload", "POST", "/add-job", 413, TEXT,
      head + '{"a":"' + "x" * 2000000 + '"}}')
    t("2 MB, chunked", "POST", "/add-job", 413, TEXT,
      iter_body(parked(payload={"a": "x" * 2000000})), kept=False,
      headers={"Transfer-Encoding": "chunked"}, head={"Connection": "close"})
    t("2 MB of white space around a job", "POST", "/add-job", 413, TEXT,
      json.dumps(parked()) + " " * 2000000)
    t("and the queue still works", "POST", "/add-job", 200, OK, parked())


def memory(t):
    """The same refusals, 100 times over: no request may leave memory behind.
    """
    def rss():
        with open("/proc/%d/task/%d/children" % ((t.stack.nginx.pid,) * 2)
                  ) as f:
            pids = f.read().split()
        return sum(map(memory_kb, pids or [t.stack.nginx.pid]))

    bodies = [b"", b"nope", b'{"payload":{},"payload":{}}', b"[" * 100000,
              b'{"a":"' + b"x" * 2000000]
    head = {"Authorization": "Bearer " + t.stack.token()}

    def round_of(n):
        for _ in range(n):
            for body in bodies:
                reply, _ = t.send("POST", "/add-job", body, head)
                if reply.status not in (413, 422):
                    t.check("refused", 422, reply.status)

    round_of(20)
    before = rss()
    round_of(100)
    grown = rss() - before
    t.check("memory after 500 more refusals, kB more", Match(
        "at most 512", lambda v: v <= 512), grown)


def open_paths(t):
    t.section("without a token")
    t("health", "GET", "/health", 200, Some(status="ok"), token=None)
    t("a bad token does not matter here", "GET", "/health", 200,
      Some(status="ok"), token="rubbish")
    t("metrics", "GET", "/monitor/metrics", 200, token=None, head={
        "Content-Type": Re("^text/plain; version=0.0.4")})
    t("openapi.json", "GET", "/openapi.json", 200, Some(openapi="3.1.0"),
      token=None)
    for path in ("/docs", "/redoc"):
        t(path, "GET", path, 200, token=None,
          head={"Content-Type": Re("^text/html")})
    for path in ("/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"):
        t(path, "GET", path, 200, token=None, head={
            "Content-Type": Re("javascript"), "ETag": TEXT,
            "Last-Modified": TEXT})
    for path in ("/docs/", "/redoc/"):
        t(path, "GET", path, 301, token=None,
          head={"Location": Re(path[:-1] + "$")})
    for path in ("/docs/none.js", "/docs/..x", "/docs/.x", "/docs/a%5cb",
                 "/redoc/a/b", "/redoc/init.js/"):
        t(path, "GET", path, 404, TEXT, token=None)
    for path in ("/docs/%00", "/docs/../../../etc/passwd"):
        t(path + " (nginx's own 400)", "GET", path, 400, RAW, token=None,
          kept=False)

    t.section("methods and paths")
    for path, allow in (("/add-job", {"POST"}), ("/add-jobs", {"POST"}),
                        ("/cancel", {"POST"}), ("/retry", {"POST"}),
                        ("/job/1", {"GET", "HEAD", "DELETE"}),
                        ("/jobs", {"GET", "HEAD"}),
                        ("/queues", {"GET", "HEAD"}),
                        ("/health", {"GET", "HEAD"}),
                        ("/monitor/metrics", {"GET", "HEAD"}),
                        ("/openapi.json", {"GET", "HEAD"}),
                        ("/docs", {"GET", "HEAD"}),
                        ("/redoc", {"GET", "HEAD"})):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            if method not in allow:
                t("not its method", method, path, 405, TEXT,
                  head={"Allow": allows(allow)})
    for path in ("/nothing", "/", "/job", "/job/", "/add-job/", "/Health"):
        t("no such path", "GET", path, 404, TEXT)


def busy(t):
    t.section("taskmq_max_pending 1, and more jobs wait")
    s = t.stack
    wait_for(lambda: s.post("/busy/add-job", parked()).status == 429)
    for path, body in (("/busy/add-job", parked()),
                       ("/busy/add-jobs", [parked()])):
        t(path, "POST", path, 429, TEXT, body,
          head={"Retry-After": Re("^[1-9][0-9]*$")})


def prefix(t):
    t.section("below a prefix location")
    job = t("add", "POST", "/jobs-api/add-job", 200, OK, parked())
    t("read", "GET", "/jobs-api/job/%d" % job["job_id"], 200, Some(id=ID))
    t("docs", "GET", "/jobs-api/docs", 200, token=None)
    t("its assets", "GET", "/jobs-api/docs/swagger-ui.css", 200, token=None,
      head={"Content-Type": Re("^text/css")})
    t("docs with a slash", "GET", "/jobs-api/docs/", 301, token=None,
      head={"Location": Re("/jobs-api/docs$")})
    t("nothing", "GET", "/jobs-api/nothing", 404, TEXT)


def redis_in_trouble(t):
    s = t.stack
    t.section("Redis full, read-only, silent, away")

    def healthy():
        return s.get("/health", token=None).status == 200

    def unhealthy():
        return s.get("/health", token=None).status == 503

    def refused(what):
        wait_for(unhealthy, 10, "/health sees: " + what)
        t("health: " + what, "GET", "/health", 503, Some(status="error"),
          token=None)
        t("add-job: " + what, "POST", "/add-job", 503, TEXT, parked(),
          head={"Retry-After": Re("^[1-9][0-9]*$")})
        t("add-jobs: " + what, "POST", "/add-jobs", 503, TEXT, [parked()],
          head={"Retry-After": Re("^[1-9][0-9]*$")})

    before = s.redis("GET", s.key("seq"))
    s.redis("CONFIG", "SET", "maxmemory", "1")
    refused("full")
    t("but reading works", "GET", "/queues", 200)
    s.redis("CONFIG", "SET", "maxmemory", "0")
    wait_for(healthy, 10, "/health is ok")

    s.redis("REPLICAOF", "127.0.0.1", "1")
    refused("read-only")
    s.redis("REPLICAOF", "NO", "ONE")
    wait_for(healthy, 10, "/health is ok")
    t.check("surely nothing was stored", before, s.redis("GET", s.key("seq")))

    wait_for(lambda: s.post("/hasty/add-job", parked()).status == 200,
             what="its connection")
    os.kill(s.server.pid, signal.SIGSTOP)
    try:
        t("silent: outcome unknown", "POST", "/hasty/add-job", 504, TEXT,
          parked(), head={"Retry-After": None})
    finally:
        os.kill(s.server.pid, signal.SIGCONT)
    wait_for(healthy, 10, "/health is ok")

    s.server.kill()
    refused("away")
    t("read: away", "GET", "/queues", 503, TEXT,
      head={"Retry-After": Re("^[1-9][0-9]*$")})
    t("metrics: away", "GET", "/monitor/metrics", 503, TEXT, token=None)
    s.start_redis()
    wait_for(healthy, 10, "/health is ok")
    t("and back", "POST", "/add-job", 200, OK, parked())
