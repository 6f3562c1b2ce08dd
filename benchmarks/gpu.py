"""``make gpu``: every check, training and measurement that needs a GPU, in one command with a time limit; results in one JSON and small files.

Chapters: GPU tests, speed on CUDA, footage at 256 px, meta-training, a labelled set in batch, evaluation. Each has a share of the
minutes; one that runs out or fails is recorded as such and the next goes on. The checkpoint leaves in pieces of at most
16 MB, with their sha256, to be joined by ``cat``.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gioconda_core.files import sha256_of, write_json
from gioconda_core.workers.cpu import cores

PIECE = 16_000_000  # bytes
CLI = (sys.executable, "-m", "gioconda")


@dataclass(frozen=True)
class Chapter:
    """One thing to do. share : of the minutes at most. collect : what to keep of it, read from the output folder."""

    name: str
    command: tuple[str, ...]
    share: float
    collect: Callable[[Path], Any] = lambda out: None


def _json(*parts: str) -> Callable[[Path], Any]:
    return lambda out: json.loads(out.joinpath(*parts).read_text(encoding="utf-8"))


def _last_row(*parts: str) -> Callable[[Path], Any]:
    def read(out: Path) -> Any:
        lines = out.joinpath(*parts).read_text(encoding="utf-8").splitlines()
        return json.loads(lines[-1])

    return read


def plan(out: Path, sources: tuple[str, ...], preset: str, device: str) -> list[Chapter]:
    """The chapters, in order. sources : what ``synth prepare`` takes."""
    shards, run, size = (
        out / "shards",
        out / "run",
        "64" if preset == "pocket" else "128" if preset == "sketch" else "256",
    )
    many = str(10**7)  # steps: the time limit ends the run, with a checkpoint
    return [
        Chapter("tests", (sys.executable, "-m", "pytest", "-m", "gpu", "-q"), 0.12),
        Chapter(
            "speed", (sys.executable, "-m", "benchmarks.speed", "synth" if device == "cpu" else "cuda", "--json", str(out / "speed.json")), 0.16, _json("speed.json")
        ),
        Chapter(
            "prepare", (*CLI, "synth", "prepare", *sources, "--out", str(shards), "--size", size, "--jobs", str(cores())), 0.12,
            _json("shards", "prepare.json"),
        ),
        Chapter(
            "training",
            (*CLI, "--device", device, "synth", "train", str(shards), "--preset", preset, "--out", str(run), "--steps", many, "--augment", "--vary-shots", "--checkpoint-every", "200", "--sample-every", "200"),
            0.40, _last_row("run", "stats.jsonl"),
        ),
        Chapter(
            "fakes",
            (*CLI, "--device", device, "synth", "fakes", str(shards), "--model", str(run / "model.safetensors"), "--shots", "8", "--modes", "ff,ft", "--people", "16", "--consent", "embedded", "--out", str(out / "fakes"), "-o", f"json={out / 'fakes.json'}"),
            0.10, _json("fakes.json"),
        ),
        Chapter(
            "evaluation",
            (*CLI, "--device", device, "synth", "evaluate", str(shards), "--model", str(run / "model.safetensors"), "--people", "8", "--shots", "1,8", "--out", str(out / "evaluation")),
            0.10, _json("evaluation", "evaluation.json"),
        ),
    ]  # fmt: skip


def pieces(file: Path, folder: Path, size: int = PIECE) -> dict[str, Any]:
    """Cut a file into pieces to be joined by ``cat``; returns their names and hashes and that of the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    names: list[dict[str, Any]] = []
    with open(file, "rb") as source:
        while chunk := source.read(size):
            piece = folder / f"{file.name}.{len(names):02d}"
            piece.write_bytes(chunk)
            names.append({"name": piece.name, "sha256": hashlib.sha256(chunk).hexdigest(), "bytes": len(chunk)})
    return {"file": file.name, "sha256": sha256_of(file), "pieces": names, "join": f"cat {file.name}.* > {file.name}"}


def _run(chapter: Chapter, limit: float, out: Path) -> dict[str, Any]:
    """Run one chapter within its limit; SIGTERM first, so that training leaves a checkpoint."""
    log = out / f"{chapter.name}.log"
    begun = time.perf_counter()
    with open(log, "wb") as sink:
        process = subprocess.Popen(chapter.command, stdout=sink, stderr=subprocess.STDOUT)
        try:
            status = process.wait(limit)
            ended = "done" if status == 0 else f"exit {status}"
        except subprocess.TimeoutExpired:
            ended = "time was up"
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    row: dict[str, Any] = {"ended": ended, "seconds": round(time.perf_counter() - begun, 1)}
    try:
        row["result"] = chapter.collect(out)
    except (OSError, ValueError, IndexError) as error:
        row["result"] = None
        row["missing"] = str(error)
    return row


def _card(device: str) -> dict[str, Any]:
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return {"device": "cpu", "torch": torch.__version__}
    properties = torch.cuda.get_device_properties(0)
    return {
        "device": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "processors": properties.multi_processor_count,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the plan; exit 2 without a GPU (unless ``--device cpu`` says that a rehearsal is meant)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("gpu-out"))
    parser.add_argument("--minutes", type=float, default=24.0)
    parser.add_argument("--preset", default="half")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--source", action="append", help="what synth prepare takes; default: 96 puppets")
    options = parser.parse_args(argv)
    card = _card(options.device)
    if options.device != "cpu" and card["device"] == "cpu":
        print("no GPU here; what is owed to one is listed in docs/gpu.md (--device cpu rehearses)", file=sys.stderr)
        return 2
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"schema": "gioconda.gpu/1", "card": card, "minutes": options.minutes, "chapters": {}}
    seconds = options.minutes * 60
    sources = tuple(options.source or ["puppets:96"])
    for chapter in plan(out, sources, options.preset, options.device):
        print(f"{chapter.name}: at most {chapter.share * seconds:.0f} s", flush=True)
        document["chapters"][chapter.name] = _run(chapter, chapter.share * seconds, out)
        row = document["chapters"][chapter.name]
        print(f"  {row['ended']}, {row['seconds']} s", flush=True)
        model = out / "run" / "model.safetensors"
        if chapter.name == "training" and model.is_file():
            document["checkpoint"] = pieces(model, out / "checkpoint")
        write_json(out / "gpu.json", document)
    failed = [name for name, row in document["chapters"].items() if row["ended"].startswith("exit")]
    print(f"{out / 'gpu.json'}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 4 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
