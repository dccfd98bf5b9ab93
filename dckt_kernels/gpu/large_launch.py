"""A large layer: walked over in chunks of pairs, its gradient formed in the forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_kernels.bandwidth import centred
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.chips import Chip, Product
from dckt_kernels.gpu.small_launch import HALVES, Rest, interpreting
from dckt_kernels.gpu.tables import table
from dckt_kernels.gpu.weights import pooled
from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options
from dckt_kernels.scale import LONGEST, SHORTEST, to_unit

COLLAPSED = 16 * torch.finfo(torch.float32).tiny
ROWS, COLUMNS = 128, 64
"""Z is stored in multiples of these, of which every block size is a divisor; so are chunks of A."""


@dataclass(frozen=True)
class Walk:
    """How the pairs of a layer are walked over: what is launched and held, from the shape and the chip alone.

    Attributes:
        rows: of a chunk of A, at most.
        columns: of it.
        programs: that walk over the tiles of a chunk (without a gradient: of all pairs).
    """

    total: int
    d: int
    gradient: bool
    tile: configs.Launch
    product: configs.Launch
    rows: int
    columns: int
    programs: int

    @classmethod
    def of(cls, total: int, d: int, gradient: bool, product: Product, half: bool, chip: Chip) -> Walk:
        """total, d: of the rows as they are stored."""
        tile = configs.fitting(configs.pair_tiles(product, chip.architecture, gradient, half), chip.architecture)
        by_z = configs.fitting(configs.chunk_gradient(product, chip.architecture), chip.architecture)
        rows = columns = total
        if gradient and total * total > configs.CHUNK_CELLS:
            # As many rows as give each multiprocessor several programs of `chunk_gradient`, or more where columns end.
            strips = d // by_z.blocks["BLOCK_D"]
            filling = -(-2 * configs.WAVES * chip.multiprocessors // strips) * by_z.blocks["BLOCK_M"]
            rows = min(total, max(_up(filling, ROWS), configs.CHUNK_CELLS // total // ROWS * ROWS))
            columns = min(total, max(ROWS, configs.CHUNK_CELLS // rows // ROWS * ROWS))
        tiles = _tiles(rows, columns, tile, gradient)
        return cls(total, d, gradient, tile, by_z, rows, columns, min(tiles, configs.WAVES * chip.multiprocessors))

    def chunks(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(begin, end, left, right, tiles) of each chunk, those of the same rows one after the other."""
        for begin in range(0, self.total, self.rows):
            end = min(begin + self.rows, self.total)
            for left in range(0, self.total, self.columns):
                right = min(left + self.columns, self.total)
                yield begin, end, left, right, _tiles(end - begin, right - left, self.tile, self.gradient)

    def strips(self, rows: int) -> int:
        """Programs of `chunk_gradient` for a chunk of so many rows."""
        return rows // self.product.blocks["BLOCK_M"] * (self.d // self.product.blocks["BLOCK_D"])


def forward(
    x: Tensor, y: Tensor, rest: Rest, options: Options, product: Product, chip: Chip, gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """The value [] of x [n, d] and y [m, d], and where asked for its gradient by both [N, d], float32.

    Beside Z and its gradient, N d each, only a chunk of pairs is held. Nothing waits for the device.
    """
    from dckt_kernels.gpu import large_kernels

    sigma, weights_x, weights_y = rest
    ladder, (n, width), total = ladder_of(options), x.shape, len(x) + len(y)
    v, numbers = pooled(x, y, weights_x, weights_y, options.estimator == "unbiased")
    given = None if weights_x is None and weights_y is None else v
    rows, scale = to_unit(torch.cat([x, y]).float(), given)
    half = x.dtype in HALVES and chip.architecture.halves
    z = torch.zeros(_up(total, ROWS), _up(width, COLUMNS), dtype=x.dtype if half else torch.float32, device=x.device)
    z[:total, :width] = centred(rows, given)  # rounded after centring; norms below are those of the rounded rows
    del rows
    v = torch.cat([v, v.new_zeros(len(z) - total)])
    norms = z.float().square().sum(1)
    if sigma is not None:
        # A sigma so wide that all kernels are 1 is a little narrower instead, and one so narrow that all are 0 wider.
        wide = torch.full((), sigma, dtype=torch.float64, device=z.device) * scale.double().square()
        bandwidth = wide.clamp(SHORTEST, LONGEST).float()
    else:
        bandwidth = (v * norms).sum() * (2 * numbers[0] / numbers[1])
    collapsed = bandwidth <= COLLAPSED
    shrink = (1 / (bandwidth * ladder.widest)).masked_fill(collapsed, 0.0).reshape(1)
    powers = table(tuple(ladder.powers), torch.float32, z.device)

    walk = Walk.of(z.shape[0], z.shape[1], gradient, product, half, chip)
    parts = torch.zeros(walk.programs, walk.tile.blocks["BLOCK_M"], dtype=torch.float64, device=z.device)
    slopes = torch.empty(walk.rows * walk.columns if gradient else 1, dtype=torch.float32, device=z.device)
    grad = torch.empty(z.shape if gradient else (0, 0), dtype=torch.float32, device=z.device)
    for begin, end, left, right, tiles in walk.chunks():
        large_kernels.pair_tiles[(walk.programs,)](
            z,
            norms,
            v,
            shrink,
            powers,
            numbers,
            parts,
            slopes,
            n,
            walk.d,
            begin,
            end,
            left,
            right,
            walk.columns,
            tiles,
            K=len(ladder.powers),
            DOUBLING=ladder.doubling,
            GRADIENT=gradient,
            HALF=half,
            PRECISION=product,
            UPCAST=interpreting(),
            **walk.tile.blocks,
            **walk.tile.options(chip.nvidia),
        )
        if gradient:
            large_kernels.chunk_gradient[(walk.strips(end - begin),)](
                slopes,
                z,
                grad,
                walk.d,
                begin,
                end,
                left,
                right,
                walk.columns,
                PRECISION=product,
                **walk.product.blocks,
                **walk.product.options(chip.nvidia),
            )
    value = (parts.sum() / len(ladder.powers)).float().masked_fill(collapsed, 0.0)
    if not gradient:
        return value, None
    if options.bandwidth_grad and sigma is None:
        # MMD^2 is unchanged when Z grows by s and sigma by s^2, so dMMD^2/dsigma = -(Z . grad) / (2 sigma).
        slope = -(z.float() * grad).sum() / (2 * bandwidth) * (4 * numbers[0] / numbers[1])
        grad.add_((slope.masked_fill(collapsed, 0.0) * v)[:, None] * z.float())
    return value, grad.mul_(scale)[:total, :width]


def _up(size: int, block: int) -> int:
    return -(-size // block) * block


def _tiles(rows: int, columns: int, tile: configs.Launch, gradient: bool) -> int:
    """Tiles of a chunk; without a gradient those of all pairs, each pair of blocks once."""
    high, wide = -(-rows // tile.blocks["BLOCK_M"]), -(-columns // tile.blocks["BLOCK_N"])
    return high * (wide if gradient else wide // 2 + 1)
