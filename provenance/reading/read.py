"""Read what a file's Content Credentials say, offline unless asked otherwise, and judge it by our policy.

Covered: embedded manifests, sidecars, references to manifests elsewhere (named, fetched only when asked), ingredients as a
tree, identity statements, fragments of DASH media. What the hashes do not cover is written in :mod:`provenance.reading.open`.
"""

import datetime
import functools
import os
from collections.abc import Iterable
from dataclasses import replace

from cryptography import x509

from gioconda_core.errors import CredentialError
from gioconda_core.types import Code, CredentialReason, Provenance
from provenance import codes, sanitise
from provenance.reading import rules
from provenance.reading.open import Opened, opened
from provenance.reading.verdict import judge
from provenance.trust import online as fetching
from provenance.trust.lists import Trust
from provenance.trust.lists import load as load_trust


def read(
    path: str | os.PathLike[str],
    *,
    trust: Trust | None = None,
    online: bool = False,
    fragments: Iterable[str | os.PathLike[str]] = (),
    manifest: bytes | None = None,
    thumbnails: bool = True,
) -> Provenance:
    """What a file's Content Credentials say, judged by our policy; all strings are made safe to show.

    Parameters
    ----------
    path : the media file; its sidecar is found by itself.
    trust : the lists to judge by; those of the store when None. The development root is on none unless asked for.
    online : fetch a manifest kept elsewhere and ask whether the certificate was revoked, within limits; otherwise nothing
        leaves this computer.
    fragments : the further segments of a fragmented MP4.
    manifest : a store to validate the file against instead of its sidecar.
    thumbnails : whether to take the ingredients' pictures out.

    Raises
    ------
    MediaError
        The file cannot be opened at all. A damaged or unsupported file is a state, not an error.
    """
    lists = load_trust() if trust is None else trust

    def judged(store: bytes | None) -> Provenance:
        with opened(path, lists.anchors, manifest=store, fragments=fragments) as found:
            if not isinstance(found, Opened):
                return found
            return judge(found, lists, ask=functools.partial(_revocation, lists, online), thumbnails=thumbnails)

    found = judged(manifest)
    if not online or found.reason != CredentialReason.REMOTE or manifest is not None:
        return found
    try:
        store = fetching.fetch(found.codes[0].where)
    except CredentialError as error:
        refused = codes.told("gioconda.remote.refused", where=sanitise.text(error))
        return replace(found, codes=(*found.codes, refused))
    return judged(store)


def _revocation(
    trust: Trust,
    online: bool,
    chain: list[x509.Certificate],
    signed_at: datetime.datetime | None,
    stapled: list[bytes],
) -> Code | None:
    if len(chain) == 1:
        # Chains often leave the issuer out because it is the anchor itself: then the lists have it.
        anchor = rules.anchor_of(chain, [anchor for item in trust.lists for anchor in item.anchors])
        chain = [*chain, *([anchor] if anchor is not None else [])]
    return fetching.revocation(chain, signed_at) if online else fetching.stapled(stapled, chain, signed_at)
