"""nginx with lua-nginx-module and lua-resty-redis (Debian's lua-nginx-redis):
what a user would write by hand. peers/lua/enqueue.lua is the whole of it."""

import os
import subprocess

from rig import http, nginx
from rig.row import Row

HERE = os.path.dirname(os.path.abspath(__file__))
LUA = os.path.join(HERE, "..", "peers", "lua")
MODULES = "/usr/lib/nginx/modules"
LIBS = os.environ.get("BENCH_LUA", os.path.join(
    os.environ.get("BUILD", "build"), "bench", "lua"))

HTTP = """
lua_package_path "%(lua)s/?.lua;%(libs)s/?.lua;/usr/share/lua/5.1/?.lua;;";
lua_package_cpath "/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;;";
init_by_lua_block { require("enqueue").init("%(secret)s", "%(sock)s") }
"""


def enqueue(workers):
    def measure(ctx):
        ctx.redis_server()
        port = nginx.start(
            ctx, 'content_by_lua_block { require("enqueue").run() }',
            workers=workers,
            load="load_module %s/ndk_http_module.so;\n"
                 "load_module %s/ngx_http_lua_module.so;" % (MODULES,
                                                             MODULES),
            http=HTTP % dict(lua=os.path.abspath(LUA),
                             libs=os.path.abspath(LIBS), secret=http.SECRET,
                             sock=ctx.sock))
        headers = dict(nginx.auth(), **{"Content-Type": "application/json"})
        http.check_once(port, "/add-job", http.BODY, headers, b'"job_id":1')
        return http.load(ctx, port, "/add-job", http.BODY, headers,
                         ctx.opt.seconds,
                         lambda: ctx.redis("ZCARD", "{lua}:ready"))
    return measure


def versions():
    out = {}
    for package in ("libnginx-mod-http-lua", "lua-nginx-redis"):
        r = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                           capture_output=True, text=True)
        if r.returncode == 0:
            out[package] = r.stdout
    stamp = os.path.join(LIBS, "version")
    if os.path.exists(stamp):
        with open(stamp) as f:
            out["lua-nginx-redis"] = f.read().strip()
    return out


ROWS = [
    Row("http-1", "nginx + Lua", enqueue(1)),
    Row("http-2", "nginx + Lua", enqueue(2), place="two"),
]
