"""``gioconda models``: which weights of networks are stored here, fetch them, check them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import Commands
from gioconda.cli.common import Force, Result, emit, incomplete, progress
from gioconda_core.errors import WeightsError
from gioconda_core.options import Option, argument
from gioconda_core.weights import REGISTRY, Entry, store

app = Commands("models", "list")


@dataclass(frozen=True)
class StoredNetwork(Entry):
    """A network that may be stored: as :class:`gioconda_core.weights.Entry`, and whether it is here."""

    here: bool = False


@dataclass(frozen=True)
class Models:
    """What ``models list`` prints."""

    folder: Path
    models: list[StoredNetwork]
    schema: str = "gioconda.models/1"


@app.command("list")
def list_() -> Result:
    """List every registered network: use, size, licence, and whether it is here."""
    from gioconda.report.view import bytes_text

    here = store()
    lines = [
        f"{'here' if here.has(e.name) else '-':5} {e.name:20} {bytes_text(e.size):>8}  {e.licence:40} {e.use}"
        for e in REGISTRY.values()
    ]
    models = [StoredNetwork(**vars(e), here=here.has(e.name)) for e in REGISTRY.values()]
    return Result([*lines, f"store: {here.folder}"], Models(here.folder, models))


@app.command("pull", "vgg19-caffe")
def pull(
    name: Annotated[str, argument("A name from `gioconda models list`.")],
    source: Annotated[Path | None, Option("A local copy of the publisher's file; no network.", flag="--from")] = None,
    sha256: Annotated[str, Option("The file's sha256, where the registry knows none.")] = "",
    force: Force = False,
) -> None:
    """Fetch one network from its publisher (or --from a local file), check its pin, convert it to safetensors."""
    here = store()
    if source is not None:
        file = here.add(name, source, sha256=sha256)
    else:
        size = REGISTRY[name].size if name in REGISTRY else None
        with progress(f"pulling {name}", size, "B") as advance:
            file = here.pull(name, sha256=sha256, advance=advance, force=force)
    emit(f"{name}: {file} ({here.record(name).licence})")


@app.command("verify")
def verify(names: Annotated[list[str] | None, argument("Names; default: all that are here.")] = None) -> int:
    """Compare stored files with their recorded sha256. Exit 4 if one does not match or is missing."""
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
    return incomplete(failed)
