"""Words of Content Credentials that signing and reading share: assertion labels, source types, soft bindings."""

from dataclasses import dataclass
from pathlib import Path

from gioconda_core.errors import UsageError
from gioconda_core.files import read_toml

LABEL = "org.gioconda.label"
LABEL_SCHEMA = "gioconda.label/1"
AI_DISCLOSURE = "c2pa.ai-disclosure"
TRAINING_MINING = "cawg.training-mining"
SOFT_BINDING = "c2pa.soft-binding"
MARK = "org.gioconda.mark.2"  # our invisible mark, as a soft binding names it
ACTIONS = ("c2pa.actions.v2", "c2pa.actions")
SPEC_VERSION = "2.4.0"
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.x, A.5.1: the ``uuid`` box of a credential
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP part 3, 1.2.7: the ``uuid`` box of ISO base media

_LISTS = read_toml(Path(__file__).with_name("vocabulary.toml"))
MEDIA_TYPES: dict[str, str] = _LISTS["media_types"]
MODEL_TYPES = ("c2pa.types.model", *(f"c2pa.types.model.{name}" for name in _LISTS["model_types"]["names"]))
OVERSIGHT = ("fully_autonomous", "prompt_guided", "human_validated")  # contentProfile.humanOversightLevel

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = frozenset(_IPTC + name for name in _LISTS["source_types"]["iptc"]) | frozenset(
    "http://c2pa.org/digitalsourcetype/" + name for name in _LISTS["source_types"]["c2pa"]
)
_TRAINED = frozenset(name.casefold() for name in _LISTS["source_types"]["trained"])


def names_ai(uri: str) -> bool:
    """Whether a digitalSourceType says that a trained model made what is shown, or a part of it, however its address is written."""
    return uri.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].casefold() in _TRAINED


def source_type(name: str) -> str:
    """A digitalSourceType as its URI, from its short name or URI.

    Raises
    ------
    UsageError
        It is none that we know: our own policy would refuse to read it.
    """
    uri = name if "://" in name else _IPTC + name
    if uri not in SOURCE_TYPES:
        raise UsageError("not a known digitalSourceType", where=name[:120], hint="for example trainedAlgorithmicMedia")
    return uri


@dataclass(frozen=True)
class SoftBinding:
    """A mark in the pixels by which a stripped credential can be found again. value : the payload, as text."""

    algorithm: str
    value: str
    description: str = ""
