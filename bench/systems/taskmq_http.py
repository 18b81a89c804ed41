"""TaskMQ's HTTP side: one job per request, 1,000 per request, larger ones."""

import json
import os
import subprocess

from rig import http, nginx
from rig.proc import Failed
from rig.row import Row

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = "{taskmq}:"


def front(ctx, workers=1, sock=None):
    ctx.path("jwt.secret", http.SECRET)
    os.chmod(ctx.path("jwt.secret"), 0o600)
    return nginx.start(
        ctx, "taskmq_api taskmq;", workers=workers,
        load="load_module %s/ngx_http_taskmq_module.so;" % BUILD,
        http="taskmq_redis unix:%s; taskmq_jwt_secret_file jwt.secret;"
             % (sock or ctx.sock))


def waiting(ctx, handler="dummy"):
    """How many jobs wait, as the counters say."""
    def count():
        received = int(ctx.redis("HGET", PREFIX + "handlers", handler) or 0)
        back, sch, claimed = (int(n or 0) for n in ctx.redis(
            "HMGET", PREFIX + "stats", *(name + handler for name in (
                "back:", "sch:", "claimed:"))))
        return received + back - sch - claimed
    return count


# Jobs that a part of one lane has. Its arguments: the key's end, where the part
# begins and ends.
FOUND = """#!lua flags=no-writes
local P, n, ids = KEYS[1], 0, {}
local function count()
    n = n + (#ids > 0 and redis.call('EXISTS', unpack(ids)) or 0)
    ids = {}
end
for _, x in ipairs(redis.call('LRANGE', P .. ARGV[1], ARGV[2], ARGV[3])) do
    local id, jobs = string.match(x, '^(%d+) ?(%d*)')
    for k = 0, id and (tonumber(jobs) or 1) - 1 or -1 do
        ids[#ids + 1] = P .. string.format('j:%.0f', id + k)
        if #ids == 1000 then
            count()
        end
    end
end
count()
return n
"""


def found(ctx, handler="dummy"):
    """How many jobs wait, each looked for. (None was cancelled.)"""
    n = 0
    for priority in range(101):
        key = "h:%s:lane:%03d" % (handler, priority)
        size = ctx.redis("LLEN", PREFIX + key)
        for first in range(0, size, 100):
            n += ctx.redis("EVAL", FOUND, 1, PREFIX, key, first, first + 99)
    return n


def load(ctx, port, path, body, per_request=1, **more):
    """http.load, and then each job that the counters know is there."""
    told = waiting(ctx)
    result = http.load(ctx, port, path, body, headers(), ctx.opt.seconds, told,
                       per_request, **more)
    if found(ctx) != told():
        raise Failed("the counters know %d waiting jobs, %d are found"
                     % (told(), found(ctx)))
    return result


def headers():
    return dict(nginx.auth(), **{"Content-Type": "application/json"})


def enqueue(workers, body=http.BODY):
    def measure(ctx):
        ctx.redis_server()
        port = front(ctx, workers)
        http.check_once(port, "/add-job", body, headers(), b'"status":"ok"')
        return load(ctx, port, "/add-job", body)
    return measure


def bulk(ctx):
    ctx.redis_server()
    port = front(ctx)
    body = "[" + ",".join([http.BODY] * 1000) + "]"
    http.check_once(port, "/add-jobs", body, headers(), b'"job_ids":[')
    return load(ctx, port, "/add-jobs", body, 1000, conns=4)


def sized(size):
    body = json.dumps({"handler": "dummy", "payload": {"text": "x" * size}})
    return enqueue(1, body)


def versions():
    r = subprocess.run([BUILD + "/taskmq-worker", "--version"],
                       capture_output=True, text=True)
    git = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"],
                         capture_output=True, text=True)
    return {"TaskMQ for nginx": " ".join(
        (r.stdout.split() or ["?"])[-1:] + git.stdout.split())}


ROWS = [
    Row("http-1", "TaskMQ for nginx", enqueue(1)),
    Row("http-2", "TaskMQ for nginx", enqueue(2), place="two"),
    Row("bulk", "TaskMQ for nginx (HTTP)", bulk),
] + [
    Row("payload", "TaskMQ for nginx, %s" % name, sized(size), aof=False)
    for name, size in (("100 B", 100), ("1 KB", 1000), ("10 KB", 10000),
                       ("100 KB", 100000))
]
