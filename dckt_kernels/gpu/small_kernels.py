"""Triton kernels for many layers of few rows: three launches serve all of them together.

    1 partial_gram   a slab of columns: centre it, multiply out its share of each Gram matrix
    2 ladder         add up the shares, bandwidth, Gaussians, value, and M with dMMD^2/dZ = M Z
    3 gradient       M Z, times the incoming gradient

A table says which layer a program works on, and the rows of all layers are arguments, so that layers of any n, m and d
share a launch, and nothing has to be copied to the device for one. At N = 128 and d = 4096 one output tile would keep a
single multiprocessor busy; splitting over d is what fills the chip. Shares are added in a fixed order: the same bits
each time. Rows are taken relative to the first one and then centred, before anything is rounded to tf32 or bf16.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Columns of `shapes` [L, SHAPE], int64.
# n, m, stride_x, stride_y, d, columns of a slab, slabs, and where its Gram shares, mean, rows, M, exponents and
# gradient begin
SHAPE = tl.constexpr(13)
# Columns of `numbers` [L, NUMBERS], float32.
# sum v, sum_{i != j} v_i v_j, xx, xy, yy, and a fixed sigma as mantissa (0: the mean distance) and exponent of 2
NUMBERS = tl.constexpr(7)


@triton.jit
def of_layer(pointers, layer, LAYERS: tl.constexpr):
    """One of a tuple of pointers, which only a constant can index."""
    pointer = pointers[0]
    for other in tl.static_range(1, LAYERS):
        pointer = tl.where(layer == other, pointers[other], pointer)
    return pointer


@triton.jit
def load_rows(x, y, stride_x, stride_y, n, rows, total, columns, d, ALIGNED: tl.constexpr):
    """Rows [R] of Z = [X; Y] at columns [C], float32 [R, C]; 0 outside."""
    from_x = x + rows * stride_x
    from_y = y + (rows - n) * stride_y
    pointers = tl.where(rows < n, from_x, from_y)[:, None] + columns[None, :]
    if ALIGNED:
        pointers = tl.multiple_of(pointers, (16, 16))
    inside = (rows < total)[:, None] & (columns < d)[None, :]
    return tl.load(pointers, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def exponent_of(number):
    """e with 2^e <= number < 2^(e + 1), within [-126, 126]; number >= 0."""
    bits = number.to(tl.int32, bitcast=True) >> 23
    return tl.minimum(tl.maximum(bits - 127, -126), 126)


@triton.jit
def power_of_two(e):
    """2^e, 0 where float32 has none so small, its largest where it has none so large."""
    bits = tl.where(e < -126, 0, tl.minimum(e, 127) + 127)
    return (bits << 23).to(tl.float32, bitcast=True)


@triton.jit
def padded(total):
    """The length of a stored row of N numbers: the next multiple of 16, so that every row begins aligned."""
    return (total + 15) // 16 * 16


@triton.jit
def partial_gram(
    xs,  # x [n, d] of each layer
    ys,  # y [m, d] of each layer
    shapes,  # [L, SHAPE] int64
    numbers,  # [L, NUMBERS] float32
    programs,  # [P, 4] int32: layer, slab, row tile, column tile
    v,  # [sum N] float32: sample weights
    mean,  # out [sum d] float32: mean of the rows relative to the first
    gram,  # out, a layer [slabs, N, padded N] float32
    exponents,  # out [sum slabs] int32: a slab's columns are multiplied by 2^-exponent
    counters,  # out [L] int32, set to 0
    LAYERS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    ALIGNED: tl.constexpr,
    HALF: tl.constexpr,
    PRECISION: tl.constexpr,
    UPCAST: tl.constexpr,
):
    program = programs + tl.program_id(0) * 4
    layer, slab = tl.load(program), tl.load(program + 1)
    row_tile, column_tile = tl.load(program + 2), tl.load(program + 3)
    shape = shapes + layer * SHAPE
    n, m = tl.load(shape), tl.load(shape + 1)
    stride_x, stride_y, d = tl.load(shape + 2), tl.load(shape + 3), tl.load(shape + 4)
    if ALIGNED:
        d = tl.multiple_of(d, 16)
    width = tl.multiple_of(tl.load(shape + 5), BLOCK_D)
    x, y = of_layer(xs, layer, LAYERS), of_layer(ys, layer, LAYERS)
    weights = v + tl.load(shape + 9)
    weight_sum = tl.load(numbers + layer * NUMBERS)
    total = n + m

    tile = tl.arange(0, BLOCK_N)
    rows_i, rows_j = row_tile * BLOCK_N + tile, column_tile * BLOCK_N + tile
    begin, end = slab * width, tl.minimum((slab + 1) * width, d)
    centres = mean + tl.multiple_of(tl.load(shape + 8), 16)
    longest = tl.zeros((BLOCK_D,), dtype=tl.float32)
    for start in range(begin, end, BLOCK_D):
        columns = start + tl.arange(0, BLOCK_D)
        first = tl.load(x + columns, mask=columns < d, other=0.0).to(tl.float32)
        sums = tl.zeros((BLOCK_D,), dtype=tl.float32)
        for row in range(0, total, BLOCK_N):
            rows = row + tile
            u = tl.load(weights + rows, mask=rows < total, other=0.0)
            z = load_rows(x, y, stride_x, stride_y, n, rows, total, columns, d, ALIGNED) - first[None, :]
            z = tl.where((rows < total)[:, None], z, 0.0)
            sums += tl.sum(z * (u / weight_sum)[:, None], axis=0)  # not their sum, which may overflow
            longest = tl.maximum(longest, tl.max(tl.where((u > 0)[:, None], tl.abs(z), 0.0), axis=0))
        # Programs of other tiles of this slab store the same bits to the same place.
        tl.store(centres + columns, sums, mask=columns < d)
    exponent = exponent_of(tl.max(longest, axis=0))
    tl.store(exponents + tl.load(shape + 11) + slab, exponent)
    unit = power_of_two(-exponent)
    tl.debug_barrier()

    acc = tl.zeros((BLOCK_N, BLOCK_N), dtype=tl.float32)
    for start in range(begin, end, BLOCK_D):
        columns = start + tl.arange(0, BLOCK_D)
        first = tl.load(x + columns, mask=columns < d, other=0.0).to(tl.float32)
        shift = first[None, :]
        centre = tl.load(centres + columns, mask=columns < d, other=0.0)[None, :]
        a = load_rows(x, y, stride_x, stride_y, n, rows_i, total, columns, d, ALIGNED) - shift - centre
        b = load_rows(x, y, stride_x, stride_y, n, rows_j, total, columns, d, ALIGNED) - shift - centre
        a = tl.where((rows_i < total)[:, None], a, 0.0) * unit
        b = tl.where((rows_j < total)[:, None], b, 0.0) * unit
        if HALF:
            a, b = a.to(x.dtype.element_ty), b.to(x.dtype.element_ty)
            if UPCAST:  # the interpreter multiplies the raw bits of bfloat16
                a, b = a.to(tl.float32), b.to(tl.float32)
            acc = tl.dot(a, tl.trans(b), acc)
        else:
            acc = tl.dot(a, tl.trans(b), acc, input_precision=PRECISION)
    ld = padded(total)
    out = gram + tl.multiple_of(tl.load(shape + 7), 16) + slab.to(tl.int64) * total * ld
    inside = (rows_i < total)[:, None] & (rows_j < ld)[None, :]
    tl.store(out + rows_i[:, None] * ld + rows_j[None, :], acc, mask=inside)
    if (slab == 0) & (row_tile == 0) & (column_tile == 0):
        tl.store(counters + layer, 0)


@triton.jit
def rungs(exponent, powers, K: tl.constexpr, DOUBLING: tl.constexpr):
    """Sums over the K Gaussians t^p_k, t = exp(exponent): of t^p_k, and of p_k t^p_k. powers [K] ascend from 1."""
    t = tl.exp(exponent)
    kernel, slope = t, t
    power = 1.0
    for k in tl.static_range(1, K):
        if DOUBLING and k % 5 != 0:  # squaring doubles a relative error (dckt_kernels/ladder.py)
            t, power = t * t, power * 2
        else:
            power = tl.load(powers + k)
            t = tl.exp(exponent * power)
        kernel += t
        slope += power * t
    return kernel, slope


@triton.jit
def summed(gram, exponents, top, offsets, mask, slabs, stride):
    """The shares of some Gram entries, added over the slabs in order, for rows multiplied by 2^-top."""
    acc = tl.zeros(offsets.shape, dtype=tl.float32)
    for slab in range(0, slabs):
        share = power_of_two(2 * (tl.load(exponents + slab) - top))
        acc += share * tl.load(gram + slab * stride + offsets, mask=mask, other=0.0)
    return acc


@triton.jit
def ladder(
    shapes,  # [L, SHAPE] int64
    numbers,  # [L, NUMBERS] float32
    programs,  # [P, 3] int32: layer, row block, row blocks of the layer
    v,  # [sum N] float32: sample weights
    gram,  # a layer [slabs, N, padded N] float32
    exponents,  # [sum slabs] int32
    powers,  # [K] float32: sigma_max / sigma_k, ascending from 1
    value_parts,  # scratch [P] float64
    sigma_parts,  # scratch [P] float64
    counters,  # [L] int32, 0 at the start
    values,  # out [L] float32: squared MMD
    tops,  # out [L] int32: M belongs to rows multiplied by 2^-top
    sigma_slope,  # out [L] float32: what the bandwidth adds to M's diagonal, over v_i
    matrix,  # out, a layer [N, padded N] float32: M, and 0 beyond N
    widest,  # sigma_max / sigma
    K: tl.constexpr,
    DOUBLING: tl.constexpr,
    GRADIENT: tl.constexpr,
    BANDWIDTH_GRAD: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    pid = tl.program_id(0)
    layer, block = tl.load(programs + pid * 3), tl.load(programs + pid * 3 + 1)
    blocks = tl.load(programs + pid * 3 + 2)
    shape, number = shapes + layer * SHAPE, numbers + layer * NUMBERS
    n, m, slabs = tl.load(shape), tl.load(shape + 1), tl.load(shape + 6)
    total = n + m
    ld = padded(total)
    stride = total * ld
    grams = gram + tl.multiple_of(tl.load(shape + 7), 16)
    out = matrix + tl.multiple_of(tl.load(shape + 10), 16)
    weights = v + tl.load(shape + 9)
    weight_sum, pair_sum = tl.load(number), tl.load(number + 1)
    xx, xy, yy, fixed = tl.load(number + 2), tl.load(number + 3), tl.load(number + 4), tl.load(number + 5)

    scales = exponents + tl.load(shape + 11)
    top = tl.load(scales)
    for slab in range(1, slabs):
        top = tl.maximum(top, tl.load(scales + slab))
    if block == 0:
        tl.store(tops + layer, top)
    spread = 0.0
    for begin in range(0, total, BLOCK_C):
        columns = begin + tl.arange(0, BLOCK_C)
        inside = columns < total
        u = tl.load(weights + columns, mask=inside, other=0.0)
        spread += tl.sum(summed(grams, scales, top, columns * (ld + 1), inside, slabs, stride) * u, axis=0)
    # A sigma so wide that all kernels are 1 is a little narrower instead, and one so narrow that all are 0 wider.
    e = tl.load(number + 6).to(tl.int32) - 2 * top
    fixed_here = fixed * power_of_two(tl.minimum(tl.maximum(e, -100), 90))
    sigma = tl.where(fixed > 0, fixed_here, tl.where(pair_sum <= 0, 0.0, 2 * weight_sum * spread / pair_sum))
    collapsed = sigma <= 1.8807909613156e-37  # 16 times the least normal number: every distance is 0
    shrink = tl.where(collapsed, 0.0, 1.0 / (sigma * widest))

    rows = block * BLOCK_R + tl.arange(0, BLOCK_R)
    row_inside = rows < total
    row_norms = summed(grams, scales, top, rows * (ld + 1), row_inside, slabs, stride)
    row_weights = tl.load(weights + rows, mask=row_inside, other=0.0)
    value = tl.zeros((BLOCK_R,), dtype=tl.float64)
    slope_sums = tl.zeros((BLOCK_R,), dtype=tl.float32)
    through = tl.zeros((BLOCK_R,), dtype=tl.float64)
    for begin in range(0, total, BLOCK_C):
        columns = begin + tl.arange(0, BLOCK_C)
        inside = row_inside[:, None] & (columns < ld)[None, :]
        norms = summed(grams, scales, top, columns * (ld + 1), columns < total, slabs, stride)
        offsets = rows[:, None] * ld + columns[None, :]
        product = summed(grams, scales, top, offsets, inside, slabs, stride)
        distance = tl.maximum(row_norms[:, None] + norms[None, :] - 2 * product, 0.0)
        off_diagonal = rows[:, None] != columns[None, :]
        exponent = tl.where(off_diagonal, -distance * shrink, 0.0)
        kernel, slope = rungs(exponent, powers, K, DOUBLING)
        same_x = (rows < n)[:, None] & (columns < n)[None, :]
        same_y = (rows >= n)[:, None] & (columns >= n)[None, :]
        c = tl.where(same_x, xx, tl.where(same_y, yy, xy))
        u = tl.load(weights + columns, mask=columns < total, other=0.0)
        c = tl.where(off_diagonal, c * row_weights[:, None] * u[None, :], 0.0)  # weights are 0 outside
        # All c add up to 0 (unbiased: without the diagonal), so k - 1 serves as well as k; its diagonal is 0.
        value += tl.sum(c.to(tl.float64) * (kernel.to(tl.float64) - K), axis=1)
        if GRADIENT:
            a = slope * c * (4.0 * shrink / K)
            slope_sums += tl.sum(a, axis=1)
            tl.store(out + offsets, a, mask=inside & off_diagonal)
            if BANDWIDTH_GRAD:
                through += tl.sum(a.to(tl.float64) * exponent.to(tl.float64), axis=1)
    if GRADIENT:
        tl.store(out + rows * (ld + 1), -slope_sums, mask=row_inside)

    # The program that comes last adds up all parts, in their order.
    tl.store(value_parts + pid, tl.sum(tl.where(row_inside, value, 0.0), axis=0))
    tl.store(sigma_parts + pid, tl.sum(tl.where(row_inside, through, 0.0), axis=0))
    tl.debug_barrier()
    done = tl.atomic_add(counters + layer, 1, sem="acq_rel")
    if done == blocks - 1:
        tl.debug_barrier()
        parts = tl.arange(0, BLOCK_P)
        at = pid - block + parts
        mmd = tl.sum(tl.load(value_parts + at, mask=parts < blocks, other=0.0, volatile=True), axis=0)
        mmd *= 1.0 / K
        tl.store(values + layer, tl.where(collapsed, 0.0, mmd.to(tl.float32)))
        slope = tl.sum(tl.load(sigma_parts + at, mask=parts < blocks, other=0.0, volatile=True), axis=0)
        # Read anew: kept over the loops these would spill.
        weight_sum, pair_sum, fixed = tl.load(number), tl.load(number + 1), tl.load(number + 5)
        scale = tl.where((fixed > 0) | collapsed, 0.0, -widest * weight_sum / tl.maximum(pair_sum, 1e-37))
        tl.store(sigma_slope + layer, slope.to(tl.float32) * scale)


@triton.jit
def gradient(
    xs,  # x [n, d] of each layer
    ys,  # y [m, d] of each layer
    shapes,  # [L, SHAPE] int64
    programs,  # [P, 3] int32: layer, row tile, column tile
    v,  # [sum N] float32
    mean,  # [sum d] float32
    matrix,  # a layer [N, padded N] float32: M, and 0 beyond N
    sigma_slope,  # [L] float32
    tops,  # [L] int32
    incoming,  # [L] float32: gradient of the values
    grads,  # out, a layer [N, d]: the gradient by Z
    LAYERS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_K: tl.constexpr,
    ALIGNED: tl.constexpr,
    BANDWIDTH_GRAD: tl.constexpr,
    PRECISION: tl.constexpr,
):
    program = programs + tl.program_id(0) * 3
    layer, row_tile, column_tile = tl.load(program), tl.load(program + 1), tl.load(program + 2)
    shape = shapes + layer * SHAPE
    n, m = tl.load(shape), tl.load(shape + 1)
    stride_x, stride_y, d = tl.load(shape + 2), tl.load(shape + 3), tl.load(shape + 4)
    if ALIGNED:
        d = tl.multiple_of(d, 16)
    x, y = of_layer(xs, layer, LAYERS), of_layer(ys, layer, LAYERS)
    total = n + m
    ld = padded(total)
    m_rows = matrix + tl.multiple_of(tl.load(shape + 10), 16)

    rows = row_tile * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = column_tile * BLOCK_D + tl.arange(0, BLOCK_D)
    first = tl.load(x + columns, mask=columns < d, other=0.0).to(tl.float32)
    centre = tl.load(mean + tl.multiple_of(tl.load(shape + 8), 16) + columns, mask=columns < d, other=0.0)
    unit = power_of_two(-tl.load(tops + layer))
    acc = tl.zeros((BLOCK_M, BLOCK_D), dtype=tl.float32)
    for begin in range(0, total, BLOCK_K):
        inner = begin + tl.arange(0, BLOCK_K)
        inside = (rows < total)[:, None] & (inner < ld)[None, :]
        a = tl.load(m_rows + rows[:, None] * ld + inner[None, :], mask=inside, other=0.0)
        z = load_rows(x, y, stride_x, stride_y, n, inner, total, columns, d, ALIGNED) - first[None, :] - centre[None, :]
        z = tl.where((inner < total)[:, None], z, 0.0) * unit
        acc = tl.dot(a, z, acc, input_precision=PRECISION)
    if BANDWIDTH_GRAD:
        z = load_rows(x, y, stride_x, stride_y, n, rows, total, columns, d, ALIGNED) - first[None, :] - centre[None, :]
        u = tl.load(v + tl.load(shape + 9) + rows, mask=rows < total, other=0.0)
        acc += tl.load(sigma_slope + layer) * u[:, None] * (z * unit)
    acc *= tl.load(incoming + layer) * unit
    inside = (rows < total)[:, None] & (columns < d)[None, :]
    pointers = grads + tl.multiple_of(tl.load(shape + 12), 16) + rows[:, None] * d + columns[None, :]
    if ALIGNED:
        pointers = tl.multiple_of(pointers, (16, 16))
    tl.store(pointers, acc.to(grads.dtype.element_ty), mask=inside)
