"""redis-server: fixed script calls."""

import os
import sys

import cg

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scripts"))
import tmq                                                   # noqa: E402

PAYLOAD = b'{"to":"someone@example.org","n":' + b"1" * 67 + b"}"
WORKER = "0123456789abcdef"


class Address:
    def __init__(self, sock):
        self.sock = sock


def enqueue(s, groups, jobs):
    """One call: groups of so many jobs each."""
    one = [tmq.job("email", PAYLOAD, priority=50)] * jobs
    s.enqueue(groups, *(tmq.group(one) * groups))


def drain(s, batch, calls):
    """Claims a batch and completes it, calls times."""
    for _ in range(calls):
        got = s.claim(WORKER, "host:1", 30000, batch, "email", batch)
        token = got[2].decode() + WORKER
        ids = got[3::3]
        if len(ids) != batch:
            raise cg.Broken("claimed %d of %d" % (len(ids), batch))
        if any(s.complete(*tmq.completed([(i, token, "1", "")
                                          for i in ids]))):
            raise cg.Broken("a verdict is not ok")


def measure():
    """{name: instructions per job}"""
    out = {}
    with cg.Folder() as folder:
        sock = folder.path("redis.sock")
        redis = cg.Counted(folder, "redis", [
            "redis-server", "--port", "0", "--unixsocket", sock, "--save", "",
            "--dir", folder.dir, "--hz", "1", "--dynamic-hz", "no"])
        cg.wait_for(lambda: tmq.Client(Address(sock))("PING") == b"PONG", 60,
                    "redis-server answers: " + folder.log("redis"))
        s = tmq.Scripts(tmq.Client(Address(sock)))

        def part(name, jobs, f, *args):
            redis.mark()
            f(*args)
            out[name] = redis.count() / jobs

        enqueue(s, 32, 1)       # scripts are compiled, sets are there
        drain(s, 32, 1)
        part("redis: enqueue, 1 job per call", 100,
             lambda: [enqueue(s, 1, 1) for _ in range(100)])
        part("redis: enqueue, 16 requests per call", 320,
             lambda: [enqueue(s, 16, 1) for _ in range(20)])
        part("redis: enqueue, 1000 jobs per call", 2000,
             lambda: [enqueue(s, 1, 1000) for _ in range(2)])
        part("redis: claim and complete, 1 job per call", 50,
             drain, s, 1, 50)
        part("redis: claim and complete, 100 jobs per call", 2000,
             drain, s, 100, 20)
        redis.proc.kill()
    return out
