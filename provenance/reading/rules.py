"""Apply our own policy to the SDK's findings: what it accepts and we do not, each with a code of our own and a reason.

The verdict is keyed on codes, not on the SDK's state word: two independent engines agreed on that word for only half of 141
hard files. A rule either makes a credential invalid (it contradicts itself), or caps it at valid (the signer cannot be called
trusted), or only flags it.
"""

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from gioconda_core.types import CredentialReason, ProvenanceState
from provenance.keys import certificates
from provenance.keys.certificates import ACCEPTED_EKUS, OCSP_SIGNING, TIME_STAMPING
from provenance.sanitise import leaves, plain, table, tables
from provenance.trust.lists import Trust, TrustList
from provenance.vocabulary import ACTIONS, AI_DISCLOSURE, LABEL, SOFT_BINDING, SOURCE_TYPES, names_ai

UNKNOWN_SIGNER = "signingCredential.untrusted"
IDENTITY_FAILED = "gioconda.identity.failed"
ALONE = "gioconda.asset.alone"
SEGMENTS = "gioconda.asset.segments"
UNFIT = "gioconda.asset.unfitSegments"
MISSING = "gioconda.asset.missingSegments"
CONTENT = "gioconda.binding.content"  # the signed hash leaves out something that is shown or heard
CUT_OFF = "gioconda.asset.cutOff"
ANOTHERS = "gioconda.sidecar.anothers"  # what lies beside the file by its name is another one's
ELSEWHERE = "gioconda.manifest.unread"  # another credential was not read
PRIVATE = "gioconda.statement.private"
PARTIAL = "gioconda.binding.partial"  # it leaves out something else
# A name on no identity list is not established, which is no fault of the statement.
_UNESTABLISHED = frozenset(
    {
        "cawg.x509.credential.untrusted",
        "cawg.identity.credential_untrusted",
        "cawg.ica.untrusted_issuer",
        "cawg.ica.did_unavailable",
    }
)
_REASONS = {
    "signingCredential.expired": CredentialReason.EXPIRED,
    "claimSignature.outsideValidity": CredentialReason.EXPIRED,
    "gioconda.signer.expired": CredentialReason.EXPIRED,
    "gioconda.signer.revokedByIssuer": CredentialReason.SIGNER,
    "algorithm.unsupported": CredentialReason.SIGNER,
    # What is missing is a field or an action that ought to be written, and no part that could be looked for.
    "assertion.required.missing": CredentialReason.MALFORMED,
    "assertion.action.missing": CredentialReason.MALFORMED,
    "gioconda.actions.createdWithParent": CredentialReason.CONTRADICTORY,
    "gioconda.ingredient.failure": CredentialReason.INGREDIENT,
    ALONE: CredentialReason.INCOMPLETE,
    SEGMENTS: CredentialReason.INCOMPLETE,
    UNFIT: CredentialReason.INCOMPLETE,
    MISSING: CredentialReason.INCOMPLETE,
}
_ALTERED = frozenset(
    ("mismatch", "hashMismatch", "unknownBox", "undeclared", "incorrectFileCount", "incorrectItemCount")
)
_MISSING = frozenset(("missing", "missingPart", "inaccessible"))
# The gravest first: a file that was changed is not excused by an old certificate, nor one that is not whole.
_GRAVEST = (
    CredentialReason.ALTERED,
    CredentialReason.SIGNER,
    CredentialReason.CONTRADICTORY,
    CredentialReason.MALFORMED,
    CredentialReason.INGREDIENT,
    CredentialReason.INCOMPLETE,
    CredentialReason.EXPIRED,
)


def tolerated(code: str) -> bool:
    """Whether a failure leaves the file valid: who signed is not established, or an identity statement (CAWG) does not hold.

    A fault of such a statement reaches that statement only (CAWG identity assertion 1.3, section 8).
    """
    return code == UNKNOWN_SIGNER or code.startswith("cawg.")


def reason_of(code: str) -> CredentialReason:
    """What kind of fault a failure is."""
    known = _REASONS.get(code)
    if known:
        return known
    family, last = code.split(".", 1)[0], code.rsplit(".", 1)[-1]
    if family == "signingCredential":
        return CredentialReason.SIGNER
    if last in _ALTERED:
        return CredentialReason.ALTERED
    if last in _MISSING and family != "claim":
        return CredentialReason.INCOMPLETE
    return CredentialReason.MALFORMED


def deciding(failed: Iterable[str]) -> tuple[CredentialReason, tuple[str, ...]]:
    """The kind of fault that decides, of several failures, and those that are of this kind."""
    kinds = {code: reason_of(code) for code in failed}
    gravest = min(kinds.values(), key=_GRAVEST.index)
    return gravest, tuple(code for code, kind in kinds.items() if kind == gravest)


def expired(chain: list[x509.Certificate], signed_at: datetime.datetime | None) -> bool:
    """Whether the signing certificate was not valid at the only time that can be shown: a trusted timestamp's, else now."""
    return bool(chain) and not certificates.valid(chain[0], signed_at)


def outdated(chain: list[x509.Certificate], listed: TrustList, signed_at: datetime.datetime | None) -> bool:
    """Whether the authority on a list that a chain leads to was outside its own validity at that time."""
    anchor = anchor_of(chain, listed.anchors) if chain else None
    return anchor is not None and not certificates.valid(anchor, signed_at)


@dataclass(frozen=True)
class Decision:
    """A state, what decided it where it is not plain, and the codes that did. identity : those of identity statements that do not hold."""

    state: ProvenanceState
    reason: CredentialReason | None = None
    codes: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One rule that was broken. cap : the best state that remains; None only flags."""

    code: str
    cap: ProvenanceState | None
    where: str = ""


def actions_of(manifest: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], bool]]:
    """(action, whether its assertion is created) for every action of a manifest. Old claims do not tell: theirs count as created."""
    old = manifest.get("claim_version", 1) == 1
    return [
        (action, old or assertion.get("created") is True)
        for assertion in assertions_of(manifest, *ACTIONS)
        for action in tables(table(assertion.get("data")).get("actions"))
    ]


def assertions_of(manifest: Mapping[str, Any], *labels: str) -> list[Mapping[str, Any]]:
    """The assertions of a manifest that have one of some labels, whatever their instance number (``c2pa.actions.v2__1``)."""
    return [item for item in tables(manifest.get("assertions")) if str(item.get("label")).split("__", 1)[0] in labels]


def names_of(manifest: object) -> list[object]:
    """Common name and organisation of a manifest's signer, or of an identity statement's, as the SDK gives them."""
    info = table(table(manifest).get("signature_info"))
    return [info.get("common_name"), info.get("issuer")]


_METADATA = re.compile(r"(c2pa|cawg|stds)\.(.*\.)?(metadata|iptc.*|exif|schema-org\..*)(__\d+)?", re.I)
_SOURCE_TYPE = re.compile("digitalsourcetype", re.I)
# EXIF's, IPTC's and schema.org's names.
_PRIVATE = re.compile(
    r"(gps(dest)?)?(lat|long)itude|\w*serialnumber|cameraownername|ci(adr|email|tel)\w+|email|telephone|streetaddress",
    re.I,
)


def _metadata(manifest: Mapping[str, Any], wanted: re.Pattern[str]) -> list[tuple[str, str]]:
    """(name, value) of what a manifest's metadata statements say under names of some kind."""
    said = [item for item in tables(manifest.get("assertions")) if _METADATA.fullmatch(str(item.get("label")))]
    facts = [fact for item in said for fact in leaves(plain(item.get("data")))]
    named = [(re.split(r"[.:]", name)[-1], value) for name, value in facts]
    return [(name, value) for name, value in named if wanted.fullmatch(name)]


def source_types(manifest: Mapping[str, Any]) -> list[str]:
    """Every digital source type that a manifest states: of its actions, and in its metadata (IPTC's property)."""
    found = [action.get("digitalSourceType") for action, _ in actions_of(manifest)]
    found += [value for _, value in _metadata(manifest, _SOURCE_TYPE)]
    return list(dict.fromkeys(item for item in found if isinstance(item, str)))


def private(manifest: Mapping[str, Any]) -> list[str]:
    """The names of what a manifest's metadata say of a place, of one device, or of how to reach somebody."""
    return [name for name, _ in _metadata(manifest, _PRIVATE)]


def soft_bindings(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The marks in the pixels, and the like, that a manifest names."""
    return [data for item in assertions_of(manifest, SOFT_BINDING) if (data := table(item.get("data")))]


def says_ai(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest states that a trained model made or edited what it is about, or a part of it."""
    return bool(assertions_of(manifest, AI_DISCLOSURE)) or any(map(names_ai, source_types(manifest)))


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
    found = [*_claims(manifest), *_leaf(chain, trust)]
    if matched and outdated(chain, matched, signed_at):
        found.append(Finding("gioconda.anchor.expired", ProvenanceState.VALID, matched.name))
    if expired(chain, signed_at):
        found.append(Finding("gioconda.signer.expired", ProvenanceState.INVALID))
    return found


def list_of(chain: list[x509.Certificate], trust: Trust, kind: str) -> TrustList | None:
    """The list of one kind that a chain leads to.

    The SDK takes an authority on any list for any purpose: one that may only timestamp, or only attest identities, would make
    claim signers trusted. So the list is looked up again here, by its kind.
    """
    for item in trust.lists:
        if kind not in item.kinds:
            continue
        # Signers that are listed themselves are no clocks (C2PA 2.4, 14.4.3), unless it is a list of clocks.
        listed = kind in (item.kind, "cawg") and certificates.fingerprint(chain[0]) in item.leaves
        if listed or anchor_of(chain, item.anchors) is not None:
            return item
    return None


def _claims(manifest: Mapping[str, Any]) -> Iterable[Finding]:
    actions = actions_of(manifest)
    names = {str(action.get("action")) for action, _ in actions}
    relations = [item.get("relationship") for item in tables(manifest.get("ingredients"))]
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
    labels = assertions_of(manifest, LABEL)
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
    purposes = set(certificates.purposes(leaf))
    # A key that may also timestamp could vouch for its own signing time.
    if not purposes & set(ACCEPTED_EKUS) or purposes & {TIME_STAMPING, OCSP_SIGNING} or not certificates.signs(leaf):
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
            if certificates.issued(link, anchor):
                return anchor
        if following is None or not certificates.issued(link, following):
            return None
        link = following
    return None


def failures_of(document: Mapping[str, Any]) -> list[str]:
    """The failure codes that count against the active manifest's own validity, tolerated ones left out."""
    found = [str(item.get("code")) for item in _findings(document, "failure")]
    return [code for code in found if not tolerated(code)]


def altered(document: Mapping[str, Any]) -> bool:
    """Whether something has another hash than was signed: it was changed, or the credential is another file's."""
    return CredentialReason.ALTERED in map(reason_of, failures_of(document))


def succeeded(document: Mapping[str, Any]) -> set[str]:
    """The success codes said of the active manifest itself: a success about another one is none of its own."""
    return {str(item.get("code")) for item in _findings(document, "success") if _own(document, item)}


def _findings(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return tables(table(table(document.get("validation_results")).get("activeManifest")).get(key))


def _own(document: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    return f"/c2pa/{document.get('active_manifest')}/" in str(item.get("url", ""))


def without(document: Mapping[str, Any], codes: Iterable[str]) -> dict[str, Any]:
    """The SDK's answer with some codes left out of what it says of the active manifest: those that we know better."""
    gone = frozenset(codes)
    results = document.get("validation_results")
    top = results.get("activeManifest") if isinstance(results, Mapping) else None
    if not isinstance(results, Mapping) or not isinstance(top, Mapping):
        return dict(document)
    kept = {key: [item for item in tables(value) if item.get("code") not in gone] for key, value in top.items()}
    return {**document, "validation_results": {**results, "activeManifest": kept}}


# What the SDK says of bytes that it was not given: nothing was compared.
_BINDINGS = ("dataHash", "bmffHash", "boxesHash", "collectionHash", "multiAssetHash")


def unbound(document: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """The SDK's answer without what it says of the file's bytes, where nothing was compared with them. more : further codes to leave out."""
    bound = [f"assertion.{name}.{word}" for name in _BINDINGS for word in ("mismatch", "match")]
    return without(document, [*bound, *more])


def _deltas(document: Mapping[str, Any]) -> list[str]:
    """The codes by which an ingredient's credential fails now."""
    listed = tables(table(document.get("validation_results")).get("ingredientDeltas"))
    failures = [code for item in listed for code in tables(table(item.get("validationDeltas")).get("failure"))]
    return [code for item in failures if not tolerated(code := str(item.get("code")))]


def decide(document: Mapping[str, Any], broken: Iterable[Finding] = ()) -> Decision | None:
    """The state and what decided it, from the SDK's codes and our rules; None when its answer cannot be relied upon."""
    word = document.get("validation_state")
    results = document.get("validation_results")
    if word not in ("Invalid", "Valid", "Trusted") or not isinstance(results, Mapping):
        return None
    broken = list(broken)
    failed = failures_of(document) + [item.code for item in broken if item.cap == ProvenanceState.INVALID]
    if failed:
        return Decision(ProvenanceState.INVALID, *deciding(failed))
    failures, deltas = _findings(document, "failure"), _deltas(document)
    said = [str(item.get("code")) for item in failures]
    # An ingredient's identities are that one's.
    own = [str(item.get("code")) for item in failures if _own(document, item)]
    identity = [code for code in own if code.startswith("cawg.") and code not in _UNESTABLISHED]
    if word == "Invalid" and deltas:
        return Decision(ProvenanceState.INVALID, CredentialReason.INGREDIENT, ("gioconda.ingredient.failure",))
    if word == "Invalid" and not any(code.startswith("cawg.") for code in said):
        return Decision(ProvenanceState.INVALID, CredentialReason.UNJUDGED)
    unknown = any(item.get("code") == UNKNOWN_SIGNER and _own(document, item) for item in failures)
    failing = tuple(dict.fromkeys(identity))
    doubts = tuple(dict.fromkeys(item.code for item in broken if item.cap == ProvenanceState.VALID))
    if doubts and not unknown:
        return Decision(ProvenanceState.VALID, CredentialReason.DOUBTED, (*doubts, *failing), failing)
    trusted = "signingCredential.trusted" in succeeded(document) and not unknown
    state = ProvenanceState.TRUSTED if trusted else ProvenanceState.VALID
    return Decision(state, CredentialReason.IDENTITY if failing else None, failing, failing)
