"""Runs registered handlers as a child of taskmq-worker.

    python3 -m taskmq.worker MODULE [MODULE…]

with `protocol = "taskmq"` in handlers.toml. One job line in, one answer line
out, until end of input or SIGTERM; both exit 0. While a handler runs, file
descriptor 1 is the job's log, so that neither print() nor a program that the
handler starts can disturb the protocol; descriptor 0 is empty.
"""

import argparse
import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import signal
import sys
import traceback

from taskmq.jobs.handlers import HANDLERS, get_handler
from taskmq.storage.base import Job, JobStatus

# The worker's own limits (docs/limits.md): an answer beyond them would not be
# taken, so it is refused here, where the reason can still be said.
RESULT_MAX_BYTES = 1024 * 1024
ERROR_MAX_BYTES = 16 * 1024
DEPTH_MAX = 120


class Runner:
    """The protocol's two ends, taken from descriptors 0 and 1."""

    def __init__(self):
        sys.stdout.flush()
        self.requests = os.fdopen(os.dup(0), "rb")
        self.answers = os.fdopen(os.dup(1), "wb")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True,
                                   errors="backslashreplace")
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, _signum, _frame):
        self.stopping = True
        raise SystemExit(0)

    def run(self):
        """Answers jobs until end of input."""
        for line in self.requests:
            answer = self._answer(line)
            for stream in (sys.stdout, sys.stderr):
                quietly(lambda: stream.flush())
            self.answers.write(answer + b"\n")
            self.answers.flush()

    def _answer(self, line):
        task_id = None
        try:
            task = json.loads(line)
            task_id = task.get("task_id")
            job = read_job(task)
            func = get_handler(job.handler)
            if func is None:
                raise LookupError("no handler %r is registered here, only: %s"
                                  % (job.handler, ", ".join(sorted(HANDLERS))))
            result = call(func, job)
        except BaseException as err:    # whatever it is: this job's alone
            if self.stopping:
                raise
            quietly(traceback.print_exc)
            return error_line(task_id, text_of(err), True)
        return result_line(task_id, result)


def quietly(write):
    """A handler may have closed or replaced the streams; its job's outcome
    is told all the same."""
    try:
        write()
    except (AttributeError, OSError, ValueError):
        pass


def text_of(err):
    """What an exception says, as a job's error."""
    if isinstance(err, SystemExit):
        return "the handler called sys.exit(%s)" % (
            "" if err.code is None else err.code)
    try:
        return str(err) or repr(err)
    except Exception:
        return "%s, whose text cannot be had" % type(err).__name__


def read_job(task):
    """The Job of one request; ValueError says what is wrong with it."""
    missing = [key for key in ("job_id", "handler", "priority", "retries")
               if key not in task]
    if missing:
        raise ValueError("the job line has no %s: handlers.toml must set"
                         " protocol = \"taskmq\" for this handler"
                         % ", ".join(missing))
    return Job(id=task["job_id"], status=JobStatus.RUNNING,
               payload=task["task_data"], handler=task["handler"],
               priority=task["priority"], retries=task["retries"])


def call(func, job):
    """Runs a handler, sync or async, to its end."""
    result = func(job)
    if not inspect.isawaitable(result):
        return result

    async def wait():
        return await result

    return asyncio.run(wait())


def result_line(task_id, result):
    """The answer for a result, or an error that says why it cannot be one."""
    try:
        why = not_json(result, 1)
        text = "" if why else json.dumps(result, ensure_ascii=False,
                                         allow_nan=False,
                                         separators=(",", ":"))
    except (TypeError, ValueError) as err:
        why = str(err)
    if not why:
        # a lone surrogate as its escape: inside strings that is JSON's own
        data = text.encode("utf-8", "backslashreplace")
        if len(data) <= RESULT_MAX_BYTES:
            return b'{"status":"success","task_id":%s,"result":%s}' % (
                json.dumps(task_id).encode(), data)
        why = "it has %d bytes, at most %d are kept" % (len(data),
                                                        RESULT_MAX_BYTES)
    why = "the handler's return value cannot be a result: " + why
    quietly(lambda: print(why, file=sys.stderr))
    return error_line(task_id, why, False)


def not_json(value, depth):
    """What strict JSON cannot carry though json.dumps() would write it."""
    if depth > DEPTH_MAX:
        return "it is nested deeper than %d levels" % DEPTH_MAX
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return "a key is not a string: %r" % (key,)
        parts = [*value, *value.values()]
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        return None
    for part in parts:
        why = not_json(part, depth + 1)
        if why:
            return why
    return None


def error_line(task_id, text, retryable):
    data = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace")
    text = data[:ERROR_MAX_BYTES].decode("utf-8", "ignore")
    return json.dumps({"status": "error", "task_id": task_id, "error": text,
                       "retryable": retryable}).encode()


def load(name):
    """Imports a module by dotted name, or a .py file by its path."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    module_name = os.path.basename(name)[:-3]
    spec = importlib.util.spec_from_file_location(module_name, name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


class Worker:
    """For scripts that import their handlers and end in Worker().start().
    How many run, and on which queue, is handlers.toml's and taskmq-worker's
    business here: those arguments are accepted and not used."""

    def __init__(self, *_args, **_settings):
        pass

    def start(self):
        if sys.stdin is None or sys.stdin.isatty():
            sys.exit("taskmq.worker: this is started by taskmq-worker; name"
                     " it as a command in handlers.toml")
        Runner().run()

    def stop(self):
        """Nothing to do: start() returns at end of input."""


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python3 -m taskmq.worker",
        description="Runs the handlers of Python modules for taskmq-worker"
        " (handlers.toml: protocol = \"taskmq\").")
    parser.add_argument("modules", nargs="+", metavar="MODULE",
                        help="dotted name, or path of a .py file")
    parser.add_argument("--list", action="store_true",
                        help="print the handlers' names and exit")
    args = parser.parse_args(argv)

    if args.list:
        for name in args.modules:
            load(name)
        print("\n".join(sorted(HANDLERS)))
        return 0

    if sys.stdin is None or sys.stdin.isatty():
        parser.error("this is started by taskmq-worker, which sends jobs to"
                     " its standard input; try --list")

    runner = Runner()
    for name in args.modules:
        load(name)
    runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
