"""Why something was left unsaid, failed or is warned of: a code with its details. Sentences are made from them where they are shown.

Verdicts, caveats and exit codes depend on codes alone. The sentence of each code is in ``reasons.toml``, in each language; a document carries
code, detail and sentence together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gioconda_core import words


class AbstentionReason(StrEnum):
    """Why a detector gives no score. The last four of ours are failures of the detector, not decisions."""

    NO_PICTURE = "no-picture"
    NO_FACE = "no-face"
    FACE_TURNED = "face-turned"
    FACE_TOO_SMALL = "face-too-small"
    FACE_UNCLEAR = "face-unclear"
    FACE_OUTSIDE_FRAME = "face-outside-frame"
    LANDMARKS_IN_ONE_POINT = "landmarks-in-one-point"
    NO_FACE_SCORED = "no-face-scored"
    TOO_FEW_FRAMES = "too-few-frames"
    TOO_FEW_PAIRS = "too-few-pairs"
    OUTSIDE_CALIBRATION = "outside-calibration"
    NO_SKILL_ON_KIND = "no-skill-on-kind"
    KIND_NOT_VALIDATED = "kind-not-validated"
    FRAMES_TOO_FAR_APART = "frames-too-far-apart"
    NOT_IN_TABLE = "not-in-table"
    NO_SCORE_IN_TABLE = "no-score-in-table"
    TABLE_NOT_OF_DEGRADED = "table-not-of-degraded"
    STILL_PICTURE = "still-picture"
    NOTHING_MOVES = "nothing-moves"
    FACE_NEVER_CHANGES = "face-never-changes"
    OTHER = "other-reason"  # in a plugin's own words
    DETECTOR_ERROR = "detector-error"
    NO_ANSWER_IN_TIME = "no-answer-in-time"
    BAD_ANSWER = "bad-answer"
    NOT_FINITE = "not-finite"


_FAILURES = frozenset(
    {
        AbstentionReason.DETECTOR_ERROR,
        AbstentionReason.NO_ANSWER_IN_TIME,
        AbstentionReason.BAD_ANSWER,
        AbstentionReason.NOT_FINITE,
    }
)


class DifferenceReason(StrEnum):
    """In what a clip differs from those a detector was calibrated on."""

    FACE_SIZE = "differs-in-face-size"
    DETAIL = "differs-in-detail"
    LENGTH = "differs-in-length"
    MEASURE = "differs-in-measure"


class WarningReason(StrEnum):
    """What was odd about a file that could be read all the same."""

    SEVERAL_STREAMS = "several-streams"
    SEVERAL_PICTURES = "several-pictures"
    HIDDEN_PICTURE = "hidden-picture"  # of an animated PNG
    CLOCK_JUMPS = "clock-jumps"
    MIRROR_UNKNOWN = "mirror-unknown"
    PIXEL_ASPECT = "pixel-aspect"
    SIZE_CHANGES = "size-changes"
    TIMESTAMPS = "timestamps"
    ENDS_EARLY = "ends-early"
    STOPPED = "stopped"
    STOPPED_THERE = "stopped-there"  # of what does not say how long it should be: an animation, fragments of an MP4
    CUT_OFF = "cut-off"  # by the file's structure, where its pictures do not show it
    FRAMES_LOST = "frames-lost"  # from the file
    FRAMES_UNDECODED = "frames-undecoded"
    DAMAGED_DATA = "damaged-data"
    DAMAGED_DATA_SKIPPED = "damaged-data-skipped"
    EXIF_DAMAGED = "exif-damaged"
    COLOUR_PROFILE_DAMAGED = "colour-profile-damaged"
    TRANSPARENT = "transparent"
    TRANSPARENCY_IGNORED = "transparency-ignored"
    METADATA_TIMEOUT = "metadata-timeout"
    METADATA_UNREAD = "metadata-unread"


_OF_PICTURES = frozenset(
    {
        WarningReason.ENDS_EARLY,
        WarningReason.STOPPED,
        WarningReason.STOPPED_THERE,
        WarningReason.CUT_OFF,
        WarningReason.FRAMES_LOST,
        WarningReason.FRAMES_UNDECODED,
        WarningReason.DAMAGED_DATA,
        WarningReason.DAMAGED_DATA_SKIPPED,
    }
)


class UnreadReason(StrEnum):
    """Why no picture of a file could be looked at: what a person does next depends on it."""

    NO_MEDIA = "no-media"
    SOUND_ONLY = "sound-only"
    EMPTY = "empty"
    TOO_LARGE = "too-large"
    STOPPED = "stopped"  # decoding took too long, or too much memory, or ended its process
    ARCHIVE = "archive"
    CREDENTIAL = "credential"  # a .c2pa by itself
    STREAM_PART = "stream-part"
    TO_EXPORT = "to-export"  # a document, or a camera's raw picture


class ProblemReason(StrEnum):
    """What makes a report incomplete."""

    DETECTOR_FAILED = "detector-failed"
    CREDENTIALS_FAILED = "credentials-failed"
    MEDIA_UNREAD = "media-unread"


class PassedOver(StrEnum):
    """Why an audit does not examine something that it came by."""

    NOT_MEDIA = "no-media-name"
    EXCLUDED = "excluded"
    NOT_INCLUDED = "not-included"
    TOO_LARGE = "too-large"
    FOLDER_EXCLUDED = "folder-excluded"
    FOLDER_ELSEWHERE = "folder-elsewhere"
    FOLDER_ENTERED = "folder-entered"
    FOLDER_UNREADABLE = "folder-unreadable"
    FILE_UNREADABLE = "file-unreadable"
    LINK = "link"
    LINK_OUT = "link-out-of-the-tree"
    LINK_NOWHERE = "link-nowhere"
    LINK_TO_FOLDER = "link-to-folder"
    NOT_REGULAR = "not-regular"
    NAMED_TWICE = "named-twice"
    NESTED_ARCHIVE = "nested-archive"


def sentences(lang: str = "en") -> dict[str, str]:
    """Code → sentence in a language, with a field for each detail that the code comes with."""
    return words.sentences("gioconda_core", "reasons.toml", lang)


def measure(name: str, lang: str = "en") -> str:
    """What a measure of a clip is called in a sentence; a plugin's own as it stands."""
    return words.sentences("gioconda_core", "measures.toml", lang).get(name, name)


class _Number(float):
    """A number that is written with more decimals where it would read like another one that it is not."""

    others: tuple[float, ...] = ()
    sign = "."

    def __format__(self, spec: str) -> str:
        head, point, tail = spec.partition(".")
        text = format(float(self), spec)
        if not tail.endswith("f") or not tail[:-1].isdigit():
            return text.replace(".", self.sign)
        for places in range(int(tail[:-1]), 7):
            spec = f"{head}{point}{places}f"
            text = format(float(self), spec)
            if all(format(other, spec) != text for other in self.others):
                break
        return text.replace(".", self.sign)


def told_apart(template: str, detail: Mapping[str, Any], sign: str = ".") -> str:
    """A template filled in; numbers that differ never read alike, so that none is "below 32" and 32 at once. sign : of decimals."""
    numbers = {k: float(v) for k, v in detail.items() if isinstance(v, float | int) and not isinstance(v, bool)}
    arguments = dict(detail)
    for name, value in numbers.items():
        if isinstance(detail[name], float):
            arguments[name] = _Number(value)
            arguments[name].sign = sign
            arguments[name].others = tuple(other for other in numbers.values() if other != value)
    return template.format(**arguments)


def said(code: str, detail: Mapping[str, Any], lang: str = "en", own: Callable[[str], str] = str) -> str:
    """The sentence of a code in a language; a detail that is a reason itself (``code``, ``detail``) is said in its place.

    own : what a plain string among the details, in a stranger's own words, is turned into.
    """
    parts: dict[str, Any] = {}
    for name, value in detail.items():
        if isinstance(value, Mapping) and "code" in value:
            parts[name] = said(value["code"], value["detail"], lang, own)
        else:
            parts[name] = measure(value, lang) if name == "measure" else own(value) if isinstance(value, str) else value
    return told_apart(sentences(lang)[code], parts, "," if lang in words.COMMA else ".")


@dataclass(frozen=True)
class Reason:
    """A code and its details: numbers and plain strings, or the document of another reason."""

    code: StrEnum
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The English sentence, lower case and without a full stop."""
        return said(self.code, self.detail)

    def document(self) -> dict[str, Any]:
        """Plain JSON: ``code``, ``detail`` and the English ``text``."""
        return {"code": str(self.code), "detail": dict(self.detail), "text": self.text}

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Abstention(Reason):
    """Why there is no score."""

    code: AbstentionReason

    @property
    def failed(self) -> bool:
        """Whether the detector failed (an error row), as opposed to deciding not to say."""
        return self.code in _FAILURES

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> "Abstention":
        """Back from a document; a code that is not known here is kept in its own words."""
        try:
            return cls(AbstentionReason(body["code"]), dict(body["detail"]))
        except ValueError:
            return cls(AbstentionReason.OTHER, {"text": str(body.get("text") or body["code"])})

    def columns(self) -> dict[str, Any]:
        """As columns of a flat row: the sentence as ``error`` or ``abstained``, its code as ``reason``, and ``detail``."""
        said_as = "error" if self.failed else "abstained"
        return {said_as: self.text, "reason": str(self.code), "detail": dict(self.detail)}


@dataclass(frozen=True)
class Difference(Reason):
    """In what a clip differs from a calibration set: ``value``, ``least`` and ``most`` that was calibrated, None = no end."""

    code: DifferenceReason


@dataclass(frozen=True)
class MediaWarning(Reason):
    """What was odd about a file."""

    code: WarningReason

    @property
    def of_pictures(self) -> bool:
        """Whether the pictures themselves are in doubt: data is damaged or missing."""
        return self.code in _OF_PICTURES


@dataclass(frozen=True)
class Problem(Reason):
    """What makes a report incomplete."""

    code: ProblemReason
