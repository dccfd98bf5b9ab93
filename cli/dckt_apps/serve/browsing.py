"""What is asked without a query: what there is, the items of a class, one item, and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from starlette.concurrency import run_in_threadpool

from dckt_apps.serve.asking import MAX_LETTERS, ItemsQuery, Limits, Run
from dckt_apps.serve.overview import overview
from dckt_apps.serve.pictures import LARGE, SMALL
from dckt_apps.serve.place import Places
from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Medium


def browse_routes(places: Places, limits: Limits) -> APIRouter:
    """The routes that need no query."""
    router = APIRouter()
    told = [overview(place) for place in places.all]

    @router.get("/api/about")
    async def about() -> dict[str, Any]:
        """What is searched, for each of the `runs`: name, sizes by medium, classes with counts and examples, queries to
        try, what may be looked for, and how many words are known; and how many bytes may be sent.
        """
        return {"runs": told, "limits": {"upload": limits.upload}}

    @router.get("/api/items")
    def items(wish: Annotated[ItemsQuery, Query()]) -> dict[str, Any]:
        """Items in the order of the gallery: `results`, and `total`, how many there are."""
        place = places.named(wish.run)
        medium = wish.medium or place.media[0]
        gallery = place.searcher.gallery(medium)
        admitted = wish.refine.admitted(gallery)
        found = [item for name, item in gallery.items.items() if admitted is None or name in admitted]
        some = found[wish.start : wish.start + wish.k]
        return {"results": [place.row(item, medium) for item in some], "total": len(found)}

    @router.get("/api/item")
    async def item(
        id: Annotated[str, Query(max_length=MAX_LETTERS, description="Its id.")],
        medium: Annotated[Medium, Query(description="Whether it is an image or a text.")],
        run: Run = None,
    ) -> Mapping[str, Any]:
        """What is known of an item and, under `pair`, of its other half."""
        place = places.named(run)
        found = place.item(medium, id)
        if found is None:
            raise HTTPException(404, f"no {medium} has this id")
        return place.row(found, medium)

    @router.get("/pictures/{run}/{number}")
    async def picture(
        run: int, number: int, large: Annotated[bool, Query(description="At most 1600 pixels, not 400.")] = False
    ) -> Response:
        """The picture of a result, at most 400 pixels wide or high, as JPEG."""
        if not 0 <= run < len(places.all):
            raise HTTPException(404, "no such picture")
        try:
            jpeg = await run_in_threadpool(places.all[run].pictures.jpeg, number, LARGE if large else SMALL)
        except IndexError:
            raise HTTPException(404, "no such picture") from None
        except DataError:
            raise HTTPException(404, "its file is gone or cannot be read") from None
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    return router
