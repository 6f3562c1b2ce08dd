"""The mark that laws ask for beside the credential: IPTC's digital source type in XMP, for those who read no credential.

It is written before signing, so that the credential covers it; alone it proves nothing, since anybody can write or remove it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from xml.sax.saxutils import quoteattr

from provenance.vocabulary import XMP_BOX

__all__ = ["append", "packet"]


def packet(source: str) -> bytes:
    """An XMP packet that gives one IPTC digital source type (its URI)."""
    return (
        "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description rdf:about='' xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' "
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(source)}/></rdf:RDF></x:xmpmeta>\n<?xpacket end='w'?>"
    ).encode()


def append(path: Path, content: bytes) -> None:
    """Put a packet at the end of an MP4 or MOV that is not signed yet."""
    with open(path, "ab") as file:
        file.write(struct.pack(">I", 24 + len(content)) + b"uuid" + XMP_BOX + content)
