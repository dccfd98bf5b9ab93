"""The part `media-mmd`: images and texts of which nobody knows which belong together, as two distributions.

Two linear maps start from the correlation of the source's pairs. They learn to tell the source's pairs from mixed ones
(InfoNCE; van den Oord et al., 2018), and to bring the target's images as a whole near its texts as a whole: by the MMD
between them, by that of each of the source's classes that they might be of (class-wise: Long et al., 2013; Zhu et al.,
DSAN, 2020), or by the Sinkhorn divergence. This is the method's own means, put between the media instead of the
domains, and the natural competitor of the part `transport`, which makes pairs.

Maps that give way to the discrepancy collapse: everything is near everything. So some source pairs are held out, and
the part steps aside where they no longer find each other as they did at the start.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Material, PartContext, StepAsideError, advising, reciprocal_ranks
from dckt_kernels import mean_distance_bandwidth, mk_mmd, sinkhorn_divergence
from dckt_plugins.parts.catalogue import MediaMMDOptions
from dckt_plugins.parts.cca import correlate
from dckt_plugins.parts.unpaired import AlignedPart, Unpaired, meet

HELD_OUT = 0.1
"""Share of the source's pairs by which a collapse is seen."""
COLLAPSED = 0.5
"""A mean reciprocal rank of held-out source pairs that has fallen below so much of what it was."""
FEWEST_OF_CLASS = 1.0
"""Items in a batch, by their probabilities, of a class that is compared."""
SINKHORN_EPS, SINKHORN_TOLERANCE = 0.1, 1e-3
"""In mean squared distances."""

Between = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Places of target images [n, k] and texts [m, k], and their row numbers [n] and [m], to a discrepancy."""


class MediaMMDPart(AlignedPart):
    """Places in a space in which the target's images lie where its texts lie."""

    def __init__(self, options: MediaMMDOptions, context: PartContext) -> None:
        super().__init__(options.floor)
        self._options = options

    def fit(self, material: Material) -> None:
        """Steps aside where the target has no unpaired images and texts, the source says nothing about them or has no
        classes to go by, or the maps collapse.
        """
        options = self._options
        with advising(lambda: "in the part 'media-mmd'", "lower its option batch, or leave it out"):
            met = meet(material, ridge=options.ridge, related=options.related)
            between = _between(options, met)
            order = torch.randperm(len(met.source_images), generator=material.generator("held-out source pairs"))
            held, learnt = order.tensor_split([max(1, int(HELD_OUT * len(order)))])
            start = correlate(
                met.source_images[learnt], met.source_texts[learnt], width=options.width, ridge=options.ridge
            )
            ends = self._learn(met, learnt, start, between, material.generator("media-mmd"))
        before, after = (_found(met, held, axes) for axes in (start, ends))
        if not after >= COLLAPSED * before:  # a rank that is not a number is none
            raise StepAsideError(
                f"its maps collapsed: held-out source pairs find each other at a mean reciprocal rank of {after:.3f}, "
                f"and {before:.3f} at the start"
            )
        self._maps = met.maps(*ends)
        everything = torch.arange(len(met.images)), torch.arange(len(met.texts))
        apart = [float(between(_places(met.images, a), _places(met.texts, b), *everything)) for a, b in (start, ends)]
        material.note(
            f"{len(met.images)} images and {len(met.texts)} texts, {options.discrepancy} {apart[0]:.3f} at the start, "
            f"{apart[1]:.3f} at the end; held-out source pairs at a mean reciprocal rank of {after:.3f} ({before:.3f})"
        )

    def _learn(
        self, met: Unpaired, pairs: Tensor, start: tuple[Tensor, Tensor], between: Between, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Axes of images and of texts, from the source's pairs of these numbers and from all of the target's items."""
        options = self._options
        lengths = [axes.norm(dim=0).mean() for axes in start]
        maps = [(axes / length).float().requires_grad_() for axes, length in zip(start, lengths, strict=True)]
        x, y, u, v = (rows.float() for rows in (met.source_images, met.source_texts, met.images, met.texts))
        optimizer = torch.optim.Adam(maps, lr=options.lr)

        def drawn(count: int) -> Tensor:
            return torch.randperm(count, generator=generator)[: options.batch]

        for _ in range(options.updates):
            chosen, of_images, of_texts = pairs[drawn(len(pairs))], drawn(len(u)), drawn(len(v))
            cosines = _places(x[chosen], maps[0]) @ _places(y[chosen], maps[1]).T / options.temperature
            own = torch.arange(len(chosen))
            loss = (F.cross_entropy(cosines, own) + F.cross_entropy(cosines.T, own)) / 2
            if options.pull:
                places = _places(u[of_images], maps[0]), _places(v[of_texts], maps[1])
                loss = loss + options.pull * between(*places, of_images, of_texts)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        a, b = (axes.detach().double() for axes in maps)
        return a, b


def _between(options: MediaMMDOptions, met: Unpaired) -> Between:
    if options.discrepancy == "mmd":
        return lambda images, texts, of_images, of_texts: mk_mmd(images, texts)
    if options.discrepancy == "sinkhorn":
        return lambda images, texts, of_images, of_texts: _sinkhorn(images, texts)
    said = met.among_source_classes()
    if said is None:
        raise StepAsideError("the source's pairs have labels of fewer than two classes, and class-mmd goes by these")
    p, q = said
    return lambda images, texts, of_images, of_texts: class_wise_mmd(images, texts, p[of_images], q[of_texts])


def class_wise_mmd(images: Tensor, texts: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The mean over classes of the squared MMD between the images and the texts of a class, by weights.

    All classes share one kernel, that of `mk_mmd` with five bandwidths around the mean distance of all rows.

    images, texts: [n, k] and [m, k].
    p, q: class probabilities [n, C] and [m, C]: by how much a row is of a class. A class counts by the geometric
        mean of its shares of both media; 0 where no class has items of both.
    """
    p, q = p.to(images), q.to(texts)
    there = (p.sum(dim=0) >= FEWEST_OF_CLASS) & (q.sum(dim=0) >= FEWEST_OF_CLASS)
    share = there * (p.mean(dim=0) * q.mean(dim=0)).sqrt()
    signed = torch.cat([p / p.sum(dim=0).clamp_min(FEWEST_OF_CLASS), -q / q.sum(dim=0).clamp_min(FEWEST_OF_CLASS)])
    rows = torch.cat([images, texts])
    squares = rows.square().sum(dim=1)
    distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp_min(0) / _unit(images, texts)
    kernel = torch.stack([torch.exp(-distances / 2.0**step) for step in range(-2, 3)]).mean(dim=0)
    values = (signed * (kernel @ signed)).sum(dim=0)
    return (share * values).sum() / share.sum().clamp_min(torch.finfo(share.dtype).tiny)


def _sinkhorn(images: Tensor, texts: Tensor) -> Tensor:
    root = _unit(images, texts).sqrt()
    return sinkhorn_divergence(images / root, texts / root, eps=SINKHORN_EPS, tolerance=SINKHORN_TOLERANCE).value


def _unit(images: Tensor, texts: Tensor) -> Tensor:
    """The mean squared distance of all rows, a constant in the gradient."""
    return mean_distance_bandwidth(images.detach(), texts.detach()).clamp_min(torch.finfo(torch.float32).tiny)


def _places(rows: Tensor, axes: Tensor) -> Tensor:
    return F.normalize(rows @ axes, dim=1)


def _found(met: Unpaired, held: Tensor, axes: tuple[Tensor, Tensor]) -> float:
    """The mean reciprocal rank of the source's pairs of these numbers."""
    found = reciprocal_ranks(_places(met.source_images[held], axes[0]), _places(met.source_texts[held], axes[1]))
    return float(found.mean())


def build(options: MediaMMDOptions, context: PartContext) -> MediaMMDPart:
    return MediaMMDPart(options, context)
