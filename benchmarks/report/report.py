"""Makes reports and comparisons, as ``bench report`` and ``bench compare`` do: a run's folder or a CSV → document → text, JSON, HTML, CSV, LaTeX, signed."""

import json
import shlex
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import board, reshare, results, words
from benchmarks.report.document import Benchmark, Figure, SliceRow
from benchmarks.report.options import Figures, Scores
from benchmarks.report.words import first_line
from benchmarks.run import suite as suites
from benchmarks.run.environment import environment
from benchmarks.run.rows import FeatureRow, SampleRow, features_in, readings, samples_in
from benchmarks.stats import compare as comparisons
from benchmarks.stats import probes
from benchmarks.stats.compare import Difference
from benchmarks.stats.looks import look
from benchmarks.stats.scores import read_scores
from benchmarks.stats.table import Problem, ScoreRow, Table
from detect.base import known_as
from gioconda_core.documents import to_json
from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.faces.cues import cues_of
from gioconda_core.media.degrade import CLEAN
from gioconda_core.media.degrade import parse as parse_degradation
from gioconda_core.stats.metrics import DEFAULT_METRICS
from provenance import vocabulary
from provenance.signing import claims, sign, signers

HELD_OUT = "generator held out"


def load(source: Scores) -> Table:
    """A run's folder or a table of scores → table."""
    path = source.source
    if path.is_dir():
        if source.score or source.unit:
            raise UsageError("belong to a table of scores, not to a run", where="--score, --unit")
        return load_run(path)
    if not path.exists():
        raise UsageError("no such run or file", where=str(path))
    return read_scores(source)


def _damaged(folder: Path, what: str) -> UsageError:
    return UsageError(
        f"is a run whose {what} is damaged or missing",
        where=str(folder),
        hint="run the same command again, or measure anew with --force",
    )


def _json(path: Path) -> dict[str, Any]:
    """A document of a run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _damaged(path.parent, path.name) from None
    if not isinstance(found, dict):
        raise _damaged(path.parent, path.name)
    return found


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        raise UsageError("is not the folder of a run", where=str(folder), hint="gioconda bench run makes one")
    found = _json(folder / "config.json")
    try:
        found["identity"]["data"]["sha256"], found["identity"]["limit"], found["samples_in_set"]
        for d in found["identity"]["detectors"]:
            d["id"]
        for name in found["identity"]["degradations"]:
            parse_degradation(name)
        found["suite"]["title"], found["suite"]["metrics"], found["suite"]["slices"], found["command"], found["cards"]
    except (KeyError, TypeError):
        raise _damaged(folder, "config.json") from None
    return found


def parts(folder: Path) -> dict[str, Path]:
    """The runs in a folder by fold: one without a name, or one for each fold."""
    path = folder / "folds.json"
    if not path.exists():
        return {"": folder}
    found = _json(path).get("folds")
    if not isinstance(found, dict):
        raise _damaged(folder, path.name)
    return {name: folder / sub for name, sub in found.items() if (folder / str(sub) / "config.json").exists()}


def load_run(folder: Path) -> Table:
    """A run's rows, joined with what is known of its samples. A reading that never came is missing, not absent.

    Where each fold has its own training, a sample is measured once a fold: its id then carries the fold, which is a slice.
    """
    rows: list[ScoreRow] = []
    problems: list[Problem] = []
    configs = {}
    for fold, part in parts(folder).items():
        configs[fold] = _config(part)
        try:
            found, own_problems = _rows_of(part, configs[fold], fold)
        except (KeyError, TypeError, ValueError):
            raise _damaged(part, "list of samples or of readings") from None
        rows += found
        problems += own_problems
    if not configs:
        raise UsageError("is not the folder of a run", where=str(folder), hint="gioconda bench run makes one")
    meta = {"config": next(iter(configs.values())), "configs": configs, "own": _own_ids(folder)}
    return Table.of_rows(rows, problems=problems, meta=meta)


def _own_ids(folder: Path) -> dict[str, str]:
    """What the index called its clips, by path and by ids of its own → the ids of the rows, where clips are measured once."""
    if list(parts(folder)) != [""]:
        return {}
    samples = samples_in(folder)
    return {row.path: row.id for row in samples} | {row.own: row.id for row in samples if row.own}


def _rows_of(folder: Path, config: Mapping[str, Any], fold: str) -> tuple[list[ScoreRow], list[Problem]]:
    samples: dict[str, SampleRow] = {}
    twice = []
    for sample in samples_in(folder):
        known = samples.setdefault(sample.id, sample)
        if known is not sample:
            twice.append(sample.id)
            if known.label != sample.label:
                samples[sample.id] = replace(known, label=-1)
    problems = []
    if twice:
        sentence = "two samples are the same file: measured once"
        problems.append(Problem("same-bytes", sentence, len(twice), tuple(twice[:3])))
    learned = {name: set(card.get("clips", ())) for name, card in config["cards"].items()}
    names = [parse_degradation(d).name for d in config["identity"]["degradations"]]
    cues = {
        id_: cues_of(f.get("metadata") or {}, f.get("blur"), next(iter(f.get("face_size") or ()), None))
        for id_, f in ((id_, row.features) for id_, row in features_in(folder).items())
    }
    # A row measured again (--retry) replaces the failure.
    latest = {(row.id, row.degradation, row.detector): row for row in readings(folder)}
    rows: list[ScoreRow] = []
    for id_, sample in samples.items():
        base = ScoreRow(
            f"{id_}@{fold}" if fold else id_, sample.label, sample.identity, sample.source, sample.generator,
            group={**sample.group, **({HELD_OUT: fold} if fold else {})},
        )  # fmt: skip
        for degradation in names:
            measured = {**cues.get(id_, {}), **sample.cues} if degradation == CLEAN else {}
            rows.append(replace(base, degradation=degradation, cues=measured))
            for d in config["identity"]["detectors"]:
                found = latest.get((id_, degradation, d["id"]))
                if found:
                    own = {name: getattr(found, name) for name in _OF_READING}
                    rows.append(replace(base, **own, learned=known_as(id_) in learned.get(found.detector, ())))
    return rows, problems


# What a table takes over of a run's reading.
_OF_READING = (
    *("degradation", "detector", "score", "abstained", "error", "reason", "level", "false_alarm", "seconds", "cost"),
    *("version", "weights_sha256", "protocol"),
)


def frame_table(folder: Path) -> Table | None:
    """The same run frame by frame: each scored moment of the highest-scoring face is a row. None for folds."""
    if list(parts(folder)) != [""]:
        return None
    samples = {row.id: row for row in samples_in(folder)}
    rows = []
    for row in readings(folder):
        sample = samples.get(row.id)
        if sample is None or not row.series or row.degradation != CLEAN:
            continue
        track = max(row.series, key=lambda s: sum(s.scores) / max(len(s.scores), 1))
        for position, score in enumerate(track.scores):
            rows.append(
                ScoreRow(
                    f"{row.id}#{position}", sample.label, sample.identity, sample.source, sample.generator,
                    group=sample.group, detector=row.detector, score=score,
                    protocol=str(row.protocol).replace("video@", "frame@").split("+")[0],
                )
            )  # fmt: skip
    return Table.of_rows(rows) if rows else None


def document(source: Scores, wanted: Figures | None = None) -> Benchmark:
    """Everything a report shows, from a run's folder or a table of scores."""
    wanted = wanted or Figures()
    path = source.source
    table = load(source)
    if not table.detectors:
        raise UsageError("no scores at all", where=str(path), hint="; ".join(p.sentence for p in table.problems[:2]))
    config = table.meta.get("config")
    suite = config["suite"] if config else None
    names = list(wanted.metrics) or list(suite["metrics"] if suite else DEFAULT_METRICS)
    if wanted.prevalence is not None:
        names = [n if not n.startswith(("ppv", "mincost")) else _at_prevalence(n, wanted.prevalence) for n in names]
    asked, slices = replace(wanted, metrics=tuple(names)), suite["slices"] if suite else ()
    found = replace(
        results.build(table, asked, slices, frame_table(path) if config else None),
        title=wanted.title or (suite["title"] if suite else f"Scores in {path.name}"),
        created=datetime.now(UTC).strftime("%Y-%m-%d"),
        looks=look(table),
        report_command=_command(source, wanted),
        environment=environment(),
        card=_card(table),
    )
    found = _of_run(found, path, table, asked) if config else found
    return replace(found, first_line=first_line(found))


def _of_run(found: Benchmark, path: Path, table: Table, asked: Figures) -> Benchmark:
    """What a run's folder says besides its scores."""
    config = table.meta["config"]
    reasons = _not_comparable(table)
    card = dict(found.card)
    if len(table.meta["configs"]) > 1:
        card["Folds"] = "one training a generator held out; figures over all clips pool the folds, read the slices"
    return replace(
        found,
        comparable=not reasons,
        not_comparable=reasons,
        suite=config["identity"]["suite"],
        probes=tuple(_probes(path, asked.seed)),
        command=config["command"],
        stability=tuple(reshare.stability(table, resamples=asked.resamples, seed=asked.seed)),
        environment=_json(next(iter(parts(path).values())) / "environment.json"),
        card=card,
        cards=config["cards"],
    )


def _command(source: Scores, wanted: Figures) -> str:
    """What makes this report again, without the folders of whoever made it first."""
    command = [
        "gioconda",
        *(["--seed", str(wanted.seed)] if wanted.seed else []),
        "bench",
        "report",
        source.source.resolve().name,
    ]
    command += ["--metrics", ";".join(wanted.metrics)] if wanted.metrics else []
    command += ["--prevalence", f"{wanted.prevalence:g}"] if wanted.prevalence is not None else []
    command += ["--probabilities"] if source.probabilities else []
    command += ["--protocol", source.protocol] if source.protocol else []
    for pattern in source.score:
        command += ["--score", pattern]
    command += ["--unit", source.unit] if source.unit else []
    command += ["--against", wanted.against] if wanted.against else []
    command += ["--resamples", str(wanted.resamples), "-o", "html=report.html"]
    return shlex.join(command)


def _card(table: Table) -> dict[str, str]:
    """Which scores or clips these are: hashes, and what the sets say of themselves."""
    if "configs" not in table.meta:
        return {"Scores": f"{table.meta['source']}, sha256 {table.meta['sha256']}"}
    found = {}
    for fold, config in table.meta["configs"].items():
        found["List of samples" + (f", {fold} held out" if fold else "")] = (
            f"sha256 {config['identity']['data']['sha256']}"
        )
        for name, card in config.get("sets", {}).items():
            found[f"Set {name}"] = "; ".join(f"{key} {value}" for key, value in card.items())
    return found


def _not_comparable(table: Table) -> str:
    """Why this run's figures may not stand beside another's; empty when they may."""
    reasons = []
    configs = list(table.meta["configs"].values())
    limits = [(c["identity"]["limit"], c["samples_in_set"]) for c in configs]
    cut = [(limit, whole) for limit, whole in limits if limit is not None and limit < whole]
    if cut:
        reasons.append(f"only {cut[0][0]} of {cut[0][1]} samples were measured (--limit)")
    detectors = {d["id"] for c in configs for d in c["identity"]["detectors"]}
    missing = sum(int((c.status == "missing").sum()) for c in table.detectors.values())
    missing += len(table) * (len(detectors) - len(table.detectors))
    if missing:
        reasons.append(f"{missing} readings are not there yet: run it again to resume, or run the other shards")
    name, version, sha = (configs[0]["identity"]["suite"][k] for k in ("name", "version", "sha256"))
    released = suites.versions().get(name, {})
    if name in suites.built_in() and released.get(version) != sha:
        reasons.append(f"the suite calls itself {name} {version} but is not that suite")
    return "; ".join(reasons)


def _probes(folder: Path, seed: int) -> list[probes.Probe]:
    """The shortcut probes over the features a run kept."""
    features: dict[str, FeatureRow] = {}
    known: dict[str, SampleRow] = {}
    for part in parts(folder).values():
        features |= features_in(part)
        known |= {row.id: row for row in samples_in(part)}
    samples = [row for id_, row in known.items() if id_ in features]
    if not samples:
        return []
    return probes.run_probes(
        [features[s.id].features for s in samples],
        np.array([s.label for s in samples]),
        [s.identity for s in samples],
        [s.source for s in samples],
        seed=seed,
    )


def _at_prevalence(name: str, prevalence: float) -> str:
    base, _, tail = name.partition("@")
    kept = [item for item in tail.split(",") if item and not item.startswith("prevalence=")]
    return f"{base}@{','.join([*kept, f'prevalence={prevalence:g}'])}"


def render(found: Benchmark, form: str, *, folder: Path | None = None, signed: str = "") -> str:
    """The document as text, json, html, csv or latex.

    folder : the run's folder, for thumbnails. signed : the name of the signed copy beside a page, which then speaks of it.
    """
    if form == "json":
        return to_json(found, indent=1) + "\n"
    if form == "csv":
        return results.to_csv(found)
    if form == "latex":
        return results.to_latex(found)
    if form == "html":
        from benchmarks.report.page import to_html

        thumbs = [part / "thumbs" for part in parts(folder).values()] if folder else []
        return to_html(found, thumbs=thumbs, signed=signed)
    return to_text(found)


MOST_IN_FULL = 4  # detectors whose every figure is said in text; of more, the page and the CSV say them


def to_text(found: Benchmark) -> str:
    """The tables and what a reader must know, for a terminal."""
    lines = [found.title, found.first_line, "", *board.to_lines(found), ""]
    for block in (board.beside_lines(found), board.stated_lines(found)):
        lines += [*block, ""] if block else []
    lines += [note for note in (words.unmeasured(found), words.looked(found)) if note]
    for problem in found.problems:
        named = [known_as(example) if len(example) == 64 else example for example in problem.examples]
        lines.append(f"! {problem.sentence} ({problem.count:,}{': ' if named else ''}{', '.join(named)})")
    for entry in found.detectors:
        s = entry.statuses
        if entry.coverage < 1:
            others = s.abstained + s.failed - sum(r.n for r in s.reasons[:3])
            why = "; ".join(
                [*(f"{r.reason} ({r.n})" for r in s.reasons[:3]), *([f"others ({others})"] if others else [])]
            )
            lost = f"{s.abstained} abstained, {s.failed} failed, {s.missing} missing"
            lines.append(f"{entry.name}: {s.scored} scored, {lost}" + (f"; not scored: {why}" if why else ""))
    lines += _ladder_lines(found.slices.get("degradation", ()))
    if found.differences:
        lines += ["", *board.difference_lines(found.differences)]
    if len(found.detectors) > 2:
        lines += ["", *board.matrix_lines(found)]
    if len(found.detectors) <= MOST_IN_FULL:
        for entry in (e for e in found.detectors if any(f.value is not None for f in e.figures)):
            lines += ["", entry.name + (f", version {entry.version}" if entry.version else "")]
            lines += [f"  {f.name:<58} {_figure(f)}" for f in entry.figures]
        bare = dict.fromkeys(f.no_interval for entry in found.detectors for f in entry.figures if f.no_interval)
        lines += ["", *(f"no interval: {reason}" for reason in bare)] if bare else []
    else:
        lines += ["", "every figure of each detector: -o csv=figures.csv, or the page: -o html=report.html"]
    return "\n".join(lines) + "\n"


def _figure(f: Figure) -> str:
    if f.value is None:
        return f"refused: {f.refused}"
    if f.low is None:
        return f"{f.value:.4f}  no interval"
    return f"{f.value:.4f}  [{f.low:.4f}, {f.high:.4f}]"


def _ladder_lines(rows: Sequence[SliceRow]) -> list[str]:
    """The first figure under each degradation, a line a detector: where a ladder breaks, told without opening the page."""
    if not rows:
        return []
    lines = [f"  {row.slice:<24} {row.detector:<16} {_figure(row.figures[0])}" for row in rows]
    return ["", f"by degradation: {rows[0].figures[0].name}", *lines]


def _side(spec: str) -> tuple[Path, str]:
    """``FILE:DETECTOR`` → (FILE, DETECTOR); a plain path → (path, "")."""
    if Path(spec).exists():
        return Path(spec), ""
    path, _, name = spec.rpartition(":")
    if path and Path(path).exists():
        return Path(path), name
    raise UsageError("no such run or file", where=spec, hint="give a run's folder, a CSV, or FILE:DETECTOR")


def comparison(
    a: str, others: Sequence[str], names: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> list[Difference]:
    """Every detector of A against every detector of each other one (or the one named); all corrected together.

    On the samples both scored; two that share none are compared where a detector of one name is in both, as sets of their own: that is
    how a detector's dated runs over changing clips show whether it drifts.
    """
    found: list[Difference] = []
    for b in others:
        found += _two(a, b, names, resamples, seed)
    return comparisons.corrected(found)


def _two(a: str, b: str, names: Sequence[str], resamples: int, seed: int) -> list[Difference]:
    (path_a, name_a), (path_b, name_b) = _side(a), _side(b)
    table_a, table_b = load(Scores(path_a)), load(Scores(path_b))
    table_a, table_b = _called_alike(table_a, table_b), _called_alike(table_b, table_a)
    for path, table, name in ((path_a, table_a, name_a), (path_b, table_b, name_b)):
        if name and name not in table.detectors:
            raise UsageError(f"no scores of {name!r}", where=str(path), hint=f"there are {', '.join(table.detectors)}")
    side_a = [name_a] if name_a else list(table_a.detectors)
    side_b = [name_b] if name_b else list(table_b.detectors)
    if path_a.resolve() == path_b.resolve():
        table = table_a
        pairs = [(x, y) for x in side_a for y in side_b if x != y]
        if not (name_a or name_b):
            pairs = [(x, y) for i, x in enumerate(side_a) for y in side_a[i + 1 :]]
        if not pairs:
            raise UsageError("has no two detectors to compare", where=str(path_a), hint="name another run or table")
    elif not set(table_a.ids) & set(table_b.ids):
        same = [(x, y) for x in side_a for y in side_b if x == y or (name_a and name_b)]
        if not same:
            raise UsageError(
                "the two have no sample and no detector in common", where=f"{a}, {b}",
                hint="ids must be the same in both, e.g. the clips' sha256; or name one detector of each",
            )  # fmt: skip
        one, two = comparisons.headline(table_a), comparisons.headline(table_b)
        return [
            replace(d, a=f"{x} ({_dated(path_a)})", b=f"{y} ({_dated(path_b)})")
            for x, y in same
            for d in comparisons.apart((x, one), (y, two), names, resamples=resamples, seed=seed)
        ]
    else:
        table, pairs = _joined(table_a, table_b, side_a, side_b, (_dated(path_a), _dated(path_b)))
    return comparisons.compare(comparisons.headline(table), pairs, names, resamples=resamples, seed=seed)


def _called_alike(table: Table, other: Table) -> Table:
    """A table whose ids are those that the other's index was made with gets the other's ids."""
    own = other.meta.get("own") or {}
    if not own or not set(table.ids) & set(own):
        return table
    return replace(table, ids=np.array([own.get(str(i), str(i)) for i in table.ids]))


def _dated(path: Path) -> str:
    """What tells one run from another: its name, and its day where it is known."""
    try:
        day = str(json.loads((path / "config.json").read_text(encoding="utf-8")).get("created", ""))[:10]
    except (OSError, ValueError, AttributeError):
        day = ""
    return f"{path.resolve().name}, {day}" if day else path.resolve().name


def _joined(
    a: Table, b: Table, side_a: Sequence[str], side_b: Sequence[str], of: tuple[str, str]
) -> tuple[Table, list[tuple[str, str]]]:
    """Two tables side by side over the samples both have; labels must agree."""

    def keys(table: Table) -> dict[tuple[str, str], int]:
        return {
            (str(i), str(d)): n for n, (i, d) in enumerate(zip(table.ids, table.columns["degradation"], strict=True))
        }

    at_a, at_b = keys(a), keys(b)
    shared = [k for k in at_a if k in at_b]
    if not shared:
        raise UsageError(
            "the two have no sample in common", hint="ids must be the same in both, e.g. the clips' sha256"
        )
    rows_a, rows_b = np.array([at_a[k] for k in shared]), np.array([at_b[k] for k in shared])
    part_a, part_b = a.take(rows_a), b.take(rows_b)
    if np.any(part_a.labels != part_b.labels):
        n = int(np.sum(part_a.labels != part_b.labels))
        raise UsageError(f"{n} shared samples carry different labels", hint="a difference would compare two tasks")
    one, other = of if of[0] != of[1] else (f"{of[0]}, A", f"{of[1]}, B")
    detectors = {f"{n} ({one})" if n in b.detectors else n: part_a.detectors[n] for n in side_a}
    theirs = {f"{n} ({other})" if n in a.detectors else n: part_b.detectors[n] for n in side_b}
    table = Table(part_a.ids, part_a.labels, part_a.columns, {**detectors, **theirs}, a.problems + b.problems)
    return table, [(x, y) for x in detectors for y in theirs]


@dataclass(frozen=True)
class Comparison:
    """What ``bench compare`` prints."""

    differences: Sequence[Difference]
    schema: str = "gioconda.comparison/1"


def render_comparison(found: Sequence[Difference], form: str) -> str:
    """Comparisons as ``json``, or as a line each."""
    if form == "json":
        return to_json(Comparison(found), indent=1) + "\n"
    return "\n".join(board.difference_lines(found)) + "\n"


def signed_name(path: Path) -> str:
    """``report.html`` → ``report.signed.zip``."""
    return path.stem + ".signed.zip"


def sign_report(path: Path, found: Benchmark, *, signer: str = "", force: bool = False) -> list[str]:
    """Content Credentials for a written report; returns what to tell the user.

    The SDK signs no HTML, not even beside it, so that page, document and table go into one ZIP that carries the
    credential: ``report.html`` → ``report.signed.zip``. Unzipped, the page is the one that was signed.
    """
    target = path.with_name(signed_name(path))
    version = found.environment.get("gioconda", "0")
    made = claims.Action(
        "c2pa.created", vocabulary.source_type("dataDrivenMedia"), software="gioconda", software_version=version
    )
    credential = claims.Credential(found.title, actions=(made,))
    parts = {
        path.name: path.read_text(encoding="utf-8"),
        f"{path.stem}.json": render(found, "json"),
        f"{path.stem}.csv": render(found, "csv"),
    }
    try:
        who = signers.from_spec(signer) if signer else signers.default()
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / target.name
            with zipfile.ZipFile(bundle, "w") as archive:
                for name, text in parts.items():
                    archive.writestr(zipfile.ZipInfo(name), text)  # stored: the SDK reads no other
            sign.sign_file(bundle, target, credential, signer=who, force=force)
    except GiocondaError as error:
        return [f"the report is not signed: {error}"]
    return [f"wrote {target.name}: the page, the document and the table, with Content Credentials"]
