"""What ``provenance read`` and ``provenance verify`` print as JSON: one document a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gioconda.report.compared import Compared
from gioconda_core.errors import GiocondaError
from gioconda_core.types import Code, IngredientNode, Provenance


@dataclass(frozen=True)
class Node:
    """One ingredient of a credential; thumbnails are given by their size only."""

    title: str
    relationship: str
    format: str
    signer: str | None
    failures: tuple[Code, ...]
    thumbnail_bytes: int
    children: list[Node]

    @classmethod
    def of(cls, node: IngredientNode) -> Node:
        children, size = [cls.of(child) for child in node.children], len(node.thumbnail or b"")
        return cls(node.title, node.relationship, node.format, node.signer, node.failures, size, children)


@dataclass(frozen=True)
class _Of:
    path: str


@dataclass(frozen=True)
class Credentials(Provenance, _Of):
    """What a file's Content Credentials say, after our policy; every text in it is made safe to show.

    reason : what decided the state, where it is not plain; decided_by : the codes that did. compared : signed facts beside the file's own
    metadata, null where none was signed. met : whether the file meets what ``verify`` asked for, null where nothing was asked.
    """

    ingredients: tuple[Node, ...] = ()  # type: ignore[assignment]  # told without their pictures
    compared: list[Compared] | None = None
    met: bool | None = None
    schema: str = "gioconda.provenance/1"


@dataclass(frozen=True)
class Unread:
    """A file that could not be read at all, and why."""

    path: str
    error: str
    met: bool | None = None
    schema: str = "gioconda.provenance.unread/1"


Document = Credentials | Unread


def document(
    path: Path,
    found: Provenance | GiocondaError,
    compared: list[Compared] | None = None,
    met: bool | None = None,
) -> Document:
    """The document of a file's verdict."""
    if isinstance(found, GiocondaError):
        return Unread(str(path), str(found), met)
    nodes = tuple(map(Node.of, found.ingredients))
    return Credentials(**vars(found) | {"path": str(path), "ingredients": nodes, "compared": compared, "met": met})
