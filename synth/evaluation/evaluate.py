"""Measures a generator by the paper's protocol: tune on T frames of an unseen person, draw held-out frames of the same take, measure, with intervals.

Self-reenactment, T ∈ {1, 8, 32}, the same held-out frames for every T, generator and baseline. Source: Zakharov 2019, §4. Baselines:
``copy`` (the most similar shot as it is) and ``warp`` (that shot, bent to the landmarks): a generator that does not beat them has
learned nothing. Detectors are handed in by the caller, since this package does not know any.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.faces import observe
from gioconda_core.faces.landmarks import landmarker as landmarks_by
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip, write_video
from gioconda_core.media.pictures import grid
from gioconda_core.types import Footage
from provenance.signing import sign
from synth.consent import Consent
from synth.evaluation import measures, perceptual
from synth.evaluation.measures import Figure, Frames
from synth.evaluation.options import Evaluate
from synth.fakes.options import Fakes
from synth.fakes.plan import Unit, held_out, held_rows, lot, read_part, shot_rows, units_of
from synth.generators import CopyGenerator, TalkingHeads, WarpGenerator
from synth.session import Session
from synth.training.shards import ShardSet

DETECTOR_CRF = 18  # as `synth fakes` encodes by default
Judge = Callable[[Footage], float | str]  # a score, or why there is none
Embed = Callable[[Frames, NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Cell:
    """Figures of one generator in one mode at one T."""

    generator: str
    mode: str
    shots: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured. protocol : how, in words and numbers. absent : measures that could not be computed, and why."""

    cells: tuple[Cell, ...]
    protocol: Mapping[str, Any]
    absent: Mapping[str, str]
    schema: str = "gioconda.evaluate/1"


@dataclass(frozen=True)
class Instruments:
    """What measures beside the landmarker.

    detectors : name → function of a footage that gives a raw score, or says why not; each gets an AUC of generated against real
    clips. embedding : a name and a function of frames and landmarks, for CSIM and the distances between sets.
    """

    detectors: Mapping[str, Judge] = field(default_factory=dict)
    embedding: tuple[str, Embed] = ("dlib128", measures.embeddings)


@dataclass(eq=False)
class _Person:
    """One held-out clip with what is known of it."""

    unit: Unit
    frames: Frames
    landmarks: NDArray[np.float32]
    times: NDArray[np.float64]
    found: NDArray[np.float32]  # by the landmarker itself, as on generated frames
    features: NDArray[np.float32]


def _listed(file: str | os.PathLike[str]) -> set[str]:
    """Names in a test list: every word of it, files without their suffix (VoxCeleb's lists name .wav or .txt files, some after a label)."""
    if not Path(file).is_file():
        raise UsageError("no such list", where=str(file), hint="--list takes a text file of names")
    words = Path(file).read_text("utf-8", errors="replace").replace(",", " ").split()
    return {str(Path(word).with_suffix("")) if "/" in word else word for word in words if len(word) > 1}


def _names(unit: Unit) -> set[str]:
    """What a list may call a take: its person, its clip, or the clip's place below any folder of the tree (dev/mp4/ID/VIDEO/NNNNN)."""
    parts = Path(unit.source).with_suffix("").parts
    return {unit.identity, unit.source, *("/".join(parts[k:]) for k in range(max(1, len(parts) - 1)))}


def choose(units: Sequence[Unit], people: int, seed: int, listed: set[str] | None = None) -> list[Unit]:
    """One take a person, at most ``people`` of them, by hash; only those on the list where there is one.

    A list that names clips chooses those clips, not others of the same people.
    """
    if listed is not None:
        units = [u for u in units if _names(u) & listed]
        if not units:
            raise UsageError("no footage is on the list", where="--list")
    best: dict[str, Unit] = {}
    for unit in sorted(units, key=lambda u: lot(seed, "take", u.sha256)):
        best.setdefault(unit.identity, unit)
    chosen = sorted(best.values(), key=lambda u: lot(seed, "person", u.identity))
    return chosen[:people] if people else chosen


def evaluate(
    shards: Sequence[str | os.PathLike[str]],
    heads: TalkingHeads,
    out: str | os.PathLike[str],
    job: Evaluate | None = None,
    instruments: Instruments | None = None,
    session: Session | None = None,
) -> tuple[Evaluation, Frames]:
    """Measure a generator.

    Parameters
    ----------
    shards : folders of people the model has not seen. out : where takes are kept. session : told of progress, by step.

    Returns
    -------
    The figures, and a grid of pictures uint8 (H, W, 3).
    """
    job, instruments, session = job or Evaluate(), instruments or Instruments(), session or Session()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    return _Exam(shards, heads, folder, job, instruments, session).run()


class _Exam:
    """One evaluation: who sits for it, what measures, and what could not be measured."""

    def __init__(
        self, shards: Sequence[str | os.PathLike[str]], heads: TalkingHeads, folder: Path, job: Evaluate,
        instruments: Instruments, session: Session,
    ) -> None:  # fmt: skip
        self.heads, self.job, self.instruments, self.session = heads, job, instruments, session
        self.sets = [ShardSet(s) for s in shards]
        self.takes = Fakes(shots=job.shots, frames=job.frames, min_frames=min(job.frames, 8), seed=job.seed)
        wanted = max(job.shots) + self.takes.min_frames
        units = [u for u in units_of(self.sets, folder, self.takes) if len(u.rows) >= wanted]
        if not units:
            what = f"no take has {max(job.shots)} shots and {self.takes.min_frames} held-out frames"
            raise UsageError(what, hint="lower --shots")
        self.chosen = choose(units, job.people, job.seed, _listed(job.listed) if job.listed else None)
        self.mark = landmarks_by(job.landmarker)
        self.absent = {"user study": "needs people"}
        self.perceived, missing = perceptual.distances()
        self.absent |= missing
        self.inception: Any = None
        try:
            self.inception = perceptual.inception()
        except WeightsError as error:
            self.absent["fid-inception2048"] = str(error)
        # Nothing to tune and no mode: the baselines stand once for each T.
        self.rivals: list[tuple[TalkingHeads, str]] = [(heads, mode) for mode in job.modes]
        if job.baselines:
            both = WarpGenerator, CopyGenerator
            self.rivals += [(made(heads.size), "") for made in both if made.name != heads.name]

    def run(self) -> tuple[Evaluation, Frames]:
        """The figures, and a grid of pictures."""
        if "lpips" in self.absent:  # before the minutes that tuning takes, not after
            self.session.say(self.absent["lpips"])
        self.session.begin(len(self.chosen) * (1 + len(self.rivals) * len(self.job.shots)))
        persons = [self._person(unit) for unit in self.chosen]
        judged = self._judged(persons, [person.frames for person in persons])
        cells, pictures = [], []
        for rival, mode in self.rivals:
            for count in self.job.shots:
                drawn = [self._drawn(person, rival, mode, count) for person in persons]
                made = self._judged(persons, drawn)
                figures = self._figures(persons, drawn)
                figures += [self._auc(name, real, made[name], persons) for name, real in judged.items()]
                cells.append(Cell(rival.name, mode, count, tuple(figures)))
                pictures.append((f"{rival.name} {mode} T={count}".replace("  ", " "), [d[len(d) // 2] for d in drawn]))
        real = [p.frames[len(p.frames) // 2] for p in persons]
        shown = sheet([("real, held out", real), *pictures])
        return Evaluation(tuple(cells), self._protocol(persons), self.absent), shown

    def _person(self, unit: Unit) -> _Person:
        held = read_part(self.sets[unit.shards], unit, held_rows(unit, held_out(unit, self.takes)), self.heads.size)
        found = measures.detect(held.frames, held.landmarks, self.mark)
        _, embed = self.instruments.embedding
        self.session.advance(1, note=unit.identity)
        return _Person(unit, held.frames, held.landmarks, held.times, found, embed(held.frames, held.landmarks))

    def _drawn(self, person: _Person, rival: TalkingHeads, mode: str, count: int) -> Frames:
        """A person's held-out frames as one rival draws them from ``count`` shots."""
        unit, job = person.unit, self.job
        rows = shot_rows(unit, len(unit.rows) - len(person.frames), count)
        clip = read_part(self.sets[unit.shards], unit, rows, self.heads.size)
        personal = rival.personalise(clip.frames, clip.landmarks, mode=mode or "ff", steps=job.steps, seed=job.seed)
        self.session.advance(1, note=f"{rival.name} {mode} T={count}")
        return personal.render(person.landmarks)

    def _figures(self, persons: Sequence[_Person], drawn: Sequence[Frames]) -> list[Figure]:
        (known_as, embed), seed = self.instruments.embedding, self.job.seed
        pairs = list(zip(persons, drawn, strict=True))
        found = [measures.detect(d, p.landmarks, self.mark) for p, d in pairs]
        features = [embed(d, p.landmarks) for p, d in pairs]
        # Against what the landmarker finds in the real frame, not against the driving landmarks: its own bias cancels.
        both = [(f, p.found) for f, p in zip(found, persons, strict=True)]
        means = {
            "ssim": ("up", [measures.ssim(p.frames, d) for p, d in pairs]),
            f"csim-{known_as}": ("up", [measures.csim(p.features, f) for p, f in zip(persons, features, strict=True)]),
            "landmark-error": ("down", [measures.landmark_error(*pair) for pair in both]),
            "pose-error-degrees": ("down", [measures.pose_error(*pair) for pair in both]),
        }
        figures = [measures.mean_figure(name, values, better, seed) for name, (better, values) in means.items()]
        figures += _sets(known_as, [p.features for p in persons], features)
        for name, distance in self.perceived.items():
            near = [distance(p.frames, d) for p, d in pairs]
            figures.append(measures.mean_figure(name, near, "down", seed))
        if self.inception:
            a, b = ([self.inception(x) for x in y] for y in ([p.frames for p in persons], drawn))
            figures += _sets("inception2048", a, b)
        return figures

    def _judged(self, persons: Sequence[_Person], clips: Sequence[Frames]) -> dict[str, list[float | str]]:
        """By name, what each detector gives to each person's clip."""
        if not self.instruments.detectors:
            return {}
        footages = [_footage(clip, p.times, self.mark) for p, clip in zip(persons, clips, strict=True)]
        return {name: [judge(f) for f in footages] for name, judge in self.instruments.detectors.items()}

    def _auc(
        self, name: str, real: Sequence[float | str], made: Sequence[float | str], persons: Sequence[_Person]
    ) -> Figure:
        """A detector's AUC of made against real clips; why there is none goes into ``absent``."""
        pairs = list(zip(real, made, strict=True))
        why = [said for pair in pairs for said in pair if isinstance(said, str)]
        both = np.array([p for p in pairs if not any(isinstance(said, str) for said in p)], np.float64).reshape(-1, 2)
        label, share = f"auc/{name}", len(both) / max(len(pairs), 1)
        if len(both) < 2:
            seconds = np.median([p.times[-1] - p.times[0] for p in persons])
            most = Counter(why).most_common(1)
            said = most[0][0] if most else "fewer than two clips"
            self.absent[label] = f"{said} (clips of {seconds:.1f} s; --frames sets how long)"
            return Figure(label, float("nan"), float("nan"), float("nan"), len(both), len(pairs), "down", share)
        low, high = measures.bootstrap(
            len(both), lambda rows: measures.auc(both[rows, 0], both[rows, 1]), seed=self.job.seed
        )
        return Figure(label, measures.auc(*both.T), low, high, len(both), len(pairs), "down", share)

    def _protocol(self, persons: Sequence[_Person]) -> dict[str, Any]:
        heads, known_as = self.heads, self.instruments.embedding[0]
        tuned = getattr(getattr(heads, "few_shot", heads), "content", "")
        return {
            "task": "self-reenactment: shots from the beginning of a take, its last frames held out",
            "people": len(persons),
            "held_out_frames": int(np.median([len(p.frames) for p in persons])),
            "size": heads.size,
            "generator": heads.name,
            "weights_sha256": heads.weights_sha256,
            **({"content": tuned} if tuned and "ft" in self.job.modes else {}),
            "landmarker": self.mark.name,
            "csim": f"cosine of {known_as} embeddings of paired frames (dlib128: strangers come out near 0.8)",
            **({perceptual.LITE0: perceptual.LITE0_IS} if perceptual.LITE0 in self.perceived else {}),
            "fid, kid": f"over {known_as} embeddings of {heads.size} px crops; the embedding's own aligned chip, bilinear",
            **({"fid, kid of inception2048": f"{heads.size} px crops, {perceptual.RESIZE}"} if self.inception else {}),
            "intervals": "95 %, over people: percentile bootstrap; for fid and kid jackknife",
            "frames_are": f"as generated, before any codec; detectors see both kinds through H.264 at CRF {DETECTOR_CRF}",
            "footage_sha256": sorted(p.unit.sha256 for p in persons),
            "seed": self.job.seed,
        }


def _sets(name: str, real: Sequence[NDArray[np.float32]], made: Sequence[NDArray[np.float32]]) -> list[Figure]:
    """Distances between all real and all made frames, whose features are given by person (frames, D). name : of the features."""
    a, b = ([x.astype(np.float64) for x in y] for y in (real, made))
    distances = {"fid": measures.frechet, "kid": measures.kid}
    return [measures.set_figure(f"{kind}-{name}", a, b, distance) for kind, distance in distances.items()]


def _footage(frames: Frames, times: NDArray[np.float64], mark: Any) -> Footage:
    """What a detector gets: the frames after one codec, real and generated alike.

    The real ones come out of the shards' JPEG and the generated ones out of nothing: without a codec in common that alone would tell.
    """
    at = times - times[0]
    rate = Fraction(1 / float(np.median(np.diff(at)))).limit_denominator(1001)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, iter(frames), fps=rate, times=at, crf=DETECTOR_CRF)
        with Clip.open(path) as clip:
            frames = clip.sample("all")[0]
    tracks = observe.track(zip(at.tolist(), frames, strict=True), landmarker=mark, recognise=False)
    # detectors share what they compute of it
    return Footage(frames, at, rate, float(at[-1]), tracks, "all", {}).frozen()


def sheet(columns: Sequence[tuple[str, Sequence[Frames]]]) -> Frames:
    """Eight people at most below one another, generators beside one another, titles above; uint8 (H, W, 3)."""
    rows = list(zip(*(faces[:8] for _, faces in columns), strict=True))
    return grid(rows, (128, 128), titles=[title for title, _ in columns])


def sign_grid(
    picture: Frames,
    path: Path,
    heads: TalkingHeads,
    granted: Consent,
    footage: Sequence[str] = (),
    *,
    force: bool = False,
) -> None:
    """Write the grid as a signed picture, and log it: most of its faces are generated. footage : sha256 of what it was made from."""
    claim = granted.claim(path.name, "evaluation", heads)
    sign.write_picture(picture, path, claim, quality=90, force=force)
    granted.log("evaluate", heads.name, [sha256_of(path)], sources=footage)


def text(found: Evaluation) -> str:
    """The figures as a table for people."""
    measured = (f"{f.name} {'↑' if f.better == 'up' else '↓'}" for f in found.cells[0].figures)
    rows = [["generator", "mode", "T", *measured]]
    for cell in found.cells:
        row = [cell.generator, cell.mode or "-", str(cell.shots)]
        for f in cell.figures:
            low_coverage = f" ({f.coverage:.0%} covered)" if f.coverage < 0.995 else ""
            interval = f"[{f.low:.4g}, {f.high:.4g}]" if np.isfinite(f.low) else "(no interval)"
            row.append(f"{f.value:.4g} {interval}{low_coverage}" if np.isfinite(f.value) else "not assessed")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    n = f"{found.protocol['people']} people, {found.protocol['held_out_frames']} held-out frames each; 95 % intervals over people"
    return "\n".join([*lines, n, *(f"not computed: {name}: {why}" for name, why in found.absent.items())])
