"""RQ (Debian's python3-rq): a process per job, or SimpleWorker."""

import os

from rig.ctx import Result
from rig.proc import Failed, run
from rig.row import Row

from .taskmq_http import HERE

PEER = os.path.abspath(os.path.join(HERE, "..", "peers", "python"))
PYTHON = "/usr/bin/python3"


def python(ctx, *args, cpus="load"):
    argv = [PYTHON, PEER + "/rq_jobs.py"] + [str(a) for a in args] + [ctx.sock]
    ctx.commands.append(" ".join(argv))
    return run(argv, cpus=ctx.place[cpus])


def waiting(ctx):
    return ctx.redis("LLEN", "rq:queue:default")


def add(how, jobs):
    def measure(ctx):
        ctx.redis_server()
        n = int(jobs * ctx.opt.scale)
        used = os.times()
        ctx.mark()
        out = python(ctx, how, n, cpus="worker")
        used = [b - a for a, b in zip(used, os.times())]
        if waiting(ctx) != n:
            raise Failed("%d of %d jobs are there" % (waiting(ctx), n))
        result = ctx.done(Result(float(out), n))
        result.cpu["front"] = used[2] + used[3]
        return result
    return measure


def drain(kind, jobs):
    def measure(ctx):
        ctx.redis_server()
        n = int(jobs * ctx.opt.scale)
        python(ctx, "many", n)
        return ctx.drained(lambda: waiting(ctx), n, lambda: ctx.start(
            "worker", "rq", [PYTHON, PEER + "/rq_worker.py", kind, ctx.sock],
            env={"PYTHONPATH": PEER}))
    return measure


def memory(ctx):
    ctx.redis_server()
    python(ctx, "many", 1)
    before = int(ctx.conn.info("used_memory"))
    n = 20000
    python(ctx, "many", n)
    return ctx.done(Result((int(ctx.conn.info("used_memory")) - before) / n))


def versions():
    return {"RQ": run([PYTHON, "-c", "import rq; print(rq.VERSION)"]).strip()}


ROWS = [
    Row("bulk", "RQ enqueue_many (no HTTP)", add("many", 20000)),
    Row("native", "RQ enqueue", add("one", 5000)),
    Row("drain", "RQ, SimpleWorker", drain("simple", 2000)),
    Row("drain", "RQ, fork", drain("fork", 600)),
    Row("memory-waiting", "RQ", memory, aof=False),
]
