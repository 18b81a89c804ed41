"""TaskMQ's HTTP side: one job per request, 1,000 per request, larger ones."""

import json
import os
import subprocess

from rig import http, nginx
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
    return lambda: ctx.redis("ZCARD", PREFIX + "h:%s:ready:p" % handler)


def headers():
    return dict(nginx.auth(), **{"Content-Type": "application/json"})


def enqueue(workers, body=http.BODY):
    def measure(ctx):
        ctx.redis_server()
        port = front(ctx, workers)
        http.check_once(port, "/add-job", body, headers(), b'"status":"ok"')
        return http.load(ctx, port, "/add-job", body, headers(),
                         ctx.opt.seconds, waiting(ctx))
    return measure


def bulk(ctx):
    ctx.redis_server()
    port = front(ctx)
    body = "[" + ",".join([http.BODY] * 1000) + "]"
    http.check_once(port, "/add-jobs", body, headers(), b'"job_ids":[')
    return http.load(ctx, port, "/add-jobs", body, headers(),
                     ctx.opt.seconds, waiting(ctx), 1000, conns=4)


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
