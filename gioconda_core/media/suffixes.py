"""Suffixes of files that may hold a clip or a picture: the one list that whoever looks through folders goes by.

A suffix only decides whether a file is looked at; what it is, is read from its content.
"""

import os

# What a file is (see :mod:`gioconda_core.media.sniff`) → what such files are called.
PICTURE_KINDS = {
    "JPEG": ".jpg .jpeg .jpe .jfif .jif .mpo",
    "PNG": ".png .apng",
    "WebP": ".webp",
    "TIFF": ".tif .tiff .dng",
    "BMP": ".bmp",
    "JPEG 2000": ".jp2 .j2k .jpx",
    "JPEG XL": ".jxl",
    "PPM": ".ppm .pgm",
    "AVIF": ".avif .avifs",
    "HEIF": ".heic .heif .hif",
}
VIDEO_KINDS = {
    "GIF": ".gif",  # mostly animations
    "AVI": ".avi .divx",
    "MP4": ".mp4 .m4v .mov .qt .3gp .3g2 .f4v",
    "Matroska": ".mkv .webm",
    "MPEG-TS": ".ts .mts .m2ts",
    "MPEG": ".mpg .mpeg .mpe .m2v .vob",
    "FLV": ".flv",
    "ASF": ".wmv .asf",
    "Ogg": ".ogv .ogm",
    "MXF": ".mxf",
    "RealMedia": ".rm .rmvb",
    "YUV4MPEG2": ".y4m",
}
_STREAMS = ".mjpeg .mjpg"  # JPEG pictures one after another
_RAW = ".h264 .264 .hevc .265"  # which have no sign
PICTURES = frozenset(" ".join(PICTURE_KINDS.values()).split())
VIDEOS = frozenset(" ".join([*VIDEO_KINDS.values(), _STREAMS, _RAW]).split())
KIND_OF = {
    suffix: kind
    for kind, suffixes in [*PICTURE_KINDS.items(), *VIDEO_KINDS.items(), ("JPEG", _STREAMS)]
    for suffix in suffixes.split()
}


def is_media_name(name: str | os.PathLike[str], *, hidden: bool = False) -> bool:
    """Whether a file's name is that of a clip or picture; names that begin with a dot only where ``hidden``."""
    base = os.path.basename(os.fspath(name))
    return (hidden or not base.startswith(".")) and os.path.splitext(base)[1].lower() in VIDEOS | PICTURES


ARCHIVES = (".zip", ".cbz", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")


def is_archive_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a ZIP or tar archive."""
    return os.fspath(name).lower().endswith(ARCHIVES)
