"""Any ONNX network over faces, described by a small TOML card beside it: ``onnx:model.onnx`` reads ``model.toml``.

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

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect.base import Abstain, Card, abstaining, reading
from detect.face_crops import prepare
from detect.features.model import remember
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.files import read_toml, sha256_of
from gioconda_core.reasons import AbstentionReason
from gioconda_core.types import Footage, Reading, TrackScore

_KNOWN = {
    "id", "version", "summary", "trained_on", "licence", "limits", "size", "crop", "layout", "mean", "std", "scale", "output", "fake",
    "frames", "sha256", "margin", "bgr",
}  # fmt: skip


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
        card = read_toml(described)
        unknown = set(card) - _KNOWN
        if unknown:
            raise UsageError(f"unknown keys {', '.join(sorted(unknown))}", where=str(described))
        self.weights_sha256: str | None = sha256_of(path)
        if card.get("sha256", self.weights_sha256) != self.weights_sha256:
            raise WeightsError("is not the file its card describes", where=str(path))
        self.id, self.version = str(card.get("id", path.stem)), str(card.get("version", "0"))
        self.size, self.layout = int(card.get("size", 224)), str(card.get("layout", "NCHW"))
        self.crop, self.margin = str(card.get("crop", "aligned")), float(card.get("margin", 1.3))
        self.output, self.fake = str(card.get("output", "logit")), int(card.get("fake", 1))
        self.frames, self.bgr = int(card.get("frames", 32)), bool(card.get("bgr", False))
        if self.layout not in ("NCHW", "NHWC", "NTCHW") or self.output not in ("logit", "probability", "softmax"):
            raise UsageError(
                "layout is NCHW, NHWC or NTCHW; output is logit, probability or softmax", where=str(described)
            )
        self.mean, self.std = (
            np.asarray(card.get(key, [value] * 3), np.float32) for key, value in (("mean", 0.0), ("std", 1.0))
        )
        self.scale = float(card.get("scale", 255.0))
        self.card = Card(
            summary=str(card.get("summary", path.name)),
            trained_on=str(card.get("trained_on", "unknown")),
            licence=str(card.get("licence", "unknown")),
            limits=tuple(card.get("limits", ())),
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        self._session = onnxruntime.InferenceSession(str(path), options, [*wanted, "CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        remember(self.weights_sha256, path.parent)

    def _scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        x = (crops.astype(np.float32) / self.scale - self.mean) / self.std
        x = x[..., ::-1] if self.bgr else x
        if self.layout == "NHWC":
            batch = x
        else:
            batch = x.transpose(0, 3, 1, 2)
            batch = batch[None] if self.layout == "NTCHW" else batch
        y = np.asarray(self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0], np.float64)
        y = y.reshape(len(batch), -1)
        if self.output == "softmax" and y.shape[1] > 1:
            others = np.delete(y, self.fake, axis=1)
            return np.asarray(y[:, self.fake] - np.logaddexp.reduce(others, axis=1))
        value = y[:, self.fake if y.shape[1] > 1 else 0]
        if self.output == "probability":
            value = np.clip(value, 1e-7, 1 - 1e-7)
            return np.asarray(np.log(value / (1 - value)))
        return np.asarray(value)

    @abstaining
    def read(self, footage: Footage) -> Reading:
        series = []
        for face in prepare(footage, self.size, mode=self.crop, margin=self.margin, max_frames=self.frames):
            if self.layout == "NTCHW":
                if len(face) < self.frames:
                    raise Abstain(AbstentionReason.TOO_FEW_FRAMES, seen=len(face), needed=self.frames)
                middle = (float(face.times.mean()),)
                series.append(TrackScore(face.track, middle, tuple(self._scores(face.crops).tolist())))
            else:
                values = np.concatenate([self._scores(face.crops[i : i + 8]) for i in range(0, len(face), 8)])
                series.append(TrackScore(face.track, tuple(face.times.tolist()), tuple(values.tolist())))
        return reading(self, footage, series)
