"""Choose the reader of a file by what it begins with: Pillow for pictures and animations, PyAV for everything else."""

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.media.facts import Limits, Source
from gioconda_core.media.sniff import is_archive, is_picture, lost_end, stream_part
from gioconda_core.reasons import MediaWarning, UnreadReason, WarningReason

_PARTS = {
    "beginning": "is the beginning of a stream in pieces, without the pictures",
    "piece": "is a piece of a stream, without its beginning",
    "list": "is the list of the pieces of a stream",
}
_JOIN = "join the beginning and all pieces, in order, into one file and give that: cat init.mp4 1.m4s 2.m4s > whole.mp4"


def open_source(file: BinaryIO, path: str | None, where: str, limits: Limits) -> Source:
    """Pillow for what begins like a picture, PyAV for everything else. The file stays the caller's to close."""
    from gioconda_core.media.stills import StillSource, is_jpeg_stream

    file.seek(0)
    head = file.read(512)
    if not head:
        raise MediaError("the file is empty", where, "fetch or export it again", unread=UnreadReason.EMPTY)
    if is_archive(head):
        hint = (
            "unpack it and give what is inside; of ZIP and tar `gioconda audit --archives` reads every clip and picture"
        )
        raise MediaError("is an archive of other files", where, hint, unread=UnreadReason.ARCHIVE)
    if head[4:8] == b"jumb":
        hint = "give the file that it was made for, with this one beside it"
        raise MediaError("is a credential by itself", where, hint, unread=UnreadReason.CREDENTIAL)
    if part := stream_part(file):
        raise MediaError(_PARTS[part], where, _JOIN, unread=UnreadReason.STREAM_PART)
    # Of a PDF a decoder would give the first JPEG in it, which is none of its pages; of SVG and HTML nothing.
    if head.startswith(b"%PDF-") or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        hint = "export its pictures, or its pages as pictures, and give those"
        raise MediaError("is a document", where, hint, unread=UnreadReason.TO_EXPORT)
    with _blamed(where):
        if is_picture(head) and not (head.startswith(b"\xff\xd8") and is_jpeg_stream(file)):
            source: Source = StillSource(file, where, limits)
        else:
            from gioconda_core.media.decode import VideoSource

            source = VideoSource(path, None if path else file, where, limits)
        if lost_end(file) and not any(warning.of_pictures for warning in source.warnings):
            source.warnings.append(MediaWarning(WarningReason.CUT_OFF))
        return source


@contextlib.contextmanager
def _blamed(where: str) -> Iterator[None]:
    """Whatever else a decoder throws at a damaged file (IndexError, struct.error…) is that file's error; --debug shows the cause."""
    try:
        yield
    except GiocondaError:
        raise
    except Exception as error:
        hint = "the file is damaged, or uses something we do not know"
        raise MediaError("the decoder failed", where, hint) from error
