"""What ways to refine a search give: mAP by class on a run's test split, plain and refined, paired query by query.

    python benchmarks/refined_search.py runs/NAME

The gallery is the test split, so that figures compare with the run's own. CSLS takes its means over the training
split's items of the query's medium, of which no test query is one. The interval is a paired bootstrap over queries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import dckt_core
from dckt_core.contract.pairs import Medium, Pair
from dckt_core.retrieval.gallery import Gallery, Hits
from dckt_core.retrieval.neighbours import expanded, hubness, nearest
from dckt_core.retrieval.query import Joined, Query
from dckt_core.retrieval.searcher import searcher_of_target

RESAMPLES = 10_000


def average_precision(hits: Hits, label: str | None) -> float:
    """Of one query, over everything that was ranked."""
    relevant = torch.tensor([hit.item.get("label") == label for hit in hits], dtype=torch.float64)
    precision = relevant.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * relevant).sum() / relevant.sum())


def precisions(answers: Sequence[Hits], labels: Sequence[str | None]) -> Tensor:
    return torch.tensor([average_precision(*one) for one in zip(answers, labels, strict=True)], dtype=torch.float64)


def told(name: str, found: Tensor, plain: Tensor | None = None) -> None:
    line = f"{name:44} {found.mean():.4f}"
    if plain is not None:
        gains = found - plain
        draws = torch.randint(len(gains), (RESAMPLES, len(gains)), generator=torch.Generator().manual_seed(0))
        low, high = torch.quantile(gains[draws].mean(dim=1), torch.tensor([0.025, 0.975], dtype=torch.float64))
        line += f"   {gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"
    print(line)


def main(run: str) -> None:
    model = dckt_core.load(run)
    searcher = searcher_of_target(model, split="test")
    bank = searcher_of_target(model, split="train").galleries
    pairs = model.target().split("test")
    labels = [pair.label for pair in pairs]
    asking: tuple[tuple[Medium, Callable[[Sequence[Pair]], Any]], ...] = (
        ("text", lambda some: model.encode_texts([one.text_item for one in some], cache=True)),
        ("image", lambda some: model.encode_images([one.image_item for one in some], cache=True)),
    )
    for medium, encode in asking:
        other: Medium = "image" if medium == "text" else "text"
        gallery, rows = searcher.galleries[other], encode(pairs)
        everything = len(gallery)
        plain = precisions(gallery.search(rows, everything), labels)
        told(f"{medium}s find {other}s", plain)
        for k in (1, 3, 5, 10, 20):
            moved = expanded(gallery, rows, gallery.search(rows, k))
            told(f"  --expand {k}", precisions(gallery.search(moved, everything), labels), plain)
        for k in (1, 5, 10, 20):
            hubs = hubness(gallery, bank[medium], k)
            told(f"  --csls {k}", precisions(nearest(gallery, rows, everything, hubs=hubs), labels), plain)
    joining(searcher.galleries["image"], pairs, labels, searcher)


def joining(gallery: Gallery, pairs: Sequence[Pair], labels: Sequence[str | None], searcher: Any) -> None:
    """A pair's text, its image, and both, find the other images: the pair's own image is left out of all answers."""
    everything = len(gallery)

    def ranked(ask: Callable[[Query, Query], Any]) -> Tensor:
        queries = [ask(Query(text=pair.text), Query(like=pair.id, of="image")) for pair in pairs]
        answers = searcher.find(queries, everything, medium="image", insist=True)
        kept = [Hits(hit for hit in hits if hit.id != pair.id) for hits, pair in zip(answers, pairs, strict=True)]
        return precisions(kept, labels)

    alone = ranked(lambda text, image: text)
    told("a text finds the other images", alone)
    told("  --like (its image)", ranked(lambda text, image: image), alone)
    for weight in (0.5, 1.0, 2.0):
        joined = ranked(lambda text, image, weight=weight: Joined((text, image), (1.0, weight)))
        told(f"  text and image, the image by {weight:g}", joined, alone)


if __name__ == "__main__":
    main(sys.argv[1])
