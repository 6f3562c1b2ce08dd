"""Walk the ingredients of a credential as a tree from the active manifest, with the failures that the top does not mention.

An edit of a tampered parent is Trusted with no failure at the top: what was found when the parent was taken in is written
beside the ingredient, and only there. Cycles, depth and size are bounded; the manifests are the attacker's.
"""

import io
from collections.abc import Mapping
from typing import Any

from gioconda_core.media.sniff import HEAD, kind_of
from gioconda_core.types import Code, IngredientNode
from provenance import codes, sanitise
from provenance.reading import rules
from provenance.reading.open import Opened
from provenance.sanitise import table, tables
from provenance.vocabulary import names_ai

DEPTH = 64
NODES = 400
THUMBNAIL_BYTES = 300_000
FAILURE = "gioconda.ingredient.failure"
UNREAD = "gioconda.ingredient.unread"
UNSIGNED_PARENT = "gioconda.ingredient.unsignedParent"
UNREFERENCED = "gioconda.manifest.unreferenced"


def _failures(block: Any) -> list[Code]:
    """Failures in an ingredient's recorded results, from its new form or its old one."""
    # What is tolerated says nothing about the bytes: not a failure to flag.
    return [
        codes.reported(item, "failure")
        for item in tables(table(block).get("failure"))
        if item.get("code") and not rules.tolerated(str(item.get("code")))
    ]


class Tree:
    """The ingredients of the active manifest (``nodes``), and what is flagged of them (``flags``).

    source_types, soft_bindings, says_ai : of what the file was made from. An edit of generated media is still made from generated media: parents and
    components count, mere inputs (a face, a driver) do not. manifests : the labels of those walked through, the active one first.
    """

    def __init__(self, found: Opened, *, thumbnails: bool = True) -> None:
        self.found, self.thumbnails, self.left = found, thumbnails, NODES
        self.source_types: dict[str, None] = {}
        self.soft_bindings: list[Mapping[str, Any]] = []
        self.says_ai = False
        self.manifests = {found.label: None}
        self.deltas, self.pictured = self._deltas(), set[str]()
        self.private = rules.private(found.active)
        self.flags: dict[Code, None] = {}
        self.nodes = self.children(found.active, 0, (found.label,))
        beyond = any(flag.code == UNREAD for flag in self.flags)  # what lies deeper may well be referred to
        if self.private:
            self.flag(rules.PRIVATE, sanitise.joined(sorted(self.private)))
        if not beyond and set(found.document.get("manifests") or {}) - set(self.manifests):
            self.flag(UNREFERENCED)

    def flag(self, code: str, where: str = "") -> None:
        self.flags[codes.told(code, where=where)] = None

    def _deltas(self) -> dict[str, list[Code]]:
        """What the SDK finds wrong with an ingredient now, by the last part of its assertion's URI (manifest/assertion)."""
        listed = table(self.found.document.get("validation_results")).get("ingredientDeltas")
        made: dict[str, list[Code]] = {}
        for item in tables(listed):
            key = _tail(str(item.get("ingredientAssertionURI", "")))
            made.setdefault(key, []).extend(_failures(item.get("validationDeltas")))
        return made

    def children(
        self, manifest: Mapping[str, Any], depth: int, path: tuple[str, ...], pixels: bool = True
    ) -> tuple[IngredientNode, ...]:
        listed = manifest.get("ingredients")
        if not isinstance(listed, list):
            return ()
        nodes = []
        for item in listed:
            if self.left <= 0 or depth >= DEPTH:
                self.flag(UNREAD)  # or a broken one could be put behind many sound ones
                break
            if isinstance(item, Mapping):
                self.left -= 1
                nodes.append(self.node(item, depth, path, pixels))
        return tuple(nodes)

    def node(self, item: Mapping[str, Any], depth: int, path: tuple[str, ...], pixels: bool) -> IngredientNode:
        label = str(item.get("active_manifest") or "")
        manifest = table(self.found.document.get("manifests")).get(label)
        own = table(manifest).get("title")
        title = sanitise.text(item.get("title") or own or "", 200)  # an update's parent has a title only of its own
        results = table(item.get("validation_results"))
        failures = _failures(results.get("activeManifest"))
        for delta in tables(results.get("ingredientDeltas")):
            failures += _failures(delta.get("validationDeltas"))
        old = item.get("validation_status")
        failures += _failures({"failure": old}) if isinstance(old, list) else []
        failures += self.deltas.get(f"{path[-1]}/{item.get('label', '')}", [])
        failures = list(dict.fromkeys(failures))
        if failures:
            self.flag(FAILURE, title)
        relationship = str(item.get("relationship") or "")
        if relationship == "parentOf" and not label:
            self.flag(UNSIGNED_PARENT, title)
        children: tuple[IngredientNode, ...] = ()
        pixels = pixels and relationship in ("parentOf", "componentOf")
        stated = item.get("digital_source_type")  # of an ingredient that has no credential of its own
        if pixels and isinstance(stated, str):
            self.source_types[sanitise.text(stated)] = None
            self.says_ai = self.says_ai or names_ai(stated)
        if isinstance(manifest, Mapping) and label not in path:
            # Each once: many ingredients may be of one large manifest.
            self.private += [] if label in self.manifests else rules.private(manifest)
            self.manifests[label] = None
            if pixels and label not in self.pictured:
                self.pictured.add(label)
                self.source_types |= dict.fromkeys(map(sanitise.text, rules.source_types(manifest)))
                self.soft_bindings += rules.soft_bindings(manifest)
                self.says_ai = self.says_ai or rules.says_ai(manifest)
            children = self.children(manifest, depth + 1, (*path, label), pixels)
        return IngredientNode(
            title=title,
            relationship=sanitise.text(relationship, 40),
            format=sanitise.text(item.get("format", ""), 80),
            signer=sanitise.joined(rules.names_of(manifest)) or None,
            failures=tuple(failures),
            thumbnail=self.thumbnail(item.get("thumbnail")),
            children=children,
        )

    def thumbnail(self, reference: object) -> bytes | None:
        """The picture's bytes when it is a JPEG or PNG of a bearable size."""
        uri = table(reference).get("identifier")
        if not self.thumbnails or not isinstance(uri, str):
            return None
        buffer = _Capped(THUMBNAIL_BYTES)
        try:
            self.found.reader.resource_to_stream(uri, buffer)
        except Exception:  # too large, not there, not a resource: a picture less
            return None
        data = buffer.getvalue()
        return data if kind_of(data[:HEAD]) in ("JPEG", "PNG") else None


class _Capped(io.BytesIO):
    """A buffer that refuses to grow past its cap."""

    def __init__(self, cap: int) -> None:
        super().__init__()
        self.cap = cap

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.cap:
            raise ValueError("larger than allowed")
        return super().write(data)


def _tail(uri: str) -> str:
    """``self#jumbf=/c2pa/MANIFEST/c2pa.assertions/LABEL`` → ``MANIFEST/LABEL``."""
    parts = uri.split("/")
    return f"{parts[-3]}/{parts[-1]}" if len(parts) >= 3 else uri
