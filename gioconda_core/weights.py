"""The weights store: third-party networks by name, pinned, checked on every load, fetched only when asked.

Only ``models pull`` uses the network. A file a publisher offers as a PyTorch or numpy archive is converted once, with
``weights_only=True`` or ``allow_pickle=False``, to safetensors; what is loaded later is that file alone, and its
sha256 is compared with the one recorded when it was stored. What this does not cover: whether the publisher's file was
good in the first place. The pin answers for that: a full sha256 where the publisher gives one, else the leading digits
it puts in the file's name, else the sha256 the user gives to ``models pull``.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gioconda_core.config import core
from gioconda_core.documents import plain, read
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import atomic_path, sha256_of, write_json
from gioconda_core.options import sha256 as whole

MIB = 1 << 20
MAX_DOWNLOAD = 4096 * MIB  # bytes; no registered file comes near it


@dataclass(frozen=True)
class Entry:
    """One registered network.

    url : the publisher's address of the original file; empty where it has none that can be fetched without a form.
    pin : leading hex digits (up to all 64) of the original file's sha256 as the publisher states them; empty = unknown,
        and ``pull`` then asks the user for one.
    size : bytes of the original, approximately; for the list. stored : suffix of the file that is kept.
    """

    name: str
    use: str
    url: str
    pin: str
    size: int
    licence: str
    stored: str = ".safetensors"


@dataclass(frozen=True)
class Record:
    """What is written beside a stored file, as ``NAME.json``.

    sha256 : of the stored file. original_sha256 : of the publisher's. origin : the address or the name of that. stored : the day.
    """

    name: str
    sha256: str
    original_sha256: str = ""
    origin: str = ""
    licence: str = ""
    stored: str = ""


_FAN = "https://www.adrianbulat.com/downloads/python-fan/"

REGISTRY: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("fan2d-4", "68 landmarks (face-alignment)", _FAN + "2DFAN4-11f355bf06.pth.tar", "11f355bf06", 96 * MIB, "BSD-3-Clause"),
        Entry("sfd", "face detector (face-alignment)", _FAN + "s3fd-619a316812.pth", "619a316812", 86 * MIB, "BSD-3-Clause"),
        Entry("blazeface", "face detector, front camera (face-alignment)", "https://github.com/hollance/BlazeFace-PyTorch/raw/master/blazeface.pth", "", MIB // 2, "Apache-2.0"),
        Entry("vgg19-caffe", "content loss of the generator", "https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth", "d01eb7cb", 548 * MIB, "CC BY 4.0 (VGG)"),
        Entry("vggface-vgg16-caffe", "identity content loss of the generator", "", "", 580 * MIB, "CC BY-NC 4.0 (VGGFace); research only"),
        Entry("squeezenet10", "a small content loss where VGG's weights cannot be had", "", "", 5 * MIB, "BSD-2-Clause (SqueezeNet)"),
        Entry("lpips-alexnet", "LPIPS's backbone (its heads come with torchmetrics)", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79", 233 * MIB, "BSD-3-Clause (torchvision)"),
        Entry("inception-fid", "FID and KID features", "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth", "6726825d", 91 * MIB, "Apache-2.0"),
        Entry("gend-clip-l14", "GenD detector, CLIP ViT-L/14", "https://huggingface.co/yermandy/GenD_CLIP_L_14/resolve/main/model.safetensors", "", 1160 * MIB, "MIT"),
        Entry("gend-pe-l", "GenD detector, PE ViT-L", "https://huggingface.co/yermandy/GenD_PE_L/resolve/main/model.safetensors", "", 1210 * MIB, "MIT"),
    )
}  # fmt: skip


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Tensors of a nested checkpoint by dotted name; everything that is not a tensor (epoch, options) is left behind."""
    import torch

    if isinstance(tree, torch.Tensor):
        return {prefix.rstrip("."): tree.detach().contiguous().clone()}
    flat: dict[str, Any] = {}
    if isinstance(tree, dict):
        for key, value in tree.items():
            flat.update(_flatten(value, f"{prefix}{key}."))
    return flat


def convert(original: Path, target: Path) -> None:
    """Convert a publisher's file to safetensors without running any code in it.

    Reads safetensors (copied), ``.npz`` (``allow_pickle=False``) and PyTorch archives (``weights_only=True``).

    Raises
    ------
    WeightsError
        The file is none of these, or holds objects other than tensors that would need unpickling.
    """
    import numpy as np
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file, save_file

    with contextlib.suppress(SafetensorError, OSError), safe_open(original, "pt"):
        save_file(load_file(original), target)
        return
    try:
        if original.suffix == ".npz":
            with np.load(original, allow_pickle=False) as archive:
                tensors = {name: torch.from_numpy(np.array(archive[name])).contiguous() for name in archive.files}
        else:
            tree = torch.load(original, map_location="cpu", weights_only=True)
            if isinstance(tree, dict) and isinstance(tree.get("state_dict"), dict):
                tree = tree["state_dict"]
            tensors = _flatten(tree)
    except Exception as error:
        what = f"cannot be converted without unpickling: {type(error).__name__}"
        hint = "convert it to safetensors with the publisher's own tools, then pull that file"
        raise WeightsError(what, str(original), hint) from error
    if not tensors:
        raise WeightsError("holds no tensors", where=str(original))
    save_file(tensors, target)


class Store:
    """A folder of ``NAME.safetensors`` beside ``NAME.json`` that says what it is and what its hash was."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._checked: dict[Path, tuple[int, int]] = {}

    def _entry(self, name: str) -> Entry:
        if name not in REGISTRY:
            raise UsageError(f"no weights named {name!r}", hint=f"known: {', '.join(REGISTRY)}")
        return REGISTRY[name]

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}{self._entry(name).stored}", self.folder / f"{name}.json"

    def has(self, name: str) -> bool:
        """Whether the file is there; its hash is checked by ``path``."""
        return self._files(name)[0].is_file()

    def record(self, name: str) -> Record:
        """What was recorded when the file was stored; WeightsError where that cannot be read."""
        record = self._files(name)[1]
        try:
            return read(Record, {"name": name, **json.loads(record.read_text())})
        except (OSError, ValueError, TypeError) as error:
            hint = f"run: gioconda models pull {name} --force"
            raise WeightsError(f"{name} has no readable record beside it", str(record), hint) from error

    def path(self, name: str) -> Path:
        """The stored file, its sha256 compared with the record.

        Raises
        ------
        WeightsError
            It is not there (the hint says how to get it), or it is not the file that was stored.
        """
        file, _ = self._files(name)
        entry = self._entry(name)
        if not file.is_file():
            how = f"gioconda models pull {name}" + ("" if entry.url else " --from FILE")
            raise WeightsError(f"weights {name} ({entry.use}) are not here", where=str(file), hint=f"run: {how}")
        stat = file.stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if self._checked.get(file) != seen:  # once for each version of the file in this process
            if sha256_of(file) != self.record(name).sha256:
                what = f"weights {name} are not the ones that were stored"
                raise WeightsError(what, str(file), f"run: gioconda models pull {name} --force")
            self._checked[file] = seen
        return file

    def add(self, name: str, original: Path, *, sha256: str = "", origin: str = "") -> Path:
        """Check an original file against its pin, convert it, and store it with its record.

        Parameters
        ----------
        sha256 : the user's own pin, full; needed where the registry has none.
        origin : where the file came from, for the record.

        Raises
        ------
        WeightsError
            The hash does not match, no pin is known, or the file cannot be converted safely.
        """
        entry = self._entry(name)
        if not original.is_file():
            raise WeightsError("no such file", where=str(original))
        got = sha256_of(original)
        pin = whole(sha256, "--sha256") if sha256 else entry.pin
        if not pin:
            hint = f"if you trust this file, say so: --sha256 {got}"
            raise WeightsError(f"no sha256 is known for {name}", str(original), hint)
        if not got.startswith(pin):
            raise WeightsError(f"sha256 is {got[:16]}…, expected {pin[:16]}…", str(original), "do not use it")
        file, record = self._files(name)
        with atomic_path(file) as temporary:
            convert(original, temporary)
            stored = sha256_of(temporary)
        about = Record(name, stored, got, origin or original.name, entry.licence, time.strftime("%Y-%m-%d"))
        write_json(record, plain(about))
        return file

    def pull(
        self, name: str, *, sha256: str = "", advance: Callable[[int], None] = lambda n: None, force: bool = False
    ) -> Path:
        """Fetch, check, convert and store one network. The only place in the toolkit that downloads weights."""
        import httpx
        from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

        entry = self._entry(name)
        if self.has(name) and not force:
            return self.path(name)
        if not entry.url:
            hint = f"get the file, then: gioconda models pull {name} --from FILE"
            raise WeightsError(f"{name} has no address", hint=hint)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{name}.part{Path(entry.url).suffix}"

        @retry(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_attempt(4),
            wait=wait_exponential(max=8),
            reraise=True,
        )
        def fetch() -> None:
            got = part.stat().st_size if part.exists() else 0
            headers = {"Range": f"bytes={got}-"} if got else {}
            with httpx.stream("GET", entry.url, headers=headers, follow_redirects=True, timeout=30) as answer:
                if answer.status_code == 416:  # the part is already whole
                    return
                answer.raise_for_status()
                resumed = answer.status_code == 206
                with open(part, "ab" if resumed else "wb") as file:
                    total = got if resumed else 0
                    for chunk in answer.iter_bytes():
                        total += len(chunk)
                        if total > MAX_DOWNLOAD:
                            raise WeightsError("the file is larger than any weights should be", where=entry.url)
                        file.write(chunk)
                        advance(len(chunk))

        try:
            fetch()
        except httpx.HTTPError as error:
            what = f"cannot be fetched: {type(error).__name__}"
            raise WeightsError(what, entry.url, f"or: models pull {name} --from FILE") from error
        try:
            return self.add(name, part, sha256=sha256, origin=entry.url)
        finally:
            part.unlink(missing_ok=True)

    def names(self) -> Iterable[str]:
        """Registered names that are stored here."""
        return [name for name in REGISTRY if self.has(name)]


_stores: dict[Path, Store] = {}


def store() -> Store:
    """The store of this user: ``GIOCONDA_WEIGHTS``, or ``weights`` under ``[core]``, or the user's data folder."""
    folder = core().weights
    return _stores.setdefault(folder, Store(folder))
