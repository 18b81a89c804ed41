"""Sidekiq (Debian's ruby-sidekiq): 10 threads per process."""

import os
import time

from rig.ctx import Result
from rig.proc import Failed, run, wait_for
from rig.row import Row
from rig.stats import percentiles

from .taskmq_http import HERE

PEER = os.path.abspath(os.path.join(HERE, "..", "peers", "sidekiq"))


def env(ctx):
    return {"REDIS_SOCK": ctx.sock, "RAILS_ENV": "production",
            "MALLOC_ARENA_MAX": "2"}


def ruby(ctx, *args, cpus="load"):
    argv = ["ruby", PEER + "/add.rb"] + [str(a) for a in args]
    ctx.commands.append(" ".join(argv))
    return run(argv, cpus=ctx.place[cpus], env=dict(os.environ, **env(ctx)))


def waiting(ctx):
    return ctx.redis("LLEN", "queue:default")


def worker(ctx):
    return ctx.start("worker", "sidekiq", [
        "sidekiq", "-r", PEER + "/bench.rb", "-c", "10", "-q", "default"],
        env=env(ctx))


def add(how, jobs):
    def measure(ctx):
        ctx.redis_server()
        n = int(jobs * ctx.opt.scale)
        used = os.times()
        ctx.mark()
        out = ruby(ctx, how, n, cpus="worker")
        used = [b - a for a, b in zip(used, os.times())]
        if waiting(ctx) != n:
            raise Failed("%d of %d jobs are there" % (waiting(ctx), n))
        result = ctx.done(Result(float(out), n))
        result.cpu["front"] = used[2] + used[3]
        return result
    return measure


def drain(processes):
    def measure(ctx):
        ctx.redis_server()
        n = int(40000 * ctx.opt.scale)
        ruby(ctx, "bulk", n)
        for _ in range(processes - 1):
            worker(ctx)
        return ctx.drained(lambda: waiting(ctx), n, lambda: worker(ctx))
    return measure


def idle(ctx):
    ctx.redis_server()
    worker(ctx)
    out = ruby(ctx, "idle", int(500 * ctx.opt.scale) + 20)
    return percentiles(ctx, [float(x) for x in out.split()][20:])


def due(ctx):
    ctx.redis_server()
    worker(ctx)
    n = 10000
    at = float(ruby(ctx, "due", n, 8))
    if time.time() > at:
        raise Failed("the jobs fell due before the last was added")
    ctx.mark()
    wait_for(lambda: ctx.redis("ZCARD", "schedule") == 0 and
             waiting(ctx) == 0, 120, "all scheduled jobs are done")
    return ctx.done(Result((time.time() - at) * 1000, n))


def memory(ctx):
    ctx.redis_server()
    ruby(ctx, "bulk", 1)
    before = int(ctx.conn.info("used_memory"))
    n = 50000
    ruby(ctx, "bulk", n)
    return ctx.done(Result((int(ctx.conn.info("used_memory")) - before) / n))


def versions():
    return {"Sidekiq": run(["sidekiq", "--version"]).split()[-1],
            "ruby": run(["ruby", "--version"]).split()[1]}


ROWS = [
    Row("bulk", "Sidekiq push_bulk (no HTTP)", add("bulk", 200000)),
    Row("native", "Sidekiq perform_async", add("one", 20000)),
    Row("drain", "Sidekiq, 1 process", drain(1)),
    Row("drain", "Sidekiq, 2 processes", drain(2), place="two"),
    Row("idle", "Sidekiq", idle),
    Row("due", "Sidekiq", due),
    Row("memory-waiting", "Sidekiq", memory, aof=False),
]
