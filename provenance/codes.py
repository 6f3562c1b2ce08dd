"""A plain sentence for every status code of C2PA 2.x and CAWG, and for those of our own policy.

Codes come from the C2PA specification (2.4, § validation, standard status codes, with those of earlier 2.x that it dropped), the
CAWG identity assertion (1.2 and 1.3, § status codes), and what the SDK emits beyond both. The subject of each sentence is the credential, never the truth of what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gioconda_core.types import Code
from provenance import sanitise

_SIGNER = {
    "signingCredential.trusted": "The signing certificate leads to an authority on one of the trust lists given.",
    "signingCredential.untrusted": "The signing certificate leads to no authority on the trust lists given; who signed is not established.",
    "signingCredential.invalid": "The signing certificate is not one that may sign claims (wrong purpose, version, key usage or algorithm).",
    "signingCredential.expired": "The signing certificate had expired or was not valid yet, and no trusted timestamp shows that the signature is from when it was.",
    "signingCredential.revoked": "The issuer has revoked the signing certificate.",
    "signingCredential.ocsp.revoked": "The issuer has revoked the signing certificate.",
    "signingCredential.ocsp.notRevoked": "The issuer says that the signing certificate was not revoked.",
    "signingCredential.ocsp.unknown": "The issuer's status service does not know the signing certificate.",
    "signingCredential.ocsp.skipped": "Whether the signing certificate was revoked was not looked up (reading is offline unless --online is given).",
    "signingCredential.ocsp.inaccessible": "The issuer's status service could not be reached, so revocation was not checked.",
    "claimSignature.validated": "The signature over the claim is mathematically correct.",
    "claimSignature.insideValidity": "The claim was signed while its certificate was valid.",
    "claimSignature.outsideValidity": "The claim was signed outside its certificate's validity, or no timestamp shows otherwise.",
    "claimSignature.missing": "The claim has no signature.",
    "claimSignature.mismatch": "The signature does not fit the claim: the claim was changed, or signed with another key.",
    "timeOfSigning.insideValidity": "The time of signing that the signer states lies within the certificate's validity.",
    "timeOfSigning.outsideValidity": "The time of signing that the signer states lies outside the certificate's validity.",
    "timeStamp.validated": "The timestamp is well formed and covers this signature.",
    "timeStamp.trusted": "The timestamp comes from an authority on the timestamp trust list.",
    "timeStamp.untrusted": "The timestamp's authority is not on the timestamp trust list, so its time proves nothing.",
    "timeStamp.mismatch": "The timestamp was made for something else than this signature.",
    "timeStamp.malformed": "The timestamp cannot be read.",
    "timeStamp.outsideValidity": "The timestamp lies outside the validity of the signer's or of its own authority's certificate.",
    "timeStamp.credentialInvalid": "The timestamp authority's certificate may not sign timestamps.",
    "algorithm.unsupported": "An algorithm is used that the specification does not allow or the SDK does not know.",
    "algorithm.deprecated": "An algorithm is used that is being retired.",
}

_CLAIM = {
    "claim.malformed": "The claim cannot be read as one.",
    "claim.missing": "A manifest without a claim: there is nothing that is attested.",
    "claim.multiple": "A manifest with more than one claim.",
    "claim.required.missing": "The claim lacks a field that the specification requires.",
    "claim.cbor.invalid": "The claim is not well-formed CBOR.",
    "claim.hardBindings.missing": "Nothing in the claim binds it to the file's bytes.",
    "claim.hardBindings.multiple": "More than one assertion binds the claim to the file's bytes.",
    "hashedURI.match": "A referenced part has the hash that was recorded for it.",
    "hashedURI.missing": "A part that is referred to is not there.",
    "hashedURI.mismatch": "A part that is referred to has another hash than was recorded: it was changed.",
    "general.error": "The SDK met an error that it has no more exact code for.",
    "general.success": "Validated.",
}

_MANIFEST = {
    "manifest.inaccessible": "The credential lies elsewhere and was not fetched or could not be.",
    "manifest.missing": "The credential that is referred to is not there.",
    "manifest.multipleParents": "The credential names more than one parent.",
    "manifest.unknownProvenance": "A credential is of a kind that this SDK does not know.",
    "manifest.unreferenced": "The file carries a credential that nothing refers to; it was not counted.",
    "manifest.compressed.invalid": "A compressed credential cannot be unpacked.",
    "manifest.update.invalid": "An update credential contains what an update may not (a hash of the bytes, or actions).",
    "manifest.update.wrongParents": "An update credential must have exactly one parent, and has not.",
    "manifest.timestamp.invalid": "A timestamp credential contains what it may not.",
    "manifest.timestamp.wrongParents": "A timestamp credential must have exactly one parent, and has not.",
    "manifest.html.multipleManifests": "The web page carries more than one credential, so none of them can be taken for its own.",
    "manifest.text.corruptedWrapper": "The text carries a credential whose wrapping is damaged.",
    "manifest.text.multipleWrappers": "The text carries more than one credential, so none of them can be taken for its own.",
    "manifest.structuredText.noManifest": "The text carries no credential between the marks that should hold one, or only one of the marks.",
    "manifest.structuredText.emptyReference": "The text has the marks for a credential and nothing between them.",
    "manifest.structuredText.malformedReference": "The text refers to a credential by something that is no address.",
    "manifest.structuredText.multipleReferences": "The text refers to more than one credential, so none of them can be taken for its own.",
    "manifest.structuredText.noResolutionPath": "The text refers to a credential, and there is no way to find it.",
}

_INGREDIENT = {
    "ingredient.unknownProvenance": "An ingredient has no credential of its own.",
    "ingredient.manifest.validated": "An ingredient's credential has the hash that was recorded for it.",
    "ingredient.manifest.missing": "An ingredient's credential is referred to but not there.",
    "ingredient.manifest.mismatch": "An ingredient's credential has another hash than was recorded: it was changed.",
    "ingredient.claimSignature.validated": "An ingredient's signature has the hash that was recorded for it.",
    "ingredient.claimSignature.missing": "An ingredient's signature is referred to but not there.",
    "ingredient.claimSignature.mismatch": "An ingredient's signature has another hash than was recorded: it was changed.",
    "ingredient.hashedURI.mismatch": "An ingredient's claim has another hash than was recorded: it was changed.",
}

_ASSERTION = {
    "assertion.hashedURI.match": "A statement has the hash that the signed claim recorded for it.",
    "assertion.hashedURI.mismatch": "A statement has another hash than the signed claim recorded: it was changed after signing.",
    "assertion.dataHash.match": "The file's bytes have the hash that was signed.",
    "assertion.dataHash.mismatch": "The file's bytes do not have the hash that was signed: the file was changed after signing.",
    "assertion.dataHash.malformed": "The statement that binds the claim to the file's bytes cannot be read.",
    "assertion.dataHash.redacted": "The statement that binds the claim to the file's bytes was taken out, which is not allowed.",
    "assertion.dataHash.additionalExclusionsPresent": "The signed hash leaves out more of the file than the credential itself.",
    "assertion.bmffHash.match": "The media's boxes (MP4, MOV, HEIF) have the hash that was signed.",
    "assertion.bmffHash.mismatch": "The media's boxes (MP4, MOV, HEIF) do not have the hash that was signed: the file was changed after signing.",
    "assertion.bmffHash.malformed": "The statement that binds the claim to the media's boxes cannot be read.",
    "assertion.bmffHash.redacted": "The statement that binds the claim to the media's boxes was taken out, which is not allowed.",
    "assertion.bmffHash.additionalExclusionsPresent": "The signed hash leaves out more boxes than the specification lists.",
    "assertion.boxesHash.match": "The file's segments have the hashes that were signed.",
    "assertion.boxesHash.mismatch": "The file's segments do not have the hashes that were signed: the file was changed after signing.",
    "assertion.boxesHash.malformed": "The statement that binds the claim to the file's segments cannot be read.",
    "assertion.boxesHash.redacted": "The statement that binds the claim to the file's segments was taken out, which is not allowed.",
    "assertion.boxesHash.unknownBox": "The file has segments that the signed list does not name.",
    "assertion.boxesHash.additionalExclusionsPresent": "The signed list leaves out more segments than the credential itself.",
    "assertion.collectionHash.match": "Every file of the collection has the hash that was signed.",
    "assertion.collectionHash.mismatch": "A file of the collection does not have the hash that was signed.",
    "assertion.collectionHash.malformed": "The list of the collection's hashes cannot be read.",
    "assertion.collectionHash.incorrectFileCount": "The collection has more or fewer files than were signed.",
    "assertion.collectionHash.incorrectItemCount": "The collection has more or fewer items than were signed.",
    "assertion.collectionHash.invalidURI": "The collection's list names a file outside of it.",
    "assertion.multiAssetHash.match": "Every part of the multi-part file has the hash that was signed.",
    "assertion.multiAssetHash.mismatch": "A part of the multi-part file does not have the hash that was signed.",
    "assertion.multiAssetHash.malformed": "The list of the multi-part file's hashes cannot be read.",
    "assertion.multiAssetHash.missingPart": "A part of the multi-part file is missing.",
    "assertion.multipleHardBindings": "More than one statement binds the claim to the file's bytes.",
    "assertion.alternativeContentRepresentation.match": "The original kept beside the file has the hash that was signed.",
    "assertion.alternativeContentRepresentation.hashMismatch": "The original kept beside the file does not have the hash that was signed.",
    "assertion.alternativeContentRepresentation.missing": "The original that should be kept beside the file is not there.",
    "assertion.alternativeContentRepresentation.malformed": "The description of the original kept beside the file cannot be read or contradicts itself.",
    "assertion.hardBinding.redacted": "The statement that binds the claim to the file's bytes was taken out, which is not allowed.",
    "assertion.missing": "A statement that the claim lists is not there.",
    "assertion.undeclared": "A statement is there that the claim does not list: nobody signed it.",
    "assertion.accessible": "A statement kept elsewhere could be fetched.",
    "assertion.inaccessible": "A statement kept elsewhere could not be fetched.",
    "assertion.outsideManifest": "The claim lists a statement that lies in another manifest.",
    "assertion.notRedacted": "A statement is declared taken out and is still there.",
    "assertion.selfRedacted": "The claim takes out a statement of its own, which is not allowed.",
    "assertion.required.missing": "A statement lacks a field that the specification requires.",
    "assertion.json.invalid": "A statement is not well-formed JSON.",
    "assertion.cbor.invalid": "A statement is not well-formed CBOR.",
    "assertion.malformed": "A statement cannot be read.",
    "assertion.action.malformed": "The list of actions cannot be read, or lacks what its actions need.",
    "assertion.action.ingredientMismatch": "An action needs an ingredient, and the one it names is missing or of the wrong kind.",
    "assertion.action.redactionMismatch": "An action speaks of a redaction that is not there.",
    "assertion.action.redacted": "The list of actions was taken out, which is not allowed.",
    "assertion.action.softBindingMissing": "An action speaks of a mark in the media that no statement describes.",
    "assertion.action.missing": "The list of actions that every claim must have is not there.",
    "assertion.cloud-data.match": "A statement kept elsewhere has the hash that was signed.",
    "assertion.cloud-data.mismatch": "A statement kept elsewhere does not have the hash that was signed.",
    "assertion.cloud-data.malformed": "The reference to a statement kept elsewhere cannot be read.",
    "assertion.cloud-data.hardBinding": "The statement that binds the claim to the file is kept elsewhere, which is not allowed.",
    "assertion.cloud-data.actions": "The list of actions of an update is kept elsewhere, which is not allowed.",
    "assertion.cloud-data.labelMismatch": "A statement kept elsewhere is of another kind than was signed.",
    "assertion.external-reference.created": "A reference to data elsewhere is among the signer's own statements, where it may not be.",
    "assertion.external-reference.malformed": "A reference to data elsewhere cannot be read.",
    "assertion.external-reference.hashMismatch": "Data kept elsewhere does not have the hash that was signed.",
    "assertion.external-reference.labelMismatch": "Data kept elsewhere is of another kind than was signed.",
    "assertion.external-reference.hardBinding": "The statement that binds the claim to the file is a reference to data elsewhere, which is not allowed.",
    "assertion.external-reference.actions": "The list of actions is a reference to data elsewhere, which is not allowed.",
    "assertion.ingredient.malformed": "The description of an ingredient cannot be read.",
    "assertion.metadata.disallowed": "The metadata statement contains a field that the specification does not allow there.",
    "assertion.timestamp.malformed": "The timestamp statement cannot be read.",
    "assertion.certificateStatus.malformed": "The statement of the certificate's status cannot be read.",
    "assertion.unsupported": "A statement is of a kind that this SDK does not know.",
}

_LIVE = {
    "livevideo.init.invalid": "The start of a live stream is not one: it holds media already.",
    "livevideo.manifest.invalid": "The credential of a segment of a live stream did not validate.",
    "livevideo.segment.invalid": "A segment of a live stream carries no proof that holds, or does not follow on the one before it.",
    "livevideo.assertion.invalid": "A segment's place or stream is not the one that its credential states.",
    "livevideo.continuityMethod.invalid": "A live stream ties its segments together in a way that is not known.",
    "livevideo.sessionkey.invalid": "The short-lived key of a live stream is not one, was not vouched for by the signer, or has expired.",
}

_CAWG = {
    "cawg.identity.trusted": "A named actor's identity is attested, and the attesting certificate leads to an identity trust list.",
    "cawg.identity.well-formed": "A named actor's identity is attested by a well-formed statement; whether to believe it depends on the identity trust list.",
    "cawg.identity.assertion.mismatch": "The identity statement refers to a statement that has another hash or is missing.",
    "cawg.identity.assertion.duplicate": "The identity statement refers to the same statement twice.",
    "cawg.identity.cbor.invalid": "The identity statement is not well-formed CBOR.",
    "cawg.identity.credential_revoked": "The certificate behind the identity statement was revoked.",
    "cawg.identity.credential_invalid": "The certificate behind the identity statement may not attest identities.",
    "cawg.identity.credential_expired": "The certificate behind the identity statement had expired.",
    "cawg.identity.credential_untrusted": "The certificate behind the identity statement is on no identity trust list.",
    "cawg.identity.expected_claim_generator.mismatch": "The identity was attested for a claim by another signer.",
    "cawg.identity.expected_partial_claim.mismatch": "The identity was attested for another claim.",
    "cawg.identity.expected_countersigner.missing": "Another identity that should have signed too is missing.",
    "cawg.identity.expected_countersigner.mismatch": "Another identity signed with a certificate that was not the expected one.",
    "cawg.identity.expected_countersigner.duplicate": "The identity statement expects the same other identity twice.",
    "cawg.identity.unexpected_countersigner": "An identity signed that was not expected.",
    "cawg.identity.hard_binding_missing": "The identity statement does not cover the file's bytes.",
    "cawg.identity.hard_binding_incorrect": "The identity statement covers the bytes by another statement than the claim does.",
    "cawg.identity.network_traffic_blocked": "The identity statement could only be checked over the network, which was not used.",
    "cawg.identity.pad.invalid": "The identity statement's padding is not empty.",
    "cawg.identity.sig_type.unknown": "The identity statement is signed in a way that this SDK does not know.",
    "cawg.identity.signature.validated": "The identity statement's signature is mathematically correct.",
    "cawg.identity.signature.mismatch": "The identity statement's signature does not fit it.",
    "cawg.x509.signature.mismatch": "The identity statement's signature does not fit it.",
    "cawg.x509.credential.trusted": "The certificate behind the identity statement leads to an identity trust list.",
    "cawg.x509.credential.untrusted": "The certificate behind the identity statement is on no identity trust list.",
    "cawg.x509.credential.invalid": "The certificate behind the identity statement may not attest identities.",
    "cawg.x509.credential.expired": "The certificate behind the identity statement had expired.",
    "cawg.x509.signature.validated": "The identity statement's signature is mathematically correct.",
    "cawg.x509.signature.inside_validity": "The identity statement was signed while its certificate was valid.",
    "cawg.x509.signature.outside_validity": "The identity statement was signed outside its certificate's validity.",
    "cawg.x509.algorithm.unsupported": "The identity statement is signed with an algorithm that is not allowed or not known.",
    "cawg.x509.time_of_signing.inside_validity": "The time of signing that the identity statement gives lies within its certificate's validity.",
    "cawg.x509.time_of_signing.outside_validity": "The time of signing that the identity statement gives lies outside its certificate's validity.",
    "cawg.x509.time_stamp.validated": "The identity statement's timestamp is well formed and covers it.",
    "cawg.x509.time_stamp.trusted": "The identity statement's timestamp comes from an authority on the timestamp trust list.",
    "cawg.x509.time_stamp.untrusted": "The authority of the identity statement's timestamp is not on the timestamp trust list, so its time proves nothing.",
    "cawg.x509.time_stamp.mismatch": "The identity statement's timestamp was made for something else.",
    "cawg.x509.time_stamp.malformed": "The identity statement's timestamp cannot be read.",
    "cawg.x509.time_stamp.outside_validity": "The identity statement's timestamp lies outside the validity of its own authority's certificate.",
    "cawg.x509.time_stamp.credential_invalid": "The certificate of the identity statement's timestamp authority may not sign timestamps.",
    "cawg.x509.ocsp.not_revoked": "The issuer says that the certificate behind the identity statement was not revoked.",
    "cawg.x509.ocsp.skipped": "Whether the certificate behind the identity statement was revoked was not looked up.",
    "cawg.x509.ocsp.inaccessible": "The status service of the identity certificate's issuer could not be reached, so revocation was not checked.",
    "cawg.x509.ocsp.unknown": "The issuer's status service does not know the certificate behind the identity statement.",
    "cawg.x509.signing_credential.trusted": "The certificate behind the identity statement leads to an identity trust list.",
    "cawg.x509.signing_credential.untrusted": "The certificate behind the identity statement is on no identity trust list.",
    "cawg.ica.credential_valid": "An identity aggregator's credential about the named actor is valid.",
    "cawg.ica.credential_revoked": "The identity aggregator has revoked its credential.",
    "cawg.ica.credential.revoked": "The identity aggregator has revoked its credential.",
    "cawg.ica.credential.not_revoked": "The identity aggregator says that its credential was not revoked.",
    "cawg.ica.revocation.unsupported": "Whether the identity credential was revoked is told in a way that is not known.",
    "cawg.ica.revocation.unavailable": "Whether the identity credential was revoked could not be looked up.",
    "cawg.ica.invalid_cose_sign1": "The identity aggregator's signature cannot be read.",
    "cawg.ica.invalid_alg": "The identity aggregator's credential uses an algorithm that is not allowed.",
    "cawg.ica.invalid_content_type": "The identity aggregator's credential is of the wrong content type.",
    "cawg.ica.invalid_verifiable_credential": "The identity aggregator's credential cannot be read.",
    "cawg.ica.invalid_issuer": "The identity aggregator cannot be identified.",
    "cawg.ica.untrusted_issuer": "The identity aggregator is not one that is trusted.",
    "cawg.ica.did_unavailable": "The identity aggregator's key lies elsewhere and was not fetched.",
    "cawg.ica.did_unsupported_method": "The identity aggregator names its key in a way that is not known.",
    "cawg.ica.invalid_did_document": "The identity aggregator's key document cannot be read.",
    "cawg.ica.signature_mismatch": "The identity aggregator's signature does not fit its credential.",
    "cawg.ica.signer_payload.mismatch": "The identity aggregator's credential was made for another file.",
    "cawg.ica.time_stamp.validated": "The identity credential's timestamp covers it.",
    "cawg.ica.time_stamp.invalid": "The identity credential's timestamp cannot be relied upon.",
    "cawg.ica.valid_from.missing": "The identity credential does not say from when it holds.",
    "cawg.ica.valid_from.invalid": "The identity credential did not hold yet.",
    "cawg.ica.valid_until.invalid": "The identity credential no longer held.",
    "cawg.ica.verified_identities.missing": "The identity credential names no verified identity.",
    "cawg.ica.verified_identities.invalid": "The identity credential names an identity in a form that cannot be read.",
}

# Ours: what the SDK accepts and we do not, or what it does not mention and a reader should know.
OURS = {
    "gioconda.signer.purpose": "The signing certificate is for timestamps or status answers, not for signing claims; we do not call its signer trusted.",
    "gioconda.signer.undetermined": "The signing certificate could not be found beside the signature, so we do not call the signer trusted.",
    "gioconda.signer.revoked": "The signing certificate is on your own list of revoked certificates.",
    "gioconda.signer.revokedByIssuer": "The issuer does not vouch for the signing certificate any more: it was revoked, or is unknown to it.",
    "gioconda.signer.development": "Signed with a Gioconda development key, which anyone can make: it proves nothing about who signed.",
    "gioconda.anchor.expired": "The authority on the trust list was outside its own validity when the file was signed (or is, without a trusted timestamp).",
    "gioconda.anchor.otherList": "The certificate leads to an authority on a list for timestamps or identities only; that does not make a claim signer trusted.",
    "gioconda.timestamp.otherList": "The timestamp's authority is not on a list of timestamp authorities, so its time proves nothing.",
    "gioconda.asset.alone": "This is a credential by itself. The file that it was made for does not lie beside it, so nothing could be compared with it.",
    "gioconda.asset.segments": "This is the beginning of a stream in segments. None of its segments lies beside it, so nothing could be compared with them.",
    "gioconda.asset.unfitSegments": "Of the segments that lie beside this beginning of a stream, some do not fit its credential: they were changed, or belong to another stream.",
    "gioconda.list.interim": "The list that names the signer's authority is the interim one, which takes no new signers; what was signed under it stays valid, and newer lists ask for more of a signer.",
    "gioconda.list.overdue": "The list that names the signer's authority is older than its publisher meant it to be used: a newer issue was due (gioconda provenance trust update).",
    "gioconda.identity.failed": "A statement about a named person or organisation in the credential does not hold. It reaches no further than that name.",
    "gioconda.signer.expired": "The signing certificate was not valid at the time that counts, and no trusted timestamp shows otherwise.",
    "gioconda.actions.createdWithParent": "The credential says that the file was created and that it has a parent: it contradicts itself.",
    "gioconda.actions.gathered": "An action is reported by somebody else, not stated by the signer.",
    "gioconda.sourceType.unknown": "The credential gives a source type that is in neither the IPTC nor the C2PA vocabulary.",
    "gioconda.sourceType.missing": "The credential says that the file was created, but not by what kind of source.",
    "gioconda.label.multiple": "More than one Gioconda label: none of them counts.",
    "gioconda.label.gathered": "The Gioconda label is reported, not stated by the signer: it does not count.",
    "gioconda.ingredient.failure": "An ingredient's credential did not validate, now or when it was taken in; the top credential does not say so.",
    "gioconda.ingredient.unread": "There are more ingredients, or deeper ones, than are looked at; those beyond were not checked.",
    "gioconda.ingredient.unsignedParent": "The file was made from one without a credential; what happened before is unknown.",
    "gioconda.manifest.unreferenced": "The file carries a credential that nothing refers to; it was left out of account.",
    "gioconda.remote.notFetched": "The file names a credential kept elsewhere; it was not fetched (--online fetches it).",
    "gioconda.remote.refused": "The credential kept elsewhere was not fetched: its address, size or answer is not allowed.",
    "gioconda.state.contradiction": "The SDK's own answer has no state or contradicts itself; nothing was concluded from it.",
}  # fmt: skip

# What is wrong with a timestamp decides no state by itself; it is told all the same.
CLOCK_FAULTS = (
    "timeStamp.mismatch",
    "timeStamp.malformed",
    "timeStamp.untrusted",
    "timeStamp.outsideValidity",
    "timeStamp.credentialInvalid",
    "gioconda.timestamp.otherList",
)

CODES: dict[str, str] = {**_SIGNER, **_CLAIM, **_MANIFEST, **_INGREDIENT, **_ASSERTION, **_LIVE, **_CAWG, **OURS}

_FAMILIES = {
    "signingCredential": "the signing certificate",
    "claimSignature": "the claim's signature",
    "timeStamp": "the timestamp",
    "claim": "the claim",
    "manifest": "a manifest",
    "ingredient": "an ingredient",
    "assertion": "a statement in the credential",
    "algorithm": "an algorithm",
    "livevideo": "a live stream",
    "cawg": "an identity statement",
}


def explain(code: str) -> str | None:
    """The sentence for a code, exactly as written; None when there is none (see :func:`sentence`)."""
    return CODES.get(code)


def told(code: str, kind: str = "policy", *, where: str = "") -> Code:
    """A code of ours with its sentence."""
    return Code(code, kind, sentence(code), where)


def reported(item: Mapping[str, Any], kind: str) -> Code:
    """A finding as the SDK reports it: code and place come out of the file, and are made safe to show."""
    code = str(item.get("code"))
    return Code(sanitise.text(code, 120), kind, sentence(code), sanitise.text(item.get("url", ""), 200))


def sentence(code: str) -> str:
    """A sentence for any code: ours, or for one newer than this list, what it is about."""
    known = CODES.get(code)
    if known:
        return known
    family = _FAMILIES.get(code.split(".", 1)[0], "the credential")
    return f"A finding about {family} that this version has no sentence for."
