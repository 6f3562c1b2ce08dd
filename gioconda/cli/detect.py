"""``gioconda detect``: the detectors there are, what each was trained on, training, calibration, and scores of clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gioconda.cli.common import (
    Force,
    JsonFlag,
    Output,
    Seconds,
    clean,
    deliver,
    emit,
    notice,
    parse_outputs,
    progress,
    settings,
)

if TYPE_CHECKING:
    from pathlib import Path


app = typer.Typer(
    no_args_is_help=True,
    help="Detectors: list, show, train, calibrate, score.",
    epilog="Example: gioconda detect score clip.mp4",
)

Indexes = Annotated[
    list[str],
    typer.Option("--index", metavar="FILE", help="A labelled set, Parquet or CSV; may be given several times."),
]


@app.command("list")
def list_(output: Output = None, json: JsonFlag = False, force: Force = False) -> None:
    """The detectors there are, and whether weights for them come with the package.

    Example: gioconda detect list
    """
    import json as j

    from detect.base import Card
    from detect.registry import BUILT_IN, WEIGHTS, names, shipped

    with_weights = shipped()
    rows = []
    for name in names():
        card = Card.read(WEIGHTS / name / "card.json") if name in with_weights else None
        summary = card.summary if card else _SUMMARIES.get(name, "a plugin")
        rows.append({"name": name, "shipped": bool(card), "built_in": name in BUILT_IN, "summary": summary})
    for format, file in parse_outputs(output, json, ("text", "json"), force):
        if format == "json":
            deliver(j.dumps(rows, indent=1), file)
        else:
            width = max(len(row["name"]) for row in rows)
            lines = [
                f"{row['name']:<{width}}  {'shipped ' if row['shipped'] else '        '}  {row['summary']}"
                for row in rows
            ]
            deliver("\n".join(lines), file)


_SUMMARIES = {
    "cnn": "any timm backbone you train: cnn:RUN",
    "vit-ln": "frozen or LayerNorm-tuned vision transformer: vit-ln:RUN or vit-ln:STORE-NAME",
    "onnx": "any ONNX file with a small TOML card: onnx:model.onnx",
    "http": "somebody's service; frames leave this computer: http:https://…",
    "command": "somebody's program or container: command:./judge",
    "scores": "scores from a CSV: scores:theirs.csv",
}


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A detector, as NAME or NAME:TARGET.")],
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> None:
    """A detector's card: trained on what, measured where, its limits and licence, and what its scores have meant.

    Example: gioconda detect show ensemble
    """
    import json as j

    from detect.features.model import home_of
    from detect.reading.calibration import Calibration
    from detect.registry import load

    detector = load(name)
    folder = home_of(detector.weights_sha256)
    card = detector.card
    document = {"name": name, "version": detector.version, "weights_sha256": detector.weights_sha256, **card.json()}
    calibration = Calibration.read(folder) if folder and (folder / "calibration.json").is_file() else None
    if calibration:
        document["calibration"] = {
            "set": calibration.name,
            "date": calibration.date,
            "clips": dict(calibration.clips),
            "thresholds": dict(calibration.thresholds),
            "span": dict(calibration.span),
            "strata": calibration.table(),
        }
    for format, file in parse_outputs(output, json, ("text", "json"), force):
        deliver(j.dumps(document, indent=1) if format == "json" else _card_text(document), file)


_KINDS = {"detail": "detail", "face_px": "face", "side": "picture", "compression": "compression"}


def _card_text(card: dict[str, Any]) -> str:
    lines = [f"{card['name']} {card['version']}: {card['summary']}", ""]
    lines.append(f"trained on   {card['trained_on']}")
    sealed = card["sealed"]
    if sealed:
        cue = f"; {sealed['cue']} alone {sealed['cue_value']:.2f}" if sealed["cue"] else ""
        lines.append(
            f"sealed set   auc/video {sealed['value']:.3f} [{sealed['low']:.3f}, {sealed['high']:.3f}] · {sealed['reals']} real, "
            f"{sealed['fakes']} fake by {sealed['methods']} unseen methods, {sealed['persons']} persons · {sealed['date']}{cue}"
        )
    else:
        lines.append("sealed set   not measured")
    for row in card["evaluated"]:
        lines.append(
            f"measured     {row['metric']} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] · {row['protocol']} · "
            f"{row['reals']} real, {row['fakes']} fake, {row['persons']} persons · {row['set']}"
        )
    lines += [f"limit        {limit}" for limit in card["limits"]]
    lines.append(f"licence      {card['licence']}")
    lines.append(f"recipe       {card['recipe'] or 'not recorded'}")
    lines.append(f"weights      {card['weights_sha256'] or 'none'}")
    if card["network"]:
        lines.append("network      frames leave this computer")
    found = card.get("calibration")
    if not found:
        lines.append("calibration  none: scores are rank only")
        return "\n".join(lines)
    lines.append(f"calibration  {found['clips'].get('all', 0)} real clips of {found['set']}, {found['date']}")
    for rate, score in found["thresholds"].items():
        said = f"score ≥ {score:.3f}" if score is not None else "not promised: too few real clips"
        lines.append(f"             false alarms ≤ {float(rate):.1%} with 90 % confidence: {said}")
    lines.append(
        f"by quality   real clips of each kind that score ≥ {found['strata'][0]['score']:.3f}, 95 % interval, number of clips"
    )
    for row in found["strata"][1:]:
        rate = (
            "none" if row["false_alarm"] is None else f"{row['false_alarm']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
        )
        few = row["kind"] != "compression" and not row["speaks"] and row["clips"] < found["clips"]["all"]
        silent = "  too few to speak for themselves" if few else ""
        lines.append(f"  {_KINDS[row['kind']]:<12}{row['stratum']:<28}{rate:<22}n = {row['clips']}{silent}")
    return "\n".join(lines)


@app.command()
def score(
    clips: Annotated[list[str] | None, typer.Argument(metavar="[CLIP]…", help="Videos.")] = None,
    detectors: Annotated[
        str | None, typer.Option("--detectors", metavar="A,B", help="NAME or NAME:TARGET; default: those shipped.")
    ] = None,
    index: Annotated[str | None, typer.Option("--index", metavar="FILE", help="Score a labelled set.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split of the index.")] = None,
    timeout: Seconds = 300.0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that decode and follow faces ahead of the reading; default: a core each."),
    ] = None,
    output: Output = None,
    json: JsonFlag = False,
    force: Force = False,
) -> int:
    """Scores of clips, a row a clip and detector, with what each score has meant on real clips. CSV is what bench report reads.

    A clip that cannot be read is a row with an error, and the exit code is 4.

    Example: gioconda detect score --index set.parquet -o csv=scores.csv
    """
    from pathlib import Path

    from detect.reading.score import rows
    from detect.registry import load, shipped
    from gioconda_core.errors import ExitCode, UsageError

    wanted = parse_outputs(output, json, ("text", "json", "jsonl", "csv"), force)
    work: list[tuple[str, Path, Any]] = [(clip, Path(clip), None) for clip in clips or []]
    if index:
        from gioconda_core.datasets.index import Index

        labelled = Index.read(index)
        labelled = labelled.filter(split=split) if split else labelled
        work += [(sample.path, labelled.resolve(sample), sample) for sample in labelled]
    elif split:
        raise UsageError("is of an index", where="--split", hint="give --index FILE too")
    if not work:
        raise UsageError(
            "nothing to score", hint="give clips, or --index FILE" + (" with such a split" if split else "")
        )
    named = shipped() if detectors is None else [name for name in detectors.split(",") if name.strip()]
    loaded = [load(name.strip()) for name in named]
    if not loaded:
        raise UsageError("no detector", where="--detectors", hint="gioconda detect list")
    found = []
    with progress("reading", len(work) * len(loaded), "readings") as advance:
        for row in rows(work, loaded, timeout=timeout, jobs=jobs):
            found.append(row)
            advance(1)
    for format, file in wanted:
        deliver(_rendered(found, format), file)
    broken = sum("error" in row for row in found)
    if broken:
        notice(f"{broken} of {len(found)} readings failed; their rows say why")
    return int(ExitCode.INCOMPLETE if broken else ExitCode.DONE)


def _rendered(rows: list[dict[str, Any]], format: str) -> str:
    import json as j

    if format == "json":
        return j.dumps({"schema": "gioconda.scores/1", "rows": rows}, indent=1)
    if format == "jsonl":
        return "\n".join(j.dumps(row) for row in rows)
    if format == "csv":
        import csv
        import io

        columns = list(dict.fromkeys(key for row in rows for key in row))
        for needed in ("score", "abstained", "error"):
            if needed not in columns:
                columns.append(needed)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: j.dumps(value) if isinstance(value, dict) else value for key, value in row.items()} for row in rows
        )
        return text.getvalue()
    return "\n".join(clean(_line(row)) for row in rows)


def _line(row: dict[str, Any]) -> str:
    start = f"{row.get('path', row['id'])}  {row['detector']}: "
    if row.get("error"):
        return start + f"not read: {row['error']}"
    if row.get("abstained"):
        return start + f"not assessed: {row['abstained']}"
    if "false_alarm" not in row:
        return start + f"{row['score']:.3f} (uncalibrated, rank only)"
    return start + (
        f"{row['score']:.3f}; {row['false_alarm']:.1%} [{row['false_alarm_low']:.1%}, {row['false_alarm_high']:.1%}] of "
        f"{row['reals']} real clips score as much ({row['calibration']})"
    )


@app.command()
def train(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="spectrum, residual, texture, dynamics, ensemble, cnn or vit-ln.")
    ],
    index: Indexes,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="The run folder; run again to resume.")],
    set_name: Annotated[str, typer.Option("--name", help="What the set is called on the card.")] = "the given indexes",
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "unspecified",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Feature detectors: processes that measure; default 1.")
    ] = None,
    blends: Annotated[
        int | None, typer.Option(min=0, help="Feature detectors: self-blended versions of each real clip; default 2.")
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option(help="Feature detectors: qualities trained on; default clean,h264-crf32,half-crf23."),
    ] = None,
    tests: Annotated[
        str | None,
        typer.Option(
            help="Feature detectors: qualities measured on, clean among them; default clean,h264-crf32,half-crf23,h264-crf40."
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="cnn, vit-ln: any timm name, or hub:OWNER/NAME (or hub:FOLDER) with the weights it brings."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="cnn, vit-ln: weights the backbone starts from, safetensors or a name of the weights store.",
        ),
    ] = None,
    tune: Annotated[str | None, typer.Option(help="cnn, vit-ln: all, layer-norm or probe.")] = None,
    temporal: Annotated[bool, typer.Option("--temporal", help="cnn: a head over time instead of pooling.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="cnn, vit-ln: optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="cnn, vit-ln: real/fake pairs a step.")] = None,
    size: Annotated[int | None, typer.Option(min=16, help="cnn, vit-ln: side of the crops, pixels.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained on, and stop.")] = False,
) -> None:
    """Train a detector on labelled sets. The test split of an index is never opened; validation shares no person with training.

    Feature detectors train in minutes on a processor; cnn and vit-ln want a GPU, or several under torchrun.

    Example: gioconda detect train ensemble --index fakes.parquet --index footage.parquet --out runs/mine
    """
    import json as j
    import shlex
    import sys
    from pathlib import Path

    from detect.training.dataset import gather
    from detect.training.train_features import RECIPES
    from gioconda_core.errors import UsageError

    command = "gioconda " + shlex.join(sys.argv[1:])
    measured = name == "ensemble" or name in RECIPES
    foreign: dict[str, object] = (
        {"backbone": backbone, "start": start, "tune": tune, "temporal": temporal or None, "steps": steps, "batch": batch, "size": size}
        if measured
        else {"jobs": jobs, "blends": blends, "rungs": rungs, "tests": tests}
    )  # fmt: skip
    if not measured and name not in ("cnn", "vit-ln"):
        raise UsageError(f"cannot train {name!r}", hint=f"one of {', '.join(RECIPES)}, ensemble, cnn, vit-ln")
    for option, value in foreign.items():
        if value is not None:
            raise UsageError(f"is no option of {name}", where=f"--{option}", hint="gioconda detect train --help")
    if dry_run:
        clips = gather(index)
        persons = len(set(clips.persons.tolist()))
        emit(j.dumps({"clips": len(clips), "fakes": int(clips.labels.sum()), "persons": persons}, indent=1))
        return
    if measured:
        from detect.training.train_features import Options
        from detect.training.train_features import train as run

        chosen: dict[str, Any] = {
            "rungs": tuple(rungs.split(",")) if rungs else None,
            "tests": tuple(tests.split(",")) if tests else None,
            "blends": blends,
            "jobs": jobs,
        }
        options = Options(
            index=tuple(index),
            out=Path(out),
            detectors=(name,) if name != "ensemble" else ("spectrum", "ensemble"),
            seed=settings.seed,
            name=set_name,
            licence=licence,
            command=command,
            **{key: value for key, value in chosen.items() if value is not None},
        )
        with progress("measuring", len(gather(index)), "clips") as advance:
            figures = run(options, advance)
        for detector, by in figures.items():
            row = by["person"]["clean"]
            if row["value"] is None:
                emit(f"{detector}: trained; one method alone cannot be held out, so there is no figure on unseen ones")
                continue
            emit(
                f"{detector}: auc/video {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] on methods and persons unseen, "
                f"{row['reals']} real, {row['fakes']} fake"
            )
        return
    from detect.training.train_networks import Options as NetOptions
    from detect.training.train_networks import train as run_net

    given = {"backbone": backbone, "start": start, "tune": tune, "steps": steps, "pairs": batch, "size": size}
    net = NetOptions(
        kind=name,
        index=tuple(index),
        out=Path(out),
        temporal=temporal,
        seed=settings.seed,
        name=set_name,
        licence=licence,
        command=command,
        **{key: value for key, value in given.items() if value is not None},
    )
    if not start and not (backbone or "").startswith("hub:"):
        notice("the backbone starts from random weights; --start FILE or --backbone hub:OWNER/NAME gives it others")
    with progress("training", net.steps, "steps") as advance:
        best = run_net(net, advance)
    emit(
        f"{name}: validation auc/video {best['value']:.3f} [{best['low']:.3f}, {best['high']:.3f}], {best['reals']} real clips"
    )


@app.command()
def calibrate(
    name: Annotated[str, typer.Argument(metavar="NAME:RUN", help="A detector and the folder its weights lie in.")],
    index: Annotated[
        str, typer.Option("--index", metavar="FILE", help="The calibration set; its real clips set the rates.")
    ],
    set_name: Annotated[str, typer.Option("--name", help="What the set is called wherever a rate is quoted.")],
    split: Annotated[str | None, typer.Option("--split", help="Only this split.")] = None,
    rungs: Annotated[
        str,
        typer.Option(
            help="Qualities real clips are scored at, of clean, h264-crf23, h264-crf32, half-crf23, h264-crf40."
        ),
    ] = "clean",
    force: Force = False,
) -> None:
    """Find what scores mean: the false-alarm rate at each score on real clips the weights have not seen, by kind of clip.

    Kinds are by picture size, face size, detail in the face, and compression (--rungs).

    Example: gioconda detect calibrate cnn:runs/mine --index newsroom.parquet --name "newsroom 2026"
    """
    from detect.training.calibrate import run
    from gioconda_core.datasets.index import Index

    labelled = Index.read(index)
    labelled = labelled.filter(split=split) if split else labelled
    with progress("reading", len(labelled), "clips") as advance:
        card = run(name, labelled, set_name, rungs=tuple(rungs.split(",")), force=force, advance=advance)
    emit(f"{card.detector}: {card.clips['all']} real clips")
    for rate, cut in card.thresholds.items():
        emit(
            f"false alarms ≤ {float(rate):.1%}, 90 % confidence: "
            + (f"score ≥ {cut:.3f}" if cut is not None else "not promised, too few real clips")
        )
