"""BullMQ (npm): behind node's http, and by itself."""

import json
import os
import time

from rig import http
from rig.ctx import Result, free_port
from rig.nginx import auth
from rig.proc import Failed, run, wait_for
from rig.row import Row
from rig.stats import percentiles

from .taskmq_http import BUILD, HERE

PEER = os.path.abspath(os.path.join(HERE, "..", "peers", "node"))
MODULES = os.path.join(BUILD, "bench", "node", "node_modules")
QUEUE = "bull:bench:"


def env(ctx, **more):
    return dict({"REDIS_SOCK": ctx.sock, "NODE_PATH": MODULES,
                 "NODE_ENV": "production"}, **more)


def node(ctx, script, *args, cpus="load"):
    argv = ["node", os.path.join(PEER, script)] + [str(a) for a in args]
    ctx.commands.append(" ".join(argv))
    return run(argv, cpus=ctx.place[cpus], env=dict(os.environ, **env(ctx)))


def enqueue(processes):
    def measure(ctx):
        ctx.redis_server()
        port = free_port()
        p = ctx.start("front", "node", ["node", PEER + "/server.js"],
                      env=env(ctx, PORT=str(port), SECRET=http.SECRET,
                              PROCESSES=str(processes)))
        wait_for(lambda: http.check_once(
            port, "/add-job", http.BODY, auth(), b'"status":"ok"'),
            20, "node answers", p)
        return http.load(ctx, port, "/add-job", http.BODY, dict(
            auth(), **{"Content-Type": "application/json"}),
            ctx.opt.seconds, lambda: waiting(ctx))
    return measure


def waiting(ctx):
    return ctx.redis("LLEN", QUEUE + "wait") \
        + ctx.redis("LLEN", QUEUE + "active")


def add(how, jobs):
    def measure(ctx):
        ctx.redis_server()
        n = int(jobs * ctx.opt.scale)
        used = os.times()
        ctx.mark()
        out = node(ctx, "add.js", how, n, cpus="worker")
        used = [b - a for a, b in zip(used, os.times())]
        if waiting(ctx) != n:
            raise Failed("%d of %d jobs are there" % (waiting(ctx), n))
        result = ctx.done(Result(float(out), n))
        result.cpu["front"] = used[2] + used[3]
        return result
    return measure


def worker(ctx, concurrency=100, **more):
    return ctx.start("worker", "node", ["node", PEER + "/worker.js"],
                     env=env(ctx, CONCURRENCY=str(concurrency), **more))


def drain(ctx):
    ctx.redis_server()
    n = int(60000 * ctx.opt.scale)
    node(ctx, "add.js", "fill", n)
    return ctx.drained(lambda: waiting(ctx), n, lambda: worker(ctx))


def idle(ctx):
    ctx.redis_server()
    worker(ctx)
    out = node(ctx, "idle.js", int(500 * ctx.opt.scale))
    return percentiles(ctx, [float(x) for x in out.split()])


def due(ctx):
    ctx.redis_server()
    worker(ctx)
    n, wait = 10000, 5000
    at = int(node(ctx, "add.js", "delay", n, wait)) / 1000
    if time.time() > at:
        raise Failed("the jobs fell due before the last was added")
    ctx.mark()
    wait_for(lambda: ctx.redis("ZCARD", QUEUE + "completed") == n, 60,
             "all delayed jobs are done")
    return ctx.done(Result((time.time() - at) * 1000, n))


def memory(ctx):
    ctx.redis_server()
    node(ctx, "add.js", "fill", 1)
    before = int(ctx.conn.info("used_memory"))
    n = 50000
    node(ctx, "add.js", "fill", n)
    return ctx.done(Result((int(ctx.conn.info("used_memory")) - before) / n))


def versions():
    with open(os.path.join(MODULES, "bullmq", "package.json")) as f:
        version = json.load(f)["version"]
    return {"BullMQ": version, "node": run(["node", "--version"]).strip()}


ROWS = [
    Row("http-1", "BullMQ behind node http", enqueue(1)),
    Row("http-2", "BullMQ behind node http", enqueue(2), place="two"),
    Row("bulk", "BullMQ addBulk (no HTTP)", add("bulk", 100000)),
    Row("native", "BullMQ add, 50 in flight", add("one", 60000)),
    Row("drain", "BullMQ, concurrency 100", drain),
    Row("idle", "BullMQ", idle),
    Row("due", "BullMQ", due),
    Row("memory-waiting", "BullMQ", memory, aof=False),
]
