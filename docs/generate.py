"""Write the reference pages that are made from the code: commands from --help, exit codes from the enum.

``python docs/generate.py`` writes them; ``python docs/generate.py --check`` exits 1 if a page is not what would be written.
"""

import ast
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parent / "reference"
README = REFERENCE.parent.parent / "README.md"
CARD = README.parent / "MODEL_CARD.md"
BENCHMARK = README.parent / "benchmarks" / "report" / "benchmark.schema.json"
EVIDENCE = README.parent / "gioconda" / "report" / "evidence"


def _commands(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(child, [*path, name])


def cli_page() -> str:
    """Every command with its help text, arguments and options, from the same objects --help is made of."""
    import typer.main

    from gioconda.cli.app import app

    lines = ["# Commands", "", "Made from the command line's own help; `gioconda COMMAND --help` says the same.", ""]
    for path, command in _commands(typer.main.get_command(app), ["gioconda"]):
        lines += [f"{'#' * min(len(path) + 1, 4)} `{' '.join(path)}`", ""]
        text = inspect.cleandoc(command.help or "")
        body, _, example = text.partition("Example: ")
        lines += [body.strip(), ""]
        if example:
            lines += ["```console", *(f"$ {line.strip()}" for line in example.strip().splitlines()), "```", ""]
        rows = []
        for parameter in command.params:
            if parameter.name in {"help", "install_completion", "show_completion"}:
                continue
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            note = (getattr(parameter, "help", "") or "").strip()
            default = parameter.default
            shown = "" if default in (None, False, (), [], "") or callable(default) else f" Default: `{default}`."
            rows.append(f"| {names} | {note}{shown} |".replace("\n", " "))
        if rows:
            lines += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


EXIT_CODES = (
    "Every command ends with a number that a script can read (`echo $?` shows the last one): 0 where all went well, another where "
    "something is wrong with the call, a file or the program itself."
)


def exit_codes_page() -> str:
    """The exit codes, from the enum every command uses."""
    from gioconda_core.errors import ExitCode

    rows = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    return "\n".join(
        ["# Exit codes", "", EXIT_CODES, "", "| code | meaning |", "|---|---|", *rows, "", "3 beats 4; the JSON output carries both facts.",
         "A score alone never changes the exit code.", ""]
    )  # fmt: skip


def _types(kind: Any) -> dict[str, str]:
    """Each field of a dataclass with its type, as the code writes it."""
    import dataclasses

    written: dict[str, str] = {}
    for base in filter(dataclasses.is_dataclass, kind.__mro__):
        (tree,) = ast.parse(inspect.getsource(base)).body
        for node in tree.body:
            if isinstance(node, ast.AnnAssign):
                written.setdefault(ast.unparse(node.target), ast.unparse(node.annotation).strip("'"))
    return {item.name: written[item.name] for item in dataclasses.fields(kind)}


def _fields(kind: Any) -> list[str]:
    """A dataclass as a table: its first sentence, then each field."""
    rows = [f"| `{name}` | `{written.replace('|', 'or')}` |" for name, written in _types(kind).items()]
    return [inspect.cleandoc(kind.__doc__ or "").replace("``", "`"), "", "| field | type |", "|---|---|", *rows, ""]


def _named(module: str, name: str) -> Any:
    """What a module calls by this name, also where it imports it for the type checker alone; None for nothing."""
    from importlib import import_module

    if name in vars(sys.modules[module]):
        return vars(sys.modules[module])[name]
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        for given in node.names if isinstance(node, ast.ImportFrom) and node.module else ():
            if name == (given.asname or given.name):
                return getattr(import_module(node.module), given.name, None)
    return None


def documents_page() -> str:
    """The documents that commands print as JSON, from the dataclasses they are written from."""
    import dataclasses
    import pkgutil
    from importlib import import_module

    import gioconda.cli
    from gioconda.cli.build import Rows

    found: dict[str, Any] = {}
    listed: dict[str, tuple[str, Any]] = {}  # of commands that print rows: what is typed, and their declaration
    for module in pkgutil.iter_modules(gioconda.cli.__path__):
        for value in vars(import_module(f"gioconda.cli.{module.name}")).values():
            if isinstance(rows := getattr(value, "rows", None), Rows):
                listed[rows.schema] = value.path, rows
            if inspect.isclass(value) and dataclasses.is_dataclass(value):
                schema = {item.name: item.default for item in dataclasses.fields(value)}.get("schema")
                if isinstance(schema, str) and value.__module__.startswith("gioconda.cli"):
                    found[schema] = value
    from benchmarks.audit_set import SetAudit
    from benchmarks.report.report import Comparison
    from benchmarks.run.run import Outcome
    from gioconda.report.rows import Row  # a line of ``audit -o jsonl``, and of readings.jsonl
    from synth.fakes.make import Result
    from synth.fakes.prepare import Prepared

    found |= {kind.schema: kind for kind in (Row, Result, Prepared, Outcome, SetAudit, Comparison)}
    lines = [
        "# Documents",
        "",
        "What commands print with `--json` or `-o json`, from the dataclasses that are written.",
        "",
    ]
    for schema, kind in sorted({**found, **{schema: rows.kind for schema, (_, rows) in listed.items()}}.items()):
        lines += [f"## `{schema}`", ""]
        if schema in listed:
            path, rows = listed[schema]
            lines += [f"What `{path}` prints.", "", "| field | type |", "|---|---|"]
            lines += [f"| `{rows.field}` | `list[{kind.__name__}]` |", "| `schema` | `str` |", ""]
            lines += [f"Each `{kind.__name__}`:", "", *_fields(kind)]
            continue
        lines += _fields(kind)
        parts = (word for written in _types(kind).values() for word in re.findall(r"\w+", written))
        for name in dict.fromkeys(parts):
            known = (_named(base.__module__, name) for base in kind.__mro__)
            part = next(filter(None, known), None)
            if dataclasses.is_dataclass(part) and part is not kind:
                lines += [f"Each `{name}`:", "", *_fields(part)]
    lines += [
        "Four documents have a JSON Schema: [a report](report-schema.md), [two clips compared](comparison-schema.md), [a case](case-schema.md), "
        "and [the results of a benchmark](benchmark-schema.md).",
        "",
    ]
    return "\n".join(lines)


def schemas() -> dict[Path, str]:
    """The JSON Schemas that are made from dataclasses, by the file they are published as."""
    import json

    from benchmarks.report import document
    from gioconda.report.evidence import case, compare_pages

    made = {
        BENCHMARK: document,
        EVIDENCE / "case.schema.json": case,
        EVIDENCE / "comparison.schema.json": compare_pages,
    }
    return {path: json.dumps(module.schema(), indent=1) + "\n" for path, module in made.items()}


def _interval(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def _sealed(figure: dict[str, Any] | None) -> str:
    """What a card says of a set that nobody had trained on or chosen by."""
    if not figure:
        return "not yet measured"
    cue = f"; {figure['cue']} {figure['cue_value']:.2f}" if figure["cue"] else ""
    return f"**{_interval(figure)}** ({figure['date']}){cue}"


UNSEEN = "method, person and origin unseen"


def detectors_table() -> str:
    """The shipped detectors' figures on clips whose method, person and page they had not seen, from their own cards."""
    import json

    rows = []
    for card in sorted((README.parent / "detect" / "weights").glob("*/card.json")):
        about = json.loads(card.read_text(encoding="utf-8"))
        by = {e["protocol"]: e for e in about["evaluated"]}
        clean = by[f"{UNSEEN}; clean"]

        def told(what: str, by: dict[str, Any] = by) -> str:
            return _interval(by[f"{UNSEEN}; {what}"]) if f"{UNSEEN}; {what}" in by else "not measured"

        cue = about["unseen"]
        behind = about["cues"][cue["cue"]]["behind_by"]
        cells = [
            _sealed(about["sealed"]),
            told("clean"),
            f"{cue['cue']} {cue['cue_value']:.2f}; {behind['value']:+.2f} [{behind['low']:+.2f}, {behind['high']:+.2f}]",
            told("clean, 25 a second") + " / " + told("clean, near 30 a second"),
            told("h264-crf32"),
            f"{clean['reals']} / {clean['fakes']}",
            about["summary"],
        ]
        rows.append(f"| `{card.parent.name}` | {' | '.join(cells)} |")
    head = (
        "| detector | sealed set | AUC, method, person and page unseen | best trivial cue; how far above it | at 25 / near 30 frames a second "
        "| after CRF 32 | real / fake clips | what it looks at |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def skill_table() -> str:
    """The README's small table: what the shipped detector reaches on what it has not seen, and what a trivial cue does there."""
    import json

    about = json.loads((README.parent / "detect" / "weights" / "contrast" / "card.json").read_text(encoding="utf-8"))
    by = {e["protocol"]: e for e in about["evaluated"]}
    clean, compressed = by[f"{UNSEEN}; clean"], by[f"{UNSEEN}; h264-crf32"]
    rows = [
        ("on a set sealed from its makers", _sealed(about["sealed"])),
        ("on methods, people and pages unseen in training", _interval(clean)),
        ("all of these clips compressed again (H.264, CRF 32)", _interval(compressed)),
        (f"{about['unseen']['cue']} alone, on the same clips", f"{about['unseen']['cue_value']:.2f}"),
        ("the five detectors shipped before, sealed set", "0.54 [0.46, 0.62] (2026-11-29)"),
    ]
    return "\n".join(
        ["| `contrast`, AUC by clip; 0.5 is a coin | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    )


def _between(path: Path, name: str, table: str) -> str:
    """A page with this table where its markers are."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(begin, 1)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    return {
        README: _between(README, "skill", skill_table()),
        CARD: _between(CARD, "detectors", detectors_table()),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "exit-codes.md": exit_codes_page(),
        REFERENCE / "documents.md": documents_page(),
        **schemas(),
    }


def main() -> int:
    os.environ["NO_COLOR"] = "1"
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is not what the code says; run: python docs/generate.py", file=sys.stderr)
        return int(bool(stale))
    REFERENCE.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(REFERENCE.parent.parent))
    sys.exit(main())
