"""TaskMQ's worker side: a loaded queue, emptied by each kind of handler."""

import json
import os
import re
import subprocess
import time

from rig.ctx import Result
from rig.proc import run
from rig.row import Row

from .taskmq_http import BUILD, HERE, PREFIX

PYTHON = "/usr/bin/python3"
HANDLER = os.path.join(HERE, "..", "peers", "python", "handler.py")
LIBRARY = os.path.join(BUILD, "bench", "noop.so")
PAYLOAD = ('{"to":"someone@example.org","subject":"hello",'
           '"order":1234567,"text":"%s"}' % ("x" * 28))


def fill(ctx, n, handler="dummy", sock=None):
    """By the command line tool, from a file of jobs."""
    line = '{"handler":"%s","priority":10,"payload":%s}\n' % (handler, PAYLOAD)
    jobs = ctx.path("jobs.jsonl", line * n)
    subprocess.run([BUILD + "/taskmq", "--redis-url",
                    "unix:" + (sock or ctx.sock), "add-job", "--from", jobs],
                   check=True, stdout=subprocess.DEVNULL)


def worker(ctx, toml, concurrency, *args, **kw):
    conf = ctx.path("handlers.toml", toml)
    return ctx.start("worker", "taskmq-worker", [
        BUILD + "/taskmq-worker", "--config", conf, "--redis-url",
        "unix:" + ctx.sock, "--concurrency", str(concurrency), *args], **kw)


def success(ctx):
    flat = ctx.redis("HGETALL", PREFIX + "stats")
    return sum(int(n) for name, n in zip(flat[::2], flat[1::2])
               if re.match(rb"d\d", name))


def drain(toml, jobs, concurrency, **kw):
    def measure(ctx):
        ctx.redis_server()
        n = int(jobs * ctx.opt.scale)
        fill(ctx, n)
        return ctx.drained(lambda: n - success(ctx), n,
                           lambda: worker(ctx, toml, concurrency, **kw))
    return measure


NOOP = '[handlers.dummy]\nbuiltin = "noop"\n'


def handler(work_us):
    return ["taskset", "-c", "0", PYTHON, os.path.abspath(HANDLER),
            str(work_us)]


def some_jobs(work_us):
    """So many that starting up does not count."""
    return min(60000, 6000000 // work_us) if work_us else 60000


def python(instances, work_us=0):
    """The handlers on one CPU, worker and Redis on the other."""
    toml = "[handlers.dummy]\ncommand = %s\ninstances = %d\n" % (
        json.dumps(handler(work_us)), instances)
    return drain(toml, some_jobs(work_us), instances, cpus=1)


def library(instances):
    """The same with a shared object, in processes of the worker's own."""
    return drain('[handlers.dummy]\nlibrary = "%s"\ninstances = %d\n'
                 % (LIBRARY, instances), 60000, instances)


def file_loop(work_us=0):
    """The same loop, reading from a file: what Python itself allows."""
    return lambda ctx: read_file(ctx, work_us)


def read_file(ctx, work_us):
    n = int((some_jobs(work_us) if work_us else 300000) * ctx.opt.scale)
    line = ('{"task_id":"6d0f6c1e-9b5e-8d3a-a1c4-2f9e8b7a6c5d","task_type":'
            '"dummy","task_data":%s,"attempt":1}\n' % PAYLOAD)
    with open(ctx.path("tasks", line * n)) as f, \
            open(ctx.path("answers"), "w") as out:
        argv = handler(work_us)
        used = os.times()
        start = time.perf_counter()
        subprocess.run(argv, stdin=f, stdout=out, check=True)
        took = time.perf_counter() - start
        used = [b - a for a, b in zip(used, os.times())]
    ctx.commands.append(" ".join(argv) + " < tasks > answers")
    result = ctx.done(Result(n / took, n))
    result.cpu["worker"] = used[2] + used[3]
    return result


def versions():
    return {"Python": run([PYTHON, "--version"]).split()[-1]}


ROWS = [
    Row("drain", "TaskMQ for nginx, builtin", drain(NOOP, 300000, 1000)),
    Row("drain-python", "limit: the same loop fed from a file", file_loop(),
        aof=False, limit=True),
    Row("drain-python", "TaskMQ for nginx, 1 process", python(1)),
    Row("drain-python", "TaskMQ for nginx, 8 processes", python(8)),
    Row("drain-library", "TaskMQ for nginx, 1 process", library(1)),
    Row("drain-library", "TaskMQ for nginx, 8 processes", library(8)),
]

for us, ms in ((100, "0.1 ms"), (1000, "1 ms")):
    ROWS += [
        Row("real", "limit: the same loop fed from a file, " + ms,
            file_loop(us), aof=False, limit=True),
        Row("real", "TaskMQ for nginx, 1 process, " + ms, python(1, us)),
        Row("real", "TaskMQ for nginx, 8 processes, " + ms, python(8, us)),
    ]
