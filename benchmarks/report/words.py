"""Says in words what figures and comparisons show, the same in text and on the page; sentences are made here and nowhere else."""

from collections.abc import Sequence

from benchmarks.report.document import Benchmark, Entry, Figure, Flips, WorstClip
from benchmarks.stats.alarms import Kept, StatedRate
from benchmarks.stats.beside import Cue, Part, Row, Skill
from benchmarks.stats.compare import Difference, Finding
from benchmarks.stats.probes import warning
from gioconda_core.stats.cues import ALL
from gioconda_core.words import counted

MOST_NAMED = 4  # detectors that one sentence names; more are counted


def small(p: float) -> str:
    """A p-value to three digits, never as zero."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def signed(value: float) -> str:
    """``+0.123`` or ``−0.123``."""
    return f"{value:+.3f}".replace("-", "−")


def read_as(x: Difference) -> str:
    """What a comparison shows, in words; what it leaves open is never called equal."""
    match x.finding:
        case Finding.A_BETTER:
            return f"{x.a} is better"
        case Finding.B_BETTER:
            return f"{x.b} is better"
        case Finding.REFUSED:
            return f"not compared: {x.reason}"
    return "left open" if x.low is not None else f"left open: {x.reason}"


def shows(row: Row | None) -> str:
    """What a detector has shown on these clips, in a few words."""
    if row is None:
        return "not known"
    return {
        Skill.SHOWN: f"better than {row.cue}",
        Skill.ABOVE_A_COIN: "better than a coin",
        Skill.COIN: "no better than a coin",
        Skill.CUE: f"no better than {row.cue}",
        Skill.INVERTED: "the wrong way round",
        Skill.UNKNOWN: "not known",
    }[row.skill]


def over(d: Difference | None) -> str:
    """A difference with its interval: ``+0.123 [−0.010, +0.256]``."""
    if d is None or d.difference is None:
        return "–"
    return signed(d.difference) + (
        f" [{signed(d.low)}, {signed(d.high)}]" if d.low is not None and d.high is not None else ""
    )


def part(p: Part | Cue) -> str:
    """An AUC over some of the clips, with its interval, or a dash."""
    if p.value is None:
        return "–"
    return f"{p.value:.3f}" + (f" [{p.low:.3f}, {p.high:.3f}]" if p.low is not None else "")


def kept(row: StatedRate) -> str:
    """What real clips say of a stated rate."""
    return {
        Kept.HOLDS: "not contradicted",
        Kept.MORE: "more alarms than stated",
        Kept.FEWER: "fewer alarms than stated",
        Kept.REFUSED: f"not said: {counted(row.n_real, 'real clip')}",
    }[row.kept]


def share(value: float | None) -> str:
    """A share as per cent."""
    return "–" if value is None else f"{100 * value:.3g} %"


def found(row: StatedRate) -> str:
    """``23 % [18 %, 29 %]``."""
    return "–" if row.found is None else f"{share(row.found)} [{share(row.low)}, {share(row.high)}]"


def wrong(clip: WorstClip) -> str:
    """How a clip was scored wrongly."""
    return "fake scored low" if clip.label else "real scored high"


def flip_basis(rows: Sequence[Flips]) -> str:
    """What counts as a flip."""
    if rows[0].by_level:
        return "A flip is a change of level, by each detector's own calibration."
    return "A flip is a crossing of the threshold that kept false alarms at 5 % on undegraded reals; these detectors carry no calibration."


def unmeasured(document: Benchmark) -> str:
    """Which trivial cues are not known of these clips, and what that leaves open; empty where all are."""
    missing = document.beside.missing
    if not missing:
        return ""
    if not document.beside.cues:
        return (
            f"No trivial cue of these clips is known ({', '.join(missing)}): whether any detector is better than those is left open. "
            "A run measures them; a table gives them as columns cue:NAME."
        )
    return f"Not known of these clips, so nothing is compared with it: {', '.join(missing)}."


def looked(document: Benchmark) -> str:
    """How often these labels were looked at."""
    looks = document.looks
    if looks is None:
        return ""
    if not looks.recorded:
        return "How often these labels were looked at could not be written down."
    if looks.scores == looks.own:
        return "These labels were looked at for the first time under these ids on this computer, with the scores of this report."
    return (
        f"{looks.scores} columns of scores have been measured against these labels on this computer since {looks.since}: "
        "the best of many is partly luck."
    )


def first_line(document: Benchmark) -> str:
    """The sentence a reader must not miss."""
    learned = [p for p in document.problems if p.kind == "learned"]
    if learned:
        return "; ".join(f"{p.sentence} ({p.count:,} of {document.data.samples:,})" for p in learned) + "."
    if solved := warning(document.probes):
        return solved
    if not document.comparable:
        return f"Not comparable: {document.not_comparable}."
    card = document.data
    clips = f"{counted(card.fake, 'fake')} and {counted(card.real, 'real')}"
    if not card.identities:
        clips += ", identities not given"
    else:
        clips += f" of {counted(card.identities, 'identity', 'identities')}"
    if 0 < card.sources < card.identities:  # intervals then rest on the sources
        clips += f" from {counted(card.sources, 'source')}"
    best = next((d for d in document.detectors if d.auc), None)
    if best is None or best.auc is None:
        return f"No ranking figure can be given for {clips}."
    return _of_best(document, best, best.auc, clips)


def cautious(document: Benchmark) -> bool:
    """Whether the first sentence is a warning."""
    best = next((d for d in document.detectors if d.auc), None)
    weak = best is not None and best.beside is not None and best.beside.skill in (Skill.COIN, Skill.INVERTED, Skill.CUE)
    return weak or not document.comparable or any(p.solved for p in document.probes)


def _of_best(document: Benchmark, best: Entry, figure: Figure, clips: str) -> str:
    name, many = best.name, len(document.detectors) > 1
    value = f"AUC {figure.value:.3f}" + (f" ({figure.low:.3f} to {figure.high:.3f})" if figure.low is not None else "")
    skill = best.beside.skill if best.beside else Skill.UNKNOWN
    if skill in (Skill.COIN, Skill.INVERTED):
        who = f"even {name}, which ranks highest, has" if many else f"{name} has"
        head = "No better than a coin" if skill == Skill.COIN else "The wrong way round"
        meaning = "real clips score higher than fakes"
        if skill == Skill.COIN:
            bare = f"there is no interval: {figure.no_interval}"
            meaning = bare if figure.no_interval else "an interval that holds 0.5 shows no skill"
        return f"{head}: on {clips}, {who} {value}; {meaning}."
    if skill == Skill.CUE and best.beside:
        cue = next(d for d in best.beside.cues if d.difference is not None)
        return (
            f"No better than {cue.b}: on {clips}, {name}{' ranks highest with' if many else ' has'} {value}, "
            f"{cue.b} {'has' if cue.b == ALL else 'alone has'} {cue.value_b:.3f}; the difference is {_open(cue)}."
        )
    if skill == Skill.UNKNOWN:
        value += f", without an interval: {figure.no_interval}"
    return f"On {clips}, {name} {'ranks highest: ' if many else 'has '}{value}{_ahead(document, name)}."


def _open(d: Difference) -> str:
    """A difference with what its interval leaves open."""
    value = signed(d.difference or 0.0)
    return value if d.low is None or d.high is None else f"{value} ({signed(d.low)} to {signed(d.high)})"


def _ahead(document: Benchmark, name: str) -> str:
    """Whom the leader is ahead of, whom these clips do not tell it from, and whom it could not be compared with."""
    others: dict[str, list[str]] = {}
    for d in document.differences:
        other = d.b if d.a == name else d.a if d.b == name else None
        if other is not None:
            others.setdefault(d.finding, []).append(other)

    def listed(names: Sequence[str]) -> str:
        if len(names) > MOST_NAMED:
            return f"{len(names)} others"
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

    first = document.leaderboard and document.leaderboard.first == name
    ahead = others.get(Finding.A_BETTER if first else Finding.B_BETTER)
    parts = []
    if ahead:
        parts.append(f"ahead of {listed(ahead)} by more than chance explains")
    if others.get(Finding.UNRESOLVED):
        parts.append(f"these clips leave open whether it is better than {listed(others[Finding.UNRESOLVED])}")
    if others.get(Finding.REFUSED):
        parts.append(f"not compared with {listed(others[Finding.REFUSED])}")
    return "".join(f"; {p}" for p in parts)
