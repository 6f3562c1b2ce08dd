"""Two clips side by side: which frames both hold, what was cut, cropped, mirrored or encoded again on the way from one to the other.

First where one picture lies in the other (features, RANSAC), then when (what moves within the common part, frame by frame).
Not covered: what was changed within a picture (of a clip and a face swap made from it every frame matches), a change of speed, several
pictures in one frame, sound.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda.report.examine import clip_facts
from gioconda.report.view import gaps, now
from gioconda.report.wording import clock, visible, when
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip
from gioconda_core.media.fingerprint import bits
from gioconda_core.media.pictures import Picture, jpeg
from gioconda_core.types import Sentence
from gioconda_core.workers.pool import Progress, unwatched

SCHEMA = "gioconda.clip-comparison/1"
FRAMES = 1500  # frames looked at of each clip at most: every one of a minute
WIDE = 192  # pixels across of the small grey pictures that are aligned in time
TALL = 4 * WIDE  # down them at most: of a strip one pixel wide the small picture would be the larger one
FEATURES = 640  # pixels of the longer side in which features are looked for
LOOKS = 10  # frames of each clip in which they are
INLIERS = 25  # matches that agree on one place before it is believed
EDGE = 31  # pixels along each edge in which ORB looks for no point
ALIKE = 0.6  # correlation of what moves from which on two frames are taken for one
SHORTEST = 0.3  # seconds of a common or a missing span that is told
WHOLE = 0.97  # share of a picture from which on it counts as uncropped
ASLANT = 0.1  # of a map's scale, from which on a picture is turned: some six degrees
SEEN = 0.01  # share of a picture that the other must show
FLIP = 0.15  # by which more matches must agree on a mirrored picture


@dataclass(frozen=True)
class Side:
    """One of the two clips. facts : size, width, height, duration, fps, codec, container, bit_rate, has_audio, still."""

    title: str
    sha256: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """A stretch that both hold. a, a_end, b, b_end : seconds in either."""

    a: float
    a_end: float
    b: float
    b_end: float


@dataclass(frozen=True)
class Region:
    """A part of a picture, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def share(self) -> float:
        """Its share of the picture's area, 0 to 1."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


@dataclass(frozen=True)
class Pair:
    """A frame of either clip that shows one moment. bits : of 64, by which their perceptual hashes differ over the common part."""

    a: float
    b: float
    bits: int
    equal: bool
    a_jpeg: bytes
    b_jpeg: bytes


@dataclass(frozen=True)
class Comparison:
    """What two clips have in common. Schema ``gioconda.clip-comparison/1``.

    placed : whether features said where one picture lies in the other; else both were taken for whole. moves : whether enough moves for frames
    to be aligned in time. only_a, only_b : spans (from, to) in seconds without a match. equal : of ``matched`` frames, how many are the same
    to the pixel. difference : grey levels (0 to 255) by which matched frames differ at the median, None without a match.
    """

    a: Side
    b: Side
    placed: bool = False
    moves: bool = False
    mirrored: bool = False
    region_a: Region = field(default_factory=lambda: Region(0, 0, 1, 1))
    region_b: Region = field(default_factory=lambda: Region(0, 0, 1, 1))
    spans: tuple[Span, ...] = ()
    only_a: tuple[tuple[float, float], ...] = ()
    only_b: tuple[tuple[float, float], ...] = ()
    matched: int = 0
    equal: int = 0
    difference: float | None = None
    pairs: tuple[Pair, ...] = ()
    created: str = ""
    schema: str = SCHEMA


@dataclass(eq=False)
class _Seen:
    """What is kept of a clip while it is compared: small grey pictures (T, h, WIDE), times, digests; larger ones of a few frames."""

    side: Side
    times: NDArray[np.float64]
    small: NDArray[np.uint8]
    digests: list[bytes]
    large: dict[int, Picture]

    @property
    def end(self) -> float:
        """Seconds of the last frame's end."""
        gap = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0
        return float(self.times[-1]) + gap


def compare(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    titles: tuple[str, str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two clips or pictures, each decoded in a limited child process.

    titles : what they are called; their file names by default. progress : called with ``first``, ``second`` or ``align`` and the share done.

    Raises
    ------
    MediaError
        One of them is not there or holds no picture.
    """
    step = progress or unwatched
    names = titles or (os.path.basename(a), os.path.basename(b))
    step("first", 0.0)
    one = _look(a, names[0])
    step("second", 0.4)
    other = _look(b, names[1])
    step("align", 0.8)
    matrix, mirrored = _place(one, other)
    regions = _common(matrix)
    parts = _parts(one, regions[0]), _parts(other, regions[1], flip=mirrored)
    links, moves = _links(*parts)
    spans = _spans(one, other, parts, links, still=not moves)
    pairs = _matched(one, other, spans)
    equal = sum(one.digests[i] == other.digests[j] for i, j in pairs)
    apart = [float(np.abs(parts[0][i] - parts[1][j]).mean()) for i, j in pairs]
    return Comparison(
        one.side,
        other.side,
        matrix is not None,
        moves,
        mirrored,
        *regions,
        tuple(spans),
        _without([(s.a, s.a_end) for s in spans], one.end),
        _without([(s.b, s.b_end) for s in spans], other.end),
        len(pairs),
        equal,
        round(float(np.median(apart)), 2) if apart else None,
        _shown(one, other, pairs, parts),
        now(),
    )


def _look(path: str | os.PathLike[str], title: str) -> _Seen:
    import cv2

    with Clip.open(path, sandbox=True) as clip:
        facts = clip_facts(clip) | {"size": os.path.getsize(path)}
        count = clip.facts.frame_count or round(clip.duration * float(clip.fps or 0))
        every = "all" if count <= FRAMES else f"every:{clip.duration / FRAMES:.4f}"
        looked = min(count, FRAMES) or 1
        times, small, digests = [], [], []
        large: dict[int, Picture] = {}
        for i, (time, frame) in enumerate(clip.frames(every)):
            if i >= 2 * FRAMES:
                break
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            size = (WIDE, min(max(8, round(WIDE * grey.shape[0] / grey.shape[1])), TALL))
            times.append(time)
            small.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
            digests.append(hashlib.sha256(frame.tobytes()).digest())
            if i % max(1, looked // LOOKS) == 0 and len(large) < 2 * LOOKS:
                large[i] = frame
    kept = {name: facts.get(name) for name in _FACTS}
    return _Seen(
        Side(visible(title), sha256_of(os.fspath(path)), kept), np.array(times), np.stack(small), digests, large
    )


_FACTS = ("size", "width", "height", "duration", "fps", "codec", "container", "bit_rate", "has_audio", "still")


# ------------------------------------------------------------------------- where


def _place(a: _Seen, b: _Seen) -> tuple[NDArray[np.float64] | None, bool]:
    """The map from shares of A's picture to shares of B's (2, 3), and whether B is mirrored; None where features say nothing."""
    frames, others = (list(seen.large.values())[:LOOKS] for seen in (a, b))
    left = [_features(frame) for frame in frames]
    plain, flipped = (_best(left, [_features(frame[:, ::way]) for frame in others]) for way in (1, -1))
    mirrored = flipped[0] > (1 + FLIP) * plain[0]
    count, matrix = flipped if mirrored else plain
    return (matrix, mirrored) if count >= INLIERS and _upright(matrix) else (None, False)


def _upright(matrix: NDArray[np.float64] | None) -> bool:
    """Whether a map lays a part of one picture that can be seen on the other, neither turned nor slanted."""
    if matrix is None:
        return False
    scale, aslant = np.diag(matrix[:, :2]), np.abs(matrix[[0, 1], [1, 0]])
    return bool(scale.min() > 0 and aslant.max() <= ASLANT * scale.min()) and _common(matrix)[0].share >= SEEN


_Features = tuple[NDArray[np.float32], NDArray[np.uint8] | None, NDArray[np.float64]]


def _best(left: Sequence[_Features], right: Sequence[_Features]) -> tuple[int, NDArray[np.float64] | None]:
    """The affine map on which most matches of a pair of frames agree, in shares of the pictures, and how many do."""
    import cv2

    most, matrix = 0, None
    for here, mine, size in left:
        for there, theirs, other_size in right:
            if mine is None or theirs is None or len(theirs) < 2:
                continue
            # As a matcher finds them, but in arrays: hundreds of thousands of objects would take longer than the distances.
            apart, nearest = cv2.batchDistance(mine, theirs, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
            good = np.flatnonzero(apart[:, 0] < 0.75 * apart[:, 1])
            if len(good) < max(8, most):
                continue
            source, target = here[good], there[nearest[good, 0]]
            found, inliers = cv2.estimateAffine2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=3.0)
            if found is not None and int(inliers.sum()) > most:
                most = int(inliers.sum())
                matrix = np.asarray(found, np.float64)  # (2, 3), pixels of the pictures looked at
                matrix[:, :2] *= size
                matrix /= other_size[:, None]
    return most, matrix


def _features(frame: Picture) -> _Features:
    """Points (n, 2), their descriptors, and the size (x, y) of the picture they were found in."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    scale = FEATURES / max(grey.shape)
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    if min(size) < EDGE:
        return np.zeros((0, 2), np.float32), None, np.array(size, np.float64)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    points, descriptors = cv2.ORB.create(1000).detectAndCompute(grey, None)
    found = None if descriptors is None else np.asarray(descriptors, np.uint8)
    return np.array(cv2.KeyPoint.convert(points), np.float32), found, np.array(grey.shape[::-1], np.float64)


def _common(matrix: NDArray[np.float64] | None) -> tuple[Region, Region]:
    """The part of A's picture that B shows, and the part of B's that A shows (in a mirrored B: as mirrored back)."""
    if matrix is None:
        return Region(0, 0, 1, 1), Region(0, 0, 1, 1)
    scale, shift = np.diag(matrix[:, :2]), matrix[:, 2]
    low, high = np.clip(shift, 0, 1), np.clip(shift + scale, 0, 1)
    there = Region(*(round(float(v), 4) for v in (*low, *high)))
    here = Region(
        *(round(float(v), 4) for v in (*np.clip((low - shift) / scale, 0, 1), *np.clip((high - shift) / scale, 0, 1)))
    )
    if min(here.share, there.share) >= WHOLE:  # by so little a map errs itself
        return Region(0, 0, 1, 1), Region(0, 0, 1, 1)
    return here, there


# ------------------------------------------------------------------------- when


PART = 32  # pixels along each side of the common part that is aligned


def _parts(seen: _Seen, region: Region, flip: bool = False) -> NDArray[np.float32]:
    """The common part of each frame, float32 (T, PART, PART), grey levels."""
    import cv2

    small = seen.small[:, :, ::-1] if flip else seen.small
    height, width = small.shape[1:]
    x0, x1 = round(region.left * width), max(round(region.right * width), round(region.left * width) + 2)
    y0, y1 = round(region.top * height), max(round(region.bottom * height), round(region.top * height) + 2)
    cut = [np.ascontiguousarray(frame[y0:y1, x0:x1]) for frame in small]
    return np.stack([cv2.resize(c, (PART, PART), interpolation=cv2.INTER_AREA) for c in cut]).astype(np.float32)


def _links(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[list[tuple[int, int]], bool]:
    """Frames of A with the frame of B that shows the same moment, by what moves; and whether enough moves to tell."""
    mean = (a.mean(0) + b.mean(0)) / 2
    rest = [(part - part.mean((1, 2), keepdims=True) - (mean - mean.mean())).reshape(len(part), -1) for part in (a, b)]
    if min(float(np.abs(r).mean()) for r in rest) < 0.5 or min(len(a), len(b)) < 2:
        return [], False
    left, right = (r / (np.linalg.norm(r, axis=1, keepdims=True) + 1e-6) for r in rest)
    alike = left @ right.T  # (T of A, T of B)
    forth, back = alike.argmax(1), alike.argmax(0)
    links = [(i, int(j)) for i, j in enumerate(forth) if alike[i, j] >= ALIKE and abs(int(back[j]) - i) <= 2]
    return links, True


def _spans(
    a: _Seen, b: _Seen, parts: Sequence[NDArray[np.float32]], links: Sequence[tuple[int, int]], still: bool
) -> list[Span]:
    """Stretches in which B runs beside A at one distance in time, each in neither clip twice."""
    alone = min(len(a.times), len(b.times)) == 1
    if still:  # nothing to align by: the shorter one lies in the other, whichever part of it
        # A single picture is looked for among all frames of the other side.
        left, right = (part if alone else part[:1] for part in parts)
        i, j = divmod(int(np.abs(left[:, None] - right).mean((2, 3)).argmin()), len(right))
        one, other = bits(_rgb(left[i])), bits(_rgb(right[j]))  # of the common part, by perceptual hash
        length = 0.0 if alone else round(min(a.end, b.end), 3)
        at, of = round(float(a.times[i]), 3), round(float(b.times[j]), 3)
        return [Span(at, at + length, of, of + length)] if (one ^ other).bit_count() <= 10 else []
    tick = max(float(np.median(np.diff(a.times))), float(np.median(np.diff(b.times))))
    rest = np.array([(a.times[i], b.times[j]) for i, j in links]).reshape(-1, 2)
    found: list[Span] = []
    while len(rest) >= 4:
        apart = rest[:, 1] - rest[:, 0]
        votes = (np.abs(apart[:, None] - apart[None]) <= 1.5 * tick).sum(1)
        shift = float(np.median(apart[np.abs(apart - apart[votes.argmax()]) <= 1.5 * tick]))
        near = np.abs(apart - shift) <= 1.5 * tick
        if near.sum() < 4:
            break
        run = rest[near][:, 0]
        # A link that is a frame off leads out of B.
        run = run[(run + shift > -tick / 2) & (run + shift < b.end - tick / 2)]
        for piece in np.split(run, np.flatnonzero(np.diff(run) > max(1.0, 4 * tick)) + 1):
            if len(piece) >= 4 and piece[-1] - piece[0] >= SHORTEST:
                found.append(Span(piece[0], piece[-1] + tick, piece[0] + shift, piece[-1] + tick + shift))
        rest = rest[~near]
    kept: list[Span] = []
    for span in sorted(found, key=lambda s: s.a - s.a_end):  # the longer one is believed where two cannot both be
        if all(not _overlap(span, k) for k in kept):
            kept.append(span)
    for i, span in enumerate(kept):
        kept[i] = _grown(span, [k for k in kept if k is not span], a, b, parts, tick)
    joined: list[Span] = []
    for span in sorted(kept, key=lambda s: s.a):
        last = joined[-1] if joined else None
        if last and span.a - last.a_end <= 4 * tick and abs((span.b - span.a) - (last.b - last.a)) <= 1.5 * tick:
            joined[-1] = Span(last.a, span.a_end, last.b, span.b_end)
        else:
            joined.append(span)
    return [Span(*(round(max(0.0, float(v)), 3) for v in (s.a, s.a_end, s.b, s.b_end))) for s in _apart(joined)]


def _apart(spans: Sequence[Span]) -> list[Span]:
    """The stretches, one after another in A, without the frame or two that two of them claim: each gives up half."""
    made = list(spans)
    for i in range(len(made) - 1):
        one, other = made[i], made[i + 1]
        over = max(one.a_end - other.a, one.b_end - other.b if one.b < other.b else 0.0, 0.0) / 2
        made[i] = Span(one.a, one.a_end - over, one.b, one.b_end - over)
        made[i + 1] = Span(other.a + over, other.a_end, other.b + over, other.b_end)
    return made


def _overlap(one: Span, other: Span) -> bool:
    """Whether two stretches claim the same seconds of either clip."""
    in_a = min(one.a_end, other.a_end) - max(one.a, other.a)
    in_b = min(one.b_end, other.b_end) - max(one.b, other.b)
    return max(in_a, in_b) >= SHORTEST


def _grown(
    span: Span, others: Sequence[Span], a: _Seen, b: _Seen, parts: Sequence[NDArray[np.float32]], tick: float
) -> Span:
    """A stretch with what lies before and after it, as long as the pictures are as alike as within and no other stretch claims them."""
    shift = span.b - span.a
    partner = np.abs(b.times[None] - (a.times + shift)[:, None]).argmin(1)
    apart = np.abs(parts[0] - parts[1][partner]).mean((1, 2))
    within = (a.times >= span.a - 1e-6) & (a.times < span.a_end - 1e-6)
    usual = float(np.median(apart[within])) if within.any() else 0.0
    free = (apart <= max(1.5 * usual, usual + 1)) & (a.times + shift > -tick / 2) & (a.times + shift < b.end - tick / 2)
    for k in others:
        if abs((k.b - k.a) - shift) > 1.5 * tick:  # one at the same distance in time is met, and joined
            free &= ~((a.times >= k.a - 1e-6) & (a.times < k.a_end - 1e-6))
            free &= ~((a.times + shift >= k.b - tick / 2) & (a.times + shift < k.b_end - tick / 2))
    first, last = int(np.flatnonzero(within)[0]), int(np.flatnonzero(within)[-1])
    while first > 0 and free[max(0, first - 3) : first].any():
        first = max(0, first - 3) + int(np.flatnonzero(free[max(0, first - 3) : first])[0])
    while last + 1 < len(a.times) and free[last + 1 : last + 4].any():
        last += 1 + int(np.flatnonzero(free[last + 1 : last + 4])[-1])
    start, stop = float(a.times[first]), float(a.times[last]) + tick
    return Span(start, stop, start + shift, stop + shift)


def _without(spans: Sequence[tuple[float, float]], end: float) -> tuple[tuple[float, float], ...]:
    """What of 0 to end lies in no span, where it is long enough to be told."""
    return tuple((round(a, 3), round(b, 3)) for a, b in gaps(spans, end) if b - a >= SHORTEST)


def _matched(a: _Seen, b: _Seen, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Frames of A and B at the same moments of the spans."""
    pairs = []
    for span in spans:
        # 1e-3: spans are told to the millisecond, and that of a single picture is empty
        for i in np.flatnonzero((a.times >= span.a - 1e-3) & (a.times < max(span.a_end, span.a + 2e-3) - 1e-3)):
            pairs.append((int(i), int(np.abs(b.times - (a.times[i] - span.a + span.b)).argmin())))
    return pairs


def _shown(
    a: _Seen, b: _Seen, pairs: Sequence[tuple[int, int]], parts: Sequence[NDArray[np.float32]]
) -> tuple[Pair, ...]:
    """Up to four pairs to look at, spread over what matches."""
    made = []
    for k in np.unique(np.linspace(0, len(pairs) - 1, min(4, len(pairs))).astype(int)) if pairs else ():
        i, j = pairs[int(k)]
        apart = bits(_rgb(parts[0][i])) ^ bits(_rgb(parts[1][j]))
        pictures = [jpeg(_rgb(seen.small[n]), WIDE) for seen, n in ((a, i), (b, j))]
        equal = a.digests[i] == b.digests[j]
        made.append(Pair(float(a.times[i]), float(b.times[j]), apart.bit_count(), equal, *pictures))
    return tuple(made)


def _rgb(grey: NDArray[Any]) -> Picture:
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


# ------------------------------------------------------------------------- in words


def _sparse(side: Side) -> bool:
    """Whether a clip is too long for all of its frames to be looked at."""
    return float(side.facts.get("duration") or 0.0) * float(side.facts.get("fps") or 0.0) > FRAMES


def sentences(c: Comparison) -> list[Sentence]:
    """What a person reads of a comparison, most telling first."""
    if c.a.sha256 == c.b.sha256:
        return [Sentence("compare.same-bytes")]
    stills = [bool(side.facts.get("still")) for side in (c.a, c.b)]
    pictures = any(stills)
    if not c.spans:
        return [Sentence(f"compare.{'nothing' if c.moves else 'picture-nothing' if pictures else 'still-nothing'}")]
    said: list[Sentence] = []
    if pictures and not all(stills):
        clip, at = ("B", c.spans[0].b) if stills[0] else ("A", c.spans[0].a)
        said.append(Sentence("compare.in-clip", {"clip": clip, "moment": clock(at)}))
    if all(stills) and c.equal == c.matched:
        said.append(Sentence("compare.picture-same"))
    elif pictures:
        said.append(Sentence("compare.picture-alike", {"levels": c.difference or 0.0}))
    elif c.matched and c.equal == c.matched:
        said.append(Sentence("compare.same-frames", {"frames": c.matched}))
    elif c.difference is not None:
        said.append(Sentence("compare.recoded", {"frames": c.matched, "equal": c.equal, "levels": c.difference}))
        said += when(any(map(_sparse, (c.a, c.b))), "compare.sampled")
    if c.moves:
        both = clock(sum(s.a_end - s.a for s in c.spans))
        count = {"count": len(c.spans)} if len(c.spans) > 1 else {}
        said.append(Sentence("compare.common" if count else "compare.common-one", {"seconds": both} | count))
        for name, spans in (("a", c.only_a), ("b", c.only_b)):
            said += when(spans, f"compare.only-{name}", spans=[f"{clock(x)} – {clock(y)}" for x, y in spans])
        order = [s.b for s in c.spans]
        said += when(order != sorted(order), "compare.order")
    said += when(not c.moves and not pictures, "compare.still")
    said += when(c.mirrored, "compare.mirrored")
    said += when(not c.placed, "compare.unplaced")
    for name, region in (("a", c.region_a), ("b", c.region_b)):
        if c.placed and region.share < WHOLE:
            args = {"share": region.share, "left": region.left, "right": 1 - region.right}
            said.append(Sentence(f"compare.crop-{name}", args | {"top": region.top, "bottom": 1 - region.bottom}))
    return said
