"""The sound of a clip as it can be drawn: waveform, spectrogram, stretches without any sound at all; read in a limited child process.

Not covered: who speaks, whether a voice was generated, joins, and whether lips and voice keep time: docs/decisions/evidence.md counts how
little the measures that were tried tell of the last two. No sentence made from this says anything of them.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gioconda_core.documents import read
from gioconda_core.media.pictures import jpeg
from gioconda_core.types import Sound
from gioconda_core.workers.child import Lost, ask_once

RATE = 16_000  # Hz that the samples are brought to, one channel
LONGEST = 3600.0  # seconds read
PARTS, BANDS = 720, 96  # columns of waveform and spectrogram; rows of the spectrogram, 0 to 8 kHz
GAP = 0.2  # seconds without any sound from which on a stretch is told
EDGE = 0.1  # seconds at both ends that encoders fill with silence
MOST = 20  # stretches told
HOLE, LEAP = 0.1, 60.0  # seconds between which a pause between samples is one, and not a clock that errs
SECONDS, MEMORY = 60.0, 3 << 30  # wall time of the child, bytes of its address space


def hear(path: str | os.PathLike[str]) -> Sound | None:
    """The first sound track of a file; None where there is none, or none can be read in ``SECONDS``."""
    try:
        found, arrays = ask_once(
            f"{__name__}:_child", seconds=SECONDS, memory=MEMORY, path=os.path.abspath(os.fspath(path))
        )
        return read(Sound, found | {"spectrogram": _drawn(arrays["spectrogram"])})
    except (Lost, ValueError, TypeError, KeyError):
        return None


def _drawn(levels: NDArray[Any]) -> bytes:
    """The spectrogram as a JPEG: light where there is little, dark where there is much, so that it prints."""
    if levels.shape != (BANDS, PARTS) or levels.dtype != np.uint8:
        raise ValueError("no spectrogram")
    grey = 255 - levels
    tinted = np.stack([grey, (grey * 0.93 + 17).astype(np.uint8), (grey * 0.8 + 50).astype(np.uint8)], axis=-1)
    return jpeg(tinted, quality=80)


# ------------------------------------------------------------------------- in the child


def _child(path: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    import av

    from gioconda_core.media.decode import COVER

    with av.open(path) as container:
        if not container.streams.audio:
            raise ValueError("no sound")
        stream = container.streams.audio[0]
        context = stream.codec_context
        start = {"audio": _start(stream)}
        films = (s for s in container.streams.video if not int(s.disposition) & COVER)
        start["video"] = next(map(_start, films), start["audio"])
        facts = {"codec": context.name, "rate": int(context.sample_rate or 0), "channels": int(context.channels or 0)}
        resampler = av.AudioResampler("s16", "mono", RATE)
        pieces: list[NDArray[np.int16]] = []
        kept = 0
        begun: float | None = None
        for frame in container.decode(stream):
            begun = frame.time if begun is None else begun
            missing = (frame.time or 0.0) - (begun or 0.0) - kept / RATE
            if HOLE < missing < LEAP:  # players are silent there, and what follows comes when it is due
                pieces.append(np.zeros(round(missing * RATE), np.int16))
                kept += len(pieces[-1])
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
        "gaps": gaps(samples),
    }
    return heard, {"spectrogram": _spectrogram(samples)}


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0


def gaps(samples: NDArray[Any]) -> list[tuple[float, float]]:
    """Stretches (from, to) in seconds in which every sample is nought, as a microphone leaves none: the longest ``MOST``, in order.

    samples : int16 (N,), one channel at ``RATE``. What touches either end is left out.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[1], samples != 0, [1]]).astype(np.int8)))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    found = [(a / RATE, b / RATE) for a, b in pairs if b - a >= GAP * RATE]
    inside = [(a, b) for a, b in found if a > EDGE and b < len(samples) / RATE - EDGE]
    longest = sorted(inside, key=lambda gap: gap[0] - gap[1])[:MOST]
    return sorted((round(a, 2), round(b, 2)) for a, b in longest)


def _spectrogram(samples: NDArray[Any]) -> NDArray[Any]:
    """Loudness by frequency over time, uint8 (BANDS, PARTS): 0 = 80 dB under the loudest, high frequencies first."""
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
