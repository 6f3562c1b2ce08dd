"""Which frames of a clip are wanted: the sampling strings, parsed once and turned into times.

A sampling is part of a metric's name (``auc/video@32f-even``), so its meaning is fixed here:

``all``            every frame, once, in display order.
``even:N``         the frames on screen at ``(i + 0.5) / N`` of the duration: centres of N equal parts, never the first N frames.
``every:SECONDS``  the frames on screen at 0, S, 2S, … below the duration.
``keyframes``      the frames that decode on their own.
``at:T1,T2,…``     the frames on screen at those seconds, ascending; a frame asked for twice is given twice.

"On screen at t" is the last frame whose timestamp is not after t, where times written to the millisecond count as exact
(``SLACK``). ``even`` and ``every`` give a frame at most once, so a clip
with fewer frames than asked gives each of them once.
"""

import math
from dataclasses import dataclass

from gioconda_core.errors import UsageError

# seconds: a little over half a millisecond, so that a timestamp survives being printed with three decimals
SLACK = 0.0006

_HINT = "one of all, even:N, every:SECONDS, keyframes, at:T1,T2,…"
_MOST_TARGETS = 10_000_000  # a sampling that asks for more is a slip of the pen


@dataclass(frozen=True)
class Sampling:
    """A parsed sampling. mode : ``all``, ``even``, ``every``, ``keyframes`` or ``at``; the numbers are its argument."""

    mode: str
    count: int = 0  # even
    step: float = 0.0  # every, seconds
    at: tuple[float, ...] = ()  # seconds, ascending

    @classmethod
    def parse(cls, text: str) -> "Sampling":
        """Read a sampling string.

        Raises
        ------
        UsageError
            When it is not one of the five forms, or its number makes no sense.
        """
        mode, _, argument = text.partition(":")
        try:
            if mode in ("all", "keyframes") and not argument:
                return cls(mode)
            if mode == "even":
                count = int(argument)
                if not 1 <= count <= _MOST_TARGETS:
                    raise ValueError
                return cls(mode, count=count)
            if mode == "every":
                step = float(argument.removesuffix("s"))
                if not (math.isfinite(step) and step > 0):
                    raise ValueError
                return cls(mode, step=step)
            if mode == "at":
                at = tuple(sorted(float(item.removesuffix("s")) for item in argument.split(",")))
                if not all(math.isfinite(t) and t >= 0 for t in at):
                    raise ValueError
                return cls(mode, at=at)
        except ValueError:
            pass
        raise UsageError(f"unknown sampling {text!r}", where="sampling", hint=_HINT)

    def targets(self, duration: float) -> tuple[float, ...]:
        """Seconds at which a frame is wanted, ascending, for ``even``, ``every`` and ``at``."""
        if self.mode == "even":
            return tuple((i + 0.5) / self.count * duration for i in range(self.count))
        if self.mode == "every":
            n = max(1, math.ceil(duration / self.step - 1e-9))
            if n > _MOST_TARGETS:
                raise UsageError(f"every {self.step:g} s of {duration:g} s is {n} frames", "sampling", "use all")
            return tuple(i * self.step for i in range(n))
        return self.at

    @property
    def repeats(self) -> bool:
        """Whether a frame wanted twice is given twice."""
        return self.mode == "at"

    @property
    def protocol(self) -> str:
        """The name metrics use: ``all``, ``32f-even``, ``every-1s``, ``keyframes``, ``3f-at``."""
        match self.mode:
            case "even":
                return f"{self.count}f-even"
            case "every":
                return f"every-{self.step:g}s"
            case "at":
                return f"{len(self.at)}f-at"
        return self.mode
