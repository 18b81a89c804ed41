"""A proxy between a client and a real Redis that cuts the connection after an
exact number of bytes.

    proxy = CutProxy()
    line = proxy.line(listen, backend)      # unix sockets; as many as wanted
    line.arm("up", 17, b"EVALSHA")          # 17 bytes of that command arrive
    line.arm("down", 3, b"EVALSHA")         # 3 bytes of what is answered
    ... line.cuts grows when it has happened ...

Counting starts with the command (RESP, from its `*`) in which the marker is
seen first; what goes the other way meanwhile passes. A cut closes both sides
of that one connection, and what had passed has been handed to the kernel
before. One thread serves all lines.
"""

import os
import selectors
import socket
import threading
import time

CHUNK = 1 << 16


class Line:

    def __init__(self, proxy, listen, backend):
        self.proxy, self.path, self.backend = proxy, listen, backend
        self.listener = listener(listen)
        self.pairs = set()
        self.fresh = 0.0            # when a client connected last
        self.cuts = 0
        self.armed = None           # (direction, bytes, marker)
        self.seen = {}              # direction -> bytes since the marker
        self.down = False

    def arm(self, direction, n, marker):
        with self.proxy.lock:
            self.armed = (direction, n, marker)
            self.seen = {}
            for p in self.pairs:
                p.counting = False

    def measure(self, marker):
        """Counts into self.seen, and does not cut."""
        self.arm("never", 0, marker)

    def stable(self, pairs=1):
        """So many connections, none younger than a bit over TQ_STABLE_MS: the
        client's next backoff is the shortest."""
        with self.proxy.lock:
            return (len(self.pairs) >= pairs
                    and time.monotonic() - self.fresh > 1.05)

    def to(self, backend):
        """New connections go there."""
        self.backend = backend

    def refuse(self, down=True):
        """Closes what there is, and every new connection at once."""
        self.down = down
        if down:
            self.proxy.run(lambda: [p.close() for p in list(self.pairs)])


class Pair:
    """One client's connection and its own to the backend."""

    def __init__(self, line, client, back):
        self.line = line
        self.socks = {"up": client, "down": back}     # where bytes come from
        self.out = {"up": b"", "down": b""}           # not yet passed on
        self.counting = False
        self.left = None
        self.closed = False

    def other(self, direction):
        return self.socks["down" if direction == "up" else "up"]

    def take(self, direction, data):
        """How many of these bytes pass; the last of them may be the last."""
        line = self.line
        if not self.counting and line.armed and direction == "up":
            at = data.find(line.armed[2])
            if at >= 0:
                at = max(data.rfind(b"*", 0, at), 0)
                self.counting, self.kind = True, line.armed[0]
                self.left = line.armed[1]
                line.armed = None
                return at + self.count(direction, data[at:])
        return self.count(direction, data)

    def count(self, direction, data):
        if not self.counting:
            return len(data)
        seen = self.line.seen
        seen[direction] = seen.get(direction, 0) + len(data)
        if direction != self.kind:
            return len(data)
        n = min(self.left, len(data))
        self.left -= n
        return n

    def over(self):
        return self.counting and self.left == 0 and self.kind != "never"

    def close(self):
        if self.closed:
            return
        self.closed = True
        with self.line.proxy.lock:
            self.line.pairs.discard(self)
        for s in self.socks.values():
            self.line.proxy.selector.unregister(s)
            s.close()


def listener(path):
    family = socket.AF_UNIX if isinstance(path, str) else socket.AF_INET
    s = socket.socket(family)
    if family == socket.AF_INET:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(path)
    s.listen(64)
    s.setblocking(False)
    return s


class CutProxy:

    def __init__(self):
        self.lock = threading.RLock()
        self.selector = selectors.DefaultSelector()
        self.lines = []
        self.todo = []
        self.bell, ring = socket.socketpair()
        self.ring = ring
        self.selector.register(self.bell, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def run(self, f):
        """In the proxy's thread; waits until it is done."""
        done = threading.Event()
        with self.lock:
            self.todo.append((f, done))
        self.ring.send(b"x")
        done.wait()

    def line(self, listen, backend):
        line = Line(self, listen, backend)
        self.run(lambda: self.selector.register(
            line.listener, selectors.EVENT_READ, line))
        self.lines.append(line)
        return line

    def loop(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    if not self.bell.recv(4096):
                        return
                    with self.lock:
                        todo, self.todo = self.todo, []
                    for f, done in todo:
                        f()
                        done.set()
                elif isinstance(key.data, Line):
                    self.accept(key.data)
                else:
                    self.pump(*key.data)

    def accept(self, line):
        client, _ = line.listener.accept()
        family = socket.AF_UNIX if isinstance(line.backend, str) \
            else socket.AF_INET
        back = socket.socket(family)
        try:
            if line.down:
                raise OSError
            back.connect(line.backend)
        except OSError:
            client.close()
            back.close()
            return
        pair = Pair(line, client, back)
        with self.lock:
            line.pairs.add(pair)
            line.fresh = time.monotonic()
        if pair.left is None and line.armed and line.armed[2] == b"":
            # from the connection's first byte on
            pair.counting, (pair.kind, pair.left, _) = True, line.armed
            line.armed = None
        for direction, s in pair.socks.items():
            self.selector.register(s, selectors.EVENT_READ, (pair, direction))
        if pair.over():
            line.cuts += 1
            pair.close()

    def pump(self, pair, direction):
        """Passes on what has come. Sending blocks: both sides are readers that
        do not wait for us."""
        if pair.closed:
            return
        try:
            data = pair.socks[direction].recv(CHUNK)
            with self.lock:
                n = pair.take(direction, data)
            if n:
                pair.other(direction).sendall(data[:n])
        except OSError:
            data = b""
        if not data:
            pair.close()
        elif pair.over():
            # closed first, so that who sees the count sees no pair
            pair.close()
            pair.line.cuts += 1

    def close(self):
        self.ring.close()
        self.thread.join()
        for line in self.lines:
            for pair in list(line.pairs):
                pair.close()
            line.listener.close()
            if isinstance(line.path, str) and os.path.exists(line.path):
                os.unlink(line.path)
        self.selector.close()
        self.bell.close()
