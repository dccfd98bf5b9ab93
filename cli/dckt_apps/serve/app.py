"""The server: the page, its API, and the pictures of the galleries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from dckt_apps.pages import theme
from dckt_apps.serve.asking import Limits
from dckt_apps.serve.browsing import browse_routes
from dckt_apps.serve.guard import LOOPBACK, Guard
from dckt_apps.serve.mapped import map_routes
from dckt_apps.serve.place import Place, Places
from dckt_apps.serve.reference import reference
from dckt_apps.serve.searching import search_routes
from dckt_core import __version__
from dckt_core.base.errors import DataError, DcktError, NothingKnownError, UsageError
from dckt_core.io.complaint import complaint
from dckt_core.retrieval.searcher import Searcher

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of `static/` that are served, with their types."""


def make_app(
    searchers: Mapping[str, Searcher], *, hosts: Iterable[str] = LOOPBACK, limits: Limits | None = None
) -> FastAPI:
    """The server as an ASGI application.

    Args:
        searchers: what is served, one or several side by side, by the names that people see.
        hosts: names and addresses, without ports, that requests may call this server by.
    """
    limits = limits or Limits()
    places = Places([Place(name, number, one) for number, (name, one) in enumerate(searchers.items())])
    app = FastAPI(title="dckt serve", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=tuple(hosts), max_body=limits.upload)
    _tell_errors(app, places)
    files = _files()

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Whether the server answers: `{"status": "ok"}`."""
        return {"status": "ok"}

    app.include_router(browse_routes(places, limits))
    app.include_router(search_routes(places, limits))
    app.include_router(map_routes(places))

    @app.get("/api", include_in_schema=False)
    async def for_programs() -> Response:
        return Response(reference(app.openapi()), media_type=TYPES[".html"])

    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
    async def file(name: str = "page.html") -> Response:
        if name not in files:
            raise HTTPException(404, "no such page")
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return app


def _tell_errors(app: FastAPI, places: Places) -> None:
    """Every refusal is `{"error": reason}`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = complaint(error)
        where = found.key.partition(".")[2]  # behind what of the request it is in
        says = {"missing": "missing", "unknown": "unknown"}.get(found.kind, f"{found.text}, not {found.value}")
        return JSONResponse({"error": f"{where}: {says}"}, 422)

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    @app.exception_handler(DcktError)
    async def refused_by_the_core(request: Request, error: DcktError) -> JSONResponse:
        again = {"insist": True} if isinstance(error, NothingKnownError) else {}
        status = 422 if isinstance(error, DataError | UsageError) else 500
        return JSONResponse({"error": places.told(error)} | again, status)


def _files() -> dict[str, tuple[str, str]]:
    """The page's files by name, with their types; the style begins with the theme that the report has, too."""
    found = {}
    for file in (resources.files("dckt_apps.serve") / "static").iterdir():
        kind = TYPES.get("." + file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = (file.read_text(encoding="utf-8"), kind)
    style, kind = found["page.css"]
    return found | {"page.css": (f"{theme()}\n{style}", kind)}
