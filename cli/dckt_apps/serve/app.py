"""The server: a page, two ways to search, and the pictures of the gallery."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from dckt_apps.serve.guard import LOOPBACK, Guard
from dckt_apps.serve.pictures import Pictures, check_pixels
from dckt_core.base.errors import DataError, NothingKnownError, UsageError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.data.coverage import Coverage
from dckt_core.io.complaint import complaint
from dckt_core.io.feature_files import read_features
from dckt_core.retrieval.gallery import Hit, Hits
from dckt_core.retrieval.searcher import Searcher, Wanted

MAX_RESULTS = 50
MAX_LETTERS = 2000

FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""All files that are served, with their types."""

Count = Annotated[int, Query(ge=1, le=MAX_RESULTS)]
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Least = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class Limits:
    """What a visitor may send.

    Attributes:
        upload: bytes of a picture.
        pixels: of a picture, from its header; it is refused before it is decoded.
    """

    upload: int = 10_000_000
    pixels: int = 40_000_000


class TextQuery(BaseModel):
    """The body of a search by text."""

    text: str = Field(max_length=MAX_LETTERS)
    k: int = Field(default=12, ge=1, le=MAX_RESULTS)
    medium: Wanted = "other"
    threshold: Threshold | None = None
    insist: bool = False


def make_app(searcher: Searcher, *, hosts: Iterable[str] = LOOPBACK, limits: Limits | None = None) -> FastAPI:
    """The server as an ASGI application.

    Searches run one at a time: each uses all cores that it may.

    Args:
        hosts: names and addresses, without ports, that requests may call this server by.
    """
    limits = limits or Limits()
    app = FastAPI(title="dckt serve", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, hosts=tuple(hosts), max_body=limits.upload)
    gallery = searcher.galleries.get("image")
    pictures = Pictures(list(gallery.items.values()) if gallery is not None else [])
    one_at_a_time = asyncio.Semaphore(1)
    files = {name: (_read(name), kind) for name, kind in FILES.items()}
    about_words = _words(searcher.covered_gallery())

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = complaint(error)
        where = found.key.partition(".")[2]  # behind what of the request it is in
        says = {"missing": "missing", "unknown": "unknown"}.get(found.kind, f"{found.text}, not {found.value}")
        return JSONResponse({"error": f"{where}: {says}"}, 422)

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    @app.exception_handler(NothingKnownError)
    async def nothing_known(request: Request, error: NothingKnownError) -> JSONResponse:
        return JSONResponse({"error": str(error), "insist": True}, 422)

    async def answer(of: Medium, find: Callable[[], list[Hits]]) -> dict[str, Any]:
        try:
            async with one_at_a_time:
                (hits,) = await run_in_threadpool(find)
        except NothingKnownError:
            raise  # told below, so that the page can offer to insist
        except (DataError, UsageError) as error:
            raise HTTPException(422, str(error)) from None
        return {"results": _rows(hits, pictures), "unlikely": searcher.unlikely(of, hits)}

    async def by_words(text: str, k: int, **how: Any) -> dict[str, Any]:
        found = await answer("text", lambda: searcher.search_texts([text], k, **how))
        told = {"unknown": searcher.model.unknown_words(text), "cut": searcher.model.is_cut(text)}
        return found | _words(searcher.covered([text])) | told

    @app.get("/api/about")
    async def about() -> dict[str, Any]:
        sizes = {medium: len(gallery) for medium, gallery in searcher.galleries.items()}
        name = Path(searcher.origin).absolute().name
        takes = {medium: not searcher.model.by_id(medium) for medium in MEDIA}
        limit = {"upload": limits.upload}
        return {"name": name, "sizes": sizes, "takes": takes, "limits": limit, **about_words}

    @app.post("/api/search/text")
    async def by_text(query: TextQuery) -> dict[str, Any]:
        how = {"medium": query.medium, "threshold": query.threshold, "insist": query.insist}
        return await by_words(query.text, query.k, **how)

    @app.post("/api/search/image")
    async def by_image(
        request: Request, k: Count = 12, medium: Wanted = "other", threshold: Least = None
    ) -> dict[str, Any]:
        body, how = await request.body(), {"medium": medium, "threshold": threshold}
        return await answer("image", lambda: _search_upload(searcher, body, k, limits.pixels, how))

    @app.post("/api/search/features")
    async def by_features(
        request: Request, of: Medium, k: Count = 12, medium: Wanted = "other", threshold: Least = None
    ) -> dict[str, Any]:
        body, how = await request.body(), {"medium": medium, "threshold": threshold}
        return await answer(of, lambda: _search_features(searcher, body, of, k, how))

    @app.get("/pictures/{number}")
    async def picture(number: int) -> Response:
        try:
            jpeg = await run_in_threadpool(pictures.jpeg, number)
        except IndexError:
            raise HTTPException(404, "no such picture") from None
        except DataError:
            raise HTTPException(404, "the picture is gone") from None
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    @app.get("/")
    @app.get("/{name}")
    async def file(name: str = "page.html") -> Response:
        if name not in files:
            raise HTTPException(404, "no such page")
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return app


def _search_features(searcher: Searcher, body: bytes, of: Medium, k: int, how: Mapping[str, Any]) -> list[Hits]:
    """Searches by the only row of a file of features that came as bytes."""
    with tempfile.TemporaryDirectory(prefix="dckt-serve-") as folder:
        file = Path(folder) / "features"
        file.write_bytes(body)
        try:
            table = read_features(file, medium=of)
            if len(table) != 1:
                raise DataError(f"{len(table)} rows of features, where one is expected")
            return searcher.search_features(table.take(slice(None)), of, k, **how)
        except (DataError, UsageError) as error:
            raise DataError(str(error).replace(f"{file}: ", "").replace(str(folder), "")) from None


def _search_upload(searcher: Searcher, body: bytes, k: int, pixels: int, how: Mapping[str, Any]) -> list[Hits]:
    """Searches by a picture that came as bytes; its file is gone afterwards, and no error tells where it was."""
    if not body:
        raise DataError("no picture was sent")
    with tempfile.TemporaryDirectory(prefix="dckt-serve-") as folder:
        file = Path(folder) / "query"
        file.write_bytes(body)
        try:
            check_pixels(file, pixels)
            return searcher.search_images([file], k, **how)
        except DataError as error:
            raise DataError(str(error).replace(f"{file}: ", "").replace(str(folder), "")) from None


def _words(coverage: Coverage | None) -> dict[str, Any]:
    """How many words have vectors, for the page; nothing where the encoder does not go by words."""
    return {"words": coverage.as_json()} if coverage is not None else {}


def _rows(hits: Sequence[Hit], pictures: Pictures) -> list[dict[str, Any]]:
    """Hits for the page: what is known of an item, but for the path of its picture."""
    rows = []
    for rank, hit in enumerate(hits, start=1):
        known = {key: hit.item[key] for key in ("id", "label", "split", "text") if key in hit.item}
        row: dict[str, Any] = {"rank": rank, "cosine": hit.cosine, **known}
        if hit.probability is not None:
            row["probability"] = hit.probability
        number = pictures.number(hit)
        if number is not None:
            row["picture"] = f"/pictures/{number}"
        rows.append(row)
    return rows


def _read(file: str) -> str:
    """A file of the page; the style begins with the theme that it shares with the report."""
    text = (resources.files("dckt_apps.serve") / "static" / file).read_text(encoding="utf-8")
    if file != "page.css":
        return text
    theme = (resources.files("dckt_apps") / "theme.css").read_text(encoding="utf-8")
    return f"{theme}\n{text}"
