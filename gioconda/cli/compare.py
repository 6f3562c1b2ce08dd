"""``gioconda compare``: what two clips have in common, and what was done to one of them."""

from typing import Annotated

from gioconda.cli.build import built
from gioconda.cli.common import Result
from gioconda.report.options import Lang
from gioconda_core.options import argument


@built("compare", "original.mp4 shared.mp4 -o text -o html=comparison.html", formats=("text", "json", "html"))
def compare(
    a: Annotated[str, argument("One clip or picture.", "A")],
    b: Annotated[str, argument("The other.", "B")],
    lang: Lang = "en",
) -> Result:
    """Compare two clips: which seconds both hold, and what was cut, cropped, mirrored or encoded again in between.

    Nothing is said of which came first. Changes within a picture, speed, sound and several pictures in one frame are
    not looked at.
    """
    from gioconda.report.evidence import compare_pages
    from gioconda.report.evidence.compare import compare as compared

    found = compared(a, b)
    return Result(
        lambda: compare_pages.text(found, lang),
        lambda: compare_pages.document(found, lang),
        html=lambda: compare_pages.html(found, lang),
    )
