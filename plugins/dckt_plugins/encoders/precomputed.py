"""`precomputed-image`, `precomputed-text`: rows of files of features, by the id and the role of an item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core import (
    MANIFEST_NAME,
    ROLES,
    DataError,
    Encoder,
    EncoderContext,
    FeatureTable,
    Item,
    Medium,
    Role,
    UsageError,
    features_digest,
    is_features,
    load_manifest,
    read_features,
)
from dckt_plugins.encoders.catalogue import PrecomputedOptions

FLAGS = {"image": "--encoder-opt", "text": "--text-encoder-opt"}


def build_image(options: PrecomputedOptions, context: EncoderContext) -> Encoder:
    """The encoder of images; errors as of `_build`."""
    return _build(options, "image", context)


def build_text(options: PrecomputedOptions, context: EncoderContext) -> Encoder:
    """The encoder of texts; errors as of `_build`."""
    return _build(options, "text", context)


def _build(options: PrecomputedOptions, medium: Medium, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.PrecomputedOptions`. One that is read back reads a file when it is first asked for.

    Raises:
        UsageError: no file is there for the target, nor how wide rows are that come without one; or both are.
        DataError: a file cannot be used, or the two have rows of different widths.
    """
    name, flag = f"precomputed-{medium}", FLAGS[medium]
    if options.dim is not None:
        if (options.target, options.source) != (None, None):
            raise UsageError(f"encoder '{name}': {flag} dim=N is for rows without a file; the files say it themselves")
        return _of_rows(name, medium, options.dim, options.space)
    files = _Files(options, medium, context)
    if context.state is None and files.file("target") is None:
        raise UsageError(f"encoder '{name}' needs {flag} target=FILE, and source=FILE for training")
    state = context.state or files.state()
    dim = int(state["dim"])

    def tables(items: Sequence[Item]) -> Iterator[tuple[FeatureTable, list[int], list[str]]]:
        """The table of each role, and the numbers and ids of its items."""
        for role in dict.fromkeys(item.role for item in items):
            if role is None:
                raise UsageError(
                    f"encoder '{name}' knows the pairs of a run's source and target alone, so no query from elsewhere; "
                    f"give its features (such as dckt search --{medium}-features FILE), or train with an encoder that "
                    f"computes them to search by any {medium}"
                )
            chosen = [number for number, item in enumerate(items) if item.role == role]
            yield files.table(role, state), chosen, [items[number].id for number in chosen]

    def check(items: Sequence[Item]) -> None:
        for table, _, ids in tables(items):
            table.check(ids)

    def prepare(items: Sequence[Item]) -> Tensor:
        rows = torch.empty(len(items), dim)
        for table, chosen, ids in tables(items):
            rows[chosen] = table.of(ids)
        return rows

    return Encoder(
        prepare=prepare,
        module=nn.Identity(),
        dim=dim,
        fingerprint=str(state["fingerprint"]),
        state=state,
        cached=False,  # the cache knows items by what they hold, and these features go by ids
        space=options.space,
        check=check,
    )


class _Files:
    """The files of both roles, each read once, when it is first asked for."""

    def __init__(self, options: PrecomputedOptions, medium: Medium, context: EncoderContext) -> None:
        self._name, self._medium, self._flag = f"precomputed-{medium}", medium, FLAGS[medium]
        self._key, self._places = options.key, context.places
        self._said = {"target": options.target, "source": options.source}
        self._ids = {"target": options.target_ids, "source": options.source_ids}
        self._tables: dict[Role, FeatureTable] = {}

    def file(self, role: Role) -> Path | None:
        """Where a role's features are: in the file that was named, or in the data set itself."""
        said, place = self._said[role], self._places.get(role)
        if said is not None:
            return Path(said)
        return place if place is not None and is_features(place) else None

    def state(self) -> dict[str, Any]:
        """Of a new run: how wide rows are, and what was found where."""
        tables = {role: self._read(role) for role in ROLES if self.file(role) is not None}
        dim = tables["target"].dim
        for table in tables.values():
            if table.dim != dim:
                raise DataError(f"{table.place}: rows of {table.dim} values, and {self.file('target')} has {dim}")
        digest = hashlib.sha256(repr(self._key).encode())
        for role in ("target", "source"):
            digest.update(self._digest(role).encode())
        found = {role: {"place": str(self.file(role)), "digest": self._digest(role)} for role in tables}
        return {"dim": dim, "fingerprint": f"{self._name}/{digest.hexdigest()[:16]}", "files": found}

    def table(self, role: Role, state: Mapping[str, Any]) -> FeatureTable:
        """A role's features.

        Raises:
            UsageError: there is no file of them.
            DataError: it holds others than when the run began, or rows of another width.
        """
        if role not in self._tables:
            file, known = self.file(role), state["files"].get(role)
            if file is None:
                raise UsageError(f"encoder '{self._name}' has no features of the {role}: {self._flag} {role}=FILE")
            if known is not None and known["place"] == str(file) and known["digest"] != self._digest(role):
                raise DataError(f"{file}: holds other features than when the run began")
            if (dim := self._read(role).dim) != state["dim"]:
                raise DataError(f"{file}: rows of {dim} values, and the run's have {state['dim']}")
        return self._tables[role]

    def _read(self, role: Role) -> FeatureTable:
        if role in self._tables:
            return self._tables[role]
        file, ids, place = self.file(role), self._ids[role], self._places.get(role)
        assert file is not None
        table = read_features(file, key=self._key, medium=self._medium)
        if ids is not None:
            table = table.named(read_ids(Path(ids)), ids)
        elif "id" not in table.facts and file != place:
            manifest = _manifest(place)
            if manifest is None:
                raise DataError(
                    f"{file}: it does not say whose its {len(table)} rows are; name them with "
                    f"{self._flag} {role}_ids=FILE"
                )
            table = table.named(read_ids(manifest), str(manifest))
        if self._medium == "text":
            table = table.with_names()
        _ = table.numbers  # looked up now, since ids may be missing or doubled
        self._tables[role] = table
        return table

    def _digest(self, role: Role) -> str:
        """Names what a role's files hold, wherever they lie."""
        file, ids = self.file(role), self._ids[role]
        found = [features_digest(Path(one)) if one is not None else "none" for one in (file, ids)]
        return " ".join(found)


def _manifest(place: Path | None) -> Path | None:
    """The manifest of a data set that has one."""
    if place is None:
        return None
    file = place / MANIFEST_NAME if place.is_dir() else place
    return file if file.suffix == ".jsonl" and file.is_file() else None


def read_ids(file: Path) -> list[str]:
    """The ids of a manifest (`.jsonl`) in its order, or the lines of a text file.

    Raises:
        DataError: the file cannot be read, is no good manifest, or has an empty line.
    """
    if file.suffix == ".jsonl":
        return [pair.id for pair in load_manifest(file, pictures=False).pairs]
    try:
        with file.open(encoding="utf-8-sig") as stream:
            lines = list(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{file}:{number}: an empty line, where each is an id")
    return [line.strip() for line in lines]


def _of_rows(name: str, medium: Medium, dim: int, space: str | None) -> Encoder:
    """For who has rows at hand, whose encoder nobody else knows."""

    def refuse(items: Sequence[Item]) -> Tensor:
        raise UsageError(f"encoder '{name}' has no file of features, and takes no {medium}s: give rows of {dim} values")

    module = nn.Identity()
    fingerprint = f"{name}/rows of {dim}"
    return Encoder(prepare=refuse, module=module, dim=dim, fingerprint=fingerprint, cached=False, space=space)
