"""Run as a program: read every file named, in a process the kernel kills at its first socket.

Python-level patches cannot see the SDK's own connections; a seccomp filter can. Prints one state a line.
"""

import ctypes
import platform
import struct
import sys

SOCKET = {"x86_64": 41, "aarch64": 198}


def forbid_sockets():
    """No socket(2) from here on: the process is killed (SIGSYS)."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = SOCKET[platform.machine()]
    code = [
        (0x20, 0, 0, 0),  # load the call's number
        (0x15, 0, 1, number),  # socket?
        (0x06, 0, 0, 0x80000000),  # kill the process
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    program = b"".join(struct.pack("HBBI", *step) for step in code)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
    assert libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) == 0  # seccomp, filter


def main(mode, *files):
    from provenance.reading.read import read
    from provenance.trust.lists import Trust

    forbid_sockets()
    if mode == "careless":  # what the SDK does by default: the control that shows the filter bites
        import c2pa

        for file in files:
            with open(file, "rb") as stream:
                c2pa.Reader.try_create("image/jpeg", stream)
        return
    for file in files:
        found = read(file, trust=Trust())
        print(found.state, "|", found.reason, "|", found.codes[0].where if found.reason else "", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
