"""Authorization headers, each with the status it must get.

The good and the cleverly bad ones are made with PyJWT and cryptography, which
share nothing with the module's libjwt; what those refuse to make is signed
here by hand.
"""

import json
import time

import jwt as pyjwt

from harness import b64, jwt

# A throw-away RSA key, whose public half is used as an HMAC secret below.
PUBLIC_PEM = b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----
"""


def tokens(secret):
    """(what, Authorization header or None, status) for GET /queues."""
    now = int(time.time())
    good = {"sub": "a", "role": "admin", "exp": now + 600}
    key = secret.decode()

    def bearer(claims, alg="HS256", k=key, **head):
        return "Bearer " + pyjwt.encode(claims, k, algorithm=alg,
                                        headers=head or None)

    def own(claims, header=None, k=secret, **kw):
        return "Bearer " + jwt(k, claims, header, **kw)

    yield "PyJWT's HS256", bearer(good), 200
    yield "lower-case scheme", "b" + bearer(good)[1:], 200
    yield "role worker", bearer(dict(good, role="worker")), 200
    yield "roles as an array", bearer(dict(good, role=["x", "worker"])), 200
    yield "more claims", bearer(dict(good, iat=now, nbf=now, jti="1",
                                     deep={"a": [1]})), 200
    yield "exp a float", bearer(dict(good, exp=now + 600.5)), 200
    yield "exp 9.9e9", own('{"sub":"a","role":"admin","exp":9.9e9}'), 200
    yield "nbf a float", bearer(dict(good, nbf=time.time() - 1)), 200
    yield "exp far away", bearer(dict(good, exp=2 ** 53)), 200

    yield "other role", bearer(dict(good, role="reader")), 403
    yield "no role", bearer({"sub": "a", "exp": now + 600}), 403
    yield "role in other letters", bearer(dict(good, role="Admin")), 403
    yield "Role is another claim", bearer({"sub": "a", "Role": "admin",
                                           "exp": now + 600}), 403
    yield "role a number", bearer(dict(good, role=1)), 401
    yield "empty roles", bearer(dict(good, role=[])), 403

    yield "nothing", None, 401
    yield "empty", "", 401
    yield "Bearer alone", "Bearer", 401
    yield "Bearer and spaces", "Bearer   ", 401
    yield "Basic", "Basic YWRtaW46YWRtaW4=", 401
    yield "no scheme", bearer(good)[7:], 401
    yield "two tokens", bearer(good) + " " + bearer(good)[7:], 401
    yield "not a token", "Bearer abc", 401
    yield "two parts", bearer(good).rpartition(".")[0], 401
    yield "four parts", bearer(good) + ".x", 401
    yield "empty parts", "Bearer ..", 401
    yield "no signature", bearer(good).rpartition(".")[0] + ".", 401
    yield "junk after it", bearer(good) + "!", 401
    yield "junk inside", bearer(good).replace(".", ".!", 1), 401
    yield "8,193 bytes", bearer(dict(good, pad="x" * 8200)), 401

    yield "wrong secret", bearer(good, k="another secret of some length"), 401
    yield "empty secret", own(good, k=b""), 401
    yield "changed claims", changed(bearer(good)), 401
    yield "signature's last character", last_bit(bearer(good)), 401

    yield "expired", bearer(dict(good, exp=now - 120)), 401
    yield "not yet valid", bearer(dict(good, nbf=now + 600)), 401
    yield "no exp", bearer({"sub": "a", "role": "admin"}), 401
    for what, exp in (("a string", '"%d"' % (now + 600)), ("a past float",
                      "%d.5" % (now - 120)), ("1.7e9", "1.7e9"),
                      ("null", "null"), ("true", "true"), ("an array", "[]"),
                      ("negative", "-1"), ("0", "0"),
                      ("2^63", str(2 ** 63)), ("2^64 + later",
                      str(2 ** 64 + now + 600)), ("40 digits", "9" * 40)):
        yield "exp " + what, own('{"sub":"a","role":"admin","exp":%s}' % exp), \
            401
    yield "nbf a string", own(dict(good, nbf="0")), 401

    yield "alg none", "Bearer " + pyjwt.encode(good, None, "none"), 401
    yield "alg none, signed", own(good, {"alg": "none", "typ": "JWT"}), 401
    yield "alg NONE", own(good, {"alg": "NONE"}), 401
    yield "alg none, unsigned", own(good, {"alg": "none"}, sign=False), 401
    yield "no alg", own(good, {"typ": "JWT"}), 401
    yield "alg hs256", own(good, {"alg": "hs256"}), 401
    yield "alg a number", own(good, {"alg": 256}), 401
    yield "alg says RS256", own(good, {"alg": "RS256"}), 401
    for alg in ("HS384", "HS512"):
        yield alg + " with the secret", bearer(good, alg), 401
    yield "HS256 with a public key", own(good, k=PUBLIC_PEM), 401
    yield "crit", own(good, {"alg": "HS256", "crit": ["x"], "x": 1}), 401
    yield "b64 false", own(good, {"alg": "HS256", "b64": False,
                                  "crit": ["b64"]}), 401

    yield "duplicate role", own('{"sub":"a","role":"nobody","role":"admin",'
                                '"exp":%d}' % (now + 600)), 401
    yield "duplicate exp", own('{"sub":"a","role":"admin","exp":1,"exp":%d}'
                               % (now + 600)), 401
    yield "duplicate alg", raw(secret, '{"alg":"none","alg":"HS256"}',
                               json.dumps(good)), 401
    yield "claims an array", own('["role","admin"]'), 401
    yield "claims not JSON", own("role=admin"), 401
    yield "claims with bad UTF-8", own(
        b'{"sub":"\xff","role":"admin","exp":%d}' % (now + 600)), 401
    yield "claims with trailing bytes", own(json.dumps(good) + "x"), 401
    yield "NUL in sub", own('{"sub":"a\\u0000b","role":"admin","exp":%d}'
                            % (now + 600)), 401


def changed(header):
    head, _, mac = header[7:].split(".")
    claims = {"sub": "a", "role": "admin", "exp": 2 ** 52}
    return "Bearer %s.%s.%s" % (head, b64(json.dumps(claims).encode())
                                .decode(), mac)


def last_bit(header):
    """Another last character: other bits, or the same bits written oddly."""
    alphabet = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                "0123456789-_")
    at = alphabet.index(header[-1])
    return header[:-1] + alphabet[(at + 4) % 64]


def raw(secret, header, claims):
    import hashlib
    import hmac
    text = b64(header.encode()) + b"." + b64(claims.encode())
    mac = hmac.new(secret, text, hashlib.sha256).digest()
    return "Bearer " + (text + b"." + b64(mac)).decode()
