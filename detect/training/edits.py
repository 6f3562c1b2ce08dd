"""What editors and circumstances do to a clip of a face that says nothing of how it was made: they cover a part of the face (captions,
stickers, bars, blur, masks, glasses, things held before it, shadows), or change what surrounds it (banners, other backgrounds, split
screens).

A detector that compares a face with its surroundings takes either for a trace. So clips are learned from with an edit as well, real ones
and fakes alike: then an edit tells neither. Source: ours; what it changed is in docs/experiments-detectors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.training.options import EDITS
from gioconda_core.faces import align, cut_out

Array = NDArray[Any]
# picture uint8 (S, S, 3), its landmarks (68, 2), number of the moment → the picture edited
Draw = Callable[[Array, Array, int], Array]
# what chance is drawn from, landmarks of the first picture, a picture of somebody else → the edit of one clip
Edit = Callable[[np.random.Generator, Array, Array], Draw]
WORDS = "breaking,news,live,today,watch until,the end,official,statement,what happened,we are,2024,100 %"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
LETTER = 26.0  # pixels of a line of text of scale 1, about
# Places on a face, by landmarks that lie around them.
PLACES = {"eyes": slice(36, 48), "brows": slice(17, 27), "nose": slice(29, 36), "mouth": slice(48, 68)}
PLACES |= {"chin": slice(6, 11)}
CLOTHS = ((150, 190, 215), (225, 228, 230), (25, 25, 28), (200, 150, 160), (60, 80, 120))  # of masks, RGB
SKIN = (205, 160, 135)
SEEN = 96  # pixels at which a person is cut out


def edited(
    kinds: Mapping[str, tuple[Edit, float]], pictures: Array, landmarks: Array, other: Array, rng: np.random.Generator
) -> Array:
    """A clip with one edit, drawn by lot, in all its pictures.

    kinds : of ``KINDS`` one. pictures : uint8 (M, 2, S, S, 3), pairs. landmarks : (M, 2, 68, 2), their pixels. other : uint8
    (S, S, 3) of somebody else.
    """
    kind = rng.choice(list(kinds), p=[share for _, share in kinds.values()])
    draw = kinds[kind][0](rng, landmarks[0, 0], other)
    pairs = zip(pictures, landmarks, strict=True)
    return np.array([[draw(*one, moment) for one in zip(*pair, strict=True)] for moment, pair in enumerate(pairs)])


def _caption(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """One or two lines of text, bare, in an outline or on a box, mostly over mouth or chin; they stand still while the face moves, and may
    change."""
    extent = align.extent(first)
    place = PLACES[rng.choice(["mouth", "chin", "nose", "brows", "eyes"], p=[0.35, 0.3, 0.1, 0.15, 0.1])]
    at = first[place].mean(0) + rng.normal(0, 0.05 * extent, 2)
    letters = _Letters(int(rng.choice(FONTS)), rng.uniform(0.4, 1.3), int(rng.integers(1, 3)))
    around = rng.choice(["nothing", "outline", "box"], p=[0.2, 0.45, 0.35])
    ink: tuple[int, ...] = (255, 255, 255)
    edge: tuple[int, ...] = (0, 0, 0)
    if rng.random() >= 0.7:
        ink, edge = _colour(rng), ink
    if around == "box" and rng.random() < 0.6:
        edge = _colour(rng)
        ink = _legible(edge)
    opaque, changes = 1.0 if rng.random() < 0.7 else rng.uniform(0.5, 0.9), rng.random() < 0.6
    said = [[_words(rng) for _ in range(rng.integers(1, 3))] for _ in range(8)]

    def draw(picture: Array, points: Array, moment: int) -> Array:
        out = picture.copy()
        for line, words in enumerate(said[moment // 2 % len(said) if changes else 0]):
            below = at + np.array([0, line * 1.4 * LETTER * letters.scale])
            if around == "box":
                half = np.array(letters.size(words)) / 2 + np.array([0.3, 0.4]) * LETTER * letters.scale
                out = _lay(out, _filled(_box(below, *half), len(out)) * opaque, edge)
            elif around == "outline":
                for corner in _oval(below, 1.7, 1.7)[::5]:
                    letters.write(out, words, corner, edge)
            letters.write(out, words, below, ink)
        return out

    return draw


def _sticker(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A flat or patterned shape anywhere on the face, which goes with it or stands still."""
    extent = align.extent(first)
    spot = int(rng.integers(68))
    off = rng.normal(0, 0.08 * extent, 2) + (first[30] - first[spot]) * rng.uniform(0, 0.5)
    radius, turned = extent * rng.uniform(0.08, 0.26), rng.uniform(0, 2 * np.pi)
    corners = int(rng.choice([3, 4, 5, 6, 40, 40, 40]))
    dent = rng.uniform(0.4, 1.0) if corners < 40 else 1.0  # of the middles of sides, towards the centre: a star
    goes, opaque = rng.random() < 0.5, 1.0 if rng.random() < 0.8 else rng.uniform(0.5, 0.9)
    pattern = rng.integers(0, 256, (8, 8, 3)) if rng.random() < 0.3 else np.tile(_colour(rng), (8, 8, 1))

    def draw(picture: Array, points: Array, moment: int) -> Array:
        angles = np.arange(2 * corners) * np.pi / corners + turned
        reach = np.where(np.arange(2 * corners) % 2, radius * dent, radius)
        shape = (points if goes else first)[spot] + off + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
        paint = cv2.resize(pattern.astype(np.float32), picture.shape[:2], interpolation=cv2.INTER_CUBIC)
        return _lay(picture, _filled(shape, len(picture)) * opaque, paint)

    return draw


def _bar(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A bar over the eyes or another place, with words or without."""
    extent = align.extent(first)
    place = PLACES[rng.choice(["eyes", "mouth", "chin", "nose"])]
    wide, high, turned = extent * rng.uniform(0.3, 1.2), extent * rng.uniform(0.06, 0.17), rng.normal(0, 0.1)
    colour = (0, 0, 0) if rng.random() < 0.5 else _colour(rng)
    goes, opaque = rng.random() < 0.4, 1.0 if rng.random() < 0.7 else rng.uniform(0.4, 0.9)
    off, words = rng.normal(0, 0.03 * extent, 2), _words(rng) if rng.random() < 0.5 else ""
    letters = _Letters(int(rng.choice(FONTS)), high / LETTER, int(rng.integers(1, 3)))

    def draw(picture: Array, points: Array, moment: int) -> Array:
        at = (points if goes else first)[place].mean(0) + off
        out = _lay(picture, _filled(_box(at, wide, high, turned), len(picture)) * opaque, colour)
        letters.write(out, words, at, _legible(colour))
        return out

    return draw


def _veil(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A part of the face blurred or in squares."""
    extent = align.extent(first)
    coarse, blurred, goes = rng.uniform(0.03, 0.12) * extent, rng.random() < 0.5, rng.random() < 0.7
    side, off = rng.choice([-0.4, 0.4]), rng.normal(0, 0.2 * extent, 2)
    parts: dict[str, Callable[[Array], Array]] = {
        "lower half": lambda points: _box(points[33] + (0, 0.3 * extent), 0.65 * extent, 0.33 * extent),
        "eyes": lambda points: _box(points[36:48].mean(0), 0.55 * extent, 0.15 * extent),
        "mouth": lambda points: _oval(points[48:68].mean(0), 0.32 * extent, 0.2 * extent),
        "one side": lambda points: _box(points[30] + (side * extent, 0), 0.4 * extent, 0.8 * extent),
        "somewhere": lambda points: _oval(points[30] + off, 0.3 * extent, 0.3 * extent),
    }
    part = parts[rng.choice(list(parts))]

    def draw(picture: Array, points: Array, moment: int) -> Array:
        size = len(picture)
        if blurred:
            hidden = cv2.GaussianBlur(picture, (0, 0), max(0.6 * coarse, 1.5))
        else:
            squares = max(2, int(size / max(coarse, 4)))
            few = cv2.resize(picture, (squares, squares), interpolation=cv2.INTER_AREA)
            hidden = cv2.resize(few, (size, size), interpolation=cv2.INTER_NEAREST)
        return _lay(picture, _filled(part(points if goes else first), size, 1.5 if blurred else 0.0), hidden)

    return draw


def _mask(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A surgical or cloth mask over nose and mouth, flat or with shade, folds and grain."""
    extent = align.extent(first)
    cloth = np.array(CLOTHS[rng.integers(len(CLOTHS))], np.float32) + rng.normal(0, 12, 3)
    top, folds = int(rng.choice([28, 29, 30])), int(rng.integers(0, 4))
    grain, deep = rng.uniform(1, 6), rng.uniform(0.1, 0.45)
    flat, seed = rng.random() < 0.25, int(rng.integers(1 << 30))

    def draw(picture: Array, points: Array, moment: int) -> Array:
        size, nose = len(picture), points[top]
        shape = np.concatenate([points[2:15], [0.4 * nose + 0.6 * points[14], nose, 0.4 * nose + 0.6 * points[2]]])
        shape[4:9] += (0, 0.03 * extent)
        if flat:
            return _lay(picture, _filled(shape, size, 0.7), cloth)
        x, y = ((np.arange(size) - middle) / (0.5 * extent) for middle in points[33])
        shade = 1 - deep * np.clip(np.abs(x), 0, 1.3) ** 2 - 0.12 * np.clip(y, -1, 1)[:, None]
        shade *= np.clip(0.6 + 0.4 / 128 * cv2.GaussianBlur(picture.mean(2), (0, 0), 0.15 * extent), 0.3, 1.3)
        for fold in range(folds):
            line = points[51][1] + ((fold - 1) * 0.11 + 0.04 * x**2) * extent
            shade -= 0.14 * np.exp(-((np.abs(np.arange(size)[:, None] - line) / 1.6) ** 2))
        noise = np.random.default_rng(seed + moment).normal(0, grain, (size, size, 1))
        return _lay(picture, _filled(shape, size, 0.7), cloth * shade[..., None] + noise)

    return draw


def _glasses(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """Sunglasses, or glasses that shine a little."""
    extent = align.extent(first)
    dark, tint, thick = rng.random() < 0.7, np.array(_colour(rng), np.float32) * 0.3, int(rng.integers(1, 4))
    opaque = rng.uniform(0.8, 1) if dark else rng.uniform(0.05, 0.3)
    wide, high, square = extent * rng.uniform(0.17, 0.22), extent * rng.uniform(0.11, 0.17), rng.random() < 0.4
    rim = tuple(float(value) * 0.6 for value in tint)

    def draw(picture: Array, points: Array, moment: int) -> Array:
        eyes = points[36:42].mean(0), points[42:48].mean(0)
        turned = float(np.arctan2(*(eyes[1] - eyes[0])[::-1]))
        out = picture
        for eye in eyes:
            shape = (_box if square else _oval)(eye, wide, high, turned)
            out = _lay(out, _filled(shape, len(picture), 0.5) * opaque, tint)
            cv2.polylines(out, [np.round(shape * 16).astype(np.int32)], True, rim, thick, cv2.LINE_AA, 4)
        ends = [tuple(int(v) for v in share * eyes[0] + (1 - share) * eyes[1]) for share in (0.6, 0.4)]
        cv2.line(out, ends[0], ends[1], rim, thick + 1, cv2.LINE_AA)
        return out

    return draw


def _thing(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A microphone, a cup or a hand before the lower face: a shaded body, which drifts."""
    extent = align.extent(first)
    at = first[8] + np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.35, 0.1)]) * extent
    wide, high, turned = extent * rng.uniform(0.12, 0.28), extent * rng.uniform(0.14, 0.3), rng.uniform(-0.7, 0.7)
    hand, held, grain = rng.random() < 0.45, rng.random() < 0.7, rng.uniform(1, 7)
    colour = np.array(SKIN if hand else _colour(rng), np.float32) * rng.uniform(0.3, 1.0)
    drift, seed = rng.normal(0, 0.016 * extent, 2), int(rng.integers(1 << 30))

    def draw(picture: Array, points: Array, moment: int) -> Array:
        size, middle = len(picture), at + drift * moment
        x, y = ((np.arange(size) - c) / half for c, half in zip(middle, (wide, high), strict=True))
        shade = np.clip(1.15 - 0.35 * (x - 0.3) ** 2 - 0.3 * (y[:, None] + 0.3) ** 2, 0.3, 1.2)
        paint = colour * shade[..., None] + np.random.default_rng(seed + moment).normal(0, grain, (size, size, 1))
        if not hand:  # the mesh of a microphone
            paint += 18 * ((np.add.outer(np.arange(size) // 3, np.arange(size) // 3) % 2)[..., None] - 0.5)
        where = _filled(_oval(middle, wide, high, turned), size, 0.8)
        if held:
            foot = (middle[0] + 60 * turned, size + 5)
            ends = [(middle[0] - wide / 2, middle[1]), (middle[0] + wide / 2, middle[1])]
            ends += [(foot[0] + 0.7 * wide, foot[1]), (foot[0] - 0.7 * wide, foot[1])]
            where = np.maximum(where, _filled(np.array(ends), size, 0.8))
        return _lay(picture, where, paint)

    return draw


def _shadow(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """Hard light from one side: a shadow or a patch of light with a soft edge."""
    extent, angle = align.extent(first), rng.uniform(0, 2 * np.pi)
    across, off = np.array([np.cos(angle), np.sin(angle)]), rng.normal(0, 0.15 * extent)
    gain = (rng.uniform(0.25, 0.65) if rng.random() < 0.6 else rng.uniform(1.3, 1.8)) * rng.uniform(0.85, 1.15, 3)
    soft = extent * rng.uniform(0.01, 0.1)

    def draw(picture: Array, points: Array, moment: int) -> Array:
        x, y = (np.arange(len(picture)) - middle for middle in points[30] + off * across)
        away = np.clip((across[0] * x + across[1] * y[:, None]) / soft, -30, 30)
        return _lay(picture, 1 / (1 + np.exp(-away)), picture * gain)

    return draw


def _banner(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A banner with a name and a line below, as television has, and the sign of a channel."""
    top, left = rng.uniform(0.72, 0.9), rng.uniform(0, 0.2) if rng.random() < 0.5 else 0.0
    colour, opaque = _colour(rng), 1.0 if rng.random() < 0.7 else rng.uniform(0.5, 0.9)
    ink = _legible(colour)
    fades, font, channel = rng.uniform(0, 0.5), int(rng.choice(FONTS)), rng.random() < 0.4
    lines = [_words(rng), _words(rng)]

    def draw(picture: Array, points: Array, moment: int) -> Array:
        size = len(picture)
        above, beside = int(top * size), int(left * size)
        where = np.zeros((size, size))
        where[above : int((top + 0.2) * size), beside:] = opaque
        out = _lay(picture, where, np.array(colour) * np.linspace(1, 1 - fades, size)[:, None, None])
        for number, words in enumerate(lines):
            cv2.putText(out, words, (beside + 6, above + 18 * (number + 1)), font, 0.5, ink, 1, cv2.LINE_AA)
        if channel:
            cv2.putText(out, "TV", (6, 22), font, 0.7, (255, 255, 255), 2, cv2.LINE_AA)
        return out

    return draw


def _backdrop(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """The background blurred or replaced, as programs for video calls do, with the edges that they leave."""
    kind = rng.choice(["blurred", "flat", "picture", "gradient"], p=[0.4, 0.2, 0.25, 0.15])
    blur, colours = rng.uniform(3, 12), np.array([_colour(rng), _colour(rng)], np.float32)
    grain, seed = rng.uniform(0, 3) if rng.random() < 0.5 else 0.0, int(rng.integers(1 << 30))
    elsewhere = other[:, ::-1] if rng.random() < 0.5 else other

    def draw(picture: Array, points: Array, moment: int) -> Array:
        size, room = len(picture), 1 - _person(picture, points)
        if kind == "blurred":  # of the background alone: nobody's outline shines through
            own = cv2.GaussianBlur(picture * room[..., None], (0, 0), blur)
            paint = own / (cv2.GaussianBlur(room, (0, 0), blur)[..., None] + 0.02)
        elif kind == "picture":
            paint = cv2.resize(elsewhere[: size // 3], (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        else:
            share = np.linspace(0, 1, size)[:, None, None] if kind == "gradient" else np.zeros((size, 1, 1))
            paint = colours[0] * (1 - share) + colours[1] * share
        return _lay(picture, room, paint + np.random.default_rng(seed + moment).normal(0, grain, picture.shape))

    return draw


def _screen(rng: np.random.Generator, first: Array, other: Array) -> Draw:
    """A split screen, a small picture in a corner, or bars above and below."""
    kind, share, colour = rng.choice(["left", "right", "corner", "bars"]), rng.uniform(0.08, 0.2), _colour(rng)

    def draw(picture: Array, points: Array, moment: int) -> Array:
        out, width = picture.copy(), int(share * len(picture))
        if kind == "left":
            out[:, :width] = other[:, -width:]
            out[:, width - 2 : width] = colour
        elif kind == "right":
            out[:, -width:] = other[:, :width]
            out[:, -width : -width + 2] = colour
        elif kind == "corner":
            side = int(1.6 * width)
            out[-side:, -side:] = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
        else:
            out[: width // 2] = out[-(width // 2) :] = colour
        return out

    return draw


def _person(picture: Array, points: Array) -> Array:
    """How much of each pixel is of the person, float32 (S, S) in [0, 1]: told roughly from the landmarks, then by colours."""
    small = np.asarray(cv2.resize(picture, (SEEN, SEEN), interpolation=cv2.INTER_AREA), np.uint8)
    points = points * (SEEN / len(picture))
    extent = align.extent(points)
    head = _oval(points[27:31].mean(0) - (0, 0.05 * extent), 0.78 * extent, 0.95 * extent)
    face = cv2.convexHull(points.astype(np.float32))[:, 0]
    sure = np.maximum(_filled(face, SEEN), _filled(cut_out.bust(points, SEEN, 0.2, 0.0, 0.4), SEEN))
    perhaps = np.maximum(_filled(head, SEEN), _filled(cut_out.bust(points, SEEN, 0.45, 0.2, 1.6), SEEN))
    guess = np.where(sure > 0.5, cv2.GC_FGD, np.where(perhaps > 0.5, cv2.GC_PR_FGD, cv2.GC_BGD)).astype(np.uint8)
    guess[:2] = cv2.GC_BGD  # some background is needed
    soft = cv2.GaussianBlur(cut_out.by_colours(small, guess, 2).astype(np.float32), (0, 0), 0.8)
    return np.clip(cv2.resize(soft, picture.shape[:2], interpolation=cv2.INTER_CUBIC), 0, 1)


# Kind → what makes it, and how often.
COVERS: dict[str, tuple[Edit, float]] = {
    "caption": (_caption, 0.3),
    "sticker": (_sticker, 0.15),
    "bar": (_bar, 0.12),
    "veil": (_veil, 0.1),
    "mask": (_mask, 0.1),
    "glasses": (_glasses, 0.06),
    "thing": (_thing, 0.1),
    "shadow": (_shadow, 0.07),
}
SURROUNDINGS: dict[str, tuple[Edit, float]] = {
    "backdrop": (_backdrop, 0.5),
    "banner": (_banner, 0.3),
    "screen": (_screen, 0.2),
}
CAPTIONS: dict[str, tuple[Edit, float]] = {"caption": (_caption, 1.0)}
KINDS = dict(zip(EDITS, (COVERS, CAPTIONS, SURROUNDINGS), strict=True))


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    """Any colour, or often a grey."""
    drawn = rng.integers(0, 256, 3) if rng.random() < 0.6 else np.full(3, rng.choice([0, 10, 245, 255]))
    return tuple(int(value) for value in drawn)


def _words(rng: np.random.Generator) -> str:
    words = " ".join(rng.choice(WORDS.split(","), rng.integers(1, 4)))
    return str(rng.choice([words, words.upper(), words.capitalize()]))


def _legible(colour: Any) -> tuple[int, ...]:
    """What is read on a colour: white or black."""
    return (255, 255, 255) if sum(colour) < 380 else (0, 0, 0)


@dataclass(frozen=True)
class _Letters:
    """How words are drawn. font : of OpenCV. scale : of a line of ``LETTER`` pixels. thick : of its strokes, pixels."""

    font: int
    scale: float
    thick: int

    def size(self, words: str) -> tuple[int, int]:
        """Width and height of words, pixels."""
        width, height = cv2.getTextSize(words, self.font, self.scale, self.thick)[0]
        return width, height

    def write(self, picture: Array, words: str, at: Array, colour: Any) -> None:
        """Words around a place, into the picture."""
        left_below = np.round(at + np.array(self.size(words)) * (-0.5, 0.5)).astype(int)
        cv2.putText(picture, words, left_below.tolist(), self.font, self.scale, colour, self.thick, cv2.LINE_AA)


def _box(at: Array, wide: float, high: float, turned: float = 0.0) -> Array:
    """Corners (4, 2) of a rectangle, by half its width and height."""
    corners = np.array([(-wide, -high), (wide, -high), (wide, high), (-wide, high)])
    return np.asarray(at + corners @ _turn(turned))


def _oval(at: Array, wide: float, high: float, turned: float = 0.0) -> Array:
    """Points (40, 2) of an ellipse, by its half axes."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return at + np.stack([wide * np.cos(angles), high * np.sin(angles)], 1) @ _turn(turned)


def _turn(angle: float) -> Array:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _filled(shape: Array, size: int, soft: float = 0.0) -> Array:
    """A polygon (P, 2), pixels, filled: float32 (S, S) in [0, 1]. soft : of its edge, pixels."""
    found = np.zeros((size, size), np.uint8)
    cv2.fillPoly(found, [np.round(shape * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    inside = found.astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), soft) if soft else inside)


def _lay(picture: Array, where: Array, paint: Any) -> Array:
    """The picture with paint, a colour or a picture, where (S, S) says how much of it shows."""
    shown = where[..., None]
    mixed: Array = picture * (1 - shown) + np.clip(paint, 0, 255) * shown
    return np.round(mixed).astype(np.uint8)
