"""taskmq-worker: fixed jobs of a builtin handler, and of a process."""

import json
import os
import re
import subprocess

import cg
import guard_nginx
from guard_nginx import harness

# The handler costs the worker the same whatever it does: it is a shell.
ECHO = 'while read -r line; do echo \'{"status":"success"}\'; done'


def succeeded(redis):
    """Jobs that did: their counters are by the time they took."""
    stats = redis("HGETALL", "{taskmq}:stats")
    return sum(int(n) for name, n in zip(stats[::2], stats[1::2])
               if re.fullmatch(rb"d\d+", name))


def run(build, toml, jobs, *args):
    """All instructions of a worker that runs so many jobs and ends."""
    with cg.Folder() as folder:
        sock = folder.path("redis.sock")
        folder.start("redis", ["redis-server", "--port", "0", "--unixsocket",
                               sock, "--save", "", "--dir", folder.dir])
        cg.wait_for(lambda: harness.Redis(sock)("PING") == "PONG", 30,
                    "Redis answers")
        lines = folder.path("jobs", (
            guard_nginx.JOB.decode() + "\n") * jobs)
        url = "unix:" + sock
        subprocess.run([os.path.join(build, "taskmq"), "--redis-url", url,
                        "add-job", "--from", lines], check=True,
                       stdout=subprocess.DEVNULL)
        worker = cg.Counted(folder, "worker", [
            os.path.join(build, "taskmq-worker"), "--config",
            folder.path("handlers.toml", toml), "--redis-url", url, *args])
        redis = harness.Redis(sock)
        cg.wait_for(lambda: succeeded(redis) == jobs, 60,
                    "%d jobs are done: %s" % (jobs, folder.log("worker")))
        return worker.end()


def per_job(build, toml, few, many, *args):
    """What one more job costs: start and end cancel out."""
    return (run(build, toml, many, *args) - run(build, toml, few, *args)) \
        / (many - few)


def measure(build):
    command = '[handlers.dummy]\ninstances = 1\ncommand = %s\n' % json.dumps(
        ["sh", "-c", ECHO])
    return {
        "worker: builtin job": per_job(
            build, '[handlers.dummy]\nbuiltin = "noop"\n', 1000, 4000,
            "--concurrency", "1000"),
        "worker: job of a process": per_job(
            build, command, 50, 350, "--concurrency", "1"),
    }
