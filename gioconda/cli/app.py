"""The command tree. Groups register here; each lives in a module of its own that imports only typer at the top."""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from gioconda.cli import (
    audit,
    bench,
    check,
    data,
    demo,
    detect,
    doctor,
    models,
    provenance,
    provenance_marks,
    serve,
    synth,
    synth_data,
)
from gioconda.cli.common import clean, settings
from gioconda_core.errors import ExitCode, GiocondaError, UsageError

__all__ = ["app", "run"]

app = typer.Typer(
    name="gioconda",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gioconda check clip.mp4   ·   global options may stand anywhere   ·   docs: gioconda explain exit-codes",
)


def _version(value: bool) -> None:
    if value:
        from gioconda_core.version import __version__

        print(f"gioconda {__version__}")
        raise typer.Exit


@app.callback()
def root(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N; auto by default.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Animate, detect, attest: labelled talking-head fakes, measured detectors, Content Credentials."""
    if device is not None:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise UsageError(f"no device {device!r}", where="--device", hint="auto, cpu, cuda or cuda:N")
        os.environ["GIOCONDA_DEVICE"] = device  # which the processes this one starts go by as well
    settings.quiet, settings.verbose, settings.debug = quiet, verbose, debug
    settings.seed = seed


app.command(rich_help_panel="Examine")(check.check)
app.command(rich_help_panel="Examine")(audit.audit)
app.command(rich_help_panel="Examine")(serve.serve)
app.command(rich_help_panel="Start here")(demo.demo)
synth_data.register(synth.app)
provenance_marks.register(provenance.app)


class _Group(TyperGroup):
    """A group whose commands are made when one is asked for: making all of them is half of what ``gioconda --help`` would cost."""

    made_from: typer.Typer

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        del self.commands  # the empty ones, so that the property below is asked

    @functools.cached_property
    def commands(self) -> dict[str, Any]:  # type: ignore[override]
        return get_group(self.made_from).commands


for _name, _app in {
    "bench": bench.app, "data": data.app, "detect": detect.app, "models": models.app, "provenance": provenance.app, "synth": synth.app,
}.items():  # fmt: skip
    _front = typer.Typer(no_args_is_help=True, help=_app.info.help, epilog=_app.info.epilog)
    app.add_typer(_front, name=_name, cls=type(_name, (_Group,), {"made_from": _app}))
for _command in (doctor.plugins, doctor.doctor, doctor.config, doctor.explain):
    app.command(rich_help_panel="Diagnosis")(_command)


_FLAGS = {"-q", "--quiet", "-v", "--verbose", "--debug", "--version"}
_VALUES = {"--device", "--seed"}


def hoist(argv: list[str]) -> list[str]:
    """Move global options to the front, so that ``gioconda check clip.mp4 -q`` means what it says."""
    front: list[str] = []
    rest: list[str] = []
    items = iter(argv)
    for item in items:
        if item == "--":
            rest += [item, *items]
        elif item in _FLAGS or re.fullmatch("-[qv]{2,}", item) or (item.split("=")[0] in _VALUES and "=" in item):
            front.append(item)
        elif item in _VALUES:
            value = next(items, None)
            if value is None:
                return [
                    item
                ]  # so that it is this option whose value is missing, and not one that took the command's name
            front += [item, value]
        else:
            rest.append(item)
    return front + rest


def run(argv: list[str]) -> int:
    """Parse, dispatch, and turn every outcome into an exit code."""
    from typer import TyperException

    try:
        result = app(args=hoist(argv), prog_name="gioconda", standalone_mode=False)
        code = int(result) if isinstance(result, int) else ExitCode.DONE
        return _interrupted() if code == ExitCode.INTERRUPTED else code  # typer swallows Ctrl-C and returns 130
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except GiocondaError as error:
        if settings.debug:
            raise
        print(f"gioconda: {clean(str(error))}", file=sys.stderr)
        return error.exit_code
    except TyperException as error:
        error.show()
        return getattr(error, "exit_code", ExitCode.USAGE)
    except BrokenPipeError:
        return _unheard()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # which typer catches first
            return _unheard()
        raise
    except Exception as error:
        if settings.debug:
            raise
        from gioconda.cli.faults import say

        return say(error, argv)


def _unheard() -> int:
    """Whoever read stdout has heard enough, as ``head`` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE


def _interrupted() -> int:
    print("interrupted; run the same command again to resume", file=sys.stderr)
    return ExitCode.INTERRUPTED
