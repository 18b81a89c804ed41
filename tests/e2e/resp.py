"""Redis, read by code of the tests' own."""

import os
import socket

# Limits of time are so many times as long under valgrind.
SLOW = 5 if os.environ.get("WRAP_NGINX") or os.environ.get("WRAP_WORKER") \
    else 1


class Redis:
    """Just enough of RESP2 to look into the queue."""

    def __init__(self, path, timeout=5):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout * SLOW)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")

    @staticmethod
    def encode(args):
        out = [b"*%d\r\n" % len(args)]
        for a in args:
            a = a if isinstance(a, bytes) else str(a).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        return b"".join(out)

    def __call__(self, *args):
        self.sock.sendall(self.encode(args))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        n = int(rest)
        if kind == b"$":
            return None if n < 0 else self.file.read(n + 2)[:-2]
        return None if n < 0 else [self.read() for _ in range(n)]

    def close(self):
        self.file.close()
        self.sock.close()
