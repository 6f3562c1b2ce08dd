"""What a file's credential says as lines of English, a fact a line: for the command line and for logs."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from gioconda_core.types import CredentialReason, IngredientNode, Provenance, ProvenanceState, TrustScheme
from provenance.codes import CLOCK_FAULTS, UNANSWERED
from provenance.reading.rules import tolerated
from provenance.sanitise import items, tables

LEAVES = 30  # facts of one statement told in text; JSON has all

STATES = {
    ProvenanceState.ABSENT: "no Content Credentials were found; this says nothing either way",
    ProvenanceState.UNREADABLE: "no verdict",
    ProvenanceState.INVALID: "Content Credentials are there and do not hold",
    ProvenanceState.VALID: "what was signed is unchanged; who signed is not established by a trust list",
    ProvenanceState.TRUSTED: "what was signed is unchanged, and its signer is on a trust list; not a statement that the scene happened",
}


_LISTED = {  # who signed is on whose list
    TrustScheme.OFFICIAL: "on C2PA’s trust list",
    TrustScheme.INTERIM: "on C2PA’s interim trust list",
    TrustScheme.IPTC: "on IPTC’s list of verified news publishers",
}

REASONS = {
    CredentialReason.ALTERED: "what was signed was changed since, or the credential is another file's",
    CredentialReason.EXPIRED: "unaltered since a signature whose certificate was not valid at the time that counts",
    CredentialReason.SIGNER: "the certificate behind the signature may not be relied on",
    CredentialReason.INCOMPLETE: "not checked in full, a part is missing; that does not show that anything was changed",
    CredentialReason.INGREDIENT: "what was signed is unchanged; the credential of something that went into it does not hold",
    CredentialReason.CONTRADICTORY: "the credential states two things that exclude each other",
    CredentialReason.MALFORMED: "a credential is there and is not written as the standard asks",
    CredentialReason.DOUBTED: "what was signed is unchanged; a rule given below stands against calling its signer trusted",
    CredentialReason.IDENTITY: "a statement about a named person or organisation in it does not hold, which reaches no further",
    CredentialReason.UNSUPPORTED: "no credential can lie in this kind of file",
    CredentialReason.REMOTE: "the credential is kept elsewhere and was not fetched (--online fetches it)",
    CredentialReason.DAMAGED: "the file is damaged, cut off, or not what its name says",
    CredentialReason.UNJUDGED: "the findings of the SDK contradict each other or give no reason",
}


def lines(found: Provenance, *, every_code: bool = False) -> Iterator[str]:
    """What a person needs, one fact a line, the most important first."""
    state = STATES[found.state]
    if found.state == ProvenanceState.TRUSTED and found.trust_scheme in _LISTED:
        state = state.replace("on a trust list", _LISTED[found.trust_scheme])
    what = [REASONS[found.reason]] if found.reason else [state]
    if found.reason is CredentialReason.IDENTITY:  # it decides nothing of the rest
        what.insert(0, state)
    yield f"{found.state}: {': '.join(what)}"
    if found.state == ProvenanceState.ABSENT:
        return
    if found.signer or found.signer_fingerprint:
        name = (
            f"{found.signer} (the name is the certificate's own;"
            if found.signer
            else "unnamed (the certificate has no name;"
        )
        yield f"signer: {name} sha256 {found.signer_fingerprint})"
    if found.development_key:
        yield "signed with a Gioconda development key: it proves nothing about who signed"
    if found.trust_list:
        yield f"trust list: {found.trust_list}"
    elif found.signer:
        yield f"trust lists looked through: {', '.join(found.trust_lists) or 'none'}"
    if found.signed_at:
        kind = "by a trusted timestamp" if found.timestamped else "as the timestamp states, not trusted"
        yield f"signed at: {found.signed_at} ({kind})"
    if found.expires_at:
        yield f"certificate {_until(found)}"
    if found.claim_generator:
        yield f"made with: {found.claim_generator}"
    if found.says_ai:
        made = "something that it was made from" if found.ai_inherited else "it, or part of it"
        yield f"the credential itself says that a trained model made {made}"
    for action in found.actions:
        yield f"action: {_action(action)}"
    for source in found.source_types:
        yield f"source type: {source}"
    for source in found.inherited_source_types:
        yield f"source type of what it was made from: {source}"
    for identity in found.identities:
        vouched = f"vouched for by {', '.join(identity['lists'])}" if identity["trusted"] else "not established"
        roles = "".join(f", {role}" for role in items(identity["roles"]))
        yield f"identity: {identity['name']}{roles} ({vouched})"
    if found.label:
        yield f"label: {found.label.get('label', '?')}, {found.label.get('task', '?')}, {found.label.get('generator', '?')}"
    for statement in found.statements:
        by = "" if statement["created"] else " (reported, not stated by the signer)"
        for name, value in list(leaves(statement["data"]))[:LEAVES] or [("", "")]:
            yield f"states: {statement['label']}{f' {name}: {value}' if name else ''}{by}"
    for binding in found.soft_bindings:
        values = [str(block.get("value")) for block in tables(binding.get("blocks"))]
        yield f"mark in the pixels, if it survived: {', '.join(values) or '?'} ({binding.get('alg', '?')})"
    for uri in found.redacted:
        yield f"taken out: {uri}"
    for node in found.ingredients:
        yield from _tree(node, 0)
    for code in found.codes:
        if every_code or code.kind in ("failure", "policy") or code.code in CLOCK_FAULTS + UNANSWERED:
            where = f" [{code.where}]" if code.where else ""
            kind = "note" if tolerated(code.code) else code.kind
            yield f"{kind}: {code.code}: {code.sentence}{where}"
    if found.sidecar:
        yield "read from a sidecar (.c2pa) beside the file"
    yield f"read with: {found.sdk}"


def _until(found: Provenance) -> str:
    """What becomes, or has become, of a verdict when the certificate ends."""
    past = datetime.datetime.fromisoformat(str(found.expires_at)) < datetime.datetime.now(datetime.UTC)
    if found.timestamped:
        shows = "was made outside its validity" if found.reason == CredentialReason.EXPIRED else "is older"
        return f"{'expired on' if past else 'until'}: {found.expires_at} (a trusted timestamp shows that the signature {shows})"
    if past:
        return f"expired on: {found.expires_at} (no trusted timestamp shows that the signature is older)"
    return f"until: {found.expires_at} (without a trusted timestamp, the signing time is not proven after that)"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value) of each single fact in a statement's data; every member of a list has the list's name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not str(key).startswith("@context"):
                yield from leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, name)
    elif value not in (None, ""):
        yield name or "value", str(value)


def _action(action: Mapping[str, Any]) -> str:
    """``c2pa.edited, with Studio 3, on 2026-05-01: what was done``, as far as it is told."""
    agent = action.get("softwareAgent")
    if isinstance(agent, Mapping):
        agent = " ".join(str(agent[key]) for key in ("name", "version") if agent.get(key))
    text = str(action.get("action", "?"))
    text += f", with {agent}" if agent else ""
    text += f", on {action['when']}" if action.get("when") else ""
    text += f": {action['description']}" if action.get("description") else ""
    return text if action.get("created") else f"{text} (reported, not stated by the signer)"


def _tree(node: IngredientNode, depth: int) -> Iterator[str]:
    by = f", names {node.signer} as signer" if node.signer else ""
    broken = f", did not validate: {', '.join(code.code for code in node.failures)}" if node.failures else ""
    yield f"{'  ' * depth}ingredient: {node.title or '(untitled)'} ({node.relationship}{by}{broken})"
    for child in node.children:
        yield from _tree(child, depth + 1)
