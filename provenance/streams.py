"""Files handed to the SDK as file descriptors, so that copying a video does not call back into Python every 8 kB.

The SDK reads and writes through four C callbacks, and its Python wrapper fills them with Python functions: 15,000 calls under
the interpreter's lock for a 57 MB clip. The C library's own ``read``, ``write`` and ``lseek`` have the very signatures the
callbacks want, with the descriptor where the callbacks' context goes. See docs/decisions/descriptor-streams.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import c2pa

__all__ = ["sign"]


@functools.cache
def _callbacks() -> tuple[Any, ...] | None:
    """(read, seek, write, flush) in C; None where a descriptor cannot be used like this."""
    if sys.platform not in ("linux", "darwin") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    from c2pa import c2pa as sdk

    libc = ctypes.CDLL(None)

    def address(function: Any) -> Any:
        return ctypes.cast(function, ctypes.c_void_p).value

    return (
        sdk.ReadCallback(address(libc.read)),
        sdk.SeekCallback(address(getattr(libc, "lseek64", None) or libc.lseek)),
        sdk.WriteCallback(address(libc.write)),
        sdk.FlushCallback(lambda context: 0),  # nothing is buffered above the kernel
    )


class _Descriptor:
    """What the SDK's signing call needs of a stream: its native half."""

    def __init__(self, descriptor: int) -> None:
        from c2pa import c2pa as sdk

        callbacks = _callbacks()
        assert callbacks is not None
        context = ctypes.cast(ctypes.c_void_p(descriptor), ctypes.POINTER(sdk.StreamContext))
        self._stream = sdk._lib.c2pa_create_stream(context, *callbacks)
        if not self._stream:
            raise OSError("no stream could be made of a file")


@contextlib.contextmanager
def _descriptor(file: IO[bytes]) -> Iterator[Any]:
    from c2pa import c2pa as sdk

    stream = _Descriptor(file.fileno())
    try:
        yield stream
    finally:
        sdk._lib.c2pa_release_stream(stream._stream)


def sign(builder: c2pa.Builder, signer: c2pa.Signer, kind: str, source: IO[bytes], target: IO[bytes]) -> bytes:
    """Sign from one open file into another (both unbuffered); the manifest's bytes."""
    if _callbacks() is None:
        return bytes(builder.sign(signer, kind, source, target))
    with _descriptor(source) as reading, _descriptor(target) as writing:
        return bytes(builder._sign_internal(kind, reading, writing, signer=signer))
