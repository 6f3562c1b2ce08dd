"""Converts networks of torch for OpenVINO once, keeps them in the user's cache by the sha256 of their weights, and compiles them from there.

A later start needs no torch. Single precision throughout; where the cache cannot be written, a network is converted anew each time.
"""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

STREAMS = 8  # pictures worked on at once, at most: each has its own maps in memory


def cache_file(folder: str, sha256: str) -> Path:
    """Where a network of these weights is kept in the user's cache, for the OpenVINO at hand."""
    import openvino as ov

    from gioconda_core import config

    return config.core().cache / folder / f"{sha256[:16]}-{ov.__version__.split('-')[0]}.xml"


def compiled(file: Path, make: Callable[[], Any], shape: tuple[int, ...], *, one_a_core: bool = False) -> Any:
    """The network, compiled for this processor's cores.

    file : of :func:`cache_file`. make : the torch module, asked for only where nothing is kept. shape : of an input of it, float32.
    one_a_core : it is given inputs of this shape only, and each core works on one of its own: where there are several, that is quicker
    than all cores together on one, and takes less memory than all in one batch.
    """
    import openvino as ov

    from gioconda_core.workers.cpu import cores

    core = ov.Core()
    model = _read(core, file)
    if model is None:
        made = _convert(file, make(), shape)
        # From the file the first time too: what was just traced rounds otherwise in the last place.
        model = _read(core, file) or made
    how = {"INFERENCE_NUM_THREADS": cores(), "INFERENCE_PRECISION_HINT": "f32"}
    if one_a_core:
        model.reshape(list(shape))
        how["NUM_STREAMS"] = min(cores(), STREAMS)
    return core.compile_model(model, "CPU", how)


def _read(core: Any, file: Path) -> Any:
    """What is kept, or None: nothing, half a file, or another build's."""
    with contextlib.suppress(RuntimeError):
        return core.read_model(file) if file.is_file() and file.with_suffix(".bin").is_file() else None
    return None


def _convert(file: Path, module: Any, shape: tuple[int, ...]) -> Any:
    import openvino as ov
    import torch
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openvino traces by way of a deprecated call of torch's
        # Traced once: torch would run the network twice more, to see whether it says the same again.
        said = {"example_input": torch.zeros(*shape), "trace_kwargs": {"check_trace": False}}
        model = ov.convert_model(TorchScriptPythonDecoder(module.eval(), **said), example_input=said["example_input"])
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            ov.save_model(model, Path(folder) / file.name, compress_to_fp16=False)
            os.replace(Path(folder) / file.with_suffix(".bin").name, file.with_suffix(".bin"))
            os.replace(Path(folder) / file.name, file)
    return model
