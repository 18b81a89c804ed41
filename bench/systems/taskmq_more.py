"""TaskMQ: latency on an idle system, schedules, depth, memory."""

import os
import re
import socket
import time

from rig import http
from rig.ctx import Result
from rig.proc import Failed, run, wait_for
from rig.row import Row
from rig.stats import percentiles

from .taskmq_drain import HANDLER, NOOP, PAYLOAD, PYTHON, fill, success, worker
from .taskmq_http import BUILD, PREFIX, front, headers, load

POLL_S = 0.0001


class Http:
    """One kept-alive connection, requests as bytes: a client that costs
    little."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.auth = headers()["Authorization"].encode()

    def __call__(self, method, path, body=b""):
        self.sock.sendall(
            b"%s %s HTTP/1.1\r\nHost: bench\r\nAuthorization: %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (method, path, self.auth,
                                               len(body), body))
        data = self.sock.recv(65536)
        while True:
            end = data.find(b"\r\n\r\n")
            if end > 0:
                m = re.search(rb"Content-Length: (\d+)", data[:end])
                if len(data) >= end + 4 + int(m.group(1)):
                    break
            data += self.sock.recv(65536)
        if not data.startswith(b"HTTP/1.1 200"):
            raise Failed(data[:300].decode())
        return data[end + 4:]


def idle(toml):
    """POST /add-job, then GET /job/{id} every 0.1 ms until it succeeded."""
    def measure(ctx):
        ctx.redis_server()
        call = Http(front(ctx))
        worker(ctx, toml, 4)
        wait_for(lambda: ctx.redis("HLEN", PREFIX + "workers"), 10,
                 "the worker is there")
        body, times = http.BODY.encode(), []
        n = int(1000 * ctx.opt.scale)
        for i in range(n + 20):
            time.sleep(0.005)
            start = time.perf_counter()
            job = re.search(rb'"job_id":(\d+)', call(b"POST", b"/add-job",
                                                     body)).group(1)
            while b'"status":"SUCCESS"' not in call(b"GET", b"/job/" + job):
                time.sleep(POLL_S)
                if time.perf_counter() - start > 10:
                    raise Failed("job %s is not done" % job.decode())
            times.append((time.perf_counter() - start) * 1000)
        return percentiles(ctx, times[20:])
    return measure


PROCESS = ('[handlers.dummy]\ncommand = ["%s", "%s"]\ninstances = 1\n'
           % (PYTHON, os.path.abspath(HANDLER)))


def due(ctx):
    ctx.redis_server()
    n, wait = 10000, 3
    at = time.time() + wait
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) \
        + ".%03dZ" % (at % 1 * 1000)
    line = '{"handler":"dummy","payload":%s,"scheduled_for":"%s"}\n' % (
        PAYLOAD, when)
    worker(ctx, NOOP, 1000)
    run([BUILD + "/taskmq", "--redis-url", "unix:" + ctx.sock, "add-job",
         "--from", ctx.path("jobs", line * n)])
    if time.time() > at or ctx.redis("ZCARD", PREFIX + "scheduled") != n:
        raise Failed("the jobs fell due before the last was added")
    ctx.mark()
    wait_for(lambda: success(ctx) == n, 60, "all scheduled jobs are done")
    return ctx.done(Result((time.time() - at) * 1000, n))


# ---- depth ----

def deep(ctx, depth):
    done = 0
    while done < depth:
        part = min(depth - done, 500000)
        fill(ctx, part)
        done += part


def depth_enqueue(depth):
    def measure(ctx):
        ctx.redis_server()
        deep(ctx, depth)
        port = front(ctx)
        return load(ctx, port, "/add-job", http.BODY)
    return measure


def depth_drain(depth):
    """The first jobs of a queue in which depth more wait."""
    def measure(ctx):
        ctx.redis_server()
        n = int(200000 * ctx.opt.scale)
        deep(ctx, depth + n)
        return ctx.drained(lambda: max(0, n - success(ctx)), n,
                           lambda: worker(ctx, NOOP, 1000))
    return measure


# ---- memory ----

def memory_of(ctx, n, then=None):
    fill(ctx, 1000)
    if then:
        then(1000)
    before = int(ctx.conn.info("used_memory"))
    fill(ctx, n)
    if then:
        then(1000 + n)
    # counted jobs also grow tables by leaps: what a job costs on average
    return (int(ctx.conn.info("used_memory")) - before) / n


def memory_waiting(ctx):
    ctx.redis_server()
    return ctx.done(Result(memory_of(ctx, 100000)))


def memory_finished(ctx):
    ctx.redis_server()
    worker(ctx, NOOP, 1000)

    def drained(n):
        wait_for(lambda: success(ctx) == n, 60, "%d jobs are done" % n)

    return ctx.done(Result(memory_of(ctx, 100000, drained)))


def memory_worker(ctx):
    ctx.redis_server()
    toml = "".join(PROCESS.replace("dummy", "h%d" % i) for i in range(8))
    p = worker(ctx, toml, 8)
    wait_for(lambda: ctx.redis("HLEN", PREFIX + "workers"), 10,
             "the worker is there")
    with open("/proc/%d/status" % p.pid) as f:
        kb = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    return ctx.done(Result(kb / 1024))


def versions():
    return {}


DEPTHS = ((0, "0"), (100000, "100,000"), (5000000, "5 million"))

ROWS = [
    Row("idle", "TaskMQ for nginx, builtin, over HTTP", idle(NOOP)),
    Row("idle", "TaskMQ for nginx, Python process, over HTTP", idle(PROCESS)),
    Row("due", "TaskMQ for nginx", due),
    Row("memory-waiting", "TaskMQ for nginx", memory_waiting, aof=False),
    Row("memory-finished", "TaskMQ for nginx", memory_finished, aof=False),
    Row("memory-worker", "taskmq-worker", memory_worker, aof=False),
]
for _n, _name in DEPTHS:
    ROWS += [
        Row("depth-enqueue", "TaskMQ for nginx, %s waiting" % _name,
            depth_enqueue(_n), aof=False, full=_n > 1000000),
        Row("depth-drain", "TaskMQ for nginx, %s more waiting" % _name,
            depth_drain(_n), aof=False, full=_n > 1000000),
    ]
