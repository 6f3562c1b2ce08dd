"""Documents: what is written to JSON is read back as it was, and what is not of its kind is refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pytest

from gioconda_core.documents import plain, read, to_json
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Reading, TrackScore


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Small:
    name: str
    picture: bytes = b""


@dataclass(frozen=True)
class Other:
    text: str


@dataclass(frozen=True)
class Large:
    colour: Colour
    parts: tuple[Small, ...]
    pair: tuple[int, Small]
    either: Small | Other
    named: Mapping[str, Small] = field(default_factory=dict)
    perhaps: Colour | None = None
    rest: list[tuple[float, float]] = field(default_factory=list)
    any_of: Sequence[Small] = field(default_factory=list)  # a list, whatever it was


WHOLE = Large(
    Colour.RED,
    (Small("a", b"\xff\x00"),),
    (3, Small("b")),
    Other("o"),
    {"c": Small("c")},
    Colour.RED,
    [(0.5, 1.0)],
    [Small("d")],
)


@pytest.mark.parametrize("document", [WHOLE, Large(Colour.RED, (), (1, Small("b")), Small("s"))])
def test_a_document_comes_back_as_it_was(document):
    assert read(Large, json.loads(to_json(document))) == document


def test_reasons_and_readings_come_back():
    reading = Reading("ours", "1", None, series=(TrackScore(0, (0.0, 1.0), (0.5, 0.25)),), score=0.5)
    assert read(Reading, plain(reading)) == reading
    silent = Reading("ours", "1", None, abstained=Abstention(AbstentionReason.NO_FACE))
    assert read(Reading, plain(silent)) == silent


def test_a_key_too_many_is_passed_over_and_one_too_few_has_its_default_or_is_refused():
    assert read(Small, {"name": "a", "of": "tomorrow"}) == Small("a")
    with pytest.raises(TypeError, match="name"):
        read(Small, {"picture": ""})
    with pytest.raises(ValueError, match="blue"):
        read(Large, plain(WHOLE) | {"colour": "blue"})


def test_numbers_that_json_has_not_are_null_and_numpys_are_numbers():
    assert plain({"a": float("nan"), "b": np.float32(0.5), "c": np.int64(3)}) == {"a": None, "b": 0.5, "c": 3}
    assert plain([1, 2], lambda item: "two" if item == 2 else None) == [1, "two"]
