"""Write down what a file will say of itself: claims from Python or TOML, turned into the SDK's manifest definition.

A :class:`Credential` is anything one may attest (a photograph edited, a clip generated, an update that only adds a statement).
A generated clip's :class:`gioconda_core.types.Claim` becomes one with :func:`of_synthesis`.

Measured facts this module exists for: JSON assertions default to *gathered*, so each of ours says ``created``; unsigned
ingredients carry no hash of their bytes, so we record sha256 ourselves; integers above 2^63−1 are refused, so seeds are strings.
"""

import datetime
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gioconda_core.documents import plain
from gioconda_core.errors import UsageError
from gioconda_core.files import from_table, read_toml, sha256_of
from gioconda_core.types import Claim, Ingredient
from gioconda_core.version import __version__
from provenance.signing.declared import Aigc
from provenance.vocabulary import (
    AI_DISCLOSURE,
    LABEL,
    LABEL_SCHEMA,
    MODEL_TYPES,
    OVERSIGHT,
    SOFT_BINDING,
    SPEC_VERSION,
    TRAINING_MINING,
    SoftBinding,
    source_type,
)

ROLES = {"source": "inputTo", "driver": "inputTo", "input": "inputTo", "parent": "parentOf", "component": "componentOf"}
_T = TypeVar("_T")
_INTENTS = ("create", "edit", "update")
_USES = ("allowed", "notAllowed", "constrained")


def _one_of(allowed: Iterable[str], value: str, what: str, where: str) -> None:
    """Raise UsageError for a value that is none of those allowed."""
    if value not in allowed:
        raise UsageError(f"no such {what}: {value!r:.80}", where=where, hint=f"one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Action:
    """One action. action : ``c2pa.created``, ``c2pa.opened``, ``c2pa.edited``…; inputs : indexes into the credential's ingredients."""

    action: str
    source_type: str = ""
    description: str = ""
    when: str = ""
    software: str = ""
    software_version: str = ""
    inputs: tuple[int, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AiDisclosure:
    """``c2pa.ai-disclosure`` (C2PA 2.4, 18.28). model_type : one of MODEL_TYPES, what the model is stored as. identifier : a URI of the model.

    oversight : ``fully_autonomous``, ``prompt_guided`` or ``human_validated``; left out where it is not stated.
    """

    model_type: str
    model_name: str
    oversight: str | None = None
    identifier: str = ""

    def __post_init__(self) -> None:
        _one_of(MODEL_TYPES, self.model_type, "model type", "[ai]")
        if self.oversight is not None:
            _one_of(OVERSIGHT, self.oversight, "oversight", "[ai]")


@dataclass(frozen=True)
class Credential:
    """Everything one credential will say.

    intent : ``create`` (new media), ``edit`` (of a parent), ``update`` (same pixels, more said).
    training : uses by name, e.g. ``{"ai_training": "notAllowed"}``; label : the ``org.gioconda.label`` assertion.
    aigc : China's label, written into the file's metadata before it is signed. assertions : further assertions by label; redactions : JUMBF URIs of a parent's assertions to take out.
    """

    title: str
    intent: str = "create"
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    ai: AiDisclosure | None = None
    training: Mapping[str, str] = field(default_factory=dict)
    label: Mapping[str, Any] | None = None
    soft_bindings: tuple[SoftBinding, ...] = ()
    assertions: Mapping[str, Any] = field(default_factory=dict)
    redactions: tuple[str, ...] = ()
    aigc: Aigc | None = None

    def __post_init__(self) -> None:
        _one_of(_INTENTS, self.intent, "intent", "claim")
        parents = sum(item.role == "parent" for item in self.ingredients)
        if self.intent == "update" and parents:
            raise UsageError("an update's parent is the file itself", where="claim", hint="leave the ingredient out")
        if self.intent == "create" and parents:
            # Validators accept c2pa.created beside a parent; it contradicts itself, and our own policy refuses it.
            raise UsageError("created media cannot have a parent", where="claim", hint='intent = "edit"')
        if self.aigc and self.intent == "update":
            raise UsageError("an update changes no byte of the file", where="[aigc]", hint='intent = "edit"')
        if parents > 1:
            raise UsageError("more than one parent", where="claim", hint='role = "component" for the others')
        for item in self.ingredients:
            _one_of(ROLES, item.role, "role", "ingredient")
        for action in self.actions:
            if any(not 0 <= index < len(self.ingredients) for index in action.inputs):
                raise UsageError(f"no such ingredient: {action.inputs}", where=action.action, hint="counted from 0")
        for name, use in self.training.items():
            _one_of(_USES, use, "use", name)


def source_of(claim: Claim) -> str:
    """The digital source type of a generated clip, or of a control that no model changed."""
    return source_type("algorithmicMedia" if claim.label == "real" else "trainedAlgorithmicMedia")


def of_synthesis(claim: Claim, *, essence: str = "", soft_bindings: tuple[SoftBinding, ...] = ()) -> Credential:
    """The credential of a generated (or passed-through control) clip: created, by whom, from what, and our label.

    essence : sha256 of the decoded frames, by which copies of other bytes are recognised.
    """
    created = Action(
        "c2pa.created",
        source_of(claim),
        software=claim.generator,
        software_version=claim.generator_version,
        inputs=tuple(range(len(claim.ingredients))),
    )
    by_role: dict[str, list[str]] = {}
    for item in claim.ingredients:
        by_role.setdefault(f"{item.role}_sha256", []).append(item.sha256)
    label: dict[str, Any] = {
        "schema": LABEL_SCHEMA,
        "label": claim.label,
        "task": claim.task,
        "generator": claim.generator,
        "generator_version": claim.generator_version,
        **by_role,
        "licence": claim.licence,
    }
    optional = {
        "weights_sha256": claim.weights_sha256,
        "config_sha256": claim.config_sha256,
        "seed": None if claim.seed is None else str(claim.seed),
        "consent": claim.consent,
        "split": claim.split,
        "identity": claim.identity,
        "essence_sha256": essence or None,
        "params": plain(claim.params, _fitting) or None,
    }
    label |= {key: value for key, value in optional.items() if value is not None}
    fake = claim.label != "real"
    return Credential(
        title=claim.title,
        actions=(created,),
        ingredients=claim.ingredients,
        ai=AiDisclosure("c2pa.types.model", claim.generator) if fake else None,
        training={"ai_training": "constrained", "ai_generative_training": "notAllowed"},
        label=label,
        soft_bindings=soft_bindings,
        aigc=Aigc(claim.producer, essence[:32]) if fake and claim.producer else None,
    )


def _fitting(value: Any) -> str | None:
    """The text for a number that the SDK refuses (beyond 63 bits), and for what TOML has and JSON has not."""
    beyond = isinstance(value, int) and not -(2**63) <= value < 2**63
    return str(value) if beyond or isinstance(value, datetime.date | datetime.time) else None


def ingredient_id(index: int) -> str:
    """The identifier by which an action refers to an ingredient."""
    return f"gioconda-ingredient-{index}"


def _action(item: Action) -> dict[str, Any]:
    agent = {"name": item.software, "version": item.software_version}
    if not item.software:
        agent = {"name": "Gioconda", "version": __version__}
    made: dict[str, Any] = {
        "action": item.action,
        "softwareAgent": {key: value for key, value in agent.items() if value},  # our version is not another's
    }
    if item.source_type:
        made["digitalSourceType"] = source_type(item.source_type)
    for key, value in (("description", item.description), ("when", item.when)):
        if value:
            made[key] = value
    parameters = plain(item.parameters, _fitting)
    if item.inputs:
        parameters["ingredientIds"] = [ingredient_id(index) for index in item.inputs]
    if parameters:
        made["parameters"] = parameters
    return made


def to_manifest(credential: Credential) -> dict[str, Any]:
    """The manifest definition the SDK is given; every assertion of ours is *created*, that is: said by the signer."""
    assertions: list[dict[str, Any]] = []

    def say(label: str, data: Any) -> None:
        assertions.append({"label": label, "data": plain(data, _fitting), "created": True})

    actions = list(credential.actions)
    parent = next((i for i, item in enumerate(credential.ingredients) if item.role == "parent"), None)
    if parent is not None and not any(item.action == "c2pa.opened" for item in actions):
        actions.insert(0, Action("c2pa.opened", inputs=(parent,)))  # without one given, the SDK opens the file itself
    if credential.intent == "create" and not any(item.action == "c2pa.created" for item in actions):
        raise UsageError("a created file needs a c2pa.created action with its source type", where="claim")
    for item in actions:
        if item.action == "c2pa.created" and not item.source_type:
            raise UsageError(
                "c2pa.created needs a source type", where="claim", hint="for example trainedAlgorithmicMedia"
            )
    if actions:
        say("c2pa.actions.v2", {"actions": [_action(item) for item in actions], "allActionsIncluded": True})
    if credential.ai:
        disclosed: dict[str, Any] = {"modelType": credential.ai.model_type, "modelName": credential.ai.model_name}
        if credential.ai.identifier:
            disclosed["modelIdentifier"] = credential.ai.identifier
        if credential.ai.oversight:
            disclosed["contentProfile"] = {"humanOversightLevel": credential.ai.oversight}
        say(AI_DISCLOSURE, disclosed)
    if credential.training:
        say(TRAINING_MINING, {"entries": {f"cawg.{key}": {"use": use} for key, use in credential.training.items()}})
    for binding in credential.soft_bindings:
        block = {"scope": {}, "value": binding.value}
        data = {"alg": binding.algorithm, "blocks": [block], "name": binding.description or binding.algorithm}
        say(SOFT_BINDING, data)
    if credential.label is not None:
        say(LABEL, credential.label)
    for label, data in credential.assertions.items():
        say(label, data)
    hashes = [
        {"title": item.title, "role": item.role, "sha256": item.sha256}
        for item in credential.ingredients
        if item.sha256
    ]
    if hashes and credential.label is None:  # the label already carries them
        say("org.gioconda.ingredients", {"schema": "gioconda.ingredients/1", "ingredients": hashes})
    manifest: dict[str, Any] = {
        "claim_version": 2,
        "claim_generator_info": [{"name": "Gioconda", "version": __version__, "specVersion": SPEC_VERSION}],
        "title": credential.title,
        "assertions": assertions,
    }
    if credential.redactions:
        manifest["redactions"] = list(credential.redactions)
        redacted = [str(item.parameters.get("redacted")) for item in actions if item.action == "c2pa.redacted"]
        if missing := [uri for uri in credential.redactions if uri not in redacted]:
            raise UsageError(
                "a redaction needs its action",
                where=missing[0],
                hint='action = "c2pa.redacted", parameters = { redacted = … }',
            )
    return manifest


def from_toml(source: str | os.PathLike[str]) -> Credential:
    """A credential from a TOML file; unknown keys are refused, because a typo must not silently drop a statement.

    ``title``, ``intent``, ``[[actions]]``, ``[[ingredients]]`` (role, path, title, sha256), ``[ai]``, ``[aigc]``, ``[training]``, ``[label]``,
    ``[[soft_bindings]]``, ``[assertions."my.label"]``, ``redactions``.
    """
    path = Path(source)
    document = read_toml(path)

    def build(kind: type[_T], values: Any, table: str) -> _T:
        return from_table(kind, values, str(path), table)

    def tables(name: str) -> list[Any]:
        found = document.pop(name, [])
        if not isinstance(found, list):
            raise UsageError(f"{name} is not a list", where=str(path), hint=f"each begins with [[{name}]]")
        return found

    ingredients = []
    for values in tables("ingredients"):
        if isinstance(values, dict) and values.get("path"):
            file = path.parent / str(values["path"])
            if not file.is_file():
                raise UsageError("no such file", where=str(file), hint="an ingredient without one needs no path")
            values["path"], digest = str(file), sha256_of(file)
            if values.setdefault("sha256", digest) != digest:
                raise UsageError("its sha256 is not the one stated", where=str(file), hint="leave sha256 out")
            values.setdefault("title", file.name)
        if isinstance(values, dict):
            values.setdefault("sha256", "")
        ingredients.append(build(Ingredient, values, "[[ingredients]]"))
    document["actions"] = tuple(build(Action, item, "[[actions]]") for item in tables("actions"))
    document["soft_bindings"] = tuple(build(SoftBinding, item, "[[soft_bindings]]") for item in tables("soft_bindings"))
    if "aigc" in document:
        document["aigc"] = build(Aigc, document["aigc"], "[aigc]")
    if "ai" in document:
        document["ai"] = build(AiDisclosure, document["ai"], "[ai]")
    document.setdefault("title", path.stem)
    return build(Credential, {**document, "ingredients": tuple(ingredients)}, "the claim")
