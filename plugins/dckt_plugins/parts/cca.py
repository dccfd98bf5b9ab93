"""Canonical correlation analysis of image and text features, regularised, with weights of the pairs.

With standardised features x [d_i] and y [d_t] of pairs, weighted covariances C_xx, C_yy, C_xy and a ridge r (Vinod,
1976),

    U S V^T = (C_xx + r I)^-1/2  C_xy  (C_yy + r I)^-1/2
    x -> diag(S) U^T (C_xx + r I)^-1/2 x        y -> diag(S) V^T (C_yy + r I)^-1/2 y

where only the largest singular values are kept: an axis counts as much as it correlates (Rasiwasia et al., 2010,
compare images and texts that way). All of it happens in the principal axes of each medium, at most as many as there are
pairs: in any other the pairs do not differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import MEDIA, Formula, Medium, Value

TINY = 1e-12
"""Of a feature's largest value: one that varies less never changes, and has no weight."""


@dataclass(frozen=True)
class Scale:
    """Standardises the columns of features [n, d] of one medium.

    Attributes:
        mean, factor: [d]; one over the standard deviation, 0 where a column never changes.
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, rows: Tensor, weights: Tensor | None = None) -> Scale:
        """That of rows [n, d] with weights [n]."""
        rows = rows.double()
        counted = torch.ones(len(rows)) if weights is None else weights
        share = counted.double() / counted.double().sum()
        mean = share @ rows
        spread = (share @ (rows - mean).square()).sqrt()
        lowest, highest = rows.aminmax(dim=0)
        largest = torch.maximum(lowest.abs(), highest.abs())
        return cls(mean, torch.where(spread > TINY * largest, 1 / spread, 0.0))

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows [n, d], float64."""
        return (rows.double() - self.mean) * self.factor


@dataclass(frozen=True)
class Correlation:
    """Linear maps of image features [n, d_i] and text features [m, d_t] into one space.

    Attributes:
        scales: by medium.
        axes: by medium, of standardised features [d, k].
    """

    scales: Mapping[Medium, Scale]
    axes: Mapping[Medium, Tensor]

    @classmethod
    def fit(
        cls,
        images: Tensor,
        texts: Tensor,
        *,
        width: int,
        ridge: float,
        weights: Tensor | None = None,
        scales: Mapping[Medium, Scale] | None = None,
    ) -> Correlation:
        """Finds the maps in closed form, in float64, from features of pairs [n, d_i] and [n, d_t].

        Args:
            width: at most so many axes.
            ridge: r > 0, in variances of a standardised feature.
            weights: of the pairs [n]; alike where None.
            scales: by which the features are standardised; their own where None.
        """
        scales = scales or {"image": Scale.of(images, weights), "text": Scale.of(texts, weights)}
        axes = correlate(scales["image"](images), scales["text"](texts), width=width, ridge=ridge, weights=weights)
        return cls(scales, dict(zip(MEDIA, axes, strict=True)))

    def place(self, medium: Medium, features: Tensor) -> Tensor:
        """Features [n, d] to unit rows [n, k], float32."""
        return F.normalize((self.scales[medium](features) @ self.axes[medium]).float(), dim=1)

    def formula(self, medium: Medium, features: Value, note: Formula) -> Value:
        """What `place` computes."""
        scale = self.scales[medium]
        return note.unit(note.linear(note.standardise(features, scale.mean, scale.factor), self.axes[medium]))

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{medium}.{name}": value
            for medium in MEDIA
            for name, value in (
                ("mean", self.scales[medium].mean),
                ("factor", self.scales[medium].factor),
                ("axes", self.axes[medium]),
            )
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Correlation:
        """What `state_dict` gave."""
        scales = {medium: Scale(state[f"{medium}.mean"], state[f"{medium}.factor"]) for medium in MEDIA}
        return cls(scales, {medium: state[f"{medium}.axes"] for medium in MEDIA})


class CorrelatedPart:
    """What parts have in common that keep a `Correlation`, their `fit` having found it."""

    _maps: Correlation | None = None

    def place(self, medium: Medium, features: Tensor) -> Tensor:
        """Features [n, d], on any device, to unit rows [n, k]."""
        assert self._maps is not None
        return self._maps.place(medium, features.cpu())

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `place` computes."""
        assert self._maps is not None
        return self._maps.formula(medium, features, note)

    def state_dict(self) -> dict[str, Tensor]:
        assert self._maps is not None
        return self._maps.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._maps = Correlation.of_state(state)


def correlate(
    x: Tensor, y: Tensor, *, width: int, ridge: float, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Axes [d_i, k] and [d_t, k] of standardised pairs [n, d_i] and [n, d_t], float64; columns times correlations."""
    n = len(x)
    root = torch.full((n, 1), n**-0.5, dtype=torch.float64)
    if weights is not None:
        root = (weights.double() / weights.sum()).sqrt()[:, None]
    x, y = x * root, y * root
    white_x, white_y = _whitening(x, ridge), _whitening(y, ridge)
    u, s, vh = torch.linalg.svd((x @ white_x).T @ (y @ white_y), full_matrices=False)
    return white_x @ u[:, :width] * s[:width], white_y @ vh[:width].T * s[:width]


def principal_axes(rows: Tensor, most: int) -> Tensor:
    """Orthonormal axes [d, at most `most`] in which standardised rows [n, d] vary most; all where d is small."""
    n, d = rows.shape
    if d <= most:
        return torch.eye(d, dtype=rows.dtype)
    if d <= n:
        axes: Tensor = torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -most:]
        return axes
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    wide: Tensor = rows.T @ (vectors[:, -most:] / values[-most:].clamp_min(1e-12).sqrt())
    return wide


def _whitening(rows: Tensor, ridge: float) -> Tensor:
    """Rows [n, d] of which the squares sum to covariances, to principal components over the root of (variance + ridge):
    [d, at most min(n, d)].
    """
    n, d = rows.shape
    values, vectors = torch.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
    kept = values > max(n, d) * torch.finfo(values.dtype).eps * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    axes = vectors if d <= n else rows.T @ (vectors / values.sqrt())
    white: Tensor = axes * (values + ridge).rsqrt()
    return white
