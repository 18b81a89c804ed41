"""nginx with the module, one process: fixed requests on one connection."""

import os
import socket
import sys

import cg

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import harness                                               # noqa: E402

SECRET = b"0123456789abcdef0123456789abcdef"
JOB = (b'{"handler":"dummy","priority":10,"payload":{"to":"someone@example.org'
       b'","subject":"hello","order":1234567}}')

CONF = """
load_module %(build)s/ngx_http_taskmq_module.so;
daemon off;
master_process off;
%(user)s
pid nginx.pid;
error_log error.log warn;
events { worker_connections 64; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_buffer_size 1m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    taskmq_redis unix:%(sock)s;
    taskmq_jwt_secret_file jwt.secret;
    server {
        listen unix:%(http)s;
        location / { taskmq_api taskmq; }
        location /ok { return 200 '{"status":"ok","job_id":1234567}'; }
    }
}
"""


class Http:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.token = harness.jwt(SECRET, {"sub": "guard", "role": "admin",
                                          "exp": 9999999999})

    def __call__(self, method, path, body=b"", want=b""):
        self.sock.sendall(
            b"%s %s HTTP/1.1\r\nHost: guard\r\nAuthorization: Bearer %s\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (method, path, self.token.encode(), len(body), body))
        data, size = b"", None
        while size is None or len(data) < size:
            part = self.sock.recv(1 << 20)
            if not part:
                raise cg.Broken("nginx closed the connection")
            data += part
            end = data.find(b"\r\n\r\n")
            if size is None and end > 0:
                head = data[:end].lower()
                at = head.index(b"content-length: ") + 16
                size = end + 4 + int(head[at:].split(b"\r\n")[0])
        if not data.startswith(b"HTTP/1.1 200") or want not in data:
            raise cg.Broken(repr(data[:300]))
        return data


def measure(build):
    """{name: instructions per request or job}"""
    out = {}
    with cg.Folder() as folder:
        sock, http = folder.path("redis.sock"), folder.path("http.sock")
        folder.start("redis", ["redis-server", "--port", "0", "--unixsocket",
                               sock, "--save", "", "--dir", folder.dir])
        cg.wait_for(lambda: harness.Redis(sock)("PING") == "PONG", 30,
                    "Redis answers")
        folder.path("jwt.secret", SECRET.decode())
        os.chmod(folder.path("jwt.secret"), 0o600)
        conf = folder.path("nginx.conf", CONF % dict(
            build=build, sock=sock, http=http,
            user="user root;" if os.getuid() == 0 else ""))
        nginx = cg.Counted(folder, "nginx", [
            harness.NGINX, "-p", folder.dir, "-c", conf, "-e",
            folder.path("error.log")])
        cg.wait_for(lambda: Http(http)(b"GET", b"/health"), 60,
                    "nginx answers: " + folder.log("nginx"))
        call = Http(http)

        def part(name, n, per, *args, **kw):
            call(*args, **kw)                     # once before it counts
            nginx.mark()
            for _ in range(n):
                call(*args, **kw)
            out[name] = nginx.count() / n / per

        part("nginx: return 200, for comparison", 200, 1, b"POST", b"/ok", JOB)
        part("nginx: add-job", 200, 1, b"POST", b"/add-job", JOB,
             want=b'"job_id":')
        part("nginx: add-jobs, per job of 1000", 3, 1000, b"POST",
             b"/add-jobs", b"[" + b",".join([JOB] * 1000) + b"]",
             want=b'"job_ids":')
        part("nginx: job", 200, 1, b"GET", b"/job/1", want=b'"PENDING"')
        nginx.end()
    return out
