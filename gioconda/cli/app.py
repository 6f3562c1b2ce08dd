"""The command tree: a command's module is imported when the command is asked for, so that the first page, from ``commands.toml``, comes at once."""

import functools
import os
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from gioconda.cli.build import built, plain
from gioconda.cli.common import Settings, clean, emit, settings
from gioconda_core.errors import ExitCode, GiocondaError
from gioconda_core.options import Option

SECTIONS: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8"))
_ALL = {name: about for section in SECTIONS.values() for name, about in section.items()}
_WHERE = {"plugins": "doctor", "config": "doctor", "explain": "doctor"}  # modules that hold more than their own command

GREETING = """\
gioconda: what can be known of a talking-head clip, and labelled fakes to measure detectors with

  gioconda check clip.mp4     what is known of a clip or picture
  gioconda serve              the same on a page, on this computer
  gioconda demo               what it does, shown on drawn faces in minutes

All commands: gioconda --help"""


class _Root(TyperGroup):
    """The first page, and commands that are imported when one is asked for: importing all of them costs more than the page."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_ALL)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _load(cmd_name) if cmd_name in _ALL else None

    @property
    def commands(self) -> Any:
        return {name: _load(name) for name in _ALL}

    @commands.setter
    def commands(self, value: Any) -> None:
        """Nothing can be added: the base class sets an empty dictionary."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(commands.items())


@functools.cache
def _load(name: str) -> Any:
    """A command or group, from the module that is named like it."""
    module = import_module(f"gioconda.cli.{_WHERE.get(name, name)}")
    if hasattr(module, "app"):
        group = get_group(module.app)
        group.name, group.help, group.epilog = name, _ALL[name], module.app.example
        return plain(group)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(getattr(module, name))
    return plain(get_command(alone))


app = typer.Typer(
    name="gioconda",
    cls=_Root,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gioconda check clip.mp4   ·   global options may stand anywhere   ·   docs: gioconda explain exit-codes",
)


@app.callback(help="Check clips of talking people, compare deepfake detectors, sign media, and make labelled fakes.")
@built("")
def root(given: Settings, version: Annotated[bool, Option("Print the version.")] = False) -> str:
    """Take note of the global options; what it returns is shown where no command follows."""
    if version:
        from gioconda_core.version import __version__

        emit(f"gioconda {__version__}")
        raise typer.Exit
    if given.device is not None:
        os.environ["GIOCONDA_DEVICE"] = given.device  # which the processes this one starts go by as well
    vars(settings).update(vars(given))
    return GREETING


_GLOBAL = root.declared.values()  # type: ignore[attr-defined]
_FLAGS = {flag for option in _GLOBAL if option.kind is bool for flag in option.flags}
_VALUES = {flag for option in _GLOBAL if option.kind is not bool for flag in option.flags}


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
                # so that it is this option whose value is missing, and not one that took the command's name
                return [item]
            front += [item, value]
        else:
            rest.append(item)
    return front + rest


def run(argv: list[str]) -> int:
    """Parse, dispatch, and turn every outcome into an exit code."""
    from typer import TyperException

    try:
        result = plain(get_command(app))(args=hoist(argv), prog_name="gioconda", standalone_mode=False)
        if isinstance(result, str):
            emit(result)
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
        context, message = getattr(error, "ctx", None), error.format_message()
        if "\n" in message:  # the whole help, of a group without a command
            print(message, file=sys.stderr)
            return ExitCode.USAGE
        hint = f" ({context.command_path} --help)" if context else ""
        print(f"gioconda: {clean(message)}{hint}", file=sys.stderr)
        return getattr(error, "exit_code", ExitCode.USAGE)
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # which typer catches first
            return _reader_left()
        raise
    except Exception as error:
        if settings.debug:
            raise
        from gioconda.cli.faults import say

        return say(error, argv)


def _reader_left() -> int:
    """End quietly: what read stdout has closed it, as ``head`` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE


def _interrupted() -> int:
    print("interrupted; run the same command again to resume", file=sys.stderr)
    return ExitCode.INTERRUPTED
