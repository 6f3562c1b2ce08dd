"""``gioconda detect``: the detectors there are, what each was trained on, training, calibration, and scores of clips."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from detect import registry
from detect.base import Card
from detect.training.options import FEATURES, QUALITIES, CnnTraining, FeatureTraining, NetworkTraining, VitLnTraining
from gioconda.cli.build import Commands, Rows
from gioconda.cli.common import Force, OutputOptions, Result, Seconds, emit, incomplete, notice, progress, write
from gioconda.report.options import names_of
from gioconda.report.wording import say
from gioconda_core.documents import to_json
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, argument
from gioconda_core.types import Sentence

if TYPE_CHECKING:
    from detect.reading.calibration import Calibration, Stratum
    from detect.reading.score import Labelled, Row

app = Commands("detect", "score clip.mp4")


@dataclass(frozen=True)
class ListedDetector:
    """A detector there is. shipped : with weights in the package. built_in : ours, not a plugin's."""

    name: str
    shipped: bool
    built_in: bool
    summary: str


@app.command("list", rows=Rows("gioconda.detectors/1", "detectors", ListedDetector))
def list_() -> Result:
    """List the detectors there are, and whether weights for them come with the package."""
    with_weights = registry.shipped()
    rows = []
    for name in registry.names():
        card = Card.read(registry.WEIGHTS / name / "card.json") if name in with_weights else None
        summary = card.summary if card else _SUMMARIES.get(name, "a plugin")
        rows.append(ListedDetector(name, bool(card), name in registry.built_in(), summary))
    width = max(len(row.name) for row in rows)
    lines = [f"{row.name:<{width}}  {'shipped' if row.shipped else '':<8}  {row.summary}" for row in rows]
    return Result(lines, rows)


_SUMMARIES = {
    "cnn": "any timm backbone you train: cnn:RUN",
    "vit-ln": "frozen or LayerNorm-tuned vision transformer: vit-ln:RUN or vit-ln:STORE-NAME",
    "onnx": "any ONNX file with a small TOML card: onnx:model.onnx",
    "http": "somebody's service; frames leave this computer: http:https://…",
    "command": "somebody's program or container: command:./judge",
    "scores": "scores from a CSV: scores:theirs.csv",
}


@app.command("show", "contrast")
def show(name: Annotated[str, argument("A detector, as NAME or NAME:TARGET.", "NAME")]) -> Result:
    """Show a detector's card: trained on what, measured where, its limits and licence, and what its scores have meant."""
    from detect.features.model import home_of
    from detect.reading.calibration import Calibration

    detector = registry.load(name)
    folder = home_of(detector.weights_sha256)
    calibrated = folder is not None and (folder / "calibration.json").is_file()
    meaning = Meaning.of(Calibration.read(folder)) if folder and calibrated else None
    card = DetectorCard(name, detector.version, detector.weights_sha256, detector.card, meaning)
    return Result(lambda: _card_text(card), card)


@dataclass(frozen=True)
class Meaning:
    """What a detector's scores have meant on real clips. clips : stratum → how many. thresholds : nominal rate of false alarms → score, None = not promised. span : measure → what is read. strata : a row a kind of clip, see :meth:`detect.reading.calibration.Calibration.table`."""

    set: str
    date: str
    clips: Mapping[str, int]
    thresholds: Mapping[str, float | None]
    span: Mapping[str, tuple[float, float | None]]
    strata: "list[Stratum]"

    @classmethod
    def of(cls, card: "Calibration") -> "Meaning":
        return cls(card.name, card.date, card.clips, card.thresholds, card.span, card.table())


@dataclass(frozen=True)
class DetectorCard:
    """What ``detect show`` prints. calibration : None where scores are rank only."""

    name: str
    version: str
    weights_sha256: str | None
    card: Card
    calibration: Meaning | None
    schema: str = "gioconda.detector-card/2"


_KINDS = {"detail": "detail", "face_px": "face", "side": "picture", "compression": "compression"}


def _card_text(shown: DetectorCard) -> str:
    card = shown.card
    lines = [f"{shown.name} {shown.version}: {card.summary}", "", f"trained on   {card.trained_on}"]
    for what, figure in (("sealed set", card.sealed), ("unseen", card.unseen)):
        if figure:
            cue = f"; best trivial cue: {figure.cue} {figure.cue_value:.2f}" if figure.cue else ""
            missed = f"; no signal on {figure.missed} of the fakes" if figure.missed is not None else ""
            lines.append(
                f"{what:<12} auc/video {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] · {figure.reals} real, "
                f"{figure.fakes} fake by {figure.methods} methods, {figure.persons} persons · {figure.date}{cue}{missed}"
            )
        elif what == "sealed set":
            lines.append("sealed set   not yet measured")
    for row in card.evaluated:
        lines.append(
            f"measured     {row.metric} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] · {row.protocol} · "
            f"{row.reals} real, {row.fakes} fake, {row.persons} persons · {row.set}"
        )
    methods = card.evaluated[0].methods if card.evaluated else {}
    if methods:
        lines.append("by method    AUC, and how many of its fakes get no signal")
    for method, own in sorted(methods.items(), key=lambda item: -item[1].auc):
        missed = "" if own.missed is None else f"{own.missed:.0f} of "
        lines.append(f"  {method:<24}{own.auc:.2f}  {missed}{own.fakes}")
    lines += [f"limit        {limit}" for limit in card.limits]
    lines += [f"licence      {card.licence}", f"recipe       {card.recipe or 'not recorded'}"]
    lines += [f"weights      {shown.weights_sha256 or 'none'}"]
    lines += ["network      frames leave this computer"] if card.network else []
    return "\n".join([*lines, *_meaning_text(shown.calibration)])


def _meaning_text(found: Meaning | None) -> list[str]:
    if found is None:
        return ["calibration  none: scores are rank only"]
    lines = [f"calibration  {found.clips.get('all', 0)} real clips of {found.set}, {found.date}"]
    for rate, score in found.thresholds.items():
        said = f"score ≥ {score:.3f}" if score is not None else "not promised: too few real clips"
        lines.append(f"             false alarms ≤ {float(rate):.1%} with 90 % confidence: {said}")
    lines.append(
        f"by quality   real clips of each kind that score ≥ {found.strata[0].score:.3f}, 95 % interval, number of clips"
    )
    for row in found.strata[1:]:
        rate = "none" if row.false_alarm is None else f"{row.false_alarm:.1%} [{row.low:.1%}, {row.high:.1%}]"
        few = row.kind != "compression" and not row.speaks and row.clips < found.clips["all"]
        silent = "  too few to speak for themselves" if few else ""
        lines.append(f"  {_KINDS[row.kind]:<12}{row.stratum:<28}{rate:<22}n = {row.clips}{silent}")
    return lines


@dataclass(frozen=True)
class Scores:
    """What ``detect score`` prints as JSON: a row a clip and detector, whose columns are those of its CSV."""

    rows: list[dict[str, Any]]
    schema: str = "gioconda.scores/1"


@dataclass(frozen=True)
class ToScore:
    """What is scored: clips, and the clips of a labelled set."""

    clips: Annotated[list[str] | None, argument("Videos.", "[CLIP]…")] = None
    index: Annotated[str | None, Option("Score a labelled set.", metavar="FILE")] = None
    split_: Annotated[str | None, Option("Only this split of the index.")] = None

    def __post_init__(self) -> None:
        if self.split_ and not self.index:
            raise UsageError("is of an index", where="--split", hint="give --index FILE too")

    def work(self) -> "list[Labelled]":
        """Each clip with its id, and its row of the index where it is of one."""
        found: list[Labelled] = [(clip, Path(clip), None) for clip in self.clips or []]
        if self.index:
            from gioconda_core.datasets.index import Index

            labelled = Index.read(self.index).filter(split=self.split_)
            found += [(sample.path, labelled.resolve(sample), sample) for sample in labelled]
        if not found:
            of = " with such a split" if self.split_ else ""
            raise UsageError("nothing to score", hint=f"give clips, or --index FILE{of}")
        return found


@app.command("score", "--index set.parquet -o csv=scores.csv")
def score(
    results: OutputOptions,
    job: ToScore,
    detectors: Annotated[
        tuple[str, ...] | None, Option("NAME or NAME:TARGET; default: those shipped.", metavar="A,B", parse=names_of)
    ] = None,
    timeout: Seconds = 300.0,
    jobs: Annotated[
        int | None,
        Option("Processes that decode and follow faces ahead of the reading; default: a core each.", minimum=1),
    ] = None,
) -> int:
    """Score clips: a row for each clip and detector, with what each score has meant on real clips. CSV is what bench report reads.

    A clip that cannot be read is a row with an error, and the exit code is 4. Rows for a file are kept beside it as they are
    made (FILE.partial): cut short, the same command goes on where it was.
    """
    wanted = results.among(("text", "json", "jsonl", "csv"), job.clips or ())
    from detect.reading.partial import Partial

    work = job.work()
    loaded = [registry.load(name) for name in (registry.shipped() if detectors is None else detectors)]
    if not loaded:
        raise UsageError("no detector", where="--detectors", hint="gioconda detect list")
    files = [Path(file) for _, file in wanted if file]
    partial = Partial(files[0] if files else None, loaded, force=results.force)
    found: list[Row] = []
    with progress("reading", len(work) * len(loaded), "readings") as advance:
        for own in partial.read(work, timeout=timeout, jobs=jobs):
            found += own
            advance(len(own))
    table = [row.columns() for row in found]
    broken = sum(row.error is not None for row in found)
    made = Result(
        lambda: [_line(row) for row in found],
        Scores(table),
        incomplete(broken),
        jsonl=lambda: [to_json(row) for row in table],
        csv=lambda: _csv(table),
    )
    write(made, wanted)
    partial.close()
    if broken:
        notice(f"{broken} of {len(found)} readings failed; their rows say why")
    return made.code


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys([*(key for row in rows for key in row), "score", "abstained", "error"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: to_json(v) if isinstance(v, dict) else v for key, v in row.items()} for row in rows)
    return text.getvalue()


def _line(row: "Row") -> str:
    start = f"{row.path if row.path is not None else row.id}  {row.detector}: "
    end = "; it learned from this very file, so that says nothing" if row.learned else ""
    if row.error:
        return start + f"not read: {row.error}"
    if row.abstained:
        return start + f"not assessed: {row.abstained}"
    if row.false_alarm is None:
        return start + f"{row.score:.3f} (uncalibrated, rank only){end}"
    from gioconda.report.view import share

    reached = share(round(row.false_alarm * (row.reals or 0)), row.reals or 0, row.false_alarm_high)
    said = say(Sentence(reached["key"], reached["args"]))
    return start + f"{row.score:.3f}; of real clips {said} scored at least this high ({row.calibration}){end}"


training = Commands("detect train", "contrast --index fakes.parquet --index footage.parquet --out runs/mine")
app.add(
    training,
    "Train a detector on labelled sets. The test split of an index is never opened; validation shares no person with training.",
)
DryRun = Annotated[bool, Option("Say what would be trained on, and stop.")]


@dataclass(frozen=True)
class TrainingSet:
    """What ``--dry-run`` prints: how much a detector would be trained on."""

    clips: int
    fakes: int
    persons: int
    schema: str = "gioconda.training-set/1"


def _dry(index: tuple[str, ...]) -> None:
    from detect.training.dataset import gather

    clips = gather(index)
    emit(to_json(TrainingSet(len(clips), int(clips.labels.sum()), len(set(clips.persons.tolist()))), indent=1))


@training.command(
    "contrast",
    "--index fakes.parquet --index footage.parquet --out runs/mine",
    about=f"Train a detector of {FEATURES['contrast']}. It takes a processor a few seconds a clip.",
)
def contrast(job: FeatureTraining, dry_run: DryRun = False) -> None:
    """What its card says it is."""
    if dry_run:
        return _dry(job.index)
    from detect.training.dataset import gather
    from detect.training.train_features import train as run

    with progress("measuring", len(gather(job.index)), "clips") as advance:
        found = run(job, advance)["contrast"]
    row = found.figures["clean"]
    if row.value is None:
        return emit("contrast: trained; one method alone cannot be held out, so there is no figure on unseen ones")
    cues = ", ".join(f"{cue} {own.value:.2f}" for cue, own in found.cues.items() if own.value is not None)
    origins = "and origins " if found.by == "origin" else ""
    return emit(
        f"contrast: auc/video {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] on methods, persons {origins}unseen, "
        f"{row.reals} real, {row.fakes} fake; trivial cues: {cues}"
    )


@training.command("cnn", "--index fakes.parquet --start efficientnet.safetensors --out runs/mine")
def cnn(job: CnnTraining, dry_run: DryRun = False) -> None:
    """Train a convolutional network, tuned whole unless told otherwise. It wants a GPU, or several under torchrun."""
    _network(job, dry_run)


@training.command("vit-ln", "--index fakes.parquet --backbone hub:OWNER/NAME --out runs/mine")
def vit_ln(job: VitLnTraining, dry_run: DryRun = False) -> None:
    """Train a vision transformer whose LayerNorms alone are tuned unless told otherwise. It wants a GPU, or several under torchrun."""
    _network(job, dry_run)


def _network(job: NetworkTraining, dry_run: bool) -> None:
    if dry_run:
        return _dry(job.index)
    from detect.training.train_networks import train as run

    if not job.start and not job.backbone.startswith("hub:"):
        notice("the backbone starts from random weights; --start FILE or --backbone hub:OWNER/NAME gives it others")
    with progress("training", job.steps, "steps") as advance:
        best = run(job, advance).figure
    interval = f"[{best.low:.3f}, {best.high:.3f}]"
    emit(f"{job.kind}: validation auc/video {best.value:.3f} {interval}, {best.reals} real clips")


@app.command("calibrate", 'cnn:runs/mine --index newsroom.parquet --name "newsroom 2026"')
def calibrate(
    name: Annotated[str, argument("A detector and the folder its weights lie in.", "NAME:RUN")],
    index: Annotated[str, Option("The calibration set; its real clips set the rates.", metavar="FILE")],
    set_name: Annotated[str, Option("What the set is called wherever a rate is quoted.", flag="--name")],
    split_: Annotated[str | None, Option("Only this split.")] = None,
    rungs: Annotated[
        tuple[str, ...],
        Option(
            "Qualities real clips are scored at, of clean, h264-crf23, h264-crf32, half-crf23, h264-crf40.",
            choices=tuple(QUALITIES),
        ),
    ] = ("clean",),
    force: Force = False,
) -> None:
    """Find what scores mean: the false-alarm rate at each score on real clips the weights have not seen, by kind of clip.

    Kinds are by picture size, face size, detail in the face, and compression (--rungs).
    """
    from detect.training.calibrate import run
    from gioconda_core.datasets.index import Index

    labelled = Index.read(index).filter(split=split_)
    with progress("reading", len(labelled), "clips") as advance:
        card = run(name, labelled, set_name, rungs=rungs, force=force, advance=advance)
    emit(f"{card.detector}: {card.clips['all']} real clips")
    for rate, cut in card.thresholds.items():
        score = f"score ≥ {cut:.3f}" if cut is not None else "not promised, too few real clips"
        emit(f"false alarms ≤ {float(rate):.1%}, 90 % confidence: {score}")
