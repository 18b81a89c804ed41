"""A Stack without nginx: jobs are added and read with the `taskmq` command.
For tests of the worker, which need no HTTP side."""

import json

from harness import Stack

FLAGS = {"retry_policy": "--retry-policy", "max_retries": "--max-retries",
         "priority": "--priority", "scheduled_for": "--at",
         "timeout": "--timeout", "interval_seconds": "--interval"}


def gone(pid):
    """The process has ended; nobody may have waited for it yet."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:                 # also one that ends while it is read
        return True


class CliStack(Stack):

    def __init__(self, **kw):
        kw["nginx"] = False
        super().__init__(**kw)

    def run(self, *args, stdin=None):
        out = self.cli(*args, stdin=stdin)
        if out.returncode != 0:
            raise AssertionError(out)
        return out.stdout

    def add(self, handler, payload=None, **fields):
        """A job; payload may be JSON text. Returns its id."""
        text = payload if isinstance(payload, str) \
            else json.dumps(payload or {})
        flags = []
        for name, value in fields.items():
            flags += [FLAGS[name], str(value)]
        return int(self.run("add-job", *flags, handler, "-",
                            stdin=text.encode()))

    def add_many(self, handler, payloads):
        """One job per payload; the ids are those that follow each other."""
        text = "".join(json.dumps(p) + "\n" for p in payloads)
        before = int(self.redis("GET", self.key("seq")) or 0)
        self.run("add-job", handler, "--from", "-", stdin=text.encode())
        return list(range(before + 1, before + 1 + len(payloads)))

    def job(self, job_id):
        return json.loads(self.run("--json", "get-job", str(job_id)))

    def log(self, job_id):
        return self.run("logs", str(job_id)).decode()
