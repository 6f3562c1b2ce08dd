"""Which generator a command draws with, declared once for every command that draws; nothing here loads one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gioconda_core import plugins
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, check

if TYPE_CHECKING:
    from synth.generators import TalkingHeads


UNTRAINED = ("warp", "copy")

Consent = Annotated[
    str | None, Option("Consent file, or the word embedded or public-domain.", flag="--consent", metavar="FILE")
]


def _names() -> tuple[str, ...]:
    return (*UNTRAINED, *plugins.names("gioconda.generators"))


@dataclass(frozen=True)
class GeneratorChoice:
    """A generator by name, and the trained model it is given where it takes one."""

    generator: Annotated[str, Option("few-shot, warp, copy or a plugin's name.", choices=_names)] = "few-shot"
    model: Annotated[Path | None, Option("A trained model (few-shot): .safetensors.")] = None

    def __post_init__(self) -> None:
        check(self)
        if self.generator in UNTRAINED and self.model is not None:
            raise UsageError(
                f"{self.generator} has no model", where="--model", hint="leave it out, or --generator few-shot"
            )

    def tuned(self, steps: object) -> None:
        """Refuse iterations of tuning for a generator that learns nothing."""
        if self.generator in UNTRAINED and steps:
            raise UsageError(
                f"{self.generator} is not tuned", where="--steps", hint="leave it out, or --generator few-shot"
            )

    def options(self, device: str) -> dict[str, str | int | None]:
        """What :func:`synth.generators.generator` is given beside the name."""
        if self.generator in UNTRAINED:
            return {"size": 256}
        return {"model": str(self.model) if self.model else None, "device": device}

    def load(self, device: str) -> TalkingHeads:
        """The generator itself."""
        from synth.generators import generator

        return generator(self.generator, **self.options(device))


@dataclass(frozen=True)
class PersonalGenerator(GeneratorChoice):
    """A generator that may be a personal model, which has learned its person already."""

    model: Annotated[Path | None, Option("A trained model, or a personal one from synth tune: .safetensors.")] = None

    def load_for(self, mode: str, steps: int | None, device: str) -> TalkingHeads:
        """The generator, for a job of that mode and those iterations of tuning."""
        from synth.person.model import PersonalModel

        if self.generator != "few-shot" or self.model is None or not PersonalModel.at(self.model):
            return self.load(device)
        if steps is not None or mode != "ft":
            raise UsageError(
                "a personal model is tuned already", where=str(self.model), hint="leave out --steps and --mode"
            )
        from synth.reenact.reenact import TunedGenerator

        return TunedGenerator(self.model, device)


@dataclass(frozen=True)
class SizedGenerator(GeneratorChoice):
    """A generator that is also told the size of its crops, where no model says it."""

    size: Annotated[
        int | None, Option("Side of the crops (warp and copy; a model has its own).", minimum=16, maximum=1024)
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator not in UNTRAINED and self.size is not None:
            raise UsageError("only warp and copy are given a size", where="--size", hint="a model has its own")

    def options(self, device: str) -> dict[str, str | int | None]:
        """What :func:`synth.generators.generator` is given beside the name."""
        return super().options(device) | ({"size": self.size} if self.size else {})
