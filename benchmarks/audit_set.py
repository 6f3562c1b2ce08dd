"""Is a labelled set fit to measure with? Leaks between splits, files that stand twice, encoder tells, shortcut probes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.stats import probes
from gioconda_core.datasets.index import Index
from gioconda_core.errors import GiocondaError
from gioconda_core.types import Label, Sample
from gioconda_core.words import counted
from gioconda_core.workers.pool import workers

SCHEMA = "gioconda.audit/1"
PROBE_SAMPLES = 5000  # clips the probes look at; taken by hash
_SHOWN = 20


class Look:
    """What a worker does: one clip's features for the probes, and its perceptual hash."""

    def __call__(self, task: Mapping[str, str], progress: object) -> dict[str, Any]:
        return look(task["path"])


def look(path: str) -> dict[str, Any]:
    """``features`` and ``phash`` of a clip, or an ``error``."""
    from gioconda_core.faces import observe
    from gioconda_core.media.clip import Clip
    from gioconda_core.media.fingerprint import perceptual

    try:
        with Clip.open(path) as clip:
            footage = observe.observe(clip, "even:5")
            return {
                "features": probes.features(footage, clip.facts.as_dict()),
                "phash": perceptual(footage.frames),
            }
    except (GiocondaError, OSError) as error:
        return {"error": error.what if isinstance(error, GiocondaError) else str(error)}


def _numeric(sample: Sample) -> int:
    return {Label.REAL: 0, Label.FAKE: 1}.get(sample.label, -1)


def audit(
    index: Index,
    *,
    near: int = 3,
    jobs: int = 1,
    look_at_clips: bool = True,
    resamples: int = 1000,
    seed: int = 0,
    advance: Callable[..., None] = lambda *a, **k: None,
) -> dict[str, Any]:
    """Everything that would make figures on this set mean less than they seem to.

    near : bits of 64 in which perceptual hashes of near-duplicates may differ. look_at_clips : decode for probes and hashes.
    """
    rows: dict[str, dict[str, Any]] = {}
    unread: list[dict[str, str]] = []
    samples = list(index.samples)
    if look_at_clips:
        chosen = sorted(samples, key=lambda s: s.sha256 or s.path)[:PROBE_SAMPLES]
        tasks = ({"name": s.path, "path": str(index.resolve(s))} for s in chosen)
        with workers("local", "benchmarks.audit_set:Look", {}, jobs) as pool:
            for task, found, failure in pool.map(tasks):
                if found is None or "error" in found:
                    unread.append({"path": task["name"], "why": found["error"] if found else str(failure)})
                else:
                    rows[task["name"]] = found
                advance(1)
        from dataclasses import replace

        samples = [replace(s, phash=s.phash or rows.get(s.path, {}).get("phash", "")) for s in samples]
        index = index.with_samples(samples)
    findings: list[dict[str, Any]] = []
    leaks = index.leaks(near)
    by_axis: dict[str, list[Any]] = defaultdict(list)
    for leak in leaks:
        by_axis[leak.axis].append(leak)
    for axis, found_leaks in by_axis.items():
        findings.append(
            {
                "kind": "leak",
                "axis": axis,
                "count": len(found_leaks),
                "sentence": _LEAKS.get(axis, f"splits share {axis}"),
                "examples": [asdict(leak) for leak in found_leaks[:_SHOWN]],
            }
        )
    findings += _doubles(samples)
    findings += _encoder_tells(samples, rows)
    probed: list[probes.Probe] = []
    if rows:
        seen = [s for s in samples if s.path in rows]
        probed = probes.run_probes(
            [rows[s.path]["features"] for s in seen],
            np.array([_numeric(s) for s in seen]),
            [s.identity for s in seen],
            [s.source for s in seen],
            resamples=resamples,
            seed=seed,
        )
        for p in probed:
            if p.solved:
                told = p.told + (f" ({p.tell})" if p.tell else "")
                findings.append({"kind": "shortcut", "axis": p.probe, "count": p.n, "sentence": told, "examples": []})
    document = {
        "schema": SCHEMA,
        "first_line": "",
        "samples": len(samples),
        "summary": index.summary(),
        "findings": findings,
        "probes": probed,
        "unread": unread[:_SHOWN],
        "unread_count": len(unread),
        "not_checked": _not_checked(samples),
    }
    document["first_line"] = _first_line(document)
    return document


_LEAKS = {
    "identity": "people are on both sides of a split: a detector can learn who, not what",
    "source": "source videos are on both sides of a split",
    "sha256": "the same file, or a fake and the real clip it was made from, is on both sides of a split",
    "essence": "the same decoded frames are on both sides of a split",
    "phash": "near-duplicates are on both sides of a split",
}


def _doubles(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Files that stand twice, and those whose labels then disagree."""
    by_hash: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.sha256:
            by_hash[sample.sha256].append(sample)
    twice = [group for group in by_hash.values() if len(group) > 1]
    torn = [group for group in twice if len({s.label for s in group}) > 1]
    out = []
    if torn:
        out.append(
            {
                "kind": "label",
                "axis": "sha256",
                "count": len(torn),
                "sentence": "the same file is labelled real and fake",
                "examples": [{"samples": [s.path for s in group[:3]]} for group in torn[:_SHOWN]],
            }
        )
    if len(twice) > len(torn):
        out.append(
            {
                "kind": "duplicate",
                "axis": "sha256",
                "count": len(twice) - len(torn),
                "sentence": "the same file stands in the index more than once",
                "examples": [{"samples": [s.path for s in g[:3]]} for g in twice if g not in torn][:_SHOWN],
            }
        )
    unlabelled = [s for s in samples if s.label == Label.UNKNOWN]
    if unlabelled:
        out.append(
            {
                "kind": "label",
                "axis": "label",
                "count": len(unlabelled),
                "sentence": "samples carry no label",
                "examples": [{"samples": [s.path]} for s in unlabelled[:3]],
            }
        )
    return out


def _encoder_tells(samples: Sequence[Sample], rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Container fields that tell real from fake, or one split from another."""
    seen = [s for s in samples if s.path in rows]
    facts = [rows[s.path]["features"]["metadata"] for s in seen]
    out = []

    def add(kind: str, sides: Any, keep: Any, told: str) -> None:
        chosen = [f for f, k in zip(facts, keep, strict=True) if k]
        counts = Counter(np.asarray(sides)[keep])
        if len(counts) == 2 and min(counts.values()) >= 5:
            found = probes.tells(chosen, np.asarray(sides)[keep])
            if found:
                fields = ", ".join(f["field"] for f in found[:4])
                out.append(
                    {
                        "kind": kind,
                        "axis": "encoder",
                        "count": len(found),
                        "sentence": f"{told}: {fields}",
                        "examples": found[:_SHOWN],
                    }
                )

    if seen:
        labels = np.array([str(s.label) for s in seen])
        add("tell", labels, np.isin(labels, ["real", "fake"]), "the container tells real from fake")
        splits = np.array([s.split for s in seen])
        for a, b in combinations(sorted({s for s in splits if s}), 2):
            add("split-tell", splits, np.isin(splits, [a, b]), f"the container tells {a} from {b}")
    return out


def _not_checked(samples: Sequence[Sample]) -> list[str]:
    """What could not be looked at, said plainly: an absent column is not a clean bill."""
    out = []
    for name, told in (
        ("identity", "identities are not given: shared people cannot be found"),
        ("source", "source videos are not given: shared sources cannot be found"),
        ("split", "no splits are given: nothing can leak between them"),
        ("sha256", "files are not hashed: exact duplicates cannot be found"),
    ):
        if not any(getattr(s, name) for s in samples):
            out.append(told)
    return out


def _first_line(document: Mapping[str, Any]) -> str:
    solved = [p for p in document["probes"] if p.solved]
    leaks = [f for f in document["findings"] if f["kind"] == "leak"]
    if solved:
        told = "; ".join(p.told for p in solved)
        return f"A shortcut solves this set, so figures on it may say little about fakes: {told}."
    if leaks:
        told = "; ".join(f"{leak['sentence']} ({leak['count']})" for leak in leaks)
        return f"The splits leak: {told}."
    if document["findings"]:
        return (
            f"{counted(len(document['findings']), 'finding')}: "
            + "; ".join(f["sentence"] for f in document["findings"])
            + "."
        )
    return "Nothing was found of what was looked for."


def to_text(document: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = [document["first_line"], ""]
    for finding in document["findings"]:
        lines.append(f"- [{finding['kind']}] {finding['sentence']} ({finding['count']})")
        for example in finding["examples"][:3]:
            if "value" in example:
                lines.append(
                    f"    {example['axis']} {example['value']}: {', '.join(example['splits'])}; {', '.join(example['samples'][:2])}"
                )
            elif "field" in example:
                lines.append(f"    {example['field']}: " + "; ".join(f"{k} {v}" for k, v in example["usual"].items()))
            else:
                lines.append(f"    {', '.join(example['samples'])}")
    if document["probes"]:
        lines += [
            "",
            "Probes (AUC on other identities; above {:.2f} the set counts as solved):".format(
                document["probes"][0].limit
            ),
        ]
        for p in document["probes"]:
            value = f"{p.value:.3f}" if p.value is not None else "refused"
            span = f" [{p.low:.3f}, {p.high:.3f}]" if p.low is not None else ""
            tail = f"  {p.reason}" if p.reason else ("  solves the set" if p.solved else "")
            lines.append(f"  {p.title:<26} {value}{span}{tail}")
    for told in document["not_checked"]:
        lines.append(f"Not checked: {told}")
    if document["unread_count"]:
        lines.append(
            f"Not read: {document['unread_count']} files, e.g. {document['unread'][0]['path']}: {document['unread'][0]['why']}"
        )
    return "\n".join(lines) + "\n"
