"""An audit from start to end: find the files, pass over what was done before, hand the rest to workers, keep their rows, write the tables."""

import contextlib
import hashlib
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from detect import registry
from gioconda.audit import tables
from gioconda.audit.baseline import Baseline
from gioconda.audit.journal import Journal, content_key, member_of, rows_of
from gioconda.audit.summary import Summary
from gioconda.audit.walk import LINKS, Filter, Walk
from gioconda.audit.work import Answer, Orders, Task
from gioconda.report import rows
from gioconda.report.options import Detectors, Lang, OwnKey, Sampled, TrustLists
from gioconda.report.requirements import DECLARED_AI, Policy
from gioconda_core.errors import ResourceError, UsageError
from gioconda_core.files import path_text, sha256_of, write_json
from gioconda_core.media.suffixes import is_archive_name
from gioconda_core.options import Engine, Option, argument, check, size
from gioconda_core.options import shard as parse_shard
from gioconda_core.reasons import PassedOver
from gioconda_core.version import __version__, installed
from gioconda_core.workers.cpu import cores
from gioconda_core.workers.pool import Failure, Result, Sharing, workers
from provenance.trust import lists as trust

TARGET = "gioconda.audit.work:Work"


@dataclass
class Audit:
    """Files and folders to audit into ``out``.

    detectors : None = shipped, () = credentials only. shard : (i, n), 1-based. report : called about twice a second with (Summary so far, total or None).
    """

    roots: Annotated[Iterable[str], argument("Folders and files.", "PATH…")] = ()
    out: Annotated[str | os.PathLike[str], Option("Where rows and tables go; run again to resume.", parse=str)] = (
        "gioconda-audit"
    )
    detectors: Detectors = None
    jobs: Annotated[int, Option("Worker processes; default one a core.", short="-j", minimum=1, unset=cores)] = 1
    engine: Engine = "local"
    shard: Annotated[
        tuple[int, int], Option("Only the I-th of N parts of the paths.", metavar="I/N", parse=parse_shard, shown="1/1")
    ] = (1, 1)
    every: Annotated[bool, Option("Every file, whatever its suffix.", flag="--all")] = False
    policy: Policy = field(default_factory=Policy)
    merge: Annotated[bool, Option("The paths are outputs of audits, such as shards: put their rows together.")] = False
    exclude: Annotated[
        tuple[str, ...], Option("Leave out what matches, as in .gitignore.", metavar="GLOB", repeat=True)
    ] = ()
    include: Annotated[tuple[str, ...], Option("Only files that match.", metavar="GLOB", repeat=True)] = ()
    max_size: Annotated[
        int | None, Option("Pass over larger files: bytes, or 500MB, 2GB.", metavar="SIZE", parse=size, minimum=0)
    ] = None
    one_file_system: Annotated[bool, Option("Do not enter folders on other file systems.")] = False
    links: Annotated[
        str, Option("Follow links to files inside a root, never, or all: anywhere, folders too.", choices=LINKS)
    ] = "inside"
    archives: Annotated[bool, Option("Look into ZIP and tar archives too: a row for each clip and picture inside.")] = (
        False
    )
    baseline: Annotated[
        str | None, Option("TOML of accepted findings, each with its reason and its end.", metavar="FILE")
    ] = None
    trust: TrustLists = ()
    development: OwnKey = False
    lang: Lang = "en"
    timeout: Annotated[float, Option("Seconds one file may take.", minimum=0.1)] = 900.0
    sampling: Sampled = None
    formats: Sequence[str] = ("parquet", "csv", "sarif", "junit", "html")
    report: Callable[[Summary, int | None], None] | None = None

    def __post_init__(self) -> None:
        check(self)
        i, n = self.shard
        if not 1 <= i <= n:
            raise UsageError(f"no shard {i} of {n}", where="--shard", hint="i/n with 1 ≤ i ≤ n, such as 1/4")
        self._filter = Filter(tuple(self.exclude), tuple(self.include), self.max_size, self.one_file_system, self.links)
        self._baseline = Baseline.read(self.baseline) if self.baseline else Baseline()
        if self.trust:  # one that cannot be read stops the audit before it begins
            trust.load(self.trust, stored=False)
        self._total: int | None = None
        self._told = 0.0

    @property
    def folder(self) -> Path:
        """Where this shard's rows and tables go."""
        i, n = self.shard
        return Path(self.out, f"shard-{i}-of-{n}") if n > 1 else Path(self.out)

    def configuration(self) -> dict[str, Any]:
        """What a row depends on beside the file: under another configuration files are examined anew."""
        return {
            # Of what reads files: another release of any may see more in the same bytes.
            "versions": {"gioconda": __version__} | installed("c2pa-python", "av", "pillow", "pillow-heif"),
            "detectors": self._weights(),
            "sampling": self.sampling,
            "trust": [sha256_of(Path(trust.kind_of(item)[1])) for item in self.trust],
            "development": self.development,
            "stored": sorted(item.sha256 for item in trust.load(development=False).lists),
            "lang": self.lang,
            "schema": rows.Row.schema,
            "declared": self._declared(),
            "archives": self._walk((), ()).wanted if self.archives else None,
        }

    def _walk(self, roots: Sequence[str], exclude: tuple[str, ...]) -> Walk:
        return Walk(tuple(roots), self.every, exclude, self.shard, self._filter, self.archives)

    def _declared(self) -> bool:
        """Whether a policy asks for the marks of AI in metadata, which are then read also where no picture is opened."""
        return self.policy.fail_on == DECLARED_AI

    def _weights(self) -> list[str]:
        """Detector names with the hashes of their weights, card and calibration, shipped or named after the colon, read without loading a network."""
        found = []
        for name in registry.shipped() if self.detectors is None else self.detectors:
            _, base, chosen = registry.parse(name)
            target = Path(chosen or registry.WEIGHTS / base)
            if target.is_dir():
                files = sorted(p for p in target.iterdir() if p.suffix in (".safetensors", ".json", ".toml"))
            else:
                files = [p for p in (target, target.with_suffix(".toml"), target.with_suffix(".json")) if p.is_file()]
            found.append(" ".join([name, *map(sha256_of, files)]))
        return found

    def run(self) -> Summary:
        """Audit; what was done before is not done again. Ctrl-C leaves a folder from which the same call goes on."""
        start = time.monotonic()
        self._journal, self._summary = Journal(self.folder), Summary()
        self._lost: list[Task] = []
        try:
            if self.merge:
                self._merge()
            else:
                self._examine()
            self._finish()
        finally:
            self._journal.close()
        self._summary.seconds = round(time.monotonic() - start, 3)
        return self._summary

    def _merge(self) -> None:
        """Take over the rows of other audits' last runs, a path's last one where several have it, and what the rows depended on."""
        journal, summary = self._journal, self._summary
        self._body: dict[str, Any] = {}
        for folder in map(Path, self.roots):
            with contextlib.suppress(OSError, ValueError):
                self._body |= json.loads((folder / "configurations.json").read_text("utf-8"))
            for row in rows_of(folder):
                summary.seen += journal.first(row.path)
                if journal.same(row):
                    summary.resumed += 1
                else:
                    summary.copied += 1
                    journal.append(row)
                self._tell()
        write_json(self.folder / "configurations.json", self._body)

    def _examine(self) -> None:
        """Find the files, and keep a row of each."""
        self._config = self._remember()
        walk = self._walk(tuple(self.roots), (os.path.realpath(self.out),))
        self._summary.skipped = walk.skipped
        self._count(walk)
        threading.Thread(target=tables.prepare, args=(self.formats,)).start()
        for result in self._answers(self._todo(walk)):
            self._keep(*result)
            self._tell()
        self._journal.commit()
        for result in self._answers(iter(self._lost), anew=True):
            self._keep(*result)

    def _count(self, walk: Walk) -> None:
        """Count files beside the work, so that time left can be told."""
        other = replace(walk, skipped={})

        def count() -> None:
            self._total = sum(1 for _ in other)

        if self.report is not None:
            threading.Thread(target=count, daemon=True).start()

    def _todo(self, walk: Walk) -> Iterator[Task]:
        journal, summary = self._journal, self._summary
        for found in walk:
            name = path_text(found.path)
            if not journal.first(name):
                walk.skip(PassedOver.NAMED_TWICE)
                continue
            summary.seen += 1
            done = journal.done(name, found.size, found.mtime_ns, found.aside, self._config)
            archive = self.archives and is_archive_name(found.path)
            if done and archive:
                inside = journal.inside(name, found.size, found.mtime_ns, self._config)
                done = inside is not None
                if inside is not None:
                    self._inside(*inside)
                    summary.resumed += inside[0]
            if done:
                summary.resumed += 1
                self._tell()
                continue
            summary.renewed += done is None
            yield Task(os.path.abspath(found.path), name, found.size, found.mtime_ns, found.aside, archive)

    def _inside(self, count: int, skipped: Mapping[str, int]) -> None:
        """Count what an archive holds as files that were seen."""
        self._summary.seen += count
        for why, n in skipped.items():
            self._summary.skipped[why] = self._summary.skipped.get(why, 0) + n

    def _answers(self, todo: Iterator[Task], *, anew: bool = False) -> Iterator[Result[Task, Answer]]:
        first = next(todo, None)
        if first is None:  # nothing to do: no worker is started
            return
        only_credentials = self.detectors is not None and not self.detectors
        # Not where a detector looks its scores up by path.
        by_content = not any(registry.parse(name)[1] == "scores" for name in self.detectors or ())
        orders = Orders(
            None if self.detectors is None else list(self.detectors),
            list(self.trust),
            self.development,
            self.lang,
            self.sampling,
            self.timeout / 2,
            os.path.abspath(self._journal.index) if by_content and not anew else None,
            self._config,
            self._declared(),
            self._walk((), ()).wanted,
        )
        # Hashing a large file waits for the disk as often as for the processor: while one worker of a core waits, another hashes.
        depth, readers = (64, 2 * self.jobs) if only_credentials else (1, 0)
        limits = Sharing(self.timeout, apart=True, depth=depth, readers=readers)
        with workers(self.engine, TARGET, vars(orders), self.jobs, Answer, limits) as pool:
            yield from pool.map(itertools.chain([first], todo))

    def _keep(self, task: Task, answer: Answer | None, failure: Failure | None) -> None:
        journal, summary, config = self._journal, self._summary, self._config
        row = answer.row if answer is not None else None
        if answer is not None and row is None:
            key = content_key(answer.known, answer.sidecar, task.shown)
            if journal.touch(task.shown, key, task.size, task.mtime_ns, task.aside, config):
                summary.copied += 1
                return
            row = journal.content(key, config)
            if row is None:  # the file whose row it was has changed since the worker asked
                self._lost.append(task)
                return
            summary.copied += 1
        else:
            summary.examined += 1
            row = row or rows.error_row(task.shown, str(failure), size=task.size if task.size >= 0 else None)
        if answer is not None and row.members is not None:
            self._inside(len(answer.inside), row.skipped or {})
            summary.examined += len(answer.inside)
            for member in answer.inside:  # before the archive's own, which says that they are there
                summary.failed += bool(member.error)
                aside = member_of(task.size)
                journal.append(replace(member, mtime_ns=task.mtime_ns, aside=aside, config=config))
        summary.failed += bool(row.error)
        journal.append(replace(row, path=task.shown, mtime_ns=task.mtime_ns, aside=task.aside, config=config))

    def _tell(self) -> None:
        now = time.monotonic()
        if self.report is not None and now - self._told > 0.5:
            self._told = now
            self.report(self._summary, self._total)

    def _finish(self) -> None:
        """Count what the rows say, and write the tables."""
        journal, summary = self._journal, self._summary
        detectors: set[str] = set()
        levels, states, failed = Counter[str](), Counter[str](), 0
        for row in journal.rows():
            levels[row.level] += 1
            states[tables.state_of(row)] += 1
            failed += bool(row.error)
            detectors.update(row.detectors)
            for fault in tables.findings(self.policy, row):
                if self._baseline.accepts(row, fault) is not None:
                    summary.accepted += 1
                    summary.accepted_errors += fault == "error"
            if why := tables.tripped(self.policy, self._baseline, row):
                summary.tripped += 1
                if len(summary.tripped_first) < 1000:
                    summary.tripped_first.append(f"{row.path}: {'; '.join(map(str, why))}")
        if states.total() != summary.seen:
            what = f"{summary.seen:,} files have {states.total():,} rows"
            raise ResourceError(what, str(journal.path), "run again; tables were not written")
        # A row that cannot be read back is a failure.
        summary.levels, summary.states, summary.failed = dict(sorted(levels.items())), dict(states), failed
        summary.notes = self._baseline.notes()
        told = self.lang, sorted(detectors), self.policy, self._baseline, self.shard, self._body
        summary.files = tables.write(tables.Job(journal, self.folder, summary, *told), self.formats)

    def _remember(self) -> str:
        """The name of this run's configuration, kept with what it stands for beside the rows; says what is another than last time."""
        body = self._body = self.configuration()
        name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
        file = self.folder / "configurations.json"
        try:
            known = json.loads(file.read_text("utf-8"))
            last = known[next(reversed(known))]
        except (OSError, ValueError, StopIteration, TypeError, KeyError, AttributeError):
            known, last = {}, {}
        self._summary.because = [key for key in body if last and body[key] != last.get(key)]
        known.pop(name, None)
        write_json(file, known | {name: body})
        return name
