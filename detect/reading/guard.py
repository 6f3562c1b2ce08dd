"""Runs a detector so that its failures stay its own: NaN, exception, hang and death become a reading without a score.

Covered: exceptions, non-finite or malformed output, a hang when ``timeout`` is given, writes into the frames.
A crash of the interpreter itself is covered for detectors that run in a process of their own (see ``detect.external.plugin``).
Not covered: a thread that hangs in native code is abandoned, not stopped.
"""

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


def _complaint(answer: Any) -> Abstention | None:
    """Why an answer cannot be taken for a Reading; None when it can."""
    bad = ""
    if not isinstance(answer, Reading):
        bad = f"it answered with {type(answer).__name__}, not a Reading"
    elif any(len(track.times) != len(track.scores) for track in answer.series):
        bad = "its series has a different number of times and scores"
    if bad:
        return Abstention(AbstentionReason.BAD_ANSWER, {"text": bad})
    values = (value for track in answer.series for value in (*track.times, *track.scores))
    wrong = next((value for value in values if not math.isfinite(value)), None)
    return None if wrong is None else Abstention(AbstentionReason.NOT_FINITE, {"value": repr(wrong)})


class _NoAnswer(Exception):
    """The detector took longer than it was given."""


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
        raise _NoAnswer
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
        answer: Reading = _within(lambda: detector.read(guarded), timeout)
        reason = _complaint(answer)
    except Abstain as abstention:
        reason = abstention.reason
    except KeyboardInterrupt:
        raise
    except _NoAnswer:
        kill = getattr(detector, "kill", None)
        if callable(kill):
            kill()
        reason = Abstention(AbstentionReason.NO_ANSWER_IN_TIME, {"seconds": timeout})
    except BaseException as error:  # SystemExit included: a plugin must not end the audit it runs in
        reason = Abstention(AbstentionReason.DETECTOR_ERROR, {"text": f"{type(error).__name__}: {error}"})
    seconds = time.perf_counter() - start
    if reason is None:
        score = None if answer.score is None else float(answer.score)
        declined = answer.abstained and _bounded(answer.abstained)
        if declined and declined.code == AbstentionReason.NO_FACE and (degrees := footage.facts.get("turned")):
            declined = Abstention(AbstentionReason.FACE_TURNED, {"degrees": degrees})
        return dataclasses.replace(answer, score=score, abstained=declined, seconds=seconds)
    return Reading(
        detector=str(getattr(detector, "id", type(detector).__name__)),
        version=str(getattr(detector, "version", "?")),
        weights_sha256=getattr(detector, "weights_sha256", None),
        abstained=_bounded(reason),
        protocol=footage.protocol,
        seconds=seconds,
    )
