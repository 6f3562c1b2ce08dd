"""Holds what a run that makes clips is handed beside its job: with whose consent, who signs, what may be replaced, and who is told."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synth import consent as consents

if TYPE_CHECKING:
    from provenance.signing.signers import Signer


def _nobody(*_: object, **__: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Session:
    """The circumstances of one run.

    consent : see :mod:`synth.consent`; needed when anybody real is shown. signer : who signs; None = the user's own.
    force : replace files that are there. say : told in a sentence what a person should know. begin, advance : progress, by step.
    """

    consent: str | os.PathLike[str] | None = None
    signer: "Signer | None" = None
    force: bool = False
    say: Callable[[str], None] = _nobody
    begin: Callable[[int], None] = _nobody
    advance: Callable[..., None] = _nobody

    def granted(self, task: str, sources: Sequence[str], real: bool = True) -> consents.Consent:
        """The consent this run has for a task on these files (sha256); where nobody real is shown, none need be given.

        Raises
        ------
        UsageError
            Consent is missing, or does not cover a file or the task.
        """
        given = self.consent if self.consent is not None or real else "embedded"
        return consents.require(given, task, sources if real else [])
