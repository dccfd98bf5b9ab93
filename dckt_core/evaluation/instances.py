"""Retrieval by instance: how early each picture finds a text of its own, and each text a picture of its own.

The items are the distinct pictures and the distinct texts of the pairs; an item's partners are those of the other
medium with which it makes a pair. Of several partners the one that is ranked best counts, as is usual where a picture
has five captions (Hodosh, Young and Hockenmaier, "Framing image description as a ranking task", JAIR 2013):

    recall@k = share of the queries that find a partner among the first k
    MRR = mean of 1 / rank; median rank = the rank within which half of the queries have found a partner

Items that tie (see `cosines`) have no order, so every figure is its expectation over all orders. Let the best partner
stand behind N items and tie with n - 1 others, r of the n being partners. The first of these is the j-th with
probability C(n-j, r-1) / C(n, r) and comes after the j-th with probability C(n-j, r) / C(n, r); its expected rank is
N + (n+1) / (r+1). The median rank is that of the rank of a random query in a random order. A random ranking is the case
of N = 0 and a gallery that ties as a whole: that is chance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.cosines import Gallery, check_rows, chunk_size, codes, in_threads, unit
from dckt_core.evaluation.directions import DIRECTIONS, MEAN, TASKS, Task
from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK, MRR, RECALLS_AT
from dckt_core.evaluation.intervals import Span, as_estimate, interval, resampled_sums
from dckt_core.evaluation.items import first_of_each
from dckt_core.evaluation.ranking import harmonic_numbers

HALF = 0.5
ROUNDING = 1e-9


@dataclass(frozen=True)
class Standings:
    """Where the best-ranked partner of each query stands, [q] each, int64."""

    ahead: Tensor
    """N: items ahead of it."""
    tied: Tensor
    """n: items that tie with it, itself among them."""
    partners: Tensor
    """r: those of them that are partners."""

    def found_by(self, k: int) -> Tensor:
        """Probability that a partner is among the first k: [q], float64."""
        within = (k - self.ahead).clamp_min(0).minimum(self.tied).double()
        n, r = self.tied.double(), self.partners.double()
        others = n - within
        # C(n - m, r) / C(n, r); where there is one partner this is (n - m) / n.
        ways = torch.lgamma(others + 1) - torch.lgamma((others - r + 1).clamp_min(1))
        missed = (ways - torch.lgamma(n + 1) + torch.lgamma(n - r + 1)).exp()
        missed = torch.where(r == 1, others / n, missed)
        return torch.where(others < r, 1.0, 1 - missed)

    def rank(self) -> Tensor:
        """Expected rank of the first partner, from 1: [q], float64."""
        return self.ahead + (self.tied + 1) / (self.partners + 1).double()

    def reciprocal_rank(self) -> Tensor:
        """Expected 1 / rank of the first partner: [q], float64."""
        cases, which = torch.unique(torch.stack([self.ahead, self.tied, self.partners]), dim=1, return_inverse=True)
        ahead, tied, partners = cases
        harmonic = harmonic_numbers(int((ahead + tied).max()) if len(which) else 0)
        values = (harmonic[ahead + tied] - harmonic[ahead]) / tied  # of one partner: the mean of 1 / (N + j)
        for case in (partners > 1).nonzero().squeeze(1).tolist():
            before, n, r = (int(row[case]) for row in cases)
            place = torch.arange(1, n - r + 2, dtype=torch.float64)
            likely = torch.cat([place.new_tensor([r / n]), (n - r + 1 - place[:-1]) / (n - place[:-1])]).cumprod(0)
            values[case] = (likely / (before + place)).sum()
        by_query: Tensor = values[which]
        return by_query


@dataclass(frozen=True)
class Instances:
    """One direction.

    Attributes:
        standings: of each query [q].
        chance: the same in a gallery that ties as a whole.
        gallery: how many items are ranked.
        query: the query [N] that each pair's item is, int64.
        shares: which picture [e] each query [e] belongs to, int64: a text that several pictures have, to each in part.
    """

    standings: Standings
    chance: Standings
    gallery: int
    query: Tensor
    shares: tuple[Tensor, Tensor]

    @property
    def queries(self) -> int:
        return len(self.standings.ahead)

    def by_picture(self, values: Tensor) -> Tensor:
        """Sums of values [q] over each picture's queries: [pictures], float64."""
        query, picture = self.shares
        parts = values / torch.bincount(query, minlength=len(values))
        return torch.zeros(int(picture.max()) + 1, dtype=torch.float64).index_add(0, picture, parts[query])


@dataclass(frozen=True)
class Figure:
    """One figure: its 95 % bootstrap interval over pictures, None where there is but one; that of random rankings."""

    value: float
    interval: Span | None
    chance: float


@dataclass(frozen=True)
class InstanceSummary:
    """A direction, or the mean of both.

    queries, gallery: distinct items; of the mean, the queries of both directions.
    figures: by the names of `figures.FIGURES`.
    """

    queries: int
    gallery: int
    figures: Mapping[str, Figure]

    def estimates(self) -> dict[str, dict[str, Any]]:
        """Value and interval of each figure, for `json.dumps`."""
        return {name: as_estimate(one.value, one.interval) for name, one in self.figures.items()}

    def chances(self) -> dict[str, float]:
        """Each figure of random rankings."""
        return {name: one.chance for name, one in self.figures.items()}


def by_instance(view: Representation, pictures: Tensor, texts: Tensor) -> dict[str, Instances]:
    """Both directions of retrieval by instance. Time grows with N squared, memory with N.

    Args:
        view: common representations of N pairs, image [N, C] and text [N, C]; an item has that of its first pair.
        pictures, texts: numbers [N], int64, that pairs of the same picture, or of the same text, share.

    Raises:
        DataError: a representation is not finite.
        ValueError: there are no pairs, or shapes do not go together.
    """
    if len(pictures) == 0:
        raise ValueError("no pairs to look for")
    aligned = {"numbers of pictures": (pictures, view.image), "numbers of texts": (texts, view.text)}
    check_rows(view.image, view.text, aligned)
    numbers = {"image": torch.unique(pictures.cpu(), return_inverse=True)[1]}
    numbers["text"] = torch.unique(texts.cpu(), return_inverse=True)[1]
    edges = dict(zip(numbers, torch.unique(torch.stack(list(numbers.values())), dim=1), strict=True))
    rows = {
        "image": unit(view.image)[first_of_each(numbers["image"])],
        "text": unit(view.text)[first_of_each(numbers["text"])],
    }

    def direction(task: Task) -> Instances:
        asked, partner, gallery = edges[task.query], edges[task.gallery], len(rows[task.gallery])
        return Instances(
            _standings(rows[task.query], Gallery(rows[task.gallery]), asked, partner),
            _all_tied(gallery, torch.bincount(asked)),
            gallery,
            numbers[task.query],
            (asked, edges["image"]),
        )

    return {name: direction(TASKS[name]) for name in DIRECTIONS}


def reciprocal_ranks(images: Tensor, texts: Tensor) -> Tensor:
    """1 / rank of the partner for n pairs [n, k] and [n, k], row by row, each row an item of its own: [n], the mean of
    both directions. Their mean is the MRR.

    Raises:
        ValueError: there are no pairs, or shapes do not go together.
    """
    numbers = torch.arange(len(images))
    found = by_instance(Representation(images, texts), numbers, numbers)
    return torch.stack([one.standings.reciprocal_rank() for one in found.values()]).mean(dim=0)


@torch.no_grad()
def _standings(queries: Tensor, gallery: Gallery, asked: Tensor, partner: Tensor) -> Standings:
    """Of unit queries [q, c], of which query `asked[i]` has the partner `partner[i]`; each has one."""
    order = asked.argsort(stable=True)
    asked, partner = asked[order], partner[order]
    found = torch.zeros(3, len(queries), dtype=torch.int64)

    def jobs() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        for rows in torch.split(torch.arange(len(queries)), chunk_size(len(gallery))):
            low, high = torch.searchsorted(asked, rows[0]), torch.searchsorted(asked, rows[-1], right=True)
            yield rows, gallery.cosines(queries[rows]), asked[low:high] - rows[0], partner[low:high]

    def work(job: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, cosine, row, column = job
        ranked = torch.from_numpy(codes(cosine))
        own = ranked[row, column]
        best = torch.zeros(len(rows), dtype=torch.int64).scatter_reduce_(0, row, own, "amax")  # codes are above 0
        partners = torch.zeros_like(best).index_add_(0, row, (own == best[row]).long())
        ahead, tied = ((compare(ranked, best[:, None])).sum(dim=1) for compare in (torch.gt, torch.eq))
        return rows, torch.stack([ahead, tied, partners])

    for rows, part in in_threads(work, jobs()):
        found[:, rows] = part
    return Standings(*found)


def _all_tied(gallery: int, partners: Tensor) -> Standings:
    """A gallery in no order at all, in which each query has so many partners [q]."""
    return Standings(torch.zeros_like(partners), torch.full_like(partners, gallery), partners)


Measure = Callable[[Standings], Tensor]


def summarise(results: Mapping[str, Instances], generator: torch.Generator) -> dict[str, InstanceSummary]:
    """Both directions and, under `mean`, the mean of both, where each direction counts the same.

    Intervals are over pictures. All come from the same resamples.
    """
    rows = {name: [results[name]] for name in DIRECTIONS} | {MEAN: [results[name] for name in DIRECTIONS]}
    measures: dict[str, Measure] = {f"recall_at_{k}": found_by(k) for k in RECALLS_AT}
    measures[MRR] = Standings.reciprocal_rank
    middles = {name: _rank_of(HALF - ROUNDING, row) for name, row in rows.items()}
    shares: dict[str, Measure] = {f"found by {middle}": found_by(middle) for middle in middles.values()}
    samples = _samples(results, measures | shares, generator)

    def span(name: str, measure: str) -> Span | None:
        if not _several(results):
            return None
        return interval(torch.stack([samples[one, measure] for one in DIRECTIONS if name in (one, MEAN)]).mean(dim=0))

    def summary(name: str, row: Sequence[Instances]) -> InstanceSummary:
        figures = {
            what: Figure(_mean(measure, row), span(name, what), _mean(measure, row, chance=True))
            for what, measure in measures.items()
        }
        middle = middles[name]
        near = _span_of_median(row, _mean(found_by(middle), row), span(name, f"found by {middle}"))
        figures[MEDIAN_RANK] = Figure(_median(row), near, _median(row, chance=True))
        queries, gallery = (sum(counts) for counts in zip(*((one.queries, one.gallery) for one in row), strict=True))
        return InstanceSummary(queries, gallery, {what: figures[what] for what in FIGURES})

    return {name: summary(name, row) for name, row in rows.items()}


def mrr_gain(
    after: Mapping[str, Instances], before: Mapping[str, Instances], generator: torch.Generator
) -> tuple[float, Span | None]:
    """What the MRR, the mean of both directions, of one network has more than that of another, on the same pairs, and
    the 95 % bootstrap interval of the difference over pictures.
    """
    start = generator.get_state()
    one = _samples(after, {MRR: Standings.reciprocal_rank}, generator)
    generator.set_state(start)
    other = _samples(before, {MRR: Standings.reciprocal_rank}, generator)
    gains = torch.stack([one[name, MRR] - other[name, MRR] for name in DIRECTIONS])
    had, has = (_mean(Standings.reciprocal_rank, list(found.values())) for found in (before, after))
    return has - had, interval(gains.mean(dim=0)) if _several(after) else None


def _several(results: Mapping[str, Instances]) -> bool:
    """Whether there is more than one picture, so that there is something to resample."""
    return any(int(one.shares[1].max()) > 0 for one in results.values())


def found_by(k: int) -> Measure:
    """`Standings.found_by` of one k."""
    return lambda standings: standings.found_by(k)


def _samples(
    results: Mapping[str, Instances], measures: Mapping[str, Measure], generator: torch.Generator
) -> dict[tuple[str, str], Tensor]:
    """Means of each measure over the queries of each direction, under resamples of the pictures: [draws] each."""
    columns = {(name, what): one.by_picture(measure(one.standings))
               for name, one in results.items() for what, measure in measures.items()}  # fmt: skip
    queries = [one.by_picture(torch.ones(one.queries, dtype=torch.float64)) for one in results.values()]
    sums = resampled_sums(torch.stack([*columns.values(), *queries], dim=1), generator).T
    weights = dict(zip(results, sums[len(columns) :], strict=True))
    return {(name, what): sums[row] / weights[name] for row, (name, what) in enumerate(columns)}


def _mean(measure: Measure, row: Sequence[Instances], *, chance: bool = False) -> float:
    """Over the queries of each direction, and then over the directions."""
    each = [measure(result.chance if chance else result.standings).mean() for result in row]
    return float(torch.stack(each).mean())


def _rank_of(share: float, row: Sequence[Instances], *, chance: bool = False) -> int:
    """The first rank by which that share of the queries has found a partner."""
    ranks = range(1, max(result.gallery for result in row) + 1)
    return ranks[
        bisect_left(ranks, True, hi=len(ranks) - 1, key=lambda k: _mean(found_by(k), row, chance=chance) >= share)
    ]


def _median(row: Sequence[Instances], *, chance: bool = False) -> float:
    """The rank at which the share that has found a partner passes one half; between two ranks where it stays there."""
    return sum(_rank_of(HALF + sign * ROUNDING, row, chance=chance) for sign in (-1, 1)) / 2


def _span_of_median(row: Sequence[Instances], share: float, span: Span | None) -> Span | None:
    """Where the share is one half, give or take what it varies by at the median (Woodruff, "Confidence intervals for
    medians and other position measures", JASA 1952).

    Args:
        share, span: that has found a partner by the median, and its interval.
    """
    if span is None:
        return None
    low, high = span
    return _rank_of(HALF - (high - share) - ROUNDING, row), _rank_of(HALF + (share - low) - ROUNDING, row)
