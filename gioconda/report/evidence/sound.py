"""The sound of a clip as it can be drawn: waveform, spectrogram, jumps of the background; read in a limited child process.

Not covered: who speaks, and whether a voice was generated. Nothing here looks for that, and no sentence made from it says so.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gioconda_core.types import Sound
from gioconda_core.workers.child import Lost, asked

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hear"]

RATE = 16_000  # Hz that the samples are brought to, one channel
LONGEST = 3600.0  # seconds read
PARTS, BANDS = 720, 96  # columns of waveform and spectrogram; rows of the spectrogram, 0 to 8 kHz
HOP = 0.05  # seconds of one measure of loudness
SIDE = 1.5  # seconds before and after a jump whose background is compared
JUMP = 20.0  # dB between the two; docs/decisions/evidence.md counts how seldom that tells a splice
FLOOR = -90.0  # dB below full scale that silence counts as
SECONDS, MEMORY = 60.0, 3 << 30  # wall time of the child, bytes of its address space


def hear(path: str | os.PathLike[str], *, seconds: float = SECONDS) -> Sound | None:
    """The first sound track of a file; None where there is none, or none can be read in so many seconds."""
    try:
        found, arrays = asked(
            f"{__name__}:_child", seconds=seconds, memory=MEMORY, path=os.path.abspath(os.fspath(path))
        )
        for name in ("peaks", "loudness", "cuts"):
            found[name] = tuple(float(value) for value in found[name])
        return Sound(**found, spectrogram=_drawn(arrays["spectrogram"]))
    except (Lost, ValueError, TypeError, KeyError):
        return None


def _drawn(levels: NDArray[Any]) -> bytes:
    """The spectrogram as a JPEG: light where there is little, dark where there is much, so that it prints."""
    import numpy as np

    from gioconda_core.media.pictures import jpeg

    if levels.shape != (BANDS, PARTS) or levels.dtype != np.uint8:
        raise ValueError("no spectrogram")
    grey = 255 - levels
    tinted = np.stack([grey, (grey * 0.93 + 17).astype(np.uint8), (grey * 0.8 + 50).astype(np.uint8)], axis=-1)
    return jpeg(tinted, quality=80)


# ------------------------------------------------------------------------- in the child


def _child(path: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    import av
    import numpy as np

    with av.open(path) as container:
        if not container.streams.audio:
            raise ValueError("no sound")
        stream = container.streams.audio[0]
        context = stream.codec_context
        start = {"audio": _start(stream)}
        start["video"] = next((_start(s) for s in container.streams.video), start["audio"])
        facts = {"codec": context.name, "rate": int(context.sample_rate or 0), "channels": int(context.channels or 0)}
        resampler = av.AudioResampler("s16", "mono", RATE)
        pieces: list[NDArray[np.int16]] = []
        kept = 0
        for frame in container.decode(stream):
            for made in resampler.resample(frame):
                pieces.append(np.asarray(made.to_ndarray().reshape(-1), np.int16))
                kept += len(pieces[-1])
            if kept >= LONGEST * RATE:
                break
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if not len(samples):
        raise ValueError("no sample")
    parts = np.array_split(samples, PARTS)
    heard = {
        **facts,
        "seconds": round(len(samples) / RATE, 3),
        "offset": round(start["audio"] - start["video"], 4),
        "peaks": [round(float(np.abs(part.astype(np.int32)).max(initial=0)) / 32768, 4) for part in parts],
        "loudness": [round(_decibels(part), 1) for part in parts],
        "cuts": jumps(samples),
    }
    return heard, {"spectrogram": _spectrogram(samples)}


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0


def _decibels(samples: Any) -> float:
    import numpy as np

    power = float(np.mean(np.square(samples.astype(np.float64) / 32768))) if len(samples) else 0.0
    return max(FLOOR, 10 * float(np.log10(max(power, 1e-12))))


def jumps(samples: NDArray[Any]) -> list[float]:
    """Seconds at which the background of the sound jumps by ``JUMP`` dB: its quietest tenth before against after.

    samples : int16 (N,), one channel at ``RATE``. A voice that begins or stops moves the quietest tenth little.
    """
    import numpy as np

    step = int(HOP * RATE)
    count = len(samples) // step
    level = np.array([_decibels(samples[i * step : (i + 1) * step]) for i in range(count)])
    side = round(SIDE / HOP)
    if count < 2 * side:
        return []
    floor = np.array([np.percentile(level[i : i + side], 10) for i in range(count - side + 1)])
    change = floor[side:] - floor[:-side]  # at the seam i + side
    found: list[float] = []
    while len(change) and np.abs(change).max() >= JUMP and len(found) < 20:
        at = int(np.abs(change).argmax())
        as_large = np.abs(change) >= np.abs(change[at]) - 1
        rising = change[at] > 0
        step_on = 1 if not rising else -1
        while 0 <= at + step_on < len(change) and as_large[at + step_on]:
            at += step_on
        # the quietest tenth of a side is all loud a tenth of it before the jump, and all quiet a tenth after
        at = int(np.clip(at + (0.1 if rising else -0.1) * side, 0, len(change) - 1))
        found.append(round((at + side) * HOP, 2))
        change[max(0, at - side) : at + 2 * side] = 0
    return sorted(found)


def _spectrogram(samples: NDArray[Any]) -> NDArray[Any]:
    """Loudness by frequency over time, uint8 (BANDS, PARTS): 0 = 80 dB under the loudest, high frequencies first."""
    import numpy as np

    size = 2 * (RATE // 100)  # 20 ms
    window = np.hanning(size)
    levels = np.zeros((BANDS, PARTS))
    for column, start in enumerate(np.linspace(0, max(0, len(samples) - size), PARTS).astype(int)):
        stop = max(start + size, start + len(samples) // PARTS)
        pieces = [samples[i : i + size] for i in range(start, min(stop, len(samples) - size + 1), size)][:25]
        if not pieces:
            continue
        power = np.mean([np.abs(np.fft.rfft(piece * window))[1:] ** 2 for piece in pieces], axis=0)
        levels[:, column] = [part.mean() for part in np.array_split(power, BANDS)]
    if levels.max() < 1:  # silence: nothing is loudest
        return np.zeros((BANDS, PARTS), np.uint8)
    decibels = 10 * np.log10(levels + 1e-9)
    shown: NDArray[Any] = np.clip((decibels - decibels.max() + 80) / 80 * 255, 0, 255).astype(np.uint8)
    return shown[::-1]
