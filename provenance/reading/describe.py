"""What a file's credential says, a fact a line, in each language (``read.toml``): for the command line and for logs."""

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gioconda_core import words
from gioconda_core.types import CredentialReason, IngredientNode, ListRead, Provenance, ProvenanceState, TrustScheme
from provenance import codes
from provenance.codes import CLOCK_FAULTS, UNANSWERED
from provenance.reading.rules import tolerated
from provenance.sanitise import items, leaves, tables

Said = Callable[..., str]  # the text of a key, with what is put into it
LEAVES = 30  # facts of one statement told in text; JSON has all


def sentences(lang: str = "en") -> dict[str, str]:
    """What is told, by its key (``signer``, ``reason-altered``), in a language; what is in braces is of the file."""
    return words.sentences("provenance", "read.toml", lang)


def state(of: ProvenanceState, lang: str = "en", scheme: TrustScheme | None = None) -> str:
    """What a state means, in a language. scheme : of a trusted one, whose list names the signer."""
    texts = sentences(lang)
    return texts[f"state-{of}"].format(listed=texts[f"listed-{scheme or TrustScheme.OWN}"])


def reason(why: CredentialReason, lang: str = "en") -> str:
    """What decided a state, in a language."""
    return sentences(lang)[f"reason-{why}"]


def named_list(one: ListRead, lang: str = "en") -> str:
    """A trust list by its name, with what is known of it in brackets, in a language."""
    texts = sentences(lang)
    about = [texts.get(f"whose-{one.scheme}"), one.date]
    about += [texts["next-due"].format(date=one.next_update)] if one.next_update else []
    about.append(f"sha256 {one.sha256[:12]}…")
    about += (
        [texts["certificates-unread"].format(numbers=words.joined(map(str, one.unread), lang))] if one.unread else []
    )
    return texts["list-named"].format(name=one.name, about=words.joined(filter(None, about), lang))


def searched(one: ListRead, lang: str = "en") -> str:
    """A trust list that was looked through, after what it was looked through for."""
    return words.colon(lang).join(("+".join(one.kinds), named_list(one, lang)))


def signers_list(found: Provenance, lang: str) -> str:
    """The list that names the signer; empty where none does."""
    return next((named_list(one, lang) for one in found.lists if one.names_signer), found.trust_list or "")


def lines(found: Provenance, *, lang: str = "en", every_code: bool = False) -> Iterator[str]:
    """What a person needs, one fact a line, the most important first."""
    texts, sentence_of, wanted = sentences(lang), codes.sentences(lang), CLOCK_FAULTS + UNANSWERED
    colon = words.colon(lang)

    def told(key: str, **args: object) -> str:
        return texts[key].format(**args)

    what = [reason(found.reason, lang)] if found.reason else []
    if found.reason in (None, CredentialReason.IDENTITY):  # an identity decides nothing of the rest
        what.insert(0, state(found.state, lang, found.trust_scheme))
    yield colon.join((found.state, *what))
    if found.state != ProvenanceState.ABSENT:
        yield from _facts(found, lang, told)
    for code in found.codes:
        if every_code or code.kind in ("failure", "policy") or code.code in wanted:
            kind, where = "note" if tolerated(code.code) else code.kind, f" [{code.where}]" if code.where else ""
            sentence = sentence_of.get(code.code, code.sentence)
            yield colon.join((told(f"kind-{kind}"), code.code, f"{sentence}{where}"))
    if found.sidecar:
        yield told("sidecar")
    if found.state != ProvenanceState.ABSENT:
        yield told("read-with", sdk=found.sdk)


def _facts(found: Provenance, lang: str, told: Said) -> Iterator[str]:
    if found.signer:
        yield told("signer", name=found.signer, sha256=found.signer_fingerprint)
    elif found.signer_fingerprint:
        yield told("signer-unnamed", sha256=found.signer_fingerprint)
    if found.development_key:
        yield told("development")
    if found.trust_list:
        yield told("list", list=signers_list(found, lang))
    elif found.signer:
        listed = words.joined((searched(one, lang) for one in found.lists), lang)
        yield told("lists", lists=listed or told("none"))
    if found.signed_at:
        yield told("signed-at-trusted" if found.timestamped else "signed-at-stated", time=found.signed_at)
    if found.expires_at:
        yield _certificate(found, told)
    if found.claim_generator:
        yield told("made-with", generator=found.claim_generator)
    if found.says_ai and found.reason != CredentialReason.ALTERED:  # it may be another file's
        yield told("says-ai-inherited" if found.ai_inherited else "says-ai")
    for action in found.actions:
        yield told("action", action=_action(action, told))
    for source in found.source_types:
        yield told("source", source=source)
    for source in found.inherited_source_types:
        yield told("source-inherited", source=source)
    for one in found.identities:
        vouched = told("vouched", lists=words.joined(one["lists"], lang)) if one["trusted"] else told("not-established")
        roles = "".join(told("role", role=role) for role in items(one["roles"]))
        yield told("identity", name=one["name"] or "?", roles=roles, vouched=vouched)
    if found.label:
        yield told("label", **{key: found.label.get(key, "?") for key in ("label", "task", "generator")})
    for statement in statements(found, lang):
        yield told("states", statement=statement)
    for binding in found.soft_bindings:
        values = [str(block.get("value")) for block in tables(binding.get("blocks"))]
        yield told("mark", values=words.joined(values, lang) or "?", algorithm=binding.get("alg", "?"))
    for uri in found.redacted:
        yield told("taken-out", uri=uri)
    for node in found.ingredients:
        yield from _tree(node, 0, lang, told)


def _certificate(found: Provenance, told: Said) -> str:
    """What becomes, or has become, of a verdict when the certificate ends."""
    past = datetime.datetime.fromisoformat(str(found.expires_at)) < datetime.datetime.now(datetime.UTC)
    if found.timestamped:
        why = "why-outside" if found.reason == CredentialReason.EXPIRED else "why-older"
    else:
        why = "why-unshown" if past else "why-unproven"
    return told("certificate-expired" if past else "certificate-until", date=found.expires_at, why=told(why))


def statements(found: Provenance, lang: str) -> Iterator[str]:
    """Everything else that was signed, a fact a line: author, capture data, use for training, disclosure of AI, anybody's own."""
    for statement in found.statements:
        by = "" if statement["created"] else f" ({sentences(lang)['reported']})"
        for name, value in list(leaves(statement["data"]))[:LEAVES] or [("", "")]:
            yield f"{statement['label']}{f' {name}: {value}' if name else ''}{by}"


def _action(action: Mapping[str, Any], told: Said) -> str:
    """``c2pa.edited, with Studio 3, on 2026-05-01: what was done``, as far as it is told."""
    agent = action.get("softwareAgent")
    if isinstance(agent, Mapping):
        agent = " ".join(str(agent[key]) for key in ("name", "version") if agent.get(key))
    text = str(action.get("action", "?"))
    text += told("with", agent=agent) if agent else ""
    text += told("on", when=action["when"]) if action.get("when") else ""
    text += f": {action['description']}" if action.get("description") else ""
    return text if action.get("created") else f"{text} ({told('reported')})"


def _tree(node: IngredientNode, depth: int, lang: str, told: Said) -> Iterator[str]:
    names = told("names", signer=node.signer) if node.signer else ""
    broken = told("broken", codes=words.joined((code.code for code in node.failures), lang)) if node.failures else ""
    facts = {"relationship": node.relationship, "names": names, "broken": broken}
    yield "  " * depth + told("ingredient", title=node.title or told("untitled"), **facts)
    for child in node.children:
        yield from _tree(child, depth + 1, lang, told)
