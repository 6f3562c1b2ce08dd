"""``gioconda synth``: train the few-shot generator, tune it to a person, export what was tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import Force, device, emit, notice, progress, settings
from gioconda.cli.synth_data import ConsentFile

app = typer.Typer(
    no_args_is_help=True,
    help="Few-shot talking heads: prepare, train, tune, reenact, fakes, evaluate.",
    epilog="Example: gioconda synth prepare footage --out shards",
)


@app.command()
def train(
    shards: Annotated[list[Path] | None, typer.Argument(help="Shard folders, from `gioconda synth prepare`.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The run's folder; a run already in it is resumed.")] = Path("run"),
    preset: Annotated[str, typer.Option(help="paper, half (256 px), sketch (128 px), pocket (64 px).")] = "paper",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the whole run.")] = 100_000,
    limit_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop, with a checkpoint, after this many steps now.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Episodes a step, over all processes.")] = 4,
    accumulate: Annotated[int, typer.Option(min=1, help="Compute the batch in this many parts.")] = 1,
    shots: Annotated[int, typer.Option(min=1, help="K: frames embedded an episode.")] = 8,
    vary_shots: Annotated[bool, typer.Option("--vary-shots", help="Draw K from 1, 2, 4 … each step.")] = False,
    augment: Annotated[bool, typer.Option("--augment", help="Mirror, shift, scale and recolour episodes.")] = False,
    weight: Annotated[list[float] | None, typer.Option(help="Share of episodes from each folder, in order.")] = None,
    variant: Annotated[str, typer.Option(help="ft (for tuning) or ff (feed-forward only).")] = "ft",
    match_from: Annotated[
        int | None, typer.Option(min=0, help="Step at which the match term joins; default: after 150 epochs.")
    ] = None,
    losses: Annotated[str, typer.Option(help="Loss weights: v2 or v1.")] = "v2",
    content: Annotated[
        str, typer.Option(help="Content loss: auto, vgg, squeezenet, multiscale, random-vgg or none.")
    ] = "auto",
    content_file: Annotated[
        list[str] | None, typer.Option(metavar="NET=FILE", help="Weights of a content net, instead of the store's.")
    ] = None,
    lr: Annotated[float, typer.Option(min=0, help="Learning rate of embedder and generator.")] = 5e-5,
    lr_discriminator: Annotated[float, typer.Option(min=0, help="Learning rate of the discriminator and W.")] = 2e-4,
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32.")] = "auto",
    compile_: Annotated[bool, typer.Option("--compile", help="torch.compile the networks.")] = False,
    init: Annotated[
        Path | None, typer.Option(help="Start from this model, of the same width or narrower, of any picture size.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 1000,
    sample_every: Annotated[int, typer.Option(min=1, help="Steps between contact sheets.")] = 1000,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: what is free.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the networks block by block and stop.")] = False,
) -> None:
    """Meta-learn the generator. Interrupted or killed, it resumes when run again; torchrun spreads it over processes.

    Example: gioconda synth train shards/ --preset half --out run --content vgg
    """
    if dry_run:
        from synth.model.describe import describe

        emit(describe(preset))
        return
    import torch

    from gioconda.cli.common import thread_budget
    from gioconda_core.errors import ExitCode, UsageError
    from synth.training.train import Options
    from synth.training.train import train as run

    if variant == "ff" and match_from is not None:
        raise UsageError("only the variant ft has a match term", where="--match-from", hint="leave it out")
    files = {}
    for item in content_file or []:
        name, found, file = item.partition("=")
        if not found:
            raise UsageError("is not NET=FILE", where=f"--content-file {item}")
        files[name] = file
    if not shards:
        raise UsageError("no shards to train on", hint="gioconda synth train SHARDS…")
    options = Options(
        shards=tuple(map(str, shards)), preset=preset, steps=steps, batch=batch, accumulate=accumulate, shots=shots,
        vary_shots=vary_shots, augment=augment, weights=tuple(weight) if weight else None, variant=variant, match_from=match_from,
        losses=losses,
        content=content, content_files=files, lr=lr, lr_discriminator=lr_discriminator, precision=precision,
        compile=compile_, init=str(init) if init else None, seed=settings.seed, checkpoint_every=checkpoint_every,
        sample_every=sample_every,
    )  # fmt: skip
    torch.set_num_threads(threads or thread_budget())
    with progress("training", steps, "steps") as advance:
        result = run(options, out, device=device(), limit_steps=limit_steps, advance=advance, say=notice)
    emit(f"{result.model}: step {result.step}")
    if result.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


@app.command()
def tune(
    model: Annotated[Path, typer.Argument(help="A meta-learned model: RUN/model.safetensors.")],
    shots: Annotated[list[str], typer.Argument(help="Pictures or clips of one person, or puppets:IDENTITY/MOTION.")],
    out: Annotated[Path, typer.Option("--out", help="The personal model.")] = Path("person.safetensors"),
    mode: Annotated[str, typer.Option(help="ff, psi, last or full.")] = "full",
    limit: Annotated[int, typer.Option("--limit", min=1, help="T: shots used at most.")] = 32,
    face: Annotated[
        int | None, typer.Option(min=0, help="Which face, the largest first, where there are several.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Iterations at most; default by the number of shots.")
    ] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Learning rate; default: the model's own.")] = None,
    content: Annotated[
        str, typer.Option(help="Content loss: auto, vgg, squeezenet, multiscale, random-vgg or none.")
    ] = "auto",
    views: Annotated[
        bool,
        typer.Option(
            help="Learn from bent views of the shots too, the fewer shots the more; --no-views for the paper's way."
        ),
    ] = True,
    consent: ConsentFile = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: what is free.")] = None,
    force: Force = False,
) -> None:
    """Tune the model to one person, from one shot or many.

    Example: gioconda synth tune run/model.safetensors mona-lisa.jpg --out lisa.safetensors
    """
    import torch

    from gioconda.cli.common import thread_budget
    from gioconda_core.errors import UsageError
    from gioconda_core.files import refuse_overwrite
    from synth import consent as consents
    from synth.model.networks import load_checkpoint
    from synth.person.tune import budget
    from synth.person.tune import tune as run
    from synth.reenact.shots import load_shots

    if mode == "ff" and (steps, lr) != (None, None):
        raise UsageError("mode ff is not tuned", where="--mode", hint="leave out --steps and --lr")
    refuse_overwrite(out, force)
    loaded = load_checkpoint(model)
    torch.set_num_threads(threads or thread_budget())
    found = load_shots(shots, loaded.config.size, face=face, most=limit)
    sources = [item.sha256 for item in found.ingredients]
    granted = consents.require(
        consent if consent is not None or found.real else "embedded", "tune", sources if found.real else []
    )
    total = 0 if mode == "ff" else steps or budget(len(found.frames))
    with progress("tuning", total, "steps") as advance:
        personal = run(
            loaded, found.frames[:limit], found.landmarks[:limit], mode=mode, steps=steps, lr=lr, content=content, views=views,
            seed=settings.seed, device=device(), advance=advance,
        )  # fmt: skip
    personal.facts = {**personal.facts, "consent": granted.id}
    personal.save(out, force=force)
    facts = personal.facts
    consents.log(
        "tune", sources=sources, drivers=[], consent=granted.id, outputs=[str(personal.sha256)], generator="gioconda-few-shot"
    )  # fmt: skip
    emit(f"{out}: {facts['shots']} shots, mode {facts['mode']}, {facts['steps']} steps, sha256 {personal.sha256}")


@app.command("export")
def export_(
    personal: Annotated[Path, typer.Argument(help="A personal model, from `gioconda synth tune`.")],
    out: Annotated[Path, typer.Option("--out", help=".onnx, or .xml for OpenVINO.")],
    kind: Annotated[str, typer.Option("--format", help="onnx, openvino or onnx-int8.")] = "onnx",
    force: Force = False,
) -> None:
    """Write a personal model for another runtime, after checking that it draws the same picture.

    Example: gioconda synth export lisa.safetensors --out lisa.onnx
    """
    from synth.person.export import export as run
    from synth.person.model import PersonalModel

    error = run(PersonalModel.load(personal), out, kind, force=force)
    emit(f"{out}: {kind}, pictures differ by {error:.3f} of 255 on average from the original's")
