#!/usr/bin/env python3
"""TCP ports for tests and bench, none of which is given twice.

free_port() claims the port for as long as this process lives. The claim is a
unix socket of the abstract namespace, named by the port: whoever else asks,
here or in another process, is refused by the kernel, and nothing is left in a
folder. t/lib/TaskMQ/Port.pm claims by the same names.

    tests/e2e/ports.py NAME [NAME ...] -- COMMAND [WORD ...]

runs the command with a port of its own in each environment variable NAME. The
command inherits the claims.
"""

import os
import random
import socket
import sys

CLAIM = "\0taskmq-port-%d"
_claims = {}


def free_port():
    """A port that nobody has. Below those that the kernel gives to
    connections: one of these could be gone before it is listened on."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        end = max(int(f.read().split()[0]), 11000)
    while True:
        port = random.SystemRandom().randrange(10000, end)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(CLAIM % port)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims[port] = claim
        return port


def main(words):
    if "--" not in words[1:] or words[-1] == "--":
        sys.exit("usage: ports.py NAME [NAME ...] -- COMMAND [WORD ...]")
    names = words[:words.index("--")]
    command = words[len(names) + 1:]
    for name in names:
        os.environ[name] = str(free_port())
    for claim in _claims.values():
        claim.set_inheritable(True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
