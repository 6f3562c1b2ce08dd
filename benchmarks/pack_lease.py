"""Packs what :mod:`benchmarks.lease` trains on: shards as 10 fps H.264 with landmarks in half precision, a model to go on from, and the sizes checked.

    python -m benchmarks.pack_lease SHARDS… --out DATA [--init MODEL] [--limit 56]

Made on the machine that has the footage (and PyAV); :mod:`benchmarks.lease` reads it where only OpenCV is. One person in eight is held out.
"""

import argparse
import hashlib
import shutil
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gioconda_core.errors import UsageError
from gioconda_core.files import sha256_of, write_json
from gioconda_core.media.clip import write_video
from synth.training.shards import Frame, ShardSet

RATE = 10  # frames a second: neighbours nearer than that teach the same
LEAST = 9  # frames of a video that a lease can train on: its K = 8 shots and a target
SCHEMA = "gioconda.lease-data/1"


@dataclass(frozen=True)
class Start:
    """What a lease goes on from: a model, and the rows of its people in an earlier lease."""

    init: Path | None = None
    rows: Path | None = None


def pack(
    shards: list[Path], out: Path, start: Start | None = None, *, crf: int = 23, frames: int = 80, limit: float = 56.0
) -> dict[str, Any]:
    """Write the folder. frames : most of one video. limit : megabytes that may go in, the model's included.

    Raises
    ------
    UsageError
        The folder is not empty, or the footage does not fit, or has no video of enough frames.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError("is not empty", where=str(out), hint="give a new --out")
    (out / "clips").mkdir(parents=True, exist_ok=True)
    start = start or Start()
    for given, name in ((start.init, "init.safetensors"), (start.rows, "w.safetensors")):
        if given is not None:
            shutil.copyfile(given, out / name)
    clips: list[dict[str, Any]] = []
    marks: dict[str, np.ndarray] = {}
    size = 0
    for folder in shards:
        items = ShardSet(folder)
        size = size or items.size
        if items.size != size:
            raise UsageError(f"holds crops of {items.size} px, not {size}", where=str(folder))
        for identity, source in items.units:
            name, chosen = f"{len(clips):04d}", _thinned(items, identity, source, frames)
            write_video(out / "clips" / f"{name}.mp4", np.stack([f.frame for f in chosen]), fps=Fraction(RATE), crf=crf)
            marks[name] = np.stack([f.landmarks for f in chosen]).astype(np.float16)
            held = hashlib.sha256(identity.encode()).digest()[0] < 32
            clips.append(
                {
                    "name": name, "file": f"clips/{name}.mp4", "identity": identity, "source": source,
                    "frames": len(chosen), "held_out": held,
                }
            )  # fmt: skip
    if not any(c["frames"] >= LEAST for c in clips):
        raise UsageError(
            f"no clip has {LEAST} frames at {RATE} a second",
            where=str(shards[0]),
            hint="prepare more frames of each clip",
        )
    if not any(c["held_out"] for c in clips) and len({c["identity"] for c in clips}) > 1:
        for clip in clips:
            clip["held_out"] = clip["identity"] == clips[-1]["identity"]
    np.savez(out / "landmarks.npz", **marks)  # type: ignore[arg-type]
    files = {p.relative_to(out).as_posix(): sha256_of(p) for p in sorted(out.rglob("*")) if p.is_file()}
    card = {"schema": SCHEMA, "size": size, "fps": RATE, "crf": crf, "clips": clips, "sha256": files}
    write_json(out / "index.json", card)
    megabytes = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    if megabytes > limit:
        raise UsageError(
            f"{megabytes:.1f} MB, more than {limit:g}", where=str(out), hint="raise --crf, or lower --frames"
        )
    return {"clips": len(clips), "frames": sum(c["frames"] for c in clips), "megabytes": round(megabytes, 2)}


def _thinned(items: ShardSet, identity: str, source: str, most: int) -> list[Frame]:
    """A video's frames, ``RATE`` a second, at most so many."""
    chosen: list[Frame] = []
    for row in items.rows(identity, source):
        frame = items[int(row)]
        if not chosen or frame.time - chosen[-1].time >= 0.98 / RATE:
            chosen.append(frame)
        if len(chosen) == most:
            break
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Pack, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("shards", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="a model to go on from")
    parser.add_argument("--rows", type=Path, help="w.safetensors of an earlier lease")
    parser.add_argument("--crf", type=int, default=23)
    parser.add_argument("--frames", type=int, default=80, help="most of one video")
    parser.add_argument("--limit", type=float, default=56.0, help="megabytes")
    options = parser.parse_args(arguments)
    found = pack(
        options.shards, options.out, Start(options.init, options.rows), crf=options.crf, frames=options.frames,
        limit=options.limit,
    )  # fmt: skip
    print(f"{options.out}: {found['clips']} clips, {found['frames']} frames, {found['megabytes']} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
