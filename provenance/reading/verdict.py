"""Make a verdict of what the SDK found: our state and codes, the signer, what is claimed, the ingredients."""

import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from gioconda_core.types import Code, CredentialReason, ListRead, Provenance, ProvenanceState, TrustScheme
from provenance import codes, sanitise
from provenance.keys import certificates, keys
from provenance.reading import cose, coverage, describe, ingredients, rules
from provenance.reading.open import Opened, unreadable
from provenance.sanitise import table, tables
from provenance.sdk import engine
from provenance.trust.lists import Trust, TrustList
from provenance.vocabulary import LABEL, SOFT_BINDING

_LISTED = ("created_assertions", "gathered_assertions", "assertions")  # what a claim names with its hash
_HASHES = frozenset(("sha256", "sha384", "sha512"))  # C2PA 2.4, 13.1
_CLAIMS = 100  # looked at for what they took out
_KINDS = ("success", "informational", "failure")


@dataclass
class _Evidence:
    """What our lists make of a signature. matched : the list of signers that the chain leads to; signed_at : by a trusted timestamp.

    broken : rules that it breaks; wrong : codes of the SDK that do not hold by our lists.
    """

    chain: list[x509.Certificate]
    leaf: str
    matched: TrustList | None = None
    signed_at: datetime.datetime | None = None
    broken: list[rules.Finding] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)


def _evidence(found: Opened, said: set[str], stated: datetime.datetime | None, trust: Trust) -> _Evidence:
    """Who signed and when, by our lists. said : the SDK's successes; stated : the time in the timestamp."""
    chain = cose.chain_of(found.plain, found.label)
    made = _Evidence(chain, certificates.fingerprint(chain[0]) if chain else "")
    if {"timeStamp.validated", "timeStamp.trusted"} <= said:
        if _clocked(found.clock(), trust, stated):
            made.signed_at = stated
        else:
            made.broken.append(rules.Finding("gioconda.timestamp.otherList", None))
            made.wrong.add("timeStamp.trusted")
    made.matched = rules.list_of(chain, trust, "manifest") if chain else None
    if "signingCredential.trusted" in said and chain and made.matched is None:
        made.broken.append(rules.Finding("gioconda.anchor.otherList", ProvenanceState.VALID))
        made.wrong.add("signingCredential.trusted")
    expired = rules.expired(chain, made.signed_at)
    if expired:
        made.wrong.add("claimSignature.insideValidity")
    refused = {"signingCredential.expired", "signingCredential.invalid"}
    stopped = expired or not refused.isdisjoint(rules.failures_of(found.document))
    if made.matched and (stopped or rules.outdated(chain, made.matched, made.signed_at)):
        # The SDK follows no chain from a certificate that has expired or may not sign, nor to an authority that had expired; the list is known.
        # Of a claim of version 1 any clock's time counts for it, though an unlisted one's proves nothing (C2PA 2.4, 15.8): such a claim stays
        # expired, since what else the SDK asks of a certificate it has not asked then.
        made.wrong.add(rules.UNKNOWN_SIGNER)
    elif "signingCredential.trusted" not in said:
        made.matched = None
    made.broken += rules.findings(found.active, chain, trust, made.matched, made.signed_at)
    return made


Ask = Callable[[list[x509.Certificate], datetime.datetime | None, list[bytes]], Code | None]


def judge(found: Opened, trust: Trust, *, ask: Ask | None = None, thumbnails: bool = True) -> Provenance:
    """Turn what the SDK found into our states and codes.

    ask : whether a chain's leaf was revoked, given the time of a trusted timestamp and the issuer's answers that lie beside the signature.
    """
    document, active = found.document, found.active
    results = document.get("validation_results")
    if not active or not isinstance(results, Mapping) or not isinstance(results.get("activeManifest"), Mapping):
        return _headless(document)
    if found.lacks:  # nothing was compared with the file's bytes, whatever the SDK says of them
        document = rules.unbound(document)
    if odd := _unknown_hashes(found):  # which the SDK cannot compute
        document = rules.unbound(document, "assertion.hashedURI.mismatch")
    said = rules.succeeded(document)
    stated = _time(table(active.get("signature_info")).get("time"))
    evidence = _evidence(found, said, stated, trust)
    evidence.broken = [*_of_bytes(found, document, odd), *evidence.broken]
    extra = _asked(ask, evidence, found) if ask else []
    decision = rules.decide(rules.without(document, evidence.wrong & {rules.UNKNOWN_SIGNER}), evidence.broken)
    listed = _reported(rules.without(document, evidence.wrong)) + extra
    if decision is None or (decision.state == ProvenanceState.TRUSTED and not _known(results, evidence, trust)):
        listed.append(codes.told("gioconda.state.contradiction"))
        return unreadable(CredentialReason.UNJUDGED, "the SDK's state contradicts its findings", *listed)
    tree = ingredients.Tree(found, thumbnails=thumbnails)
    capped = any(item.cap == ProvenanceState.VALID for item in evidence.broken)
    doubted = capped or decision.reason == CredentialReason.SIGNER or "claimSignature.validated" not in said
    signer = None if doubted else evidence.matched  # beside a signature that does not fit anybody can put a certificate
    says_ai, development = rules.says_ai(active), bool(evidence.chain) and keys.is_development(evidence.chain[0])
    broken = [codes.told(finding.code, where=finding.where) for finding in evidence.broken]
    ours = [*broken, *tree.flags, *_notes(decision, signer, development)]
    looked_through = tuple(_read_of(item, item is signer) for item in trust.lists)
    return Provenance(
        decision.state,
        decision.reason,
        decided_by=decision.codes,
        **_signer(evidence, active),
        signed_at=stated.isoformat() if stated else None,
        claim_generator=_generator(active),
        actions=_actions(active),
        source_types=tuple(map(sanitise.text, rules.source_types(active))),
        inherited_source_types=tuple(tree.source_types),
        says_ai=says_ai or tree.says_ai,
        ai_inherited=tree.says_ai and not says_ai,
        development_key=development,
        label=_label(active),
        ingredients=tree.nodes,
        codes=tuple(dict.fromkeys([*listed, *ours, *found.notes])),  # the SDK reports some findings twice
        trust_lists=tuple(map(describe.searched, looked_through)),
        lists=looked_through,
        sidecar=found.sidecar,
        sdk=engine.sdk(),
        manifest_count=len(document["manifests"]),
        soft_bindings=_plain(rules.soft_bindings(active)),
        inherited_soft_bindings=_plain(tree.soft_bindings),
        identities=_identities(found, listed, trust),
        statements=_statements(active),
        redacted=_redacted(found, tree.manifests),
        **(_listed(signer) if signer else {}),
    )


def _asked(ask: Ask, evidence: _Evidence, found: Opened) -> list[Code]:
    """What the issuer says of the certificate, and what that makes of the evidence."""
    answer = ask(evidence.chain, evidence.signed_at, cose.stapled_to(found.plain, found.label))
    if answer is None:
        return []
    evidence.wrong.add("signingCredential.ocsp.skipped")  # what the SDK says about not having asked no longer holds
    if answer.kind == "failure":
        evidence.broken.append(rules.Finding("gioconda.signer.revokedByIssuer", ProvenanceState.INVALID))
    return [answer]


def _of_bytes(found: Opened, document: Mapping[str, Any], odd: str) -> Iterator[rules.Finding]:
    """What stands against relying on what was compared with the file. odd : hashes that could not be."""
    if found.lacks:
        yield rules.Finding(found.lacks, ProvenanceState.INVALID)
    elif not rules.altered(document):
        yield from coverage.findings(found)  # of a hash that is another file's there is nothing to say here
    if odd:
        yield rules.Finding("gioconda.hash.unsupported", ProvenanceState.INVALID, odd)


def _signer(evidence: _Evidence, active: Mapping[str, Any]) -> dict[str, Any]:
    """The signer and the certificate, as a verdict gives them; the name alone proves nothing."""
    leaf = evidence.chain[0] if evidence.chain else None
    return {
        "signer": sanitise.joined(certificates.names(leaf) if leaf else rules.names_of(active)) or None,
        "signer_fingerprint": evidence.leaf or None,
        "timestamped": evidence.signed_at is not None,
        "expires_at": leaf.not_valid_after_utc.isoformat() if leaf else None,
    }


def _unknown_hashes(found: Opened) -> str:
    """The hashes of the active claim that the standard does not allow, where there are any: the SDK says of each that what it is of was changed."""
    claim = table(cose.claim(found.plain, found.label))
    listed = [item for kind in _LISTED for item in tables(claim.get(kind))]
    named = {str(item["alg"]) for item in (claim, *listed) if item.get("alg") is not None}
    return sanitise.text(", ".join(sorted(named - _HASHES)), 100)


def _known(results: Mapping[str, Any], evidence: _Evidence, trust: Trust) -> bool:
    """Whether the list that the SDK trusted by is one of those given; of a certificate that is listed itself it names none."""
    uri = results.get("trustListUri")
    listed = evidence.matched is not None and evidence.leaf in evidence.matched.leaves
    return any(item.uri == uri for item in trust.lists) or (not uri and listed)


def _listed(signer: TrustList) -> dict[str, Any]:
    """The list that names the signer, as a verdict gives it."""
    return {
        "trust_list": describe.named_list(_read_of(signer)),
        "trust_list_date": signer.date,
        "trust_scheme": signer.scheme,
        "trust_list_update": signer.next_update or None,
    }


def _notes(decision: rules.Decision, signer: TrustList | None, development: bool) -> Iterator[Code]:
    """What a reader should know of the signer and the list, beside the rules that are broken."""
    if decision.identity:
        yield codes.told(rules.IDENTITY_FAILED, where=", ".join(decision.identity))
    if development:
        yield codes.told("gioconda.signer.development")
    if signer and signer.scheme == TrustScheme.INTERIM:
        yield codes.told("gioconda.list.interim", where=signer.name)
    if signer and signer.overdue():
        yield codes.told("gioconda.list.overdue", where=f"{signer.name}: {signer.next_update}")


def _reported(document: Mapping[str, Any]) -> list[Code]:
    """The codes that the SDK gives of the active manifest."""
    top = table(table(document.get("validation_results")).get("activeManifest"))
    return [codes.reported(item, kind) for kind in _KINDS for item in tables(top.get(kind))]


def _headless(document: Mapping[str, Any]) -> Provenance:
    """A verdict on a store whose active manifest the SDK does not show: by its codes where it gives any, else none."""
    listed = _reported(document) or [
        codes.reported(item, "failure") for item in tables(document.get("validation_status"))
    ]
    failed = [code.code for code in listed if code.kind == "failure" and not rules.tolerated(code.code)]
    if not failed:
        told = codes.told("gioconda.state.contradiction")
        return unreadable(CredentialReason.UNJUDGED, "the SDK gives no findings", *listed, told)
    reason, deciding = rules.deciding(failed)
    return Provenance(ProvenanceState.INVALID, reason, decided_by=deciding, codes=tuple(listed), sdk=engine.sdk())


def _clocked(clock: list[x509.Certificate], trust: Trust, stated: datetime.datetime | None) -> bool:
    """Whether a timestamp's authority is on a list of timestamp authorities, may timestamp, and was valid at the time it states."""
    if not clock or stated is None or rules.list_of(clock, trust, "tsa") is None:
        return False
    return certificates.valid(clock[0], stated) and certificates.TIME_STAMPING in certificates.purposes(clock[0])


def _read_of(item: TrustList, names_signer: bool = False) -> ListRead:
    stated = item.name, item.kinds, item.date, item.sha256, item.scheme, item.next_update, item.unread
    return ListRead(*stated, names_signer)


def _time(value: object) -> datetime.datetime | None:
    try:
        parsed = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)


def _generator(active: Mapping[str, Any]) -> str | None:
    names = [
        f"{item.get('name', '')} {item.get('version', '')}".strip()
        for item in tables(active.get("claim_generator_info"))
    ]
    said = ", ".join(name for name in names if name) or str(active.get("claim_generator") or "")
    return sanitise.text(said, 200) or None


def _actions(active: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    listed = [{**sanitise.plain(action), "created": created} for action, created in rules.actions_of(active)]
    return tuple(listed[:200])


def _label(active: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The label, when exactly one is there and the signer states it."""
    found = rules.assertions_of(active, LABEL)
    if len(found) != 1 or found[0].get("created") is not True or not isinstance(found[0].get("data"), Mapping):
        return None
    label: Mapping[str, Any] = sanitise.plain(found[0]["data"])
    return label


def _plain(found: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(map(sanitise.plain, found[:20]))


# Told elsewhere, in words or as the verdict itself; a claim's own thumbnail may show anything, and is neither shown nor held against the picture.
_ELSEWHERE = ("c2pa.actions", "c2pa.hash.", "c2pa.ingredient", "c2pa.thumbnail", "cawg.identity", SOFT_BINDING, LABEL)


def _statements(active: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """What else was signed: author, capture data, use for training, disclosure of AI, statements of anybody's own."""
    found = []
    for item in tables(active.get("assertions")):
        label = str(item.get("label"))
        if not label.startswith(_ELSEWHERE):
            own = active.get("claim_version", 1) == 1 or item.get("created") is True
            found.append({"label": sanitise.text(label, 120), "created": own, "data": sanitise.plain(item.get("data"))})
    return tuple(found[:40])


def _identities(opened: Opened, listed: list[Code], trust: Trust) -> tuple[Mapping[str, Any], ...]:
    """CAWG identity statements: who is named, in which role, and whether an identity list vouches for it."""
    place = f"/c2pa/{opened.label}/c2pa.assertions/cawg.identity"  # and not an ingredient's
    about = [code for code in listed if code.where.endswith(place)]
    failed = Counter(code.code for code in about if code.kind == "failure")
    # The SDK asks who an aggregator is only once its signature holds; whom to believe is the lists' to say.
    ends = (".trusted", "credential_valid", "untrusted_issuer")
    vouched = any(code.kind != "failure" and code.code.endswith(ends) for code in about)
    found = [_identity(opened, item, trust) for item in rules.assertions_of(opened.active, "cawg.identity")[:20]]
    # Of several statements the SDK does not say which one failed, only how often one did: each that nothing speaks against may be it.
    may = {code: [one for one, (_, refuted) in enumerate(found) if not code.startswith(refuted)] for code in failed}
    may = {code: those or list(range(len(found))) for code, those in may.items()}  # what would be nobody's
    made = []
    for one, (facts, _) in enumerate(found):
        about_it = [code for code, those in may.items() if one in those]
        own = [code for code in about_it if failed[code] >= len(may[code])]
        trusted = bool(facts["lists"] and vouched) and not about_it
        doubts = [code for code in about_it if code not in own]
        lists = facts["lists"] if trusted else []
        made.append({**facts, "trusted": trusted, "failures": own, "doubts": doubts, "lists": lists})
    return tuple(made)


def _identity(opened: Opened, item: Mapping[str, Any], trust: Trust) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What one identity statement says and which lists name who vouches for it; and the beginnings of codes that cannot be about it."""
    data = table(item.get("data"))
    said = table(data.get("c2paAsset")) or table(data.get("signer_payload"))  # an aggregator's has a shape of its own
    issuer, refuted = "", ["cawg.x509."]
    if "c2paAsset" in data or said.get("sig_type") == "cawg.identity_claims_aggregation":
        names = [one.get("name") or one.get("username") for one in tables(data.get("verifiedIdentities"))]
        issuer = str(data.get("issuer") or "").split("#", 1)[0]
        known = {"did_unavailable": "did:jwk:", "invalid_did_document": "did:web:"}
        refuted += [f"cawg.ica.{code}" for code, method in known.items() if issuer.startswith(method)]
        refuted += ["cawg.ica.invalid_issuer"] if issuer.startswith(tuple(known.values())) else []
        refuted += [] if data.get("validUntil") else ["cawg.ica.valid_until"]
        lists = [entry.name for entry in trust.lists if issuer in entry.issuers]
    else:
        number = item.get("instance")  # of several the SDK gives it apart from the label
        name = f"cawg.identity__{number}" if number else "cawg.identity"
        chain = cose.identity_of(opened.plain, opened.label, name)
        entry = rules.list_of(chain, trust, "cawg") if chain else None
        lists = [entry.name] if entry else []
        holds = "signature_info" in data  # put there by the SDK, in place of the signature, once it fits
        names = rules.names_of(data) if holds or not chain else list(certificates.names(chain[0]))
        refuted = ["cawg.ica.", *(["cawg.x509.signature.mismatch"] if holds else [])]
        if chain and not rules.expired(chain, None):
            refuted += ["cawg.x509.signature.outside_validity", *(["cawg.x509.credential.untrusted"] if lists else [])]
    facts = {
        "name": sanitise.joined(names),
        "roles": sanitise.plain(said.get("role") or []),
        "kind": sanitise.text(said.get("sig_type", ""), 60),
        "issuer": sanitise.text(issuer, 300),
        "lists": lists,
    }
    return facts, tuple(refuted)


def _redacted(found: Opened, manifests: Iterable[str]) -> tuple[str, ...]:
    """The statements that these manifests took out of earlier ones: a claim lists them, an action for each is only recommended (C2PA 2.4, 6.8)."""
    uris: list[object] = []
    for label in itertools.islice(manifests, _CLAIMS):
        listed = table(cose.claim(found.plain, label)).get("redacted_assertions")
        uris += listed if isinstance(listed, list) else []
    return tuple(dict.fromkeys(sanitise.text(uri, 300) for uri in uris if isinstance(uri, str)))
