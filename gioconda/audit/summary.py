"""The summary of an audit: how many files it saw, what it found, and which tables it wrote."""

from dataclasses import dataclass, field


@dataclass
class Summary:
    """How many files an audit saw and what it found. seen = resumed + examined + copied; skipped : how many were passed over, by :class:`~gioconda_core.reasons.PassedOver`; tripped : policy, first 1,000.

    accepted : findings of the baseline, accepted_errors those of them that are errors; notes : what its keeper should know.
    states : how many files by what is told of their credentials (see :func:`~gioconda.audit.tables.state_of`).
    renewed : files among the examined that had a row of another configuration; because : what is another in it.
    """

    seen: int = 0
    resumed: int = 0
    examined: int = 0
    copied: int = 0  # rows taken over from a file of the same content
    renewed: int = 0
    because: list[str] = field(default_factory=list)
    failed: int = 0
    accepted: int = 0
    accepted_errors: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    levels: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    tripped: int = 0
    tripped_first: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    schema: str = "gioconda.audit/1"
