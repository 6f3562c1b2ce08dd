"""Hand files to the SDK as file descriptors, so that copying a video does not call back into Python every 8 kB.

The SDK reads and writes through four C callbacks, and its Python wrapper fills them with Python functions: 15,000 calls under
the interpreter's lock for a 57 MB clip. The C library's own ``read``, ``write`` and ``lseek`` have the very signatures the
callbacks want, with the descriptor where the callbacks' context goes. See docs/decisions/one-pass-signing.md.
"""

import contextlib
import ctypes
import functools
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import c2pa


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


def declared(name: str, result: Any, *arguments: Any) -> Any:
    """A C function of the SDK that its Python wrapper does not offer yet (it is pinned to this version)."""
    from c2pa.c2pa import _lib

    # An own copy of the symbol: the wrapper's prototypes are left alone.
    return ctypes.CFUNCTYPE(result, *arguments)(ctypes.cast(getattr(_lib, name), ctypes.c_void_p).value or 0)


class _Descriptor:
    """What the SDK's calls need of a stream: its native half, and a way to let go of it."""

    def __init__(self, descriptor: int) -> None:
        from c2pa import c2pa as sdk

        callbacks = _callbacks()
        assert callbacks is not None
        context = ctypes.cast(ctypes.c_void_p(descriptor), ctypes.POINTER(sdk.StreamContext))
        self._stream = sdk._lib.c2pa_create_stream(context, *callbacks)
        if not self._stream:
            raise OSError("no stream could be made of a file")

    def close(self) -> None:
        """Release the native half; the file stays open."""
        from c2pa import c2pa as sdk

        if self._stream:
            sdk._lib.c2pa_release_stream(self._stream)
            self._stream = None


def possible() -> bool:
    """Whether the SDK can be given descriptors on this system."""
    return _callbacks() is not None


def descriptor(file: IO[bytes]) -> contextlib.closing[_Descriptor]:
    """An open, unbuffered file as a stream of the SDK's, for a ``with``."""
    return contextlib.closing(_Descriptor(file.fileno()))


@functools.cache
def _reader() -> "type[c2pa.Reader]":
    from c2pa import c2pa as sdk

    class Reader(sdk.Reader):  # type: ignore[misc, unused-ignore]
        """The SDK's reader, over a descriptor."""

        def _init_from_context(self, context: Any, kind: Any, stream: Any, manifest_data: bytes | None = None) -> None:
            name = sdk._format_ffi_arg(self._resolve_format_bytes(kind, stream))
            self._own_stream = _Descriptor(stream.fileno())
            try:
                with sdk._context_guard(context):
                    self._create_and_activate(
                        lambda: sdk._lib.c2pa_reader_from_context(context.execution_context), "no reader: {}"
                    )
                native = self._own_stream._stream
                if manifest_data is None:
                    self._consume_and_swap(
                        lambda handle: sdk._lib.c2pa_reader_with_stream(handle, name, native), "not read: {}"
                    )
                else:
                    size = len(manifest_data)
                    store = (ctypes.c_ubyte * size).from_buffer_copy(manifest_data)
                    self._consume_and_swap(
                        lambda handle: sdk._lib.c2pa_reader_with_manifest_data_and_stream(
                            handle, name, native, store, size
                        ),
                        "not read: {}",
                    )
            except Exception:
                self._close_streams()
                raise

    return Reader


def reader(kind: str, file: IO[bytes], context: "c2pa.Context", manifest: bytes | None = None) -> "c2pa.Reader | None":
    """A reader of an open, unbuffered file, from its beginning; None where it has no manifest and none is given."""
    import c2pa

    file.seek(0)
    made = _reader() if possible() else c2pa.Reader
    if manifest is not None:
        return made(kind, file, manifest_data=manifest, context=context)
    return made.try_create(kind, file, context=context)


def sign(builder: "c2pa.Builder", signer: "c2pa.Signer", kind: str, source: IO[bytes], target: IO[bytes]) -> bytes:
    """Sign from one open file into another (both unbuffered); the manifest's bytes."""
    if not possible():
        return bytes(builder.sign(signer, kind, source, target))
    with descriptor(source) as reading, descriptor(target) as writing:
        return bytes(builder._sign_internal(kind, reading, writing, signer=signer))
