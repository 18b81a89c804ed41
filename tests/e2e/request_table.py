"""A table of requests: what is expected beside what was answered.

A row sends one request on the table's one kept-alive connection and compares
status, headers and JSON body. Expected values are plain data, with matchers
where a value cannot be known before: ANY, INT, TIME, TEXT, Re(), Some(), Opt().
Every answer is kept in `replies`, so that openapi.json can be held against it.
"""

import http.client
import json
import re
import sys

from harness import SLOW, Reply

WIDTH = 58


class Match:
    """A named condition in place of a value."""

    def __init__(self, name, test):
        self.name, self.test = name, test

    def __repr__(self):
        return "<%s>" % self.name


def is_int(v):
    return isinstance(v, int) and not isinstance(v, bool)


ANY = Match("any", lambda v: True)
INT = Match("int", is_int)
ID = Match("id", lambda v: is_int(v) and v >= 1)
TEXT = Match("text", lambda v: isinstance(v, str) and v != "")
TIME = Match("time", lambda v: isinstance(v, str) and re.fullmatch(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", v) is not None)
UUID = Match("uuid", lambda v: isinstance(v, str) and re.fullmatch(
    r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", v)
    is not None)


RAW = Match("anything, not looked at", lambda v: True)


def allows(methods):
    """An Allow header with these methods; HEAD and OPTIONS may be there."""
    def names(value):
        return {m.strip() for m in (value or "").split(",")} \
            - {"HEAD", "OPTIONS"}

    return Match(" ".join(sorted(methods)),
                 lambda v: names(v) == methods - {"HEAD"})


def Re(pattern):
    return Match("/%s/" % pattern,
                 lambda v: isinstance(v, str) and re.search(pattern, v))


class Some(dict):
    """At least these members."""

    def __repr__(self):
        return dict.__repr__(self)[:-1] + ", …}"


class Has(list):
    """A list with at least these items, in any order."""

    def __repr__(self):
        return list.__repr__(self)[:-1] + ", …]"


def same(want, got):
    if isinstance(want, Match):
        return bool(want.test(got))
    if isinstance(want, Some):
        return isinstance(got, dict) and all(
            k in got and same(v, got[k]) for k, v in want.items())
    if isinstance(want, dict):
        return isinstance(got, dict) and want.keys() == got.keys() and all(
            same(v, got[k]) for k, v in want.items())
    if isinstance(want, Has):
        return isinstance(got, list) and all(
            any(same(w, g) for g in got) for w in want)
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(
            same(w, g) for w, g in zip(want, got))
    return type(want) is type(got) and want == got


def short(value, width=WIDTH):
    text = value if isinstance(value, str) else json.dumps(
        value, ensure_ascii=False, default=repr, separators=(",", ":"))
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else text[:width - 1] + "…"


class Table:
    default_token = "admin"

    def __init__(self, stack, title, error="detail", prefix="", out=None):
        self.stack, self.title, self.error = stack, title, error
        self.prefix = prefix
        self.out = out or sys.stdout
        self.rows = self.bad = 0
        self.replies = []       # (method, path, reply, request headers)
        self.conn = None
        self.out.write("\n%s\n" % title)

    def section(self, name):
        self.out.write("\n  -- %s\n" % name)

    def send(self, method, path, body, headers):
        """On the kept-alive connection; whether it was kept is part of the
        answer."""
        if self.conn is None or self.conn.sock is None:
            self.conn = http.client.HTTPConnection(
                "127.0.0.1", self.stack.port, timeout=15 * SLOW)
            self.conn.connect()
        try:
            self.conn.request(method, self.prefix + path, body=body,
                              headers=headers)
            r = self.conn.getresponse()
            reply = Reply(r.status, r.headers, r.read())
        except OSError as err:
            self.conn.close()
            return Reply(0, {}, str(err).encode()), False
        kept = self.conn.sock is not None
        return reply, kept

    def __call__(self, what, method, path, status, want=None, body=None,
                 token="", headers=None, head=None, kept=True):
        """One row. want: the JSON body; a string: the text of an error; None:
        an error in the API's shape (status >= 400), else not looked at. head:
        headers of the answer (None: must be absent). Returns the decoded
        body."""
        h = {}
        token = self.default_token if token == "" else token
        if token in ("admin", "worker"):
            h["Authorization"] = "Bearer " + self.stack.token(token)
        elif token is not None:
            h["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            h["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            h.pop(name, None)
            if value is not None:
                h[name] = value

        reply, still = self.send(method, path, body, h)
        self.replies.append((method, path, reply, h))

        if want is RAW:
            want = None
        elif isinstance(want, str) or (isinstance(want, Match)
                                     and status >= 400):
            want = {self.error: want}
        elif want is None and status >= 400:
            want = {self.error: ANY}

        return self.compare(what, method + " " + path, status, want, head,
                            kept, reply, still)

    def compare(self, what, request, status, want, head, kept, reply, still):
        diffs = []
        got = None
        if reply.status != status:
            diffs.append("status")
        if want is not None and request.split()[0] != "HEAD":
            try:
                got = json.loads(reply.body)
            except ValueError:
                got = reply.body.decode("utf-8", "replace")
            if not same(want, got):
                diffs.append("body")
            kind = reply.headers.get("Content-Type") or ""
            if kind.split(";")[0] != "application/json":
                diffs.append("Content-Type: %s" % kind)
        for name, value in (head or {}).items():
            if not same(value, reply.headers.get(name)):
                diffs.append("%s: %s, not %r" % (
                    name, reply.headers.get(name), value))
        if kept and not still:
            diffs.append("connection closed")

        self.rows += 1
        self.bad += bool(diffs)
        mark = "ok " if not diffs else "BAD"
        shown = reply.body.decode("utf-8", "replace")
        self.out.write("  %s %-34s %-28s %3d %-*s | %3d %s\n" % (
            mark, short(what, 34), short(request, 28), status, WIDTH,
            short("" if want is None else want), reply.status,
            short("" if request.startswith("HEAD") else shown)))
        if diffs:
            self.out.write("      differs: %s\n      expected %r\n"
                           "      answered %s\n" % (
                               ", ".join(diffs), want, shown[:2000]))
        self.out.flush()
        if got is None and reply.body:
            try:
                got = json.loads(reply.body)
            except ValueError:
                got = None
        return got

    def check(self, what, expected, answered):
        """A row that is no single request: a value that was worked out."""
        good = same(expected, answered)
        self.rows += 1
        self.bad += not good
        self.out.write("  %s %-63s     %-*s |     %s\n" % (
            "ok " if good else "BAD", short(what, 63), WIDTH,
            short(expected), short(answered)))
        return good

    def end(self):
        if self.conn is not None:
            self.conn.close()
        self.out.write("\n%s: %d rows, %d differ\n"
                       % (self.title, self.rows, self.bad))
        return self.bad
