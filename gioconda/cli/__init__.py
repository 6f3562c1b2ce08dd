"""The ``gioconda`` command: one module a group, nothing heavy imported before a command runs."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors a person can act on are one line on stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        from gioconda.cli.app import run
    except ImportError as error:
        from gioconda.cli.faults import say

        code = say(error, given)
    else:
        code = run(given)
    if argv is None:
        sys.exit(code)
    return code
