"""Degrades clips as their way through the world does: codecs, sizes, blur, noise, frame rates, upload chains.

It is done to the video itself, before any face is looked for, and the same way to real and fake. A degradation is written ``step|step|…``, each step ``name:key=value,…``::

    h264:crf=35          h265 vp9 av1 likewise        resize:scale=0.5  or  resize:short=360
    jpeg:quality=40      blur:sigma=1.5               noise:sigma=6     fps:rate=12     crop:keep=0.8
    flip                 brightness:gain=1.3           shrink:to=0.5  and back to its size

or is one of the named chains in ``CHAINS``. Steps between codecs work on frames; a chain that does not end in a codec is stored
near-lossless (H.264, CRF 12), so that no step is free of the last encoding. Sound is dropped. Results are cached by
content, steps and encoder version; the same input gives the same bytes on the same machine.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core import config, options
from gioconda_core.errors import UsageError
from gioconda_core.faces import track_cache
from gioconda_core.files import sha256_of
from gioconda_core.media.clip import Clip, write_image, write_video
from gioconda_core.media.writer import CODECS

Frame = NDArray[np.uint8]
CLEAN = "none"  # the degradation that is none
_VERSION = 1  # change it when the same steps give other pixels
_STORE = ("h264", {"crf": 12.0})
_CODECS = {codec: ".webm" if codec == "vp9" else ".mp4" for codec in CODECS}
_STEPS: dict[str, dict[str, float]] = {
    # name → settings and what they are when not given; None-like 0 = not used
    "h264": {"crf": 23},
    "h265": {"crf": 28},
    "vp9": {"crf": 33},
    "av1": {"crf": 35},
    "resize": {"scale": 0, "short": 0},
    "jpeg": {"quality": 50},
    "blur": {"sigma": 1.0},
    "noise": {"sigma": 5.0},
    "fps": {"rate": 12},
    "crop": {"keep": 0.8},
    "flip": {},
    "brightness": {"gain": 1.3},
    "shrink": {"to": 0.5},
}

# Upload-like chains: what the services do is not published and changes; these are the shapes of it, stated so they can be repeated.
CHAINS: dict[str, str] = {
    "messenger": "resize:short=480|h264:crf=30",
    "social": "resize:short=720|h264:crf=27|resize:short=540|h264:crf=28",
    "repost": "h264:crf=26|crop:keep=0.92|resize:short=480|h264:crf=28|h264:crf=30",
    "screen-recording": "resize:scale=0.9|blur:sigma=0.6|noise:sigma=2|fps:rate=20|h264:crf=24",
}


@dataclass(frozen=True)
class Degradation:
    """name : as figures are sliced by. steps : (step, settings) in order; empty for none."""

    name: str
    steps: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]

    @property
    def spec(self) -> str:
        """The steps, canonical; the cache's key."""
        return "|".join(f"{n}:{','.join(f'{k}={v:g}' for k, v in settings)}" for n, settings in self.steps)


def parse(text: str) -> Degradation:
    """``none``, a chain's name, or steps → Degradation.

    Raises
    ------
    UsageError
        An unknown step or setting, or a value that makes no sense.
    """
    text = text.strip()
    if text in ("", CLEAN):
        return Degradation(CLEAN, ())
    name = text
    steps = []
    for part in CHAINS.get(text, text).split("|"):
        step, _, tail = part.strip().partition(":")
        if step not in _STEPS:
            hint = f"steps: {', '.join(_STEPS)}; chains: {', '.join(CHAINS)}"
            raise UsageError(f"unknown degradation {step!r} in {text!r}", hint=hint)
        settings = options.settings(tail, _STEPS[step], step)
        _check(step, settings, text)
        steps.append((step, tuple((k, v) for k, v in settings.items() if v or step != "resize")))
    if text not in CHAINS:
        name = "+".join("-".join([n, *(f"{k}{v:g}" for k, v in s)]) for n, s in steps)
    return Degradation(name, tuple(steps))


def _check(step: str, s: dict[str, float], text: str) -> None:
    good = {
        "resize": (0 < s.get("scale", 0) <= 1) != (s.get("short", 0) >= 32),
        "jpeg": 1 <= s.get("quality", 1) <= 100,
        "fps": s.get("rate", 1) > 0,
        "crop": 0.1 <= s.get("keep", 1) <= 1,
        "blur": s.get("sigma", 1) > 0,
        "noise": s.get("sigma", 1) >= 0,
        "brightness": 0 < s.get("gain", 1) <= 4,
        "shrink": 0 < s.get("to", 1) <= 1,
    }
    if not good.get(step, True) or min(s.values(), default=0) < 0:
        what = f"{step} cannot be done as asked in {text!r}"
        raise UsageError(what, hint="resize takes scale in (0, 1] or short ≥ 32")


def _even(n: float) -> int:
    return max(2, round(n / 2) * 2)


def _frame_step(step: str, settings: dict[str, float], seed: int) -> Callable[[Frame], Frame]:
    """One frame in, one frame out. Noise differs from frame to frame and is the same from run to run."""
    import cv2

    rng = np.random.default_rng(seed)

    def changed(frame: Frame) -> Any:
        h, w = frame.shape[:2]
        match step:
            case "resize":
                # never enlarged: a service does not invent pixels
                scale = settings.get("scale") or min(1.0, settings["short"] / min(h, w))
                if scale >= 1:
                    return frame
                return cv2.resize(frame, (_even(w * scale), _even(h * scale)), interpolation=cv2.INTER_AREA)
            case "jpeg":
                _, data = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(settings["quality"])])
                return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1]
            case "blur":
                return cv2.GaussianBlur(frame, (0, 0), settings["sigma"])
            case "noise":
                grain = rng.normal(0, settings["sigma"], frame.shape).astype(np.float32)
                return np.clip(np.round(frame + grain), 0, 255)
            case "crop":
                kh, kw = _even(h * settings["keep"]), _even(w * settings["keep"])
                top, left = (h - kh) // 2, (w - kw) // 2
                return frame[top : top + kh, left : left + kw]
            case "flip":
                return frame[:, ::-1]
            case "brightness":
                return np.clip(np.round(frame.astype(np.float32) * settings["gain"]), 0, 255)
            case "shrink":
                size = (max(2, round(w * settings["to"])), max(2, round(h * settings["to"])))
                small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)

    return lambda frame: np.ascontiguousarray(changed(frame), np.uint8)


def _thinned(frames: Iterable[Frame], rate: Fraction, wanted: Fraction) -> Iterator[Frame]:
    """Frames on screen at a lower rate's ticks; a higher rate changes nothing."""
    shown = -1
    for index, frame in enumerate(frames):
        tick = int(Fraction(index + 1) * wanted / rate - Fraction(1, 10**9))
        if tick > shown:
            shown = tick
            yield frame


def _seed(sha256: str, position: int) -> int:
    return int(sha256[:12] or "0", 16) * 31 + position


def _stage(
    frames: Iterable[Frame], rate: Fraction, steps: Iterable[tuple[int, str, dict[str, float]]], sha256: str
) -> tuple[Iterable[Frame], Fraction]:
    for position, step, settings in steps:
        if step == "fps":
            wanted = Fraction(settings["rate"]).limit_denominator(1000)
            if wanted < rate:
                frames, rate = _thinned(frames, rate, wanted), wanted
        else:
            frames = map(_frame_step(step, settings, _seed(sha256, position)), frames)
    return frames, rate


def cache_folder() -> Path:
    """Where degraded clips are kept; safe to delete."""
    return config.core().cache / "degraded"


def trim() -> int:
    """Bring the cache below ``GIOCONDA_DEGRADED_MB`` (20,000 by default), the clips longest unused going first; returns how many went.

    For the end of a run: in the middle of one, a clip could go between being made and being read.
    """
    return track_cache.trim(cache_folder(), track_cache.bound("GIOCONDA_DEGRADED_MB", 20_000))


def _encoders() -> str:
    import av

    return f"libavcodec{av.library_versions['libavcodec'][0]}-av{av.__version__}"


def apply(source: str | os.PathLike[str], how: Degradation, *, sha256: str = "", folder: Path | None = None) -> Path:
    """The degraded clip's path: from the cache, or made now and kept there. ``none`` gives the source itself.

    A still picture goes through the frame steps and JPEG; the codec steps are a JPEG of matching coarseness for it.
    """
    if not how.steps:
        return Path(source)
    sha256 = sha256 or sha256_of(Path(source))
    key = sha256_of(f"{_VERSION}:{sha256}:{how.spec}:{_encoders()}".encode())
    folder = folder or cache_folder()
    for suffix in (".mp4", ".webm", ".png"):
        found = folder / key[:2] / f"{key}{suffix}"
        if found.exists():
            with contextlib.suppress(OSError):
                os.utime(found)
            return found
    place = folder / key[:2]
    steps = [(i, name, dict(settings)) for i, (name, settings) in enumerate(how.steps)]
    with Clip.open(source) as clip:
        if clip.facts.still:
            picture = next(frame for _, frame in clip.frames("all"))
            for position, step, settings in steps:
                if step in _CODECS:
                    step, settings = "jpeg", {"quality": max(5.0, 100 - 1.8 * settings["crf"])}
                if step != "fps":
                    picture = _frame_step(step, settings, _seed(sha256, position))(picture)
            target = place / f"{key}.png"
            write_image(target, picture, force=True)
            return target
    if how.steps[-1][0] not in _CODECS:
        steps.append((len(steps), _STORE[0], dict(_STORE[1])))
    current = Path(source)
    pending: list[tuple[int, str, dict[str, float]]] = []
    with contextlib.ExitStack() as between:
        for position, step, settings in steps:
            if step not in _CODECS:
                pending.append((position, step, settings))
                continue
            last = position == steps[-1][0]
            # What a killed run leaves between two steps lies in the cache, which is kept below its bound.
            target = place / f"{key if last else f'.{key}.{os.getpid()}.{position}'}{_CODECS[step]}"
            if not last:
                between.callback(target.unlink, missing_ok=True)
            with Clip.open(current) as clip:
                rate = Fraction(clip.fps or 25)
                frames, rate = _stage((frame for _, frame in clip.frames("all")), rate, pending, sha256)
                write_video(target, frames, fps=rate, codec=step, crf=settings["crf"], force=True)
            pending, current = [], target
    return current
