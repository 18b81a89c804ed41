"""nginx answering every request at once: the limit of HTTP."""

from rig import http, nginx
from rig.row import Row

ANSWER = '{"status":"ok","job_id":1234567}'


def enqueue(workers):
    def measure(ctx):
        port = nginx.start(ctx, "return 200 '%s';" % ANSWER, workers=workers)
        headers = dict(nginx.auth(), **{"Content-Type": "application/json"})
        http.check_once(port, "/add-job", http.BODY, headers, b"job_id")
        return http.load(ctx, port, "/add-job", http.BODY, headers,
                         ctx.opt.seconds)
    return measure


def versions():
    import subprocess
    r = subprocess.run([nginx.BINARY, "-v"], capture_output=True, text=True)
    return {"nginx": r.stderr.strip().split("/")[-1]}


ROWS = [
    Row("http-1", "nginx return 200", enqueue(1), aof=False, limit=True),
    Row("http-2", "nginx return 200", enqueue(2), place="two", aof=False,
        limit=True),
]
