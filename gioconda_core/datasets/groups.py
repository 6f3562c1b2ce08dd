"""Which samples belong together: what two samples may share, and near-duplicates by perceptual hash."""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from gioconda_core.types import Sample


def components(shared: Sequence[Iterable[Hashable]], pairs: Iterable[tuple[int, int]] = ()) -> list[int]:
    """The number of the first row that each row is connected with, directly or through others; its own where there is none.

    shared : for each row, what it may share with others; equal values connect their rows. pairs : rows connected besides.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: dict[Hashable, int] = {}
    joined = [(i, first.setdefault(key, i)) for i, keys in enumerate(shared) for key in keys]
    a, b = np.array([*joined, *pairs], dtype=np.intp).reshape(-1, 2).T
    rows = len(shared)
    _, number = connected_components(coo_array((np.ones(len(a), bool), (a, b)), shape=(rows, rows)), directed=False)
    names: dict[int, int] = {}
    return [names.setdefault(int(n), i) for i, n in enumerate(number)]


def axes(sample: Sample) -> list[tuple[str, str]]:
    """What a sample may share with others, as (axis, value); samples that share any of it belong to one split."""
    axes = [
        ("identity", sample.identity),
        ("identity", str(sample.extra.get("donor", ""))),  # the other person in a swap belongs to the same side
        ("source", sample.source),
        ("sha256", sample.sha256),
        ("essence", sample.essence),
    ]
    if sample.pair:
        axes.append(("sha256", sample.pair))
    return [(axis, value) for axis, value in axes if value]


def near_duplicates(hashes: Sequence[str], within: int = 3) -> list[tuple[int, int]]:
    """Pairs of rows whose hashes (hex, 64 bits, ``;``-joined for several frames) differ in at most ``within`` bits.

    Split each hash in ``within + 1`` bands: by the pigeonhole principle a pair that near agrees in one band, so only
    rows that share a band are compared.
    """
    owners: dict[int, list[int]] = defaultdict(list)
    for i, text in enumerate(hashes):
        for part in filter(None, text.split(";")):
            owners[int(part, 16)].append(i)
    # Equal hashes are chained, not paired each with each: ten thousand black clips are one chain, not fifty million pairs.
    pairs = {(min(a, b), max(a, b)) for same in owners.values() for a, b in itertools.pairwise(same) if a != b}
    value = np.fromiter(owners, dtype=np.uint64, count=len(owners))
    edges = np.linspace(0, 64, within + 2).astype(int)
    for low, high in itertools.pairwise(edges):
        key = (value >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(key, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            for n, i in enumerate(bucket[:-1]):
                others = bucket[n + 1 :]
                for j in others[np.bitwise_count(value[others] ^ value[i]) <= within]:
                    a, b = owners[int(value[i])][0], owners[int(value[j])][0]
                    if a != b:
                        pairs.add((min(a, b), max(a, b)))
    return sorted(pairs)
