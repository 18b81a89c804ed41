"""A scripted Redis: speaks RESP, and answers what a test tells it to.

    fake = FakeRedis(listen, backend)       # two unix sockets
    fake.say("enqueue", error("LOADING Redis is loading"), times=1)
    fake.say("SCRIPT LOAD", silence)
    fake.well()                             # everything as usual again

What the script of the test does not name is passed to the real Redis behind
it, byte for byte, so that handshakes are genuine and the test can look whether
something was stored. A rule's name is that of a queue script ("enqueue"), of
a command ("PING", "SCRIPT LOAD", "GET b" for a key {ns}:b:…) or "*". The rules
below are functions (conn, ask): ask() has the real Redis run the command and
returns the reply's bytes; a rule that does not call it leaves the real Redis
untouched.
"""

import collections
import fcntl
import os
import re
import socket
import struct
import termios
import threading
import time

from harness import BUILD

CHUNK = 1 << 16


class Closed(Exception):
    pass


# ---- rules ----

def reply(data):
    """These bytes; the real Redis is not asked."""
    return lambda conn, ask: conn.send(data)


def error(text):
    return reply(b"-" + text.encode() + b"\r\n")


def silence(conn, ask):
    """No reply, and nothing after it, until the other side gives up."""
    conn.wait_closed()


def done_then_silence(conn, ask):
    """The command is run, its reply is lost."""
    ask()
    conn.wait_closed()


def close(conn, ask):
    raise Closed


def bytewise(conn, ask):
    """The real reply, each byte by itself: the other side has read it before
    the next one is sent."""
    for b in ask():
        conn.send(bytes((b,)))
        conn.wait_read()


def dribble(conn, ask):
    """The real reply in writes of one byte."""
    for b in ask():
        conn.send(bytes((b,)))


def cut(n):
    """The first n bytes of the real reply; negative: all but the last -n."""
    def rule(conn, ask):
        conn.send(ask()[:n])
        raise Closed
    return rule


def extra(data):
    """The real reply and, in the same packet, one that nobody asked for."""
    return lambda conn, ask: conn.send(ask() + data)


def unsent(sock):
    """Bytes in a unix socket that the other side has not read."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[
        0]


class Conn:
    """One client, one thread, one connection of its own to the backend."""

    def __init__(self, fake, sock):
        self.fake, self.sock = fake, sock
        self.file = sock.makefile("rb", CHUNK)
        self.back = socket.socket(socket.AF_UNIX)
        self.back.connect(fake.backend)
        self.back_file = self.back.makefile("rb", CHUNK)
        self.greeting = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def send(self, data):
        self.sock.sendall(data)

    def wait_closed(self):
        """Takes what still comes, and waits for the end of it."""
        while self.file.read1(CHUNK):
            pass
        raise Closed

    def wait_read(self):
        """Until nothing that was sent is unread (a second at most)."""
        end = time.monotonic() + 1
        while unsent(self.sock) and time.monotonic() < end:
            time.sleep(0.0001)

    def read_command(self):
        """The words of one command, and its bytes."""
        head = self.file.readline()
        if head[:1] != b"*":
            raise Closed
        raw, words = [head], []
        for _ in range(int(head[1:])):
            line = self.file.readline()
            if line[:1] != b"$":
                raise Closed
            data = self.file.read(int(line[1:]) + 2)
            if not data.endswith(b"\r\n"):
                raise Closed
            raw += [line, data]
            words.append(data[:-2])
        return words, b"".join(raw)

    def read_reply(self):
        line = self.back_file.readline()
        if not line.endswith(b"\r\n"):
            raise Closed
        n = -1
        if line[:1] in b"$*":
            n = int(line[1:])
        if n < 0:
            return line
        if line[:1] == b"$":
            return line + self.back_file.read(n + 2)
        return line + b"".join(self.read_reply() for _ in range(n))

    def run(self):
        try:
            while True:
                words, raw = self.read_command()
                if words[0] == b"SCRIPT":
                    self.greeting = True
                elif words[0] == b"EVALSHA":
                    self.greeting = False
                names = self.fake.names(words, self.greeting)
                self.words = words

                def ask():
                    self.back.sendall(raw)
                    return self.read_reply()

                rule = self.fake.rule(names)
                if rule is None:
                    self.send(ask())
                else:
                    rule(self, ask)
        except (Closed, OSError, ValueError):
            pass
        finally:
            self.close()

    def close(self):
        for s in (self.sock, self.back):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        with self.fake.lock:
            self.fake.conns.discard(self)


class FakeRedis:

    def __init__(self, listen, backend):
        self.path, self.backend = listen, backend
        self.lock = threading.Lock()
        self.conns = set()
        self.rules = []                 # [name, rule, times left or None]
        self.counts = collections.Counter()
        self.connects = 0               # of clients, since the beginning
        self.scripts = script_names()
        self.fresh = 0.0                # when a client connected last
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(listen)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connects += 1
            try:
                conn = Conn(self, sock)
            except OSError:             # no backend: as if it was not there
                sock.close()
                continue
            with self.lock:
                self.conns.add(conn)
                self.fresh = time.monotonic()
            conn.thread.start()

    def names(self, words, greeting):
        """What a command is called, the exact name first. Between the scripts
        and open, a handshake asks for rights."""
        command = words[0].decode().upper()
        names = [command, "*"]
        if greeting and command != "SCRIPT":
            return ["question", "*"]
        if command in ("EVALSHA", "EVAL"):
            sha = words[1].decode() if command == "EVALSHA" \
                else self.scripts.get(words[1])
            script = self.scripts.get(sha, "unknown script")
            names[:0] = [script, script + " " + command]
        elif command in ("SCRIPT", "CLIENT"):
            names[:0] = [command + " " + words[1].decode().upper()]
        elif command in ("GET", "SET"):
            # "{ns}:<kind>:…"
            kind = words[1].rpartition(b"}:")[2].partition(b":")[0].decode()
            names[:0] = [command + " " + kind]
        with self.lock:
            self.counts.update(names)
        return names

    def rule(self, names):
        with self.lock:
            for r in self.rules:
                if r[0] in names and r[2] != 0:
                    if r[2] is not None:
                        r[2] -= 1
                    return r[1]
        return None

    # ---- for tests ----

    def say(self, name, rule, times=None):
        """From now on; the rule given first wins."""
        with self.lock:
            self.rules.append([name, rule, times])

    def used(self):
        """Every rule with a number of times has been used that often."""
        with self.lock:
            return all(r[2] in (None, 0) for r in self.rules)

    def well(self):
        with self.lock:
            self.rules = []

    def count(self, name):
        with self.lock:
            return self.counts[name]

    def stable(self):
        """There are connections, and none is younger than a little over
        TQ_STABLE_MS: the next outage begins with the shortest backoff."""
        with self.lock:
            return self.conns and time.monotonic() - self.fresh > 1.05

    def drop(self):
        """Closes all connections."""
        with self.lock:
            conns = list(self.conns)
        for c in conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.drop()
        if os.path.exists(self.path):
            os.unlink(self.path)


def script_names():
    """The scripts of this build: their hashes, and hashes by text."""
    with open(os.path.join(BUILD, "gen", "tq_scripts.c")) as f:
        source = f.read()
    names = {}
    for name, sha, text in re.findall(
            r'tq_script_t +tq_script_\w+ = \{\s*"(\w+)",\s*"([0-9a-f]{40})",'
            r'((?:\s*"(?:[^"\\]|\\.)*")+)', source):
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))
        names[sha] = name
        names[text.encode().decode("unicode_escape").encode("latin-1")] = sha
    assert "enqueue" in names.values(), "no scripts found in " + BUILD
    return names
