"""A Report in one language, section by section: what text and HTML both show, so that they cannot say different things."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gioconda.report import compared, declared
from gioconda.report.wording import (
    clock,
    code_sentence,
    detector_name,
    field_name,
    label,
    local,
    number,
    reason_text,
    say,
    templates,
    visible,
    when,
)
from gioconda_core.types import (
    Calibrated,
    CredentialReason,
    FaceCalibrated,
    FaceSummary,
    IngredientNode,
    Keyframe,
    Level,
    Provenance,
    ProvenanceState,
    Report,
    Sealed,
    Sentence,
    Sound,
    TrackScore,
    TrustScheme,
)
from gioconda_core.words import colon, joined, running
from provenance.codes import CLOCK_FAULTS
from provenance.reading import describe
from provenance.reading.rules import ANOTHERS, ELSEWHERE, PARTIAL, PRIVATE
from provenance.sanitise import table, tables
from provenance.vocabulary import MARK

Pairs = list[tuple[str, str]]
WEAK = 2  # caveats on the first screen; all of them are in the details
GAP = 1.5  # seconds: sampled frames no further apart are one examined span
STEPS = 3  # next steps on the first screen


@dataclass(frozen=True)
class Strip:
    """A detector's raw score for one face over time.

    threshold : the score from which on a single moment stands out, or None where that is not known. unexamined : spans (from, to) in seconds that no score speaks of.
    description : the whole strip in words; note : where to look, in short; face : which one, and where in the picture.
    """

    track: int
    times: tuple[float, ...]
    scores: tuple[float, ...]
    threshold: float | None
    description: str
    note: str
    face: str = ""
    unexamined: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class ReadingView:
    """One detector's reading in words. level_text : its level, or that it is uncalibrated; strips : one a face with more than one moment."""

    detector: str
    version: str
    level: Level
    level_text: str
    lines: list[str]
    strips: list[Strip]


@dataclass(frozen=True)
class TrackView:
    """One face in words and pictures. stills : (seconds, JPEG)."""

    id: int
    name: str
    description: str
    thumbnail: bytes | None
    stills: list[tuple[float, bytes]]


@dataclass(frozen=True)
class Node:
    """One ingredient of the credential tree."""

    title: str
    lines: list[str]
    thumbnail: bytes | None
    children: "list[Node]"


@dataclass(frozen=True)
class View:
    """Everything a page or a terminal shows of a report, in its order and its language; see :func:`view`."""

    lang: str
    title: str
    sha256: str
    level: Level
    level_text: str
    short: list[str]
    scope: list[str]
    weak: list[str]
    state: ProvenanceState
    state_text: str
    origin: list[str]
    credential: Pairs
    codes: list[tuple[str, str, str]]  # code, kind, sentence
    tree: list[Node]
    readings: list[ReadingView]
    tracks: list[TrackView]
    caveats: list[str]
    steps: list[str]
    editor: list[str]
    quality: Pairs
    signs: list[str]
    metadata: Pairs
    details: Pairs
    problems: list[str]
    duration: float
    keyframes: tuple[Keyframe, ...]
    views: list[tuple[str, bytes]]  # what it shows, JPEG
    sound: Sound | None
    heard: list[str]
    sound_facts: Pairs


def view(report: Report, lang: str = "en") -> View:
    """Every sentence of a report in ``lang``, in reading order."""
    v, p = report.verdict, report.provenance
    return View(
        lang=lang,
        title=visible(report.title),
        sha256=report.sha256,
        level=v.level,
        level_text=say(Sentence(f"level.{v.level}"), lang),
        # What the metadata declare of AI stands in a sentence of its own, never weighed with a score.
        short=[say(s, lang) for s in (*v.sentences, declared.short(report.facts.get("declared") or ())) if s],
        scope=[say(s, lang) for s in v.scope],
        weak=[say(s, lang) for s in v.caveats[:WEAK]],
        state=p.state,
        state_text=say(Sentence(state_key(p.state, p.reason, p.development_key)), lang),
        origin=[say(s, lang) for s in origin(report)],
        credential=_credential(p, lang),
        codes=[(visible(c.code), c.kind, visible(code_sentence(c.code, c.sentence, lang))) for c in p.codes],
        tree=[_node(node, lang) for node in p.ingredients],
        readings=[_reading(r, report, lang) for r in ordered(report.readings)],
        tracks=[_track(t, lang, still=bool(report.facts.get("still"))) for t in report.tracks],
        caveats=[say(s, lang) for s in v.caveats],
        steps=[say(s, lang) for s in v.next_steps],
        editor=[say(s, lang) for s in v.editor],
        quality=quality(report.facts, lang),
        signs=[say(Sentence(s["key"], s.get("args", {})), lang) for s in report.facts.get("signs", ())],
        metadata=[(field_name(k, lang), visible(x)) for k, x in report.facts.get("metadata", {}).items()],
        details=_details(report, lang),
        problems=[visible(reason_text(x.document(), lang)) for x in (*report.errors, *report.warnings)],
        duration=float(report.facts.get("duration") or 0.0),
        keyframes=report.evidence.keyframes,
        views=[(label(f"view-{item.kind}", lang), item.jpeg) for item in report.evidence.views],
        sound=report.evidence.sound,
        heard=[say(s, lang) for s in heard(report)],
        sound_facts=_sound_facts(report.evidence.sound, lang),
    )


def heard(report: Report) -> list[Sentence]:
    """What can be said of the sound without judging it: when it starts, where there is none at all, what is not looked for."""
    sound = report.evidence.sound
    if sound is None:
        return []
    tracks, length = int(report.facts.get("sounds") or 1), float(report.facts.get("duration") or 0.0)
    late = round(sound.offset, 2)
    key = "none" if not late else "late" if late > 0 else "early"
    silent = max(sound.peaks, default=0.0) < SILENT
    spans = [f"{clock(start)} – {clock(stop)}" for start, stop in silences(sound)]
    part = {"seconds": clock(sound.seconds), "duration": clock(length)}
    return [
        *when(tracks > 1, "sound.first-of", tracks=tracks),
        Sentence(f"sound.offset-{key}", {"seconds": abs(late)} if late else {}),
        *when(spans and not silent, "sound.gaps", spans=spans),
        Sentence("sound.silent" if silent else "sound.unassessed"),
        *when(sound.seconds >= HEARD and length > sound.seconds, "sound.part", **part),
    ]


def silences(sound: Sound) -> list[tuple[float, float]]:
    """Where there is no sound at all, in seconds (from, to) from the first picture on, as all else in a report is told."""
    late = sound.offset
    return [(max(0.0, start + late), stop + late) for start, stop in sound.gaps if stop + late > 0]


SILENT = 0.001  # of full scale: less than a 16-bit sound's last few steps
HEARD = 3590.0  # seconds of sound from which on a longer clip may have more than were read


def _sound_facts(sound: Sound | None, lang: str) -> Pairs:
    if sound is None:
        return []
    rows = [("codec", sound.codec), ("duration", f"{number(sound.seconds, lang)} s")]
    rows += [("sample-rate", f"{number(sound.rate / 1000, lang)} kHz"), ("channels", str(sound.channels))]
    return _labelled(rows, lang)


def _labelled(rows: Sequence[tuple[str, Any]], lang: str) -> Pairs:
    """Each value with its label; what is not known is left out."""
    return [(label(key, lang), visible(value, 2000 if key == "versions" else 300)) for key, value in rows if value]


def reason_key(reason: str | None) -> str | None:
    """How a state is called for what decided it (``state.expired``, ``provenance.expired``); None where it has no name of its own."""
    named = {CredentialReason.UNSUPPORTED: "not-looked", CredentialReason.REMOTE: "elsewhere"}.get(reason, reason)  # type: ignore[call-overload]
    return named if f"state.{named}" in templates() else None


def state_key(state: str, reason: str | None, development: bool = False) -> str:
    """The key of a state's heading. A development key is anybody's, so that its heading never says that the signer is on a list."""
    if development and ProvenanceState(state).intact:
        return "state.development"
    return f"state.{reason_key(reason) or state}"


def clips(stratum: str | None) -> dict[str, Any]:
    """The real clips that a rate is quoted of: all of the calibration set, or those of one kind."""
    if stratum and stratum != "all":
        return {"key": "clips.like", "args": {"stratum": stratum}}
    return {"key": "clips.all"}


def share(count: int, n: int, high: float | None = None) -> dict[str, Any]:
    """``count`` of ``n`` real clips, as words: none and all are never told as 0 and 100 per cent. high : the share's upper end."""
    if count == 0 and n:
        from gioconda_core.stats.shares import clopper_pearson

        return {"key": "share.none", "args": {"n": n, "most": max(1, round(1 / (high or clopper_pearson(0, n)[1])))}}
    return {"key": "share.all" if count >= n else "share.some", "args": {"k": count, "n": n}}


def same_headline(item: Calibrated) -> dict[str, Any]:
    """How many real clips got this headline too."""
    if item.same_headline is None or not item.of_reals:
        return {"key": "same.unknown"}
    found = share(item.same_headline, item.of_reals)
    same = {"key": found["key"].replace("share", "same"), "args": found["args"]}
    if item.stronger:
        same = {"key": "same.stronger", "args": {"same": same, "k": item.stronger}}
    faces = item.faces_assessed
    return same if faces == 1 else {"key": "same.faces", "args": {"same": same, "faces": faces}}


def leading(readings: Sequence[Calibrated]) -> Calibrated | None:
    """The one reading whose level is the headline, so that a headline is one calibrated statement and not the strongest of several.

    Of detectors that have shown skill on a sealed set the best one; else, of calibrated ones that were not measured so, the first;
    else one without skill, whose level says so.
    """
    scored = [r for r in readings if r.reading.score is not None and r.false_alarm is not None]

    def worth(r: Calibrated) -> tuple[bool, float]:
        return r.level != Level.NO_SKILL, r.sealed.value if r.sealed else 0.0

    return max(scored, key=worth, default=None)


def ordered(readings: Sequence[Calibrated]) -> list[Calibrated]:
    """The reading that set the headline first, then the others that have a score, then those without."""
    lead = leading(readings)
    return sorted(readings, key=lambda r: (r is not lead, r.reading.score is None))


def sealed_figure(readings: Sequence[Calibrated]) -> dict[str, Any]:
    """What the best of these detectors reached on its sealed set, as arguments of a sentence."""
    return figure(max((r.sealed for r in readings if r.sealed), key=lambda sealed: sealed.value))


def figure(best: Sealed) -> dict[str, Any]:
    """A measured figure and the best trivial cue beside it, as arguments of a sentence."""
    args = {key: getattr(best, key) for key in ("value", "low", "high", "reals", "persons", "fakes", "methods", "date")}
    beside = {"key": f"cue.{best.cue}", "args": {"value": best.cue_value}} if best.cue else {"key": "cue.none"}
    return {**args, "beside": beside}


def reading_sentences(item: Calibrated) -> list[Sentence]:
    """What is said of one reading; the same words everywhere."""
    reading = item.reading
    if reading.abstained is not None:
        return [Sentence("reading.abstained", {"reason": reading.abstained.document()})]
    assert reading.score is not None  # one or the other
    if item.false_alarm is None:
        return [Sentence("reading.uncalibrated", {"score": reading.score})]
    n = item.n or 0
    args: dict[str, Any] = {"score": reading.score, "set": item.calibration_set or "?", "date": item.date or "?"}
    args |= {"reached": share(round(item.false_alarm * n), n, item.high), "clips": clips(item.stratum)}
    sentences = [Sentence("reading.calibrated", args)]
    if item.level == Level.NO_SKILL:
        sentences.append(Sentence("reading.no-skill", sealed_figure([item])))
    if item.level == Level.NO_STRONG_SIGNAL:
        sentences += [*_one_of_several(item), Sentence("reading.low")]
    return sentences


def _one_of_several(item: Calibrated) -> list[Sentence]:
    """Why a score that alone would be a signal is none among so many faces."""
    from detect.reading.calibration import SIGNAL, any_of

    faces = item.faces_assessed
    if faces == 1 or item.false_alarm is None or item.high is None or item.high > SIGNAL:
        return []
    n = item.n or 0
    most = round(n * any_of(item.high, faces))
    args = {"faces": faces, "n": n, "count": round(n * any_of(item.false_alarm, faces)), "most": most}
    args["limit"] = int(n * SIGNAL)
    return [Sentence("reading.one-of-several", args)]


def _reading(item: Calibrated, report: Report, lang: str) -> ReadingView:
    reading = item.reading
    name = detector_name(reading.detector, lang)
    rank_only = reading.score is not None and item.false_alarm is None
    faces = places(report.tracks, lang)
    strips = [
        _strip(item, series, name, faces.get(series.track, ""), report, lang)
        for series in reading.series
        if len(series.times) > 1  # one moment is the score itself; a strip of it would show nothing
    ]
    lines = [say(s, lang) for s in reading_sentences(item)]
    for other in report.facts.get("others", ()):
        if other["detector"] == reading.detector:  # one that does not come with the package
            whose = {"summary": other["summary"], "licence": other["licence"], "seconds": reading.seconds or 0.0}
            lines.append(say(Sentence("reading.others", whose), lang))
    read = sorted(item.faces, key=lambda face: face.track)
    lines += [say(_face_sentence(face, item, faces.get(face.track, "")), lang) for face in read]
    looked = {face.track for face in read} | {series.track for series in reading.series}
    if looked and (passed := [track + 1 for track in faces if track not in looked]):
        lines.append(say(_passed(passed, item, report), lang))
    return ReadingView(
        detector=name,
        version=visible(reading.version, 40),
        level=item.level,
        level_text=label("uncalibrated", lang) if rank_only else say(Sentence(f"level.{item.level}"), lang),
        lines=lines,
        strips=strips,
    )


def _passed(faces: Sequence[int], item: Calibrated, report: Report) -> Sentence:
    """Which faces were not read; and which faces a detector leaves out, where it is one whose rules are known here."""
    from detect.features.contrast import MAX_FACES

    if item.reading.detector in {other["detector"] for other in report.facts.get("others", ())}:
        return Sentence("reading.faces-not-read", {"tracks": faces})
    return Sentence("reading.faces-left-out", {"tracks": faces, "most": MAX_FACES})


def _face_sentence(face: FaceCalibrated, item: Calibrated, where: str) -> Sentence:
    """What is said of one of several faces. where : in the picture."""
    if face.abstained is not None:
        return Sentence("face.not-assessed", {"track": face.track + 1, "reason": face.abstained.document()})
    args: dict[str, Any] = {"track": face.track + 1, "place": where, "score": face.score}
    args |= {"reached": share(face.reached or 0, face.n or 0), "clips": clips(face.stratum)}
    return Sentence("reading.face", args | {"set": item.calibration_set or "?", "date": item.date or "?"})


def places(tracks: Sequence[FaceSummary], lang: str) -> dict[int, str]:
    """Where in the picture each face is: left, middle or right; and at which height, where that alone would not tell two apart."""

    def third(at: float, names: tuple[str, str, str]) -> str:
        return names[0] if at < 0.4 else names[2] if at > 0.6 else names[1]

    found, heights = {}, {}
    for track in tracks:
        if track.centre is None:
            found[track.id] = heights[track.id] = ""
            continue
        found[track.id] = label(f"place-{third(track.centre[0], ('left', 'middle', 'right'))}", lang)
        heights[track.id] = label(f"place-{third(track.centre[1], ('top', 'half-way', 'bottom'))}", lang)
    alike = {one for one in found.values() if one and list(found.values()).count(one) > 1}
    return {one: joined([where, heights[one]], lang) if where in alike else where for one, where in found.items()}


def _strip(item: Calibrated, series: TrackScore, name: str, where: str, report: Report, lang: str) -> Strip:
    """The scores of one face. The line is drawn where single moments were calibrated to stand out; a clip's score is the mean of its bars."""
    args: dict[str, Any] = {"detector": name, "track": series.track + 1, "moments": len(series.times)}
    args |= {"start": series.times[0], "end": series.times[-1]}
    top = series.times[max(range(len(series.scores)), key=series.scores.__getitem__)]
    highest = say(Sentence("strip.highest", {"time": top}), lang)
    threshold = item.window_threshold if item.false_alarm is not None else None
    over = standing_out(item, series)
    line = "uncalibrated" if item.false_alarm is None else "unlined" if threshold is None else "calibrated"
    args |= {} if threshold is None else {"over": len(over), "n": item.of_reals or 0}
    description = running((say(Sentence(f"strip.{line}", args), lang), highest), lang)
    marked = {"moments": named_moments(over)} if over else {}
    key = "strip.marked" if over else "strip.unmarked"
    note = highest if threshold is None else say(Sentence(key, marked | {"time": top}), lang)
    face = f"{label('face', lang)} {series.track + 1}" + (f" · {where}" if where else "")
    spans, end = report.facts.get("examined", {}).get("spans", ()), float(report.facts.get("duration") or 0.0)
    unexamined = tuple(gap for gap in gaps(spans, end) if gap[1] - gap[0] > GAP) if spans else ()
    shown = tuple(series.times), tuple(series.scores), threshold
    return Strip(series.track, *shown, description, note, face, unexamined)


def gaps(spans: Iterable[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """What of 0 to ``end`` lies in none of these spans (from, to), which may overlap."""
    found, last = [], 0.0
    for start, stop in [*sorted(spans), (end, end)]:
        if start > last:
            found.append((last, start))
        last = max(last, stop)
    return found


def standing_out(item: Calibrated, series: TrackScore) -> list[float]:
    """Seconds of a strip's moments that reach the line calibrated on moments, highest first; none where there is no line or one moment only."""
    line = item.window_threshold if item.false_alarm is not None else None
    if line is None or len(series.times) < 2:
        return []
    return [
        time for score, time in sorted(zip(series.scores, series.times, strict=True), reverse=True) if score >= line
    ]


def named_moments(moments: Sequence[float]) -> list[str]:
    """The moments a person should look at, in order of time: the highest eight where there are more."""
    first = [number(round(time, 1)) for time in sorted(moments[:8])]
    return [*first, "…"] if len(moments) > 8 else first


def _track(track: FaceSummary, lang: str, *, still: bool) -> TrackView:
    args = {key: getattr(track, key) for key in ("seen", "start", "end", "face_px")}
    key = "face.still" if still else "face.once" if track.seen == 1 else "face.seen"
    return TrackView(
        id=track.id,
        name=f"{label('face', lang)} {track.id + 1}",
        description=say(Sentence(key, args), lang),
        thumbnail=track.thumbnail,
        stills=[(one.time, one.jpeg) for one in track.stills],
    )


def origin(report: Report) -> list[Sentence]:
    """What the credentials and the mark say, one sentence each."""
    said = credential_sentences(report.provenance, report.facts.get("trust_lists", ()))
    said += [*_mark(report), *declared.sentences(report.facts.get("declared") or ())]
    beside = compared.compare(report.provenance, report.facts.get("metadata") or {}, report.facts.get("declared") or ())
    return [*said, *compared.sentences(beside)]


def _mark(report: Report) -> list[Sentence]:
    """The mark that was read, and whether it is the one that the credential names; a credential may be another file's, and so may a mark."""
    mark, p = report.mark, report.provenance
    own, inherited = (_named_marks(found) for found in (p.soft_bindings, p.inherited_soft_bindings))
    said = [Sentence("mark.found", {"mark": f"{mark.value} ({mark.algorithm})"})] if mark else []
    if p.state in (ProvenanceState.ABSENT, ProvenanceState.UNREADABLE):
        return said
    if not mark:
        return when(own and "examined" in report.facts, "mark.unread", named=own)
    value = mark.value.casefold()
    if value in own or value in inherited:
        return [*said, Sentence("mark.named" if value in own else "mark.inherited")]
    named = list(dict.fromkeys([*own, *inherited]))
    return [*said, Sentence("mark.other", {"named": named}) if named else Sentence("mark.unnamed")]


def _named_marks(bindings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The values of our marks that soft bindings name."""
    blocks = [block for one in bindings if one.get("alg") == MARK for block in tables(one.get("blocks"))]
    values = [block.get("value") for block in blocks]
    return list(dict.fromkeys(value.casefold() for value in values if isinstance(value, str)))


def credential_sentences(p: Provenance, lists: Sequence[Sequence[str]] = ()) -> list[Sentence]:
    """What the credentials say, one sentence each; who signed, on which list of which date. lists : (name, date) of those used."""
    said: list[Sentence] = []
    if p.state == ProvenanceState.ABSENT:
        said.append(Sentence("provenance.absent"))
    elif p.state == ProvenanceState.UNREADABLE:
        where = next((c.where for c in p.codes if c.where), "–")  # of a credential that is kept elsewhere
        said.append(Sentence(f"provenance.{reason_key(p.reason) or 'unjudged'}-unread", {"where": where}))
    elif p.state == ProvenanceState.INVALID:
        said += _invalid(p)
    elif p.state == ProvenanceState.TRUSTED:
        said.append(Sentence("provenance.trusted", _listed(p)))
        said += _of_list(p)
    elif p.reason == CredentialReason.DOUBTED:
        said.append(Sentence("provenance.doubted", {"signer": p.signer or "?", "reason": _deciding(p)}))
    elif lists:
        names, dates = zip(*lists, strict=True)
        args = {"signer": p.signer or "?", "list": list(names), "list_date": list(dates)}
        said.append(Sentence("provenance.valid", args))
    else:
        said.append(Sentence("provenance.valid-no-list", {"signer": p.signer or "?"}))
    if p.state.intact:
        # second, so that the first screen has it
        said += when(p.says_ai, f"provenance.says-ai{'-inherited' if p.ai_inherited else ''}")
        said += when(p.development_key, "provenance.development")
        if p.label:
            generator = p.label.get("generator", "?")
            name = str(generator.get("name", "?") if isinstance(generator, Mapping) else generator)
            said.append(Sentence("provenance.label", {"task": p.label.get("task", "?"), "generator": name}))
        if p.signed_at:
            stamped = any(code.code.startswith("timeStamp.") for code in p.codes)
            key = "timestamped" if p.timestamped else "stamped" if stamped else "signed-at"
            said.append(Sentence(f"provenance.{key}", {"signed_at": moment(p.signed_at)}))
            said += when(_to_come(p.signed_at), "provenance.signed-later")
        said += [Sentence("provenance.uncovered", {"where": c.where}) for c in p.codes if c.code == PARTIAL]
        uses = _limited(p)
        said += when(uses, "provenance.training", uses=uses)
        taken = list(dict.fromkeys(uri.rsplit("/", 1)[-1] for uri in p.redacted))
        listed = [*taken[:_TAKEN], *(["…"] if len(taken) > _TAKEN else [])]
        said += when(taken, "provenance.redacted", statements=listed)
        for node in _walk(p.ingredients):
            codes = [c.code for c in node.failures]
            said += when(codes, "provenance.ingredient-failure", title=node.title, codes=codes)
    for item in p.identities:
        failed = set(item.get("failures") or ()) & set(p.decided_by)
        said += when(failed, "provenance.identity-failed", name=item.get("name") or "?")
    for c in p.codes:  # what is wrong with the timestamp decides no state by itself, and a reader must know
        reason = [{"code": c.code, "sentence": c.sentence}]
        said += when(c.code in CLOCK_FAULTS, "provenance.clock", reason=reason)
    said += when(p.sidecar, "provenance.sidecar")
    doubted = [item.get("name") or "?" for item in p.identities if set(item.get("doubts") or ()) & set(p.decided_by)]
    said += when(doubted, "provenance.identity-one-failed", names=sorted(doubted))
    beside = {ELSEWHERE: "provenance.unread", ANOTHERS: "provenance.anothers", PRIVATE: "provenance.private"}
    return said + [Sentence(beside[c.code], {"where": c.where}) for c in p.codes if c.code in beside]


def _listed(p: Provenance) -> dict[str, Any]:
    """The signer and the list that names its authority; the list's date is said beside its name."""
    name = next((one.name for one in p.lists if one.names_signer), p.trust_list or "–")
    return {"signer": p.signer or "?", "list": name, "list_date": p.trust_list_date or "–"}


def _of_list(p: Provenance) -> list[Sentence]:
    """Whose list names the signer, where that says something, and whether it is older than it was meant to get."""
    overdue = any(code.code == "gioconda.list.overdue" for code in p.codes)
    facts = {"list": _listed(p)["list"], "date": p.trust_list_update or "?"}
    known = when(p.trust_scheme in _TELLING, f"provenance.list-{p.trust_scheme}")
    return [*known, *when(overdue, "provenance.list-overdue", **facts)]


_TAKEN = 8  # redacted statements named in a sentence
_TELLING = (TrustScheme.INTERIM, TrustScheme.IPTC)


def _deciding(p: Provenance) -> Any:
    """The sentences of what decided, three at most: an argument of a sentence."""
    by_code = {code.code: code for code in p.codes}
    decided = [by_code[name] for name in p.decided_by if name in by_code]
    return [{"code": code.code, "sentence": code.sentence} for code in decided[:3]] or "?"


def _invalid(p: Provenance) -> list[Sentence]:
    """Why a credential does not hold, by what decided it; who signed it, where a list says so."""
    key = reason_key(p.reason) or "unjudged"
    args: dict[str, Any] = {"reason": _deciding(p)}
    if p.reason == CredentialReason.EXPIRED:
        ended = (p.expires_at or "")[:10] or "?"
        args = {"date": ended, "signer": p.signer or "?"}
        key = "expired" if ended <= now()[:10] else "not-yet-valid"
        # The certificate is valid now, and was not when the file was signed.
        if p.signed_at and (p.timestamped or "gioconda.signer.expired" not in {code.code for code in p.codes}):
            key, args = "outside-validity", args | {"signed_at": moment(p.signed_at)}
    # What lies beside a file by its name may be a third one's, and nobody altered anything.
    altered = p.reason == CredentialReason.ALTERED and not p.sidecar
    by = when(p.trust_list, "provenance.altered-by" if altered else "provenance.listed-by", **_listed(p))
    return [Sentence(f"provenance.{key}", args), *by]


def _limited(p: Provenance) -> list[str]:
    """The uses for training and mining that the signer does not simply allow (``c2pa.training-mining``, CAWG's of the same name)."""
    own = [s["data"] for s in p.statements if s["created"] and ".training-mining" in s["label"]]
    entries = [item for data in own for item in table(table(data).get("entries")).items()]
    return [f"{name}: {use}" for name, entry in entries if (use := table(entry).get("use")) not in (None, "allowed")]


def _walk(nodes: Sequence[IngredientNode]) -> list[IngredientNode]:
    return [one for node in nodes for one in (node, *_walk(node.children))]


def _node(node: IngredientNode, lang: str) -> Node:
    relation = _named("relation", node.relationship, lang)
    lines = [visible(x, 120) for x in (relation, node.format) if x]
    if node.signer:
        lines.append(f"{label('names-signer', lang)}{colon(lang)}{visible(node.signer, 120)}")
    lines += [visible(code_sentence(c.code, c.sentence, lang)) for c in node.failures]
    return Node(visible(node.title, 120) or "–", lines, node.thumbnail, [_node(n, lang) for n in node.children])


def _credential(p: Provenance, lang: str) -> Pairs:
    if p.state in (ProvenanceState.ABSENT, ProvenanceState.UNREADABLE):
        return []
    actions = [_named("action", str(a.get("action", a)), lang) for a in p.actions]
    name, date = describe.signers_list(p, lang), p.trust_list_date or "–"
    listed = name if date in name else f"{name} ({date})"
    rows = [
        ("signer", p.signer),
        ("list", listed if p.trust_list else p.reason != CredentialReason.DOUBTED and label("none", lang)),
        *(("identity", _actor(item, lang)) for item in p.identities),
        ("signed-at", p.timestamped and p.signed_at and local(moment(p.signed_at), lang)),
        ("expires-at", p.expires_at and local(moment(p.expires_at), lang)),
        ("generator", p.claim_generator),
        ("actions", joined(actions, lang)),
        *(("statement", text) for text in describe.statements(p, lang)),
    ]
    return _labelled(rows, lang)


def _named(kind: str, value: str, lang: str) -> str:
    """A value of C2PA's vocabulary in words where we have them (``c2pa.edited`` → edited), else as it stands."""
    key = f"{kind}-{value.removeprefix('c2pa.')}"
    return label(key, lang) if f"label.{key}" in templates() else value


def _actor(identity: Mapping[str, Any], lang: str) -> str:
    """A named actor (CAWG), in which roles, and whether an identity list vouches for the name."""
    lists = [str(name) for name in identity.get("lists") or ()]
    said = [str(role).removeprefix("cawg.") for role in identity.get("roles") or ()]
    said.append(f"{label('identity-by', lang)} {joined(lists, lang)}" if lists else label("identity-unknown", lang))
    return f"{identity.get('name') or '?'} ({joined(said, lang, '; ')})"


# Demuxers' names for containers → what people call them.
_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "MP4 / MOV", "matroska,webm": "Matroska / WebM"}


def quality(facts: Mapping[str, Any], lang: str) -> Pairs:
    """What the container says of picture and sound, a name and a value each."""
    get = facts.get
    sounds = "has_audio" in facts and not get("still")
    rows = [
        ("picture", get("width") and f"{facts['width']} × {facts['height']}"),
        ("duration", get("duration") and f"{number(float(facts['duration']), lang)} s"),
        ("fps", get("fps") and number(float(facts["fps"]), lang)),
        ("codec", get("codec")),
        ("container-format", get("container") and _CONTAINERS.get(str(facts["container"]), facts["container"])),
        ("bit-rate", get("bit_rate") and f"{number(float(facts['bit_rate']) / 1000, lang)} kbit/s"),
        ("audio", sounds and label("yes" if facts["has_audio"] else "no", lang)),
        ("size", get("size") and bytes_text(int(facts["size"]), lang)),
    ]
    return _labelled(rows, lang)


def bytes_text(size: int, lang: str = "en") -> str:
    """1536 → 1.54 kB, in powers of 1000."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{number(value, lang)} {unit}"


def _details(report: Report, lang: str) -> Pairs:
    rows = [
        ("command", report.command),
        ("created", report.created and local(moment(report.created), lang)),
        ("metadata-reader", report.facts.get("reader")),
        ("versions", ", ".join(f"{k} {v}" for k, v in report.versions.items())),
    ]
    read = [item.reading for item in report.readings if item.reading.weights_sha256]
    weights = [(f"{visible(one.detector, 80)} sha256", visible(one.weights_sha256)) for one in read]
    whose = [(label("file", lang), visible(report.title)), ("sha256", report.sha256)]
    return [*whose, *_labelled(rows, lang), *weights]


def moment(text: str) -> str:
    """An ISO 8601 moment as a person writes it, in UTC; what is not one is returned as it stands."""
    at = _parsed(text)
    if at is None:
        return text
    if at.tzinfo is None:
        return at.strftime("%Y-%m-%d %H:%M")
    return at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _parsed(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _to_come(text: str) -> bool:
    """Whether an ISO 8601 moment with its zone lies in the future, by this computer's clock."""
    at = _parsed(text)
    return at is not None and at.tzinfo is not None and at > datetime.datetime.now(datetime.UTC)


def now() -> str:
    """The time of a report: UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
