"""Our policy on top of the SDK's findings: what it accepts and we do not, each with a code of our own and a reason.

The verdict is keyed on codes, not on the SDK's state word: two independent engines agreed on that word for only half of 141
hard files. A rule either makes a credential invalid (it contradicts itself), or caps it at valid (the signer cannot be called
trusted), or only flags it.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from gioconda_core.types import Code, ProvenanceState
from provenance import codes
from provenance.keys import certificates
from provenance.keys.certificates import ACCEPTED_EKUS, OCSP_SIGNING, TIME_STAMPING
from provenance.trust.lists import Trust, TrustList
from provenance.vocabulary import ACTIONS, LABEL, SOURCE_TYPES

__all__ = [
    "TOLERATED",
    "Finding",
    "actions_of",
    "anchor_of",
    "decide",
    "failures_of",
    "findings",
    "list_of",
    "succeeded",
]

# What "Valid" tolerates: it says nothing about who signed.
# Nor does a named actor's identity that is on no identity list: the file is unchanged, that name is just not established.
TOLERATED = frozenset(
    {
        "signingCredential.untrusted",
        "cawg.x509.credential.untrusted",
        "cawg.identity.credential_untrusted",
        "cawg.ica.untrusted_issuer",
        "cawg.ica.did_unavailable",
    }
)


@dataclass(frozen=True)
class Finding:
    """One rule that was broken. cap : the best state that remains; None only flags."""

    code: str
    cap: ProvenanceState | None
    where: str = ""

    def as_code(self) -> Code:
        return codes.told(self.code, where=self.where)


def actions_of(manifest: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], bool]]:
    """(action, whether its assertion is created) for every action of a manifest. Old claims do not tell: theirs count as created."""
    old = manifest.get("claim_version", 1) == 1
    found = []
    for assertion in _assertions(manifest):
        if _base(assertion.get("label")) in ACTIONS:
            data = assertion.get("data")
            listed = data.get("actions") if isinstance(data, Mapping) else None
            for action in listed if isinstance(listed, list) else []:
                if isinstance(action, Mapping):
                    found.append((action, old or assertion.get("created") is True))
    return found


def _base(label: object) -> str:
    """An assertion's label without its instance number (``c2pa.actions.v2__1``)."""
    return str(label).split("__", 1)[0]


def _assertions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = manifest.get("assertions")
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []


def findings(
    manifest: Mapping[str, Any],
    chain: list[x509.Certificate],
    trust: Trust,
    matched: TrustList | None,
    signed_at: datetime.datetime | None,
) -> list[Finding]:
    """Every rule that the active manifest and its signer break.

    matched : the list of claim signers that the chain leads to; signed_at : the time in a trusted timestamp; without one,
    only now counts.
    """
    found = [*_claims(manifest)]
    found += _leaf(chain, trust)
    now = datetime.datetime.now(datetime.UTC)
    anchor = anchor_of(chain, matched.anchors) if matched and chain else None
    if matched and anchor and not anchor.not_valid_before_utc <= (signed_at or now) <= anchor.not_valid_after_utc:
        found.append(Finding("gioconda.anchor.expired", ProvenanceState.VALID, matched.name))
    if chain and signed_at is None and not chain[0].not_valid_before_utc <= now <= chain[0].not_valid_after_utc:
        found.append(Finding("gioconda.signer.expired", ProvenanceState.INVALID))
    return found


def list_of(chain: list[x509.Certificate], trust: Trust, kind: str) -> TrustList | None:
    """The list of one kind that a chain leads to.

    The SDK takes an authority on any list for any purpose: one that may only timestamp, or only attest identities, would make
    claim signers trusted. So the list is looked up again here, by its kind.
    """
    for item in trust.lists:
        if item.kind == kind and anchor_of(chain, item.anchors) is not None:
            return item
    return None


def _claims(manifest: Mapping[str, Any]) -> Iterable[Finding]:
    actions = actions_of(manifest)
    names = {str(action.get("action")) for action, _ in actions}
    ingredients = manifest.get("ingredients")
    relations = (
        {item.get("relationship") for item in ingredients if isinstance(item, Mapping)}
        if isinstance(ingredients, list)
        else set()
    )
    if "c2pa.created" in names and "parentOf" in relations:
        yield Finding("gioconda.actions.createdWithParent", ProvenanceState.INVALID)
    for action, created in actions:
        source = action.get("digitalSourceType")
        if source is not None and source not in SOURCE_TYPES:
            yield Finding("gioconda.sourceType.unknown", ProvenanceState.VALID)
        if action.get("action") == "c2pa.created" and not source and manifest.get("claim_version", 1) != 1:
            yield Finding("gioconda.sourceType.missing", None)
        if not created:
            yield Finding("gioconda.actions.gathered", None)
    labels = [item for item in _assertions(manifest) if _base(item.get("label")) == LABEL]
    if len(labels) > 1:
        yield Finding("gioconda.label.multiple", None)
    if any(item.get("created") is not True for item in labels):
        yield Finding("gioconda.label.gathered", None)


def _leaf(chain: list[x509.Certificate], trust: Trust) -> Iterable[Finding]:
    if not chain:
        yield Finding("gioconda.signer.undetermined", ProvenanceState.VALID)
        return
    leaf = chain[0]
    if certificates.fingerprint(leaf) in trust.revoked:
        yield Finding("gioconda.signer.revoked", ProvenanceState.VALID)
    try:
        purposes = {oid.dotted_string for oid in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
    except (x509.ExtensionNotFound, ValueError):
        purposes = set()
    if not purposes & set(ACCEPTED_EKUS):
        yield Finding("gioconda.signer.purpose", ProvenanceState.VALID, ", ".join(sorted(purposes)))
    elif purposes & {TIME_STAMPING, OCSP_SIGNING}:
        # A key that may also timestamp could vouch for its own signing time.
        yield Finding("gioconda.signer.purpose", ProvenanceState.VALID, ", ".join(sorted(purposes)))


def anchor_of(chain: list[x509.Certificate], anchors: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """The anchor a chain leads to: one of its own certificates, or the issuer of its last link. Prefers one that has not expired."""
    now = datetime.datetime.now(datetime.UTC)
    known = sorted(anchors, key=lambda item: item.not_valid_after_utc < now)
    by_print = {certificates.fingerprint(anchor): anchor for anchor in known}
    link = chain[0]
    for following in [*chain[1:], None]:
        if certificates.fingerprint(link) in by_print:
            return by_print[certificates.fingerprint(link)]
        for anchor in known:
            if _issued(link, anchor):
                return anchor
        if following is None or not _issued(link, following):
            return None
        link = following
    return None


@functools.lru_cache(maxsize=2048)
def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # cryptography raises several kinds for a signature that does not fit
        return False
    return True


def failures_of(document: Mapping[str, Any]) -> list[str]:
    """The failure codes that count against the active manifest's own validity, tolerated ones left out."""
    return [str(item.get("code")) for item in _findings(document, "failure") if item.get("code") not in TOLERATED]


def succeeded(document: Mapping[str, Any]) -> set[str]:
    """The success codes said of the active manifest itself: a success about another one is none of its own."""
    return {str(item.get("code")) for item in _findings(document, "success") if _own(document, item)}


def _findings(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    results = document.get("validation_results")
    top = results.get("activeManifest") if isinstance(results, Mapping) else None
    listed = top.get(key) if isinstance(top, Mapping) else None
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []


def _own(document: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    return f"/c2pa/{document.get('active_manifest')}/" in str(item.get("url", ""))


def decide(document: Mapping[str, Any], broken: Iterable[Finding] = ()) -> ProvenanceState | None:
    """The state from the SDK's codes and our rules; None when its answer cannot be relied upon (no state, or no findings)."""
    word = document.get("validation_state")
    results = document.get("validation_results")
    if word not in ("Invalid", "Valid", "Trusted") or not isinstance(results, Mapping):
        return None
    state = ProvenanceState.INVALID
    # An aggregator's key that lies elsewhere is not fetched offline, and the SDK calls the whole file invalid for it.
    unasked = any(item.get("code") == "cawg.ica.did_unavailable" for item in _findings(document, "failure"))
    if (word != "Invalid" or unasked) and not failures_of(document):
        state = ProvenanceState.VALID
        unknown = any(
            item.get("code") == "signingCredential.untrusted" and _own(document, item)
            for item in _findings(document, "failure")
        )
        if "signingCredential.trusted" in succeeded(document) and not unknown:
            state = ProvenanceState.TRUSTED
    order = [ProvenanceState.INVALID, ProvenanceState.VALID, ProvenanceState.TRUSTED]
    return min([state, *(item.cap for item in broken if item.cap is not None)], key=order.index)
