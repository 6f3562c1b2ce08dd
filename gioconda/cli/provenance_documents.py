"""What ``provenance read`` and ``provenance verify`` print as JSON: one document a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gioconda.report.compared import Compared
from gioconda_core.types import (
    Code,
    CredentialReason,
    IngredientNode,
    Provenance,
    ProvenanceState,
    TrustScheme,
)


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
        return cls(
            node.title,
            node.relationship,
            node.format,
            node.signer,
            node.failures,
            len(node.thumbnail) if node.thumbnail else 0,
            [cls.of(child) for child in node.children],
        )


@dataclass(frozen=True)
class Credentials:
    """What a file's Content Credentials say, after our policy; every text in it is made safe to show.

    reason : what decided the state, where it is not plain; decided_by : the codes that did. compared : signed facts beside the file's own
    metadata, null where none was signed. met : whether the file meets what ``verify`` asked for, null where nothing was asked.
    """

    path: str
    state: ProvenanceState
    reason: CredentialReason | None
    detail: str
    decided_by: tuple[str, ...]
    signer: str | None
    signer_fingerprint: str | None
    signed_at: str | None
    timestamped: bool
    expires_at: str | None
    claim_generator: str | None
    actions: tuple[Mapping[str, Any], ...]
    source_types: tuple[str, ...]
    says_ai: bool
    development_key: bool
    label: Mapping[str, Any] | None
    ingredients: list[Node]
    codes: tuple[Code, ...]
    trust_list: str | None
    trust_list_date: str | None
    trust_scheme: TrustScheme | None
    trust_list_update: str | None
    trust_lists: tuple[str, ...]
    sidecar: bool
    sdk: str
    manifest_count: int
    soft_bindings: tuple[Mapping[str, Any], ...]
    identities: tuple[Mapping[str, Any], ...]
    statements: tuple[Mapping[str, Any], ...]
    redacted: tuple[str, ...]
    compared: list[Compared] | None = None
    met: bool | None = None
    schema: str = "gioconda.provenance/1"

    @classmethod
    def of(
        cls, path: Path, found: Provenance, compared: list[Compared] | None = None, met: bool | None = None
    ) -> Credentials:
        """The document of a verdict."""
        said = {item.name: getattr(found, item.name) for item in fields(Provenance)}
        said["ingredients"] = [Node.of(node) for node in found.ingredients]
        return cls(path=str(path), compared=compared, met=met, **said)


@dataclass(frozen=True)
class Unread:
    """A file that could not be read at all, and why."""

    path: str
    error: str
    met: bool | None = None
    schema: str = "gioconda.provenance.unread/1"


Document = Credentials | Unread
