"""webdis: HTTP to Redis commands, no token, no validation, no job."""

import json
import os

from rig import http
from rig.ctx import free_port
from rig.proc import run, wait_for
from rig.row import Row

from .nginx_lua import LUA


def script():
    with open(os.path.join(LUA, "enqueue.lua")) as f:
        return f.read().split("[[")[2].split("]]")[0]


def enqueue(command, workers):
    def measure(ctx):
        ctx.redis_server()
        port = free_port()
        ctx.path("webdis.json", json.dumps({
            "redis_host": ctx.sock, "redis_port": 0, "redis_auth": None,
            "http_host": "127.0.0.1", "http_port": port,
            "threads": workers, "pool_size": 8, "daemonize": False,
            "websockets": False, "database": 0, "verbosity": 1,
            "acl": [{"disabled": []}], "logfile": ctx.path("webdis.out")}))
        p = ctx.start("front", "webdis", ["webdis", ctx.path("webdis.json")])
        wait_for(lambda: http.check_once(port, "/PING", None, {}, b"PONG",
                                         "GET"), 10, "webdis answers", p)
        payload = json.dumps(json.loads(http.BODY)["payload"])
        if command == "LPUSH":
            body = "LPUSH/ready/" + quote(payload)
            stored = lambda: ctx.redis("LLEN", "ready")       # noqa: E731
        else:
            sha = ctx.redis("SCRIPT", "LOAD", script()).decode()
            body = "EVALSHA/%s/1/w:/dummy/%s/10/1" % (sha, quote(payload))
            stored = lambda: ctx.redis("ZCARD", "w:ready")    # noqa: E731
        http.check_once(port, "/", body, {}, command.encode())
        return http.load(ctx, port, "/", body, {}, ctx.opt.seconds, stored)
    return measure


def quote(text):
    from urllib.parse import quote as q
    return q(text, safe="")


def versions():
    return {"webdis": run(["dpkg-query", "-W", "-f", "${Version}",
                           "webdis"])}


ROWS = [
    Row("http-1", "webdis LPUSH (no token)", enqueue("LPUSH", 1)),
    Row("http-1", "webdis EVALSHA (no token)", enqueue("EVALSHA", 1)),
]
