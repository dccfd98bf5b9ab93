"""What is asked of the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from dckt_apps.serve.asking import MAX_LETTERS, MAX_RESULTS, Run
from dckt_apps.serve.mapping import Map, make_map
from dckt_apps.serve.place import Place, Places


def map_routes(places: Places) -> APIRouter:
    """The routes below `/api/map`. A map is made when it is first asked for, and kept."""
    router = APIRouter(prefix="/api/map")
    made: dict[str, Map] = {}

    async def map_of(place: Place) -> Map:
        def make() -> Map:
            if place.name not in made:
                made[place.name] = make_map(place)
            return made[place.name]

        return made[place.name] if place.name in made else await places.find(make)

    @router.get("")
    async def about(run: Run = None) -> Mapping[str, Any]:
        """How many points the map of the common space has, images first; their `classes`; and which share of the
        variance its two axes carry (`explained`).
        """
        return (await map_of(places.named(run))).about

    @router.get("/points")
    async def points(run: Run = None) -> Response:
        """The points: all places across, all places up, all classes, each a 16-bit number, little-endian. A class is
        counted in `classes`; 65535 is none.
        """
        found = await map_of(places.named(run))
        return Response(found.points, media_type="application/octet-stream")

    @router.get("/items")
    async def items(
        points: Annotated[str, Query(max_length=MAX_LETTERS, description="Numbers of points, with commas between.")],
        run: Run = None,
    ) -> dict[str, Any]:
        """What is known of some points, at most 50: `results`."""
        place = places.named(run)
        found = (await map_of(place)).items
        numbers = [int(one) for one in points.split(",") if one.isascii() and one.isdigit() and len(one) < 10]
        if len(numbers) != points.count(",") + 1 or len(numbers) > MAX_RESULTS:
            raise HTTPException(422, f"points: at most {MAX_RESULTS} whole numbers with commas between")
        if max(numbers) >= len(found):
            raise HTTPException(404, "no such point")
        return {"results": [place.row(item, medium) for medium, item in (found[number] for number in numbers)]}

    return router
