"""Protect a mark's 64 bits against errors: CRC-24, a rate-1/3 convolutional code and a soft Viterbi decoder.

Soft decisions matter here: a compressed frame still says how sure each bit is, and a hard-decision code would throw that
away. The CRC bounds false alarms: a random word passes with probability 2⁻²⁴ (6·10⁻⁸).
"""

import numpy as np
from numpy.typing import NDArray

PAYLOAD_BITS = 64
CRC_BITS = 24
CRC_POLYNOMIAL = 0x864CFB  # CRC-24 of RFC 4880, §6.1
MEMORY = 6  # constraint length 7
GENERATORS = (0o133, 0o171, 0o165)  # the rate-1/3 code of LTE (3GPP TS 36.212, §5.1.3.1)
CODED_BITS = len(GENERATORS) * (PAYLOAD_BITS + CRC_BITS + MEMORY)

_STATES = 1 << MEMORY


def _crc(bits: NDArray[np.uint8]) -> int:
    value = 0xB704CE
    for bit in bits:
        value ^= int(bit) << 23
        value = (value << 1) ^ (CRC_POLYNOMIAL if value & 0x800000 else 0)
        value &= 0xFFFFFF
    return value


def _bits(value: int, n: int) -> NDArray[np.uint8]:
    return np.array([value >> (n - 1 - i) & 1 for i in range(n)], dtype=np.uint8)


def _outputs() -> NDArray[np.float64]:
    """±1 outputs of each (state, input bit): (64, 2, 3)."""
    table = np.empty((_STATES, 2, len(GENERATORS)))
    for state in range(_STATES):
        for bit in (0, 1):
            window = bit << MEMORY | state
            table[state, bit] = [1 - 2 * ((window & g).bit_count() & 1) for g in GENERATORS]
    return table


_TABLE = _outputs()
# Every state is reached from two others; for state s the input bit was its top bit and the lost bit was 0 or 1.
_NEXT = np.arange(_STATES)
_INPUT = _NEXT >> (MEMORY - 1)
_FROM = np.stack([(_NEXT << 1 & (_STATES - 1)) | lost for lost in (0, 1)], axis=1)  # (64, 2)


def encode(payload: int) -> NDArray[np.int8]:
    """The coded word of a payload in [0, 2⁶⁴): (CODED_BITS,) of ±1."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError("a payload has 64 bits")
    data = _bits(payload, PAYLOAD_BITS)
    word = np.concatenate([data, _bits(_crc(data), CRC_BITS), np.zeros(MEMORY, np.uint8)])
    state, out = 0, []
    for bit in word:
        out.append(_TABLE[state, bit])
        state = int(bit) << (MEMORY - 1) | state >> 1
    return np.concatenate(out).astype(np.int8)


def decode(soft: NDArray[np.float64]) -> tuple[int | None, float]:
    """The most likely payload of soft values (CODED_BITS,), positive where +1 was sent; None where its CRC does not hold.

    Also returns the share of hard decisions that disagree with the decoded word: about 0.5 on an unmarked frame.
    """
    steps = soft.reshape(-1, len(GENERATORS))
    metric = np.full(_STATES, -np.inf)
    metric[0] = 0.0
    came = np.empty((len(steps), _STATES), dtype=np.uint8)
    for t, received in enumerate(steps):
        gain = _TABLE @ received  # (64, 2): correlation of each branch with what was received
        candidates = metric[_FROM] + gain[_FROM, _INPUT[:, None]]  # (64, 2)
        came[t] = candidates.argmax(1)
        metric = candidates.max(1)
    state, word = 0, np.empty(len(steps), np.uint8)  # the tail brings the code back to state 0
    for t in range(len(steps) - 1, -1, -1):
        word[t] = _INPUT[state]
        state = int(_FROM[state, came[t, state]])
    data, crc = word[:PAYLOAD_BITS], word[PAYLOAD_BITS : PAYLOAD_BITS + CRC_BITS]
    payload = int("".join(map(str, data)), 2)
    errors = float(np.mean((soft > 0) != (encode(payload) > 0)))
    return (payload if int("".join(map(str, crc)), 2) == _crc(data) else None), errors
