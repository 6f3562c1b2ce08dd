"""Declares the job of a reenactment: how the person is learned, whose motion is taken, and what the clip looks like."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gioconda_core import plugins
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, check

MODES = ("ff", "ft")
ADAPTATIONS = ("absolute", "relative", "procrustes")


def _landmarkers() -> tuple[str, ...]:
    return ("auto", *plugins.names("gioconda.landmarkers"))


def _icon(text: str) -> None:
    if text and not Path(text).is_file():
        raise UsageError("no such file", where=text, hint="the European Commission gives its icons away as PNG")


Landmarker = Annotated[str, Option("auto, dlib, face-alignment or a plugin's.", choices=_landmarkers)]


@dataclass(frozen=True)
class Reenact:
    """How a person is reenacted. ``feather`` is the softness of the pasted edge, a share of a third of the crop; the rest as declared."""

    mode: Annotated[
        str, Option("ft = tune on the shots; ff = the model as it stands, not for single clips.", choices=MODES)
    ] = "ft"
    steps: Annotated[int | None, Option("Iterations of tuning; default by the number of shots.", minimum=1)] = None
    adapt: Annotated[str, Option("relative, procrustes or absolute.", choices=ADAPTATIONS)] = "relative"
    smoothing: Annotated[float, Option("Of the motion, seconds; 0 = none.", minimum=0)] = 0.04
    max_gap: Annotated[float, Option("Longest absence of the driver's face, seconds.", minimum=0)] = 0.5
    face: Annotated[int | None, Option("Which face of the shots, the largest first.", minimum=0)] = None
    driver_face: Annotated[int | None, Option("Which face of the driver, the largest first.", minimum=0)] = None
    most_shots: Annotated[int, Option("Frames taken of a clip of shots.", flag="--max-shots", minimum=1)] = 32
    frame: Annotated[
        str, Option("source = paste back into the picture; crop = the crop alone.", choices=("source", "crop"))
    ] = "source"
    side: Annotated[int, Option("Long side of the output, pixels; 0 = as the source, at most 1280.", minimum=0)] = 0
    feather: float = 0.12
    start: Annotated[float, Option("Where the driver begins, seconds.", minimum=0)] = 0.0
    seconds: Annotated[float, Option("How much of the driver.", minimum=0.1)] = 20.0
    crf: Annotated[int, Option("H.264 quality, 0 best … 51.", minimum=0, maximum=51)] = 18
    side_by_side: Annotated[bool, Option("Shot, driver and result in one picture.")] = False
    preview: Annotated[bool, Option("Also a signed strip of pictures.")] = False
    save_tracks: Annotated[bool, Option("Keep the drivers' landmarks as .npz.")] = False
    label: Annotated[bool, Option("The visible label (--no-label needs --consent).")] = True
    mark: Annotated[bool, Option("The invisible mark.")] = True
    icon: Annotated[
        str, Option("A picture (PNG) drawn into every frame, lower right: the EU's icon for AI content.", valid=_icon)
    ] = ""
    aigc: Annotated[str, Option("Also China's label (GB 45438-2025), naming this producer.")] = ""
    audio: Annotated[bool, Option("Keep the driver's sound.")] = True
    landmarker: Landmarker = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)
        if self.mode == "ff" and self.steps is not None:
            raise UsageError("mode ff is not tuned", where="--steps", hint="leave it out, or --mode ft")
