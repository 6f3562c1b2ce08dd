"""Running a detector so that its failures stay its own: NaN, exception, hang, death become a reading without a score.

Covered: exceptions, non-finite or malformed output, a hang when ``timeout`` is given, writes into the frames.
A crash of the interpreter itself is covered for detectors that run in a process of their own (see ``detect.external.plugin``).
Not covered: a thread that hangs in native code is abandoned, not stopped.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from detect.base import Abstain, Detector
from gioconda_core.reasons import Abstention, AbstentionReason
from gioconda_core.types import Footage, Reading

LENGTH = 400  # characters kept of what a plugin says


def failed(reading: Reading) -> bool:
    """Whether this abstention is a failure of the detector (an error row), not a decision not to say."""
    return reading.abstained is not None and reading.abstained.failed


def _bounded(reason: Abstention) -> Abstention:
    """A stranger's words on one line, and no more of them than a reading can carry."""
    detail = {
        name: " ".join(value.split())[:LENGTH] or "no reason given" if isinstance(value, str) else value
        for name, value in reason.detail.items()
    }
    return dataclasses.replace(reason, detail=detail)


def _failure(text: str) -> Abstention:
    return Abstention(AbstentionReason.DETECTOR_ERROR, {"text": text})


def _without_score(detector: Detector, footage: Footage, reason: Abstention, seconds: float) -> Reading:
    return Reading(
        detector=str(getattr(detector, "id", type(detector).__name__)),
        version=str(getattr(detector, "version", "?")),
        weights_sha256=getattr(detector, "weights_sha256", None),
        abstained=_bounded(reason),
        protocol=footage.protocol,
        seconds=seconds,
    )


def _complaint(answer: Any) -> Abstention | None:
    """Why an answer cannot be taken for a Reading; None when it can."""
    if not isinstance(answer, Reading):
        return _bad(f"it answered with {type(answer).__name__}, not a Reading")
    if answer.score is not None and not (isinstance(answer.score, int | float) and math.isfinite(answer.score)):
        return _not_finite(answer.score)
    for track in answer.series:
        if len(track.times) != len(track.scores):
            return _bad("its series has a different number of times and scores")
        for value in (*track.times, *track.scores):
            if not math.isfinite(value):
                return _not_finite(value)
    return None


def _bad(text: str) -> Abstention:
    return Abstention(AbstentionReason.BAD_ANSWER, {"text": text})


def _not_finite(value: object) -> Abstention:
    return Abstention(AbstentionReason.NOT_FINITE, {"value": repr(value)})


class _NoAnswer(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _within(work: Callable[[], Any], timeout: float | None) -> Any:
    """work() in this thread, or in another one that is given up on after ``timeout`` seconds."""
    if timeout is None:
        return work()
    outcome: list[Any] = []

    def target() -> None:
        try:
            outcome.append((True, work()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise _NoAnswer(timeout)
    good, value = outcome[0]
    if not good:
        raise value
    return value


def run(detector: Detector, footage: Footage, timeout: float | None = None) -> Reading:
    """Read footage with a detector; never raises for what the detector does, and never invents a score.

    Parameters
    ----------
    timeout : float or None
        Seconds before a detector is given up on. One in a process of its own is killed and started anew next time.

    Returns
    -------
    Reading
        With a finite score, or with ``abstained``: the detector's own reason, or a failure (see :func:`failed`).
    """
    guarded = footage.frozen()  # a detector cannot change what the next one sees
    start = time.perf_counter()
    try:
        answer: Reading = _within(
            lambda: detector.read(guarded), timeout
        )  # or what a plugin takes for one: hence the next line
        complaint = _complaint(answer)
    except Abstain as said:
        return _without_score(detector, footage, said.reason, time.perf_counter() - start)
    except KeyboardInterrupt:
        raise
    except _NoAnswer as late:
        kill = getattr(detector, "kill", None)
        if callable(kill):
            kill()
        reason = Abstention(AbstentionReason.NO_ANSWER_IN_TIME, {"seconds": late.seconds})
        return _without_score(detector, footage, reason, time.perf_counter() - start)
    except BaseException as error:  # SystemExit included: a plugin must not end the audit it runs in
        failure = _failure(f"{type(error).__name__}: {error}")
        return _without_score(detector, footage, failure, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    if complaint:
        return _without_score(detector, footage, complaint, seconds)
    if answer.abstained is not None:
        return dataclasses.replace(answer, abstained=_bounded(answer.abstained), seconds=seconds)
    return dataclasses.replace(answer, seconds=seconds)
