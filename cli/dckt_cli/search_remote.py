"""`dckt search --url`: asks a `dckt serve` that runs already. Nothing heavy is imported: an answer takes a blink."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from dckt_core.base.errors import DataError, MachineError, UsageError
from dckt_core.data.metadata import check_metadata
from dckt_core.io.text import is_unicode

if TYPE_CHECKING:
    from pathlib import Path

    from dckt_cli.asking import One

MAX_ANSWER = 1 << 26
"""Bytes; no answer of a server is longer."""

SECONDS = 60.0

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Remote:
    """A server by its address; `?run=NAME` behind it says which of the runs that it serves.

    Raises:
        UsageError: it is no address of a server.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"--url: {url!a}: {error}") from None
        if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
            raise UsageError(f"--url: {url!a} is no address such as http://127.0.0.1:8000")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._run = parse_qs(parts.query).get("run", [])[:1]
        handlers = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, typed: Sequence[One], flags: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers to one query.

        Raises:
            UsageError: it refuses the question; the message is the server's.
            DataError: a file cannot be read, or what answers is no `dckt serve`.
            MachineError: nothing answers.
        """
        ordered = sorted(typed, key=lambda one: ("text", "like", "image").index(one.kind))
        asked: list[tuple[str, Any]] = [
            ({"text": "q"}.get(one.kind, one.kind), one.value) for one in ordered if one.kind != "image"
        ]
        if any(one.weight is not None for one in ordered):
            asked += [("weight", 1.0 if one.weight is None else one.weight) for one in ordered]
        for name, key in (("classes", "class"), ("where", "where")):
            asked += [(key, value) for value in flags[name]]
        for name in ("k", "medium", "expand", "csls", "threshold", "of", "insist"):
            if flags[name] not in (None, 0, False):
                asked.append((name, "true" if flags[name] is True else flags[name]))
        files = [(one.value, "/image") for one in ordered if one.kind == "image"]
        for name, of in (("text_features", "text"), ("image_features", "image")):
            if flags[name] is not None:
                files.append((flags[name], "/features"))
                asked.append(("of", of))
        if len(files) > 1:
            raise UsageError("--url takes one --image at a time")
        asked += [("run", run) for run in self._run]
        body, path = (None, "") if not files else (_content(files[0][0]), files[0][1])
        answer = self._get(f"/api/search{path}?{urlencode(asked)}", body)
        try:
            told: dict[str, Any] = json.loads(answer)
            _check(told)
            for row in told["results"]:
                row.pop("pair", None)
                if "picture" in row:
                    row["picture"] = self.url + row["picture"]
            return {name: told[name] for name in ("results", "unknown", "cut", "unlikely")}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self.url}: what answers there is no dckt serve") from None

    def jpeg(self, row: Mapping[str, Any]) -> bytes | None:
        """The picture of a result; raises as `ask`."""
        return self._get(row["picture"].removeprefix(self.url), None) if "picture" in row else None

    def _get(self, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/octet-stream"} if body is not None else {}
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                content: bytes = answer.read(MAX_ANSWER + 1)
        except urllib.error.HTTPError as error:
            raise _refusal(self.url, error.code, error.read(MAX_ANSWER)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            raise MachineError(f"{self.url}: no answer ({why}); is `dckt serve` running there?") from None
        if len(content) > MAX_ANSWER:
            raise DataError(f"{self.url}: an answer without an end")
        return content


def _check(told: dict[str, Any]) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no answer of a `dckt serve`."""
    for row in told["results"]:
        figures = [row["rank"], row["cosine"], *(row[name] for name in ("probability", "csls") if name in row)]
        texts = [row["id"], *(row[name] for name in ("label", "text", "picture") if name in row)]
        if not all(isinstance(one, int | float) for one in figures) or not all(map(_is_text, texts)):
            raise ValueError("a result is none")
        check_metadata(row.get("metadata", {}))
    if not all(map(_is_text, told["unknown"])):
        raise ValueError("a word is none")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_unicode(value)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def _refusal(url: str, status: int, body: bytes) -> UsageError | DataError:
    """The error that a server's refusal is."""
    try:
        told = json.loads(body)
        return UsageError(f"{told['error']}{' (--insist)' if told.get('insist') else ''}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return DataError(f"{url}: status {status}: what answers there is no dckt serve")
