"""redis-server: fixed script calls."""

import itertools
import os
import sys

import cg

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scripts"))
import tmq                                                   # noqa: E402

PAYLOAD = b'{"to":"someone@example.org","n":' + b"1" * 67 + b"}"
WORKER = "0123456789abcdef"
CLAIMS = itertools.count(1)


class Address:
    def __init__(self, sock):
        self.sock = sock


def enqueue(s, groups, jobs):
    """One call: groups of so many jobs each."""
    one = [tmq.job("email", PAYLOAD, priority=50)] * jobs
    s.enqueue(*(tmq.group(one) * groups))


def drain(s, batch, calls):
    """Claims a batch and completes it, calls times."""
    for _ in range(calls):
        token = "%012x" % next(CLAIMS) + WORKER
        got = s.claim(token, "host:1", 30000, batch, 0, "email", batch)
        ids = got[2::3]
        if len(ids) != batch:
            raise cg.Broken("claimed %d of %d" % (len(ids), batch))
        if any(s.complete(*tmq.completed([(i, token, "1", "")
                                          for i in ids]))):
            raise cg.Broken("a verdict is not ok")


def apart(size):
    """A job whose payload is stored apart: the call that stores it, and the
    job's two arguments; tq_enqueue_add() makes both."""
    payload = b'{"n":' + b"1" * (size - 6) + b"}"
    name = "%032x" % next(CLAIMS)
    head, tail = tmq.job("large", b"", priority=50, options=" b=%d" % size)
    return (("SET", tmq.PREFIX + b"b:" + name.encode(), payload, "EX", 60),
            (head.replace(" large", "@ large"), name.encode() + tail))


def store(s, size, calls):
    """As many jobs, each with its payload apart, in one write."""
    for _ in range(calls):
        put, job = apart(size)
        got = s.c.many([put, s.args("enqueue", *tmq.group([job]))])
        if got[1][0] < 1:
            raise cg.Broken("not stored: %r" % got)


def run_apart(s, size, calls):
    """Claims one, reads its payload, completes it, calls times."""
    for _ in range(calls):
        token = "%012x" % next(CLAIMS) + WORKER
        got = s.claim(token, "host:1", 30000, 1, 0, "large", 1)
        if len(s.c("GET", tmq.PREFIX + b"b:" + got[2])) != size:
            raise cg.Broken("the payload is not what was stored")
        if any(s.complete(*tmq.completed([(got[2], token, "1", "")]))):
            raise cg.Broken("a verdict is not ok")


def plain_set(s, size, calls):
    """What no queue can do without."""
    for _ in range(calls):
        s.c("SET", b"plain", b"1" * size)


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
        s.create()

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
        # so many that a round of the garbage collector does not count
        part("redis: claim and complete, 1 job per call", 600,
             drain, s, 1, 600)
        part("redis: claim and complete, 8 jobs per call", 160,
             drain, s, 8, 20)
        part("redis: claim and complete, 100 jobs per call", 1600,
             drain, s, 100, 16)
        for size, words, calls in ((10240, "10 KB", 100),
                                   (102400, "100 KB", 40)):
            plain_set(s, size, 1)
            store(s, size, 1)
            run_apart(s, size, 1)
            part("redis: SET of %s, for comparison" % words, 10 * calls,
                 plain_set, s, size, 10 * calls)
            part("redis: enqueue, %s payload" % words, calls,
                 store, s, size, calls)
            part("redis: claim, read and complete, %s payload" % words, calls,
                 run_apart, s, size, calls)
        redis.proc.kill()
    return out
