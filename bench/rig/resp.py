"""The tests' client of Redis, and what a bench wants more."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, os.pardir, "tests", "e2e"))
import resp  # noqa: E402
from ports import free_port  # noqa: E402,F401


class Redis(resp.Redis):
    def __init__(self, path, timeout=60):
        super().__init__(path, timeout)

    def many(self, calls, depth=500):
        """Pipelined; an error among the answers is an error."""
        calls = list(calls)
        for i in range(0, len(calls), depth):
            part = calls[i:i + depth]
            self.sock.sendall(b"".join(self.encode(c) for c in part))
            for _ in part:
                self.read()

    def info(self, field, section="everything"):
        for line in self("INFO", section).decode().splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1]
        raise KeyError(field)
