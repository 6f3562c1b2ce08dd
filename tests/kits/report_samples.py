"""Hand-made reports for the tests of renderers: one of each kind a reader can meet."""

import io
from functools import cache

import numpy as np
from PIL import Image

from gioconda_core.reasons import MediaWarning, Problem, ProblemReason, WarningReason
from gioconda_core.types import (
    Calibrated,
    Code,
    FaceSummary,
    IngredientNode,
    Level,
    Provenance,
    ProvenanceState,
    Reading,
    Report,
    Sentence,
    Still,
    TrackScore,
    Verdict,
    Watermark,
)

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202egnp.exe\nnext"


@cache
def jpeg(shade: int = 120) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((48, 48, 3), shade, np.uint8)).save(out, "jpeg")
    return out.getvalue()


def calibrated(detector="residual", score=2.31, rate=0.004, level=Level.STRONG_SIGNAL, track=0):
    times = tuple(i * 0.4 for i in range(16))
    scores = tuple(score * (0.6 + 0.4 * np.sin(i / 2.0)) for i in range(16))
    reading = Reading(
        detector,
        "1",
        "a" * 64,
        score=score,
        series=(TrackScore(track, times, tuple(map(float, scores))),),
        protocol="32f-even",
    )
    if rate is None:
        return Calibrated(reading, Level.NOT_ASSESSED)
    return Calibrated(
        reading,
        level,
        rate,
        rate / 4,
        min(1.0, rate * 3 + 0.001),
        420,
        "footage-2026",
        "2026-11-20",
        "all",
        1.6,
        None,
        round(rate * 420),
        420,
        window_threshold=1.8,
    )


def abstained(detector="dynamics", reason="the face is 31 pixels wide, below 64"):
    return Calibrated(Reading(detector, "1", None, abstained=reason), Level.NOT_ASSESSED)


def report(**changes):
    parts = {
        "title": "interview.mp4",
        "sha256": "ab" * 32,
        "verdict": Verdict(
            Level.STRONG_SIGNAL,
            (
                Sentence(
                    "short.strong-signal",
                    {"detector": {"named": "residual"}, "set": "footage-2026", "date": "2026-11-20", "same": {"key": "same.some", "args": {"k": 5, "n": 420}}},
                ),
                Sentence("short.disagree", {"high": ["residual"], "low": ["spectrum"]}),
                Sentence("short.partly", {"detectors": ["dynamics"]}),
            ),
            (
                Sentence("caveat.face-small", {"face": {"key": "face.only"}, "face_px": 61.0, "threshold": 96}),
                Sentence("caveat.compressed", {"bits": 0.031, "threshold": 0.05}),
            ),
            (Sentence("next.lead"), Sentence("next.original"), Sentence("next.context"), Sentence("next.keep")),
            (Sentence("scope.clip", {"frames": 16, "seconds": "6.4 s", "duration": "6.4 s", "read": 1, "faces": 1}), Sentence("scope.not-sound")),
            (Sentence("editor.may-signal"), Sentence("editor.not-signal")),
        ),
        "provenance": Provenance(ProvenanceState.ABSENT),
        "readings": (
            calibrated(),
            calibrated("spectrum", -0.7, 0.62, Level.NO_STRONG_SIGNAL),
            abstained(),
            calibrated("vit-ln", 0.4, None),
        ),
        "facts": {
            "size": 2_412_345, "width": 1280, "height": 720, "duration": 6.4, "fps": 25.0, "codec": "h264", "container": "mp4",
            "bit_rate": 810_000, "has_audio": True, "still": False,
            "metadata": {"Encoder": "Lavf61.7.100", "Title": "interview"},
            "signs": [{"key": "sign.writer", "args": {"writer": "Lavf61.7.100"}}],
        },
        "tracks": (
            FaceSummary(
                id=0, seen=32, start=0.0, end=6.2, face_px=61.0, quality=0.42, times=(0.0, 3.1), thumbnail=jpeg(),
                boxes=((0.3, 0.2, 0.5, 0.6), (0.31, 0.2, 0.51, 0.6)), stills=(Still(0.0, jpeg()), Still(3.1, jpeg(90))),
            ),
        ),
        "versions": {"gioconda": "0.1.0", "c2pa": "0.38.1"},
        "command": "gioconda check interview.mp4",
        "created": "2026-11-22T19:00:00+00:00",
    }  # fmt: skip
    return Report(**(parts | changes))


def signed(**changes):
    parts = {
        "signer": "Example News",
        "trust_list": "project list",
        "trust_list_date": "2026-11-01",
        "signed_at": "2026-11-19T10:00:00+00:00",
        "timestamped": True,
        "claim_generator": "gioconda 0.1.0",
        "says_ai": True,
        "actions": ({"action": "c2pa.created"},),
        "label": {"task": "self-reenactment", "generator": {"name": "few-shot"}},
        "ingredients": (
            IngredientNode(
                "portrait.png", "inputTo", "image/png", thumbnail=jpeg(),
                failures=(Code("assertion.dataHash.mismatch", "failure", "The bytes changed after signing."),),
                children=(IngredientNode("older.png", "parentOf", "image/png"),),
            ),
        ),
        "codes": (Code("claimSignature.validated", "success", "The signature on the claim is valid."),),
    }  # fmt: skip
    return Provenance(ProvenanceState.TRUSTED, **(parts | changes))


def hostile():
    """Every string a stranger controls carries markup, a terminal escape and a bidi override."""
    return report(
        title=HOSTILE,
        provenance=signed(
            signer=HOSTILE, trust_list=HOSTILE, claim_generator=HOSTILE, actions=({"action": HOSTILE},),
            label={"task": HOSTILE, "generator": HOSTILE}, codes=(Code(HOSTILE, "failure", HOSTILE),),
            ingredients=(IngredientNode(HOSTILE, HOSTILE, HOSTILE, signer=HOSTILE, thumbnail=b"<svg onload=alert(1)>"),),
        ),
        readings=(calibrated(HOSTILE), abstained(HOSTILE, HOSTILE)),
        facts={"metadata": {HOSTILE: HOSTILE}, "codec": HOSTILE, "signs": [{"key": "sign.writer", "args": {"writer": HOSTILE}}]},
        mark=Watermark(HOSTILE, "ab", 0.0, 8),
        warnings=(MediaWarning(WarningReason.METADATA_UNREAD, {"text": HOSTILE}),),
        errors=(Problem(ProblemReason.MEDIA_UNREAD, {"text": HOSTILE}),),
        command=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )  # fmt: skip
