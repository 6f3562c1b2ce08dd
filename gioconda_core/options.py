"""An option is declared once, on the field of the job it sets; the command line is built from that, and the job holds its values to it.

::

    @dataclass(frozen=True)
    class Job:
        mode: Annotated[str, Option("ft = tune on the shots; ff = the model as it stands.", choices=("ff", "ft"))] = "ft"

        def __post_init__(self) -> None:
            check(self)
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from gioconda_core.errors import UsageError


@dataclass(frozen=True, repr=False)
class Option:
    """What a field is on a command line.

    help : the sentence in ``--help``. flag : its name where that is not the field's own. short : one letter's flag.
    metavar : what stands for the value in ``--help``. minimum, maximum : of a number, or of each number of a list.
    choices : the only values, or a named function that gives them (annotations are read as text, where a lambda knows no module).
    valid : raises UsageError for a value that cannot be meant.
    parse : a typed text → the value; lists are typed with commas, or, where ``repeat``, by giving the option several times.
    positional : an argument, not an option. required : no default on the command line though the field has one.
    unset : what is taken where nothing is typed, when that is not the field's own default. shown : the default as it is typed.
    """

    help: str
    flag: str = ""
    short: str = ""
    metavar: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | Callable[[], Iterable[str]] = ()
    valid: Callable[[Any], object] | None = None
    parse: Callable[[str], Any] | None = None
    repeat: bool = False
    positional: bool = False
    required: bool = False
    unset: Callable[[], Any] | None = None
    shown: str | None = None

    def __repr__(self) -> str:  # it stands in the signature that an editor or a notebook shows
        return repr(self.help)

    def named(self, field: str) -> str:
        """What a person types for it: ``--min-face``, or the argument's name."""
        if self.positional:
            return self.metavar or field.upper()
        return self.flag or "--" + field.strip("_").replace("_", "-")

    def placed(self, error: UsageError, field: str) -> str:
        """Where an error is: in this option, unless it names an option itself."""
        return error.where if error.where.startswith("--") else self.named(field)

    def allowed(self) -> tuple[str, ...]:
        """The only values, none where there are others."""
        return tuple(self.choices() if callable(self.choices) else self.choices)

    def hold(self, value: Any, field: str) -> None:
        """Raise UsageError, naming the option, for a value out of its range or not among its choices."""
        where = self.named(field)
        several = value.values() if isinstance(value, Mapping) else value
        each = list(several) if isinstance(value, Mapping | tuple | list) else [value]
        allowed = self.allowed() if each else ()
        for item in each:
            if allowed and item not in allowed:
                hint = f"one of {', '.join(filter(None, allowed))}"
                raise UsageError(f"unknown {_noun(field, value)} {item!r}", where, hint)
            if self.minimum is not None and not item >= self.minimum:  # a NaN is at least nothing
                raise UsageError(f"{item:g} is below {self.minimum:g}", where=where, hint=f"{self.minimum:g} at least")
            if self.maximum is not None and not item <= self.maximum:
                raise UsageError(f"{item:g} is above {self.maximum:g}", where=where, hint=f"{self.maximum:g} at most")
        if self.valid is not None:
            try:
                self.valid(value)
            except UsageError as error:
                raise UsageError(error.what, where=self.placed(error, field), hint=error.hint) from error


Force = Annotated[bool, Option("Replace what is already there.")]
Engine = Annotated[str, Option("local or ray.", choices=("local", "ray"))]


def argument(help: str, metavar: str | None = None, **more: Any) -> Option:
    """A value that is given without a flag."""
    return Option(help, metavar=metavar, positional=True, **more)


def _noun(field: str, value: Any) -> str:
    name = field.strip("_").replace("_", " ")
    return name.removesuffix("s") if isinstance(value, tuple | list) else name


@functools.cache
def declared(job: type[Any]) -> dict[str, tuple[Any, Option | None]]:
    """Each field's (type, Option or None) of a job's dataclass, in its order."""
    hints = get_type_hints(job, include_extras=True)
    found: dict[str, tuple[Any, Option | None]] = {}
    for item in fields(job):
        hint = hints[item.name]
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        options = [note for note in notes if isinstance(note, Option)]
        found[item.name] = (get_args(hint)[0] if options else hint, options[0] if options else None)
    return found


def parts(kind: Any) -> tuple[Any, ...]:
    """The types that a union allows; the type itself where it is none."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def many(kind: Any) -> Any:
    """list, tuple or Mapping where a type holds several values; else None."""
    for part in parts(kind):
        origin = get_origin(part)
        if origin in (list, tuple):
            return origin
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return Mapping
        if isinstance(origin, type) and issubclass(origin, Iterable):
            return list
    return None


def listed(text: str, kind: Any, option: Option) -> Any:
    """One text where several values are meant → the values: by the option's own reading, alone, or split at commas."""
    if option.parse is not None:
        return option.parse(text)
    items = [text] if option.positional or option.repeat else [item.strip() for item in text.split(",") if item.strip()]
    return many(kind)(items)


def check(job: Any) -> None:
    """Hold every field of a job to its declaration; one text where several values are meant becomes those.

    Raises
    ------
    UsageError
        Naming the first option whose value is out of range, is not among its choices, or cannot be meant.
    """
    for name, (kind, option) in declared(type(job)).items():  # type: ignore[arg-type]  # mypy takes a class for unhashable
        value = getattr(job, name)
        if option is None or value is None:
            continue
        if isinstance(value, str) and many(kind) in (list, tuple):  # a text would be read letter by letter
            value = listed(value, kind, option)
            object.__setattr__(job, name, value)  # jobs are frozen
        option.hold(value, name)


def not_empty(text: str) -> None:
    """Raise UsageError for a text that says nothing."""
    if not text.strip():
        raise UsageError("is empty")


def numbers(text: str) -> tuple[int, ...]:
    """``1,8,32`` → (1, 8, 32)."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"not a list of whole numbers: {text!r}", hint="for example 1,8,32") from error


def shares(text: str) -> dict[str, float]:
    """``train=0.8,test=0.2`` → {"train": 0.8, "test": 0.2}."""
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise UsageError(f"not shares: {text!r}", hint="train=0.6,val=0.2,test=0.2") from error


def settings(text: str, known: Mapping[str, float], of: str) -> dict[str, float]:
    """``fpr=0.01,prevalence=0.1`` → the settings that are ``known``, as typed, else as they are by default.

    of : what they are settings of, for the sentence of a UsageError, which names the first that is unknown or no number.
    """
    found = dict(known)
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name not in known or not math.isfinite(number):
            raise UsageError(f"{of} has no setting {item!r}", hint=f"it knows {', '.join(known) or 'none'}")
        found[name] = number
    return found


def sha256(text: str, where: str = "") -> str:
    """A SHA-256 as it is typed or copied, with or without colons and spaces → 64 hexadecimal digits in lower case."""
    digits = text.lower().replace(":", "").replace(" ", "")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise UsageError("not a sha256 fingerprint", where=where or text[:80], hint="64 hexadecimal digits")
    return digits


def shard(text: str) -> tuple[int, int]:
    """``2/8`` → (2, 8): the second part of eight."""
    i, _, n = text.partition("/")
    if not (i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise UsageError(f"{text!r} is not a shard", hint="like 2/8: the second of eight")
    return int(i), int(n)


def size(text: str) -> int:
    """``500MB``, ``2 GB`` or ``1000`` → bytes, in powers of 1000."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip(), re.I)
    if not found:
        raise UsageError(f"not a size: {text!r}", hint="bytes, or 500MB, 2GB")
    return int(float(found[1]) * 1000 ** " kmgt".index(found[2].lower() or " "))
