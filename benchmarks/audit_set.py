"""Checks whether a labelled set is fit to measure with: leaks between splits, files that stand twice, encoder tells, shortcut probes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.run.options import AuditSet
from benchmarks.run.rows import LABELS
from benchmarks.stats import probes
from benchmarks.stats.probes import Probe, Tell
from gioconda_core.datasets.index import Index, Leak, Summary
from gioconda_core.documents import plain
from gioconda_core.errors import GiocondaError
from gioconda_core.faces import observe
from gioconda_core.media.clip import Clip
from gioconda_core.media.fingerprint import perceptual
from gioconda_core.types import Label, Sample
from gioconda_core.words import counted
from gioconda_core.workers.pool import workers

PROBE_SAMPLES = 5000  # clips the probes look at; taken by hash
_SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """Something that makes figures on this set mean less. kind : leak, shortcut, tell, split-tell, label or duplicate. leaks, tells,
    files : examples, of the sort that the kind has."""

    kind: str
    axis: str
    count: int
    sentence: str
    leaks: tuple[Leak, ...] = ()
    tells: tuple[Tell, ...] = ()
    files: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Unread:
    """A file that could not be read."""

    path: str
    why: str


@dataclass(frozen=True)
class SetAudit:
    """What ``bench audit`` prints. summary : counts by label, split…; unread : the first of ``unread_count`` files that could not be
    read; not_checked : what the index does not say."""

    first_line: str
    samples: int
    summary: Summary
    findings: tuple[Finding, ...]
    probes: tuple[Probe, ...]
    unread: tuple[Unread, ...]
    unread_count: int
    not_checked: tuple[str, ...]
    schema: str = "gioconda.set-audit/1"


@dataclass(frozen=True)
class _Clip:
    """What is looked at. name : in the index."""

    name: str
    path: str


@dataclass(frozen=True)
class Examined:
    """What was found of a clip: its features for the probes, its hash and its perceptual hash, or an error."""

    features: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    phash: str = ""
    error: str = ""


class Examine:
    """What a worker does: one clip's features for the probes and its hashes, or why there are none."""

    def __call__(self, task: _Clip, progress: object) -> Examined:
        try:
            with Clip.open(task.path) as clip:
                footage = observe.observe(clip, "even:5")
                features = probes.features(footage, plain(clip.facts))
                return Examined(features, clip.sha256, perceptual(footage.frames))
        except (GiocondaError, OSError) as error:
            return Examined(error=error.what if isinstance(error, GiocondaError) else str(error))


def audit(index: Index, job: AuditSet | None = None, advance: Callable[..., None] = lambda *a, **k: None) -> SetAudit:
    """Everything that would make figures on this set mean less than they seem to. advance : called for each clip that was looked at."""
    job = job or AuditSet()
    rows: dict[str, Examined] = {}
    unread: list[Unread] = []
    if job.probes:
        rows, unread = _examine_all(index, max(1, job.jobs), advance)
        known = [(s, rows.get(s.path, Examined())) for s in index]
        index = index.with_samples(
            [replace(s, sha256=s.sha256 or own.sha256, phash=s.phash or own.phash) for s, own in known]
        )
    samples = list(index.samples)
    seen = [s for s in samples if s.path in rows]
    probed: list[Probe] = []
    if seen:
        probed = probes.run_probes(
            [rows[s.path].features for s in seen],
            np.array([LABELS.get(s.label, -1) for s in seen]),
            [s.identity for s in seen],
            [s.source for s in seen],
            resamples=job.resamples,
            seed=job.seed,
        )
    findings = [*_leaks(index.leaks(job.near)), *_doubles(samples)]
    findings += _encoder_tells(seen, [rows[s.path].features["metadata"] for s in seen])
    for p in probed:
        if p.solved:
            sentence = p.told + (f" ({p.tell})" if p.tell else "")
            findings.append(Finding("shortcut", p.probe, p.n, sentence))
    return SetAudit(
        _first_line(probed, findings, len(rows), len(unread)), len(samples), index.summary(), tuple(findings), tuple(probed),
        tuple(unread[:_SHOWN]), len(unread), tuple(_not_checked(samples, job.probes)),
    )  # fmt: skip


def _examine_all(index: Index, jobs: int, advance: Callable[..., None]) -> tuple[dict[str, Examined], list[Unread]]:
    """What workers found of each clip, by path, and what could not be read."""
    rows: dict[str, Examined] = {}
    unread = []
    chosen = sorted(index.samples, key=lambda s: s.sha256 or s.path)[:PROBE_SAMPLES]
    tasks = (_Clip(s.path, str(index.resolve(s))) for s in chosen)
    with workers("local", "benchmarks.audit_set:Examine", {}, jobs, Examined) as pool:
        for task, found, failure in pool.map(tasks):
            if found is None or found.error:
                unread.append(Unread(task.name, found.error if found else str(failure)))
            else:
                rows[task.name] = found
            advance(1)
    return rows, unread


_LEAKS = {
    "identity": "people are on both sides of a split: a detector can learn who, not what",
    "source": "source videos are on both sides of a split",
    "sha256": "the same file, or a fake and the real clip it was made from, is on both sides of a split",
    "essence": "the same decoded frames are on both sides of a split",
    "phash": "near-duplicates are on both sides of a split",
}


def _leaks(leaks: Sequence[Leak]) -> list[Finding]:
    by_axis: dict[str, list[Leak]] = defaultdict(list)
    for leak in leaks:
        by_axis[leak.axis].append(leak)
    return [
        Finding("leak", axis, len(own), _LEAKS.get(axis, f"splits share {axis}"), leaks=tuple(own[:_SHOWN]))
        for axis, own in by_axis.items()
    ]


def _doubles(samples: Sequence[Sample]) -> list[Finding]:
    """Files that stand twice, those whose labels then disagree, and labels that are missing."""
    by_hash: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_hash[sample.sha256 or sample.path].append(sample)
    twice = [group for group in by_hash.values() if len(group) > 1]
    torn = [group for group in twice if len({s.label for s in group}) > 1]
    unlabelled = [[s] for s in samples if s.label == Label.UNKNOWN]
    absent = [label for label in (Label.REAL, Label.FAKE) if not any(s.label == label for s in samples)]
    one_sided = [
        Finding("label", "label", 0, f"no clip is labelled {label}: nothing can be measured on this set")
        for label in absent
    ]
    return one_sided + [
        Finding(kind, axis, len(groups), sentence, files=tuple(tuple(s.path for s in g[:3]) for g in groups[:_SHOWN]))
        for kind, axis, groups, sentence in (
            ("label", "sha256", torn, "the same file carries different labels"),
            (
                "duplicate",
                "sha256",
                [g for g in twice if g not in torn],
                "the same file stands in the index more than once",
            ),
            ("label", "label", unlabelled, "samples carry no label"),
        )
        if groups
    ]


def _encoder_tells(seen: Sequence[Sample], facts: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Container fields that tell real from fake, or one split from another."""
    out = []

    def add(kind: str, sides: Any, keep: Any, told: str) -> None:
        chosen = [f for f, k in zip(facts, keep, strict=True) if k]
        counts = Counter(sides[keep])
        found = probes.tells(chosen, sides[keep]) if len(counts) == 2 and min(counts.values()) >= 5 else []
        if found:
            fields = ", ".join(t.field for t in found[:4])
            out.append(Finding(kind, "encoder", len(found), f"{told}: {fields}", tells=tuple(found[:_SHOWN])))

    if seen:
        labels = np.array([str(s.label) for s in seen])
        add("tell", labels, np.isin(labels, ["real", "fake"]), "the container tells real from fake")
        splits = np.array([s.split for s in seen])
        for a, b in combinations(sorted({s for s in splits if s}), 2):
            add("split-tell", splits, np.isin(splits, [a, b]), f"the container tells {a} from {b}")
    return out


def _not_checked(samples: Sequence[Sample], opened: bool) -> list[str]:
    """What could not be looked at, said plainly: an absent column is not a clean bill."""
    out = [] if opened else ["clips are not opened (--no-probes): shortcuts and traces of encoders cannot be found"]
    for name, sentence in (
        ("identity", "identities are not given: shared people cannot be found"),
        ("source", "source videos are not given: shared sources cannot be found"),
        ("split", "no splits are given: nothing can leak between them"),
        ("sha256", "files are not hashed: exact duplicates cannot be found"),
    ):
        lacking = sum(not getattr(s, name) for s in samples)
        if lacking == len(samples):
            out.append(sentence)
        elif lacking and name == "sha256":
            out.append(f"{lacking:,} of the {len(samples):,} {sentence}")
    return out


def _first_line(probed: Sequence[Probe], findings: Sequence[Finding], read: int, unread: int) -> str:
    leaks = [f"{f.sentence} ({f.count})" for f in findings if f.kind == "leak"]
    if solved := probes.warning(probed):
        return solved
    if leaks:
        return f"The splits leak: {'; '.join(leaks)}."
    if findings:
        return f"{counted(len(findings), 'finding')}: " + "; ".join(f.sentence for f in findings) + "."
    if unread:
        where = f"in {read:,} of the {read + unread:,} clips; the others" if read else "in the list; the clips"
        return f"Nothing was found {where} could not be read."
    return "Nothing was found of what was looked for."


def to_text(document: SetAudit) -> str:
    """For a terminal."""
    lines = [document.first_line, ""] if document.findings else [document.first_line]
    for finding in document.findings:
        lines.append(f"- [{finding.kind}] {finding.sentence}" + (f" ({finding.count})" if finding.count else ""))
        for leak in finding.leaks[:3]:
            lines.append(f"    {leak.axis} {leak.value}: {', '.join(leak.splits)}; {', '.join(leak.samples[:2])}")
        for tell in finding.tells[:3]:
            lines.append(f"    {tell.field}: " + "; ".join(f"{k} {v}" for k, v in tell.usual.items()))
        lines += [f"    {', '.join(files)}" for files in finding.files[:3]]
    if document.probes:
        limit = document.probes[0].limit
        lines += ["", f"Probes (AUC on other identities; above {limit:.2f} the set counts as solved):"]
    for p in document.probes:
        value = f"{p.value:.3f}" if p.value is not None else "refused"
        span = f" [{p.low:.3f}, {p.high:.3f}]" if p.low is not None else ""
        tail = f"  {p.reason}" if p.value is None else "  solves the set" if p.solved else ""
        lines.append(f"  {p.title:<26} {value}{span}  {counted(p.n, 'clip')}{tail}")
    lines += dict.fromkeys(f"  no interval: {p.reason}" for p in document.probes if p.reason and p.value is not None)
    lines += [f"Not checked: {sentence}" for sentence in document.not_checked]
    if document.unread:
        first = document.unread[0]
        lines.append(f"Not read: {counted(document.unread_count, 'file')}, e.g. {first.path}: {first.why}")
    return "\n".join(lines) + "\n"
