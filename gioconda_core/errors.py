"""What can go wrong, in one shape: what happened, where, and what to do about it.

Exit codes live here too, in one enum from which the documentation is made.
"""

from enum import IntEnum

from gioconda_core.reasons import UnreadReason


class ExitCode(IntEnum):
    """The exit codes of every command. 3 beats 4; the JSON output carries both facts."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    POLICY = 3
    INCOMPLETE = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What the code says, in a sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAULT: "our fault: a bug, please report it with --debug",
    ExitCode.USAGE: "usage or configuration: the command cannot mean anything as given",
    ExitCode.POLICY: "a policy the user set was tripped (--fail-on, --require)",
    ExitCode.INCOMPLETE: "incomplete: unreadable input, missing weights, a row that failed",
    ExitCode.INTERRUPTED: "interrupted; run the same command again to resume",
}


class GiocondaError(Exception):
    """An error a person can act on.

    Parameters
    ----------
    what : str
        One plain sentence, lower case, no full stop: what went wrong.
    where : str
        The file, option, index row or plugin it went wrong in; may be empty.
    hint : str
        What to do next; may be empty.
    """

    exit_code: ExitCode = ExitCode.FAULT

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = str(where)
        self.hint = hint

    @property
    def why(self) -> str:
        """What went wrong and what to do next, for where the place is told beside it."""
        return f"{self.what} ({self.hint})" if self.hint else self.what

    def __str__(self) -> str:
        line = f"{self.where}: {self.why}" if self.where else self.why
        # One line, whatever a file name or a manifest carries: newlines, escapes and bidi overrides are shown, not obeyed.
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class UsageError(GiocondaError):
    """The command or configuration cannot be carried out as written."""

    exit_code = ExitCode.USAGE


class MediaError(GiocondaError):
    """A file cannot be read, decoded or written as media. unread : why no picture of it could be looked at."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(
        self, what: str, where: str = "", hint: str = "", *, unread: UnreadReason = UnreadReason.NO_MEDIA
    ) -> None:
        super().__init__(what, where, hint)
        self.unread = unread


class ResourceError(GiocondaError):
    """The machine does not give what is needed: a full disk, a quota, a folder that may only be read. What was done is kept."""

    exit_code = ExitCode.INCOMPLETE


class WeightsError(GiocondaError):
    """Weights are missing, or are not the ones that were pinned."""

    exit_code = ExitCode.INCOMPLETE


class CredentialError(GiocondaError):
    """Signing, keys, certificates or trust lists cannot do what was asked."""

    exit_code = ExitCode.INCOMPLETE


class PluginError(GiocondaError):
    """Somebody's plugin failed; only its own name is harmed."""

    exit_code = ExitCode.INCOMPLETE
