"""``gioconda synth`` prepare, reenact, fakes, evaluate, consent: from footage to labelled, signed clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import (
    Force,
    JsonFlag,
    Output,
    deliver,
    device,
    notice,
    parse_outputs,
    progress,
    settings,
)
from gioconda.cli.synth_consent import consent_app

__all__ = ["register"]


Generator = Annotated[str, typer.Option("--generator", help="few-shot, warp, copy or a plugin's name.")]
ModelFile = Annotated[Path | None, typer.Option("--model", help="A trained model (few-shot): .safetensors.")]
ConsentFile = Annotated[
    str | None,
    typer.Option("--consent", metavar="FILE", help="Consent file, or the word embedded or public-domain."),
]


_UNTRAINED = ("warp", "copy")


def _heads(generator: str, model: Path | None, size: int | None = None):  # type: ignore[no-untyped-def]
    from gioconda_core.errors import UsageError
    from synth.generators import generator as load

    if generator in _UNTRAINED:
        if model is not None:
            raise UsageError(f"{generator} has no model", where="--model", hint="leave it out, or --generator few-shot")
        return load(generator, size=size or 256)
    if size is not None:
        raise UsageError("only warp and copy are given a size", where="--size", hint="a model has its own")
    return load(generator, model=model, device=device())


def _tunable(generator: str, steps: object) -> None:
    from gioconda_core.errors import UsageError

    if generator in _UNTRAINED and steps not in (None, "0"):
        raise UsageError(f"{generator} is not tuned", where="--steps", hint="leave it out, or --generator few-shot")


def prepare(
    sources: Annotated[list[str], typer.Argument(help="Folders, .csv lists, or puppets:N for puppets.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of shards.")],
    layout: Annotated[
        str, typer.Option(help="folder, voxceleb1, voxceleb2, hdtf, celebv-hq or talkinghead-1kh.")
    ] = "folder",
    where: Annotated[str, typer.Option(help="Rows of a list to take: kind=real,view=face crop.")] = "",
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the crops, pixels.")] = 256,
    every: Annotated[float, typer.Option(min=0, help="Seconds between frames kept; 0 = every frame.")] = 0.0,
    min_face: Annotated[int, typer.Option(min=1, help="Smallest face, pixels of its square.")] = 64,
    min_frames: Annotated[int, typer.Option(min=1, help="Fewest frames a clip must give.")] = 8,
    max_frames: Annotated[int, typer.Option(min=1, help="Most frames kept of a clip.")] = 400,
    landmarks: Annotated[
        Path | None, typer.Option(help="Folder of saved tracks (.npz), to find nothing twice.")
    ] = None,
    landmarker: Annotated[str, typer.Option(help="auto, dlib, face-alignment or a plugin's.")] = "auto",
    puppet_frames: Annotated[int, typer.Option(min=1, help="Frames drawn of each puppet's take.")] = 48,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray (RAY_ADDRESS for a cluster).")] = "local",
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> None:
    """Footage to shards: tracks, steady crops, landmarks; a row for each clip in OUT/clips.jsonl. Run again, it resumes.

    Example: gioconda synth prepare ~/VoxCeleb2 --layout voxceleb2 --out shards --jobs 8
    """
    from dataclasses import asdict
    from json import dumps

    from gioconda_core.errors import UsageError
    from gioconda_core.faces.landmarks import known as known_landmarker
    from synth.fakes.prepare import Dropped, Prepare
    from synth.fakes.prepare import prepare as run

    wanted = parse_outputs(output, json, ("text", "json"), force)
    known_landmarker(landmarker)
    if landmarks is not None and not landmarks.is_dir():
        raise UsageError(
            "no such folder", where=f"--landmarks {landmarks}", hint="saved tracks, such as reenact --save-tracks keeps"
        )
    job = Prepare(
        sources=tuple(sources), layout=layout, where=where, size=size, every=every, min_face=min_face,
        min_frames=min_frames, max_frames=max_frames, landmarker=landmarker, landmarks=str(landmarks or ""),
        puppet_frames=puppet_frames,
    )  # fmt: skip
    with _Bar("preparing", "clips") as bar:
        done = run(job, out, jobs=jobs, engine=engine, begin=bar.begin, advance=bar.advance)
    dropped = "; ".join(f"{n} × {why.sentence(job)}" for why, n in done.dropped.most_common()) or "none"
    text = (
        f"{out}: {done.kept} of {done.clips} clips, {done.frames} frames, {done.identities} identities; "
        f"{done.frames_per_second:.1f} frames/s\ndropped: {dropped}"
    )
    _write(
        wanted,
        text,
        dumps(
            {
                "schema": "gioconda.prepare/1",
                **asdict(done),
                "dropped": {str(why): n for why, n in done.dropped.items()},
            }
        ),
    )
    if Dropped.UNREADABLE in done.dropped or Dropped.FAILED in done.dropped:
        raise typer.Exit(4)


def _write(wanted: list[tuple[str, str | None]], text: str, document: str) -> None:
    for kind, file in wanted:
        deliver(document if kind == "json" else text, file)


def reenact(
    shots: Annotated[
        list[str], typer.Option("--shots", help="Photograph, painting, clip or puppets:ID/TAKE; repeatable.")
    ],
    drive: Annotated[
        list[str], typer.Option("--drive", help="Clip, track (.npz), camera:0 or puppets:ID/TAKE; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A file; with several drivers a folder.")] = Path("reenacted.mp4"),
    generator: Generator = "few-shot",
    model: Annotated[
        Path | None, typer.Option("--model", help="A trained model, or a personal one from synth tune: .safetensors.")
    ] = None,
    consent: ConsentFile = None,
    mode: Annotated[str, typer.Option(help="ft = tune on the shots; ff = the model as it stands.")] = "ft",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Iterations of tuning; default by the number of shots.")
    ] = None,
    adapt: Annotated[str, typer.Option(help="relative, procrustes or absolute.")] = "relative",
    smoothing: Annotated[float, typer.Option(min=0, help="Of the motion, seconds; 0 = none.")] = 0.04,
    max_gap: Annotated[float, typer.Option(min=0, help="Longest absence of the driver's face, seconds.")] = 0.5,
    face: Annotated[int | None, typer.Option(min=0, help="Which face of the shots, the largest first.")] = None,
    driver_face: Annotated[int | None, typer.Option(min=0, help="Which face of the driver, the largest first.")] = None,
    max_shots: Annotated[int, typer.Option(min=1, help="Frames taken of a clip of shots.")] = 32,
    frame: Annotated[str, typer.Option(help="source = paste back into the picture; crop = the crop alone.")] = "source",
    side: Annotated[
        int, typer.Option(min=0, help="Long side of the output, pixels; 0 = as the source, at most 1280.")
    ] = 0,
    start: Annotated[float, typer.Option(min=0, help="Where the driver begins, seconds.")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How much of the driver.")] = 20.0,
    crf: Annotated[int, typer.Option(min=0, max=51, help="H.264 quality, 0 best … 51.")] = 18,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Shot, driver and result in one picture.")
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Also a signed strip of pictures.")] = False,
    save_tracks: Annotated[bool, typer.Option("--save-tracks", help="Keep the drivers' landmarks as .npz.")] = False,
    label: Annotated[
        bool, typer.Option("--label/--no-label", help="The visible label (--no-label needs --consent).")
    ] = True,
    mark: Annotated[bool, typer.Option("--mark/--no-mark", help="The invisible mark.")] = True,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Keep the driver's sound.")] = True,
    landmarker: Annotated[str, typer.Option(help="auto, dlib, face-alignment or a plugin's.")] = "auto",
    force: Force = False,
    output: Output = None,
    json: JsonFlag = False,
) -> None:
    """Make a face move as the driver moves. Every clip is labelled, marked and signed; a log keeps what was made.

    Example: gioconda synth reenact --shots portrait.jpg --drive talk.mp4 --model model.safetensors --consent consent.toml
    """
    from json import dumps

    from gioconda_core.errors import UsageError
    from gioconda_core.faces.landmarks import known as known_landmarker
    from synth.person.model import PersonalModel
    from synth.reenact.reenact import Reenact, TunedGenerator
    from synth.reenact.reenact import reenact as run

    wanted = parse_outputs(output, json, ("text", "json"), force)
    if generator == "few-shot" and model is not None and PersonalModel.at(model):
        if steps is not None or mode != "ft":
            raise UsageError("a personal model is tuned already", where=str(model), hint="leave out --steps and --mode")
        heads = TunedGenerator(model, device())
    else:
        heads = _heads(generator, model)
    known_landmarker(landmarker)
    job = Reenact(
        mode=mode, steps=steps, adapt=adapt, smoothing=smoothing, max_gap=max_gap, face=face, driver_face=driver_face,
        most_shots=max_shots, frame=frame, side=side, side_by_side=side_by_side, label=label, mark=mark, audio=audio,
        start=start, seconds=seconds, crf=crf, seed=settings.seed, landmarker=landmarker,
    )  # fmt: skip
    _tunable(generator, steps)
    with progress("reenacting", 1 + 2 * len(drive), "steps") as advance:
        made = run(
            shots, drive, out, heads, job, consent=consent, preview=preview, save_tracks=save_tracks,
            force=force, say=notice, advance=advance,
        )  # fmt: skip
    rows = [
        {
            "path": str(item.path),
            "preview": str(item.preview) if item.preview else None,
            "frames": item.frames,
            "adaptation": item.adapted.as_dict(),
            "filled": item.filled,
            "driver": item.driver,
        }
        for item in made
    ]
    text = "\n".join(
        f"{item.path}: {item.frames} frames, signed; {item.adapted.mode} motion, best match at the driver's frame "
        f"{item.adapted.reference} ({item.adapted.distance:.3f} inter-ocular)"
        for item in made
    )
    _write(wanted, text, dumps({"schema": "gioconda.reenact/1", "clips": rows}))


def _numbers(text: str, what: str) -> tuple[int, ...]:
    from gioconda_core.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"not a list of whole numbers: {text!r}", where=what, hint="for example 1,8,32") from error


def fakes(
    sources: Annotated[list[str] | None, typer.Argument(help="Shard folders, folders of clips, or puppets:N.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The set's folder; run again, it resumes.")] = Path("fakes"),
    generator: Generator = "few-shot",
    model: ModelFile = None,
    size: Annotated[
        int | None, typer.Option(min=16, max=1024, help="Side of the crops (warp and copy; a model has its own).")
    ] = None,
    consent: ConsentFile = None,
    kinds: Annotated[str, typer.Option(help="Of self, cross, control.")] = "self,cross,control",
    shots: Annotated[str, typer.Option(help="T, shots a person: a list is a grid.")] = "1,8",
    modes: Annotated[str, typer.Option(help="ft (tuned), ff (as the model stands).")] = "ft",
    steps: Annotated[str, typer.Option(help="Iterations of tuning; 0 = the generator's own.")] = "0",
    crf: Annotated[str, typer.Option(help="H.264 quality.")] = "18",
    regions: Annotated[str, typer.Option(help="whole, or face (laid over the real frame; self only).")] = "whole",
    frames: Annotated[int, typer.Option(min=1, help="Most frames in a clip.")] = 32,
    min_frames: Annotated[int, typer.Option(min=1, help="Fewest frames in a clip.")] = 8,
    people: Annotated[int, typer.Option(min=0, help="Most people; 0 = all.")] = 0,
    drivers: Annotated[int, typer.Option(min=1, help="People who drive each person in cross.")] = 1,
    adapt: Annotated[str, typer.Option(help="relative, procrustes or absolute.")] = "procrustes",
    split: Annotated[str, typer.Option(help="Shares of people.")] = "train=0.6,val=0.2,test=0.2",
    layout: Annotated[str, typer.Option(help="Of folders of clips, as in synth prepare.")] = "folder",
    where: Annotated[str, typer.Option(help="Rows of a list to take.")] = "",
    mark: Annotated[bool, typer.Option("--mark", help="The invisible mark, on fakes and controls alike.")] = False,
    export: Annotated[
        list[str] | None, typer.Option(metavar="LAYOUT=DIR", help="Also write as faceforensics, celeb-df or df40.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="RECORD", help="Make one sample again and compare; by default from the footage its set names."
        ),
    ] = None,
    writers: Annotated[
        int | None, typer.Option(min=1, help="Threads that encode and sign; default one a core, two at least.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that prepare footage; with ray, workers.")] = 1,
    engine: Annotated[str, typer.Option(help="local (torchrun spreads it over GPUs), or ray.")] = "local",
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> None:
    """A labelled set: self- and cross-reenactments, real controls, masks, splits, records; every clip signed. Resumes.

    Example: gioconda synth fakes shards --model model.safetensors --shots 1,8 --crf 18,28 --consent consent.toml --out set
    """
    import os
    from dataclasses import asdict
    from json import dumps

    from gioconda_core.errors import UsageError
    from synth.fakes.make import Fakes, make
    from synth.fakes.sample import replay as again

    wanted = parse_outputs(output, json, ("text", "json"), force)
    exports = [_layout(item) for item in export or []]
    heads = _heads(generator, model, size)
    if replay is not None:
        same, drawn = again(replay, sources or [], heads)
        text = f"{replay}: {len(drawn)} frames, {'the same pixels, bit for bit' if same else 'NOT the same pixels'}"
        _write(wanted, text, dumps({"schema": "gioconda.replay/1", "record": str(replay), "same": same}))
        if not same:
            raise typer.Exit(4)
        return
    try:
        shares = {name: float(value) for name, value in (part.split("=") for part in split.split(","))}
    except ValueError as error:
        raise UsageError(f"not shares: {split!r}", where="--split", hint="train=0.6,val=0.2,test=0.2") from error
    job = Fakes(
        sources=tuple(sources or ()), layout=layout, where=where, kinds=tuple(kinds.split(",")),
        shots=_numbers(shots, "--shots"), modes=tuple(modes.split(",")), steps=_numbers(steps, "--steps"),
        crf=_numbers(crf, "--crf"), regions=tuple(regions.split(",")), frames=frames, min_frames=min_frames,
        people=people, drivers=drivers, adapt=adapt, splits=shares, seed=settings.seed, mark=mark,
    )  # fmt: skip
    _tunable(generator, steps)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    bar = _Bar("making", "clips")
    with bar:
        if engine == "ray":
            from synth.fakes.make import on_ray

            options = {"model": str(model) if model else None, "size": size, "device": device()}
            done = on_ray(job, out, generator, options, consent=consent, workers=jobs)
        elif engine == "local":
            done = make(
                job, out, heads, consent=consent, jobs=jobs, writers=writers, rank=rank, world=world, say=notice,
                begin=bar.begin, advance=bar.advance,
            )  # fmt: skip
        else:
            raise UsageError(f"unknown engine {engine!r}", where="--engine", hint="local or ray")
    if done.index is not None:
        _export(done.index, exports)
    busy = ", ".join(f"{name} {value:.1f} s" for name, value in done.stages.items())
    rate = done.made / max(done.seconds, 1e-9)
    text = (
        f"{done.index or out}: {done.made} made, {done.there} there, of {done.planned}; {rate:.2f} clips/s; {busy}"
        + "".join(f"\nfailed: {n} × {why}" for why, n in done.failed.most_common())
    )
    document = {**asdict(done), "index": str(done.index) if done.index else None, "failed": dict(done.failed)}
    _write(wanted, text, dumps({"schema": "gioconda.fakes/1", **document}))
    if done.failed:
        raise typer.Exit(4)


def evaluate(
    shards: Annotated[list[Path], typer.Argument(help="Shard folders of people the model has not seen.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for evaluation.json and grid.jpg.")] = Path("evaluation"),
    generator: Generator = "few-shot",
    model: ModelFile = None,
    size: Annotated[int | None, typer.Option(min=16, max=1024, help="Side of the crops (warp and copy).")] = None,
    shots: Annotated[str, typer.Option(help="T.")] = "1,8,32",
    modes: Annotated[str, typer.Option(help="ff, ft.")] = "ff,ft",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Iterations of tuning; default by the number of shots.")
    ] = None,
    people: Annotated[int, typer.Option(min=0, help="Most people; 0 = all.")] = 50,
    frames: Annotated[int, typer.Option(min=1, help="Frames held out of each take.")] = 32,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Also measure warp and copy.")] = True,
    detectors: Annotated[
        str, typer.Option(help="Detectors whose AUC is measured: all that are ready, none, or names with commas.")
    ] = "all",
    list_: Annotated[Path | None, typer.Option("--list", help="A test list (VoxCeleb's, or names of people).")] = None,
    embedding: Annotated[
        Path | None, typer.Option(help="An ArcFace-type ONNX network for CSIM, instead of dlib's.")
    ] = None,
    landmarker: Annotated[str, typer.Option(help="auto, dlib, face-alignment or a plugin's.")] = "auto",
    consent: ConsentFile = None,
    force: Force = False,
    output: Output = None,
    json: JsonFlag = False,
) -> None:
    """The paper's protocol: SSIM, CSIM, landmark and pose error, FID, KID and detectors' AUC, with n and intervals; a picture grid.

    Example: gioconda synth evaluate test-shards --model model.safetensors --people 50 --consent consent.toml --out evaluation
    """
    from dataclasses import replace
    from json import dumps

    from gioconda_core.files import refuse_overwrite, write_json
    from synth import consent as consents
    from synth.evaluation.evaluate import evaluate as run
    from synth.evaluation.evaluate import sign_grid, text
    from synth.training.shards import ShardSet

    wanted = parse_outputs(output, json, ("text", "json"), force)
    _tunable(generator, steps)
    for name in ("evaluation.json", "grid.jpg"):
        refuse_overwrite(out / name, force)
    seen = {file for folder in shards for file in ShardSet(folder).real_files()}
    granted = consents.require(consent if consent is not None or seen else "embedded", "evaluate", sorted(seen))
    judges, missing = _judges(detectors)
    own = None
    if embedding is not None:
        from synth.evaluation.measures import onnx_embedding

        own = (embedding.stem, onnx_embedding(str(embedding)))
    heads = _heads(generator, model, size)
    with _Bar("evaluating", "steps") as bar:
        found, picture = run(
            shards, heads, out, shots=_numbers(shots, "--shots"), modes=tuple(modes.split(",")), steps=steps,
            people=people, frames=frames, baselines=baselines, detectors=judges, listed=list_,
            landmarker=landmarker, embedding=own, seed=settings.seed, begin=bar.begin, advance=bar.advance,
        )  # fmt: skip
    found = replace(found, absent={**found.absent, **missing})
    write_json(out / "evaluation.json", found.as_dict())
    sign_grid(picture, out / "grid.jpg", heads, granted, found.protocol["footage_sha256"], force=force)
    _write(wanted, text(found), dumps(found.as_dict()))


def _judges(names: str):  # type: ignore[no-untyped-def]
    """Detectors as functions of a footage (a raw score, or why they abstain or fail), and why others could not be loaded.

    ``all`` are those that come with their weights, and those that plugins brought; a name that was asked for must load.
    """
    from detect import registry
    from detect.reading.observe import readings
    from gioconda_core.errors import GiocondaError

    def judge(detector):  # type: ignore[no-untyped-def]
        def score(footage):  # type: ignore[no-untyped-def]
            ((reading, _),) = readings(footage, [detector], calibrated=False)
            return reading.score if reading.score is not None else str(reading.abstained)

        return score

    if names != "all":
        chosen = [] if names in ("", "none") else names.split(",")
        return {name: judge(registry.load(name)) for name in chosen}, {}
    judges, missing = {}, {}
    for name in sorted({*registry.shipped(), *registry.names()} - ({*registry.BUILT_IN} - {*registry.shipped()})):
        try:
            judges[name] = judge(registry.load(name))
        except GiocondaError as error:
            missing[f"auc/{name}"] = str(error)
    return judges, missing


def _layout(item: str):  # type: ignore[no-untyped-def]
    """``LAYOUT=DIR`` → (what writes it, an empty folder), so that a wrong one is known before the set is made."""
    from gioconda.cli.data import fresh_folder, layout_writer
    from gioconda_core.errors import UsageError

    name, found, folder = item.partition("=")
    if not found or not folder:
        raise UsageError("is not LAYOUT=DIR", where=f"--export {item}")
    fresh_folder(Path(folder))
    return layout_writer(name), Path(folder)


def _export(index: Path, wanted) -> None:  # type: ignore[no-untyped-def]
    """Write the finished set in other people's layouts."""
    from gioconda_core.datasets.index import Index

    for writer, folder in wanted:
        loaded = Index.read(index)
        count = writer.export([(sample, loaded.resolve(sample)) for sample in loaded], folder)
        notice(f"{folder}: {count} files")


class _Bar:
    """A progress bar that starts once the number of things to do is known."""

    def __init__(self, description: str, unit: str) -> None:
        self.description, self.unit = description, unit
        self._context = self._advance = None

    def __enter__(self) -> _Bar:
        return self

    def begin(self, total: int) -> None:
        """Start, with so many things to do."""
        self._context = progress(self.description, total, self.unit)
        self._advance = self._context.__enter__()

    def advance(self, n: float = 1, note: str = "") -> None:
        """So many more are done."""
        if self._advance is not None:
            self._advance(n, note)

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)


def register(app: typer.Typer) -> None:
    """Add these commands to the ``synth`` group."""
    for command in (prepare, reenact, fakes, evaluate):
        app.command()(command)
    app.add_typer(consent_app, name="consent")
