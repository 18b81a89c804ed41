"""TaskMQ's worker side: a loaded queue, emptied by each kind of handler."""

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


def places(instances, prefetch):
    """The handler's keys, jobs so many that starting up does not count, and
    slots for all that its processes may hold."""
    return ("instances = %d\nprefetch = %d\n" % (instances, prefetch),
            300000 if prefetch else 60000, instances * (1 + prefetch))


def python(instances, prefetch=0):
    """The handlers on one CPU, worker and Redis on the other; with a prefetch
    Redis has that one to itself: it does most of the work then."""
    keys, jobs, slots = places(instances, prefetch)
    toml = ('[handlers.dummy]\ncommand = ["taskset", "-c", "0", "%s", "%s"]\n'
            % (PYTHON, os.path.abspath(HANDLER)))
    return drain(toml + keys, jobs, slots, cpus="role" if prefetch else 1)


def library(instances, prefetch=0):
    """The same with a shared object, in processes of the worker's own."""
    keys, jobs, slots = places(instances, prefetch)
    return drain('[handlers.dummy]\nlibrary = "%s"\n' % LIBRARY + keys, jobs,
                 slots)


def file_loop(ctx):
    """The same loop, reading from a file: what Python itself allows."""
    n = int(300000 * ctx.opt.scale)
    line = ('{"task_id":"6d0f6c1e-9b5e-8d3a-a1c4-2f9e8b7a6c5d","task_type":'
            '"dummy","task_data":%s,"attempt":1}\n' % PAYLOAD)
    with open(ctx.path("tasks", line * n)) as f, \
            open(ctx.path("answers"), "w") as out:
        argv = ["taskset", "-c", "0", PYTHON, os.path.abspath(HANDLER)]
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
    Row("drain-python", "limit: the same loop fed from a file", file_loop,
        aof=False, limit=True),
    Row("drain-python", "TaskMQ for nginx, 1 process", python(1)),
    Row("drain-python", "TaskMQ for nginx, 8 processes", python(8)),
    Row("drain-python", "TaskMQ for nginx, 1 process, prefetch 100",
        python(1, 100)),
    Row("drain-python", "TaskMQ for nginx, 1 process, prefetch 500",
        python(1, 500)),
    Row("drain-python", "TaskMQ for nginx, 8 processes, prefetch 124",
        python(8, 124)),
    Row("drain-library", "TaskMQ for nginx, 1 process", library(1)),
    Row("drain-library", "TaskMQ for nginx, 8 processes", library(8)),
    Row("drain-library", "TaskMQ for nginx, 8 processes, prefetch 124",
        library(8, 124)),
]
