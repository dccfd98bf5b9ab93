"""What images and texts have in common, whatever their classes: regularised canonical correlation analysis.

Pairs need no labels here, so that all pairs of both domains count. With standardised features x [d_i] and y [d_t] of
the pairs, covariances C_xx, C_yy, C_xy and a ridge r (Vinod, 1976),

    U S V^T = (C_xx + r I)^-1/2  C_xy  (C_yy + r I)^-1/2
    x -> diag(S) U^T (C_xx + r I)^-1/2 x        y -> diag(S) V^T (C_yy + r I)^-1/2 y

where only the largest singular values are kept: an axis counts as much as it correlates. All of it happens in the
principal axes of each medium, at most as many as there are pairs: in any other the pairs do not differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Correlation(nn.Module):
    """Linear maps of image features [n, d_i] and text features [m, d_t] into one space [., width].

    Args:
        image_dim, text_dim: widths of the features.
        width: of the space; at most the smaller of both.
    """

    image_mean: Tensor
    image_axes: Tensor
    text_mean: Tensor
    text_axes: Tensor

    def __init__(self, image_dim: int, text_dim: int, width: int) -> None:
        super().__init__()
        width = min(width, image_dim, text_dim)
        self.register_buffer("image_mean", torch.zeros(image_dim))
        self.register_buffer("image_axes", torch.zeros(image_dim, width))
        self.register_buffer("text_mean", torch.zeros(text_dim))
        self.register_buffer("text_axes", torch.zeros(text_dim, width))

    def fit(self, images: Tensor, texts: Tensor, ridge: float) -> Correlation:
        """Finds the maps in closed form, in float64, from the features of pairs [n, d_i] and [n, d_t].

        ridge: r > 0, in variances of a standardised feature. A feature that never changes has no weight.
        """
        width = self.image_axes.shape[1]
        x, image_scale, image_mean = _standardise(images)
        y, text_scale, text_mean = _standardise(texts)
        white_x, white_y = _whitening(x, ridge), _whitening(y, ridge)
        u, s, vh = torch.linalg.svd((x @ white_x).T @ (y @ white_y) / len(x), full_matrices=False)
        for axes, scale, white, turned in (
            (self.image_axes, image_scale, white_x, u[:, :width]),
            (self.text_axes, text_scale, white_y, vh[:width].T),
        ):
            axes.zero_()  # fewer pairs than axes leave some empty
            axes[:, : turned.shape[1]] = scale[:, None] * (white @ turned * s[:width])
        self.image_mean.copy_(image_mean)
        self.text_mean.copy_(text_mean)
        return self

    def images(self, rows: Tensor) -> Tensor:
        """Image features [n, d_i] to [n, width]."""
        return (rows - self.image_mean) @ self.image_axes

    def texts(self, rows: Tensor) -> Tensor:
        """Text features [m, d_t] to [m, width]."""
        return (rows - self.text_mean) @ self.text_axes


def _standardise(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of mean 0 and variance 1 in each column, float64; the factor and the mean of each column."""
    lowest, highest = rows.aminmax(dim=0)
    largest = torch.maximum(lowest.abs(), highest.abs()).double()
    rows = rows.to(torch.float64, copy=True)
    mean = rows.mean(dim=0)
    rows -= mean
    spread = torch.linalg.vector_norm(rows, dim=0) / len(rows) ** 0.5
    scale = torch.where(spread > 1e-12 * largest, 1 / spread, 0.0)
    rows *= scale
    return rows, scale, mean


def _whitening(rows: Tensor, ridge: float) -> Tensor:
    """Centred rows [n, d] to their principal components over the root of (variance + ridge): [d, at most min(n, d)]."""
    n, d = rows.shape
    values, vectors = torch.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
    kept = values > max(n, d) * torch.finfo(values.dtype).eps * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    axes = vectors if d <= n else rows.T @ (vectors / values.sqrt())
    white: Tensor = axes * (values / n + ridge).rsqrt()
    return white
