"""Chooses the device that networks run on: the processor or a GPU, as asked for, or whichever is there."""

from gioconda_core import config
from gioconda_core.errors import UsageError


def device(name: str = "auto") -> str:
    """The name of the device as torch knows it: ``cpu``, ``cuda``, ``cuda:1``…

    name : ``auto`` = the configured one (``--device``, ``GIOCONDA_DEVICE``); if that too is ``auto``, CUDA where there is a GPU.

    Raises
    ------
    UsageError
        A GPU that is not here.
    """
    import torch

    if name == "auto":
        name = config.core().device
    here = torch.cuda.device_count()
    if name == "auto":
        return "cuda" if here else "cpu"
    if name.startswith("cuda") and int(name.partition(":")[2] or 0) >= here:
        raise UsageError(f"no {name} here: {here} CUDA devices", where="--device", hint="auto or cpu")
    return name
