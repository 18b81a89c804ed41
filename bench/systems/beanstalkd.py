"""beanstalkd: in memory, and with its binlog where others have the AOF."""

import os

from rig.ctx import Result, free_port
from rig.proc import run, wait_for
from rig.nginx import listens
from rig.row import Row
from rig.stats import percentiles

from .limit import timed
from .taskmq_http import BUILD

TOOL = os.path.join(BUILD, "bench", "beanstalk")


def server(ctx):
    port = free_port()
    argv = ["beanstalkd", "-l", "127.0.0.1", "-p", str(port)]
    if ctx.aof:
        os.mkdir(ctx.path("binlog"))
        argv += ["-b", ctx.path("binlog"), "-f", "1000"]
    p = ctx.start("store", "beanstalkd", argv)
    wait_for(lambda: listens(port), 10, "beanstalkd listens", p)
    return str(port)


def work(what, jobs):
    def measure(ctx):
        port = server(ctx)
        n = int(jobs * ctx.opt.scale)
        if what == "drain":
            run([TOOL, port, "put", str(n)])
        return timed(ctx, [TOOL, port, what, str(n)], n)
    return measure


def idle(ctx):
    port = server(ctx)
    out = run([TOOL, port, "idle", str(int(1000 * ctx.opt.scale))])
    return percentiles(ctx, [float(x) / 1000 for x in out.split()])


def due(ctx):
    port = server(ctx)
    argv = [TOOL, port, "due", "10000", "3"]
    ctx.commands.append(" ".join(argv))
    ctx.mark()
    return ctx.done(Result(float(run(argv)), 10000))


def versions():
    return {"beanstalkd": run(["beanstalkd", "-v"]).split()[-1]}


ROWS = [
    Row("native", "beanstalkd put, 100 in flight", work("put", 200000)),
    Row("drain", "beanstalkd, reserve and delete", work("drain", 200000)),
    Row("idle", "beanstalkd", idle),
    Row("due", "beanstalkd", due),
]
