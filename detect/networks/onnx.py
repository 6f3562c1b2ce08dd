"""Runs any ONNX network over faces, described by a small TOML card beside it: ``onnx:model.onnx`` reads ``model.toml``.

The card says what goes in and which number comes out::

    summary = "…"            # and trained_on, licence, limits as other cards
    size = 224               # side of the crop
    crop = "aligned"         # aligned, square or five-point
    layout = "NCHW"          # or NHWC; NTCHW feeds `frames` crops at once
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    scale = 255.0            # pixels are divided by this first
    output = "probability"   # logit, probability, or softmax over two logits
    fake = 1                 # index of the fake class where there are several
    sha256 = "…"             # optional: refused if the file is another
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, Card, abstaining, reading
from detect.face_crops import prepare
from detect.features.model import remember
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import from_table, read_toml, sha256_of
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import Footage, Reading, TrackScore


@dataclass(frozen=True)
class About:
    """What a network's card says; see the module's first lines."""

    id: str = ""
    version: str = "0"
    summary: str = ""
    trained_on: str = "unknown"
    licence: str = "unknown"
    limits: tuple[str, ...] = ()
    size: int = 224
    crop: str = "aligned"
    margin: float = 1.3
    layout: str = "NCHW"
    frames: int = 32
    bgr: bool = False
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    scale: float = 255.0
    output: str = "logit"
    fake: int = 1
    sha256: str = ""


class OnnxDetector:
    """See the module's first lines. Runs on the processor with onnxruntime, or on CUDA where its provider is installed."""

    def __init__(self, target: str | Path, device: str = "auto", threads: int = 0) -> None:
        import onnxruntime

        path = Path(target)
        if not path.is_file():
            raise WeightsError("does not exist", where=str(path))
        described = path.with_suffix(".toml")
        if not described.is_file():
            raise UsageError(
                "has no card",
                where=str(path),
                hint=f"write {described.name}; see the docstring of detect.networks.onnx",
            )
        self.about = about = from_table(About, read_toml(described), str(described), "a network's card")
        self.weights_sha256: str | None = sha256_of(path)
        if about.sha256 not in ("", self.weights_sha256):
            raise WeightsError("is not the file its card describes", where=str(path))
        if about.layout not in ("NCHW", "NHWC", "NTCHW") or about.output not in ("logit", "probability", "softmax"):
            raise UsageError(
                "layout is NCHW, NHWC or NTCHW; output is logit, probability or softmax", where=str(described)
            )
        self.id, self.version = about.id or path.stem, about.version
        self.card = Card(about.summary or path.name, about.trained_on, limits=about.limits, licence=about.licence)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        self._session = onnxruntime.InferenceSession(str(path), options, [*wanted, "CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        remember(self.weights_sha256, path.parent)

    def _scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        about = self.about
        x = (crops.astype(np.float32) / about.scale - np.asarray(about.mean, np.float32)) / np.asarray(
            about.std, np.float32
        )
        x = x[..., ::-1] if about.bgr else x
        if about.layout == "NHWC":
            batch = x
        else:
            batch = x.transpose(0, 3, 1, 2)
            batch = batch[None] if about.layout == "NTCHW" else batch
        y = np.asarray(self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0], np.float64)
        y = y.reshape(len(batch), -1)
        if about.output == "softmax" and y.shape[1] > 1:
            others = np.delete(y, about.fake, axis=1)
            return np.asarray(y[:, about.fake] - np.logaddexp.reduce(others, axis=1))
        value = y[:, about.fake if y.shape[1] > 1 else 0]
        if about.output == "probability":
            value = np.clip(value, 1e-7, 1 - 1e-7)
            return np.asarray(np.log(value / (1 - value)))
        return np.asarray(value)

    @abstaining
    def read(self, footage: Footage) -> Reading:
        series, about = [], self.about
        for face in prepare(footage, about.size, mode=about.crop, margin=about.margin, max_frames=about.frames):
            if about.layout == "NTCHW":
                if len(face) < about.frames:
                    raise Abstain(AbstentionReason.TOO_FEW_FRAMES, seen=len(face), needed=about.frames)
                middle = (float(face.times.mean()),)
                series.append(TrackScore(face.track, middle, tuple(self._scores(face.crops).tolist())))
            else:
                values = np.concatenate([self._scores(face.crops[i : i + 8]) for i in range(0, len(face), 8)])
                series.append(TrackScore(face.track, tuple(face.times.tolist()), tuple(values.tolist())))
        return reading(self, footage, series)
