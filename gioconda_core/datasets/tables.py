"""The one reader of tables that people send: lists of clips and tables of scores, as CSV of any dialect or as Parquet.

Read are commas, semicolons, tabs and bars; Excel's ``sep=`` line; UTF-8, UTF-16 with and without its mark, and what Excel on Windows
writes; every kind of line end; gzip; Parquet with numbers, truth values and nulls. A cell becomes text once, here, so that a label
``1``, ``1.0``, ``True`` and ``FAKE`` mean the same whichever program wrote them. What cannot be read is named by row and column.
"""

import csv
import gzip
import io
import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import read_bytes, sha256_of
from gioconda_core.types import Label, Sample

LIMIT = 2 << 30  # bytes of a table once unpacked; a table of scores of ten million clips is smaller
CELL = 1 << 17  # characters of one cell

# What other programs call a column; the first name is ours.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "video_path", "image_path"),
    "label": ("label", "labels", "target", "ground_truth", "y_true", "is_fake", "class"),
    "id": ("id", "sample_id", "clip_id", "video_id", "sample", "clip"),
    "score": ("score", "scores", "prediction", "pred", "y_score", "probability", "prob"),
    "identity": ("identity", "identity_id", "person", "subject", "speaker"),
    "source": ("source", "source_id", "source_video"),
    "generator": ("generator", "method", "manipulation"),
    "split": ("split", "partition", "subset"),
    "unit": ("unit", "modality"),
}
_REAL = {"real", "genuine", "authentic", "original", "pristine", "bonafide", "bona-fide", "false"}
_FAKE = {"fake", "deepfake", "synthetic", "generated", "manipulated", "spoof", "true"}
_UNKNOWN = {"", "unknown", "?", "na", "n/a", "nan", "none", "null"}
_BLANK = {"", "na", "n/a", "#n/a", "none", "null", "-", "–"}


@dataclass(frozen=True)
class BadCell:
    """One cell that cannot be read. row : as the program that wrote the table counts lines, the header being 1."""

    row: int
    column: str
    what: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.what}"


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table as text, by column.

    names : the header as written, without blanks around. cells : name → one text a row, blanks around taken off. rows : the number
    of each row. decimal_comma : a comma in a number is a decimal one. encoding : what it was read as; ``guessed`` where neither a
    mark nor valid UTF-8 says so. nested : columns that hold lists or structures; their cells are JSON.
    """

    file: str
    names: tuple[str, ...]
    cells: Mapping[str, list[str]]
    rows: Sequence[int]
    sha256: str
    encoding: str = "utf-8"
    guessed: bool = False
    decimal_comma: bool = False
    nested: frozenset[str] = frozenset()
    ragged: tuple[int, ...] = ()
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def named(self, wanted: str) -> str | None:
        """The column that is called ``wanted``, or as others call it, whatever its capitals; None where there is none.

        Raises
        ------
        UsageError
            Two columns may be meant and do not say the same.
        """
        names = ALIASES.get(wanted, (wanted,))
        found = [n for alias in names for n in self.names if _plain(n) == alias]
        if wanted == "label" and len(found) > 1:
            for row, values in zip(self.rows, zip(*(self.cells[n] for n in found), strict=True), strict=True):
                known = {label_of(v) for v in values} - {-1, None}
                if len(known) > 1:
                    readings = ", ".join(f"{n} {v!r}" for n, v in zip(found, values, strict=True))
                    raise UsageError(
                        f"row {row}: two columns name the label and contradict each other: {readings}", where=self.file
                    )
        return found[0] if found else None

    def column(self, wanted: str) -> list[str]:
        """The texts of that column; empty ones where it is not there."""
        name = self.named(wanted)
        return [""] * len(self.rows) if name is None else self.cells[name]

    def refuse_guess(self) -> None:
        """Refuse a table whose encoding had to be guessed, where names of files are taken from it."""
        if self.guessed:
            raise UsageError("is not UTF-8 text", where=self.file, hint="save it as UTF-8: names could be misread")

    def needs(self, *wanted: str) -> None:
        """Refuse a table that lacks one of these columns, or has no rows."""
        missing = [w for w in wanted if self.named(w) is None]
        if missing:
            columns = ", ".join(self.names[:12]) or "nothing"
            raise UsageError(f"needs the columns {' and '.join(missing)}", where=self.file, hint=f"it has {columns}")
        if not self.rows:
            raise UsageError("has a header and no rows", where=self.file)
        for name in (self.named(w) for w in wanted):
            if name in self.nested:
                raise UsageError(f"column {name} holds lists or structures, not plain cells", where=self.file)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def refuse(file: str, bad: Sequence[BadCell]) -> None:
    """One error that names the cells that cannot be read, where there are any."""
    if bad:
        more = f", and {len(bad) - 5:,} more" if len(bad) > 5 else ""
        raise UsageError("; ".join(map(str, bad[:5])) + more, where=file)


# --------------------------------------------------------------------------- cells


def number_of(text: str, decimal_comma: bool = False) -> float | None:
    """``0.53``, ``0,53`` (where commas are decimal), ``53 %``, ``1.234,5`` → number; None for an empty cell.

    Raises
    ------
    ValueError
        The text is no number. NaN and infinities are numbers to this function.
    """
    plain = text.strip().replace("\u00a0", "").replace("\u202f", "")
    if plain.lower() in _BLANK:
        return None
    try:
        return float(plain)
    except ValueError:
        pass
    share = plain.endswith("%")
    plain = plain.rstrip("%").strip().replace("\u2212", "-")
    if decimal_comma and "," in plain:
        plain = (
            plain.replace(".", "").replace(",", ".") if plain.rfind(",") > plain.rfind(".") else plain.replace(",", "")
        )
    value = float(plain)
    return value / 100 if share else value


def label_of(text: str, decimal_comma: bool = False) -> int | None:
    """1 fake, 0 real, −1 not known, None for a text that is no label."""
    word = text.strip().lower()
    if word in _REAL:
        return 0
    if word in _FAKE:
        return 1
    if word in _UNKNOWN:
        return -1
    try:
        value = number_of(word, decimal_comma)
    except ValueError:
        return None
    return {0.0: 0, 1.0: 1, -1.0: -1, None: -1}.get(value)


def path_of(text: str) -> str:
    """A path as this system writes it: ``set\\real\\a.mp4`` from Windows becomes ``set/real/a.mp4``."""
    if os.sep == "/" and "\\" in text and "/" not in text:
        return text.replace("\\", "/")
    return text


# --------------------------------------------------------------------------- files


def read_sheet(path: str | os.PathLike[str]) -> Sheet:
    """Read a table: CSV of any dialect, plain or gzipped, or Parquet.

    Raises
    ------
    MediaError
        The file cannot be read, or is no readable Parquet file. UsageError: it is empty, too large, or no table.
    """
    file = Path(path)
    try:
        raw = read_bytes(file, LIMIT)
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror or error}", where=str(file)) from error
    sha256 = sha256_of(raw)
    if raw[:4] == b"PAR1" or file.suffix.lower() in (".parquet", ".pq"):
        return _parquet(file, sha256)
    if raw[:2] == b"\x1f\x8b":
        raw = _unpacked(raw, str(file))
    text, encoding, guessed = _decoded(raw)
    return _csv(text, str(file), sha256, encoding, guessed)


def _unpacked(raw: bytes, where: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(raw)) as packed:
            out = packed.read(LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MediaError(f"cannot be unpacked: {error}".lower(), where=where) from error
    if len(out) > LIMIT:
        raise UsageError("is larger than 2 GiB unpacked", where=where, hint="leave out the columns that are not needed")
    return out


def _decoded(raw: bytes) -> tuple[str, str, bool]:
    """(text, encoding, guessed): by byte-order mark, by where zero bytes lie, as UTF-8, then as Excel on Windows writes."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace"), encoding, False
    head = raw[:200]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 3 and zeros.count(0) > 0.6 * len(zeros):
            return raw.decode(encoding, errors="replace"), encoding, False
    try:
        return raw.decode("utf-8"), "utf-8", False
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), "cp1252", True


def _csv(text: str, where: str, sha256: str, encoding: str, guessed: bool) -> Sheet:
    text = text.lstrip("\ufeff")
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # Excel's own line, which says what separates
        delimiter, text, skipped = first.strip()[4:5] or "\t", rest, 1
    else:
        head = text.replace("\r", "\n").lstrip("\n").split("\n", 1)[0]
        delimiter = max(",;\t|", key=head.count)
    csv.field_size_limit(CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    names: tuple[str, ...] | None = None
    records: list[list[str]] = []
    rows: list[int] = []
    ragged: list[int] = []
    try:
        for record in reader:
            cells = [c.strip() for c in record]
            if not any(cells):
                continue
            if names is None:
                while cells and not cells[-1]:  # a separator at the end of each line
                    cells.pop()
                names = tuple(cells)
                continue
            line = reader.line_num + skipped
            extra = cells[len(names) :]
            if len(cells) < len(names) or any(extra):
                ragged.append(line)
            records.append((cells + [""] * len(names))[: len(names)])
            rows.append(line)
    except csv.Error as error:
        problem = str(error)
        if "field larger" in problem:
            problem = f"a cell of more than {CELL:,} characters"
        raise UsageError(
            f"line {reader.line_num + skipped}: {problem}", where=where, hint="is a quotation mark left open?"
        ) from None
    if names is None:
        raise UsageError("is empty", where=where)
    twice = next((n for i, n in enumerate(names) if n and n in names[:i]), None)
    if twice:
        raise UsageError(f"column {twice!r} is there twice", where=where)
    cells_of = {n: [r[i] for r in records] for i, n in enumerate(names) if n}
    return Sheet(
        where,
        tuple(n for n in names if n),
        cells_of,
        rows,
        sha256,
        encoding,
        guessed,
        delimiter != ",",
        ragged=tuple(ragged),
    )


def _parquet(file: Path, sha256: str) -> Sheet:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(file)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise MediaError("is not a readable Parquet file", where=str(file)) from error
    cells: dict[str, list[str]] = {}
    nested = set()
    for name, column in zip(table.column_names, table.columns, strict=True):
        key = name.strip()
        if not key or key.startswith("__index_level_"):  # pandas writes its index along
            continue
        if pyarrow.types.is_nested(column.type):
            nested.add(key)
        cells[key] = _texts(column.to_pylist())
    return Sheet(
        str(file), tuple(cells), cells, range(1, table.num_rows + 1), sha256, "parquet", nested=frozenset(nested),
        metadata=dict(table.schema.metadata or {}),
    )  # fmt: skip


def _texts(values: Iterable[Any]) -> list[str]:
    """Cells of any type as text: nulls empty, whole floats as they are counted (7.0 → 7), structures as JSON."""
    out = []
    for value in values:
        if value is None:
            out.append("")
        elif isinstance(value, str):
            out.append(value.strip())
        elif isinstance(value, float):
            whole = math.isfinite(value) and value == int(value) and abs(value) < 2**53
            out.append(str(int(value)) if whole else repr(value))
        elif isinstance(value, bytes):
            out.append(value.decode("utf-8", errors="replace"))
        elif isinstance(value, dict | list | tuple):
            out.append(json.dumps(value, ensure_ascii=False, default=str))
        else:
            out.append(str(value))
    return out


# --------------------------------------------------------------------------- lists of clips

_LABEL = {0: Label.REAL, 1: Label.FAKE, -1: Label.UNKNOWN}
_PLAIN_FIELDS = ("generator", "identity", "source", "licence", "split", "essence", "phash", "pair")


def samples(sheet: Sheet) -> tuple[Sample, ...]:
    """The rows of a list of clips. Columns: ``path`` and ``label``; where known ``sha256``, ``generator``, ``identity``, ``source``,
    ``split``, ``licence``, ``pair``, slices as ``group.NAME`` or one ``group`` of JSON, and trivial measures as ``cue:NAME``. An ``id`` of
    the list's own is kept.

    Raises
    ------
    UsageError
        A column is missing, there are no rows, or cells cannot be read: each is named by row and column.
    """
    sheet.needs("path", "label")
    sheet.refuse_guess()
    bad: list[BadCell] = []
    names = {w: sheet.named(w) or w for w in ("path", "label", "group", "extra")}
    plain = {f: sheet.column(f) for f in _PLAIN_FIELDS if sheet.named(f)}
    groups = {n[6:]: sheet.cells[n] for n in sheet.names if n.lower().startswith("group.")}
    cues = {n[4:].strip(): n for n in sheet.names if n.lower().startswith("cue:")}
    objects = {f: sheet.column(f) for f in ("group", "extra") if sheet.named(f)}
    own = sheet.column("id") if sheet.named("id") else None
    hashes = sheet.column("sha256")
    found = []
    for i, (row, path, word) in enumerate(zip(sheet.rows, sheet.column("path"), sheet.column("label"), strict=True)):
        label = label_of(word, sheet.decimal_comma)
        if label is None:
            bad.append(BadCell(row, names["label"], f"{word[:40]!r} is not real, fake, unknown, 0 or 1"))
        if not path:
            bad.append(BadCell(row, names["path"], "is empty"))
        parsed: dict[str, dict[str, Any]] = {"group": {}, "extra": {}}
        for field_name, column in objects.items():
            try:
                value = json.loads(column[i] or "{}")
                parsed[field_name] = {k: v for k, v in dict(value).items() if v is not None}
            except (ValueError, TypeError):
                bad.append(BadCell(row, names[field_name], "is not a JSON object"))
        measured = {}
        for cue, name in cues.items():
            try:
                measured[cue] = number_of(sheet.cells[name][i], sheet.decimal_comma)
            except ValueError:
                bad.append(BadCell(row, name, f"{sheet.cells[name][i][:40]!r} is no number"))
        if found_cues := {cue: value for cue, value in measured.items() if value is not None}:
            parsed["extra"]["cues"] = found_cues
        parsed["group"] |= {name: column[i] for name, column in groups.items() if column[i]}
        if own is not None and own[i]:
            parsed["extra"]["id"] = own[i]
        found.append(
            Sample(
                path=path_of(path), sha256=hashes[i].lower(), label=_LABEL[-1 if label is None else label],
                group=parsed["group"], extra=parsed["extra"], **{f: c[i] for f, c in plain.items()},
            )
        )  # fmt: skip
    refuse(sheet.file, bad)
    return tuple(found)
