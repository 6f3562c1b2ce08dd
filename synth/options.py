"""Declares which generator a command draws with, once for every command that draws; nothing here loads one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gioconda_core import plugins
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, check
from synth.model.config import Content

if TYPE_CHECKING:
    from synth.generators import TalkingHeads


UNTRAINED = ("warp", "copy")
SIZED = (*UNTRAINED, "hybrid")  # these draw crops of any size; a trained network has its own
_NAMES = "hybrid, few-shot, warp, copy or a plugin's name"

Consent = Annotated[
    str | None, Option("Consent file, or the word embedded or public-domain.", flag="--consent", metavar="FILE")
]


def _names() -> tuple[str, ...]:
    return (*SIZED, *plugins.names("gioconda.generators"))


def remakes(name: str) -> bool:
    """Whether a name is a family's of fakes. A generator's comes first where both have it (``few-shot``)."""
    return name in plugins.names("gioconda.families") and name not in _names()


def sized(name: str) -> bool:
    """Whether a generator draws crops of any size: those that bend or copy pictures, and families of fakes."""
    return name in SIZED or remakes(name)


def learns(name: str) -> bool:
    """Whether a generator learns its person from shots, and so has a model, steps and a content loss."""
    return name not in UNTRAINED and not remakes(name)


def _each(text: str) -> None:
    """Raise UsageError where a list of generators holds an unknown one, or one twice."""
    names, known = text.split(","), (*_names(), *plugins.names("gioconda.families"))
    for name in names:
        if name not in known:
            raise UsageError(f"unknown generator {name!r}", hint=f"one of {', '.join(known)}")
    if len(set(names)) < len(names):
        raise UsageError("a generator is named twice")


@dataclass(frozen=True)
class GeneratorChoice:
    """A generator by name, and the trained model it is given where it takes one."""

    generator: Annotated[str, Option(f"{_NAMES}.", choices=_names)] = "few-shot"
    model: Annotated[Path | None, Option("A trained model (few-shot, hybrid): .safetensors.")] = None
    content: Content = "auto"

    @property
    def names(self) -> list[str]:
        """The generators, one or several."""
        return self.generator.split(",")

    @property
    def learns(self) -> bool:
        """Whether any of them learns its person."""
        return any(map(learns, self.names))

    def __post_init__(self) -> None:
        check(self)
        self._refuse("has no model", model=self.model is not None)

    def _refuse(self, why: str, **given: bool) -> None:
        """Refuse options that were given for a generator that learns nothing."""
        for option in (name for name, value in given.items() if value and not self.learns):
            hint = "leave it out, or --generator few-shot"
            raise UsageError(f"{self.generator} {why}", where=f"--{option}", hint=hint)

    def tuned(self, steps: object) -> None:
        """Refuse iterations of tuning, and a loss, for a generator that learns nothing."""
        self._refuse("is not tuned", content=self.content != "auto", steps=bool(steps))

    def options(self, device: str) -> dict[str, str | int | None]:
        """What :func:`synth.generators.generator` is given beside the name."""
        if not self.learns:
            return {"size": 256}
        return {"model": str(self.model) if self.model else None, "device": device, "content": self.content}

    def load(self, device: str) -> "TalkingHeads":
        """The generator itself."""
        from synth.generators import generator

        heads: TalkingHeads = generator(self.generator, **self.options(device))
        return heads


@dataclass(frozen=True)
class PersonalGenerator(GeneratorChoice):
    """A generator that may be a personal model, which has learned its person already."""

    generator: Annotated[str, Option(f"{_NAMES}.", choices=_names)] = "hybrid"
    model: Annotated[Path | None, Option("A trained model, or a personal one from synth tune: .safetensors.")] = None

    def load_for(self, mode: str, steps: int | None, device: str) -> "TalkingHeads":
        """The generator, for a job of that mode and those iterations of tuning."""
        from synth.person.model import PersonalModel

        if self.generator not in ("few-shot", "hybrid") or self.model is None or not PersonalModel.at(self.model):
            return self.load(device)
        if steps is not None or mode != "ft" or self.content != "auto":
            hint = "leave out --steps, --mode and --content"
            raise UsageError("a personal model is tuned already", str(self.model), hint)
        if self.generator == "hybrid":
            return self.load(device)
        from synth.reenact.reenact import TunedGenerator

        return TunedGenerator(self.model, device)


@dataclass(frozen=True)
class SizedGenerator(GeneratorChoice):
    """A generator that is also told the size of its crops, where no model says it."""

    size: Annotated[
        int | None, Option("Side of the crops (hybrid, warp, copy; a model has its own).", minimum=16, maximum=1024)
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(map(sized, self.names)) and self.size is not None:
            raise UsageError("only hybrid, warp and copy are given a size", where="--size", hint="a model has its own")

    def options(self, device: str) -> dict[str, str | int | None]:
        """What :func:`synth.generators.generator` is given beside the name."""
        return super().options(device) | ({"size": self.size} if self.size else {})


@dataclass(frozen=True)
class SharedGenerators(SizedGenerator):
    """One generator, or several that share out a set."""

    generator: Annotated[
        str,
        Option(
            f"{_NAMES}, or a family of fakes (bend, mouth, redraw-face …); several with commas take turns.", valid=_each
        ),
    ] = "few-shot"
