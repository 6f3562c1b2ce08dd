"""Why something was left unsaid, failed or is warned of: a code with its details. Sentences are made from them where they are shown.

Verdicts, caveats and exit codes depend on codes alone. The English sentence of each code is here; a report has it in its other
languages too (``gioconda/report/reasons.toml``), and a document carries code, detail and sentence together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AbstentionReason(StrEnum):
    """Why a detector gives no score. The last four of ours are failures of the detector, not decisions."""

    NO_PICTURE = "no-picture"
    NO_FACE = "no-face"
    FACE_TOO_SMALL = "face-too-small"
    FACE_UNCLEAR = "face-unclear"
    FACE_OUTSIDE_FRAME = "face-outside-frame"
    LANDMARKS_IN_ONE_POINT = "landmarks-in-one-point"
    NO_FACE_SCORED = "no-face-scored"
    TOO_FEW_FRAMES = "too-few-frames"
    TOO_FEW_PAIRS = "too-few-pairs"
    TOO_FEW_MOMENTS = "too-few-moments"
    NOT_FOLLOWED = "not-followed"
    OUTSIDE_CALIBRATION = "outside-calibration"
    NO_SKILL_ON_KIND = "no-skill-on-kind"
    KIND_NOT_VALIDATED = "kind-not-validated"
    FRAMES_TOO_FAR_APART = "frames-too-far-apart"
    NOT_IN_TABLE = "not-in-table"
    NO_SCORE_IN_TABLE = "no-score-in-table"
    TABLE_NOT_OF_DEGRADED = "table-not-of-degraded"
    STILL_PICTURE = "still-picture"
    NOTHING_MOVES = "nothing-moves"
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
    CLOCK_JUMPS = "clock-jumps"
    MIRROR_UNKNOWN = "mirror-unknown"
    PIXEL_ASPECT = "pixel-aspect"
    SIZE_CHANGES = "size-changes"
    TIMESTAMPS = "timestamps"
    ENDS_EARLY = "ends-early"
    STOPPED = "stopped"
    STOPPED_THERE = "stopped-there"  # of an animation, which does not say how long it should be
    DAMAGED_DATA = "damaged-data"
    DAMAGED_DATA_SKIPPED = "damaged-data-skipped"
    EXIF_DAMAGED = "exif-damaged"
    COLOUR_PROFILE_DAMAGED = "colour-profile-damaged"
    METADATA_TIMEOUT = "metadata-timeout"
    METADATA_UNREAD = "metadata-unread"


_OF_PICTURES = frozenset(
    {
        WarningReason.ENDS_EARLY,
        WarningReason.STOPPED,
        WarningReason.STOPPED_THERE,
        WarningReason.DAMAGED_DATA,
        WarningReason.DAMAGED_DATA_SKIPPED,
    }
)


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


# English, lower case, without a full stop. Each field is a detail that the code comes with.
SENTENCES: dict[StrEnum, str] = {
    AbstentionReason.NO_PICTURE: "there is no picture in it",
    AbstentionReason.NO_FACE: "no face was found",
    AbstentionReason.FACE_TOO_SMALL: "the largest face spans {face_px:.0f} pixels; below {least:.0f} nothing can be measured",
    AbstentionReason.FACE_UNCLEAR: "no face is clear enough to be measured",
    AbstentionReason.FACE_OUTSIDE_FRAME: "the face lies outside the frame",
    AbstentionReason.LANDMARKS_IN_ONE_POINT: "the face's landmarks lie in one point",
    AbstentionReason.NO_FACE_SCORED: "no face could be scored",
    AbstentionReason.TOO_FEW_FRAMES: "a face can be measured in {seen} sampled frames; this detector needs {needed}",
    AbstentionReason.TOO_FEW_PAIRS: "a face can be measured in {seen} of the pairs of neighbouring frames that were read; this detector needs {needed}",
    AbstentionReason.TOO_FEW_MOMENTS: "no face can be measured at {moments} moments within {seconds:g} seconds",
    AbstentionReason.NOT_FOLLOWED: "no face is followed for {seconds:g} s at {rate:g} positions a second",
    AbstentionReason.OUTSIDE_CALIBRATION: "outside what was calibrated: {difference}",
    AbstentionReason.NO_SKILL_ON_KIND: "no skill has been shown on clips like this one ({measure} {value:.2f}): AUC between {low:.2f} and {high:.2f} "
    "on {reals} real clips and {fakes} fakes of that kind",
    AbstentionReason.KIND_NOT_VALIDATED: "clips like this one ({measure} {value:.2f}) are too few to have been validated: {reals} real, {fakes} fake",
    AbstentionReason.FRAMES_TOO_FAR_APART: "it compares neighbouring frames, and no two that were read lie within {seconds:.2f} s",
    AbstentionReason.NOT_IN_TABLE: "the table does not name this clip",
    AbstentionReason.NO_SCORE_IN_TABLE: "the table has no score for this clip",
    AbstentionReason.TABLE_NOT_OF_DEGRADED: "a table of scores says nothing of degraded clips",
    AbstentionReason.STILL_PICTURE: "it compares moments of a video, and a still picture has only one",
    AbstentionReason.NOTHING_MOVES: "it compares moments, and nothing in this clip moves",
    AbstentionReason.OTHER: "{text}",
    AbstentionReason.DETECTOR_ERROR: "the detector failed: {text}",
    AbstentionReason.NO_ANSWER_IN_TIME: "the detector failed: no answer within {seconds:g} s",
    AbstentionReason.BAD_ANSWER: "the detector failed: {text}",
    AbstentionReason.NOT_FINITE: "the detector failed: {value} is not a finite number",
    DifferenceReason.FACE_SIZE: "the face spans {value:.0f} pixels; calibrated for {least:.0f} to {most:.0f}",
    DifferenceReason.DETAIL: "fine detail in the face is {value:.2f} on a log scale; calibrated for {least:.2f} to {most:.2f}",
    DifferenceReason.LENGTH: "the face is there for {value:.1f} s; calibrated for at least {least:.1f} s",
    DifferenceReason.MEASURE: "{measure} is {value:.2f}; calibrated for {least:.2f} to {most:.2f}",
    WarningReason.SEVERAL_STREAMS: "{streams} video streams; stream {read} is read, as players show it; not examined: stream {others}",
    WarningReason.SEVERAL_PICTURES: "{pictures} pictures; the primary one is read",
    WarningReason.CLOCK_JUMPS: "the clock jumps by {by:+.2f} s at {time:.2f} s ({jumps} in all); times are counted without jumps",
    WarningReason.MIRROR_UNKNOWN: "the picture is turned as the file says; whether it should be mirrored too could not be read",
    WarningReason.PIXEL_ASPECT: "pixel aspect {aspect} is not believable and was ignored",
    WarningReason.SIZE_CHANGES: "picture size changes at {time:.2f} s; frames are scaled to the first",
    WarningReason.TIMESTAMPS: "timestamps do not increase at {time:.2f} s; they were nudged forward",
    WarningReason.ENDS_EARLY: "the file ends early: reading stops at {time:.2f} s of {declared:.2f} s",
    WarningReason.STOPPED: "reading stopped at {time:.2f} s of {declared:.2f} s: the file is truncated or damaged there",
    WarningReason.STOPPED_THERE: "reading stopped at {time:.2f} s: the file is truncated or damaged there",
    WarningReason.DAMAGED_DATA: "damaged data at {time:.2f} s; pictures from there may be wrong",
    WarningReason.DAMAGED_DATA_SKIPPED: "damaged data was passed over: {text}",
    WarningReason.EXIF_DAMAGED: "the EXIF block is damaged; orientation unknown",
    WarningReason.COLOUR_PROFILE_DAMAGED: "the colour profile is damaged and was ignored",
    WarningReason.METADATA_TIMEOUT: "metadata could not be read within {seconds:g} s",
    WarningReason.METADATA_UNREAD: "metadata could not be read: {text}",
    ProblemReason.DETECTOR_FAILED: "{detector}: {reason}",
    ProblemReason.CREDENTIALS_FAILED: "Content Credentials: {text}",
    ProblemReason.MEDIA_UNREAD: "{text}",
    PassedOver.NOT_MEDIA: "no name of a clip or picture (--all takes it)",
    PassedOver.EXCLUDED: "excluded (--exclude)",
    PassedOver.NOT_INCLUDED: "not included (--include)",
    PassedOver.TOO_LARGE: "larger than --max-size",
    PassedOver.FOLDER_EXCLUDED: "folder that is excluded (--exclude)",
    PassedOver.FOLDER_ELSEWHERE: "folder on another file system",
    PassedOver.FOLDER_ENTERED: "folder that was entered under another name",
    PassedOver.FOLDER_UNREADABLE: "folder that may not be read",
    PassedOver.FILE_UNREADABLE: "file that may not be looked at",
    PassedOver.LINK: "link",
    PassedOver.LINK_OUT: "link that leads out of the tree",
    PassedOver.LINK_NOWHERE: "link that leads nowhere",
    PassedOver.LINK_TO_FOLDER: "link to a folder",
    PassedOver.NOT_REGULAR: "not a regular file",
    PassedOver.NAMED_TWICE: "named twice",
    PassedOver.NESTED_ARCHIVE: "archive inside an archive",
}


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
    said = dict(detail)
    for name, value in numbers.items():
        if isinstance(detail[name], float):
            said[name] = _Number(value)
            said[name].sign = sign
            said[name].others = tuple(other for other in numbers.values() if other != value)
    return template.format(**said)


def english(code: str, detail: Mapping[str, Any]) -> str:
    """The English sentence of a code; a detail that is a reason itself (``code``, ``detail``) is said in its place."""
    said = {
        name: english(value["code"], value["detail"]) if isinstance(value, Mapping) and "code" in value else value
        for name, value in detail.items()
    }
    return told_apart(SENTENCES[code], said)  # type: ignore[index]  # a StrEnum's value finds its member


@dataclass(frozen=True)
class Reason:
    """A code and its details: numbers and plain strings, or the document of another reason."""

    code: StrEnum
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The English sentence, lower case and without a full stop."""
        return english(self.code, self.detail)

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
    def from_document(cls, body: Mapping[str, Any]) -> Abstention:
        """Back from a document; a code that is not known here is kept in its own words."""
        try:
            return cls(AbstentionReason(body["code"]), dict(body["detail"]))
        except ValueError:
            return cls(AbstentionReason.OTHER, {"text": str(body.get("text") or body["code"])})

    def columns(self) -> dict[str, Any]:
        """As columns of a flat row: the sentence as ``error`` or ``abstained``, its code as ``reason``, and ``detail``."""
        return {
            "error" if self.failed else "abstained": self.text,
            "reason": str(self.code),
            "detail": dict(self.detail),
        }


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
