"""Commands built from declarations: a parameter that is a job's dataclass becomes that job's options, and the body is handed the job."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperGroup

from gioconda.cli.common import JsonOption, OutputOptions, Result, settings, typed_command, write
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, declared, listed, many, parts

FORMATS = ("text", "json")
Body = Callable[..., Any]

# Fields of a job that no option sets: they follow from the run.
_FOLLOW: dict[str, Callable[[], Any]] = {"seed": lambda: settings.seed, "command": typed_command}


@dataclass(frozen=True)
class Rows:
    """The document of a command that prints rows and nothing else. field : what they stand under; kind : the dataclass of a row."""

    schema: str
    field: str
    kind: type


class Group(TyperGroup):
    """A group that shows the whole first sentence of each of its commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, in the order in which they were added."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, first_sentence(c.help or "")) for name, c in self.commands.items()])


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, or the first paragraph."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".") + "."


class Commands(typer.Typer):
    """A group whose commands are built from what their bodies declare. path : what is typed for it, after ``gioconda``; example : what
    may follow, shown below the group's own page; speaks : of every command, see :func:`built`."""

    def __init__(self, path: str, example: str, speaks: Any = None) -> None:
        super().__init__(cls=Group, no_args_is_help=True, rich_markup_mode=None)
        self.path, self.example, self.speaks = path, f"Example: gioconda {path} {example}", speaks

    def command(self, name: str, *examples: str, **how: Any) -> Callable[[Body], Body]:  # type: ignore[override]
        """Add the body below as a command. examples, how : see :func:`built`."""
        build = built(f"{self.path} {name}", *examples, speaks=self.speaks, **how)
        return lambda body: super(Commands, self).command(name)(build(body))

    def add(self, group: "Commands", help: str) -> None:
        """Add a group of commands."""
        self.add_typer(group, name=group.path.split()[-1], help=help, epilog=group.example)


@dataclass(frozen=True)
class _Typed:
    """One option as typed: its kind for typer, the marker it was declared with, and what a typed value becomes."""

    kind: Any
    option: Option
    default: Any
    name: str

    @property
    def flags(self) -> list[str]:
        """How it is typed: by one letter, where it has one, or by its name."""
        return [*filter(None, [self.option.short]), self.option.named(self.name)]

    def parameter(self) -> inspect.Parameter:
        option, default = self.option, self.default
        kind, shown = self._as_typed()
        given: dict[str, Any] = {"help": option.help, "metavar": option.metavar}
        if not {int, float}.isdisjoint(parts(kind)):
            given |= {"min": option.minimum, "max": option.maximum}
        if option.positional:
            note: Any = typer.Argument(show_default=default not in (MISSING, None), **given)
        else:
            *short, name = self.flags
            if self.kind is bool and default is True:
                name = f"{name}/--no-{name.removeprefix('--')}"
            note = typer.Option(*short, name, **given)
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if shown is MISSING or option.required else shown,
            annotation=Annotated[kind, note],
        )

    def _as_typed(self) -> tuple[Any, Any]:
        """The type and the default that typer sees: lists and what is parsed are typed as text."""
        several = many(self.kind)
        if self.option.parse is not None or (several and not self._one_by_one):
            shown = None if self.option.unset else self.option.shown or _joined(self.default)
            return (str | None if shown is None else str), shown
        if self.option.unset:
            return self.kind | None, None
        if several:
            inner = self.kind if get_origin(self.kind) is list else list[_item(self.kind)]  # type: ignore[misc]
            if self.default is MISSING:
                return inner, MISSING
            return inner | None, list(self.default) if self.default else None
        return self.kind, self.default

    @property
    def _one_by_one(self) -> bool:
        return self.option.positional or self.option.repeat

    def value(self, typed: Any) -> Any:
        """A typed value → the field's."""
        several = many(self.kind)
        if typed is None and self.option.unset:
            typed = self.option.unset()
        elif typed is None:
            typed = self.default if several and self.default is not MISSING and self.default is not None else None
        elif self.option.parse is not None:
            try:
                typed = self.option.parse(typed)
            except UsageError as error:
                where = self.option.placed(error, self.name)
                raise UsageError(error.what, where=where, hint=error.hint) from error
        elif several is Mapping:
            typed = dict(self._pair(item) for item in typed)
        elif several:
            typed = several(typed) if self._one_by_one else listed(typed, self.kind, self.option)
        if typed is not None:
            self.option.hold(typed, self.name)
        return typed

    def _pair(self, item: str) -> tuple[str, str]:
        name, found, rest = item.partition("=")
        if not found or not rest:
            raise UsageError(f"is not {self.option.metavar}", where=f"{self.option.named(self.name)} {item}")
        return name, rest


@dataclass(frozen=True)
class _Plain:
    """Turns typed text into the parameter's type. typer would do it with pydantic, whose import takes a third of a short command's time."""

    kind: Any

    def coerce(self, value: Any, param: Any, ctx: object) -> Any:
        """A typed value, or a default → the value; nothing typed is None, or () where several may be. Raises UsageError."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        kind = next(part for part in parts(self.kind) if part is not type(None))
        if several:
            return [self._one(get_args(kind)[0], item, param) for item in value]
        return self._one(kind, value, param)

    def _one(self, kind: Any, value: Any, param: Any) -> Any:
        try:
            return value if isinstance(value, kind) else kind(value)
        except ValueError as error:
            where = param.opts[-1] if param.opts[-1].startswith("-") else param.make_metavar(None)
            number = "a whole number" if kind is int else "a number"
            raise UsageError(f"{value!r} is not {number}", where=where) from error


def plain(command: Any) -> Any:
    """The command, and all below it, with typed values read by :class:`_Plain`; the attribute is typer's own, and unused where typer is older."""
    parameters = command.get_params

    def read_plainly(ctx: Any) -> list[Any]:
        found = parameters(ctx)
        for parameter in found:
            if kind := getattr(parameter, "type_descriptor", None):
                vars(parameter)["_runtime_param"] = _Plain(kind.annotation)
        return list(found)

    vars(command)["get_params"] = read_plainly
    for inner in vars(command).get("commands", {}).values():
        plain(inner)
    return command


def _item(kind: Any) -> Any:
    part = next(part for part in parts(kind) if get_origin(part))
    return str if issubclass(get_origin(part), Mapping) else get_args(part)[0]


def _joined(default: Any) -> Any:
    """A default value as a person would type it."""
    if default is MISSING or default is None or isinstance(default, str):
        return default
    if isinstance(default, Mapping):
        return ",".join(f"{key}={value:g}" for key, value in default.items())
    return ",".join(map(str, default))


def _job_options(job: type) -> Iterator[_Typed]:
    """The options of a job and of the jobs inside it."""
    for item in fields(job):
        kind, option = declared(job)[item.name]
        if is_dataclass(kind):
            yield from _job_options(kind)  # type: ignore[arg-type]
        elif option is not None:
            default = item.default if item.default_factory is MISSING else item.default_factory()
            yield _Typed(kind, option, default, item.name)


def _options(name: str, hint: Any, taken: inspect.Parameter | None) -> Iterator[_Typed]:
    """The options of a parameter: its job's, or itself. taken : the parameter; None where the body does not take it."""
    if is_dataclass(hint):
        yield from _job_options(hint)  # type: ignore[arg-type]
        return
    kind, option = get_args(hint)
    default = taken.default if taken is not None else None
    yield _Typed(kind, option, MISSING if default is inspect.Parameter.empty else default, name)


def _value(name: str, kind: Any, options: Mapping[str, _Typed], typed: Mapping[str, Any]) -> Any:
    """What a parameter or a field of a job becomes: a job made from the typed values of its options, or the value of its own option."""
    if not is_dataclass(kind):
        return options[name].value(typed[name])
    values = {}
    for item in fields(kind):
        inner, option = declared(kind)[item.name]  # type: ignore[arg-type]
        if is_dataclass(inner) or option is not None:
            values[item.name] = _value(item.name, inner, options, typed)
        elif item.name in _FOLLOW:
            values[item.name] = _FOLLOW[item.name]()
    return kind(**values)  # type: ignore[operator]


def _given(hints: Mapping[str, Any], options: Mapping[str, _Typed], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each parameter; jobs last, since a job also refuses values that are right alone and do not go together."""
    jobs_last = sorted(hints, key=lambda name: is_dataclass(hints[name]))
    return {name: _value(name, hints[name], options, typed) for name in jobs_last}


def built(
    path: str,
    *examples: str,
    prints: type[JsonOption] = OutputOptions,
    formats: Sequence[str] = FORMATS,
    rows: Rows | None = None,
    about: str = "",
    speaks: Any = None,
) -> Callable[[Body], Body]:
    """Make a command for typer from a body whose parameters are jobs, or single options declared with :class:`Option`.

    Every value is checked before the body runs, so that a wrong one is refused before anything is loaded.

    Parameters
    ----------
    path : what is typed for it, after ``gioconda``. examples : what may follow, for its ``--help``; about : that help's text, the body's own by default.
    prints : the options of a body that returns a :class:`Result`, which is then written as they say; the body need not take them.
    formats : of that result. rows : what it is as a document, where the body gives rows.
    speaks : the declared option ``lang``, which becomes the language of the run (``settings.lang``), in which ``message`` speaks.
    """

    def build(body: Body) -> Body:
        taken = inspect.signature(body).parameters
        hints = get_type_hints(body, include_extras=True)
        printed = hints.pop("return") is Result
        if speaks is not None:
            hints["lang"] = speaks
        if printed:
            hints["results"] = prints
        listed = [option for name, hint in hints.items() for option in _options(name, hint, taken.get(name))]
        options = {option.name: option for option in listed}
        if len(options) < len(listed):
            raise TypeError(f"{body.__name__} declares an option twice")

        @functools.wraps(body)
        def command(**typed: Any) -> Any:
            given = _given(hints, options, typed)
            asked = {name: given[name] for name in taken}
            if speaks is not None:
                settings.lang = given["lang"]
            if not printed:
                return body(**asked)
            inputs = [typed[name] for name, option in options.items() if option.option.positional]
            wanted = given["results"].among(formats, inputs)
            result = body(**asked)
            if rows is not None:
                result.formats["json"] = {rows.field: result.formats["json"], "schema": rows.schema}
            write(result, wanted)
            return result.code

        last = {option.name for option in _job_options(OutputOptions)}  # where results go stands below what is done
        shown = sorted(options.values(), key=lambda option: option.name in last)
        command.__signature__ = inspect.Signature([option.parameter() for option in shown])  # type: ignore[attr-defined]
        lines = [f"Example: gioconda {path} {example}".rstrip() for example in examples or ("",)]
        command.__doc__ = "\n\n".join([about or inspect.cleandoc(body.__doc__ or ""), *lines])
        command.__annotations__ = {}
        vars(command).update(declared=options, rows=rows, path=path)
        return command

    return build
