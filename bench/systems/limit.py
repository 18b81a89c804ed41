"""What Redis itself allows: plain scripts, a pipelining C client (hiredis)."""

import os
import re

from rig.ctx import Result
from rig.proc import Failed, run
from rig.row import Row

from .taskmq_http import BUILD, HERE
from rig.stats import percentiles

TOOL = os.path.join(BUILD, "bench", "limit")
SCRIPTS = os.path.join(HERE, "..", "tools", "limit")


def timed(ctx, argv, jobs, role="worker"):
    """A client that measures itself; the value is what it prints."""
    used = os.times()
    ctx.mark()
    out = run(argv, cpus=ctx.place[role])
    used = [b - a for a, b in zip(used, os.times())]
    ctx.commands.append(" ".join(argv))
    result = ctx.done(Result(float(out), jobs))
    result.cpu[role] = result.cpu.get(role, 0) + used[2] + used[3]
    return result


def drain(batch):
    def measure(ctx):
        ctx.redis_server()
        n = int(100000 * ctx.opt.scale)
        run([TOOL, ctx.sock, SCRIPTS, "fill", str(n)])
        return timed(ctx, [TOOL, ctx.sock, SCRIPTS, "drain", str(n),
                           str(batch)], n)
    return measure


def idle(ctx):
    ctx.redis_server()
    n = int(1000 * ctx.opt.scale)
    out = run([TOOL, ctx.sock, SCRIPTS, "idle", str(n)])
    return percentiles(ctx, [float(x) / 1000 for x in out.split()])


def benchmark(args, what):
    """redis-benchmark with 100-byte values."""
    def measure(ctx):
        ctx.redis_server()
        n = int(400000 * ctx.opt.scale)
        argv = ["redis-benchmark", "-s", ctx.sock, "-n", str(n), "-d", "100",
                "-r", "1000000", "-c", "50", "-q", "-t", "set"] + args
        ctx.mark()
        out = run(argv, cpus=ctx.place["load"])
        m = re.search(r"([\d.]+) requests per second", out)
        if not m:
            raise Failed("redis-benchmark: " + out[-300:])
        ctx.commands.append(" ".join(argv))
        return ctx.done(Result(float(m.group(1)), n))
    return measure


def memory(ctx):
    """SET and a list: what a 100-byte payload costs at the least."""
    ctx.redis_server()
    n = 100000
    before = int(ctx.conn.info("used_memory"))
    value = "x" * 100
    ctx.conn.many(c for i in range(1, n + 1)
                  for c in (("SET", "j:%d" % i, value), ("RPUSH", "q", i)))
    return ctx.done(Result((int(ctx.conn.info("used_memory")) - before) / n))


def versions():
    return {"redis-server": run(["redis-server", "--version"]).split()[2][2:]}


ROWS = [
    Row("drain", "limit: ack and claim in one write, batch 100", drain(100),
        limit=True),
    Row("idle", "limit: push, blocked pop, both ways", idle, limit=True),
    Row("native", "limit: SET, pipelines of 32", benchmark(["-P", "32"], ""),
        limit=True),
    Row("native", "limit: SET, no pipeline", benchmark([], ""), limit=True),
    Row("memory-waiting", "limit: SET and a list", memory, aof=False,
        limit=True),
]
