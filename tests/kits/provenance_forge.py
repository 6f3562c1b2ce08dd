"""Forge what the SDK refuses to sign: a WAV's claim signed again by any leaf at all, with any timestamp, at any time.

The SDK checks a certificate before it signs with it, so the files a verifier must refuse cannot be made with it. The
signature's box lies outside of the hashed bytes; it is replaced by one of the same length.
"""

import base64
import hashlib
import json

from asn1crypto import tsp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from provenance_kit import box

from provenance.reading import cose
from provenance.reading.open import opened


def encode(value):
    """A value as CBOR."""

    def head(major, n):
        if n < 24:
            return bytes([major << 5 | n])
        size = next(size for size in (1, 2, 4, 8) if n < 256**size)
        return bytes([major << 5 | (23 + size.bit_length())]) + n.to_bytes(size, "big")

    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    return head(5, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())


def parts(store, label):
    """(claim, signature) CBOR of one manifest."""
    for kind, top in cose._boxes(store):
        assert kind == b"jumb"
        (manifest,) = [box for _, box in cose._boxes(top) if cose._label(box) == label]
        found = {cose._label(box): box for inner, box in cose._boxes(manifest) if inner == b"jumb"}
        claim = found.get("c2pa.claim.v2") or found["c2pa.claim"]
        return tuple(
            next(payload for inner, payload in cose._boxes(box) if inner == b"cbor")
            for box in (claim, found["c2pa.signature"])
        )


def resign(signed, target, leaf, clock=None, tokens=None, beside=None):
    """Sign the active claim of ``signed`` (a WAV) again with ``leaf`` (ES256), timestamped by ``clock`` when given.

    tokens : makes the list of tokens (DER) from the one that the clock gives; a claim of version 1 has whole responses for them.
    beside : what else stands in the signature's unprotected header.
    """
    with opened(signed) as found:
        claim, old = parts(found.store, found.document["active_manifest"])
        first = found.active.get("claim_version") == 1
    chain = [certificate.public_bytes(serialization.Encoding.DER) for certificate in leaf.chain]
    protected = encode({1: -7, 33: chain if len(chain) > 1 else chain[0]})
    der = leaf.key.sign(encode(["Signature1", protected, b"", claim]), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    unprotected = dict(beside or {})
    if clock is not None:
        stamped = encode(["CounterSignature", protected, b"", claim if first else encode(signature)])
        imprint = tsp.MessageImprint(
            {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(stamped).digest()}
        )
        response = clock.respond(imprint, None)
        token = response.dump() if first else response["time_stamp_token"].dump()
        listed = tokens(token) if tokens else [token]
        unprotected["sigTst" if first else "sigTst2"] = {"tstTokens": [{"val": item} for item in listed]}

    def made(padding):
        return b"\xd2" + encode([protected, {**unprotected, "pad": bytes(padding)}, None, signature])

    padding = len(old) - len(made(300)) + 300
    new = made(padding)
    assert len(new) == len(old) and padding > 300, (len(new), len(old), padding)
    data = signed.read_bytes()
    assert data.count(old) == 1
    target.write_bytes(data.replace(old, new))
    return target


def rebuilt(data, label, content):
    """A superbox's payload with the CBOR (or, given a function, the payload) of its child ``label`` exchanged."""
    made = []
    for kind, payload in cose._boxes(data):
        if kind == b"jumb" and cose._label(payload) == label:
            if callable(content):
                payload = content(payload)
            else:
                description = next(iter(cose._boxes(payload)))[1]
                payload = box(b"jumd", description) + box(b"cbor", content)
        made.append(box(kind, payload))
    return b"".join(made)


def child(data, label):
    return next(payload for kind, payload in cose._boxes(data) if kind == b"jumb" and cose._label(payload) == label)


def cbor(box):
    return next(payload for kind, payload in cose._boxes(box) if kind == b"cbor")


def relabelled(data, old, new):
    """A superbox's payload with its child ``old`` called ``new``."""
    made = []
    for kind, payload in cose._boxes(data):
        if kind == b"jumb" and cose._label(payload) == old:
            description = next(iter(cose._boxes(payload)))[1]
            other = description.replace(old.encode(), new.encode())
            payload = box(b"jumd", other) + payload[8 + len(description) :]
        made.append(box(kind, payload))
    return b"".join(made)


def rewritten(signed, target, leaf, assertions=None, claim=None, labels=None):
    """A signed file whose credential says something else, signed again with ``leaf`` (ES256); its store keeps its length.

    assertions : label → what makes the assertion's new data of the old; claim : the same for the claim.
    labels : label → another that the assertion gets.
    The room for it is the timestamp's, so ``signed`` was made with one.
    """
    with opened(signed) as found:
        old, name = found.store, found.document["active_manifest"]
    ((_, top),) = list(cose._boxes(old))
    manifest = child(top, name)
    held = child(manifest, "c2pa.assertions")
    said = cose.decode(cbor(child(manifest, "c2pa.claim.v2")))
    for label, change in (assertions or {}).items():
        held = rebuilt(held, label, encode(change(cose.decode(cbor(child(held, label))))))
    for label, other in (labels or {}).items():
        held = relabelled(held, label, other)
    for kind in ("created_assertions", "gathered_assertions"):
        for reference in said.get(kind, []):
            folder, label = reference["url"].rsplit("/", 1)
            label = (labels or {}).get(label, label)
            reference |= {"url": f"{folder}/{label}", "hash": hashlib.sha256(child(held, label)).digest()}
    said = encode(claim(said) if claim else said)
    chain = [certificate.public_bytes(serialization.Encoding.DER) for certificate in leaf.chain]
    protected = encode({1: -7, 33: chain})
    r, s = utils.decode_dss_signature(
        leaf.key.sign(encode(["Signature1", protected, b"", said]), ec.ECDSA(hashes.SHA256()))
    )

    def made(padding):
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        inner = rebuilt(manifest, "c2pa.assertions", lambda _: held)
        inner = rebuilt(inner, "c2pa.claim.v2", said)
        inner = rebuilt(
            inner, "c2pa.signature", b"\xd2" + encode([protected, {"pad": bytes(padding)}, None, signature])
        )
        return box(b"jumb", rebuilt(top, name, lambda _: inner))

    new = made(300 + len(old) - len(made(300)))
    data, wrapped = signed.read_bytes(), _WRAPPED.get(signed.suffix, bytes)
    assert len(new) == len(old) and data.count(wrapped(old)) == 1
    target.write_bytes(data.replace(wrapped(old), wrapped(new)))
    return target


def _blocks(store):
    pieces = [store[at : at + 255] for at in range(0, len(store), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


_WRAPPED = {".svg": base64.b64encode, ".gif": _blocks}  # how a credential lies in a file where it is not bare


def aggregated(signed, target, leaf, second=None, **first):
    """A WAV signed with an X.509 identity (timestamped, for the room), its identity made an aggregator's credential instead.

    first : how, as of :func:`_aggregator`. second : likewise of another one, in the place of a statement ``org.example.room``.
    """
    room, label = "org.example.room", "cawg.identity__1"
    with opened(signed) as found:
        said = cose.assertion(found.plain, found.document["active_manifest"], "cawg.identity")["signer_payload"]
    made = {"cawg.identity": lambda _: _aggregator(said, **first)}
    if second is None:
        return rewritten(signed, target, leaf, made)
    return rewritten(signed, target, leaf, made | {room: lambda _: _aggregator(said, **second)}, labels={room: label})


def _aggregator(said, key, issuer=None, other_asset=False, valid_until=None, name="The picture desk"):
    """An aggregator's statement. issuer : its DID, by default ``did:jwk`` of ``key`` (Ed25519). The SDK signs none from Python."""
    said = said | {"sig_type": "cawg.identity_claims_aggregation"}
    asset = {
        **said,
        "referenced_assertions": [
            {**item, "hash": base64.b64encode(bytes(32) if other_asset else item["hash"]).decode()}
            for item in said["referenced_assertions"]
        ],
    }
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://cawg.io/identity/1.1/ica/context/"],
        "type": ["VerifiableCredential", "IdentityClaimsAggregationCredential"],
        "issuer": issuer or did_of(key),
        "validFrom": "2026-01-01T00:00:00Z",
        **({"validUntil": valid_until} if valid_until else {}),
        "credentialSubject": {
            "verifiedIdentities": [
                {
                    "type": "cawg.social_media",
                    "name": name,
                    "username": "desk",
                    "uri": "https://example.com/desk",
                    "verifiedAt": "2026-01-01T00:00:00Z",
                    "provider": {"id": "https://example.com", "name": "Example"},
                }
            ],
            "c2paAsset": asset,
        },
    }
    payload = json.dumps(credential).encode()
    protected = encode({1: -8, 3: "application/vc"})
    signature = key.sign(encode(["Signature1", protected, b"", payload]))
    return {
        "signer_payload": said,
        "signature": b"\xd2" + encode([protected, {}, payload, signature]),
        "pad1": bytes(8),
    }


def two_identities(signed, target, leaf, second, broken=False):
    """A WAV signed with an X.509 identity (timestamped, for the room) and a statement ``org.example.room``: that is made another's identity."""
    with opened(signed) as found:
        said = cose.assertion(found.plain, found.document["active_manifest"], "cawg.identity")["signer_payload"]
    chain = [certificate.public_bytes(serialization.Encoding.DER) for certificate in second.chain]
    protected = encode({1: -7, 33: chain})
    data = encode(["Signature1", protected, b"", encode(said)])
    r, s = utils.decode_dss_signature(second.key.sign(data, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + (s ^ broken).to_bytes(32, "big")
    made = {"signer_payload": said, "signature": b"\xd2" + encode([protected, {}, None, signature]), "pad1": b""}
    room, label = "org.example.room", "cawg.identity__1"
    return rewritten(signed, target, leaf, {room: lambda _: made}, labels={room: label})


def did_of(key):
    """The ``did:jwk`` of an Ed25519 key."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}
    return "did:jwk:" + base64.urlsafe_b64encode(json.dumps(jwk).encode()).decode()
