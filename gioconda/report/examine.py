"""Examine one file: detectors look at its pictures, its Content Credentials are read beside them, and a Report comes of it.

>>> report = Examiner().examine("clip.mp4")              # doctest: +SKIP
>>> print(gioconda.report.text(report))                  # doctest: +SKIP

The file is decoded in a limited child process, its metadata is parsed in another; detectors get frames and tracks, never
the path. The sound is drawn and not judged.
"""

import contextlib
import os
import platform
import re
import shlex
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detect import registry
from detect.reading.observe import observe, readings, ready
from gioconda.report import metadata, verdict
from gioconda.report.evidence import keyframes, sound, views
from gioconda.report.view import GAP, now
from gioconda.report.wording import visible
from gioconda_core.documents import plain, read
from gioconda_core.errors import GiocondaError, MediaError
from gioconda_core.faces import observe as faces
from gioconda_core.files import sha256_of
from gioconda_core.media import sandbox
from gioconda_core.media.clip import Clip
from gioconda_core.media.pictures import around, jpeg
from gioconda_core.media.sampling import Sampling
from gioconda_core.media.sniff import HEAD, clip_behind, misnamed
from gioconda_core.reasons import MediaWarning, Problem, ProblemReason
from gioconda_core.types import (
    Calibrated,
    CredentialReason,
    Evidence,
    FaceSummary,
    FaceTrack,
    Footage,
    Provenance,
    ProvenanceState,
    Report,
    Still,
    Watermark,
)
from gioconda_core.version import installed
from gioconda_core.workers.pool import Progress, unwatched
from provenance.trust import lists
from provenance.trust.lists import Trust
from provenance.watermark import mark as marks

DENSE_SECONDS = 60.0  # clips up to this long are also followed frame by frame, for detectors of motion
STILLS = 8  # thumbnails along each face's strip
BOXES = 1500  # boxes kept of each face, for the player's overlay
FRAMES = "even:24"  # frames that keyframes are chosen from where no detector has asked for any
_LATE = 0.5  # seconds after which pictures begin late; the first ones of a phone's clip may wait for its sound
FACE = 256  # pixels of a face's pictures: small on the page, and large when asked for


_Sampled = tuple[Any, Any]  # uint8 (T, H, W, 3), RGB, upright, and seconds (T,)


@dataclass
class _Seen:
    """What one look at a file has found so far."""

    facts: dict[str, Any] = field(default_factory=dict)
    readings: list[Calibrated] = field(default_factory=list)
    footage: Footage | None = None
    mark: Watermark | None = None
    warnings: list[MediaWarning] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)

    def peaks(self, track: int) -> list[float]:
        """Seconds at which each detector's score of a face is highest."""
        series = [one for r in self.readings for one in r.reading.series if one.track == track and one.times]
        return [one.times[max(range(len(one.scores)), key=one.scores.__getitem__)] for one in series]


class Examiner:
    """Loaded detectors and trust lists, ready for any number of files.

    Parameters
    ----------
    detectors : names as ``gioconda detect list`` shows them (``NAME`` or ``NAME:TARGET``); None = those shipped; () = none.
    trust : trust lists; None = the user's stored ones.
    timeout : seconds before a detector is given up on for a clip.
    sandbox : decode in a limited child process. Turn it off only for your own footage.
    """

    def __init__(
        self,
        detectors: Sequence[str] | None = None,
        *,
        trust: Trust | None = None,
        sampling: str | None = None,
        timeout: float = 300.0,
        sandbox: bool = True,
        cache: bool = True,
    ) -> None:
        self.sampling, self.timeout, self.sandbox, self.cache = sampling, timeout, sandbox, cache
        if sampling is not None:
            Sampling.parse(sampling)
        self.trust = trust
        self.loading: list[threading.Thread] = []
        self.following = False  # whether what follows faces was asked for
        self.detectors = [registry.load(name) for name in (registry.default() if detectors is None else detectors)]

    def examine(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        progress: Progress | None = None,
        command: str = "",
        evidence: bool = True,
    ) -> Report:
        """A Report on one file.

        progress : called with a stage's name (``open container provenance faces detectors evidence report``) and the share done.
        evidence : keyframes, views and sound too; False where nobody will look at them.

        Raises
        ------
        MediaError
            When there is no such file, it may not be read, or it changed meanwhile. A file that is no media is a Report that says so.
        """
        step = progress or unwatched
        file = Path(path)
        name = visible(title if title is not None else file.name)
        step("open", 0.0)
        status = readable(path)
        self._ready()
        digest = sha256_of(file)
        seen, blind = _Seen(), None
        with ThreadPoolExecutor(1) as aside:  # where a process of its own parses what strangers wrote
            step("container", 0.05)
            inspected = aside.submit(metadata.inspect, file)
            step("provenance", 0.1)
            provenance, trouble = self._provenance(file)
            try:
                self._look(file, (digest, str(file), file.name), seen, step, evidence)
            except MediaError as error:
                blind, seen.facts["signs"] = error, []
            self._container(file, status.st_size, digest, title or file.name, inspected.result(), seen)
        after = readable(path)
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):  # the hash is of other bytes
            raise MediaError("changed while it was read", str(path), "check it again once it is written whole")
        failed = [Problem(ProblemReason.MEDIA_UNREAD, {"text": blind.why})] if blind else _failures(seen.readings)
        step("report", 0.97)
        judged = (seen.readings, seen.footage, seen.facts, provenance)
        return Report(
            title=name,
            sha256=digest,
            verdict=verdict.verdict(*judged, unread=blind.unread if blind else None, warnings=seen.warnings),
            provenance=provenance,
            readings=tuple(seen.readings),
            facts=seen.facts,
            tracks=tuple(_summary(t, seen) for t in seen.footage.tracks) if seen.footage else (),
            mark=seen.mark,
            warnings=tuple(seen.warnings),
            errors=(trouble, *failed) if trouble else tuple(failed),
            versions=versions(),
            command=command or f"gioconda check {shlex.quote(name)}",
            created=now(),
            evidence=seen.evidence,
        )

    def _ready(self) -> None:
        """Load aside what reads faces, the first time, while the decoder's process starts."""
        if self.loading or not self.detectors:
            return
        if self.sandbox:
            sandbox.warm()
        self._aside(lambda: ready(self.detectors))

    def _aside(self, load: Callable[[], object]) -> None:
        """Load in a thread. What fails there fails again, and is told, where it is needed."""

        def run() -> None:
            with contextlib.suppress(Exception):
                load()

        # Waited for when the program ends: an inference library that is ended in the middle aborts the process.
        self.loading.append(threading.Thread(target=run))
        self.loading[-1].start()

    def _container(self, file: Path, size: int, digest: str, name: str, found: Mapping[str, Any], seen: _Seen) -> None:
        """Put what the file says of itself before what was seen in its pictures. name : that it came with, wherever it lies now;
        found : of :func:`metadata.inspect`."""
        facts: dict[str, Any] = {"size": size, "metadata": found.get("metadata", {}), "signs": metadata.signs(found)}
        facts["declared"] = found.get("declared", [])
        facts["reader"] = found.get("reader", "")
        with open(file, "rb") as opened:
            if other := misnamed(name, opened.read(HEAD)):
                facts["misnamed"] = other
            facts["clip_behind"] = clip_behind(opened)
        if self.trust is None:
            self.trust = lists.load()
        facts["trust_lists"] = [list(named) for named in self.trust.dated("manifest")]
        own = registry.shipped()
        others = [(d.id, d.card) for d in self.detectors if d.id not in own]
        facts["others"] = [{"detector": n, "summary": c.summary, "licence": c.licence} for n, c in others]
        facts["learned_by"] = [d.id for d in self.detectors if d.card.learned(digest)]
        if (start := seen.facts.get("start", 0.0)) > _LATE:
            facts["signs"].append({"key": "sign.begins-late", "args": {"seconds": start}})
        seen.facts = facts | seen.facts
        if found.get("error"):
            seen.warnings.insert(0, read(MediaWarning, found["error"]))

    def _look(self, file: Path, names: Sequence[str], seen: _Seen, step: Progress, evidence: bool) -> None:
        """Decode the file once, and let detectors and whoever makes evidence look at it. names : hash, path and name, for tables of scores."""
        sampled: _Sampled | None = None
        with Clip.open(file, sandbox=self.sandbox) as clip:
            seen.facts |= clip_facts(clip)
            if self.detectors:
                step("faces", 0.15)
                # Only now, beside decoding in its own process: dlib lets nothing else run in this one while it loads its models.
                if not self.following and not (self.cache and faces.known(names[0])):
                    self.following = True
                    self._aside(faces.ready)
                seen.footage = footage = self._observe(clip, step)
                moves = None if seen.facts.get("still") else footage.moves
                seen.facts |= {"moves": moves, "plain": footage.plain, "examined": self._examined(footage)}
                sampled = footage.frames, footage.times
            elif evidence:
                step("faces", 0.15)
                sampled = clip.sample(FRAMES)
            seen.warnings += list(clip.warnings)
        with ThreadPoolExecutor(2) as aside:  # on another core, while detectors look
            mark = aside.submit(_mark, seen.footage) if seen.footage is not None else None
            drawn = aside.submit(_evidence, file, sampled, seen.facts) if evidence and sampled is not None else None
            if seen.footage is not None:
                step("detectors", 0.55)
                for answer in readings(seen.footage, self.detectors, timeout=self.timeout, names=names):
                    seen.readings.append(answer.judged)
                    step("detectors", 0.55 + 0.35 * len(seen.readings) / len(self.detectors))
            step("evidence", 0.92)
            seen.mark = mark.result() if mark else None
            seen.evidence = drawn.result() if drawn else Evidence()

    def _provenance(self, file: Path) -> tuple[Provenance, Problem | None]:
        """Credentials, whatever the file does to their reader."""
        from provenance.reading import read

        try:
            return read.read(file, trust=self.trust), None
        except GiocondaError as error:
            what = error.what
        except ImportError:
            raise
        except Exception:  # a stranger's bytes reached a bug: the report goes on without it
            what = "the reader of credentials failed"
        problem = Problem(ProblemReason.CREDENTIALS_FAILED, {"text": what})
        return Provenance(ProvenanceState.UNREADABLE, CredentialReason.UNJUDGED, what), problem

    def _observe(self, clip: Any, step: Progress) -> Footage:
        def watch(done: int, of: int) -> None:
            step("faces", 0.15 + 0.4 * min(1.0, done / max(1, of)), done=done, of=max(done, of))

        follow = 0 < clip.duration <= DENSE_SECONDS
        return observe(clip, self.detectors, self.sampling, follow=follow, whole=True, cache=self.cache, watch=watch)

    def _examined(self, footage: Footage) -> dict[str, Any]:
        """Seconds looked at and where they lie; whether faces were followed between sampled frames, None where nobody wants it."""
        spans: list[list[float]] = []
        for time in (float(t) for t in footage.times):
            if spans and time - spans[-1][1] <= GAP:
                spans[-1][1] = time
            else:
                spans.append([time, time])
        step = 1 / float(footage.fps) if footage.fps else 0.0
        spans = [[round(a, 3), round(min(b + step, footage.duration), 3)] for a, b in spans]
        wanted = any(getattr(d, "dense", 0) for d in self.detectors)
        followed = footage.duration <= DENSE_SECONDS if wanted and footage.duration > 0 else None
        seconds = round(sum(b - a for a, b in spans), 3)
        return {"frames": len(footage.times), "seconds": seconds, "spans": spans, "followed": followed}


def unread(report: Report) -> MediaError | None:
    """The error of a file in which neither a picture nor a credential was found, so that a report would say nothing else."""
    nothing = (ProvenanceState.UNREADABLE, ProvenanceState.ABSENT)
    if report.errors and "width" not in report.facts and report.provenance.state in nothing:
        return MediaError(report.errors[-1].text, report.title)
    return None


def readable(path: str | os.PathLike[str]) -> os.stat_result:
    """The status of a file that may be read; MediaError of anything else."""
    named = os.fspath(path)  # as it was typed: of an address, a Path keeps one of two slashes
    try:
        status = os.stat(named)
    except FileNotFoundError as error:
        scheme = re.match(r"(?i)([a-z]+):/", named)
        hint = "nothing is fetched here: save the file first" if scheme else "check the path"
        if scheme and scheme[1].lower() == "file":
            hint = "give the path alone, without file://"
        raise MediaError("no such file", named, hint) from error
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot be read: {getattr(error, 'strerror', None) or error}", named) from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("is not a regular file", named, "use `gioconda audit` for a folder, or - for stdin")
    if not os.access(named, os.R_OK):
        raise MediaError("may not be read", named, "check the file's permissions")
    return status


def clip_facts(clip: Clip) -> dict[str, Any]:
    """Container facts as plain JSON, with fps as a number and bits per pixel where they can be known."""
    facts: dict[str, Any] = plain(clip.facts)
    fps = float(clip.fps) if clip.fps else None
    facts |= {"fps": fps, "duration": float(clip.duration)}
    pixels = facts["width"] * facts["height"] * (fps or 0)
    if facts.get("bit_rate") and pixels:
        facts["bits_per_pixel"] = facts["bit_rate"] / pixels
    return facts


def _summary(track: FaceTrack, seen: _Seen) -> FaceSummary:
    """A face for the report: where and how large it was, pictures along time and at its highest scores, boxes as shares of the frame."""
    footage = seen.footage
    assert footage is not None
    height, width = footage.frames.shape[1:3]
    index = {round(float(t), 4): i for i, t in enumerate(footage.times)}
    sampled = [(k, index[key]) for k, t in enumerate(track.times) if (key := round(float(t), 4)) in index]
    even = np.unique(np.linspace(0, len(sampled) - 1, min(STILLS, len(sampled))).astype(int)) if sampled else ()
    chosen = {int(i) for i in even}
    at = np.array([float(track.times[k]) for k, _ in sampled])
    chosen |= {int(np.abs(at - time).argmin()) for time in seen.peaks(track.id) if sampled}

    def face(pair: tuple[int, int]) -> bytes:
        return jpeg(around(footage.frames[pair[1]], track.boxes[pair[0]]), FACE)

    best = max(sampled, key=lambda pair: float(track.quality[pair[0]]), default=None)
    every = max(1, -(-len(track.times) // BOXES))
    shares = np.clip(track.boxes[::every] / np.array([width, height, width, height], np.float32), 0, 1)
    return FaceSummary(
        id=track.id,
        seen=len(sampled),
        start=float(track.times[0]),
        end=float(track.times[-1]),
        face_px=track.extent,
        quality=float(np.clip(np.median(track.quality), 0, 1)),
        times=tuple(round(float(t), 4) for t in track.times[::every]),
        boxes=tuple(tuple(round(float(x), 4) for x in box) for box in shares),
        thumbnail=face(best) if best else None,
        stills=tuple(Still(float(track.times[sampled[i][0]]), face(sampled[i])) for i in sorted(chosen)),
    )


def _evidence(file: Path, sampled: _Sampled, facts: Mapping[str, Any]) -> Evidence:
    """What a person may look at and search by. What does not move has one keyframe."""
    frames, times = sampled
    if facts.get("still"):
        return Evidence(keyframes.find(frames[:1], times[:1]), views.views(frames[0]))
    most = 1 if facts.get("moves") is False else None
    heard = sound.hear(file) if facts.get("has_audio") else None
    return Evidence(keyframes.find(frames[:most], times[:most]), (), heard)


def _failures(readings: Sequence[Calibrated]) -> list[Problem]:
    """Detectors that failed, as opposed to those that declined: the report is not complete."""
    return [
        Problem(ProblemReason.DETECTOR_FAILED, {"detector": r.reading.detector, "reason": why.document()})
        for r in readings
        if (why := r.reading.abstained) is not None and why.failed
    ]


def _mark(footage: Footage) -> Watermark | None:
    """The invisible mark in the sampled frames; None where none is read."""
    found = marks.read(footage.frames)
    if found.value is None:
        return None
    return Watermark(marks.ALGORITHM, found.value, round(found.errors, 4), found.frames)


def versions() -> dict[str, str]:
    """What a repeat of this report needs to be the same."""
    names = ("gioconda", "c2pa-python", "av", "numpy", "torch", "dlib-bin", "pymediainfo")
    return {"python": platform.python_version()} | installed(*names)
