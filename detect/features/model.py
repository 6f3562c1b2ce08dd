"""Fits support vectors over feature vectors with scikit-learn, stores them as arrays and JSON and evaluates them by a few lines of numpy: nothing is
ever unpickled.

A shipped detector is a folder: ``model.safetensors``, ``card.json``, ``calibration.json``, ``golden.json``.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.base import Card
from detect.registry import WEIGHTS
from gioconda_core.errors import WeightsError
from gioconda_core.files import atomic_path, sha256_of

Array = NDArray[Any]
# standard deviations a feature may lie from the training set's middle: what is stranger says no more than that
CLIP = 6.0
KIND = "rbf"  # as files name these models


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model. arrays : what it computes with; facts : plain JSON."""

    arrays: dict[str, Array]
    facts: dict[str, Any]

    def standard(self, x: Array) -> Array:
        """(N, F) features as the model sees them: centred, scaled, clipped; a missing value sits in the middle."""
        if x.shape[1] != len(self.arrays["mean"]):
            raise WeightsError(f"made for {len(self.arrays['mean'])} features, given {x.shape[1]}")
        z = (np.asarray(x, np.float64) - self.arrays["mean"]) / self.arrays["scale"]
        return np.clip(np.where(np.isfinite(z), z, 0.0), -CLIP, CLIP)

    def score(self, x: Array) -> Array:
        """Features (N, F) → scores (N,), higher = more like the fakes trained on; once ``standardised``, 0 is the mean and 1 the
        spread of real clips the model had not seen."""
        a = self.arrays
        kernel = gaussian(self.standard(x), a["vectors"].astype(np.float64), self.facts["blocks"])
        raw = kernel @ a["weights"] + a["bias"][0]
        return np.asarray((raw - self.facts.get("centre", 0.0)) / self.facts.get("spread", 1.0))

    def standardised(self, centre: float, spread: float) -> "Model":
        """This model with its scores less ``centre``, in units of ``spread``: mean and deviation of real clips it was not fitted on."""
        return replace(self, facts={**self.facts, "centre": centre, "spread": spread})

    def save(self, folder: Path) -> str:
        """Write ``model.safetensors`` and return its sha256."""
        from safetensors.numpy import save_file

        # One entry: several are written in an order that changes from run to run, and the hash with it.
        meta = {"facts": json.dumps({**self.facts, "kind": KIND}, sort_keys=True)}
        with atomic_path(folder / "model.safetensors") as path:
            save_file({key: np.ascontiguousarray(value) for key, value in self.arrays.items()}, path, metadata=meta)
        return sha256_of(folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Read what ``save`` wrote."""
        from safetensors import safe_open

        path = folder / "model.safetensors"
        if not path.is_file():
            raise WeightsError("no trained weights here", where=str(folder), hint="gioconda detect train makes them")
        with safe_open(path, framework="numpy") as file:
            meta = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        facts = json.loads(meta.get("facts", "{}"))
        if facts.pop("kind", None) != KIND or "mean" not in arrays:
            raise WeightsError("is not one of our models", where=str(path))
        return cls(arrays, facts)


def unfitted(x: Array) -> Model:
    """A model that is not fitted yet, and centres and scales as one fitted on these features (N, F) will."""
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    scale = np.nan_to_num(np.nanstd(x, 0))
    return Model({"mean": np.nan_to_num(np.nanmedian(x, 0)), "scale": np.where(scale > 1e-6, scale, 1.0)}, {})


def gaussian(a: Array, b: Array, blocks: int = 1) -> Array:
    """Kernel of rows (N, F) and (M, F) → (N, M): the mean over equal blocks of features of a Gaussian one whose width is that of the block.

    What agrees in one block may differ in another: a sum of kernels is an "and" of fewer things than one kernel over all."""
    kernel, width = np.zeros((len(a), len(b))), a.shape[1] // blocks
    for k in range(blocks):
        x, y = a[:, k * width : (k + 1) * width], b[:, k * width : (k + 1) * width]
        distance = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
        kernel += np.exp(-np.maximum(distance, 0) / width) / blocks
    return kernel


def fit(x: Array, y: Array, weight: Array | None = None, seed: int = 0, *, C: float = 1.0, blocks: int = 1) -> Model:
    """Fit a model on features (N, F), labels (N,) 1 = fake, sample weights (N,). C : cost of an error. blocks : of :func:`gaussian`."""
    from sklearn.svm import SVC

    scaler = unfitted(x)
    z = scaler.standard(x)
    # The kernel by one matrix product: libsvm's own is many times slower at a thousand features.
    svm = SVC(C=C, kernel="precomputed").fit(gaussian(z, z, blocks), y, weight)
    fitted = {"vectors": z[svm.support_].astype(np.float16), "weights": svm.dual_coef_[0], "bias": svm.intercept_}
    facts = {"n": len(y), "fakes": int(np.sum(y)), "seed": seed, "C": C, "blocks": blocks}
    return Model(scaler.arrays | fitted, facts)


_HOMES: dict[str, Path] = {}  # sha256 of weights in use → the folder they came from, with its calibration


def remember(weights: str | None, folder: Path) -> None:
    """Note where a detector's weights lie, so that a reading of it can be judged by the calibration beside them."""
    if weights:
        _HOMES[weights] = folder


def home_of(weights: str | None) -> Path | None:
    """The folder of weights that were loaded in this process; None for a stranger's."""
    return _HOMES.get(weights or "")


class Shipped:
    """What the feature detectors share: weights and card from the package, or from a folder the user trained."""

    id: str
    version: str

    def __init__(self, target: str | Path | None = None) -> None:
        folder = Path(target) if target else WEIGHTS / self.id
        self.folder = folder
        self.model = Model.load(folder)
        self.weights_sha256: str | None = sha256_of(folder / "model.safetensors")
        card = folder / "card.json"
        if not card.is_file():
            raise WeightsError("has weights but no card", where=str(folder), hint="every detector says what it is")
        self.card = Card.read(card)
        pinned = self.card.extra.get("weights_sha256")
        if pinned and pinned != self.weights_sha256:
            raise WeightsError(
                "the weights are not the ones the card describes", where=str(folder), hint="reinstall, or train again"
            )
        remember(self.weights_sha256, folder)
