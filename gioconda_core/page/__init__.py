"""The shell of every HTML page: head, policy, style, skip link and masthead around what a room's own templates say."""

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@cache
def stylesheet(*rooms: str) -> str:
    """The style sheet of every page, with the ``style.css`` of each of these packages behind it."""
    return "".join((resources.files(room) / "style.css").read_text("utf-8") for room in ("gioconda_core.page", *rooms))


def policy(style: str, *, films: bool = False, attributes: bool = False) -> str:
    """A content-security policy that allows pictures from the page itself and exactly this style sheet; nothing else.

    films : the page holds films too, as data. attributes : its elements carry style of their own, as plots do.
    """
    sheet = f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    # Browsers that know the finer two go by them; to the others, a hash would forbid every attribute.
    style_of = (
        f"style-src 'unsafe-inline'; style-src-elem {sheet}; style-src-attr 'unsafe-inline'"
        if attributes
        else f"style-src {sheet}"
    )
    kinds = "img-src data:; media-src data:" if films else "img-src data:"
    return f"default-src 'none'; {kinds}; {style_of}; base-uri 'none'; form-action 'none'"


_UNIT = re.compile(r"(?<=\d) (?=%|(?:s|[kMGT]?B|k?Hz)\b)")


def _whole(value: Any) -> Any:
    """A number and its unit stay on one line."""
    return _UNIT.sub("\u00a0", value) if type(value) is str else value


@cache
def environment(*places: tuple[str, str]) -> "Environment":
    """A Jinja environment for templates in these (package, folder), which may extend ``shell.html.jinja``.

    Everything is escaped, an undefined name is an error. The shell wants ``lang``, ``title``, ``skip`` (the words of the link
    past the masthead), ``style`` and ``policy``, and ``body`` where a template fills no block.
    """
    import jinja2

    loaders = [jinja2.PackageLoader(package, folder) for package, folder in (*places, ("gioconda_core.page", ""))]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_whole,
    )


def safe(ready: str) -> "Markup":
    """HTML made by our own templates, not to be escaped again."""
    import markupsafe

    return markupsafe.Markup(ready)
