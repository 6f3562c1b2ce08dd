"""``gioconda models``: the weights store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gioconda.cli.common import Force, JsonFlag, Output, deliver, emit, parse_outputs, progress

app = typer.Typer(
    no_args_is_help=True,
    help="Weights: list, pull, verify; pinned by sha256, never unpickled.",
    epilog="Example: gioconda models list",
)


@app.command("list")
def list_(output: Output = None, json: JsonFlag = False, force: Force = False) -> None:
    """Every registered network: use, size, licence, and whether it is here.

    Example: gioconda models list
    """
    import dataclasses
    from json import dumps

    from gioconda_core.weights import REGISTRY, store

    here = store()
    for kind, file in parse_outputs(output, json, ("text", "json"), force):
        if kind == "json":
            rows = [{**dataclasses.asdict(entry), "here": here.has(entry.name)} for entry in REGISTRY.values()]
            text = dumps({"schema": "gioconda.models/1", "folder": str(here.folder), "models": rows})
        else:
            lines = [f"{'here' if here.has(e.name) else '-':5} {e.name:20} {e.size / 2**20:7.0f} MB  {e.licence:40} {e.use}" for e in REGISTRY.values()]  # fmt: skip
            text = "\n".join([*lines, f"store: {here.folder}"])
        deliver(text, file)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name from `gioconda models list`.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A local copy of the publisher's file; no network.")
    ] = None,
    sha256: Annotated[str, typer.Option(help="The file's sha256, where the registry knows none.")] = "",
    force: Force = False,
) -> None:
    """Fetch one network from its publisher (or --from a local file), check its pin, convert it to safetensors.

    Example: gioconda models pull vgg19-caffe
    """
    from gioconda_core.weights import REGISTRY, store

    here = store()
    if source is not None:
        file = here.add(name, source, sha256=sha256)
    else:
        size = REGISTRY[name].size if name in REGISTRY else None
        with progress(f"pulling {name}", size, "B") as advance:
            file = here.pull(name, sha256=sha256, advance=advance, force=force)
    emit(f"{name}: {file} ({here.record(name)['licence']})")


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default: all that are here.")] = None,
) -> None:
    """Compare stored files with their recorded sha256. Exit 4 if one does not match or is missing.

    Example: gioconda models verify
    """
    from gioconda_core.errors import ExitCode, WeightsError
    from gioconda_core.weights import store

    here, failed = store(), 0
    wanted = names or list(here.names())
    for name in wanted:
        try:
            emit(f"{name}: ok, {here.path(name)}")
        except WeightsError as error:
            failed += 1
            emit(f"{name}: {error}")
    if not wanted:
        emit(f"nothing is stored in {here.folder}")
    if failed:
        raise typer.Exit(ExitCode.INCOMPLETE)
