"""nginx as every nginx here is run: same binary, same settings."""

import os

from . import http
from .ctx import free_port
from .proc import wait_for

BINARY = os.environ.get("NGINX", "/usr/sbin/nginx")

CONF = """
%(load)s
daemon off;
%(user)s
worker_processes %(workers)d;
pid nginx.pid;
error_log error.log warn;
%(main)s
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 10000000;
    client_body_buffer_size 1m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/json;
    %(http)s
    server {
        listen 127.0.0.1:%(port)d;
        location / { %(location)s }
    }
}
"""


def start(ctx, location, http="", load="", main="", workers=1):
    """Returns its port."""
    port = free_port()
    ctx.path("nginx.conf", CONF % dict(
        location=location, http=http, load=load, main=main, workers=workers,
        port=port, user="user root;" if os.getuid() == 0 else ""))
    p = ctx.start("front", "nginx", [BINARY, "-p", ctx.dir, "-c",
                                     ctx.path("nginx.conf"), "-e",
                                     ctx.path("error.log")])
    wait_for(lambda: listens(port), 10, "nginx listens", p)
    return port


def listens(port):
    import socket
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def auth():
    return {"Authorization": "Bearer " + http.token()}
