"""A Stack with both APIs."""

import json

from harness import Stack


class Both(Stack):
    """TaskDaemon's API at /, TaskMQ's below /taskmq/."""

    def __init__(self, **kw):
        super().__init__(
            api="taskdaemon", location="taskmq_auth off;",
            server="location /taskmq/ { taskmq_api taskmq; }", **kw)

    def queue(self, kind, data, **more):
        r = self.post("/queue", '{"type":%s,"data":%s%s}' % (
            json.dumps(kind), data if isinstance(data, str)
            else json.dumps(data), "".join(
                ',"%s":%d' % x for x in more.items())), token=None)
        if r.status != 200:
            raise AssertionError(r)
        return r.json()["task_id"]

    def run(self, *args):
        out = self.cli(*args)
        if out.returncode != 0:
            raise AssertionError(out)
        return out.stdout.decode()
