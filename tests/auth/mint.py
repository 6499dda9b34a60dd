"""Tokens made by PyJWT: `mint.py FOLDER` adds public keys to FOLDER/keys.toml, writes
FOLDER/jwks.json, and prints a JSON line a token: its name, the token, whether it is right."""

import base64
import hashlib
import hmac
import json
import sys
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

folder = Path(sys.argv[1])
now = int(time.time())
rights = {"schemas": "*", "symbols": "*"}


def claims(**changes):
    right = {"iss": "broadtape", "aud": "broadtape", "sub": "py", "exp": now + 600,
             "iat": now, "nbf": now - 5, "jti": "py-1", "broadtape": rights}
    right.update(changes)
    return {name: value for name, value in right.items() if value is not None}


def pem(public):
    return public.public_bytes(serialization.Encoding.PEM,
                               serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header, payload, secret=None):
    """A token of any header; its signature is that of HS256, or none."""
    parts = [b64(json.dumps(part).encode() if not isinstance(part, bytes) else part)
             for part in (header, payload)]
    text = ".".join(parts)
    if secret is None:
        return text + "."
    return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())


def show(name, token, right):
    print(json.dumps({"name": name, "token": token, "right": right}))


rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
keys = {
    "RS256": rsa_key, "RS512": rsa_key, "PS256": rsa_key,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
public = {alg: pem(key.public_key()) for alg, key in keys.items()}
with open(folder / "keys.toml", "a", encoding="utf8") as file:
    for alg, text in public.items():
        file.write(f'\n[[key]]\nkid = "py-{alg}"\nalg = "{alg}"\npublic = """\n{text}"""\n')
makers = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
jwks = []
for alg, maker in makers.items():
    jwk = maker.to_jwk(keys[alg].public_key(), as_dict=True)
    jwk.update({"kid": f"jwk-{alg}", "alg": alg, "use": "sig"})
    jwks.append(jwk)
(folder / "jwks.json").write_text(json.dumps({"keys": jwks}))

for alg, key in keys.items():
    def sign(payload, header=None, key=key, alg=alg):
        return jwt.encode(payload, key, alg, {"kid": f"py-{alg}", **(header or {})})

    show(f"{alg}", sign(claims()), True)
    show(f"{alg} of another iss", sign(claims(iss="x")), False)
    show(f"{alg} expired", sign(claims(exp=now - 60)), False)
    # The public key as the secret of an HMAC: what a naive verifier takes.
    for secret in (public[alg].encode(), public[alg].strip().encode()):
        header = {"alg": "HS256", "typ": "JWT", "kid": f"py-{alg}"}
        show(f"{alg} public key as HMAC secret", raw(header, claims(), secret), False)
for alg in makers:
    token = jwt.encode(claims(), keys[alg], alg, {"kid": f"jwk-{alg}"})
    show(f"{alg} by key set", token, True)
show("typ at+jwt", jwt.encode(claims(), keys["ES256"], "ES256",
                              {"kid": "py-ES256", "typ": "at+jwt"}), True)

key, kid = keys["ES256"], {"kid": "py-ES256"}
for name, header in [
    ("alg none", {"alg": "none"}), ("alg None", {"alg": "None"}), ("alg NONE", {"alg": "NONE"}),
    ("no alg", {}), ("alg empty", {"alg": ""}), ("alg null", {"alg": None}),
]:
    show(name, raw({**header, **kid}, claims()), False)
    show(name + ", signed", raw({**header, **kid}, claims(), b"x" * 32), False)
show("RS512 key under RS256's kid",
     jwt.encode(claims(), rsa_key, "RS512", {"kid": "py-RS256"}), False)
show("PS256 under RS256's kid",
     jwt.encode(claims(), rsa_key, "PS256", {"kid": "py-RS256"}), False)
show("no kid", jwt.encode(claims(), key, "ES256"), False)
show("kid of another", jwt.encode(claims(), key, "ES256", {"kid": "py-ES384"}), False)
show("another's key", jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", kid),
     False)
show("a key of its own in jwk",
     jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256",
                {**kid, "jwk": jwks[1]}), False)
show("crit", jwt.encode(claims(), key, "ES256", {**kid, "crit": ["exp"]}), False)
show("typ of another kind", jwt.encode(claims(), key, "ES256", {**kid, "typ": "logout+jwt"}), False)
for name, change in [
    ("exp as string", {"exp": str(now + 600)}), ("exp as float", {"exp": now + 600.5}),
    ("exp negative", {"exp": -600}), ("exp huge", {"exp": 2**63}), ("exp huger", {"exp": 2**70}),
    ("exp null", {"exp": None}), ("nbf to come", {"nbf": now + 600}),
    ("nbf as string", {"nbf": str(now)}), ("nbf as float", {"nbf": now - 5.5}),
    ("nbf huge", {"nbf": 2**70}), ("no sub", {"sub": None}), ("no aud", {"aud": None}),
    ("no iss", {"iss": None}), ("no rights", {"broadtape": None}),
]:
    header = {"alg": "ES256", "typ": "JWT", **kid}
    text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims(**change)).encode())
    signature = jwt.get_algorithm_by_name("ES256").sign(text.encode(), key)
    show(name, text + "." + b64(signature), False)
header = {"alg": "ES256", "typ": "JWT", **kid}
double = json.dumps(claims(exp=now - 9999))[:-1] + f', "exp": {now + 600}}}'
text = b64(json.dumps(header).encode()) + "." + b64(double.encode())
signature = jwt.get_algorithm_by_name("ES256").sign(text.encode(), key)
show("exp twice", text + "." + b64(signature), False)
