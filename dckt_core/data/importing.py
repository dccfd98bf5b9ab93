"""Makes a data set with `pairs.jsonl` of data in any layout: `dckt import`. No torch in here.

First all records are read and held to what a manifest is held to, so that what is wrong is told at once and whole. Then
record by record the pictures are put into place and looked at; what is done is noted in a file (`staging`), so that an
import that was stopped goes on where it was. At the end the splits are drawn and the manifest is written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.progress import logger
from dckt_core.contract.discovery import Registered, blame
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import Pair, Split
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.records import Record
from dckt_core.data.classes import CLASSES_NAME
from dckt_core.data.context import Context
from dckt_core.data.faults import Faults, Problem
from dckt_core.data.manifest import FIELDS, MANIFEST_NAME, NO_SPLIT, ManifestError, check_fields
from dckt_core.data.partition import Shares
from dckt_core.data.partitioning import MADE, TOGETHER, Together, drawn, merged
from dckt_core.data.placing import FOLDER, Images, Looked, put
from dckt_core.data.records import Reading, data_folder, safe_name
from dckt_core.data.screening import Dropped, OnError
from dckt_core.data.sources import find_layout
from dckt_core.data.staging import FILE as STAGING
from dckt_core.data.staging import Placed, Staging
from dckt_core.io.files import held, make_folder, write_text
from dckt_core.io.json import read_json, write_json, write_lines
from dckt_core.io.text import check_inside, read_text, shown

HEADER, DROPPED = "import.json", "dropped.jsonl"
FORMAT = 1
BATCH = 64
"""Records whose pictures are put into place at once."""
THREADS = 4
NAMED = 10
"""Kinds of faults, or fields, that are told."""
TOLD = ("counts", "kept_together", "dropped", "outside", "read_as", "labelled", "metadata")
"""What the header says of what the import came to."""


@dataclass(frozen=True)
class Plan:
    """How data are brought in.

    Attributes:
        layout: its name; `auto` to recognise it.
        options: of the layout.
        images: whether pictures are linked (copied where there are no hard links), copied, or left where they are.
        captions: `each`: a pair for each text of a picture; `joined`: one pair, with the texts put together.
        shares: of train, val and test, drawn anew; None for the splits that the data state.
        seed: of the draw.
        together: what may not come into two splits.
        splits: what further words for splits mean.
        on_error: `fail`: nothing is written where a record or a picture is bad; `skip`: it is left out.
        max_bad_fraction: share of the records that `skip` may leave out.
    """

    layout: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    images: Images = "link"
    captions: Literal["each", "joined"] = "each"
    shares: Shares | None = None
    seed: int = 0
    together: tuple[Together, ...] = TOGETHER
    splits: Mapping[str, Split] = field(default_factory=dict)
    on_error: OnError = "fail"
    max_bad_fraction: float = 0.01


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        path: the data set's folder.
        layout: that the data were read in.
        counts: pairs and items by split.
        kept_together: how many pictures are `equal` to another one, or `near` to one, and were kept on its side.
        dropped: records that were left out.
        outside: pictures that stayed outside the folder.
        read_as: what was read otherwise than it is written, and how often.
        labelled: how many have a label.
        metadata: fields that are kept as metadata, the first ones.
    """

    path: Path
    layout: str
    counts: Mapping[str, int]
    kept_together: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0
    outside: int = 0
    read_as: Mapping[str, int] = field(default_factory=dict)
    labelled: int = 0
    metadata: tuple[str, ...] = ()


def import_data(
    location: Path | str, out: Path | str, plan: Plan = Plan(), *, context: Context | None = None
) -> Imported:
    """Makes the data set `out` of what lies at `location`. One that was stopped goes on when the same is asked again.

    Raises:
        DataError: no layout is recognised, or a record or a picture is bad under `fail`, or more are than may be; the
            message names the first kind of fault, and the log the others.
        UsageError: the folder holds something else, or another import is at work in it; a bad option.
    """
    location, out = Path(location), Path(out)
    context = context or Context()
    registered = find_layout(location, context.registry, plan.layout)
    options = parse_options(registered.spec, plan.options, where=f"layout '{registered.name}'")
    if not location.exists():
        raise DataError(f"{location}: no such file or folder")
    _check_apart(location, out, plan.images)
    make_folder(out)
    with held(out, "another import is at work in it"):
        task = _Task(location, out, registered, options, plan, context)
        if (done := task.already()) is not None:
            logger.info("%s: complete already", out)
            return done
        return task.run()


def _check_apart(location: Path, out: Path, images: Images) -> None:
    """Raises UsageError where pictures would come into the folder that they are read from."""
    folder, target = Path(os.path.realpath(data_folder(location))), Path(os.path.realpath(out))
    if target.is_relative_to(folder) and images != "keep" and location.is_dir():
        raise UsageError(f"{out}: lies in the data that are read; choose a folder beside them, or --images keep")


class _Task:
    """One import."""

    def __init__(
        self, location: Path, out: Path, registered: Registered, options: Any, plan: Plan, context: Context
    ) -> None:
        self.location, self.out, self.registered, self.options = location, out, registered, options
        self.plan, self.context, self.folder = plan, context, data_folder(location)
        self.root = os.path.realpath(self.folder)
        self.split = getattr(options, "split", None)
        said = to_jsonable_python(asdict(options)) if options is not None else {}
        self.asked = {
            "layout": registered.name,
            "location": str(location.absolute()),
            "options": said,
            "images": plan.images,
            "splits": dict(plan.splits),
        }
        self.drawn = {
            "captions": plan.captions,
            "shares": list(plan.shares) if plan.shares else None,
            "seed": plan.seed if plan.shares else None,
            "together": list(plan.together) if plan.shares else None,
            "on_error": plan.on_error,
        }

    def already(self) -> Imported | None:
        """What was imported here before by the same plan; None where nothing was.

        Raises:
            UsageError: something else lies here.
        """
        if (self.out / HEADER).is_file():
            header = read_json(self.out / HEADER, "the header of an import", format=FORMAT)
            if {key: header.get(key) for key in (*self.asked, *self.drawn)} == {**self.asked, **self.drawn}:
                if header.get("source") != self.look_through()[1]:
                    changed = "holds an import of these data, which have changed since"
                    raise UsageError(f"{self.out}: {changed}; remove it, or choose another folder")
                found = {key: header[key] for key in TOLD}
                return Imported(self.out, self.registered.name, **found | {"metadata": tuple(found["metadata"])})
            raise UsageError(f"{self.out}: holds an import of other data or by another plan; choose another folder")
        written = {FOLDER, MANIFEST_NAME, DROPPED, CLASSES_NAME}
        own = written if (self.out / STAGING).is_file() else set()
        in_place = self.plan.images == "keep" and os.path.realpath(self.out) == self.root
        there = [file.name for file in self.out.iterdir() if not file.name.startswith(".") and file.name not in own]
        if in_place and MANIFEST_NAME not in there:
            return None
        if there:
            raise UsageError(f"{self.out}: not empty, and no import that was stopped; choose another folder")
        return None

    # --- reading ----------------------------------------------------------------------------------------------

    def records(self, *, pictures: bool) -> Iterator[Record]:
        """What the layout states, one by one.

        Args:
            pictures: False where no bytes of pictures are needed.
        """
        given = self.context.for_dataset(pictures=pictures)
        with blame(self.registered):
            if self.registered.spec.records is not None:
                yield from self.registered.spec.records(self.location, self.options, given)
            else:
                yield from _of_pairs(self.registered, self.location, self.options, given)

    def reading(self) -> Reading:
        return Reading(self.folder, splits=self.plan.splits, split=None if self.plan.shares else self.split)

    def checked(self, reading: Reading, *, pictures: bool) -> Iterator[tuple[Record, list[dict[str, Any]], str]]:
        """Each record with its entries, or with the reason why there are none."""
        ids: set[bytes] = set()
        for record in self.records(pictures=pictures):
            try:
                entries = self.entries(record, reading)
                for entry in entries:
                    _claim(entry.get("id"), ids)
            except ValueError as error:
                yield record, [], str(error)
            else:
                yield record, entries, ""

    def entries(self, record: Record, reading: Reading) -> list[dict[str, Any]]:
        """The entries of a record, all in order; raises ValueError where one is not."""
        drawn = self.plan.shares is not None
        if drawn and record.fields.get("split", self.split) is not None:  # in whatever words
            reading.read_as["splits that the data state are set aside, since --split draws others"] += 1
            record = replace(record, fields={**record.fields, "split": None})
        entries = list(reading.entries(record))
        for entry in entries:
            if "split" not in entry and not drawn:
                raise ValueError(NO_SPLIT)
            check_fields({"split": "train", **entry})
            if "image" in entry and record.picture is None:
                check_inside(self.root, entry["image"], "image", roots=self.context.image_roots)
        return entries

    def look_through(self) -> tuple[int, str, Mapping[str, int]]:
        """Reads all records; how many there are, a digest of what they say, and what was read otherwise than written.

        Raises:
            DataError: there are none, or too many are bad.
        """
        faults, reading = Faults(), self.reading()
        cut: Problem | None = None
        digest, count = hashlib.sha256(), 0
        for record, _, reason in self.checked(reading, pictures=False):
            count += 1
            said = (os.path.relpath(record.file, self.location), record.line, record.fields, record.fault)
            digest.update(json.dumps(said, default=str, ensure_ascii=True).encode())
            if reason:
                problem = Problem(record.file, record.line, reason, record.cut)
                faults.add(problem)
                cut = cut or (problem if record.cut else None)
            if count % 1000 == 0:
                self.context.progress(count, count + 1, "reading")
        if not count:
            raise DataError(f"{self.location}: holds no pairs")
        self.context.progress(count, count, "reading")
        if cut is not None and self.plan.on_error == "skip":  # a share of what nobody has counted is none
            raise DataError(f"{cut}; --on-error skip leaves out records, and not the rest of a file")
        self.refuse(faults, count)
        return count, digest.hexdigest(), reading.read_as

    def refuse(self, faults: Faults, total: int) -> None:
        """Raises DataError where there are more faults than may be."""
        share = self.plan.max_bad_fraction if self.plan.on_error == "skip" else 0.0
        if faults.count <= share * total:
            return
        first, *others = faults
        for fault in others[:NAMED]:
            logger.warning("%s", fault)
        if len(others) > NAMED:
            logger.warning("%s: %d more kinds of faults", self.location, len(others) - NAMED)
        if self.plan.on_error == "skip":
            bad = f"{faults.count} of {total} records are bad, more than --max-bad-fraction {share:g} allows"
            raise DataError(f"{self.location}: {bad}; first {first}")
        raise DataError(f"{first}{'; what else is wrong is told above' if others else ''}")

    # --- doing ------------------------------------------------------------------------------------------------

    def run(self) -> Imported:
        count, source, read_as = self.look_through()
        for how, times in read_as.items():
            logger.info("%s: %s (%d records)", self.location, how, times)
        staging = self.staged(source)
        try:
            self.place_all(staging, count)
            self.refuse(Faults(staging.dropped()), count)
            imported = self.write(staging, read_as, source)
        except BaseException:
            staging.close()
            raise
        staging.remove()
        return imported

    def staged(self, source: str) -> Staging:
        """What was done before, if it was of the same data and by the same plan; else nothing yet."""
        staging, asked = Staging(self.out), json.dumps([self.asked, source], sort_keys=True)
        before = staging.said("asked")
        bad = self.plan.on_error == "fail" and next(staging.dropped(), None) is not None
        if before is not None and (before != asked or bad):
            why = "a picture was bad" if bad else "the data or the plan have changed"
            logger.info("%s: %s since it was stopped, so all is begun anew", self.out, why)
            staging.remove()
            staging, before = Staging(self.out), None
        if before is None:
            staging.say("done", "0")
            staging.say("asked", asked)
        return staging

    def place_all(self, staging: Staging, count: int) -> None:
        """Puts all pictures into place, behind those that are."""
        done, copied = int(staging.said("done") or 0), 0
        what = f"importing {count} records"
        if done:
            logger.info("%s: going on behind %d of %d records", self.out, done, count)
        self.context.progress(done, count, what)
        records = islice(self.checked(self.reading(), pictures=True), done, None)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="dckt-import") as pool:
            while done < count and (batch := list(islice(records, BATCH))):
                staging.run("BEGIN")
                copied += self.place(staging, batch, pool)
                done += len(batch)
                staging.say("done", str(done))
                staging.run("COMMIT")
                self.context.progress(done, count, what)
        if copied:
            logger.info("%s: %d pictures are copied, since they cannot be linked from there", self.out, copied)

    def place(
        self, staging: Staging, batch: Sequence[tuple[Record, list[dict[str, Any]], str]], pool: ThreadPoolExecutor
    ) -> int:
        """Puts the pictures of some records into place and notes all that they say; how many had to be copied."""
        places: list[Placed | None] = []
        looks: dict[int, Future[Looked]] = {}
        for record, entries, _ in batch:
            image = entries[0].get("image") if entries else None
            places.append(self.place_of(staging, record, image, looks, pool) if image else None)
        faults = {}
        for number, future in looks.items():
            looked = future.result()
            faults[number] = looked.fault
            staging.note_picture(number, looked.digest, looked.look, looked.fault)
        for (record, entries, reason), place in zip(batch, places, strict=True):
            fault = faults.get(place.number, place.fault) if place else ""
            if reason or fault:
                problem = Problem(record.file, record.line, reason or f"image {shown(entries[0]['image'])}: {fault}")
                staging.drop(problem)
                continue
            for entry in entries:
                fields = {key: value for key, value in entry.items() if key != "image"}
                staging.add(place.number if place else None, fields | ({MADE: True} if record.made else {}))
        return sum(future.result().copied for future in looks.values())

    def place_of(
        self, staging: Staging, record: Record, image: str, looks: dict[int, Future[Looked]], pool: ThreadPoolExecutor
    ) -> Placed:
        """The place of a record's picture, which it is on its way to; each picture has one."""
        embedded = record.picture is not None
        source = f"{record.file}!{record.line}" if embedded else os.path.join(self.root, image)  # noqa: PTH118
        if (there := staging.picture(source)) is not None:
            return there
        if self.plan.images == "keep" and not embedded:
            target = Path(source)
            inside = os.path.relpath(target, self.out.absolute())
            is_in = Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.out))
            named = staging.keep(source, Path(inside).as_posix() if is_in else str(target))
        else:
            named = staging.place(source, f"{FOLDER}/{safe_name(image).removeprefix(f'{FOLDER}/')}")
            target = self.out / named.path
        content = Path(source) if record.picture is None else record.picture
        looks[named.number] = pool.submit(put, content, target, self.plan.images)
        return named

    def write(self, staging: Staging, read_as: Mapping[str, int], source: str) -> Imported:
        """Draws the splits, and writes the manifest and what tells of it."""
        joined, plan = self.plan.captions == "joined", self.plan
        splits, together = None, dict[str, int]()
        if plan.shares is not None:
            splits, together = drawn(staging, plan.shares, plan.seed, plan.together, joined=joined)
        counts: Counter[str] = Counter()
        labelled, fields = [0], dict[str, None]()

        def lines() -> Iterator[dict[str, Any]]:
            for number, group in enumerate(staging.items(joined=joined)):
                entry = merged(group)
                if splits is not None:
                    entry["split"] = splits[number]
                counts[entry["split"]] += 1
                labelled[0] += "label" in entry
                fields.update(dict.fromkeys(entry.get("metadata", ())) if len(fields) < NAMED else {})
                yield {key: entry[key] for key in FIELDS if key in entry}

        dropped = [Dropped(problem).as_json() for problem in staging.dropped()]
        if dropped:
            write_lines(self.out / DROPPED, dropped)
        names = self.folder / CLASSES_NAME
        if names.is_file() and not (self.out / CLASSES_NAME).exists():
            write_text(self.out / CLASSES_NAME, read_text(names) + "\n")
        write_lines(self.out / MANIFEST_NAME, lines())
        imported = Imported(
            path=self.out,
            layout=self.registered.name,
            counts=dict(counts),
            kept_together=together,
            dropped=len(dropped),
            outside=sum(map(os.path.isabs, staging.paths())),
            read_as=dict(read_as),
            labelled=labelled[0],
            metadata=tuple(fields)[:NAMED],
        )
        told = {key: getattr(imported, key) for key in TOLD}
        write_json(self.out / HEADER, {"format": FORMAT, **self.asked, **self.drawn, "source": source, **told})
        return imported


def _claim(name: str | None, ids: set[bytes]) -> None:
    """Raises ValueError where another pair has the id."""
    if name is None:
        return
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).digest()
    if digest in ids:
        raise ValueError(f"id {shown(name)} is that of an earlier pair too")
    ids.add(digest)


def _of_pairs(registered: Registered, location: Path, options: Any, context: DatasetContext) -> Iterator[Record]:
    """The pairs that a layout loads as records, and what is wrong with its lines."""
    try:
        pairs, problems = registered.spec.load(location, options, context).pairs, []
    except ManifestError as error:
        pairs, problems = error.good.pairs, error.problems
    for problem in problems:
        yield Record(problem.file, problem.line, fault=problem.reason)
    folder = data_folder(location).absolute()
    for pair in pairs:
        yield Record(location, None, _fields(pair, folder))


def _fields(pair: Pair, folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": pair.text, "label": pair.label, "split": pair.split, "metadata": pair.metadata}
    if pair.captions:
        fields["captions"] = pair.captions
    if pair.image is not None:
        image = pair.image.absolute()
        fields["image"] = image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)
    return {**fields, "id": pair.id} if pair.id != fields.get("image") else fields
