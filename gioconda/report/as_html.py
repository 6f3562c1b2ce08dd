"""A Report as one HTML file: no script, no external asset, and a policy in the page that would refuse both."""

import base64
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from html import escape
from typing import TYPE_CHECKING, Any

from gioconda.report.strips import spectrogram, svg, waveform
from gioconda.report.view import View, bytes_text, view
from gioconda.report.wording import clock, label, number, visible
from gioconda_core import page as shell
from gioconda_core.page import safe
from gioconda_core.types import Report
from gioconda_core.words import colon, joined, running, whole

if TYPE_CHECKING:
    from jinja2 import Environment

ROOM = "gioconda.report"  # whose style sheet and templates these pages add to the shell


def _picture(data: bytes | None) -> str:
    """A data URI for JPEG or PNG bytes; anything else a stranger put into a manifest is not shown."""
    if not data or len(data) > 1_000_000:
        return ""
    kind = {b"\xff\xd8\xff": "jpeg", b"\x89PN": "png"}.get(data[:3])
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}" if kind else ""


def _in_language(said: Callable[[Any, str], str], context: Any, value: Any) -> str:
    """A filter's text in the language of the page that it is used in."""
    return said(value, context.get("lang", "en"))


@cache
def environment(*places: tuple[str, str]) -> "Environment":
    """The Jinja environment of reports and what is made of them. places : further (package, folder) of templates."""
    import jinja2

    env = shell.environment((ROOM, "templates"), *places)
    env.filters |= {"picture": _picture, "visible": visible}
    for name, show in (("number", number), ("whole", whole), ("bytes", bytes_text), ("clock", clock)):
        env.filters[name] = jinja2.pass_context(partial(_in_language, show))
    env.filters["paragraph"] = lambda text: visible(text, 5000)
    return env


def rendered(template: str, lang: str, *places: tuple[str, str], **values: Any) -> str:
    """A template's text in a language: ``t`` gives it labels, ``colon`` stands before a value. places : as of :func:`environment`."""
    own = {"lang": lang, "t": partial(label, lang=lang), "colon": colon(lang)}
    own |= {"joined": partial(joined, lang=lang), "running": partial(running, lang=lang)}
    return environment(*places).get_template(template).render(**own, **values)


_TEXT = re.compile(r"(?<=>)[^<>]*\d{4}-\d\d-\d\d[^<>]*(?=<(?!/title|/text))")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?: UTC)?)?")


def unbroken(html: str) -> str:
    """The same HTML with each date of its text kept on one line; what is copied from it stays the same."""
    return _TEXT.sub(lambda text: _DATE.sub(r'<span class="whole">\g<0></span>', text[0]), html)


# Where a person may take a frame; each opens empty, and nothing of ours is in the address.
SEARCHES = (
    ("Google Lens", "https://lens.google.com/"),
    ("TinEye", "https://tineye.com/"),
    ("Bing", "https://www.bing.com/visualsearch"),
    ("Yandex", "https://yandex.com/images/"),
)


def _context(shown: View, *, seek: bool) -> dict[str, Any]:
    sound, end = shown.sound, shown.duration
    how: dict[str, Any] = {"seek": seek, "lang": shown.lang}
    at_strips = {item.track for reading in shown.readings for item in reading.strips}
    return {
        "page": shown,
        "strip": lambda item: safe(svg(item, end, **how)),
        "wave": lambda name: sound and safe(waveform(sound, end, name, **how)),
        "bands": lambda name: sound and safe(spectrogram(sound, end, name, _picture(sound.spectrogram))),
        "searches": SEARCHES,
        "stills": {track.id: track.stills for track in shown.tracks},
        "at_strips": at_strips,
        "first": {},  # the first strip of a face has its stills beside it; filled while the page is made
    }


def fragment(
    report: Report, lang: str = "en", *, seek: bool = False, prefix: str = "", player: str = "", frames: str = ""
) -> str:
    """The report's sections without a page around them; ``seek`` adds the hooks of the local page's script.

    prefix : put before every id, where several reports share a page. player : ready HTML shown after the first section.
    frames : address of the clip on the local page, under which its full keyframes are.
    """
    shown = _context(view(report, lang), seek=seek)
    return unbroken(
        rendered("_report.html.jinja", lang, prefix=prefix, player=safe(player), frames=frames, seek=seek, **shown)
    )


def page(title: str, body: str, lang: str = "en", *, films: bool = False, plots: bool = False) -> str:
    """A self-contained page around ready HTML. films, plots : it holds some, which its policy must allow."""
    style = shell.stylesheet(ROOM)
    policy = shell.policy(style, films=films, attributes=plots)
    shown = {"title": title, "body": safe(body), "style": safe(style), "policy": safe(policy)}
    return rendered("shell.html.jinja", lang, **shown, skip=label("skip", lang))


def html(report: Report | Sequence[Report], lang: str = "en", unopened: Sequence[tuple[str, str]] = ()) -> str:
    """One or more reports as one file, readable in any browser, each printable on three pages at most.

    unopened : files of which there is no report, each with why.
    """
    reports = [report] if isinstance(report, Report) else list(report)
    names = [*(r.title for r in reports), *(name for name, _ in unopened)]
    title = joined([visible(name, 80) for name in names[:3]], lang)
    body = "".join(fragment(r, lang, prefix=f"r{i}-" if i else "") for i, r in enumerate(reports))
    body += "".join(
        f'<section class="sheet"><h1>{escape(visible(name))}</h1><p>{escape(why)}</p></section>'
        for name, why in unopened
    )
    return page(f"{title} · {label('report', lang)}", body, lang)
