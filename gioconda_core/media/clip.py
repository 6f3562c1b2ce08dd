"""Clips: any video, picture or animation as upright RGB frames with true timestamps, exactly the frames asked for.

>>> with Clip.open("clip.mp4") as clip:                       # doctest: +SKIP
...     frames, times = clip.sample("even:32")                # uint8 (32, H, W, 3), float64 (32,)

Video goes through PyAV (:mod:`gioconda_core.media.decode`), pictures and animations through Pillow (:mod:`gioconda_core.media.stills`);
``sandbox=True`` does either in a limited worker process (:mod:`gioconda_core.media.sandbox`), for files from strangers.
Times are seconds from the first video frame; the start of the writer's audio is on the same clock.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import sha256_of
from gioconda_core.media.facts import ClipFacts, Limits, Source
from gioconda_core.media.sampling import Sampling
from gioconda_core.media.sandbox import SandboxedSource
from gioconda_core.media.source import _blamed, open_source
from gioconda_core.media.writer import CODECS, video_name, write_image, write_video
from gioconda_core.reasons import MediaWarning
from gioconda_core.types import Frames, Times

__all__ = ["CODECS", "Clip", "ClipFacts", "Limits", "Sampling", "video_name", "write_image", "write_video"]


class Clip:
    """A video, picture or animation, opened; every pass over it decodes afresh, holding one frame at a time.

    Attributes
    ----------
    facts : ClipFacts
        What the container says, and how the picture was turned upright.
    warnings : list of MediaWarning
        What a person should know of how this file was read; grows while frames are read.
    where : str
        The name messages use.
    """

    def __init__(self, source: Source, file: BinaryIO, where: str, limits: Limits) -> None:
        self._source, self._file, self.where, self._limits = source, file, where, limits
        self._sha256: str | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, limits: Limits | None = None, sandbox: bool = False) -> "Clip":
        """Open a file, or stdin for ``"-"``.

        Parameters
        ----------
        path : str or PathLike
            Any container and codec PyAV reads, or a picture or animation Pillow reads.
        limits : Limits
            What the file may cost.
        sandbox : bool
            Decode in a worker process with limits on memory and time; its crash or hang is a MediaError here.

        Raises
        ------
        MediaError
            When there is nothing to decode: missing, empty, not media, damaged beyond the first frame, over a limit.
        """
        limits = limits or Limits()
        name = os.fspath(path)
        if name == "-":
            file, where, real = _spool(limits), "stdin", None
        else:
            file, where, real = _open_file(name), name, os.path.abspath(name)
        try:
            if sandbox:
                source: Source = SandboxedSource(real, file.fileno(), where, limits)
            else:
                source = open_source(file, real, where, limits)
            return cls(source, file, where, limits)
        except BaseException:
            file.close()
            raise

    @property
    def facts(self) -> ClipFacts:
        """What the container says."""
        return self._source.facts

    @property
    def warnings(self) -> list[MediaWarning]:
        """What was odd about the file so far; reading on may add to it."""
        return self._source.warnings

    @property
    def fps(self) -> Fraction | None:
        """Average frames per second; None for a still."""
        return self.facts.fps

    @property
    def duration(self) -> float:
        """Seconds; 0 for a still."""
        return self.facts.duration

    @property
    def sha256(self) -> str:
        """Hex sha256 of the file's bytes; computed when first asked for."""
        if self._sha256 is None:
            if self._file.closed:
                raise ValueError("the clip is closed; ask for its sha256 while it is open")
            self._file.seek(0)
            self._sha256 = sha256_of(self._file)
        return self._sha256

    def frames(self, sampling: str = "all") -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Frames as they are decoded, in bounded memory.

        Parameters
        ----------
        sampling : str
            See :mod:`gioconda_core.media.sampling`.

        Yields
        ------
        (float, uint8 (H, W, 3))
            Seconds from the first frame, and the upright RGB picture; each array is the caller's to keep and change.
        """
        return self._play(Sampling.parse(sampling))

    def sample(self, sampling: str = "even:32") -> tuple[Frames, Times]:
        """The same frames as one array: uint8 (T, H, W, 3) and their times (T,) in seconds. T may be less than asked for."""
        plan = Sampling.parse(sampling)
        each = self.facts.width * self.facts.height * 3
        timed = plan.mode in ("even", "every", "at")
        wanted = len(plan.targets(self.duration)) if timed else self.facts.frame_count or 0
        if self.facts.still:
            wanted = 1
        most = max(1, self._limits.array_bytes // max(each, 1))
        if wanted > most and plan.mode != "even":
            size, space = f"{self.facts.width}x{self.facts.height}", f"{self._limits.array_bytes >> 20} MiB"
            hint = "use frames(), which holds one at a time, or a sparser sampling"
            raise UsageError(f"{wanted} frames of {size} do not fit in {space}", self.where, hint)
        out: Frames | None = None  # filled as frames come: a list of them and an array would be the clip twice
        times: list[float] = []
        for seconds, picture in self._play(plan):
            if len(times) >= most:
                what = f"more than {most} frames do not fit in memory"
                raise UsageError(what, self.where, "use frames(), or a sparser sampling")
            if out is None:
                room = min(wanted, most) if timed else 64  # what a container says of itself is not believed
                out = np.empty((max(1, room), *picture.shape), dtype=np.uint8)  # (T, H, W, 3)
            elif len(times) == len(out):
                shorter, out = out, np.empty((2 * len(out), *picture.shape), dtype=np.uint8)
                out[: len(shorter)] = shorter
            out[len(times)] = picture
            times.append(seconds)
        if out is None:
            raise MediaError("no frame could be decoded", self.where, "the file is damaged")
        return out[: len(times)], np.asarray(times, dtype=np.float64)

    def _play(self, plan: Sampling) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        with _blamed(self.where):
            yield from self._source.play(plan)

    def close(self) -> None:
        """Let go of the file and of the worker, if there is one."""
        self._source.close()
        self._file.close()

    def __enter__(self) -> "Clip":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_file(name: str) -> BinaryIO:
    """A regular file opened for reading, or a MediaError that says why not."""
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise MediaError("is a folder, not a clip", name, "give a file, or use `gioconda audit` for a tree")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for a writer that may never come
            kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
            kind = kinds.get(stat.S_IFMT(mode), "a device")
            raise MediaError(f"is {kind}, not a clip", name, 'give "-" and redirect stdin to read a stream')
        return open(name, "rb")
    except FileNotFoundError as error:
        raise MediaError("no such file", name, "check the path") from error
    except PermissionError as error:
        raise MediaError("may not be read", name, "check the file's permissions") from error
    except (OSError, ValueError) as error:
        what = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise MediaError(what, name, "check the path") from error


def _spool(limits: Limits) -> BinaryIO:
    """Stdin in an unnamed temporary file, since containers must be read back and forth; nothing is left behind."""
    file = tempfile.TemporaryFile(prefix="gioconda-")  # noqa: SIM115 - the clip closes it
    size = 0
    try:
        while piece := sys.stdin.buffer.read(1 << 20):
            size += len(piece)
            if size > limits.input_bytes:
                what = f"more than {limits.input_bytes >> 20} MiB on stdin"
                raise MediaError(what, "stdin", "save it to a file first")
            file.write(piece)
    except BaseException:
        file.close()
        raise
    return file  # type: ignore[return-value]
