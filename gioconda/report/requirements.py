"""What a user may ask of files so that a command ends with exit code 3: levels not to reach, properties to have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from gioconda.report.rows import Row
from gioconda_core.errors import ExitCode
from gioconda_core.options import Option, check
from gioconda_core.types import Level, ProvenanceState

REQUIREMENTS = ("assessed", "valid", "trusted", "sound-ingredients")
# A credential among the ingredients that did not validate, or was not looked at for their number.
_UNSOUND = frozenset(("gioconda.ingredient.failure", "gioconda.ingredient.unread"))
_LEVELS = tuple(Level)
_ALARMS = (str(Level.SIGNAL), str(Level.STRONG_SIGNAL))
DECLARED_AI = "declared-ai"


@dataclass(frozen=True)
class Trip:
    """One way in which a file trips a policy. rule : what was found, as SARIF and baselines name it, such as ``level/signal``."""

    rule: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Policy:
    """The lowest level that trips, and the properties every file must have. Without either a score never changes an exit code.

    ``declared-ai`` trips where the metadata, or an intact credential, says that AI made or edited the file.
    """

    fail_on: Annotated[
        str | None,
        Option(
            "Exit 3 at this level or above: signal, strong-signal; or where AI is declared: declared-ai.",
            metavar="LEVEL",
            choices=(*_ALARMS, DECLARED_AI),
        ),
    ] = None
    require: Annotated[
        tuple[str, ...],
        Option(
            "Exit 3 unless every file is assessed, valid, trusted, or made from files with sound credentials (sound-ingredients).",
            metavar="WHAT",
            choices=REQUIREMENTS,
            repeat=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        check(self)

    def tripped(self, row: Row) -> list[Trip]:
        """How a row trips the policy; empty when it does not."""
        found = []
        level, state = f"level/{row.level}", row.state
        intact = state is not None and state.intact
        credentials = f"credentials/{state or 'not-read'}"
        if self.fail_on == DECLARED_AI:
            signed = row.says_ai and intact
            if signed or row.declared_ai:
                where = "the credential" if signed else "the metadata"
                found.append(Trip("declared/ai", f"AI declared in {where} (--fail-on {DECLARED_AI})"))
        elif self.fail_on and _LEVELS.index(row.level) >= _LEVELS.index(Level(self.fail_on)):
            found.append(Trip(level, f"level {row.level} (--fail-on {self.fail_on})"))
        if "trusted" in self.require and state != ProvenanceState.TRUSTED:
            found.append(Trip(credentials, f"credentials {state or 'not read'} (--require trusted)"))
        if "valid" in self.require and not intact:
            found.append(Trip(credentials, f"credentials {state or 'not read'} (--require valid)"))
        if "sound-ingredients" in self.require and _UNSOUND.intersection(row.codes):
            found.append(Trip(credentials, "an ingredient’s credential does not hold (--require sound-ingredients)"))
        if "assessed" in self.require and row.level in (Level.NOT_ASSESSED, Level.NO_SKILL):
            found.append(Trip(level, f"{row.level} (--require assessed)"))
        return found


@dataclass(frozen=True)
class Outcome:
    """How a command ends, for its JSON. policy : how files trip it, a line each; incomplete : whether something could not be examined."""

    policy: tuple[str, ...]
    incomplete: bool
    exit_code: ExitCode


def outcome(tripped: Sequence[str], incomplete: bool) -> Outcome:
    """The outcome of a command: 3 where a policy is tripped, else 4 where something could not be examined, else 0."""
    code = ExitCode.POLICY if tripped else ExitCode.INCOMPLETE if incomplete else ExitCode.DONE
    return Outcome(tuple(tripped), incomplete, code)
