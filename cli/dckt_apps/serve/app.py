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
from dckt_apps.serve.reference import reference
from dckt_core import __version__
from dckt_core.base.errors import DataError, NothingKnownError, UsageError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.data.coverage import Coverage
from dckt_core.io.complaint import complaint
from dckt_core.io.feature_files import read_features
from dckt_core.io.feature_kinds import kind_of
from dckt_core.retrieval.gallery import Hit, Hits, Item
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

HOW_MANY = "How many to find, at most."
WHAT = "What to find: `image`, `text`, or `other`, the medium that the query is not of."
LEAST = "Leave out what is less probable, in [0, 1]; the run must have learnt probabilities."
INSIST = "Answer even a text of which the run knows no word."

Count = Annotated[int, Query(ge=1, le=MAX_RESULTS, description=HOW_MANY)]
Kind = Annotated[Wanted, Query(description=WHAT)]
Least = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False, description=LEAST)]
FILE: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}
"""A body that is a file, as OpenAPI has it."""
AS_LARGE_AS_SENT = ("npy", "safetensors")
"""Kinds of files of features that hold no more than their bytes; of the others a few may unfold to more than memory."""


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

    text: str = Field(max_length=MAX_LETTERS, description="What to look for.")
    k: int = Field(default=12, ge=1, le=MAX_RESULTS, description=HOW_MANY)
    medium: Wanted = Field(default="other", description=WHAT)
    threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description=LEAST)
    insist: bool = Field(default=False, description=INSIST)


def make_app(searcher: Searcher, *, hosts: Iterable[str] = LOOPBACK, limits: Limits | None = None) -> FastAPI:
    """The server as an ASGI application.

    Searches run one at a time: each uses all cores that it may.

    Args:
        hosts: names and addresses, without ports, that requests may call this server by.
    """
    limits = limits or Limits()
    app = FastAPI(title="dckt serve", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=tuple(hosts), max_body=limits.upload)
    gallery = searcher.galleries.get("image")
    pictures = Pictures(list(gallery.items.values()) if gallery is not None else [])
    one_at_a_time = asyncio.Semaphore(1)
    files = {name: (_read(name), kind) for name, kind in FILES.items()}
    about_words = _words(searcher.covered_gallery())
    classes = [{"label": label, **counts} for label, counts in searcher.classes().items()]

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

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Whether the server answers: `{"status": "ok"}`."""
        return {"status": "ok"}

    @app.get("/api", include_in_schema=False)
    async def for_programs() -> Response:
        return Response(reference(app.openapi()), media_type="text/html; charset=utf-8")

    @app.get("/api/about")
    async def about() -> dict[str, Any]:
        """What is searched: name, sizes by medium, classes with counts, what may be sent, how many words are known."""
        sizes = {medium: len(gallery) for medium, gallery in searcher.galleries.items()}
        name = Path(searcher.origin).absolute().name
        takes = {medium: not searcher.model.by_id(medium) for medium in MEDIA}
        limit = {"upload": limits.upload}
        return {"name": name, "sizes": sizes, "classes": classes, "takes": takes, "limits": limit, **about_words}

    @app.get("/api/items")
    async def items(
        label: Annotated[str, Query(max_length=MAX_LETTERS, description="The class.")],
        medium: Annotated[Medium | None, Query(description="By default images, where there are any.")] = None,
        start: Annotated[int, Query(ge=0, description="How many to pass over.")] = 0,
        k: Count = 12,
    ) -> dict[str, Any]:
        """Items of a class in the order of the gallery: `results`, and `total`, how many there are."""
        held = [one for one in MEDIA if one in searcher.galleries]
        gallery = searcher.galleries.get(medium or held[0])
        found = [item for item in gallery.items.values() if item.get("label") == label] if gallery is not None else []
        return {"results": [_known(item, pictures) for item in found[start : start + k]], "total": len(found)}

    @app.get("/api/search")
    async def search(
        q: Annotated[str, Query(max_length=MAX_LETTERS, description="What to look for.")],
        k: Count = 12,
        medium: Kind = "other",
        threshold: Least = None,
        insist: Annotated[bool, Query(description=INSIST)] = False,
    ) -> dict[str, Any]:
        """The nearest items of a text: `results`, each with `rank`, `cosine`, `probability` and what is known of it;
        `unknown`, words that the run does not know; `unlikely`, whether none is likelier than one drawn blindly.
        """
        return await by_words(q, k, medium=medium, threshold=threshold, insist=insist)

    @app.post("/api/search/text")
    async def by_text(query: TextQuery) -> dict[str, Any]:
        """The same, asked for in a JSON body."""
        how = {"medium": query.medium, "threshold": query.threshold, "insist": query.insist}
        return await by_words(query.text, query.k, **how)

    @app.post("/api/search/image", openapi_extra=FILE)
    async def by_image(
        request: Request, k: Count = 12, medium: Kind = "other", threshold: Least = None
    ) -> dict[str, Any]:
        """The same for a picture, whose file is the body."""
        body, how = await request.body(), {"medium": medium, "threshold": threshold}
        return await answer("image", lambda: _search_upload(searcher, body, k, limits.pixels, how))

    @app.post("/api/search/features", openapi_extra=FILE)
    async def by_features(
        request: Request,
        of: Annotated[Medium, Query(description="What they are features of.")],
        k: Count = 12,
        medium: Kind = "other",
        threshold: Least = None,
    ) -> dict[str, Any]:
        """The same for the only row of a file of features, as the run's encoder gives them; the file is the body."""
        body, how = await request.body(), {"medium": medium, "threshold": threshold}
        return await answer(of, lambda: _search_features(searcher, body, of, k, how))

    @app.get("/pictures/{number}")
    async def picture(number: int) -> Response:
        """The picture of a result, at most 400 pixels wide or high, as JPEG."""
        try:
            jpeg = await run_in_threadpool(pictures.jpeg, number)
        except IndexError:
            raise HTTPException(404, "no such picture") from None
        except DataError:
            raise HTTPException(404, "the picture is gone") from None
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
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
            if kind_of(file) not in AS_LARGE_AS_SENT:
                raise DataError(f"a query is one row of features in a file of {' or '.join(AS_LARGE_AS_SENT)}")
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
        sure = {} if hit.probability is None else {"probability": hit.probability}
        rows.append({"rank": rank, "cosine": hit.cosine, **sure, **_known(hit.item, pictures)})
    return rows


def _known(item: Item, pictures: Pictures) -> dict[str, Any]:
    """What is known of an item, with an address for its picture."""
    number = pictures.number(item)
    picture = {} if number is None else {"picture": f"/pictures/{number}"}
    return {key: item[key] for key in ("id", "label", "split", "text", "metadata") if key in item} | picture


def _read(file: str) -> str:
    """A file of the page; the style begins with the theme that it shares with the report."""
    text = (resources.files("dckt_apps.serve") / "static" / file).read_text(encoding="utf-8")
    if file != "page.css":
        return text
    theme = (resources.files("dckt_apps") / "theme.css").read_text(encoding="utf-8")
    return f"{theme}\n{text}"
