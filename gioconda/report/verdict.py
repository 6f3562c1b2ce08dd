"""From readings, clip and credentials to words: level, sentences, caveats computed from this clip, next steps.

Detectors and credentials are kept apart here as everywhere: no function below takes both a score and a signature.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gioconda.report.view import figure, leading, named_moments, same_headline, sealed_figure, standing_out
from gioconda.report.wording import clock, when
from gioconda_core.reasons import AbstentionReason, MediaWarning, UnreadReason
from gioconda_core.types import (
    MOST_FACES,
    Calibrated,
    CredentialReason,
    FaceTrack,
    Footage,
    Level,
    Provenance,
    ProvenanceState,
    Sentence,
    Verdict,
)

FACE_PX = 96  # extent of the face below which texture traces are mostly lost
BITS = {"h264": 0.05, "hevc": 0.03, "av1": 0.025, "vp9": 0.03}  # bits per pixel of visible compression
SHORT_SIDE = 360  # pixels
SECONDS = 3.0
QUALITY = 0.4
YAW = 35.0  # degrees
WHITE = 0.2  # share of a face that is plain white
RATE = 15.0  # frames per second
REALS = 300  # calibration clips below which a 1 % rate rests on two or three alarms
# Filmed clips, and in how many of them contrast finds a signal as they came and with something drawn over the face, by models that had
# not seen their person or page (docs/experiments-detectors.md).
COVERED = {"clips": 232, "plain": 13, "made": 21, "date": "2026-12-01"}


def level_of(readings: Sequence[Calibrated]) -> Level:
    """The level of the leading reading; a score without a calibration card sets no level."""
    lead = leading(readings)
    return lead.level if lead else Level.NOT_ASSESSED


def sentences(
    readings: Sequence[Calibrated], unread: UnreadReason | None = None, facts: Mapping[str, Any] | None = None
) -> tuple[Sentence, ...]:
    """What the detectors found, in short: what the picture is, then the headline's reason. unread : why nothing could be looked at."""
    if unread:
        return (Sentence("short.none-run", {"reason": {"key": f"reason.{unread}"}}),)
    said: list[Sentence] = []
    facts = facts or {}
    if facts.get("still"):
        said.append(Sentence("short.still"))
    elif facts.get("frame_count") == 1:
        said.append(Sentence("short.one-frame"))
    elif facts.get("examined", {}).get("frames") == 1:  # as of what is torn after the first one
        said.append(Sentence("short.one-looked-at"))
    elif facts.get("moves") is False:
        said.append(Sentence("short.frozen", {"frames": facts["examined"]["frames"]}))
    said += when(facts.get("plain"), "short.plain")
    if not readings:
        return (*said, Sentence("short.none-run", {"reason": {"key": "reason.none-asked"}}))
    lead = leading(readings)
    if lead is not None:
        said += _headline(lead, readings)
        said += _by_face(lead)
    rank_only = [r for r in readings if r.reading.score is not None and r.false_alarm is None]
    said += when(rank_only, "short.uncalibrated", detectors=_names(rank_only))
    silent = [r for r in readings if r.reading.score is None]
    if silent and len(silent) == len(readings):
        reasons = [r.reading.abstained.document() for r in silent if r.reading.abstained is not None]
        if said and (said[0].key.startswith("short.one-") or all(reason["code"] in _OF_STILLS for reason in reasons)):
            pass  # said already: what it is, and that nothing in it can be compared
        elif len(silent) == 1 and silent[0].faces:
            said += _by_face(silent[0])
        elif all(reason == reasons[0] for reason in reasons):
            said.append(Sentence("short.not-assessed", {"reason": reasons[0]}))
        else:
            said.append(Sentence("short.none-assessed", {"detectors": _names(silent)}))
    elif silent and lead is None:
        said.append(Sentence("short.partly", {"detectors": _names(silent)}))
    return tuple(said)


_OF_STILLS = (AbstentionReason.STILL_PICTURE, AbstentionReason.NOTHING_MOVES)
_IN_EVERY_COPY = (*_OF_STILLS, AbstentionReason.FACE_TURNED)  # whatever its size and compression


def _headline(lead: Calibrated, readings: Sequence[Calibrated]) -> list[Sentence]:
    name = {"named": lead.reading.detector}
    scored = [r for r in readings if r.reading.score is not None and r.false_alarm is not None]
    if lead.level == Level.NO_SKILL:
        unskilled = [r for r in scored if r.level == Level.NO_SKILL]
        return [Sentence("short.no-skill", {"detectors": _names(unskilled), **sealed_figure(unskilled)})]
    others = [r for r in scored if r is not lead and r.level != Level.NO_SKILL]
    if lead.level == Level.NO_STRONG_SIGNAL:
        said = [Sentence("short.no-strong-signal", {"detector": name}), Sentence(*_missed(lead))]
        if over := [(series.track, times) for series in lead.reading.series if (times := standing_out(lead, series))]:
            track, times = max(over, key=lambda one: len(one[1]))
            args: dict[str, Any] = {"track": track + 1, "moments": named_moments(times), "n": lead.of_reals or 0}
            said.append(Sentence("short.moments", args))
        differing = [r for r in others if r.level.found]
        return said + when(differing, "short.disagree", high=_names(differing), low=[lead.reading.detector])
    args = {"detector": name, "set": lead.calibration_set or "?", "date": lead.date or "?", "same": same_headline(lead)}
    differing = [r for r in others if r.level == Level.NO_STRONG_SIGNAL]
    disagree = when(differing, "short.disagree", high=[lead.reading.detector], low=_names(differing))
    return [Sentence(f"short.{lead.level}", args), *disagree]


def _by_face(item: Calibrated) -> list[Sentence]:
    """Where several faces were read: which of them have a signal, and which were not assessed and why."""
    found = [face.track + 1 for face in sorted(item.faces, key=lambda face: face.track) if face.level.found]
    said = when(found, "short.with-signal", tracks=found, assessed=item.faces_assessed)
    for face in sorted(item.faces, key=lambda face: face.track):
        if face.abstained is not None:
            said.append(Sentence("face.not-assessed", {"track": face.track + 1, "reason": face.abstained.document()}))
    return said


def _missed(lead: Calibrated) -> tuple[str, dict[str, Any]]:
    """How many fakes by methods it had not seen a detector misses, where that was measured."""
    for skill in (lead.sealed, lead.unseen):
        if skill is not None and skill.missed is not None and skill.fakes:
            args = {"ten": round(10 * skill.missed / skill.fakes), "missed": skill.missed, "fakes": skill.fakes}
            return "short.missed", args | {"methods": skill.methods, "date": skill.date}
    return "short.missed-unknown", {}


def _names(readings: Sequence[Calibrated]) -> list[str]:
    return [r.reading.detector for r in readings]


def caveats(
    readings: Sequence[Calibrated],
    footage: Footage | None,
    facts: Mapping[str, Any],
    warnings: Sequence[MediaWarning] = (),
) -> tuple[Sentence, ...]:
    """What weakens a reading of this very clip, each with the number that was measured. warnings : the decoder's."""
    said: list[Sentence] = []

    def say(name: str, **args: Any) -> None:
        said.append(Sentence(f"caveat.{name}", args))

    if facts.get("misnamed"):
        say("misnamed", **facts["misnamed"])
    if facts.get("clip_behind") and facts.get("still"):
        say("clip-behind", megabytes=facts["clip_behind"] / 1e6)
    if int(facts.get("reduced") or 1) > 1:
        say("reduced", factor=facts["reduced"])
    others = int(facts.get("streams") or 1) - 1
    if facts.get("covers"):
        say("cover", count=facts["covers"])
    if others > 0:  # seen or not, whoever relies on the file should know of them
        say("other-track" if others == 1 else "other-tracks", count=others)
    if not readings:
        return tuple(said)
    for r in readings:
        if r.reading.score is not None and r.sealed is None and r.unseen is not None:
            say("not-sealed", detector=r.reading.detector, **figure(r.unseen))
    for warning in warnings:
        if warning.of_pictures:
            say("partly-decoded", reason=warning.document())
    _picture(facts, say, face=footage is None or bool(footage.tracks))
    if footage is not None:
        if footage.standing and footage.moves:
            say("stands-still", spans=[f"{clock(start)} – {clock(end)}" for start, end in footage.standing])
        lead = leading(readings)
        _faces(footage, lead.track if lead else None, say)
        if len(footage.tracks) > 1 and any(r.reading.score is not None for r in readings):
            say("several-faces", faces=len(footage.tracks))
    _about(readings, facts.get("learned_by", ()), say)
    # What most likely made a signal comes first.
    return tuple(sorted(said, key=lambda one: one.key != "caveat.overexposed"))


def _picture(facts: Mapping[str, Any], say: Any, *, face: bool) -> None:
    """What the picture's size, length, compression and rate make difficult. face : whether there is one that could move."""
    width, height = int(facts.get("width") or 0), int(facts.get("height") or 0)
    duration, fps = float(facts.get("duration") or 0.0), float(facts.get("fps") or 0.0)
    if facts.get("still"):
        say("still", width=width, height=height)
    elif face and 0 < duration < SECONDS:
        say("short", duration=duration, threshold=SECONDS)
    if 0 < min(width, height) < SHORT_SIDE:
        say("picture-small", width=width, height=height, threshold=SHORT_SIDE)
    bits = facts.get("bits_per_pixel")
    floor = BITS.get(str(facts.get("codec")))
    if bits and floor and bits < floor and facts.get("moves") is not False:  # what does not move needs few
        say("compressed", bits=bits, threshold=floor)
    if facts.get("examined", {}).get("followed") is False:
        say("not-followed", duration=duration)
    if facts.get("interlaced"):
        say("interlaced", width=width, height=height)
    if facts.get("hdr"):
        say("hdr", transfer=facts["hdr"])
    if face and 0 < fps < RATE:
        say("frame-rate", fps=fps, threshold=RATE)


def _about(readings: Sequence[Calibrated], learned_by: Sequence[str], say: Any) -> None:
    """What limits the readings themselves. learned_by : detectors that have seen this file in training."""
    scored = [r for r in readings if r.reading.score is not None and r.false_alarm is not None]
    if len(scored) > 1 and any(r.level.found for r in scored):
        say("several-detectors", count=len(scored))
    for r in readings:
        name = r.reading.detector
        why = r.reading.abstained
        if why is not None and why.code == AbstentionReason.OUTSIDE_CALIBRATION and not r.faces:
            say("unlike", detector=name, difference=why.detail["difference"])
        if r.reading.score is None:
            continue
        if r.false_alarm is None:
            say("uncalibrated", detector=name)
    learned = [r.reading.detector for r in readings if r.reading.score is not None and r.reading.detector in learned_by]
    if learned:
        say("learned", detectors=learned)
    few = [r for r in scored if r.n and r.n < REALS and r.level != Level.NO_SKILL]
    if few:
        n = min(r.n or 0 for r in few)
        say("few-reals", detectors=_names(few), n=n, floor=1 / n)
    if rated := [r for r in scored if r.level != Level.NO_SKILL]:
        say("filmed-people", detectors=_names(rated))
    if any(r.level.found for r in rated):
        say("covered-face", **COVERED)
    low = [r for r in readings if r.level == Level.NO_STRONG_SIGNAL and r.false_alarm is not None]
    if low:
        say("unseen-generators", detectors=_names(low))


def _faces(footage: Footage, read: int | None, say: Any) -> None:
    """What weakens the reading of the face that the headline is of. read : its track; None = none was read, the largest is looked at."""
    tracks = footage.tracks
    if not tracks:
        return
    largest = max(tracks, key=lambda t: t.extent)
    face = next((t for t in tracks if t.id == read), largest)
    whose = Sentence("face.only") if len(tracks) == 1 else Sentence("face.numbered", {"track": face.id + 1})
    who = {"face": {"key": whose.key, "args": whose.args}}
    if face.extent < FACE_PX:
        say("face-small", face_px=face.extent, threshold=FACE_PX, **who)
    seen = {float(t) for track in tracks for t, q in zip(track.times, track.quality, strict=True) if q > 0}
    usable = sum(any(abs(float(t) - s) < 1e-3 for s in seen) for t in footage.times)
    if usable < max(2, len(footage.times) // 2) and len(footage.times) > 1:
        say("few-frames", usable=usable, frames=len(footage.times))
    quality = float(np.median(face.quality))
    if quality < QUALITY:
        say("blurred", quality=quality, threshold=QUALITY)
    if (white := _white(footage, face)) >= WHITE:
        say("overexposed", share=white, **who)
    yaw = face.measures.get("yaw")
    if yaw is not None and len(yaw):
        share = float(np.mean(np.abs(yaw) > YAW))
        if share > 0.25:
            once = len(yaw) == 1
            say("turned-once" if once else "turned", threshold=YAW, **who, **({} if once else {"share": share}))


def _white(footage: Footage, face: FaceTrack) -> float:
    """The share of a face that has lost its detail to light, in the middle one of the sampled frames that show it."""
    shown = [i for i, time in enumerate(footage.times) if (np.abs(face.times - time) < 1e-3).any()]
    if not shown:
        return 0.0
    frame = shown[len(shown) // 2]
    row = int(np.argmin(np.abs(face.times - footage.times[frame])))
    left, top, right, bottom = np.maximum(face.boxes[row], 0).astype(int)
    part = footage.frames[frame, top:bottom, left:right]
    return float((part.min(-1) >= 250).mean()) if part.size else 0.0


# What to do about a credential that does not hold, by what decided it; for the rest: another copy, and the tool's maker.
_NEXT = {
    CredentialReason.ALTERED: "altered",
    CredentialReason.EXPIRED: "expired",
    CredentialReason.SIGNER: "certificate",
    CredentialReason.INCOMPLETE: "incomplete",
    CredentialReason.INGREDIENT: "ingredient",
}


def marked(item: Calibrated) -> bool:
    """Whether some moment of a strip stands out."""
    return any(standing_out(item, series) for series in item.reading.series)


def next_steps(
    level: Level,
    readings: Sequence[Calibrated],
    provenance: Provenance,
    said: Sequence[Sentence],
    facts: Mapping[str, Any],
    unread: UnreadReason | None = None,
) -> tuple[Sentence, ...]:
    """What a person does now, most useful first; never empty. unread : why no picture could be looked at."""
    readable, moments = unread is None, any(map(marked, readings))
    steps = [
        *when(not readable, f"next.{unread}"),
        *when(level.found, "next.lead" if moments else "next.lead-whole"),
        *when(moments and level == Level.NO_STRONG_SIGNAL, "next.moments"),
        *when(any(s.key == "short.disagree" for s in sentences(readings)), "next.disagree"),
    ]
    if provenance.state == ProvenanceState.INVALID:
        step = _NEXT.get(provenance.reason, "malformed") if provenance.reason else "malformed"
        # Where a trusted timestamp shows that the certificate was not valid then, another one helps nobody.
        steps.append(Sentence(f"next.{'certificate' if step == 'expired' and provenance.timestamped else step}"))
    elif provenance.state.intact:
        steps += when(provenance.says_ai, f"next.say-ai{'-inherited' if provenance.ai_inherited else ''}")
        steps += when(_broken_ingredient(provenance), "next.ingredient")
        named = provenance.signer and not provenance.development_key
        steps += when(named, "next.signer", signer=provenance.signer)
    weak = {"caveat.face-small", "caveat.compressed", "caveat.picture-small", "caveat.blurred"}
    lasting = all(r.reading.abstained is not None and r.reading.abstained.code in _IN_EVERY_COPY for r in readings)
    keys, still = {s.key for s in said}, facts.get("still")
    kind = "-still" if still else "" if facts.get("has_audio") else "-silent"
    elsewhere = provenance.state != ProvenanceState.TRUSTED
    return (
        *steps,
        *when(readable and not lasting and weak & keys, "next.better-copy"),
        *when(readable and "caveat.short" in keys, "next.longer-copy"),
        *when(elsewhere, "next.original"),
        *when(elsewhere and readable, f"next.earliest{kind}"),
        *when(readable, "next.context-still" if kind else "next.context"),
        *when(any(r.reading.score is not None and r.false_alarm is None for r in readings), "next.calibrate"),
        Sentence("next.keep"),
    )


def verdict(
    readings: Sequence[Calibrated],
    footage: Footage | None,
    facts: Mapping[str, Any],
    provenance: Provenance,
    *,
    unread: UnreadReason | None = None,
    warnings: Sequence[MediaWarning] = (),
) -> Verdict:
    """Everything a report says, as keys and arguments. unread : why nothing could be looked at; warnings : the decoder's."""
    level = level_of(readings)
    weak = caveats(readings, footage, facts, warnings)
    steps = next_steps(level, readings, provenance, weak, facts, unread)
    found = sentences(readings, unread, facts)
    return Verdict(level, found, weak, steps, scope(readings, footage, facts), editor(level, readings, provenance))


def scope(readings: Sequence[Calibrated], footage: Footage | None, facts: Mapping[str, Any]) -> tuple[Sentence, ...]:
    """How much of this very clip was examined, and what of it was not."""
    said: list[Sentence] = []
    duration = float(facts.get("duration") or 0.0)
    faceless = footage is not None and not footage.tracks and not footage.facts.get("turned")
    if footage is not None and readings and duration > 0 and len(footage.times) > 1:
        read = {series.track for r in readings for series in r.reading.series}
        seconds = float(facts.get("examined", {}).get("seconds", 0.0))
        args = {"frames": len(footage.times), "seconds": clock(seconds), "duration": clock(duration)}
        if footage.tracks:
            said.append(Sentence("scope.clip", args | {"read": len(read), "faces": len(footage.tracks)}))
        else:
            said.append(Sentence("scope.no-face" if faceless else "scope.face-turned", args))
    elif footage is not None and readings and len(footage.times) == 1 and faceless:
        said.append(Sentence("scope.picture-no-face"))
    if footage is not None and readings and _at_once(footage) >= MOST_FACES:
        said.append(Sentence("scope.most-faces", {"most": MOST_FACES}))
    if int(facts.get("streams") or 1) > 1:
        said.append(Sentence("scope.streams", {"streams": int(facts["streams"])}))
    if "width" in facts and readings:
        what = "not" if faceless or any(r.reading.score is not None for r in readings) else "none"
        said.append(Sentence(f"scope.{what}{'-sound' if facts.get('has_audio') else ''}"))
    return tuple(said)


def _at_once(footage: Footage) -> int:
    """The most faces that were followed in one sampled frame."""
    times = np.concatenate([track.times for track in footage.tracks]) if footage.tracks else np.zeros(0)
    return max((int((np.abs(times - t) < 1e-3).sum()) for t in footage.times), default=0)


def editor(level: Level, readings: Sequence[Calibrated], provenance: Provenance) -> tuple[Sentence, ...]:
    """What may be said in public on the strength of this report, and what may not."""
    kind = "signal" if level.found else "silent" if level == Level.NO_STRONG_SIGNAL else "unassessed"
    said = [Sentence(f"editor.may-{kind}"), Sentence(f"editor.not-{kind}")]
    if not readings:
        said = [Sentence("editor.not-run")]
    if provenance.state.intact and provenance.signer and not provenance.development_key:
        signer = {"signer": provenance.signer}
        if provenance.state == ProvenanceState.TRUSTED:
            said.append(Sentence("editor.may-credential", signer))
        else:  # intact, and the name is anybody's
            doubt = "doubted" if provenance.reason == CredentialReason.DOUBTED else "signer"
            said += [Sentence("editor.may-unchanged"), Sentence(f"editor.not-{doubt}", signer)]
    intact, inherited = provenance.state.intact, "-inherited" if provenance.ai_inherited else ""
    said += when(intact and provenance.says_ai, f"editor.may-ai{inherited}")
    said += when(intact and _broken_ingredient(provenance), "editor.not-ingredient")
    return tuple(said)


def _broken_ingredient(provenance: Provenance) -> bool:
    """Whether the credential of something that went into the file does not hold."""
    return any(code.code == "gioconda.ingredient.failure" for code in provenance.codes)
