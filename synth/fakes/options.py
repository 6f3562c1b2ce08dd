"""Declares the jobs of preparing footage and of making a labelled set from it, as their folders keep them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from gioconda_core.errors import UsageError
from gioconda_core.options import Option, argument, check, numbers, shares
from synth.fakes.sources import LAYOUTS
from synth.reenact.options import ADAPTATIONS, MODES, Landmarker

KINDS = ("self", "cross", "control")
REGIONS = ("whole", "face")


@dataclass(frozen=True)
class Prepare:
    """What is taken of footage, saved in the output folder before work starts.

    layout, where : see :func:`synth.fakes.sources.entries`. min_quality : frames whose face scores less are left out (0…1, see
    FaceTrack). landmarks : a folder's tracks are named as the clip with ``/`` as ``__`` and ``.npz`` after it; clips without one
    are tracked. shard_mb : size at which a shard is closed. quality : of the JPEGs in it.
    """

    sources: Annotated[tuple[str, ...], argument("Folders, .csv lists, or puppets:N for puppets.", required=True)] = ()
    layout: Annotated[
        str, Option("folder, voxceleb1, voxceleb2, hdtf, celebv-hq or talkinghead-1kh.", choices=tuple(LAYOUTS))
    ] = "folder"
    where: Annotated[str, Option("Rows of a list to take: kind=real,view=face crop.")] = ""
    size: Annotated[int, Option("Side of the crops, pixels.", minimum=16, maximum=1024)] = 256
    every: Annotated[float, Option("Seconds between frames kept; 0 = every frame.", minimum=0)] = 0.0
    min_face: Annotated[int, Option("Smallest face, pixels of its square.", minimum=1)] = 64
    min_frames: Annotated[int, Option("Fewest frames a clip must give.", minimum=1)] = 8
    max_frames: Annotated[int, Option("Most frames kept of a clip.", minimum=1)] = 400
    views: Annotated[
        int, Option("Views bent of each photograph or painting; 0 = pictures are left out.", minimum=0)
    ] = 0
    min_quality: float = 0.1
    landmarks: Annotated[str, Option("Folder of saved tracks (.npz), to find nothing twice.")] = ""
    landmarker: Landmarker = "auto"
    puppet_frames: Annotated[int, Option("Frames drawn of each puppet's take.", minimum=1)] = 48
    shard_mb: int = 128
    quality: int = 95

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Fakes:
    """What a labelled set holds. Every tuple is an axis of the difficulty grid; all combinations are made.

    sources : footage that is not in shards yet is prepared into the output folder first. kinds : ``self`` (held-out frames of the
    same take drive), ``cross`` (another person's do), ``control`` (real frames, passed through the same crop, size and codec).
    smoothing : of the motion, seconds. seed : decides splits, drivers and everything random.
    """

    sources: Annotated[tuple[str, ...], argument("Shard folders, folders of clips, or puppets:N.")] = ()
    kinds: Annotated[tuple[str, ...], Option("Of self, cross, control.", choices=KINDS)] = KINDS
    shots: Annotated[tuple[int, ...], Option("T, shots a person: a list is a grid.", minimum=1, parse=numbers)] = (1, 8)
    modes: Annotated[
        tuple[str, ...], Option("ft (tuned), ff (as the model stands: not for single clips).", choices=MODES)
    ] = ("ft",)
    steps: Annotated[
        tuple[int, ...], Option("Iterations of tuning; 0 = the generator's own.", minimum=0, parse=numbers)
    ] = (0,)
    crf: Annotated[tuple[int, ...], Option("H.264 quality.", minimum=0, maximum=51, parse=numbers)] = (18,)
    regions: Annotated[
        tuple[str, ...], Option("whole, or face (laid over the real frame; self only).", choices=REGIONS)
    ] = ("whole",)
    frames: Annotated[int, Option("Most frames in a clip.", minimum=2)] = 32
    min_frames: Annotated[int, Option("Fewest frames in a clip.", minimum=2)] = 8
    people: Annotated[int, Option("Most people; 0 = all.", minimum=0)] = 0
    drivers: Annotated[int, Option("People who drive each person in cross.", minimum=1)] = 1
    adapt: Annotated[str, Option("relative, procrustes or absolute.", choices=ADAPTATIONS)] = "procrustes"
    smoothing: float = 0.0
    splits: Annotated[Mapping[str, float], Option("Shares of people.", flag="--split", minimum=0, parse=shares)] = (
        field(default_factory=lambda: {"train": 0.6, "val": 0.2, "test": 0.2})
    )
    layout: Annotated[str, Option("Of folders of clips, as in synth prepare.", choices=tuple(LAYOUTS))] = "folder"
    where: Annotated[str, Option("Rows of a list to take.")] = ""
    mark: Annotated[bool, Option("The invisible mark, on fakes and controls alike.")] = False
    aigc: Annotated[str, Option("Also China's label (GB 45438-2025) in each fake, naming this producer.")] = ""
    seed: int = 0

    def __post_init__(self) -> None:
        check(self)
        if not self.kinds or not self.shots or not self.modes or not self.crf or not self.regions or not self.steps:
            hint = "kinds, shots, modes, steps, crf and regions need a value"
            raise UsageError("an axis of the grid is empty", hint=hint)
        if "ft" not in self.modes and any(self.steps):
            raise UsageError("mode ff is not tuned", where="--steps", hint="leave it out, or --modes ft")
        if "face" in self.regions and "self" not in self.kinds:
            raise UsageError("the region face is for self-reenactments", where="--regions", hint="--kinds self")
        if sum(self.splits.values()) <= 0:
            raise UsageError("shares of the splits must be above 0", where="--split")


@dataclass(frozen=True)
class Part:
    """A process's part of the work. rank, world : its number among how many (``torchrun`` sets them)."""

    jobs: Annotated[int, Option("Processes that prepare footage; with ray, workers.", minimum=1)] = 1
    writers: Annotated[
        int | None, Option("Threads that encode and sign; default one a core, two at least.", minimum=1)
    ] = None
    rank: int = 0
    world: int = 1
