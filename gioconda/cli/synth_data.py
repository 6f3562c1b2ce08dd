"""``gioconda synth`` prepare, reenact, fakes, evaluate: from footage to labelled, signed clips."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from detect import registry
from gioconda.cli.build import Commands, Rows
from gioconda.cli.common import Bar, OutputOptions, Result, device, incomplete, notice
from gioconda.cli.data import fresh_folder, layout_writer
from gioconda_core.documents import plain
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.files import refuse_overwrite, write_json
from gioconda_core.options import Option, argument
from gioconda_core.types import Footage
from gioconda_core.words import counted
from synth.consent import Consent as Granted
from synth.evaluation.options import Evaluate
from synth.fakes.options import Fakes, Part, Prepare
from synth.options import Consent, PersonalGenerator, SharedGenerators, SizedGenerator
from synth.reenact.options import Reenact
from synth.session import Session

if TYPE_CHECKING:
    from synth.evaluation.evaluate import Instruments

data_app = Commands("synth", "prepare footage --out shards")


@data_app.command("prepare", "~/VoxCeleb2 --layout voxceleb2 --out shards --jobs 8")
def prepare(
    job: Prepare,
    out: Annotated[Path, Option("The folder of shards.")],
    jobs: Annotated[int, Option("Processes.", minimum=1)] = 1,
    engine: Annotated[str, Option("local, or ray (RAY_ADDRESS for a cluster).", choices=("local", "ray"))] = "local",
) -> Result:
    """Prepare footage for training: follow faces, crop them steadily, find landmarks; a row for each clip in OUT/clips.jsonl. Run again, it resumes."""
    if job.landmarks and not Path(job.landmarks).is_dir():
        raise UsageError("no such folder", where=job.landmarks)
    from synth.fakes.prepare import Dropped
    from synth.fakes.prepare import prepare as run

    with Bar("preparing", "clips") as bar:
        done = run(job, out, jobs=jobs, engine=engine, session=Session(begin=bar.begin, advance=bar.count))
    dropped = "; ".join(f"{n} × {why.sentence(job)}" for why, n in done.dropped.most_common()) or "none"
    lines = [
        f"{out}: {done.kept} of {counted(done.clips, 'clip')}, {counted(done.frames, 'frame')}, {done.identities} identities; "
        f"{done.frames_per_second:.1f} frames/s",
        f"dropped: {dropped}",
    ]
    return Result(lines, done, incomplete(Dropped.UNREADABLE in done.dropped or Dropped.FAILED in done.dropped))


@dataclass(frozen=True)
class ReenactedClip:
    """A clip that was made. filled : moments at which the driver's face was not found."""

    path: Path
    preview: Path | None
    frames: int
    adaptation: dict[str, Any]
    filled: int
    driver: str


@dataclass(frozen=True)
class Scene:
    """Who is shown, who drives, and where the clips go."""

    shots: Annotated[list[str], Option("Photograph, painting, clip or puppets:ID/TAKE; repeatable.", repeat=True)]
    drive: Annotated[list[str], Option("Clip, track (.npz), camera:0 or puppets:ID/TAKE; repeatable.", repeat=True)]
    out: Annotated[Path, Option("A file; with several drivers a folder.")] = Path("reenacted.mp4")


@data_app.command(
    "reenact",
    "--shots portrait.jpg --drive talk.mp4 --model model.safetensors --consent consent.toml",
    rows=Rows("gioconda.reenact/1", "clips", ReenactedClip),
)
def reenact(
    scene: Scene, generator: PersonalGenerator, job: Reenact, results: OutputOptions, consent: Consent = None
) -> Result:
    """Make a face move as the driver moves. Every clip is labelled, marked and signed; a log keeps what was made."""
    generator.tuned(job.steps)
    from synth.reenact.reenact import reenact as run

    heads = generator.load_for(job.mode, job.steps, device())
    with Bar("reenacting", "steps") as bar:  # of tuning first, then frames
        session = Session(consent, force=results.force, say=notice, begin=bar.begin, advance=bar.count)
        made = run(scene.shots, scene.drive, scene.out, heads, job, session)
    lines = [
        f"{item.path}: {item.frames} frames, signed; {item.adapted.mode} motion, best match at the driver's frame "
        f"{item.adapted.reference} ({item.adapted.distance:.3f} inter-ocular)"
        for item in made
    ]
    clips = [ReenactedClip(m.path, m.preview, m.frames, m.adapted.as_dict(), m.filled, m.driver) for m in made]
    return Result(lines, clips)


@dataclass(frozen=True)
class Replayed:
    """What ``fakes --replay`` prints: whether a sample made again has the same pixels."""

    record: Path
    same: bool
    schema: str = "gioconda.replay/1"


@dataclass(frozen=True)
class SetFiles:
    """Where a set lies, how else it is written, and the record of a sample that is made again instead."""

    out: Annotated[Path, Option("The set's folder; run again, it resumes.")] = Path("fakes")
    export: Annotated[
        list[str] | None, Option("Also write as faceforensics, celeb-df or df40.", metavar="LAYOUT=DIR", repeat=True)
    ] = None
    replay: Annotated[
        Path | None,
        Option("Make one sample again and compare; by default from the footage its set names.", metavar="RECORD"),
    ] = None


@dataclass(frozen=True)
class Shared:
    """How the making of a set is spread over processes and machines."""

    part: Part
    engine: Annotated[str, Option("local (torchrun spreads it over GPUs), or ray.", choices=("local", "ray"))] = "local"


@data_app.command("fakes", "shards --model model.safetensors --shots 1,8 --crf 18,28 --consent consent.toml --out set")
def fakes(job: Fakes, generator: SharedGenerators, shared: Shared, made: SetFiles, consent: Consent = None) -> Result:
    """Make a labelled set: self- and cross-reenactments, real controls, masks, splits, records; every clip signed. Resumes."""
    generator.tuned(any(job.steps))
    exports = [_layout(item) for item in made.export or []]
    if made.replay is not None:
        from synth.fakes.sample import replay as again

        same, drawn = again(made.replay, job.sources, generator.load(device()))
        verdict = "the same pixels, bit for bit" if same else "NOT the same pixels"
        return Result(
            f"{made.replay}: {len(drawn)} frames, {verdict}", Replayed(made.replay, same), incomplete(not same)
        )
    from synth.fakes.make import make, on_ray

    with Bar("making", "clips") as bar:
        if shared.engine == "ray":
            given = generator.options(device())
            done = on_ray(job, made.out, generator.generator, given, consent=consent, workers=shared.part.jobs)
        else:
            rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
            session = Session(consent, say=notice, begin=bar.begin, advance=bar.count)
            done = make(job, made.out, generator.load(device()), session, replace(shared.part, rank=rank, world=world))
    if done.index is not None:
        _export(done.index, exports)
    busy = ", ".join(f"{name} {value:.1f} s" for name, value in done.stages.items())
    rate = done.made / max(done.seconds, 1e-9)
    lines = [
        f"{done.index or made.out}: {done.made} made, {done.there} there, of {done.planned}; {rate:.2f} clips/s; {busy}",
        *(f"failed: {n} × {why}" for why, n in done.failed.most_common()),
    ]
    return Result(lines, done, incomplete(done.failed))


@dataclass(frozen=True)
class Measuring:
    """What generated clips are measured with: detectors, and the network by which faces are compared."""

    detectors: Annotated[
        str, Option("Detectors whose AUC is measured: all that are ready, none, or names with commas.")
    ] = "all"
    embedding: Annotated[Path | None, Option("An ArcFace-type ONNX network for CSIM, instead of dlib's.")] = None

    def load(self) -> "tuple[Instruments, dict[str, str]]":
        """The instruments, and why those that are missing could not be loaded.

        ``all`` are the detectors that come with their weights, and those that plugins brought; a name that was asked for must load.
        """
        from synth.evaluation.evaluate import Instruments

        everyone, judges, missing = self.detectors == "all", {}, {}
        wanted = [name.strip() for name in self.detectors.split(",") if name.strip() not in ("", "none")]
        if everyone:
            shipped = {*registry.shipped()}
            wanted = sorted({*shipped, *registry.names()} - (registry.built_in() - shipped))
        for name in wanted:
            try:
                judges[name] = _judge(registry.load(name))
            except GiocondaError as error:
                if not everyone:
                    raise
                missing[f"auc/{name}"] = str(error)
        if self.embedding is None:
            return Instruments(judges), missing
        from synth.evaluation.measures import onnx_embedding

        return Instruments(judges, (self.embedding.stem, onnx_embedding(str(self.embedding)))), missing


def _judge(detector: Any) -> Callable[[Footage], float | str]:
    """A detector as a function of a footage, which gives a raw score, or why it abstains or fails."""
    from detect.reading.observe import readings

    def score(footage: Footage) -> float | str:
        ((reading, _),) = readings(footage, [detector], calibrated=False)
        return reading.score if reading.score is not None else str(reading.abstained)

    return score


@dataclass(frozen=True)
class People:
    """Whose faces are drawn, and who has agreed to it."""

    shards: Annotated[list[Path], argument("Shard folders of people the model has not seen.")]
    consent: Consent = None

    def granted(self) -> Granted:
        """The consent to evaluate on them."""
        from synth.training.shards import ShardSet

        seen = {file for folder in self.shards for file in ShardSet(folder).real_files()}
        return Session(self.consent).granted("evaluate", sorted(seen), bool(seen))


@data_app.command(
    "evaluate", "test-shards --model model.safetensors --people 50 --consent consent.toml --out evaluation"
)
def evaluate(
    people: People,
    generator: SizedGenerator,
    job: Evaluate,
    measuring: Measuring,
    results: OutputOptions,
    out: Annotated[Path, Option("Folder for evaluation.json and grid.jpg.")] = Path("evaluation"),
) -> Result:
    """Measure a generator by the paper's protocol: SSIM, CSIM, a perceptual distance, landmark and pose error, FID, KID and detectors' AUC, with n and intervals; a picture grid."""
    generator.tuned(job.steps)
    for name in ("evaluation.json", "grid.jpg"):
        refuse_overwrite(out / name, results.force)
    from synth.evaluation.evaluate import evaluate as run
    from synth.evaluation.evaluate import sign_grid, text

    granted = people.granted()
    instruments, missing = measuring.load()
    heads = generator.load(device())
    with Bar("evaluating", "steps") as bar:
        session = Session(say=notice, begin=bar.begin, advance=bar.count)
        found, picture = run(people.shards, heads, out, job, instruments, session)
    found = replace(found, absent={**found.absent, **missing})
    write_json(out / "evaluation.json", plain(found))
    sign_grid(picture, out / "grid.jpg", heads, granted, found.protocol["footage_sha256"], force=results.force)
    return Result(text(found), found)


def _layout(item: str) -> tuple[Any, Path]:
    """``LAYOUT=DIR`` → (what writes it, an empty folder), so that a wrong one is known before the set is made."""
    name, found, folder = item.partition("=")
    if not found or not folder:
        raise UsageError("is not LAYOUT=DIR", where=f"--export {item}")
    fresh_folder(Path(folder))
    return layout_writer(name), Path(folder)


def _export(index: Path, wanted: list[tuple[Any, Path]]) -> None:
    """Write the finished set in other people's layouts."""
    from gioconda_core.datasets.index import Index

    for writer, folder in wanted:
        loaded = Index.read(index)
        count = writer.export([(sample, loaded.resolve(sample)) for sample in loaded], folder)
        notice(f"{folder}: {counted(count, 'file')}")
