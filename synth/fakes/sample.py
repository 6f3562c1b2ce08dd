"""Makes one sample of a labelled set: from a recipe to pixels, from pixels to a signed clip with its record, and back again (replay)."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, sha256_of, write_json
from gioconda_core.types import Claim, Ingredient, Synthesis
from provenance.reading.read import read
from provenance.signing import sign
from provenance.signing.signers import Signer
from provenance.watermark import repository
from synth import consent as consents
from synth.fakes.options import Fakes
from synth.fakes.plan import Clip, Recipe, held_rows, read_part, shot_rows, units_of
from synth.generators import Roster, TalkingHeads
from synth.reenact.framing import face_mask
from synth.reenact.motion import adapt, smooth, without_outliers
from synth.training.shards import ShardSet

RECORD = "gioconda.fake.record/1"
Frames = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a sample shows. mask : uint8 (N, S, S), 255 where pixels were made; None = not told.

    making : how hard it is to tell and what was drawn by lot, where a family of fakes made it. hidden : shots whose mouth is covered.
    """

    frames: Frames
    mask: Frames | None = None
    making: Mapping[str, Any] | None = None
    hidden: int = 0


@dataclass(frozen=True, eq=False)
class Motion:
    """What a sample is drawn at. landmarks : (N, 68, 2) in the person's crop. adaptation : how they came about; None = as they are."""

    landmarks: NDArray[np.float32]
    adaptation: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Drawn:
    """A sample before it is written. driver : the held-out frames that drove it, or are passed through."""

    recipe: Recipe
    driver: Clip
    motion: Motion
    picture: Picture


def render(personal: Any, recipe: Recipe, moved: Motion, held: Clip) -> Picture:
    """What a person's generator draws of a motion; a family of fakes makes it of the held-out frames themselves."""
    if hasattr(personal, "remake"):
        made = personal.remake(held.frames, held.landmarks, f"{recipe.seed} {recipe.driver_sha256} {recipe.person}")
        return Picture(made.frames, made.mask, made.record)
    hidden = sum(bool(look.mouth) for look in getattr(personal, "covered", ()))
    return Picture(personal.render(moved.landmarks), hidden=hidden)


def motion(recipe: Recipe, shots: Clip, driver: Clip) -> Motion:
    """The driver's landmarks, fitted to the person where somebody else drives."""
    if not recipe.adapt:
        return Motion(without_outliers(driver.landmarks)[0].astype(np.float32))
    marks, adapted = adapt(driver.landmarks, shots.landmarks, recipe.adapt)
    marks = smooth(marks, driver.times, recipe.smoothing)
    return Motion(marks, replace(adapted, smoothing=recipe.smoothing).as_dict())


def draw_sample(recipe: Recipe, driver: Clip, moved: Motion | None = None, picture: Picture | None = None) -> Drawn:
    """One sample: a control, or what the generator drew at the motion. Making and replaying both come here."""
    if recipe.kind == "control":
        return Drawn(recipe, driver, Motion(driver.landmarks), Picture(driver.frames))
    assert moved is not None and picture is not None
    frames = picture.frames
    if frames.shape != driver.frames.shape:
        raise MediaError(f"the generator drew {frames.shape}, not {driver.frames.shape}")
    if recipe.region == "face":
        mask = face_mask(driver.landmarks, recipe.size, soft=recipe.size / 64)
        weight = mask[..., None].astype(np.float32) / 255
        frames = np.round(driver.frames + (frames.astype(np.float32) - driver.frames) * weight).astype(np.uint8)
    else:
        mask = np.full(frames.shape[:3], 255, np.uint8) if picture.mask is None else picture.mask
    return Drawn(recipe, driver, moved, replace(picture, frames=frames, mask=mask))


def _particulars(drawn: Drawn) -> dict[str, Any]:
    """What claim and record say of how a sample was made, beside its recipe."""
    picture = drawn.picture
    known = {"making": dict(picture.making or {}), "mouth_covered": picture.hidden}
    return {name: value for name, value in known.items() if value}


def _claim(drawn: Drawn, granted: consents.Consent) -> Claim:
    r = drawn.recipe
    ingredients = [Ingredient("source", r.shots_sha256, title=f"{r.identity}: {r.source}")]
    if r.driver_sha256 != r.shots_sha256:
        ingredients.append(Ingredient("driver", r.driver_sha256, title=f"{r.driver_identity}: {r.driver_source}"))
    fake = r.kind != "control"
    return Claim(
        title=f"{r.id}.mp4",
        task=f"{r.kind}-reenactment" if fake else "control",
        label="fake" if fake else "real",
        generator=r.generator if fake else "pass-through",
        generator_version=r.generator_version if fake else "1",
        ingredients=tuple(ingredients),
        weights_sha256=r.weights_sha256,
        config_sha256=sha256_of(json.dumps(asdict(r), sort_keys=True).encode()),
        seed=r.seed,
        licence=granted.licence,
        consent=granted.id,
        producer=r.aigc,
        split=r.split,
        identity=r.identity,
        params={
            "recipe": r.id,
            **{name: getattr(r, name) for name in ("shots", "mode", "steps", "region", "crf")},
            **({"departure": r.departure} if r.departure else {}),
            **({"adaptation": dict(drawn.motion.adaptation)} if drawn.motion.adaptation else {}),
            **_particulars(drawn),
        },
    )


def pixels_sha256(frames: Frames) -> str:
    """sha256 of frames before encoding: what a replay must reproduce."""
    return sha256_of(repr(frames.shape).encode() + np.ascontiguousarray(frames).tobytes())


def write_sample(
    drawn: Drawn, out: Path, granted: consents.Consent, signer: Signer, versions: Mapping[str, str]
) -> dict[str, Any]:
    """Encode, sign, keep landmarks and mask, and last of all the record."""
    r, driver, frames, mask = drawn.recipe, drawn.driver, drawn.picture.frames, drawn.picture.mask
    before, after, times = driver.landmarks, drawn.motion.landmarks, driver.times - driver.times[0]
    path = out / "clips" / r.split / f"{r.id}.mp4"
    claim = _claim(drawn, granted)
    # force: a clip without a record is the remains of a killed run; its recipe is the same, so is what replaces it.
    sign.write(
        Synthesis(frames, times, driver.fps, claim, mask=mask),
        path, signer=signer, crf=r.crf, marker=repository.marker if r.mark else None, force=True,
    )  # fmt: skip
    label = read(path).label or {}
    with atomic_path(out / "landmarks" / f"{r.id}.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, times=times, before=before, after=after)
    if mask is not None:
        good, data = cv2.imencode(".png", mask.reshape(-1, r.size))
        assert good
        with atomic_path(out / "masks" / f"{r.id}.png") as temporary:
            temporary.write_bytes(data.tobytes())
    record = {
        "schema": RECORD,
        "id": r.id,
        "recipe": asdict(r),
        "file": path.relative_to(out).as_posix(),
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "essence": label.get("essence_sha256", ""),
        "pixels_sha256": pixels_sha256(frames),
        "landmarks_sha256": {
            "before": sha256_of(np.ascontiguousarray(before, np.float32).tobytes()),
            "after": sha256_of(np.ascontiguousarray(after, np.float32).tobytes()),
        },
        "adaptation": drawn.motion.adaptation,
        **_particulars(drawn),
        "licence": granted.licence,
        "consent": granted.id,
        "versions": dict(versions),
    }
    write_json(out / "records" / f"{r.id}.json", record)
    return record


def _footage_of(folder: Path) -> list[Path]:
    """Shards of a set: what it was made from, and what was prepared into it."""
    try:
        named = json.loads((folder / "fakes.json").read_text())["sources"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError("no set around the record", str(folder), "name the shards: synth fakes SHARDS…") from error
    found = [Path(source) for source in named] + sorted((folder / "shards").glob("*"))
    return [path for path in found if (path / "shards.json").exists()]


def replay(
    record: str | os.PathLike[str], sources: Sequence[str | os.PathLike[str]], heads: TalkingHeads | Roster
) -> tuple[bool, Frames]:
    """Make one sample's frames again from its record.

    Parameters
    ----------
    sources : the shard folders it was made from; none = those that the set beside the record names, or holds. heads : a generator with the same weights.

    Returns
    -------
    Whether the pixels before encoding are the same, bit for bit, and the frames.

    Raises
    ------
    UsageError
        The footage or the weights are not those of the record.
    """
    try:
        data = json.loads(Path(record).read_text())
        recipe = Recipe(**data["recipe"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError("is not a record", where=str(record), hint="SET/records/ID.json") from error
    maker = Roster.named(heads, recipe.generator) if recipe.kind != "control" else None
    if maker is not None and maker.weights_sha256 != recipe.weights_sha256:
        raise UsageError("other weights than the record's", str(record), f"weights sha256 {recipe.weights_sha256}")
    with tempfile.TemporaryDirectory() as folder:
        sets = [ShardSet(Path(s)) for s in sources or _footage_of(Path(record).absolute().parents[1])]
        units = units_of(sets, Path(folder), Fakes(shots=(1,), min_frames=2))
    by_hash = {u.sha256: u for u in units}
    try:
        unit, driver = by_hash[recipe.shots_sha256], by_hash[recipe.driver_sha256]
    except KeyError as error:
        raise UsageError("the footage is not that of the record", where=str(record), hint=f"sha256 {error}") from error
    held = read_part(sets[driver.shards], driver, held_rows(driver, recipe.frames), recipe.size)
    moved, picture = None, None
    if maker is not None:
        shots = read_part(sets[unit.shards], unit, shot_rows(unit, recipe.before, recipe.shots), recipe.size)
        personal = maker.personalise(
            shots.frames, shots.landmarks, mode=recipe.mode, steps=recipe.steps or None, seed=int(recipe.seed)
        )
        moved = motion(recipe, shots, held)
        picture = render(personal, recipe, moved, held)
    drawn = draw_sample(recipe, held, moved, picture)
    return pixels_sha256(drawn.picture.frames) == data["pixels_sha256"], drawn.picture.frames
