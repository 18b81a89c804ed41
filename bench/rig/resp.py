"""Just enough of Redis' protocol to load and to look into a queue."""

import socket


class Redis:
    def __init__(self, path, timeout=60):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb", 1 << 18)

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

    def many(self, calls, depth=500):
        """Pipelined; an error among the answers is an error."""
        calls = list(calls)
        for i in range(0, len(calls), depth):
            part = calls[i:i + depth]
            self.sock.sendall(b"".join(self.encode(c) for c in part))
            for _ in part:
                self.read()

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

    def info(self, field, section="everything"):
        for line in self("INFO", section).decode().splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1]
        raise KeyError(field)

    def close(self):
        self.file.close()
        self.sock.close()
