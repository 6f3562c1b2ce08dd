"""The words of Content Credentials that signing and reading share: assertion labels, source types, soft bindings."""

from __future__ import annotations

from dataclasses import dataclass

from gioconda_core.errors import UsageError

LABEL = "org.gioconda.label"


LABEL_SCHEMA = "gioconda.label/1"


AI_DISCLOSURE = "c2pa.ai-disclosure"


# What a model is stored as: the values that C2PA 2.4 lists for ``modelType`` (table 12).
MODEL_TYPES = (
    "c2pa.types.model",
    *(
        f"c2pa.types.model.{name}"
        for name in (
            "caffe",
            "caffe2",
            "catboost",
            "coreml",
            "flax",
            "huggingface.transformers",
            "jax",
            "keras",
            "lightgbm",
            "ml_net",
            "mxnet",
            "onnx",
            "openvino",
            "openvino.parameter",
            "openvino.topology",
            "paddle",
            "pytorch",
            "sklearn",
            "tensorflow",
            "tensorrt",
            "tflite",
            "torchscript",
            "xgboost",
        )
    ),
)


# How far a person had a hand in it (contentProfile.humanOversightLevel).
OVERSIGHT = ("fully_autonomous", "prompt_guided", "human_validated")


TRAINING_MINING = "cawg.training-mining"


SOFT_BINDING = "c2pa.soft-binding"


ACTIONS = ("c2pa.actions.v2", "c2pa.actions")


SPEC_VERSION = "2.4.0"


C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.x, A.5.1: the ``uuid`` box of a credential


XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP part 3, 1.2.7: the ``uuid`` box of ISO base media


_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


# IPTC's vocabulary and C2PA's own additions; anything else is unknown to policy.
SOURCE_TYPES = frozenset(
    _IPTC + name
    for name in (
        "digitalCapture",
        "computationalCapture",
        "negativeFilm",
        "positiveFilm",
        "print",
        "humanEdits",
        "minorHumanEdits",
        "compositeCapture",
        "composite",
        "algorithmicallyEnhanced",
        "dataDrivenMedia",
        "digitalArt",
        "digitalCreation",
        "softwareImage",
        "virtualRecording",
        "screenCapture",
        "multiFrameComputationalCapture",
        "compositeSynthetic",
        "compositeWithTrainedAlgorithmicMedia",
        "trainedAlgorithmicMedia",
        "algorithmicMedia",
    )
) | frozenset("http://c2pa.org/digitalsourcetype/" + name for name in ("empty", "trainedAlgorithmicData", "humanEdits"))


# Those with which a credential itself states that a trained model made, or helped to make, what is shown.
AI_SOURCE_TYPES = frozenset(
    {
        _IPTC + "trainedAlgorithmicMedia",
        _IPTC + "compositeWithTrainedAlgorithmicMedia",
        _IPTC + "compositeSynthetic",
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
    }
)


def source_type(name: str) -> str:
    """A digitalSourceType by its short name or URI; unknown ones are refused, because our own policy would refuse to read them."""
    uri = name if "://" in name else _IPTC + name
    if uri not in SOURCE_TYPES:
        raise UsageError("not a known digitalSourceType", where=name[:120], hint="for example trainedAlgorithmicMedia")
    return uri


@dataclass(frozen=True)
class SoftBinding:
    """A mark in the pixels by which a stripped credential can be found again. value : the payload, as text."""

    algorithm: str
    value: str
    description: str = ""
