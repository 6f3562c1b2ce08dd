"""Animates one portrait by any driver: that face, moving as the driver moves; every clip is signed, and says on its face what it is.

shots → steady crops → a personal model → the driver's landmarks, adapted → frames → pasted back where the face came from →
visible label → ``provenance.signing.sign``. Several drivers in one call learn the person once.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.faces import align
from gioconda_core.files import refuse_overwrite, sha256_of, unwritable
from gioconda_core.media.pictures import grid
from gioconda_core.types import Claim, Synthesis
from gioconda_core.version import __version__
from provenance.signing import sign
from provenance.watermark import repository
from synth import consent as consents
from synth.generators import Personal, TalkingHeads
from synth.model.landmark_image import draw
from synth.model.networks import load_checkpoint, shipped
from synth.person.covered import Covered
from synth.person.eyes import GazeTrack, gaze_track, pupils
from synth.person.model import PersonalModel
from synth.person.options import Tune
from synth.person.tune import budget, tune
from synth.reenact.framing import Points, face_mask, resized, save_track
from synth.reenact.motion import Adapted, adapt, fill_gaps, smooth
from synth.reenact.options import Reenact
from synth.reenact.shots import Driver, Frames, Shots, load_driver, load_shots
from synth.session import Session

LABEL = "AI-GENERATED"
MOMENTS = 8  # of a preview
GAZE_SIDE = 512  # pixels of the driver's crop that irises are looked for in, at most
FED_FORWARD = (
    "drawn feed-forward, by a network that was not tuned: not for single clips, the face is hardly this person's"
)


@dataclass(frozen=True)
class Made:
    """One clip. adapted : how the landmarks were fitted. filled : moments at which the driver's face was not found."""

    path: Path
    preview: Path | None
    frames: int
    adapted: Adapted
    filled: int
    claim: Claim
    driver: str


class _Sitter:
    """A personal model on the generator's device.

    On a GPU every batch is of one size, the last one filled up: a clip's pixels then do not depend on what was drawn beside it.
    """

    BATCH = 32

    def __init__(self, model: PersonalModel, device: str) -> None:
        self.model, self.device = model, device
        self.steps = int(model.facts.get("steps", 0))
        self.content = str(model.facts.get("content", "")) if self.steps else ""

    def render(self, landmarks: Points) -> Frames:
        if self.device == "cpu":
            return self.model.render(landmarks)
        fill = np.repeat(landmarks[-1:], -len(landmarks) % self.BATCH, 0)
        drawn = self.model.render(np.concatenate([landmarks, fill]), device=self.device, batch=self.BATCH)
        return drawn[: len(landmarks)]


class FewShotGenerator:
    """The trained few-shot generator, as the pipeline sees it.

    model : a checkpoint from ``gioconda synth train``; None = the one that comes with the package. content : term of tuning.
    begin, progress : told how many iterations a tuning will take, and of each: on a CPU it may take minutes.
    batches : whether several clips of one person are drawn faster together.
    """

    name = "gioconda-few-shot"

    def __init__(
        self, model: str | os.PathLike[str] | None = None, device: str = "cpu", content: str = "auto", **_: Any
    ) -> None:
        self.version = __version__
        self.model = load_checkpoint(shipped() if model is None else model)
        self.device = device
        self.batches = device != "cpu"
        self.weights_sha256: str | None = self.model.sha256
        self.size = int(self.model.config.size)
        self.content = content
        self.begin: Callable[[int], None] = lambda total: None
        self.progress: Callable[[float, str], None] = lambda n, note: None

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Tune on the shots (``ft``) or embed them (``ff``)."""
        job = Tune(mode="ff", seed=seed)
        if mode != "ff":
            steps = steps or budget(len(frames))
            job = Tune(steps=steps, content=self.content, seed=seed)
            self.begin(steps)
        found = tune(self.model, frames, landmarks, job, device=self.device, advance=self.progress)
        return _Sitter(found, self.device)


class TunedGenerator:
    """A personal model, from ``gioconda synth tune``: it has learned its person, and draws nobody else."""

    name = "gioconda-few-shot"
    batches = False

    def __init__(self, model: str | os.PathLike[str], device: str = "cpu") -> None:
        self.version, self.device = __version__, device
        self.model = PersonalModel.load(model)
        self.weights_sha256: str | None = self.model.sha256
        self.size = int(self.model.config.size)

    def personalise(self, frames: Frames, landmarks: Points, *, mode: str, steps: int | None, seed: int) -> Personal:
        """Nothing more is learned; the shots only say how this face lies in its picture."""
        return _Sitter(self.model, self.device)


def draw_label(frame: Frames) -> None:
    """The visible label: a dark bar with light capitals in the lower left corner, in place; never larger than a third of the width."""
    height, width = frame.shape[:2]
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(min(height, width) / 300))
    scale = max(0.3, min(height, width) / 640)
    (w, h), base = cv2.getTextSize(LABEL, font, scale, thickness)
    if w > 0.45 * width:
        scale *= 0.45 * width / w
        (w, h), base = cv2.getTextSize(LABEL, font, scale, thickness)
    pad = max(2, h // 2)
    x0, y1 = pad, height - pad
    y0, x1 = y1 - h - base - pad, x0 + w + 2 * pad
    bar = frame[max(y0, 0) : y1, x0:x1]
    bar[:] = (bar.astype(np.uint16) * 2 // 7).astype(np.uint8)
    cv2.putText(frame, LABEL, (x0 + pad, y1 - base - pad // 2), font, scale, (245, 245, 245), thickness, cv2.LINE_AA)


@lru_cache(maxsize=2)
def _icon(path: str) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGBA"), np.uint8)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise MediaError("is no picture that can be read", where=path, hint="give the icon as PNG") from error


def draw_icon(frame: Frames, path: str) -> None:
    """Lay a picture over the lower right corner, in place: an eighth of the short side high (never under 24 px), in its own proportions.

    Raises
    ------
    MediaError
        It is no picture, or is wider than the frame at that height.
    """
    height, width = frame.shape[:2]
    icon = _icon(path)
    high = max(24, min(height, width) // 8)
    wide, pad = round(high * icon.shape[1] / icon.shape[0]), max(2, high // 6)
    if wide + 2 * pad > width or high + 2 * pad > height:
        raise MediaError("does not fit into the clip", where=path, hint=f"the frames are {width} × {height}")
    small = cv2.resize(icon, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
    share = small[..., 3:] / 255
    place = frame[height - pad - high : height - pad, width - pad - wide : width - pad]
    place[:] = np.rint(place * (1 - share) + small[..., :3] * share).astype(np.uint8)


def _resized(frame: Frames, side: int) -> Frames:
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    if scale == 1:
        return frame
    # Even sides, as the 4:2:0 encoders want.
    target = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, target, interpolation=how), np.uint8)


def _place(
    rendered: Frames, marks: Points, shots: Shots, job: Reenact, *, bent: bool = False, first: int = 0
) -> Frames:
    """Crops → output frames: heads pasted into the source picture (or its clip, frame by frame), and brought to size.

    marks : (N, 68, 2), where the faces were drawn, pixels of the crop. Only the head is pasted, as it was and as it is now: the
    source's own background is sharper and stands stiller than any generator draws it. bent : the crops are that one picture's own,
    unchanged around the head, and need no mask. first : number in the clip of the first of these frames.
    """
    if job.frame == "crop":
        return np.stack([_resized(f, job.side or f.shape[0]) for f in rendered])
    size = rendered.shape[1]
    bases = shots.whole if len(shots.ingredients) == 1 else shots.whole[:1]
    count = len(bases)
    longest = max(bases[0].shape[:2])
    side = job.side or min(longest, 1280)
    shape = bases[0].shape
    out = []
    scale = side / longest
    # Shrink the picture first: pasting at 4000 px to shrink afterwards would cost far more.
    small = [_resized(b, side) if scale < 1 else b for b in bases if b.shape == shape]
    for number, picture in enumerate(rendered):
        k = first + number
        # A clip of shots runs to and fro under the new face, so that the background does not jump when it ends.
        lap = k % max(1, 2 * len(small) - 2) if count > 1 else 0
        at = lap if lap < len(small) else 2 * len(small) - 2 - lap
        base = small[at]
        matrix = shots.matrices[at].copy()
        if scale < 1:
            factor = np.array([base.shape[1] / shape[1], base.shape[0] / shape[0]])
            matrix[:, :2] /= factor
        head = None
        if not (bent and count == 1):
            both = np.concatenate([marks[number], shots.landmarks[at]])[None]
            head = face_mask(both, size, soft=job.feather * size / 3, lift=2.6, reach=1.3)[0]
        frame = align.paste(base, picture, matrix, feather=job.feather, mask=head)
        out.append(_resized(frame, side))
    return np.stack(out)


def _shot_panel(shots: Shots, job: Reenact, height: int) -> Frames:
    """The first shot as its own picture has it, at the height of the result."""
    if job.frame == "crop":
        return align.crop(shots.whole[0], resized(shots.matrices[0], height / shots.frames.shape[1]), height)
    whole = shots.whole[0]
    width = round(whole.shape[1] * height / whole.shape[0])
    how = cv2.INTER_AREA if height < whole.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(whole, (width, height), interpolation=how), np.uint8)


def _motion(driver: Driver, size: int, side: int) -> Iterator[Frames]:
    """What the driver does, moment by moment: its face, or where only a track is known its landmarks; uint8 (side, side, 3)."""
    if driver.pictures is not None:
        yield from driver.pictures(side)
        return
    for points in driver.landmarks:
        yield np.asarray(cv2.resize(draw(points, size), (side, side)), np.uint8)


def _around_head(frame: Frames, shots: Shots, job: Reenact) -> Frames:
    """The part of a picture (an output frame, or the shot's own) that shows the head: what a strip of small pictures is looked at for."""
    if job.frame == "crop":
        return frame
    corners = align.apply(align.invert(shots.matrices[0]), [(0, 0), (shots.frames.shape[1],) * 2])
    corners = corners * (frame.shape[1] / shots.whole[0].shape[1])
    room = 0.1 * float(corners[1, 0] - corners[0, 0])
    (x0, y0), (x1, y1) = np.round(corners + np.array([[-room], [room]])).astype(int)
    return frame[max(y0, 0) : y1, max(x0, 0) : x1]


def strip(source: Frames, moments: Sequence[tuple[Frames | None, Frames]]) -> Frames:
    """A preview, uint8 (H, W, 3): the source's picture, and moments side by side, above each the driver's where it has pictures."""
    height = 160
    columns: list[tuple[Frames | None, Frames]] = [(None, source), *moments]
    with_driver = any(above is not None for above, _ in columns)
    # One width, so that moments stand below one another.
    width = max(round(p.shape[1] * height / p.shape[0]) for pair in columns for p in pair if p is not None)
    blank = np.zeros((height, width, 3), np.uint8)
    rows = [[blank if above is None else above for above, _ in columns]] * with_driver
    rows.append([below for _, below in columns])
    return grid(rows, (width, height), paper=0).copy()  # a label is drawn over it


@dataclass(eq=False)
class _Drawing:
    """The frames of one clip as they are drawn, one after another; no more than a few are held.

    looks : where the driver looks, for a generator that moves eyes. moments : what a preview shows, kept on the way and before any label.
    """

    model: Personal
    marks: Points
    person: Shots
    driver: Driver
    job: Reenact
    bent: bool
    advance: Callable[..., None]
    looks: GazeTrack | None = None
    moments: list[tuple[Frames | None, Frames]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Frames]:
        job, person = self.job, self.person
        kept = set(np.round(np.linspace(0, len(self.marks) - 1, min(MOMENTS, len(self.marks)))).astype(int).tolist())
        size = person.frames.shape[1]
        shot: Frames | None = None
        beside: Iterator[Frames] | None = None
        above = _motion(self.driver, size, 160) if job.preview and self.driver.pictures is not None else None
        for k, frame in enumerate(self._placed()):
            theirs = next(above) if above is not None else None
            if job.preview and k in kept:
                self.moments.append((theirs, _around_head(frame, person, job).copy()))
            self._mark(frame)  # before anything stands beside it: the label is of this face, not of the shot's
            if job.side_by_side:
                if beside is None:
                    beside, shot = _motion(self.driver, size, len(frame)), _shot_panel(person, job, len(frame))
                assert shot is not None
                frame = np.concatenate([shot, next(beside), frame], 1)
                frame = frame[:, : frame.shape[1] // 2 * 2]
            self.advance(1)
            yield frame

    def _placed(self) -> Iterator[Frames]:
        at = 0
        for drawn in _streamed(self.model, self.marks, self.looks):
            yield from _place(drawn, self.marks[at : at + len(drawn)], self.person, self.job, bent=self.bent, first=at)
            at += len(drawn)

    def strip(self) -> Frames:
        """The preview: one label for all of it, on what was drawn."""
        source = _around_head(self.person.whole[0], self.person, self.job)
        if self.job.frame == "crop":
            source = self.person.frames[0]
        picture = strip(source, self.moments)
        self._mark(picture)
        return picture

    def _mark(self, picture: Frames) -> None:
        """Draw the label and the icon that are asked for, in place."""
        if self.job.label:
            draw_label(picture)
        if self.job.icon:
            draw_icon(picture, self.job.icon)


def _looks(driver: Driver, size: int, how: Adapted) -> GazeTrack | None:
    """Where a driver looks, from its own pictures; None where only its track is known. size : side of the crop its landmarks are in."""
    if driver.pictures is None:
        return None

    side = min(size, GAZE_SIDE)
    marks = (driver.landmarks.astype(np.float64) + 0.5) * (side / size) - 0.5
    gaze = np.full((len(marks), 2, 2), np.nan)
    for k, picture in enumerate(driver.pictures(side)):
        if driver.found[k]:
            gaze[k] = pupils(picture, marks[k])
    return gaze_track(gaze, driver.times, how.reference, how.shot)


def _streamed(model: Personal, marks: Points, looks: GazeTrack | None) -> Iterator[Frames]:
    """A personal model's frames, some at a time."""
    if hasattr(model, "stream"):
        yield from model.stream(marks, looks)
        return
    for first in range(0, len(marks), _Sitter.BATCH):
        yield model.render(marks[first : first + _Sitter.BATCH])


def _outputs(out: Path, drivers: Sequence[Driver]) -> list[Path]:
    """One driver: the path itself; several: a name each, beside one another."""
    if len(drivers) == 1 and out.suffix:
        return [out]
    folder, stem, suffix = (out.parent, out.stem + "-", out.suffix) if out.suffix else (out, "", ".mp4")
    names: list[str] = []
    for driver in drivers:
        name, k = driver.name, 2
        while name in names:
            name, k = f"{driver.name}-{k}", k + 1
        names.append(name)
    return [folder / f"{stem}{name}{suffix}" for name in names]


def reenact(
    shots: Sequence[str | os.PathLike[str]],
    drivers: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    heads: TalkingHeads,
    job: Reenact | None = None,
    session: Session | None = None,
) -> list[Made]:
    """Animate a person.

    Parameters
    ----------
    shots : photographs, paintings, a clip, or puppets. drivers : clips, tracks, puppets or a camera; each gives one clip.
    out : a file for one driver; a folder, or a file name that is varied, for several.
    session : its consent is needed when anybody real is shown, and always without the visible label.

    Raises
    ------
    UsageError, MediaError
        With the file's name and what to do: no face, several faces, too small, a driver that does not move, gaps, no consent.
    """
    job, session = job or Reenact(), session or Session()
    _refuse(drivers, Path(out), job, session)
    person = load_shots(shots, heads.size, face=job.face, landmarker=job.landmarker, most=job.most_shots)
    if hasattr(heads, "fit"):  # a generator that bends the picture itself works at its resolution
        heads.fit(person.side)
        person = person.at(heads.size)
    granted = session.granted("reenact", [item.sha256 for item in person.ingredients], person.real)
    moving = [load_driver(driver, heads.size, job) for driver in drivers]
    if job.side_by_side or job.preview:
        seen = [d.ingredient.sha256 for d in moving if d.real and d.pictures is not None]
        if seen:
            whose = "the driver's face is shown too: faces of real people"
            consents.require(session.consent, "reenact", seen, whose=whose)
    targets = _writable(_outputs(Path(out), moving), job, session)
    learner: Any = heads
    if hasattr(heads, "progress"):
        learner.begin = session.begin
        learner.progress = lambda n, note="": session.advance(n, note=f"tuning {note}".rstrip())
    # Said before the minutes that tuning takes; a generator that bends looks itself, and tunes only where a driver asks for it.
    bends = hasattr(heads, "fit")
    hidden = 0 if bends else _hidden(person, person.covered, session)
    model = heads.personalise(person.frames, person.landmarks, mode=job.mode, steps=job.steps, seed=job.seed)
    if bends:
        hidden = _hidden(person, getattr(model, "covered", None) or person.covered, session)
    sitting = _Reenactment(heads, model, person, job, session, granted, hidden)
    made = [sitting.animate(driver, target) for driver, target in zip(moving, targets, strict=True)]
    if tuned := getattr(model, "content", ""):
        session.say(f"tuned in {getattr(model, 'steps', 0)} steps by {tuned}")
    return made


def _refuse(drivers: Sequence[str | os.PathLike[str]], out: Path, job: Reenact, session: Session) -> None:
    """Raise UsageError for what cannot be meant, before anything is loaded."""
    if not drivers:
        raise UsageError("no driver", where="--drive")
    if not job.label and session.consent is None:
        raise UsageError("--no-label needs --consent", where="--no-label")
    if out.suffix:
        sign.video_name(out)
    if job.driver_face is not None and all(str(d).startswith("puppets:") or Path(d).suffix == ".npz" for d in drivers):
        raise UsageError("puppets and saved tracks are of one face", where="--driver-face", hint="leave it out")


def _hidden(person: Shots, looks: Sequence[Covered], session: Session) -> int:
    """In how many of the shots something covers the mouth; said where it does in any."""
    if count := sum(bool(look.mouth) for look in looks):
        names = ", ".join(item.title or item.sha256[:12] for item in person.ingredients)
        where = "" if count == len(person.frames) else f" in {count} of {len(person.frames)} shots"
        what = f"{names}: something seems to cover the mouth{where}"
        session.say(f"{what}; lips that are not seen cannot move right: choose another picture")
    return count


def _writable(targets: list[Path], job: Reenact, session: Session) -> list[Path]:
    """The targets, where each can be written with what goes beside it: asked now, not after minutes of tuning."""
    for target in targets:
        beside = [_preview_of(target)] * job.preview + [target.with_suffix(".npz")] * job.save_tracks
        for path in (target, *beside):
            refuse_overwrite(path, session.force)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=target.parent).close()
        except OSError as error:
            raise unwritable(error, target) from error
    return targets


@dataclass(eq=False)
class _Reenactment:
    """A person as learned, and all that their clips have in common."""

    heads: TalkingHeads
    model: Personal
    person: Shots
    job: Reenact
    session: Session
    granted: consents.Consent
    hidden: int  # shots in which something covers the mouth

    def animate(self, driver: Driver, target: Path) -> Made:
        """One clip, signed and logged."""
        job, session, model = self.job, self.session, self.model
        marks, filled = fill_gaps(driver.landmarks, driver.found, driver.times, job.max_gap)
        if filled:
            session.say(f"{driver.name}: the face was not found at {filled} of {len(marks)} moments; filled in between")
        marks, how = adapt(marks, self.person.landmarks, job.adapt)
        if how.outliers:
            session.say(f"{driver.name}: {how.outliers} landmarks leapt off the face's shape; placed by the others")
        marks = smooth(marks, driver.times, job.smoothing)
        how = replace(how, smoothing=job.smoothing)
        if hasattr(model, "ready"):  # a network that is only tuned where the driver asks for it
            model.ready(marks)
        session.begin(len(marks))
        bent = hasattr(self.heads, "fit")
        looks = _looks(driver, self.heads.size, how) if hasattr(model, "stream") else None
        step = partial(session.advance, note=target.name)
        drawing = _Drawing(model, marks, self.person, driver, job, bent, step, looks)
        claim = self._claim(driver, target, how, filled)
        first, frames = _peeked(drawing)
        marked = job.mark and min(first.shape[:2]) >= 64
        if job.mark and not marked:
            session.say(f"{target.name}: smaller than 64 px, too small for the invisible mark")
        sign.write(
            Synthesis(
                frames, driver.times, driver.fps, claim, audio=driver.audio if job.audio else None,
                completed=partial(_drawn_by, model=model),
            ),
            target, signer=session.signer, crf=job.crf, force=session.force,
            marker=repository.marker_of(*_origin(claim), marks.tobytes()) if marked else None,
        )  # fmt: skip
        claim = _drawn_by(claim, model)
        if _fed_forward(model):
            session.say(f"{target.name}: {FED_FORWARD}")
        shown = None
        if job.preview:
            shown = sign.write_picture(
                drawing.strip(), _preview_of(target), replace(claim, title=_preview_of(target).name),
                signer=session.signer, marker=repository.marker if marked else None, force=session.force,
            )  # fmt: skip
        if job.save_tracks:
            save_track(
                target.with_suffix(".npz"), driver.times, driver.landmarks, fps=driver.fps, size=(self.heads.size,) * 2,
                force=session.force,
            )  # fmt: skip
        outputs = [sha256_of(path) for path in (target, shown) if path]
        sources = [item.sha256 for item in self.person.ingredients]
        self.granted.log("reenact", self.heads.name, outputs, sources, [driver.ingredient.sha256])
        return Made(target, shown, len(marks), how, filled, claim, driver.name)

    def _claim(self, driver: Driver, target: Path, how: Adapted, filled: int) -> Claim:
        job, heads, person = self.job, self.heads, self.person
        # Of one file, two faces may be chosen: then one person drives another all the same.
        same = job.face == job.driver_face and driver.ingredient.sha256 in {item.sha256 for item in person.ingredients}
        return self.granted.claim(
            target.name,
            "self-reenactment" if same else "cross-reenactment",
            heads,
            ingredients=(*person.ingredients, driver.ingredient),
            config_sha256=_config(job),
            seed=str(job.seed),
            producer=job.aigc,
            params={
                "shots": len(person.frames),
                **{name: getattr(job, name) for name in ("mode", "crf", "frame")},
                "visible_label": job.label,
                "adaptation": how.as_dict(),
                "filled": filled,
                **({"mouth_covered": self.hidden} if self.hidden else {}),
                **({"departure": heads.departure} if hasattr(heads, "departure") else {}),
            },
        )


def _origin(claim: Claim) -> tuple[bytes, ...]:
    """What a clip's pixels come from beside its motion: the same sources, settings and weights always carry the same mark."""
    parts = (claim.generator, claim.generator_version, claim.weights_sha256, claim.config_sha256)
    return tuple(str(part).encode() for part in (*parts, *(item.sha256 for item in claim.ingredients)))


def _peeked(frames: Iterable[Frames]) -> tuple[Frames, Iterator[Frames]]:
    """The first frame, and all of them."""
    coming = iter(frames)
    first = next(coming)
    return first, chain([first], coming)


def _drawn_by(claim: Claim, model: Personal) -> Claim:
    """The claim with what is known once a clip is drawn: in how many iterations was tuned and by what, and which part drew what."""
    found: dict[str, Any] = {"steps": getattr(model, "steps", 0)}
    if content := getattr(model, "content", ""):
        found["content"] = content
    if hasattr(model, "parts"):
        found["drawn_by"] = dict(model.parts)
    return replace(claim, params={**claim.params, **found})


def _fed_forward(model: Personal) -> bool:
    """Whether an untuned network drew any of the frames."""
    drew = model.parts["network"] if hasattr(model, "parts") else hasattr(model, "steps")
    return bool(drew) and getattr(model, "steps", 0) == 0


def _config(job: Reenact) -> str:
    """The hash of what the clip's pixels depend on."""
    kept = sorted((key, value) for key, value in asdict(job).items() if key not in ("preview", "save_tracks"))
    return sha256_of(repr(kept).encode())


def _preview_of(target: Path) -> Path:
    return target.with_name(f"{target.stem}-preview.jpg")
