"""The types that flow between the parts: frozen, small, and free of any knowledge of where a clip lies on disk.

``Clip`` is in :mod:`gioconda_core.media.clip` (it opens files); ``Index`` is in :mod:`gioconda_core.datasets.index`.
Arrays are numpy; pictures are uint8 RGB and upright; times are seconds from the start of the clip;
boxes are ``xyxy`` in pixels of the upright frame; landmarks are float32 (68, 2), iBUG order.
"""

import functools
import math
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from gioconda_core.reasons import Abstention, AbstentionReason, MediaWarning, Problem

if TYPE_CHECKING:  # a third of a second, which each of an audit's workers would spend on names alone
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Frames: TypeAlias = "NDArray[np.uint8]"  # (T, H, W, 3) RGB, upright
Landmarks: TypeAlias = "NDArray[np.float32]"  # (68, 2) pixels of the upright frame, iBUG order
Times: TypeAlias = "NDArray[np.float64]"  # (T,) seconds

# --------------------------------------------------------------------------- faces


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face followed through a clip.

    id : int, 0-based, by first appearance, larger face first.
    times : (T,) float64 seconds, strictly increasing; gaps are allowed (exits and returns).
    boxes : (T, 4) float32 xyxy pixels.
    landmarks : (T, 68, 2) float32 pixels, iBUG order.
    quality : (T,) float32 in [0, 1]; 0 = unusable (tiny, blurred, turned away, unsure), 1 = large, sharp, frontal.
    measures : per-time parts of that quality, each (T,): ``face_px`` (pixels), ``blur``, ``yaw`` and ``pitch``
        (degrees), ``confidence`` [0, 1].
    """

    id: int
    times: Times
    boxes: "NDArray[np.float32]"
    landmarks: "NDArray[np.float32]"
    quality: "NDArray[np.float32]"
    measures: "Mapping[str, NDArray[np.float32]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.times)
        assert self.boxes.shape == (n, 4), self.boxes.shape
        assert self.landmarks.shape == (n, 68, 2), self.landmarks.shape
        assert self.quality.shape == (n,), self.quality.shape

    def __len__(self) -> int:
        return len(self.times)

    @functools.cached_property
    def extents(self) -> "NDArray[np.float32]":
        """(T,) pixels: the longer side of the landmarks' bounding box, which is what a face's size means wherever it is told."""
        sides: NDArray[np.float32] = self.landmarks.max(1) - self.landmarks.min(1)  # (T, 2)
        found: NDArray[np.float32] = sides.max(-1)
        return found

    @functools.cached_property
    def extent(self) -> float:
        """The median of :attr:`extents`, pixels; 0 where the track is empty."""
        from statistics import median

        return float(median(self.extents)) if len(self) else 0.0


class Shared:
    """What was computed of one footage, kept for whoever asks next: crops, features, measures, readings.

    It belongs to the very frames it was computed from: ``dataclasses.replace`` of a footage begins with an empty one.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives, made the first time ``key`` is asked for. Whoever gets it must not change it; a failure is not kept."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found


BLOCK = 8  # pixels along each side of the blocks in which movement is looked for
STILL = 8.0  # grey levels: a photograph encoded as video changes by 1 to 3 (CRF 23 to 38), filmed clips by 90 and more


STANDS = 2.0  # seconds from which on a standing picture within a clip is told
APART = 1.5  # seconds: of sampled frames further apart nothing is said of the time between


def _blocks(frames: Frames) -> Any:
    """The mean grey of each block of each frame, float32 (T, H / 8, W / 8)."""
    import cv2
    import numpy as np

    height, width = (max(1, side // BLOCK) for side in frames.shape[1:3])
    if not frames.size:
        return np.zeros((len(frames), 0, 0), np.float32)
    cut = frames[:, : height * BLOCK, : width * BLOCK]
    return np.stack(
        [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA).mean(-1, dtype=np.float32) for one in cut]
    )


def _standing(blocks: Any, times: Times) -> Iterator[tuple[float, float]]:
    import numpy as np

    first = 0
    while first < len(blocks):
        lowest = highest = blocks[first]
        last = first
        while last + 1 < len(blocks) and times[last + 1] - times[last] <= APART:
            lowest, highest = np.minimum(lowest, blocks[last + 1]), np.maximum(highest, blocks[last + 1])
            if float((highest - lowest).max(initial=0)) > STILL:
                break
            last += 1
        if stands := times[last] - times[first] >= STANDS:
            yield float(times[first]), float(times[last])
        first = last if stands and last > first else first + 1


MOST_FACES = 8  # faces that are followed at one time: of more in a frame, the largest


@dataclass(frozen=True, eq=False)
class Footage:
    """What a detector is given: pixels and tracks, never a path, so it cannot read the label.

    frames : uint8 (T, H, W, 3) RGB, the frames sampled by ``protocol``; times : (T,) seconds of each.
    fps : the stream's average rate, or None for a still picture.
    duration : seconds; 0 for a still picture.
    tracks : the faces; a track's times are a superset of the sampled times at which that face is present.
    protocol : how frames were taken, as metrics name it: ``32f-even``, ``all``, ``every-1s``.
    facts : container facts that are safe to show a detector's caveats (codec, bit rate, width, height); no names.
    shared : what detectors computed of it so far, for one another.
    """

    frames: Frames
    times: Times
    fps: Fraction | None
    duration: float
    tracks: tuple[FaceTrack, ...]
    protocol: str = "all"
    facts: Mapping[str, Any] = field(default_factory=dict)
    shared: Shared = field(default_factory=Shared, init=False, repr=False)

    @property
    def moves(self) -> bool:
        """Whether anything in the picture changes over the sampled frames by more than a codec's noise; a single frame does not move."""
        middle = self._greys[len(self.frames) // 2 : len(self.frames) // 2 + 1]
        return bool((abs(self._greys - middle) > STILL).any())

    @property
    def plain(self) -> bool:
        """Whether one colour, or nearly so, fills each sampled frame."""
        import cv2

        greys = self._greys
        if not greys.size or float((greys.max((1, 2)) - greys.min((1, 2))).max()) > STILL:
            return False
        # Nor do colours of one brightness lie side by side, or a pattern finer than the blocks.
        return all(float(cv2.meanStdDev(frame)[1].max()) <= STILL / 2 for frame in self.frames)

    @property
    def standing(self) -> tuple[tuple[float, float], ...]:
        """Spans (from, to) in seconds, of two and more, over whose sampled frames hardly anything changes."""
        return self.shared.once(("standing",), lambda: tuple(_standing(self._greys, self.times)))

    @property
    def _greys(self) -> Any:
        return self.shared.once(("greys",), lambda: _blocks(self.frames))

    def frozen(self) -> "Footage":
        """This footage with frames nobody can write to; itself where they are so already, so that what is shared stays shared."""
        if not self.frames.flags.writeable:
            return self
        frames = self.frames.view()
        frames.flags.writeable = False
        return replace(self, frames=frames)


# --------------------------------------------------------------------------- detectors


@dataclass(frozen=True)
class TrackScore:
    """A raw score over time for one face. times : (T,) seconds; scores : (T,) raw, higher = more like the fakes trained on."""

    track: int
    times: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Reading:
    """What one detector says of one clip: a raw score, or an abstention with its reason; never both.

    score : raw (not a probability), higher = more like the fakes it was trained on.
    pooling : how the per-time scores became one: ``mean``, ``max-track-mean``…
    abstained : why nothing is said; None when there is a score. Plain words, as a plugin may give them, become the reason OTHER.
    """

    detector: str
    version: str
    weights_sha256: str | None
    score: float | None = None
    series: tuple[TrackScore, ...] = ()
    pooling: str = "max-track-mean"
    abstained: Abstention | None = None
    protocol: str = "all"
    seconds: float | None = None  # wall time spent, for the record

    def __post_init__(self) -> None:
        if isinstance(self.abstained, str):
            object.__setattr__(self, "abstained", Abstention(AbstentionReason.OTHER, {"text": self.abstained}))
        if (self.score is None) == (self.abstained is None):
            raise ValueError("a Reading carries a score or an abstention, never both and never neither")
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"score is not a finite number: {self.score}")


# --------------------------------------------------------------------------- claims and synthesis


@dataclass(frozen=True)
class Ingredient:
    """Something that went into a generated clip. role : ``source`` (the face), ``driver`` (the motion), ``parent``."""

    role: str
    sha256: str
    title: str = ""
    path: str | None = None  # only read at signing time, for the thumbnail; never written into the manifest
    mime: str = ""


@dataclass(frozen=True)
class Claim:
    """How a piece of media came to be: everything ``provenance.signing.sign`` needs to attest it.

    task : ``self-reenactment``, ``cross-reenactment``, ``control`` (real pass-through)…
    label : ``fake`` (generated), ``real`` (control), as the data set's ground truth.
    params : JSON-able facts (landmark adaptation, T, mode, iterations, crf); 64-bit integers as strings.
    producer : who offers the generating system, where the file is to carry China's label (GB 45438-2025).
    """

    title: str
    task: str
    label: str
    generator: str
    generator_version: str
    ingredients: tuple[Ingredient, ...] = ()
    weights_sha256: str | None = None
    config_sha256: str | None = None
    seed: str | None = None
    licence: str = "unspecified"
    consent: str | None = None  # consent id: sha256 of the consent file, or "embedded" / "public-domain"
    split: str | None = None
    identity: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    producer: str = ""


@dataclass(frozen=True)
class Audio:
    """A clip whose sound goes with frames. start : seconds into it, on the clock of its first video frame, at which they begin."""

    path: str | os.PathLike[str]
    start: float = 0.0


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Frames plus the claim that describes how they were made. It has no writer: only ``provenance.signing.sign`` makes a file of it.

    frames : uint8 (T, H, W, 3), or anything that yields T frames one by one, once; times : (T,) seconds; fps : Fraction.
    completed : asked for the claim anew once every frame has been encoded, where some of it is only known then.
    mask : optional uint8 (T, H, W), 255 where pixels were generated.
    audio : the clip whose audio track is copied, or None.
    """

    frames: "Frames | Iterable[NDArray[np.uint8]]"
    times: Times
    fps: Fraction
    claim: Claim
    mask: "NDArray[np.uint8] | None" = None
    audio: Audio | None = None
    completed: Callable[[Claim], Claim] | None = None


# --------------------------------------------------------------------------- provenance


class ProvenanceState(StrEnum):
    """Closed. Absent says nothing either way; valid means that what was signed is unchanged, by whoever signed."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    VALID = "valid"
    TRUSTED = "trusted"

    @property
    def intact(self) -> bool:
        """Whether a credential is there and holds, whoever signed it."""
        return self in (ProvenanceState.VALID, ProvenanceState.TRUSTED)


class CredentialReason(StrEnum):
    """What decided a state that is not plain; each is said in a sentence of its own. Only *altered* says that bytes were changed."""

    ALTERED = "altered"  # bytes, statements or the claim are not those that were signed
    EXPIRED = "expired"  # unaltered, but the certificate was not valid at the only time that can be shown
    SIGNER = "signer"  # the certificate may not sign claims, or was revoked
    INCOMPLETE = "incomplete"  # the file, its segments or a part that the credential needs is not there
    INGREDIENT = "ingredient"  # the file is as signed; the credential of something it was made from is not
    CONTRADICTORY = "contradictory"  # the credential says two things that exclude each other
    MALFORMED = "malformed"  # a credential is there and is not written as one
    DOUBTED = "doubted"  # intact, the signer is not called trusted, and not for want of a list
    IDENTITY = "identity"  # intact; a statement about a named person or organisation does not hold
    UNSUPPORTED = "unsupported"  # no credential can be looked for in this kind of file
    REMOTE = "remote"  # the credential is kept elsewhere and was not fetched
    DAMAGED = "damaged"  # the file itself cannot be read
    UNJUDGED = "unjudged"  # it could not be read, or the SDK's answer has no state or contradicts itself


class TrustScheme(StrEnum):
    """Whose trust list it is; a verdict says which, because they ask different things of a signer."""

    OFFICIAL = "c2pa"  # C2PA's own list, of its conformance programme
    INTERIM = "c2pa-interim"  # the list before it, frozen on 2026-01-01: takes no new signers, and what was signed under it stays valid
    IPTC = "iptc"  # IPTC's Verified News Publishers
    OWN = "own"  # anybody's: a newsroom's, a user's


@dataclass(frozen=True)
class Code:
    """One status code with its sentence. kind : ``success``, ``informational``, ``failure`` or ``policy`` (ours)."""

    code: str
    kind: str
    sentence: str
    where: str = ""


@dataclass(frozen=True)
class IngredientNode:
    """One ingredient in the credential tree; thumbnails are JPEG or PNG bytes, at most a few hundred kB."""

    title: str
    relationship: str
    format: str = ""
    signer: str | None = None
    failures: tuple[Code, ...] = ()
    thumbnail: bytes | None = None
    children: "tuple[IngredientNode, ...]" = ()


@dataclass(frozen=True)
class ListRead:
    """A trust list that was looked through, as data: each language makes its own sentence of it.

    kinds : what for (``manifest``, ``tsa``, ``cawg``). date, next_update : ISO, of this issue and of the next, which may not be stated.
    unread : which of its certificates, counted from 1, could not be read. names_signer : whether the verdict's signer is by this one.
    """

    name: str
    kinds: tuple[str, ...]
    date: str
    sha256: str
    scheme: TrustScheme = TrustScheme.OWN
    next_update: str = ""
    unread: tuple[int, ...] = ()
    names_signer: bool = False


@dataclass(frozen=True)
class Provenance:
    """What a file's Content Credentials say, after our policy. All strings are sanitised; none is proof of anything.

    reason : what decided the state, where it is not plain. detail : the SDK's own words about it, for a log and never for a person.
    decided_by : the codes that decided, of those in ``codes``.
    """

    state: ProvenanceState
    reason: CredentialReason | None = None
    detail: str = ""
    decided_by: tuple[str, ...] = ()
    signer: str | None = None
    signer_fingerprint: str | None = None  # sha256 of the leaf certificate, hex
    signed_at: str | None = None  # ISO 8601, from the RFC 3161 timestamp where there is one
    timestamped: bool = False
    expires_at: str | None = None
    claim_generator: str | None = None
    actions: tuple[Mapping[str, Any], ...] = ()
    source_types: tuple[str, ...] = ()  # IPTC digitalSourceType URIs
    inherited_source_types: tuple[str, ...] = ()  # those of what it was made from: parents and components
    # the credential itself states that AI made or edited it, a part of it, or what it was made from
    says_ai: bool = False
    ai_inherited: bool = False  # it states that only of what it was made from
    development_key: bool = False  # signed by a Gioconda development certificate: proves nothing about who
    label: Mapping[str, Any] | None = None  # org.gioconda.label, when exactly one created assertion is there
    ingredients: tuple[IngredientNode, ...] = ()
    codes: tuple[Code, ...] = ()
    trust_list: str | None = None  # the list that matched, with its date
    trust_list_date: str | None = None
    trust_scheme: TrustScheme | None = None  # whose list that is
    trust_list_update: str | None = None  # when that list said that its next issue would come, ISO date
    trust_lists: tuple[str, ...] = ()  # every list looked through, with kind, date and hash
    lists: tuple[ListRead, ...] = ()  # the same as data
    sidecar: bool = False
    sdk: str = ""
    manifest_count: int = 0
    soft_bindings: tuple[Mapping[str, Any], ...] = ()
    inherited_soft_bindings: tuple[Mapping[str, Any], ...] = ()  # those of what it was made from
    # CAWG: name, roles, trusted (on an identity list), lists, failures, doubts (failures that may be another one's)
    identities: tuple[Mapping[str, Any], ...] = ()
    statements: tuple[Mapping[str, Any], ...] = ()  # every other assertion: label, whether the signer's own, data
    redacted: tuple[str, ...] = ()  # statements of earlier credentials that this one took out


# --------------------------------------------------------------------------- labelled sets


class Label(StrEnum):
    """Whether a sample is real or fake; unknown where nobody has said."""

    REAL = "real"
    FAKE = "fake"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sample:
    """One row of an index. identity and source are the axes splits must be disjoint by.

    path is relative to the index file's folder where possible. sha256 is of the file; essence is of decoded frames.
    """

    path: str
    sha256: str
    label: Label
    generator: str = ""  # empty for real
    identity: str = ""
    source: str = ""  # id of the source video; a fake shares it with the real clip it was made from
    licence: str = ""
    split: str = ""  # train, val, test or empty
    essence: str = ""
    phash: str = ""
    pair: str = ""  # sha256 of the paired real clip, for self-reenactment and controls
    group: Mapping[str, str] = field(default_factory=dict)  # language, demographic, quality… slices
    extra: Mapping[str, Any] = field(default_factory=dict)


# --------------------------------------------------------------------------- reports


class Level(StrEnum):
    """How strong the strongest signal found is. Never 'real', never 'fake'. Ordered weakest first."""

    NOT_ASSESSED = "not-assessed"
    # read, by a detector that told fakes by unseen methods no better than a coin or a trivial cue
    NO_SKILL = "no-skill"
    NO_STRONG_SIGNAL = "no-strong-signal"
    SIGNAL = "signal"
    STRONG_SIGNAL = "strong-signal"

    @property
    def found(self) -> bool:
        """Whether it says that a signal was found."""
        return self in (Level.SIGNAL, Level.STRONG_SIGNAL)


@dataclass(frozen=True)
class Sentence:
    """A sentence to be said, by key and arguments, so that every language says the same thing.

    key : template key in gioconda.report.wording; args : plain strings and numbers, already sanitised.
    """

    key: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sealed:
    """How well a detector told real from fake on a set that it was neither trained on nor chosen by: other persons, other methods.

    value, low, high : AUC by clip and its 95 % interval over persons. reals, fakes : clips that were scored. cue, cue_value : the best
    trivial cue on the same set (``sharpness``, ``fps``, ``length``, ``bytes``) and its AUC; empty and None where none was measured.
    missed : of the fakes, how many got no signal; None = not counted.
    """

    set: str
    date: str
    value: float
    low: float
    high: float
    reals: int
    fakes: int
    persons: int
    methods: int
    cue: str = ""
    cue_value: float | None = None
    missed: int | None = None

    @property
    def skill(self) -> bool:
        """Whether it did better than a coin, by the whole interval, and better than the best trivial cue."""
        return self.low > 0.5 and (self.cue_value is None or self.value > self.cue_value)


@dataclass(frozen=True)
class FaceCalibrated:
    """What was read of one face, where a clip shows several.

    level : its own. reached : real clips of the stratum that score at least this, of ``n``. abstained : why it was not assessed; its score is
    then withheld.
    """

    track: int
    level: Level
    score: float | None = None
    reached: int | None = None
    n: int | None = None
    stratum: str | None = None
    abstained: Abstention | None = None


@dataclass(frozen=True)
class Calibrated:
    """A reading beside what its score has meant on a named calibration set.

    level : what a person is told; not assessed where nothing was calibrated, or nothing like this clip.
    false_alarm, low, high : share of the ``n`` real clips of the stratum that score at least this, and its 95 % interval; None = rank only.
    calibration_set, date, stratum : which real clips those are.
    threshold : the score from which a signal is found in a clip as a whole; window_threshold : in any single one of its windows.
    sealed, unseen : what the detector reached on a sealed set, and on unseen methods in development; None = not measured.
    same_headline, stronger : how many of the set's ``of_reals`` real clips would get this level, and how many a stronger one, each
        judged by all the others.
    faces : each face's own, where several were read; score, rates and level are those of the face with the strongest level, ``track``.
    """

    reading: Reading
    level: Level
    false_alarm: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    calibration_set: str | None = None
    date: str | None = None
    stratum: str | None = None
    threshold: float | None = None
    sealed: Sealed | None = None
    same_headline: int | None = None
    of_reals: int | None = None
    faces: tuple[FaceCalibrated, ...] = ()
    unseen: Sealed | None = None
    window_threshold: float | None = None
    track: int | None = None
    stronger: int | None = None

    @property
    def faces_assessed(self) -> int:
        """How many faces the level was chosen from."""
        return sum(face.abstained is None for face in self.faces) or 1


@dataclass(frozen=True)
class Verdict:
    """Level, sentences, caveats, next steps. Detectors and provenance stand side by side, never fused into one number.

    scope : how much was examined, and what was not. editor : what may be said in public, and what may not.
    """

    level: Level
    sentences: tuple[Sentence, ...]
    caveats: tuple[Sentence, ...]
    next_steps: tuple[Sentence, ...]
    scope: tuple[Sentence, ...] = ()
    editor: tuple[Sentence, ...] = ()


@dataclass(frozen=True)
class Keyframe:
    """One sharp frame of a clip, to be searched for and printed.

    time : seconds; shot : 0-based, counted by cuts. sha256 : of the full frame as it is exported (JPEG); phash : its 64-bit perceptual hash,
    16 hex digits. jpeg : a smaller picture of it, for pages.
    """

    time: float
    shot: int
    sha256: str
    phash: str
    jpeg: bytes


@dataclass(frozen=True)
class PictureView:
    """A still picture seen another way, to be looked at; it says nothing by itself. kind : ``grid``, ``noise`` or ``error-level``."""

    kind: str
    jpeg: bytes


@dataclass(frozen=True)
class Sound:
    """The first sound track of a clip as it can be drawn; nothing is said of whose voice it is.

    seconds : its length; offset : its start less that of the picture, in seconds; codec, rate (Hz), channels : of the container.
    peaks : the largest of the samples (0 to 1) in equal parts of the length. gaps : spans (from, to) in seconds without any sound at all.
    spectrogram : JPEG, time to the right, 0 to 8 kHz upwards.
    """

    seconds: float
    offset: float
    codec: str
    rate: int
    channels: int
    peaks: tuple[float, ...]
    gaps: tuple[tuple[float, float], ...]
    spectrogram: bytes


@dataclass(frozen=True)
class Evidence:
    """What a person can look at and search by, beside every reading and without a word on any of them."""

    keyframes: tuple[Keyframe, ...] = ()
    views: tuple[PictureView, ...] = ()
    sound: Sound | None = None


@dataclass(frozen=True)
class Still:
    """A face at a moment. time : seconds; jpeg : its picture."""

    time: float
    jpeg: bytes


@dataclass(frozen=True)
class FaceSummary:
    """A face for the report. seen : sampled frames it is in; start, end : seconds; face_px : its extent (:attr:`FaceTrack.extent`), pixels; quality : its median, 0 to 1.

    times, boxes : where it was, in seconds and as xyxy in shares of the frame. thumbnail : at its best, JPEG; stills : along time.
    """

    id: int
    seen: int
    start: float
    end: float
    face_px: float
    quality: float
    times: tuple[float, ...]
    boxes: tuple[tuple[float, ...], ...]
    thumbnail: bytes | None
    stills: tuple[Still, ...]

    @property
    def centre(self) -> tuple[float, float] | None:
        """Where in the frame it is on the whole, from 0 (left, top) to 1; None where that is not known."""
        if not self.boxes:
            return None
        corners = 2 * len(self.boxes)
        return sum(b[0] + b[2] for b in self.boxes) / corners, sum(b[1] + b[3] for b in self.boxes) / corners


@dataclass(frozen=True)
class Watermark:
    """The invisible watermark that was read.

    algorithm : as C2PA's list of soft bindings names it. errors : share of wrong bits that were mended. frames : how many it was read in.
    """

    algorithm: str
    value: str
    errors: float
    frames: int


@dataclass(frozen=True)
class Report:
    """Everything a renderer sees of one examined file. Schema ``gioconda.report/1``. facts : container facts (plain JSON)."""

    title: str
    sha256: str
    verdict: Verdict
    provenance: Provenance
    readings: tuple[Calibrated, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    tracks: tuple[FaceSummary, ...] = ()
    mark: Watermark | None = None
    warnings: tuple[MediaWarning, ...] = ()
    errors: tuple[Problem, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    created: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    schema: str = "gioconda.report/1"
