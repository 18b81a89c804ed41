"""gearmand, in memory: its own C library on both sides."""

import os

from rig.ctx import free_port
from rig.nginx import listens
from rig.proc import run, wait_for
from rig.row import Row

from .limit import timed
from .taskmq_http import BUILD

TOOL = os.path.join(BUILD, "bench", "gear")


def server(ctx):
    port = free_port()
    argv = ["gearmand", "--listen=127.0.0.1", "--port=%d" % port,
            "--threads=1", "--log-file=stderr"]
    if os.getuid() == 0:
        argv.append("--user=root")
    p = ctx.start("store", "gearmand", argv)
    wait_for(lambda: listens(port), 10, "gearmand listens", p)
    return str(port)


def work(what, jobs):
    def measure(ctx):
        port = server(ctx)
        n = int(jobs * ctx.opt.scale)
        if what == "drain":
            run([TOOL, port, "put", str(n)])
        return timed(ctx, [TOOL, port, what, str(n)], n)
    return measure


def versions():
    return {"gearmand": run(["gearmand", "--version"]).split()[1]}


ROWS = [
    Row("native", "gearmand, background jobs", work("put", 30000), aof=False),
    Row("drain", "gearmand, one C worker", work("drain", 30000), aof=False),
]
