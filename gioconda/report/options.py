"""Options that whatever examines files shares: which detectors, whose signatures, which language."""

from dataclasses import dataclass
from typing import Annotated

from detect.registry import specs
from gioconda.report.wording import language
from gioconda_core.media.sampling import Sampling
from gioconda_core.options import Option


def names_of(detectors: str) -> tuple[str, ...]:
    """``a,b`` → names, an address with commas in it kept whole; ``none`` → no detector."""
    if detectors.strip() == "none":
        return ()
    return tuple(specs(detectors.split(",")))


Detectors = Annotated[
    tuple[str, ...] | None,
    Option("Detectors by name; none for credentials and container only.", metavar="A,B", parse=names_of),
]
Lang = Annotated[str, Option("One of en, ja, es, fr, de; the locale's by default.", parse=language, unset=language)]
TrustLists = Annotated[
    tuple[str, ...], Option("A trust list beside the stored ones.", metavar="[KIND=]PEM", flag="--trust", repeat=True)
]
OwnKey = Annotated[bool, Option("Also trust this user's own development key.", flag="--trust-development")]
Sampled = Annotated[
    str | None,
    Option(
        "Frames the detectors see, such as even:32; what they ask for by default.",
        flag="--sampling",
        valid=Sampling.parse,
    ),
]


@dataclass(frozen=True)
class Judges:
    """Who is asked about a file: which detectors, and whose signatures count."""

    detectors: Detectors = None
    trust: TrustLists = ()
    trust_development: OwnKey = False
