"""What is asked of a search: by a text, a picture, or features of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from dckt_apps.serve.asking import FILE, Limits, TextQuery, UrlQuery, Wish
from dckt_apps.serve.place import Place, Places
from dckt_apps.serve.uploads import feature_row, picture
from dckt_core.base.errors import NothingKnownError, UsageError
from dckt_core.data.coverage import Coverage
from dckt_core.retrieval.queries import answer
from dckt_core.retrieval.query import Query as One


def search_routes(places: Places, limits: Limits) -> APIRouter:
    """The routes below `/api/search`."""
    router = APIRouter(prefix="/api/search")

    async def found(place: Place, wish: Wish, texts: Sequence[str] = (), *rest: One) -> dict[str, Any]:
        searcher = place.searcher
        query, wanted = wish.query(searcher, texts, *rest), wish.start + wish.k
        how: dict[str, Any] = {"threshold": wish.threshold, "insist": wish.insist, "refine": wish.refine}

        (told,) = await places.find(lambda: answer(searcher, [query], wanted, wish.medium, **how))
        if told.refused:
            raise NothingKnownError(told.refused)
        medium = searcher.wanted(query, wish.medium)
        return {
            "results": place.rows(told.hits[wish.start :], medium, first=wish.start + 1),
            "more": wanted < len(searcher.galleries[medium]) and len(told.hits) == wanted,
            "unknown": told.unknown,
            "cut": told.cut,
            "unlikely": told.unlikely,
            **(words(searcher.covered(texts)) if texts else {}),
        }

    @router.get("")
    async def search(wish: Annotated[UrlQuery, Query()]) -> dict[str, Any]:
        """The nearest items of a text, or of an item: `results`, each with `rank`, `cosine`, `probability`, what is
        known of it, and under `pair` what is known of its other half; `more`, whether there are further ones;
        `unknown`, words that the run does not know; `unlikely`, whether none is likelier than one drawn blindly.
        """
        return await found(places.named(wish.run), wish, wish.q)

    @router.post("/text")
    async def by_text(query: TextQuery) -> dict[str, Any]:
        """The same, asked for in a JSON body."""
        return await found(places.named(query.run), query, query.texts)

    @router.post("/image", openapi_extra=FILE)
    async def by_image(request: Request, wish: Annotated[UrlQuery, Query()]) -> dict[str, Any]:
        """The same for a picture, whose file is the body, alone or joined with what stands in the address."""
        with picture(await request.body(), limits.pixels) as file:
            return await found(places.named(wish.run), wish, wish.q, One(image=file))

    @router.post("/features", openapi_extra=FILE)
    async def by_features(request: Request, wish: Annotated[UrlQuery, Query()]) -> dict[str, Any]:
        """The same for the only row of a file of features, as the run's encoder gives them; the file is the body, and
        `of` must say what they are features of.
        """
        if wish.of is None:
            raise UsageError("of: missing")
        row = One(features=feature_row(await request.body(), wish.of), of=wish.of)
        return await found(places.named(wish.run), wish, wish.q, row)

    return router


def words(coverage: Coverage | None) -> dict[str, Any]:
    """How many words have vectors, for an answer; nothing where the encoder does not go by words."""
    return {"words": coverage.as_json()} if coverage is not None else {}
