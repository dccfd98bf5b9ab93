"""Which pictures show nearly the same: another size, another compression, another brightness of one photo.

Of each picture `look` keeps a thumbnail. `alike` finds the pairs of pictures whose thumbnails agree but for brightness
and contrast; `families` puts together what such pairs connect. A split that keeps a family on one side:

    looks = np.stack([look(open_image(path)) for path in paths])
    for family in families(alike(looks), len(paths)):
        ...  # numbers of paths

Not all pairs are compared. Pictures are sorted by a perceptual hash, the signs of the low frequencies of their cosine
transform (after Zauner, Implementation and benchmarking of perceptual image hash functions, 2010), and each is compared
with the next ones in that order; so it is done for every rotation of the hash by a band, since two pictures that are
alike agree in one band at least (Charikar, Similarity estimation techniques from rounding algorithms, 2002). So the
cost grows with the number of pictures and not with its square, whatever they show. No torch in here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from dckt_core.data.partition import Groups

SIDE = 12
"""Of a thumbnail, in pixels."""
SAME = 0.995
"""Correlation of two thumbnails from which on pictures are alike."""
PLAIN = 3.0
"""Standard deviation of a thumbnail, of 255, below which a picture shows too little to be compared."""

FREQUENCIES = 9
"""Of the cosine transform in each direction; all but the mean give a bit a channel: 240."""
FAINT = 16.0
"""Amplitude below which a frequency counts as not there: noise has a sign, too."""
BAND = 2
"""Bytes of the hash by which it is rotated at a time."""
WINDOW = 32
"""So many of the next ones in order a picture is compared with."""
NEAR = 36
"""Bits, of 240, in which hashes may differ where thumbnails are worth a look."""
BLOCK = 1 << 16
"""Pairs of thumbnails that are compared at once."""

Array = np.ndarray[Any, Any]


def look(image: Image.Image) -> Array:
    """A picture in RGB as a thumbnail, uint8 [12, 12, 3]: each pixel the mean of what it stands for."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.uint8)


def alike(looks: Array) -> Array:
    """The pairs of pictures that are nearly the same.

    A copy of another size, compression, brightness or contrast is found, one that is mirrored or cropped by more than a
    few hundredths is not. Pictures that are plain, one grey area, are alike to none.

    Args:
        looks: uint8 [n, 12, 12, 3], as `look` gives them.

    Returns:
        int64 [m, 2], the numbers of two pictures, the smaller one first, in order.
    """
    shown = np.flatnonzero(_spread(looks) >= PLAIN)
    hashes = _hashes(looks[shown])
    found = [_near(hashes, start) for start in range(0, hashes.shape[1], BAND)]
    codes = np.unique(np.concatenate(found))
    pairs = shown[np.stack(np.divmod(codes, max(len(hashes), 1)), axis=1)]
    parts = [part[_correlation(looks, part) >= SAME] for part in np.split(pairs, range(BLOCK, len(pairs), BLOCK))]
    return np.concatenate(parts)


def families(pairs: Array, count: int) -> list[list[int]]:
    """Groups of pictures out of `count`, each connected by pairs, int64 [m, 2]; in the order of their first ones."""
    groups = Groups(count)
    for pair in pairs.tolist():
        groups.join(pair)
    found: dict[int, list[int]] = {}
    for number in np.unique(pairs).tolist():
        found.setdefault(groups.of(number), []).append(number)
    return [found[first] for first in sorted(found)]


def _spread(looks: Array) -> Array:
    """Standard deviation within each channel of n thumbnails, the largest one's: [n]."""
    channels = looks.reshape(len(looks), SIDE**2, 3).astype(np.float32)
    spread: Array = channels.std(axis=1).max(axis=1)
    return spread


def _hashes(looks: Array) -> Array:
    """uint8 [n, 30]: for each frequency of each channel whether it is there and above the channel's median."""
    steps = np.pi * (2 * np.arange(SIDE) + 1) / (2 * SIDE)
    basis = np.cos(np.arange(FREQUENCIES)[:, None] * steps).astype(np.float32)
    basis *= np.sqrt(2 / SIDE) * 32 / SIDE  # amplitudes as of 32 x 32 pixels, for which FAINT was found
    packed = [np.empty((0, 3 * (FREQUENCIES**2 - 1) // 8), dtype=np.uint8)]
    for start in range(0, len(looks), BLOCK):
        pixels = looks[start : start + BLOCK].astype(np.float32).transpose(0, 3, 1, 2)
        waves = (basis @ pixels @ basis.T).reshape(len(pixels), 3, -1)[:, :, 1:]
        bits = waves > np.maximum(np.median(waves, axis=2, keepdims=True), FAINT)
        packed.append(np.packbits(bits.reshape(len(pixels), -1), axis=1))
    return np.concatenate(packed)


def _near(hashes: Array, start: int) -> Array:
    """Pairs whose hashes are near in the order of the hash that is read from byte `start` on: int64 [m], the smaller
    number times n and the larger one.
    """
    turned = np.ascontiguousarray(np.roll(hashes, -start, axis=1))
    order = np.argsort(turned.view(f"S{turned.shape[1]}").ravel() if len(turned) else [], kind="stable")
    words = np.zeros((len(turned), -(-turned.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : turned.shape[1]] = turned[order]
    words = words.view(np.uint64)
    found = [np.empty(0, dtype=np.int64)]
    for step in range(1, min(WINDOW, len(order) - 1) + 1):
        places = np.flatnonzero(_bits(words[:-step] ^ words[step:]) <= NEAR)
        one, other = order[places], order[places + step]
        found.append(np.minimum(one, other) * len(order) + np.maximum(one, other))
    return np.concatenate(found)


def _bits(words: Array) -> Array:
    """How many bits of uint64 [n, k] are set in each row, [n]; NumPy 1 has no function for it."""
    words = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    words = (words & np.uint64(0x3333333333333333)) + ((words >> np.uint64(2)) & np.uint64(0x3333333333333333))
    words = (words + (words >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts: Array = ((words * np.uint64(0x0101010101010101)) >> np.uint64(56)).sum(axis=1)
    return counts


def _correlation(looks: Array, pairs: Array) -> Array:
    """Of the thumbnails of m pairs: [m], in [-1, 1]."""
    one, other = (looks[pairs[:, side]].reshape(len(pairs), 3 * SIDE**2).astype(np.float32) for side in (0, 1))
    one -= one.mean(axis=1, keepdims=True)
    other -= other.mean(axis=1, keepdims=True)
    both, first, second = (np.einsum("ij,ij->i", *two) for two in ((one, other), (one, one), (other, other)))
    correlation: Array = both / np.sqrt(first * second)
    return correlation
