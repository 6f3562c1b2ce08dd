"""Still pictures and animations (JPEG, PNG, WebP, AVIF, HEIC, GIF, TIFF, BMP) through Pillow, as clips of one or more frames.

EXIF orientation and colour profiles are applied; transparency is shown over white, as viewers do; 16-bit pictures are scaled, not
clipped. Frame durations are the file's; a GIF or WebP frame of 10 ms or less lasts 100 ms, as every browser has it. Of a HEIC the primary
picture is read, whole: its tiles put together, turned and cropped as the file says (libheif does that). A picture of more pixels than
one may have, as telephones take at 108 and 200 megapixels, is read smaller; JPEG is decoded so, without ever being whole in memory.
"""

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media import containers
from gioconda_core.media.colour import Orientation
from gioconda_core.media.facts import TOO_LARGE_HINT, ClipFacts, Limits
from gioconda_core.media.sampling import SLACK, Sampling
from gioconda_core.reasons import MediaWarning, UnreadReason, WarningReason

Picture = NDArray[np.uint8]
_FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "JPEG2000", "PPM")
_SHORTEST, _INSTEAD = 10, 100  # milliseconds
_SUBFILE = 0x00FE  # TIFF's NewSubfileType: 1 where the picture is a smaller one of another in the file
# What Pillow raises of a damaged file.
_DAMAGED = (OSError, ValueError, SyntaxError, RuntimeError, MemoryError, EOFError)


_AFTER = 3  # JPEG pictures in a row, from which on a file is a stream of them
_LOOKED = 64 << 20  # bytes read for that


def is_jpeg_stream(file: BinaryIO) -> bool:
    """Whether a file is JPEG after JPEG, as cameras stream them, and not one with a preview, a depth or a gain map behind it (MPF)."""
    file.seek(0)
    data, at = file.read(_LOOKED), 0
    for _ in range(_AFTER):
        if data[at : at + 3] != b"\xff\xd8\xff":
            return False
        at += 2
        for piece in containers.jpeg(io.BytesIO(data), len(data), at):
            at = piece.end
            if at < piece.start + 4 or (piece.name == b"\xe2" and data[piece.start + 4 : piece.start + 8] == b"MPF\0"):
                return False
        at = data.find(b"\xff\xd9", at) + 2  # of a scan's bytes, FF is never followed by D9 but at the picture's end
        if at < 2:
            return False
        at += len(data[at : at + 64]) - len(data[at : at + 64].lstrip(b"\0"))  # some cameras fill up to a word
    return True


_pillow = threading.Lock()


@contextlib.contextmanager
def _pillow_allowing(pixels: int) -> Iterator[None]:
    """Pillow's own limit out of the way, where a person has set ours higher. It is global, and is never lowered here."""
    with _pillow:
        before = Image.MAX_IMAGE_PIXELS
        if before is not None:
            Image.MAX_IMAGE_PIXELS = max(before, pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _animated(image: Image.Image) -> bool:
    """Whether more than one picture is to be shown after another, and not several pages, sizes or a depth map."""
    return image.format in ("GIF", "WEBP", "PNG", "AVIF") and getattr(image, "n_frames", 1) > 1


def _averageable(image: Image.Image) -> Image.Image:
    """The picture in a mode whose values can be averaged: not numbers of a palette, single bits, nor what Pillow does not reduce."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode.startswith("I;16"):
        return image.convert("I")
    return image.convert("L") if image.mode == "1" else image


class StillSource:
    """One picture or animation, read from a seekable binary file."""

    def __init__(self, file: BinaryIO, where: str, limits: Limits) -> None:
        self._file, self._where, self._limits = file, where, limits
        self.warnings: list[MediaWarning] = []
        self._broken: tuple[int, ...] = ()  # frames between others that cannot be decoded
        with self._open() as image:
            if image.format == "TIFF" and image.tag_v2.get(_SUBFILE) == 1:  # type: ignore[attr-defined]
                what = "holds a preview first, as a camera's raw file does; the picture itself is not read"
                raise MediaError(what, where, "export a JPEG or a TIFF from it", unread=UnreadReason.TO_EXPORT)
            # Of a PNG: a picture before the animation, for programs that do not animate.
            hidden = int(_animated(image) and bool(image.info.get("default_image")))
            if hidden:
                self._warn(WarningReason.HIDDEN_PICTURE)
            self._numbers, stamps = self._clock(hidden)
            self._times = stamps[:-1]
            self._to(image, self._numbers[0])
            stored, first = image.size, self._rgb(image)
            orientation = Orientation.from_exif(self._exif_orientation(image))
            width, height = reversed(stored) if orientation.swaps else stored
            torn = any(warning.of_pictures for warning in self.warnings)
            still = len(self._numbers) == 1 and not torn
            duration = 0.0 if still else stamps[-1]
            if still and not _animated(image) and (pictures := getattr(image, "n_frames", 1)) > 1:
                self._warn(WarningReason.SEVERAL_PICTURES, pictures=pictures)
            self.facts = ClipFacts(
                container=(image.format or "").lower(),
                codec=(image.format or "").lower(),
                width=width,
                height=height,
                reduced=round(width / first.shape[1]),
                fps=None if still or duration <= 0 else Fraction(len(self._numbers) * 1000, round(duration * 1000)),
                duration=duration,
                frame_count=None if torn else len(self._numbers),
                still=still,
                rotation=orientation.turns * 90,
                mirrored=orientation.mirror,
                pix_fmt=image.mode,
                bit_depth=16 if image.mode.startswith(("I", "F")) else 8,
                encoder=str(image.info.get("Software") or image.getexif().get(0x0131) or "")[:200],
                size_bytes=file.seek(0, io.SEEK_END),
            )

    def _open(self) -> Image.Image:
        self._file.seek(0)
        formats = _FORMATS
        if self._file.read(12)[4:8] == b"ftyp":
            from pillow_heif import register_heif_opener

            register_heif_opener()  # again is harmless
            formats = ("AVIF", "HEIF")
        self._file.seek(0)
        try:
            with _pillow_allowing(self._limits.stored_pixels), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's own bomb warning: our limit decides
                image = Image.open(self._file, formats=formats)
        except Image.DecompressionBombError as error:
            size = re.search(r"\d+(?= pixels)", str(error))
            what = f"a picture of {int(size[0]) / 1e6:.3g} megapixels" if size else "this picture"
            raise self._too_large(what) from error
        except _DAMAGED as error:
            raise MediaError("cannot be opened as a picture", self._where, "is it whole?") from error
        if not self._reduction(image):
            image.close()
            raise self._too_large(f"{image.size[0]}x{image.size[1]}", animated=_animated(image))
        return image

    def _reduction(self, image: Image.Image) -> int:
        """By how much each side is to be divided so that a picture is as large as one may be; 0 where it is too large for that."""
        pixels = image.width * image.height
        if pixels <= self._limits.pixels:
            return 1
        if pixels > self._limits.stored_pixels or _animated(image):
            return 0
        return next((by for by in (2, 4, 8) if (image.width // by) * (image.height // by) <= self._limits.pixels), 0)

    def _too_large(self, what: str, *, animated: bool = False) -> MediaError:
        name = "pixels" if animated else "stored_pixels"
        what = f"{what} is more than {getattr(self._limits, name) / 1e6:g} megapixels"
        return MediaError(what, self._where, TOO_LARGE_HINT.replace("pixels", name), unread=UnreadReason.TOO_LARGE)

    def _warn(self, code: WarningReason, **detail: float) -> None:
        if all(warning.code != code for warning in self.warnings):
            self.warnings.append(MediaWarning(code, detail))

    def _exif_orientation(self, image: Image.Image) -> int:
        try:
            return int(image.getexif().get(0x0112, 1))
        except Exception:  # EXIF is free-form bytes; a broken block only loses the orientation
            self._warn(WarningReason.EXIF_DAMAGED)
            return 1

    def _clock(self, first: int) -> tuple[list[int], list[float]]:
        """Which frames can be decoded, and when each begins, with the end last; seconds. first : the number of the first frame.

        What is damaged between them is passed over, and the picture before it stays.
        """
        # A picture before the animation may be damaged, too, and is passed on the way to its frames.
        found, stamps, broken, missed = list[int](), [0], list(range(first)), 0
        self._broken = tuple(broken)
        with self._open() as image:  # by itself: a frame that failed once leaves its reader in disorder
            if not _animated(image):
                return [0], [0.0, 0.0]
            self._to(image, first)
            for i in range(first, min(int(getattr(image, "n_frames", 1)), self._limits.frames)):
                try:
                    image.seek(i)
                except _DAMAGED:  # nor does anything follow
                    broken.append(i)
                    break
                whole = True
                try:
                    image.load()  # WebP and AVIF say a frame's duration only once it is decoded; all say so if it is damaged
                except _DAMAGED:
                    whole = False
                lasts = float(image.info.get("duration") or 0)
                lasts = round(lasts if lasts > _SHORTEST else _INSTEAD)
                if not whole:
                    broken.append(i)
                    missed += lasts if found else 0
                    continue
                found.append(i)
                if len(broken) > len(self._broken):
                    self._broken = tuple(broken)
                    self._warn(WarningReason.DAMAGED_DATA, time=stamps[-1] / 1000)
                stamps[-1] += missed
                stamps.append(stamps[-1] + lasts)
                missed = 0
        if found and len(broken) > len(self._broken):
            self._warn(WarningReason.STOPPED_THERE, time=stamps[-1] / 1000)
        # where not one was decoded, reading the first says why
        return found or [first], [s / 1000 for s in stamps] if found else [0.0, 0.0]

    def _to(self, image: Image.Image, number: int) -> None:
        """Go to a frame. A damaged one on the way fails as it is passed, and only then."""
        if not _animated(image):
            return
        for i in self._broken:
            if image.tell() <= i < number:
                with contextlib.suppress(*_DAMAGED):
                    image.seek(i)
                    image.load()
        try:
            image.seek(number)
        except _DAMAGED as error:
            raise MediaError("the animation is damaged", self._where) from error

    def _rgb(self, image: Image.Image) -> Picture:
        """uint8 (H, W, 3), upright, sRGB, over white."""
        profile = image.info.get("icc_profile")
        try:
            by = self._reduction(image)
            if by > 1:
                image.draft(image.mode, (image.width // by, image.height // by))  # JPEG alone is decoded smaller
            image.load()
            # Only now: a TIFF is turned as it is loaded, and says so no more.
            orientation = Orientation.from_exif(self._exif_orientation(image))
            if (by := self._reduction(image)) > 1:
                image = _averageable(image).reduce(by)
        except MemoryError:
            raise  # not the file's fault
        except (*_DAMAGED, Image.DecompressionBombError) as error:
            raise MediaError("the picture is damaged or cut off", self._where, "fetch it again") from error
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image).astype(np.float64)
            top = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max(initial=1.0)))
            grey = np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8)
            return orientation.apply(np.repeat(grey[:, :, None], 3, axis=2))
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            flat = Image.new("RGBA", layer.size, (255, 255, 255, 255))
            flat.alpha_composite(layer)
            if np.asarray(layer.getchannel("A")).min() < 255:
                self._warn(WarningReason.TRANSPARENT)
            plain: Image.Image = flat.convert("RGB")
        elif profile and image.mode in ("RGB", "CMYK"):
            plain = self._managed(image, profile)
        else:
            plain = image.convert("RGB")
        return orientation.apply(np.array(plain, dtype=np.uint8))

    def _managed(self, image: Image.Image, profile: bytes) -> Image.Image:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made: Any = ImageCms.profileToProfile(image, given, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return made if made is not None else image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            self._warn(WarningReason.COLOUR_PROFILE_DAMAGED)
            return image.convert("RGB")

    def play(self, sampling: Sampling) -> Iterator[tuple[float, Picture]]:
        """(seconds, upright RGB) of the frames wanted; a still gives its one frame whatever the sampling."""
        with self._open() as image:
            for i in self._wanted(sampling):
                self._to(image, self._numbers[i])
                yield self._times[i], self._rgb(image)

    def _wanted(self, sampling: Sampling) -> Iterator[int]:
        if len(self._numbers) == 1 or sampling.mode == "keyframes":
            yield 0
        elif sampling.mode == "all":
            yield from range(len(self._numbers))
        else:
            previous = -1
            targets = sampling.targets(self.facts.duration)
            if sampling.mode == "at" and targets[-1] > self.facts.duration:
                hint = f"the clip lasts {self.facts.duration:g} s"
                raise UsageError(f"no frame at {targets[-1]:g} s", self._where, hint)
            for target in targets:
                i = int(np.searchsorted(np.asarray(self._times), target + SLACK, side="right")) - 1
                if i != previous or sampling.repeats:
                    yield i
                previous = i

    def close(self) -> None:
        """The file belongs to the clip."""
