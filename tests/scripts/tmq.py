"""A private redis-server, a tiny RESP client, and the queue's scripts as they
are embedded. What all script tests stand on; nothing here knows the rules."""

import hashlib
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.append(os.path.join(ROOT, 'tests', 'e2e'))
from layout import LAYOUT, LIMITS, at, field    # noqa: E402, F401

LUA = os.environ.get('TMQ_LUA') or os.path.join(ROOT, 'libtaskmq', 'lua')
ACL = os.path.join(ROOT, 'redis-acl.example')
EMBED = os.path.join(ROOT, 'libtaskmq', 'embed.sh')
NAMES = sorted(f[:-4] for f in os.listdir(LUA) if f.endswith('.lua'))
PREFIX = b'{t}:'
CALL_MAX_S = 60     # no call takes nearly as long; a script may never end


def duration_bounds():
    """Of the histogram, in ms, as C tells them to Prometheus."""
    with open(os.path.join(ROOT, 'libtaskmq', 'queue', 'tq_ops_read.c')) as f:
        text = f.read()
    return [int(n) for n in re.search(
        r'tq_duration_bounds_ms\[\w+\] = {([\d,\s]+)}', text)[1].split(',')]


class RedisError(Exception):
    pass


class Server:
    """redis-server on a unix socket in a folder of its own."""

    def __init__(self, *args):
        self.dir = tempfile.mkdtemp(prefix='tmq-scripts-')
        self.sock = os.path.join(self.dir, 's')
        self.log = os.path.join(self.dir, 'log')
        self.proc = subprocess.Popen(
            [os.environ.get('REDIS_SERVER', 'redis-server'), '--port', '0',
             '--unixsocket', self.sock, '--dir', self.dir, '--save', '',
             '--logfile', self.log, *args],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                Client(self).close()
                break
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    raise RuntimeError('redis-server did not start')
                time.sleep(0.005)

    def cpu_ms(self):
        """Processor time its main thread has had."""
        with open('/proc/%d/schedstat' % self.proc.pid) as f:
            return int(f.read().split()[0]) / 1e6

    def stop(self):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            # a script that does not end
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def encode(args):
    out = [b'*%d\r\n' % len(args)]
    for a in args:
        if isinstance(a, str):
            a = a.encode()
        elif isinstance(a, (int, float)):
            a = repr(a).encode()
        out.append(b'$%d\r\n' % len(a))
        out.append(a)
        out.append(b'\r\n')
    return b''.join(out)


class Client:
    def __init__(self, server):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(CALL_MAX_S)
        self.s.connect(server.sock)
        self.f = self.s.makefile('rb', 1 << 20)

    def close(self):
        self.f.close()
        self.s.close()

    def read(self):
        line = self.f.readline()
        if not line:
            raise RedisError('closed')
        kind, rest = line[:1], line[1:-2]
        if kind == b':':
            return int(rest)
        if kind == b'$':
            n = int(rest)
            return None if n < 0 else self.f.read(n + 2)[:-2]
        if kind == b'*':
            n = int(rest)
            if n < 0:
                return None
            # an error inside an array is an item, not an exception
            return [self.read() for _ in range(n)]
        if kind == b'+':
            return rest
        if kind == b'-':
            raise RedisError(rest.decode())
        raise RuntimeError('bad reply %r' % line)

    def __call__(self, *args):
        self.s.sendall(encode(args))
        return self.read()

    def many(self, commands):
        self.s.sendall(b''.join(encode(c) for c in commands))
        return [self.read() for _ in commands]


def text_of(name):
    return subprocess.run(['sh', EMBED, LUA, name], check=True,
                          stdout=subprocess.PIPE).stdout


class Plain:
    """What needs no script: the commands that C sends, in the
    place of scripts."""

    def config_get(self):
        return self.c('HGETALL', PREFIX + b'config')

    def goodbye(self, worker):
        return self.c('HDEL', PREFIX + b'workers', worker)

    def logs(self, job_id):
        record, log = self.c('MGET', PREFIX + b'j:%d' % job_id,
                             PREFIX + b'l:%d' % job_id)
        return None if record is None else log or b''

    def cancel(self, job_id, force):
        return self.change(job_id, 'force' if force else 'cancel')

    def retry(self, job_id):
        return self.change(job_id, 'retry')

    def delete(self, job_id):
        return self.change(job_id, 'delete')

    def release(self, *leases):
        """id, token, id, token …"""
        return self.fail(0, *itertools.chain(*(
            (i, t, 'r', '', '', -1)
            for i, t in zip(leases[::2], leases[1::2]))))


class Scripts(Plain):
    """s.claim(…) runs a script on the prefix; s.sha['claim'] names it."""

    def __init__(self, client):
        self.c = client
        self.sha = {}
        for name in NAMES:
            text = text_of(name)
            self.sha[name] = hashlib.sha1(text).hexdigest()
            loaded = client('SCRIPT', 'LOAD', text)
            assert loaded.decode() == self.sha[name], name

    def args(self, name, *args):
        return ('EVALSHA', self.sha[name], 1, PREFIX) + args

    def __getattr__(self, name):
        if name not in NAMES:
            raise AttributeError(name)
        return lambda *args: self.c(*self.args(name, *args))


def job(handler='email', payload=b'{}', due=0, priority=0, policy='f',
        retries='t--', options='', aside=''):
    """The two arguments of one job in an enqueue call. options: as they stand
    in the header, e.g. ' k=60 i=5'. aside: the payload is in b:<aside>."""
    if isinstance(payload, str):
        payload = payload.encode()
    if aside:
        options += ' b=%d' % len(payload)
        payload = b''
    kind = 'p' if ' i=' in options else 'o' if options else '-'
    head = '1%s %03d %s %3s ' % (kind, priority, policy, retries)
    assert len(head) == LAYOUT['JOB_HEAD'][1], head
    tail = b' ' + (handler + options).encode() + b'\n' + payload
    return ('%s%s%s %s' % (head, due, '@' if aside else '', handler),
            aside.encode() + tail)


def completed(items):
    """The arguments of complete, from (id, token, result, log) each."""
    out = []
    for (token, log), some in itertools.groupby(
            items, lambda x: (x[1], len(x[3]) > 0)):
        some = list(some)
        out.append('%s%s%s' % ('l' if log else 't', token,
                               len(some) if len(some) > 1 else ''))
        for job_id, _, result, text in some:
            out += [job_id, result, text] if log else [job_id, result]
    return out


def group(jobs, key='', body='0' * 16, known='0'):
    out = []
    if len(jobs) != 1 or key or known != '0':
        out = ['g%d %s %s %s' % (len(jobs), body, known, key)]
    for j in jobs:
        out.extend(j)
    return out
