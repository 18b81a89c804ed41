"""Tokens: algorithm confusion with RS256 and ES256 keys, rotation of a secret,
and the cache of verified tokens. The tokens are made by PyJWT and cryptography;
how often the module checks a signature is counted between it and libjwt.
"""

import base64
import http.client
import json
import mmap
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
import unittest

import jwt as pyjwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature, encode_dss_signature)
from jwt.algorithms import HMACAlgorithm
from jwt.api_jws import PyJWS

from harness import SLOW, Stack, b64, wait_for

SHIM = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Counts the calls of jwt_decode() in a file that all processes share. */

static unsigned long  *count;
static int           (*real)(void **, const char *, const unsigned char *,
    int);

__attribute__((constructor)) static void
begin(void)
{
    int    fd = open(getenv("JWT_COUNT"), O_RDWR);
    void  *p = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
                    MAP_SHARED, fd, 0);

    count = p == MAP_FAILED ? abort(), NULL : p;
}

static int
decode(void **jwt, const char *token, const unsigned char *key, int len)
{
    __sync_fetch_and_add(count, 1);

    return real(jwt, token, key, len);
}

/* The module asks for libjwt's functions by their names. */
void *
dlsym(void *lib, const char *name)
{
    static void  *(*ours)(void *, const char *);

    static const char  *versions[] = { "GLIBC_2.34", "GLIBC_2.17",
                                       "GLIBC_2.2.5" };

    for (unsigned i = 0; ours == NULL && i < 3; i++) {
        *(void **) &ours = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    }

    if (strcmp(name, "jwt_decode") == 0) {
        *(void **) &real = ours(lib, name);
        return (void *) decode;
    }

    return ours(lib, name);
}
'''


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return set(map(int, f.read().split()))


class Counted(Stack):
    """An nginx whose signature checks are counted."""

    def start(self, name, argv, env=None):
        if name == "nginx":
            source = self.path("shim.c", SHIM.encode())
            shim = self.path("shim.so")
            subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim,
                            source, "-ldl"], check=True)
            with open(self.path("count", b"\0" * 8), "r+b") as f:
                self.shared = mmap.mmap(f.fileno(), 8)
            env = dict(os.environ, LD_PRELOAD=shim,
                       JWT_COUNT=self.path("count"))
        return super().start(name, argv, env)

    def checks(self):
        return struct.unpack("L", self.shared[:8])[0]


@unittest.skipIf(os.environ.get("WRAP_NGINX"), "nginx is wrapped")
@unittest.skipUnless(shutil.which("cc"), "cc is not there")
class Cache(unittest.TestCase):

    ENTRIES = 1024                      # TQ_TOKEN_SETS * TQ_TOKEN_WAYS

    def stack(self, **kw):
        s = Counted(aof=False, **kw)
        self.addCleanup(s.close)
        self.conn = http.client.HTTPConnection("127.0.0.1", s.port,
                                               timeout=15 * SLOW)
        self.addCleanup(self.conn.close)
        return s

    def token(self, s, exp=None, **claims):
        return pyjwt.encode(dict({
            "sub": "a", "role": "admin",
            "exp": exp or int(time.time()) + 600}, **claims),
            s.secret.decode(), "HS256")

    def ask(self, s, token):
        return s.get("/queues", token=token, conn=self.conn).status

    def test_the_second_request_costs_no_check(self):
        s = self.stack()
        tokens = [self.token(s, jti=str(n)) for n in range(50)]
        for n, token in enumerate(tokens):
            self.assertEqual(self.ask(s, token), 200)
            self.assertEqual(s.checks(), n + 1)
        for token in tokens * 4:
            self.assertEqual(self.ask(s, token), 200)
        self.assertEqual(s.checks(), 50)
        # what was refused is checked each time, and forgets no other
        bad = tokens[0][:-4] + "AAAA"
        for n in range(3):
            self.assertEqual(self.ask(s, bad), 401)
            self.assertEqual(s.checks(), 51 + n)
        # one that was verified is only good as a whole
        for wrong in (tokens[0] + "A", tokens[0][:-1],
                      ".".join([*tokens[1].split(".")[:2],
                                tokens[0].split(".")[2]])):
            self.assertEqual(self.ask(s, wrong), 401)
        self.assertEqual(self.ask(s, tokens[0]), 200)
        self.assertEqual(s.checks(), 53 + 3)

    def test_roles_are_of_the_token(self):
        """A cached worker's token may not do what an admin's may."""
        s = self.stack()
        worker, admin = (self.token(s, role=r) for r in ("worker", "admin"))
        job = {"handler": "h", "payload": {}}
        for _ in range(3):
            self.assertEqual(self.ask(s, worker), 200)
            self.assertEqual(s.post("/add-job", job, token=worker,
                                    conn=self.conn).status, 403)
            self.assertEqual(s.post("/add-job", job, token=admin,
                                    conn=self.conn).status, 200)
        self.assertEqual(s.checks(), 2)

    def test_never_longer_than_the_token_lives(self):
        s = self.stack()
        for _ in range(3):
            exp = int(time.time()) + 3
            token = self.token(s, exp)
            before, good = s.checks(), 0
            while True:
                sent = time.time()
                status = self.ask(s, token)
                if status != 200:
                    break
                self.assertLess(sent, exp)
                good += 1
            self.assertEqual(status, 401)
            self.assertGreaterEqual(time.time(), exp)
            self.assertGreater(good, 20)
            # one when it came; the one that refused it needed none, or one
            self.assertLessEqual(s.checks() - before, 2)
            self.assertEqual(self.ask(s, token), 401)

    def test_a_reload_forgets(self):
        s = self.stack()
        token = self.token(s)
        self.assertEqual([self.ask(s, token) for _ in range(3)], [200] * 3)
        self.assertEqual(s.checks(), 1)
        s.nginx.signal(signal.SIGHUP)
        wait_for(lambda: s.get("/queues", token=token).status == 200
                 and s.checks() == 2, 10)

    def test_bounded_memory(self):
        """Many more tokens than it holds, each of 7 kB: no more memory than
        its entries; what was dropped is checked again and still good."""
        s = self.stack(http="large_client_header_buffers 4 16k;")
        pid, = children(s.nginx.pid)

        def rss():
            with open("/proc/%d/statm" % pid) as f:
                return int(f.read().split()[1]) * mmap.PAGESIZE // 1024

        pad, n = "x" * 5000, 0
        first = self.token(s, pad=pad)
        self.assertEqual(self.ask(s, first), 200)
        empty = rss()

        def many(count):
            nonlocal n
            for _ in range(count):
                n += 1
                self.assertEqual(self.ask(s, self.token(
                    s, jti=str(n), pad=pad)), 200)

        many(3 * self.ENTRIES)
        full = rss()
        self.assertLess(full - empty, self.ENTRIES * 8 * 1.25)
        many(3 * self.ENTRIES)
        self.assertLess(rss() - full, 512)
        self.assertEqual(s.checks(), n + 1)
        self.assertEqual(self.ask(s, first), 200)
        self.assertEqual(s.checks(), n + 2)


class Rotation(unittest.TestCase):

    def test_two_files(self):
        """new, old -> newer, new: at each reload the token in use is good
        before, during and after; the one before that ends."""
        one, two, three = (("%s-secret-" % n) * 4 for n in ("1st", "2nd",
                                                            "3rd"))
        with Stack(location="taskmq_jwt_secret_file new;"
                   " taskmq_jwt_secret_file old;", nginx=False,
                   nginx_workers=2) as s:
            s.path("new", two.encode())
            s.path("old", one.encode() + b"\n")
            s.start_nginx()

            def token(secret):
                return pyjwt.encode({
                    "sub": "a", "role": "admin",
                    "exp": int(time.time()) + 600}, secret, "HS256")

            def status(secret):
                return s.get("/queues", token=token(secret)).status

            self.assertEqual([status(x) for x in (one, two, three)],
                             [200, 200, 401])
            stop, seen, in_use = threading.Event(), [], token(two)

            def client():
                while not stop.is_set():
                    seen.append(s.get("/queues", token=in_use).status)

            thread = threading.Thread(target=client)
            thread.start()
            try:
                s.path("old", two.encode())
                s.path("new", three.encode() + b"\n")
                self.assertEqual(status(three), 401, "not before the reload")
                old = children(s.nginx.pid)
                s.nginx.signal(signal.SIGHUP)
                wait_for(lambda: not old & children(s.nginx.pid), 20,
                         "the old nginx workers have ended")
                n = len(seen)
                wait_for(lambda: len(seen) > n + 50, 10)
            finally:
                stop.set()
                thread.join()
            self.assertEqual(set(seen), {200})
            self.assertEqual([status(x) for x in (one, two, three)],
                             [401, 200, 200])


class Loose(HMACAlgorithm):
    """HMAC with any bytes as the key, a public key's too."""

    def prepare_key(self, key):
        return key


class Confusion(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.rsa, cls.rsa2 = (rsa.generate_private_key(65537, 2048)
                             for _ in range(2))
        cls.ec, cls.ec2 = (ec.generate_private_key(ec.SECP256R1())
                           for _ in range(2))
        cls.ec384 = ec.generate_private_key(ec.SECP384R1())
        s = cls.s = Stack(nginx=False, aof=False,
                          http="large_client_header_buffers 4 16k;")
        cls.addClassCleanup(s.close)
        for name in ("rsa", "ec"):
            s.path(name + ".pub", cls.pem(getattr(cls, name)))
        # the secret only where it says so
        text = s.nginx_conf().replace("taskmq_jwt_secret_file jwt.secret;",
                                      "", 1)
        places = {"rsa": "taskmq_jwt_key_file rsa.pub;",
                  "ec": "taskmq_jwt_key_file ec.pub;",
                  "secret": "taskmq_jwt_secret_file jwt.secret;",
                  "both": "taskmq_jwt_key_file rsa.pub;"
                          " taskmq_jwt_secret_file jwt.secret;"}
        at = text.index("location / {")
        end = text.index("}", at) + 1
        text = text[:at] + "".join(
            "location /%s/ { taskmq_api taskmq; %s }\n" % x
            for x in places.items()) + text[end:]
        s.nginx_conf = lambda: text
        get = s.get
        s.get = lambda path, **kw: get(
            "/secret/health" if path == "/health" else path, **kw)
        s.start_nginx()
        cls.places = places

    @staticmethod
    def pem(key, encoding=serialization.Encoding.PEM,
            form=serialization.PublicFormat.SubjectPublicKeyInfo):
        return key.public_key().public_bytes(encoding, form)

    def claims(self, **more):
        return dict({"sub": "a", "role": "admin",
                     "exp": int(time.time()) + 600}, **more)

    def token(self, key, alg, headers=None, **more):
        return pyjwt.encode(self.claims(**more), key, alg, headers)

    def hmac(self, key, alg="HS256", headers=None):
        """PyJWT's HMAC, but for its refusal of keys that are no secrets;
        whatever the header says."""
        jws = PyJWS()
        for name in ("HS256", "RS256", "ES256"):
            jws.unregister_algorithm(name)
            jws.register_algorithm(name, Loose(Loose.SHA256))
        return jws.encode(json.dumps(self.claims()).encode(), key, alg,
                          headers=headers)

    def signed(self, header, sign):
        """Any header, and what sign(bytes) says is its signature."""
        text = b64(json.dumps(header).encode()) + b"." \
            + b64(json.dumps(self.claims()).encode())
        return (text + b"." + b64(sign(text))).decode()

    def public_keys_as_secrets(self):
        der = serialization.Encoding.DER
        pkcs1 = serialization.PublicFormat.PKCS1
        for name in ("rsa", "ec"):
            key = getattr(self, name)
            pem = self.pem(key)
            yield name + ": its file", pem
            yield name + ": without the last newline", pem.rstrip()
            yield name + ": with CRLF", pem.replace(b"\n", b"\r\n")
            yield name + ": DER", self.pem(key, der)
            yield name + ": its base64", b"".join(pem.split(b"\n")[1:-2])
            yield name + ": the file's name", (name + ".pub").encode()
            yield name + ": the file's path", self.s.path(
                name + ".pub").encode()
        yield "PKCS #1", self.pem(self.rsa, form=pkcs1)
        yield "modulus", self.rsa.public_key().public_numbers().n.to_bytes(
            256, "big")
        yield "nothing", b""
        yield "NUL", b"\0"

    def bad_for_all(self):
        """Tokens that no place may take."""
        for what, key in self.public_keys_as_secrets():
            yield "HS256, secret is " + what, self.hmac(key)
            yield "… and it says RS256", self.hmac(key, headers={
                "alg": "RS256"})
            yield "… and it says ES256", self.hmac(key, headers={
                "alg": "ES256"})
        yield "RS256, another key", self.token(self.rsa2, "RS256")
        yield "ES256, another key", self.token(self.ec2, "ES256")
        for alg in ("PS256", "RS384", "RS512"):
            yield alg + " of the right key", self.token(self.rsa, alg)
        yield "ES384", self.token(self.ec384, "ES384")
        yield "ES256 of a key on P-384", self.token(self.ec384, "ES256")
        for alg in ("HS384", "HS512"):
            yield alg, self.token(self.s.secret.decode(), alg)
        yield "none", pyjwt.encode(self.claims(), None, "none")
        for alg in ("none", "None", "nOnE", "", "rs256", "es256", None, 256,
                    ["RS256"], {"RS256": 1}, "RS256\0", "RS256 "):
            for name, key, real in (("rsa", self.rsa, "RS256"),
                                    ("ec", self.ec, "ES256")):
                good = self.token(key, real).split(".")
                good[0] = b64(json.dumps({"alg": alg, "typ": "JWT"}
                                         ).encode()).decode()
                yield "alg %r, signed by %s" % (alg, name), ".".join(good)
        # a key that comes with the token
        numbers = self.rsa2.public_key().public_numbers()
        jwk = {"kty": "RSA", "alg": "RS256",
               "n": b64(numbers.n.to_bytes(256, "big")).decode(),
               "e": "AQAB"}
        pem = self.pem(self.rsa2)
        for name, value in (("jwk", jwk), ("jku", "http://127.0.0.1/jwks"),
                            ("x5u", "file://" + self.s.path("rsa.pub")),
                            ("x5c", [base64.b64encode(self.pem(
                                self.rsa2, serialization.Encoding.DER
                                )).decode()]),
                            ("kid", self.s.path("rsa.pub")),
                            ("kid", "../../../../dev/null"),
                            ("kid", "' UNION SELECT 'x")):
            yield "RS256 with %s" % name, self.token(
                self.rsa2, "RS256", {name: value})
            yield "HS256 with %s" % name, self.hmac(
                pem, headers={name: value})
            yield "HS256 of nothing with %s" % name, self.hmac(
                b"", headers={name: value})
        # signatures that are none
        for alg, size in (("RS256", 256), ("ES256", 64), ("HS256", 32)):
            for what, data in (("zeros", b"\0" * size),
                               ("ones", b"\xff" * size), ("one", b"\1"),
                               ("half", b"\0" * (size // 2))):
                yield "%s, its signature %s" % (alg, what), self.signed(
                    {"alg": alg, "typ": "JWT"}, lambda _, d=data: d)
        order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
        for r, t in ((0, 0), (0, 1), (1, 0), (order, order), (order, 1)):
            raw = r.to_bytes(32, "big") + t.to_bytes(32, "big")
            yield "ES256, r and s %d %d" % (r & 3, t & 3), self.signed(
                {"alg": "ES256"}, lambda _, d=raw: d)
            der = encode_dss_signature(r, t)
            yield "… in DER", self.signed({"alg": "ES256"},
                                          lambda _, d=der: d)

    def status(self, place, token):
        r = self.s.get("/%s/queues" % place, token=token)
        if r.status == 401:
            self.assertEqual(r.json(), {
                "detail": "Invalid or missing token"})
        return r.status

    def test_each_takes_its_own(self):
        good = {"rsa": self.token(self.rsa, "RS256"),
                "ec": self.token(self.ec, "ES256"),
                "secret": self.token(self.s.secret.decode(), "HS256")}
        for place in self.places:
            takes = {"both": ["rsa", "secret"]}.get(place, [place])
            for name, token in good.items():
                self.assertEqual(self.status(place, token),
                                 200 if name in takes else 401,
                                 (place, name))

    def test_no_place_takes_any_of_these(self):
        n = 0
        for what, token in self.bad_for_all():
            for place in self.places:
                n += 1
                self.assertEqual(self.status(place, token), 401,
                                 (place, what, token))
        self.assertGreater(n, 400)
        self.test_each_takes_its_own()

    def test_claims_of_signed_tokens(self):
        """What is wrong in the claims is wrong under every algorithm."""
        now = int(time.time())
        for place, key, alg in (("rsa", self.rsa, "RS256"),
                                ("ec", self.ec, "ES256"),
                                ("secret", self.s.secret.decode(), "HS256")):
            jws = PyJWS()

            def raw(claims, headers=None):
                return jws.encode(claims.encode(), key, alg, headers=headers)

            for what, token in (
                    ("expired", self.token(key, alg, exp=now - 5)),
                    ("not yet", self.token(key, alg, nbf=now + 600)),
                    ("no exp", raw('{"sub":"a","role":"admin"}')),
                    ("exp text", raw('{"role":"admin","exp":"9999999999"}')),
                    ("exp float", raw('{"role":"admin","exp":%d.5}'
                                      % (now - 5))),
                    ("exp 2^63", raw('{"role":"admin","exp":%d}' % 2 ** 63)),
                    ("exp 2^64", raw('{"role":"admin","exp":%d}'
                                     % (2 ** 64 + now + 600))),
                    ("exp twice", raw('{"role":"admin","exp":1,"exp":%d}'
                                      % (now + 600))),
                    ("role twice", raw('{"role":"admin","role":"admin",'
                                       '"exp":%d}' % (now + 600))),
                    ("crit", self.token(key, alg, {"crit": ["exp"]})),
                    ("8 kB", self.token(key, alg, pad="x" * 7000)),
                    ("cut", self.token(key, alg)[:-2])):
                self.assertEqual(self.status(place, token), 401,
                                 (place, what))
            for exp in (now + 600.5, 9999999999.0, "9.9e9"):
                token = raw('{"role":"admin","exp":%s}' % exp)
                self.assertEqual(self.status(place, token), 200, (place, exp))
            token = self.token(key, alg)
            self.assertEqual(self.status(place, token), 200)
            head, body, mac = token.split(".")
            other = b64(json.dumps(self.claims(sub="b")).encode()).decode()
            self.assertEqual(self.status(place, ".".join(
                (head, other, mac))), 401)

    def test_an_es256_signature_in_der_is_none(self):
        token = self.token(self.ec, "ES256")
        head, body, mac = token.split(".")
        raw = base64.urlsafe_b64decode(mac + "==")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"),
                                   int.from_bytes(raw[32:], "big"))
        self.assertEqual(decode_dss_signature(der)[0],
                         int.from_bytes(raw[:32], "big"))
        for bad in (der, raw + b"\0", b"\0" + raw, raw[:63],
                    raw[32:] + raw[:32]):
            self.assertEqual(self.status("ec", "%s.%s.%s" % (
                head, body, b64(bad).decode())), 401)
        self.assertEqual(self.status("ec", token), 200)


if __name__ == "__main__":
    unittest.main()
