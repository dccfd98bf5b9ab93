"""What is asked of a search: by a text, a picture, or features of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from dckt_apps.serve.asking import FILE, MAX_LETTERS, Count, Insist, Kind, Least, Limits, Run, Start, TextQuery
from dckt_apps.serve.place import Place, Places
from dckt_apps.serve.uploads import search_features, search_picture
from dckt_core.contract.pairs import Medium
from dckt_core.data.coverage import Coverage
from dckt_core.retrieval.gallery import Hits
from dckt_core.retrieval.searcher import Wanted


def search_routes(places: Places, limits: Limits) -> APIRouter:
    """The routes below `/api/search`."""
    router = APIRouter(prefix="/api/search")

    async def answer(
        place: Place, of: Medium, wanted: Wanted, k: int, start: int, find: Callable[[int], list[Hits]]
    ) -> dict[str, Any]:
        (hits,) = await places.find(lambda: find(start + k))
        gallery = place.searcher.gallery(of, wanted)
        return {
            "results": place.rows(hits[start:], gallery.medium, first=start + 1),
            "more": start + k < len(gallery) and len(hits) == start + k,
            "unlikely": place.searcher.unlikely(of, hits),
        }

    async def by_words(query: TextQuery) -> dict[str, Any]:
        place = places.named(query.run)
        how: dict[str, Any] = {"medium": query.medium, "threshold": query.threshold, "insist": query.insist}
        searcher, texts = place.searcher, [query.text]
        found = await answer(
            place, "text", query.medium, query.k, query.start, lambda k: searcher.search_texts(texts, k, **how)
        )
        told = {"unknown": searcher.model.unknown_words(query.text), "cut": searcher.model.is_cut(query.text)}
        return found | words(searcher.covered(texts)) | told

    @router.get("")
    async def search(
        q: Annotated[str, Query(max_length=MAX_LETTERS, description="What to look for.")],
        k: Count = 12,
        start: Start = 0,
        medium: Kind = "other",
        threshold: Least = None,
        insist: Insist = False,
        run: Run = None,
    ) -> dict[str, Any]:
        """The nearest items of a text: `results`, each with `rank`, `cosine`, `probability`, what is known of it, and
        under `pair` what is known of its other half; `more`, whether there are further ones; `unknown`, words that the
        run does not know; `unlikely`, whether none is likelier than one drawn blindly.
        """
        how: dict[str, Any] = {"medium": medium, "threshold": threshold, "insist": insist, "run": run}
        return await by_words(TextQuery(text=q, k=k, start=start, **how))

    @router.post("/text")
    async def by_text(query: TextQuery) -> dict[str, Any]:
        """The same, asked for in a JSON body."""
        return await by_words(query)

    @router.post("/image", openapi_extra=FILE)
    async def by_image(
        request: Request,
        k: Count = 12,
        start: Start = 0,
        medium: Kind = "other",
        threshold: Least = None,
        run: Run = None,
    ) -> dict[str, Any]:
        """The same for a picture, whose file is the body."""
        place, body = places.named(run), await request.body()
        how = {"medium": medium, "threshold": threshold}
        return await answer(
            place, "image", medium, k, start, lambda k: search_picture(place.searcher, body, k, limits.pixels, how)
        )

    @router.post("/features", openapi_extra=FILE)
    async def by_features(
        request: Request,
        of: Annotated[Medium, Query(description="What they are features of.")],
        k: Count = 12,
        start: Start = 0,
        medium: Kind = "other",
        threshold: Least = None,
        run: Run = None,
    ) -> dict[str, Any]:
        """The same for the only row of a file of features, as the run's encoder gives them; the file is the body."""
        place, body = places.named(run), await request.body()
        how = {"medium": medium, "threshold": threshold}
        return await answer(place, of, medium, k, start, lambda k: search_features(place.searcher, body, of, k, how))

    return router


def words(coverage: Coverage | None) -> dict[str, Any]:
    """How many words have vectors, for an answer; nothing where the encoder does not go by words."""
    return {"words": coverage.as_json()} if coverage is not None else {}
