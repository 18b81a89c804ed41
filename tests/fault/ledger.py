"""The ledger: what was asked for, what was promised, what Redis has and what
ran. Every job has a serial number of the test's own, which is its payload and
which its handler notes when it runs.

    ledger = Ledger(10000)
    clients = Clients(stack, ledger); clients.start(); …; clients.join()
    ledger.drain(stack)
    sums = ledger.check(stack)

A request with an Idempotency-Key is repeated until its outcome is known; one
without a key that ends with 504 or a lost connection stays unknown, and may
have been stored once or not at all. A 503 promises that nothing was stored: it
is repeated, with or without a key, and a lie would show as a job too many.
"""

import array
import os
import random
import re
import socket
import struct
import threading
import time

from harness import Redis, Stack, wait_for
from layout import field
from redis_state import counter

HANDLER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "mark_handler.py")
PAGE = 5000
NONE, UNKNOWN = 0, -1
RUN = re.compile(rb"\$(?:-1\r\n|\d+\r\n1(.)\d{13} [0-9a-f]{28} \d{13} (\d{3})"
                 rb" (\d) )", re.S)
SLOW_MS = 200
SERIAL = re.compile(rb'\n\{"n":(\d+)')


def handlers(stack_dir, instances=8):
    return {"mark": {"command": ["python3", HANDLER,
                                 os.path.join(stack_dir, "marks")],
                     "instances": instances}}


class Ledger:

    def __init__(self, total):
        self.total = total
        self.ids = array.array("q", [NONE]) * total    # of each serial
        self.next = 0
        self.open = total           # serials below it may be taken now
        self.lock = threading.Lock()
        self.counts = {"requests": 0, "repeated": 0, "refused": 0, "reset": 0}
        self.wrong = []             # answers that must not be
        self.in_flight = set()      # job ids leased when their worker died
        self.finished = 0           # jobs that are over, seen lately
        self.sure = 0               # jobs accepted
        self.when = array.array("d", [0.0]) * total     # … at this time
        self.lost = []              # serials, after check()

    def take(self, n):
        """A range of new serials; empty at the end."""
        with self.lock:
            first = self.next
            self.next = min(self.next + n, self.total)
            return range(first, self.next)

    def settled(self):
        """What became of every serial that was taken is known, or unknown for
        good."""
        return NONE not in self.ids[:self.next]

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    def accept(self, serials, first):
        """A 200: the ids follow each other."""
        now = time.monotonic()
        for n in serials:
            self.ids[n] = first + n - serials[0]
            self.when[n] = now
        with self.lock:
            self.sure += len(serials)

    def accepted(self):
        return self.total - self.ids.count(NONE) - self.ids.count(UNKNOWN)

    def drain(self, s, bound=120):
        """Until Redis has no job that is not over. The bound is for a time
        without any progress."""
        last, since = None, time.monotonic()
        while True:
            left = s.line_keys("mark", "scheduled", "leased")
            self.finished = s.stat("success")
            if left == 0:
                return
            now = (left, self.finished)
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > bound:
                raise AssertionError("no progress: %r\n%s" % (now, "\n".join(
                    p.tail(1500) for p in s.processes
                    if p.name == "worker" and p.alive())))
            time.sleep(0.02)

    # ---- the account ----

    def read(self, s, seq):
        """Yields (id, serial, state, attempts, crashes) for all ids."""
        conn = s.redis
        for first in range(1, seq + 1, PAGE):
            ids = range(first, min(first + PAGE, seq + 1))
            jobs = [s.key("j:%d" % i) for i in ids]
            runs = [s.key("r:%d" % i) for i in ids]
            # raw replies: a million of them are read
            payloads = SERIAL.findall(raw(conn, "MGET", *jobs))
            states = RUN.findall(raw(conn, "MGET", *runs))
            if len(payloads) != len(ids) or len(states) != len(ids):
                raise AssertionError("ids %d…: %d jobs, %d runs" % (
                    first, len(payloads), len(states)))
            for i, n, (state, attempts, crashes) in zip(ids, payloads,
                                                        states):
                yield (i, int(n), state.decode(), int(attempts or 0),
                       int(crashes or 0))

    def marks(self, s):
        runs = array.array("i", [0]) * self.total
        with open(s.path("marks"), "rb") as f:
            for line in f:
                runs[int(line)] += 1
        return runs

    def check(self, s):
        """The sums, after drain(). Nothing here trusts the product's own
        counters but to compare them."""
        runs = self.marks(s)
        seq = int(s.redis("GET", s.key("seq")) or 0)
        stored = array.array("i", [0]) * self.total
        sums = dict.fromkeys(("stored", "lost", "stored twice", "not run",
                              "ended wrong", "run twice",
                              "run twice, not in flight", "unknown",
                              "unknown, stored"), 0)
        sums["accepted"] = self.accepted()
        for i, n, state, attempts, crashes in self.read(s, seq):
            stored[n] += 1
            sums["stored"] += 1
            if self.ids[n] == UNKNOWN:
                sums["unknown, stored"] += 1
            elif self.ids[n] != i:
                sums["stored twice"] += 1
            if state != "S":
                sums["ended wrong"] += 1
            if runs[n] == 0:
                sums["not run"] += 1
            elif runs[n] > 1:
                sums["run twice"] += 1
                if i not in self.in_flight:
                    sums["run twice, not in flight"] += 1
        for n in range(self.total):
            if self.ids[n] == UNKNOWN:
                sums["unknown"] += 1
            elif stored[n] == 0:
                self.lost.append(n)
        sums["lost"] = len(self.lost)
        sums["success counter"] = s.stat("success")
        sums["crashes"] = s.stat("crashes")
        sums.update(self.counts)
        return sums

    def verify(self, s):
        """check(), and everything that must be so."""
        sums = self.check(s)
        bad = {k: sums[k] for k in ("lost", "stored twice", "not run",
                                    "ended wrong",
                                    "run twice, not in flight") if sums[k]}
        if self.wrong or bad or sums["success counter"] != sums["stored"] \
                or sums["accepted"] + sums["unknown"] != self.total:
            raise AssertionError("%r\n%r\n%r" % (bad, sums, self.wrong[:5]))
        return sums


def raw(conn_of, *args):
    """The bytes of the reply to MGET."""
    conn_of("PING")             # opens it
    conn = conn_of.__self__._redis
    out = [b"*%d\r\n" % len(args)]
    out += [b"$%d\r\n%s\r\n" % (len(a), a.encode()) for a in args]
    conn.sock.sendall(b"".join(out))
    lines = [conn.file.readline()]
    for _ in range(int(lines[0][1:])):
        head = conn.file.readline()
        n = int(head[1:])
        lines.append(head if n < 0 else head + conn.file.read(n + 2))
    return b"".join(lines)


class Gone(Exception):
    """The connection ended before the answer."""


class Http:
    """One keep-alive connection; sends whole requests, reads JSON answers."""

    def __init__(self, port, token, timeout=30):
        self.port, self.timeout = port, timeout
        self.auth = "Authorization: Bearer %s\r\n" % token
        self.sock = None

    def request(self, path, body, key=None, give_up=False):
        """(status, body); Gone when it is not known what became of it.
        Refused connections are tried again: they asked for nothing."""
        head = "POST %s HTTP/1.1\r\nHost: t\r\n%s%sContent-Length: %d\r\n" \
            "\r\n" % (path, self.auth, "Idempotency-Key: %s\r\n" % key
                      if key else "", len(body))
        self.open()
        try:
            self.sock.sendall(head.encode() + body)
            if give_up:
                raise ConnectionError
            return self.answer()
        except (OSError, ValueError) as e:
            self.close(reset=give_up)
            raise Gone(repr(e)) from None

    def open(self):
        end = time.monotonic() + self.timeout
        while self.sock is None:
            try:
                self.sock = socket.create_connection(
                    ("127.0.0.1", self.port), self.timeout)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY,
                                     1)
                self.buffer = b""
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, rest = self.buffer.split(b"\r\n\r\n", 1)
        n = int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1))
        self.buffer = rest
        while len(self.buffer) < n:
            self.more()
        body, self.buffer = self.buffer[:n], self.buffer[n:]
        if b"\r\nConnection: close" in head:
            self.close()
        return int(head[9:12]), body

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def close(self, reset=False):
        if self.sock is not None:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
            self.sock.close()
            self.sock = None


class Client(threading.Thread):
    """Adds jobs until the ledger has no more; `size` per request. Each takes
    `ms`; each `slow`-th SLOW_MS, so that some are always under way."""

    def __init__(self, s, ledger, size, keyed=True, resets=0.0, ms=0,
                 ahead=None, strict=False, slow=0):
        super().__init__(daemon=True)
        self.http = Http(s.port, s.token(exp=86400))
        self.ledger, self.size, self.keyed = ledger, size, keyed
        self.resets, self.ms, self.ahead = resets, ms, ahead
        self.slow = slow
        self.strict = strict        # a connection per request; only 200
        self.random = random.Random(size * 2 + keyed)
        self.stop = False
        self.abandon = False        # the test has failed: leave at once

    def run(self):
        ledger = self.ledger
        while not self.stop:
            if ledger.next < ledger.total and (
                    ledger.next >= ledger.open or self.ahead
                    and ledger.next - ledger.finished > self.ahead):
                time.sleep(0.005)       # the workers are behind, or the faults
                continue
            serials = ledger.take(self.size)
            if not serials:
                break
            self.add(serials)
        self.http.close()

    def add(self, serials):
        """Until it is known what became of them, or never will be."""
        jobs = []
        for n in serials:
            ms = SLOW_MS if self.slow and n % self.slow == 0 else self.ms
            jobs.append('{"handler":"mark","payload":{"n":%d%s}}' % (
                n, ',"ms":%d' % ms if ms else ""))
        path = "/add-job" if self.size == 1 else "/add-jobs"
        body = (jobs[0] if self.size == 1 else "[%s]" % ",".join(jobs)
                ).encode()
        key = "s%d" % serials[0] if self.keyed else None
        ledger = self.ledger
        while not self.abandon:
            ledger.count("requests")
            give_up = self.resets and self.random.random() < self.resets
            if give_up:
                ledger.count("reset")
            try:
                status, text = self.http.request(path, body, key, give_up)
            except Gone as e:
                status, text = None, repr(e).encode()
            if self.strict:
                self.http.close()
            if status == 200:
                first = int(re.search(rb"(\d+)", text).group(1))
                ledger.accept(serials, first)
                return
            if self.strict or status not in (429, 503, 504, None):
                ledger.wrong.append((status, text[:200], serials))
                for n in serials:
                    ledger.ids[n] = UNKNOWN
                return
            if status in (429, 503):
                ledger.count("refused")
                time.sleep(0.02)
            elif key is None:
                for n in serials:
                    ledger.ids[n] = UNKNOWN
                return
            ledger.count("repeated")


class Clients:
    """A mix of them: bulk and single, with and without keys."""

    def __init__(self, s, ledger, bulk=2, single=4, size=100,
                 ms=(0, 5, 10, 40), **kw):
        self.all = [Client(s, ledger, size, **kw) for _ in range(bulk)]
        self.all += [Client(s, ledger, 1, keyed=i % 2 == 0,
                            ms=ms[i % len(ms)], **kw)
                     for i in range(single)]

    def start(self):
        for c in self.all:
            c.start()
        return self

    def alive(self):
        return any(c.is_alive() for c in self.all)

    def join(self):
        for c in self.all:
            c.join()

    def end(self):
        """No new requests; the ledger's total becomes what was begun."""
        for c in self.all:
            c.stop = True
        self.join()
        ledger = self.all[0].ledger
        ledger.total = ledger.next
        del ledger.ids[ledger.total:]


def leased_by(s, worker_id):
    """Ids that this worker holds now."""
    return {i for i in s.leased()
            if field(s.redis("GET", s.key("r:%d" % i)), "RUN_WORKER")
            == worker_id}


def worker_id(s, worker):
    """The id under which a worker process is known in Redis, or None."""
    all_ = s.redis("HGETALL", s.key("workers"))
    for wid, text in zip(all_[::2], all_[1::2]):
        if text.split()[1].endswith(b":%d" % worker.pid):
            return wid
    return None


def start_worker(s, *args, concurrency=16, bound=60, **env):
    """A worker that is known in Redis. (Counting them is not enough: dead
    ones are forgotten after a minute.)"""
    w = s.worker("--concurrency", concurrency, *args, wait=False, env=env)

    def known():
        if not w.alive():
            raise AssertionError("the worker ended: " + w.tail())
        return worker_id(s, w)

    wait_for(known, bound, "the worker is seen in Redis")
    return w


def kill_worker(s, ledger, worker):
    """kill -9; what it held then may run again, and nothing else may."""
    wid = worker_id(s, worker)
    worker.signal(19)               # SIGSTOP: the account does not change
    ledger.in_flight |= leased_by(s, wid)
    worker.kill()


def bed(**kw):
    """A Stack whose workers keep the ledger's record."""
    kw.setdefault("nginx_workers", 2)
    kw.setdefault("lease", 5)
    s = Stack(**kw)
    s.write_handlers(handlers(s.dir))
    s.path("marks", b"")
    return s


class Load:
    """Clients that add jobs as long as the block lasts, then the account:

        with Load(stack) as load:
            load.progress()
            ... a fault ...
            load.progress()
        load.sums
    """

    CAPACITY = 1000000

    def __init__(self, s, ahead=2000, verify=True, **kw):
        self.s, self.check = s, verify
        self.ledger = Ledger(self.CAPACITY)
        self.clients = Clients(s, self.ledger, size=10, ahead=ahead, **kw)
        self.over = threading.Event()

    def watch(self):
        """Tells the clients how far the workers are."""
        redis = None
        while not self.over.is_set():
            try:
                if redis is None:
                    redis = Redis(self.s.sock)
                self.ledger.finished = counter(
                    redis, self.s.key("stats"), "success")
            except (OSError, RuntimeError, ValueError):
                redis = None
            self.over.wait(0.02)

    def progress(self, accepted=200, done=200, bound=60):
        """So many more jobs were accepted, and so many finished."""
        a, d = self.ledger.sure, self.ledger.finished
        wait_for(lambda: self.ledger.sure >= a + accepted
                 and self.ledger.finished >= d + done, bound,
                 "jobs go on: %r, %d of %d done\n%s" % (
                     self.ledger.counts, self.ledger.finished,
                     self.ledger.sure, self.s.error_log()[-1000:]))

    def hold(self):
        """No new requests; until all jobs that were asked for are over."""
        self.ledger.open = 0
        wait_for(lambda: self.ledger.settled(), 60, "no request is open")
        self.ledger.drain(self.s)

    def go_on(self):
        self.ledger.open = self.ledger.total

    def __enter__(self):
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        self.clients.start()
        return self

    def __exit__(self, kind, value, tb):
        try:
            for c in self.clients.all:
                c.abandon = kind is not None
            self.clients.end()
            if kind is None:
                self.ledger.drain(self.s)
                self.sums = self.ledger.verify(self.s) if self.check \
                    else self.ledger.check(self.s)
        finally:
            self.over.set()
            self.watcher.join()
