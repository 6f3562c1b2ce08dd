"""``gioconda demo``: train, make, sign, detect, measure and check, on drawn faces that need no download."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from gioconda.cli.build import built
from gioconda.cli.common import Force, emit, notice, settings, thread_budget
from gioconda_core import config
from gioconda_core.device import device as find
from gioconda_core.options import Option


@built("demo", "--out demo-out")
def demo(
    out: Annotated[Path, Option("The demo's folder; given again, it goes on where it was.")] = Path("demo-out"),
    force: Force = False,
) -> None:
    """Train on drawn faces, animate portraits, sign fakes, benchmark a detector and check a clip, all on one HTML page. No download; minutes on two cores."""
    from gioconda import demo as story

    scale = replace(story.Scale(), seed=settings.seed)
    device = "cpu" if config.core().device == "auto" else find()
    page = story.run(out, scale=scale, device=device, threads=thread_budget(), force=force, say=notice)
    emit(str(page))
