"""``gioconda synth``: train the few-shot generator, tune it to a person, export what was tuned; consent, and the log of what was made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import (
    Bar,
    Force,
    JsonOption,
    Result,
    Threads,
    device,
    emit,
    incomplete,
    keep_threads,
    notice,
    progress,
)
from gioconda.cli.synth_data import data_app
from gioconda_core.errors import ExitCode, UsageError
from gioconda_core.files import refuse_overwrite, sha256_of
from gioconda_core.options import Option, argument, not_empty
from gioconda_core.words import counted
from synth import consent as consents
from synth.consent import SCOPES
from synth.options import Consent
from synth.person.options import Tune
from synth.session import Session
from synth.training.options import Options

app = Commands("synth", "prepare footage --out shards")
app.add_typer(data_app)
consent_app = Commands("synth consent", "log")
app.add(consent_app, "Consent files, and the log of what was made.")


@app.command("train", "shards/ --preset half --out run --content vgg")
def train(
    job: Options,
    out: Annotated[Path, Option("The run's folder; a run already in it is resumed.")] = Path("run"),
    limit_steps: Annotated[int | None, Option("Stop, with a checkpoint, after this many steps now.", minimum=1)] = None,
    threads: Threads = None,
    dry_run: Annotated[bool, Option("Show the networks block by block and stop.")] = False,
) -> int:
    """Train the generator on many people (meta-learning). Interrupted or killed, it resumes when run again; torchrun spreads it over processes."""
    if dry_run:
        from synth.model.describe import describe

        emit(describe(job.preset))
        return int(ExitCode.DONE)
    if not job.shards:
        raise UsageError("no shards to train on", hint="gioconda synth train SHARDS…")
    from synth.training.train import train as run

    keep_threads(threads)
    with Bar("training", "steps") as bar:
        session = Session(say=notice, begin=bar.begin, advance=bar.count)
        result = run(job, out, device=device(), limit_steps=limit_steps, session=session)
    emit(f"{result.model}: step {result.step}")
    return int(ExitCode.INTERRUPTED if result.interrupted else ExitCode.DONE)


@dataclass(frozen=True)
class PersonShots:
    """Whose pictures a model is tuned to."""

    model: Annotated[Path, argument("A meta-learned model: RUN/model.safetensors.")]
    shots: Annotated[list[str], argument("Pictures or clips of one person, or puppets:IDENTITY/MOTION.")]
    limit: Annotated[int, Option("T: shots used at most.", minimum=1)] = 32
    face: Annotated[int | None, Option("Which face, the largest first, where there are several.", minimum=0)] = None


@app.command("tune", "run/model.safetensors mona-lisa.jpg --out lisa.safetensors")
def tune(
    person: PersonShots,
    job: Tune,
    out: Annotated[Path, Option("The personal model.")] = Path("person.safetensors"),
    consent: Consent = None,
    threads: Threads = None,
    force: Force = False,
) -> None:
    """Tune the model to one person, from one shot or many."""
    refuse_overwrite(out, force)
    from synth.model.networks import load_checkpoint
    from synth.person.tune import budget
    from synth.person.tune import tune as run
    from synth.reenact.shots import load_shots

    loaded = load_checkpoint(person.model)
    keep_threads(threads)
    found = load_shots(person.shots, loaded.config.size, face=person.face, most=person.limit)
    sources = [item.sha256 for item in found.ingredients]
    granted = Session(consent).granted("tune", sources, found.real)
    total = 0 if job.mode == "ff" else job.steps or budget(len(found.frames))
    with progress("tuning", total, "steps") as advance:
        most = person.limit
        personal = run(loaded, found.frames[:most], found.landmarks[:most], job, device=device(), advance=advance)
    personal.facts = {**personal.facts, "consent": granted.id}
    personal.save(out, force=force)
    facts = personal.facts
    granted.log("tune", "gioconda-few-shot", [str(personal.sha256)], sources)
    emit(f"{out}: {facts['shots']} shots, mode {facts['mode']}, {facts['steps']} steps, sha256 {personal.sha256}")
    if job.mode == "ff":
        notice("nothing was tuned: drawn feed-forward, which is not for single clips")


@app.command("export", "lisa.safetensors --out lisa.onnx")
def export_(
    personal: Annotated[Path, argument("A personal model, from `gioconda synth tune`.")],
    out: Annotated[Path, Option(".onnx, or .xml for OpenVINO.")],
    kind: Annotated[
        str, Option("onnx, openvino or onnx-int8.", flag="--format", choices=("onnx", "openvino", "onnx-int8"))
    ] = "onnx",
    force: Force = False,
) -> None:
    """Write a personal model for another runtime, after checking that it draws the same picture."""
    from synth.person.export import export as run
    from synth.person.model import PersonalModel

    error = run(PersonalModel.load(personal), out, kind, force=force)
    emit(f"{out}: {kind}, pictures differ by {error:.3f} of 255 on average from the original's")


@consent_app.command("new", 'lisa.toml --who "Lisa G." --scope reenact --licence CC-BY-4.0 --source lisa.jpg')
def consent_new(
    file: Annotated[Path, argument("The file to write.")],
    who: Annotated[str, Option("Whose face.", valid=not_empty)],
    scope: Annotated[
        list[str], Option("reenact, fakes, evaluate, tune or any; repeatable.", choices=SCOPES, repeat=True)
    ],
    licence: Annotated[str, Option("Under which the result may be used.", valid=not_empty)],
    source: Annotated[list[Path] | None, Option("Only these source files; repeatable.", repeat=True)] = None,
    force: Force = False,
) -> None:
    """Write a consent file for one person, with the hashes of the files it is for."""
    refuse_overwrite(file, force)
    consents.template(file, who, scope, licence, [str(s) for s in source or []])
    emit(f"{file}: consent {consents.read(file).id}")


@consent_app.command("check", "lisa.toml --task reenact --source lisa.jpg")
def consent_check(
    file: Annotated[str, argument("A consent file, embedded or public-domain.")],
    task: Annotated[
        str, Option("reenact, fakes, evaluate or tune.", choices=tuple(s for s in SCOPES if s != "any"))
    ] = "reenact",
    source: Annotated[list[Path] | None, Option("Files it must cover; repeatable.", repeat=True)] = None,
) -> None:
    """Say what a consent file allows today, for a task and files."""
    found = consents.require(file, task, [sha256_of(s) for s in source or []])
    people = "; ".join(f"{p.who}: {', '.join(p.scope)}, {p.licence}" for p in found.people) or found.licence
    emit(f"{file} allows {task}: {people}\nid {found.id}")


@consent_app.command("log", "--json", prints=JsonOption)
def consent_log() -> Result:
    """Show what was made on this account, and whether rows of the log were changed or removed. Exit 4 if so."""
    log = consents.check_log()
    lines = []
    for number, row in enumerate(log.rows):
        flag = "  <- does not follow the row before it" if number in log.broken else ""
        made = f"{len(row.outputs)} files, consent {row.consent[:16]}"
        lines.append(f"{row.time} {row.task} by {row.generator}: {made}{flag}")
    lines.append(f"{counted(len(log.rows), 'row')}, {len(log.broken)} that do not follow the one before")
    return Result(lines, log, incomplete(log.broken))
