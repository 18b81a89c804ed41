"""HTTP load: wrk, one thread, 64 kept-alive connections, and the check that
what was answered is what was stored."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time

from .ctx import Result
from .proc import Failed, run

CONNECTIONS = 64
SECRET = "bench-secret-of-more-than-32-bytes-0123456789"

# About 120 bytes, of which 71 are the payload.
BODY = ('{"handler":"dummy","priority":10,"payload":{"to":"someone@example.org'
        '","subject":"hello","order":1234567}}')

LUA = """
wrk.method = "%(method)s"
wrk.body = %(body)s
wrk.headers["Content-Type"] = "application/json"
%(headers)s
function done(s, latency)
    io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d %%d\\n",
        s.requests, s.duration, s.errors.status, s.errors.connect,
        s.errors.read + s.errors.write, s.errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


def token():
    """HS256, about 200 bytes."""
    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = b64(b'{"alg":"HS256","typ":"JWT"}') + b"." + b64(json.dumps({
        "sub": "benchmark", "role": "admin", "exp": int(time.time()) + 86400,
        "iat": int(time.time()), "jti": "0123456789abcdef"}).encode())
    mac = hmac.new(SECRET.encode(), text, hashlib.sha256).digest()
    return (text + b"." + b64(mac)).decode()


def check_once(port, path, body, headers, want, method="POST"):
    """One request by hand: 2xx, and the answer as expected."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        c.request(method, path, body=body, headers=headers)
        r = c.getresponse()
        text = r.read()
    finally:
        c.close()
    if r.status // 100 != 2 or want not in text:
        raise Failed("%s %s answered %d %r" % (method, path, r.status,
                                               text[:300]))
    return text


def settled(stored):
    """The number of stored jobs when it changes no more."""
    n = -1
    while n != stored():
        n = stored()
        time.sleep(0.05)
    return n


def load(ctx, port, path, body, headers, seconds, stored=None, per_request=1,
         conns=CONNECTIONS, method="POST"):
    """wrk against a front end. stored(): jobs in the store; compared with
    what was answered. The value is jobs per second."""
    script = ctx.path("load.lua", LUA % {
        "method": method, "body": json.dumps(body) if body else "nil",
        "headers": "".join("wrk.headers[%s] = %s\n" % (
            json.dumps(k), json.dumps(v)) for k, v in headers.items())})
    url = "http://127.0.0.1:%d%s" % (port, path)

    def wrk(secs):
        argv = ["wrk", "-t1", "-c%d" % conns, "-d%ds" % secs, "-s", script,
                url]
        out = run(argv, cpus=ctx.place["load"])
        words = [line for line in out.splitlines()
                 if line.startswith("RESULT ")][0].split()[1:]
        return argv, [int(w) for w in words]

    wrk(1)
    before = settled(stored) if stored else 0
    ctx.mark()
    used = os.times()
    argv, (n, us, bad, refused, broken, late, p50, p99) = wrk(seconds)
    used = [b - a for a, b in zip(used, os.times())]
    if bad or refused or broken or late or n == 0:
        raise Failed("wrk: %d requests, %d not 2xx, %d connections refused, "
                     "%d broken, %d late" % (n, bad, refused, broken, late))
    jobs = n * per_request
    result = Result(jobs / (us / 1e6), jobs, p50_ms=p50 / 1e3,
                    p99_ms=p99 / 1e3)
    result.cpu["load"] = used[2] + used[3]
    ctx.commands.append(" ".join(argv))
    ctx.done(result)
    if stored:
        # what was under way when wrk left may have been stored, too
        got = settled(stored) - before
        if not jobs <= got <= jobs + conns * per_request:
            raise Failed("%d jobs were answered, %d are stored" % (jobs, got))
        result.more["stored"] = got
    return result
