"""Celery (Debian's python3-celery) on Redis: prefork, threads and solo."""

import os

from rig.ctx import Result
from rig.proc import Failed, run
from rig.row import Row

from .rq import PEER, PYTHON


def env(ctx):
    return {"REDIS_SOCK": ctx.sock, "PYTHONPATH": PEER}


def delay(ctx, n, cpus="load"):
    argv = [PYTHON, PEER + "/celery_app.py", str(n)]
    ctx.commands.append(" ".join(argv))
    return run(argv, cpus=ctx.place[cpus], env=dict(os.environ, **env(ctx)))


def waiting(ctx):
    return ctx.redis("LLEN", "celery") + ctx.redis("HLEN", "unacked")


def add(ctx):
    ctx.redis_server()
    n = int(5000 * ctx.opt.scale)
    used = os.times()
    ctx.mark()
    out = delay(ctx, n, "worker")
    used = [b - a for a, b in zip(used, os.times())]
    if waiting(ctx) != n:
        raise Failed("%d of %d jobs are there" % (waiting(ctx), n))
    result = ctx.done(Result(float(out), n))
    result.cpu["front"] = used[2] + used[3]
    return result


def drain(pool, concurrency):
    def measure(ctx):
        ctx.redis_server()
        n = int(6000 * ctx.opt.scale)
        delay(ctx, n)
        return ctx.drained(lambda: waiting(ctx), n, lambda: ctx.start(
            "worker", "celery", [
                PYTHON, "-m", "celery", "-A", "celery_app", "worker",
                "--pool", pool, "--concurrency", str(concurrency),
                "--without-gossip", "--without-mingle", "--loglevel",
                "WARNING"],
            env=dict(env(ctx), C_FORCE_ROOT="1")))
    return measure


def versions():
    return {"Celery": run([PYTHON, "-c", "import celery; "
                           "print(celery.__version__)"]).strip()}


ROWS = [
    Row("native", "Celery delay", add),
    Row("drain", "Celery, solo", drain("solo", 1)),
    Row("drain", "Celery, threads", drain("threads", 10)),
    Row("drain", "Celery, prefork 2", drain("prefork", 2), place="two"),
]
