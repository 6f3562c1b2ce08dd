"""Writes and reads training footage: tars of face crops with landmarks, readable in any order.

A folder holds ``shard-000000.tar`` (WebDataset's naming: KEY.jpg, KEY.landmarks.npy float16, KEY.json), for each a
``shard-000000.parquet`` with the byte offsets that make random access one ``pread``, and ``shards.json``. The parquet
is written last: a tar without one is unfinished and is not read. Landmark images are never stored.
"""

import io
import json
import os
import re
import tarfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.files import atomic_path, read_rows, sha256_of, write_json

_COLUMNS = ("key", "identity", "source", "time", "jpg_at", "jpg_size", "points_at", "points_size")


@dataclass(frozen=True, eq=False)
class Frame:
    """One training frame. frame : uint8 (S, S, 3) RGB; landmarks : float32 (68, 2) in its pixels; time : seconds."""

    frame: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    identity: str
    source: str
    time: float


class ShardWriter:
    """Write frames to shards; a context manager. An interrupted run keeps every finished tar and appends after them.

    Parameters
    ----------
    folder : where shards go. size : pixels of the crop, fixed for the folder (taken from the first frame if 0).
    max_bytes : a tar is closed once it passes this. quality : JPEG quality, 95 keeps texture.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, size: int = 0, max_bytes: int = 256 << 20, quality: int = 95
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        card = self.folder / "shards.json"
        known = json.loads(card.read_text())["size"] if card.exists() else 0
        if known and size and known != size:
            raise UsageError(f"holds crops of {known} px, not {size}", where=str(folder), hint="use another folder")
        self.size, self.max_bytes, self.quality = known or size, max_bytes, quality
        finished = [int(p.stem.split("-")[1]) for p in self.folder.glob("shard-*.parquet")]
        self._number = max(finished, default=-1) + 1
        self._tar: tarfile.TarFile | None = None
        self._rows: list[tuple[object, ...]] = []

    def add(
        self,
        frame: NDArray[np.uint8],
        landmarks: NDArray[np.floating],
        identity: str | int,
        source: str | int,
        time: float,
    ) -> str:
        """Add one frame: uint8 (S, S, 3) RGB with float (68, 2) landmarks in its pixels. Returns its key."""
        frame = np.asarray(frame)
        self.size = self.size or frame.shape[0]
        if frame.dtype != np.uint8 or frame.shape != (self.size, self.size, 3):
            raise MediaError(f"a frame is {frame.dtype} {frame.shape}, not uint8 ({self.size}, {self.size}, 3)")
        points = np.asarray(landmarks, np.float16)
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise MediaError("landmarks are not 68 finite points", where=f"{identity}/{source} at {time:.3f} s")
        if self._tar is None:
            self._tar = tarfile.open(self._path("tar"), "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed in close()
        key = f"{self._number:06d}-{len(self._rows):06d}"
        good, jpeg = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        assert good
        buffer = io.BytesIO()
        np.save(buffer, points, allow_pickle=False)
        facts = {"identity": str(identity), "source": str(source), "time": float(time)}
        jpg_at, jpg_size = self._member(f"{key}.jpg", jpeg.tobytes())
        points_at, points_size = self._member(f"{key}.landmarks.npy", buffer.getvalue())
        self._member(f"{key}.json", json.dumps(facts).encode())
        self._rows.append((key, str(identity), str(source), float(time), jpg_at, jpg_size, points_at, points_size))
        if self._tar.offset >= self.max_bytes:
            self.close()
        return key

    def _path(self, suffix: str) -> Path:
        return self.folder / f"shard-{self._number:06d}.{suffix}"

    def _member(self, name: str, data: bytes) -> tuple[int, int]:
        assert self._tar is not None
        info = tarfile.TarInfo(name)
        info.size = len(data)
        at = self._tar.offset + tarfile.BLOCKSIZE  # one header block before the data in USTAR
        self._tar.addfile(info, io.BytesIO(data))
        return at, len(data)

    def close(self) -> None:
        """Finish the open tar; without this (or after a kill) it is not read. The next frame begins another."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._tar is None:
            return
        self._tar.close()
        with open(self._path("tar"), "rb+") as file:
            os.fsync(file.fileno())
        columns = {name: [row[i] for row in self._rows] for i, name in enumerate(_COLUMNS)}
        with atomic_path(self._path("parquet")) as path:
            pq.write_table(pa.table(columns), path)
        write_json(self.folder / "shards.json", {"schema": "gioconda.shards/1", "size": self.size})
        self._tar, self._rows = None, []
        self._number += 1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_drawn(identity: str, source: str) -> bool:
    """Whether this is a puppet: by both names, so that no folder of people called so by chance passes for one."""
    return re.fullmatch(r"puppet-\d+", identity) is not None and source.startswith("puppets/")


class ShardSet:
    """Random access to a folder of shards. Rows are grouped in units: one identity in one source (a video).

    cache : how many decoded frames are kept, those asked for last.

    Attributes
    ----------
    size : pixels of the crops. units : sorted (identity, source) pairs.
    """

    def __init__(self, folder: str | os.PathLike[str], *, cache: int = 0) -> None:
        import pyarrow.parquet as pq

        self.folder = Path(folder)
        tables = sorted(self.folder.glob("shard-*.parquet"))
        if not tables:
            raise UsageError("holds no finished shards", where=str(folder), hint="make some: gioconda synth prepare")
        self.size = int(json.loads((self.folder / "shards.json").read_text())["size"])
        self._rows: list[tuple[int, str, str, float, int, int, int, int]] = []
        self._tars: list[Path] = []
        for number, path in enumerate(tables):
            self._tars.append(path.with_suffix(".tar"))
            columns = [pq.read_table(path).column(name).to_pylist() for name in _COLUMNS[1:]]
            self._rows += [(number, *row) for row in zip(*columns, strict=True)]
        groups: dict[tuple[str, str], list[int]] = {}
        for index, row in enumerate(self._rows):
            groups.setdefault((row[1], row[2]), []).append(index)
        self.units = sorted(groups)
        self._groups = {unit: np.array(rows) for unit, rows in groups.items()}
        self._files: dict[int, io.FileIO] = {}
        self._lock = threading.Lock()
        self._frame = lru_cache(cache)(self._decoded)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, identity: str, source: str) -> NDArray[np.int64]:
        """Row numbers of a unit, in the order written."""
        return self._groups[(identity, source)]

    def outline(self, identity: str, source: str) -> str:
        """sha256 of a unit's times and sizes in the tars: another one where its frames are others, without decoding any."""
        rows = [self._rows[row] for row in self._groups[(identity, source)]]
        return sha256_of(json.dumps([(time, jpg, points) for _, _, _, time, _, jpg, _, points in rows]).encode())

    def real_files(self, units: Iterable[tuple[str, str]] | None = None) -> set[str]:
        """sha256 of the files that (identity, source) were cropped from, all of them by default; none for the embedded puppets.

        ``""`` stands for a file that ``clips.jsonl`` does not name.
        """
        real = [source for unit, source in (self.units if units is None else units) if not _is_drawn(unit, source)]
        known = {row["clip"]: row.get("sha256", [""]) for row in read_rows(self.folder / "clips.jsonl")} if real else {}
        return {digest for source in real for digest in known.get(source, [""])}

    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises MediaError where the picture is torn or the landmarks are not 68 finite points."""
        return self._frame(int(index))

    def _decoded(self, index: int) -> Frame:
        shard, identity, source, time, jpg_at, jpg_size, points_at, points_size = self._rows[index]
        where = f"{self._tars[shard].name}, {identity}/{source} at {time:.3f} s"
        picture = cv2.imdecode(np.frombuffer(self._read(shard, jpg_at, jpg_size, where), np.uint8), cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (self.size, self.size, 3):
            raise MediaError("a picture in the shard is torn", where=where)
        try:
            points = np.load(io.BytesIO(self._read(shard, points_at, points_size, where)), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise MediaError("landmarks in the shard are torn", where=where) from error
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise MediaError("landmarks in the shard are not 68 finite points", where=where)
        return Frame(np.ascontiguousarray(picture[:, :, ::-1]), points.astype(np.float32), identity, source, time)

    def _read(self, shard: int, at: int, size: int, where: str) -> bytes:
        with self._lock:
            if shard not in self._files:
                try:
                    self._files[shard] = open(self._tars[shard], "rb", buffering=0)  # noqa: SIM115 - as long as the set
                except OSError as error:
                    raise MediaError(f"cannot be opened: {error.strerror}", where=str(self._tars[shard])) from error
            file = self._files[shard]
        data = os.pread(file.fileno(), size, at)
        if len(data) != size:
            raise MediaError("the shard ends early", where=where)
        return data
