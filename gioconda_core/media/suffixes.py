"""Suffixes of files that may hold a clip or a picture: the one list that whoever looks through folders goes by.

A suffix only decides whether a file is looked at; what it is, is read from its content.
"""

from __future__ import annotations

import os

VIDEOS = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".mkv",
        ".webm",
        ".avi",
        ".divx",
        ".mpg",
        ".mpeg",
        ".mpe",
        ".m2v",
        ".vob",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".asf",
        ".flv",
        ".f4v",
        ".3gp",
        ".3g2",
        ".ogv",
        ".ogm",
        ".mxf",
        ".mjpeg",
        ".mjpg",
        ".rm",
        ".rmvb",
        ".y4m",
        ".h264",
        ".264",
        ".hevc",
        ".265",
        ".gif",
    ]
)  # .gif : mostly animations
PICTURES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".jif",
        ".png",
        ".apng",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".avif",
        ".avifs",
        ".heic",
        ".heif",
        ".hif",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxl",
        ".dng",
        ".mpo",
        ".ppm",
        ".pgm",
    ]
)


def is_media_name(name: str | os.PathLike[str], *, hidden: bool = False) -> bool:
    """Whether a file's name is that of a clip or picture; names that begin with a dot only where ``hidden``."""
    base = os.path.basename(os.fspath(name))
    return (hidden or not base.startswith(".")) and os.path.splitext(base)[1].lower() in VIDEOS | PICTURES


ARCHIVES = (".zip", ".cbz", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")


def is_archive_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a ZIP or tar archive."""
    return os.fspath(name).lower().endswith(ARCHIVES)
