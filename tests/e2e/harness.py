"""A whole TaskMQ in a temporary folder: Redis, nginx, workers.

    with Stack(handlers=HANDLERS) as s:
        worker = s.worker()
        job = s.add("echo", {"a": 1})
        s.wait_done(job)

Standard library only, and nothing of the project's own: tokens are signed and
Redis is read by code written here, so that a mistake is not made twice.
close() ends the processes that were started here (and no others), and fails
when a log has a line that must never be there, or Redis has refused a command.

nginx, workers and command line tool use Redis as the users of
redis-acl.example, with no right that does not stand there: s.url("worker") is
where and as whom. The tests' own connection, s.redis(), may do everything.

The environment: BUILD (the folder with what `make` made), NGINX (the binary),
WRAP_NGINX and WRAP_WORKER (words put before the command, e.g. valgrind).
"""

import base64
import functools
import glob
import hashlib
import hmac
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from redis_state import RedisState
from ports import free_port
from resp import SLOW, Redis

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
NGINX = os.environ.get("NGINX") or shutil.which("nginx") or "/usr/sbin/nginx"
HANDLER = os.path.join(ROOT, "tests", "e2e", "handler.py")
ACL = os.path.join(ROOT, "redis-acl.example")

FORBIDDEN = re.compile(
    r"\[(?:alert|emerg|crit)\]|Sanitizer|runtime error:|assertion failed"
    r"|Assertion .* failed|ERROR SUMMARY: [1-9]", re.I)


def memory_kb(pid, what="VmRSS"):
    """What a process takes; VmHWM: has taken at most."""
    with open("/proc/%s/status" % pid) as f:
        return int(f.read().split(what + ":")[1].split()[0])


def wait_for(cond, timeout=10, what="condition"):
    """Calls cond() until it is true; returns its value."""
    end = time.monotonic() + timeout * SLOW
    pause = 0.002
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %s s: %s" % (timeout, what))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def source(name):
    """The path of a C file of ours, whichever folder it is in."""
    found = glob.glob(os.path.join(ROOT, "*", "**", name), recursive=True)
    found = [path for path in found if not path.startswith(BUILD + os.sep)]
    if len(found) != 1:
        raise AssertionError("%s: %r" % (name, found))
    return found[0]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def jwt(secret, claims, header=None, sign=True):
    """A JWT made here, with any claims, JSON text or header."""
    if not isinstance(claims, (str, bytes)):
        claims = json.dumps(claims)
    if isinstance(claims, str):
        claims = claims.encode()
    head = json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()
    text = b64(head) + b"." + b64(claims)
    mac = hmac.new(secret, text, hashlib.sha256).digest() if sign else b""
    return (text + b"." + b64(mac)).decode()


@functools.cache
def http2():
    """What a listen line and its server say for HTTP/2: since nginx 1.25.1
    the former warns."""
    out = subprocess.run([NGINX, "-v"], stderr=subprocess.PIPE, text=True)
    version = re.search(r"/(\d+)\.(\d+)\.(\d+)", out.stderr).groups()
    return (" http2", "") if tuple(map(int, version)) < (1, 25, 1) \
        else ("", "http2 on;")


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%s %r>" % (self.status, self.body[:500])


class Process:
    """One process of ours: told to end when this program ends."""

    def __init__(self, name, argv, log, env=None, cwd=None):
        self.name, self.log = name, log
        full = ["setpriv", "--pdeathsig", "KILL", "--"] + argv
        with open(log, "ab") as out:
            self.proc = subprocess.Popen(
                full, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, cwd=cwd, start_new_session=True)
        self.pid = self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def signal(self, sig):
        if self.alive():
            os.kill(self.pid, sig)

    def wait(self, timeout=10):
        return self.proc.wait(timeout * SLOW)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.proc.wait()

    def stop(self, timeout=10, sig=15):
        """Returns the exit status; a process that does not end is killed and
        is an error."""
        self.signal(signal.SIGCONT)
        self.signal(sig)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s did not stop within %s s; log:\n%s"
                                 % (self.name, timeout, self.tail())) from None

    def tail(self, n=3000):
        with open(self.log, errors="replace") as f:
            return f.read()[-n:]


class Stack(RedisState):
    def __init__(self, handlers=None, nginx=True, api="taskmq", lease=None,
                 aof=True, redis_args=(), server="", http="", main="",
                 location="", nginx_workers=1, namespace=None):
        self.dir = tempfile.mkdtemp(prefix="taskmq-")
        self.processes = []
        # Patterns of forbidden lines that are no fault; tests add what they
        # provoke on purpose. A Redis that starts again takes its old socket
        # away before it makes the new one.
        self.allowed = [r"\[crit\].* connect\(\) to unix:\S*/redis\.sock"
                        r" failed \(2: "]
        self.lease = lease
        self.namespace = namespace
        self.conf = dict(server=server, http=http, main=main,
                         location=location, workers=nginx_workers, api=api)
        self.secret = os.urandom(24).hex().encode()
        self.path("jwt.secret", self.secret + b"\n")
        os.chmod(self.path("jwt.secret"), 0o600)
        self.sock = self.path("redis.sock")
        self.password = os.urandom(8).hex()
        self.denied_allowed = False     # a test provokes refusals
        self.redis_argv = [
            "redis-server", "--port", "0", "--unixsocket", self.sock,
            "--dir", self.dir, "--save", "", "--daemonize", "no",
            "--appendonly", "yes" if aof else "no",
            "--appendfsync", "always" if aof else "no",
            "--enable-debug-command", "yes",
            "--aclfile", self.path("acl", self.acl().encode()), *redis_args]
        self.record = self.path("record")
        self.path("record", b"")
        self.write_handlers(handlers)
        self.nginx = None
        self.server = None
        self._redis = None
        self._token = None
        try:
            self.start_redis()
            if nginx:
                self.start_nginx()
        except BaseException:
            self._end_all()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    # ---- the folder ----

    def path(self, name, content=None):
        p = os.path.join(self.dir, name)
        if content is not None:
            with open(p, "wb") as f:
                f.write(content)
        return p

    def write_handlers(self, handlers):
        """handlers: {name: {key: value}}; without command, tests' own."""
        out = []
        for name, conf in (handlers or {}).items():
            conf = dict(conf)
            if not set(conf) & {"command", "builtin", "url", "image",
                                "library"}:
                conf["command"] = ["python3", HANDLER, self.record]
            out.append("[handlers.%s]" % json.dumps(name))
            out += ["%s = %s" % (k, toml(v)) for k, v in conf.items()]
        self.toml = self.path("handlers.toml", "\n".join(out).encode() + b"\n")

    def acl(self):
        """The users as they are shipped, with a password, for this
        namespace and those that nginx' configuration names."""
        with open(ACL) as f:
            text = f.read()
        keys = ["~" + self.key("*")] + [
            "~{%s}:*" % name for name in sorted(set(re.findall(
                r"taskmq_namespace ([^\s;]+);", str(self.conf))))]
        return text.replace("~{taskmq}:*", " ".join(keys)).replace(
            " on ", " on >%s " % self.password)

    def allow(self, namespace):
        """The users may use this one, too."""
        for role in ("nginx", "worker", "cli"):
            self.redis("ACL", "SETUSER", "taskmq-" + role,
                       "~{%s}:*" % namespace)

    def url(self, role, path=None):
        return "unix://taskmq-%s:%s@%s" % (role, self.password,
                                           path or self.sock)

    def marks(self):
        """What tests/e2e/handler.py wrote: a list of dicts."""
        with open(self.record) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    # ---- processes ----

    def start(self, name, argv, env=None):
        log = self.path("%s-%d.log" % (name, len(self.processes)))
        p = Process(name, argv, log, env=env, cwd=ROOT)
        self.processes.append(p)
        return p

    def start_redis(self):
        self.server = self.start("redis", self.redis_argv)
        self._redis = None

        def ready():
            if not self.server.alive():
                raise AssertionError(self.server.tail())
            try:
                return self.redis("PING") == "PONG"
            except (OSError, RuntimeError):
                self._redis = None
                return False

        wait_for(ready, 20, "Redis answers")

    def redis(self, *args):
        if self._redis is None:
            self._redis = Redis(self.sock)
        return self._redis(*args)

    def key(self, name):
        return "{%s}:%s" % (self.namespace or "taskmq", name)

    def nginx_conf(self):
        c = self.conf
        self.port = getattr(self, "port", None) or free_port()
        self.port2 = getattr(self, "port2", None) or free_port()
        return """
            load_module %(build)s/ngx_http_taskmq_module.so;
            daemon off;
            %(user)s
            worker_processes %(workers)d;
            pid nginx.pid;
            error_log error.log info;
            %(main)s
            events { worker_connections 1024; }
            http {
                access_log off;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                taskmq_redis %(url)s;
                taskmq_jwt_secret_file jwt.secret;
                %(namespace)s
                %(patience)s
                %(http)s
                server {
                    listen 127.0.0.1:%(port)d;
                    listen 127.0.0.1:%(port2)d%(listen_http2)s;
                    %(http2_on)s
                    %(server)s
                    location / {
                        taskmq_api %(api)s;
                        %(location)s
                    }
                }
            }
            """ % dict(
                c, build=BUILD, url=self.url("nginx"), port=self.port,
                port2=self.port2, dir=self.dir,
                listen_http2=http2()[0], http2_on=http2()[1],
                namespace="taskmq_namespace %s;" % self.namespace
                if self.namespace else "",
                # a disk that takes seconds is a busy machine's, no outage
                patience="taskmq_redis_timeout 20s;"
                if "taskmq_redis_timeout" not in c["http"] else "",
                user="user root;" if os.getuid() == 0 else "")

    def start_nginx(self):
        self.path("nginx.conf", self.nginx_conf().encode())
        wrap = shlex.split(os.environ.get("WRAP_NGINX", ""))
        self.nginx = self.start("nginx", wrap + [
            NGINX, "-p", self.dir, "-c", self.path("nginx.conf"),
            "-e", self.path("error.log")])

        def ready():
            if not self.nginx.alive():
                raise AssertionError(self.nginx.tail() + self.error_log())
            try:
                return self.get("/health", token=None).status == 200
            except OSError:
                return False

        wait_for(ready, 10, "nginx answers /health")

    def error_log(self):
        try:
            with open(self.path("error.log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def worker(self, *args, wait=True, env=None, build=BUILD):
        """Starts taskmq-worker; waits until it is seen in Redis."""
        wrap = shlex.split(os.environ.get("WRAP_WORKER", ""))
        argv = wrap + [os.path.join(build, "taskmq-worker"), "--config",
                       self.toml]
        if self.lease:
            argv += ["--lease", str(self.lease)]
        if self.namespace:
            argv += ["--namespace", self.namespace]
        # not an argument: anybody can see those, and valgrind logs them
        env = dict(os.environ, TASKMQ_REDIS_URL=self.url("worker"),
                   **(env or {}))
        if os.getuid() != 0:
            env.setdefault("TASKMQ_COREDUMP", "1")  # tests look into /proc
        before = self.redis("HLEN", self.key("workers"))
        p = self.start("worker", argv + [str(a) for a in args], env=env)

        def seen():
            if not p.alive():
                raise AssertionError("the worker ended: " + p.tail())
            return self.redis("HLEN", self.key("workers")) > before

        if wait:
            wait_for(seen, 10, "the worker is seen in Redis")
        return p

    def cli(self, *args, stdin=None, env=None, timeout=30):
        e = {k: v for k, v in os.environ.items()
             if not k.startswith("TASKMQ_")}
        e["TASKMQ_REDIS_URL"] = self.url("cli")
        e.update(env or {})
        if self.namespace:
            args = ("--namespace", self.namespace) + args
        return subprocess.run(
            [os.path.join(BUILD, "taskmq")] + [str(a) for a in args],
            input=stdin, env=e, capture_output=True, cwd=self.dir,
            timeout=timeout * SLOW)

    # ---- HTTP ----

    def token(self, role="admin", sub="tester", exp=3600, **more):
        claims = {"sub": sub, "role": role, "exp": int(time.time()) + exp}
        claims.update(more)
        return jwt(self.secret, claims)

    def request(self, method, path, body=None, token="admin", headers=None,
                timeout=15, conn=None):
        h = {}
        if token in ("admin", "worker"):
            h["Authorization"] = "Bearer " + self.token(token)
        elif token is not None:
            h["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            h["Content-Type"] = "application/json"
        h.update(headers or {})
        h = {k: v for k, v in h.items() if v is not None}
        c = conn or http.client.HTTPConnection("127.0.0.1", self.port,
                                               timeout=timeout * SLOW)
        try:
            c.request(method, path, body=body, headers=h)
            r = c.getresponse()
            return Reply(r.status, r.headers, r.read())
        finally:
            if conn is None:
                c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body, **kw):
        return self.request("POST", path, body, **kw)

    def add(self, handler, payload=None, **fields):
        """A job by HTTP; payload may be JSON text. Returns its id."""
        text = payload if isinstance(payload, str) \
            else json.dumps(payload or {})
        fields = "".join(",%s:%s" % (json.dumps(k), json.dumps(v))
                         for k, v in fields.items())
        r = self.post("/add-job", '{"handler":%s,"payload":%s%s}'
                      % (json.dumps(handler), text, fields))
        if r.status != 200:
            raise AssertionError("add-job: %r" % r)
        return r.json()["job_id"]

    def job(self, job_id):
        r = self.get("/job/%d" % job_id)
        if r.status != 200:
            raise AssertionError("job %d: %r" % (job_id, r))
        return r.json()

    def wait_status(self, job_id, status, timeout=10):
        last = {}

        def there():
            last.update(self.job(job_id))
            return last["status"] == status

        try:
            wait_for(there, timeout)
        except AssertionError:
            raise AssertionError(
                "job %d is not %s after %s s: %r\n%s" % (
                    job_id, status, timeout, last, "\n".join(
                        p.tail(1500) for p in self.processes
                        if p.name == "worker"))) from None
        return last

    def wait_done(self, job_id, timeout=10):
        return self.wait_status(job_id, "SUCCESS", timeout)

    def waited(self):
        """How long Redis, the workers and their children have wanted a
        processor in vain until now, in seconds, as the kernel counts it: what
        a busy machine adds to the delay of a job."""
        ns, pids = 0, [p.pid for p in self.processes
                       if p.name in ("redis", "worker") and p.alive()]
        while pids:
            pid = pids.pop()
            try:
                with open("/proc/%d/schedstat" % pid) as f:
                    ns += int(f.read().split()[1])
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    pids += map(int, f.read().split())
            except OSError:         # it has ended
                pass
        return ns / 1e9

    # ---- the end ----

    def denied(self):
        """What Redis did not let our users do."""
        if self.server is None or not self.server.alive() \
                or self.denied_allowed:
            return []
        self.server.signal(signal.SIGCONT)
        try:
            return ["Redis refused: %r" % entry
                    for entry in self.redis("ACL", "LOG")]
        except (OSError, RuntimeError):     # it is full, loading, or going
            return []

    def _end_all(self):
        errors = []
        for name in ("worker", "nginx", "redis"):
            if name == "redis":
                errors += self.denied()
            for p in self.processes:
                if p.name != name or not p.alive():
                    continue
                try:
                    p.stop(40)
                except AssertionError as e:
                    errors.append(str(e))
        for p in self.processes:
            if p.alive():
                p.kill()
        if self._redis is not None:
            self._redis.close()
            self._redis = None
        return errors

    def forbidden(self):
        found = []
        secrets = self.password, self.secret.decode()
        for name in sorted(os.listdir(self.dir)):
            if not name.endswith(".log"):
                continue
            with open(self.path(name), errors="replace") as f:
                for line in f:
                    if FORBIDDEN.search(line) and not any(
                            re.search(a, line) for a in self.allowed):
                        found.append("%s: %s" % (name, line.rstrip()))
                    if any(secret in line for secret in secrets):
                        found.append("%s: a secret: %s" % (name,
                                                           line.rstrip()))
        return found

    def close(self):
        errors = self._end_all()
        errors += self.forbidden()
        if errors and os.environ.get("KEEP"):
            errors.append("kept: " + self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if errors:
            raise AssertionError("at the end:\n" + "\n".join(errors))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except AssertionError as e:
            print(e)


def toml(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, list):
        return "[%s]" % ", ".join(toml(x) for x in v)
    return "{ %s }" % ", ".join("%s = %s" % (json.dumps(k), toml(x))
                                for k, x in v.items())
