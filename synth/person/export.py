"""Writes a personal model for other runtimes: ONNX, OpenVINO, and int8 where the picture survives it.

Every export is run once on real landmark images beside the torch network; what differs too much is refused, not shipped.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gioconda_core.errors import GiocondaError, UsageError
from gioconda_core.faces.align import FACE_SHAPE
from gioconda_core.files import atomic_path, refuse_overwrite
from synth.model.landmark_image import rasters_of
from synth.person.model import PersonalModel, Runtime, compile_openvino, openvino_graph

FORMATS = ("onnx", "openvino", "onnx-int8")
# Mean absolute difference of pixels (0–255) from the float32 torch network above which an export is refused.
TOLERANCE = {"onnx": 0.5, "openvino": 0.5, "onnx-int8": 4.0}


def _poses(size: int, number: int = 8) -> NDArray[np.float32]:
    """Landmarks to try an export on: an average face, nodding, turning and speaking."""
    rng = np.random.default_rng(0)
    base = (np.asarray(FACE_SHAPE, np.float32) + 0.4) / 1.8 * size
    poses = np.repeat(base[None], number, 0) + rng.normal(0, 0.02 * size, (number, 1, 2)).astype(np.float32)
    poses[:, 54:60, 1] += rng.uniform(0, 0.04 * size, (number, 1)).astype(np.float32)  # the lower lip drops
    return poses.astype(np.float32)


def picture_error(model: PersonalModel, run: Runtime) -> float:
    """Mean absolute pixel difference (0–255) of a runtime from float32 torch, over eight poses."""
    x = rasters_of(_poses(model.config.size), model.config.size)
    with torch.inference_mode():
        wanted = model.module(torch.from_numpy(x)).numpy()
    found = np.concatenate([run(x[i : i + 1]) for i in range(len(x))])
    return float(np.abs(found - wanted).mean() * 127.5)


def export(model: PersonalModel, path: str | os.PathLike[str], kind: str, *, force: bool = False) -> float:
    """Write a personal model for another runtime, after checking the picture; returns the difference found (0–255).

    Parameters
    ----------
    path : ``.onnx``, or ``.xml`` for OpenVINO (its ``.bin`` lies beside it).
    kind : one of ``FORMATS``; int8 is calibrated with an average face's poses.

    Raises
    ------
    GiocondaError
        The exported network's pictures differ from the original's by more than the format's tolerance.
    """
    path = Path(path)
    if kind not in FORMATS:
        raise UsageError(f"no format {kind!r}", where="--format", hint=f"one of {', '.join(FORMATS)}")
    wanted = ".xml" if kind == "openvino" else ".onnx"
    if path.suffix != wanted:
        raise UsageError(f"a file of this format ends in {wanted}", where=str(path))
    refuse_overwrite(path, force)
    if kind == "openvino":
        return _export_openvino(model, path)
    with atomic_path(path) as temporary:
        if kind == "onnx":
            _write_onnx(model, temporary)
        else:
            plain = temporary.with_suffix(".plain.onnx")
            try:
                _write_onnx(model, plain)
                size = model.config.size
                _quantise(plain, temporary, rasters_of(_poses(size, 32), size))
            finally:
                plain.unlink(missing_ok=True)
        error = picture_error(model, _run_onnx(temporary))
        _judge(kind, error, path)
    return error


def _judge(kind: str, error: float, path: Path) -> None:
    if not error <= TOLERANCE[kind]:
        raise GiocondaError(
            f"its pictures differ by {error:.2f} of 255 from the original's, more than {TOLERANCE[kind]:g}: not written",
            where=str(path),
            hint="export as onnx or openvino without int8" if kind.endswith("int8") else "please report this",
        )


def _write_onnx(model: PersonalModel, path: Path) -> None:
    size = model.config.size
    with warnings.catch_warnings():
        # The exporter that needs no further package is deprecated, and says of each norm that its channels are constant.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.module,
            (torch.zeros(2, 3, size, size),),
            str(path),
            input_names=["landmark_images"],
            output_names=["frames"],
            dynamic_axes={"landmark_images": {0: "n"}, "frames": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )


def _run_onnx(path: Path) -> Runtime:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"landmark_images": x})[0]


def _quantise(source: Path, target: Path, rasters: NDArray[np.float32]) -> None:
    """Static int8 of the convolutions (weights by channel), calibrated on landmark images."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.items = iter(rasters)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            item = next(self.items, None)
            return None if item is None else {"landmark_images": item[None]}

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=["Conv"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _export_openvino(model: PersonalModel, path: Path) -> float:
    import openvino as ov

    error = picture_error(model, compile_openvino(model, precision="f32"))
    _judge("openvino", error, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The weights go first: an .xml is only there once its .bin is whole.
    temporary = path.with_name(f".{path.stem}.part.xml")
    ov.save_model(openvino_graph(model), temporary, compress_to_fp16=True)
    os.replace(temporary.with_suffix(".bin"), path.with_suffix(".bin"))
    os.replace(temporary, path)
    return error
