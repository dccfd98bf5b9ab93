"""Extracts shard by shard: a killed extraction goes on behind the last whole one, and one that was stopped or met a bad
item where it was, with the same bits on a CPU.

Items are decoded in threads, one batch ahead of the module, from one shard to the next too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.allocator import memory_kept
from dckt_core.base.errors import AlteredError, DataError, UsageError
from dckt_core.base.memory import advising
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import ImageItem, Pair, TextItem
from dckt_core.data.coverage import cover, tell
from dckt_core.data.cut_texts import count_cut, tell_cut
from dckt_core.data.faults import Faults, Problem
from dckt_core.data.features import check_finite
from dckt_core.data.findings import Finding
from dckt_core.data.health import repeats
from dckt_core.data.health import tell as tell_findings
from dckt_core.data.prepare import Preparer, prepare
from dckt_core.data.sameness import picture_names
from dckt_core.data.screening import Dropped, OnError
from dckt_core.io.files import held, make_folder
from dckt_core.io.json import write_lines
from dckt_core.io.seal import digests
from dckt_core.retrieval.extractor import Extractor
from dckt_core.retrieval.listing import Entry, Listing
from dckt_core.retrieval.shards import (
    DROPPED,
    FORMAT,
    ITEMS,
    Extraction,
    Header,
    Input,
    Shard,
    ShardFile,
    open_extraction,
    read_header,
    read_shard,
    write_header,
    write_shard,
)
from dckt_core.runs.folder import environment

SHARD_SIZE = 4096
"""Items in a shard. Its rows are held in memory until it is written."""

BATCH = 64


def extract(
    extractor: Extractor,
    listing: Listing,
    out: Path,
    *,
    shard_size: int = SHARD_SIZE,
    batch: int = BATCH,
    on_error: OnError = "fail",
    max_bad_fraction: float = 0.01,
    progress: Progress = silent,
) -> Extraction:
    """Rows of all items of a listing into a folder, which is made, or gone on with where it is not complete.

    Args:
        batch: items that pass the module at once; it may change the last bits of a row.
        on_error: `fail` ends at the first bad line or item, `skip` leaves it out.
        max_bad_fraction: share of lines and items that `skip` may leave out, in [0, 1].

    Raises:
        DataError: a line or an item is bad under `fail`, or more are than may be; the message names one.
        UsageError: the folder holds something else, or another process is at work in it.
    """
    task = _Task(extractor, listing, shard_size, batch, on_error, max_bad_fraction)
    make_folder(out)
    with held(out, "another extraction is at work in it"):
        header, ours = _header_of(out)
        if not ours and any(not file.name.startswith(".") for file in out.iterdir()):
            raise UsageError(f"{out}: not empty, and no extraction; choose another folder")
        if header is not None and header.key != task.key:
            raise UsageError(f"{out}: holds an extraction of other items or by other means; choose another folder")
        task.refuse_bad_lines()
        if task.words is not None:
            tell(listing.origin, {"": task.words})
        tell_cut(listing.origin, task.cut_texts or 0, len(listing.entries))
        tell_findings(listing.origin, repeated(listing.entries))
        there = task.whole_shards(out)
        task.refuse_dropped(there.values())
        if header is not None and header.complete and len(there) == task.shards and _is_whole(out, header):
            logger.info("%s: complete already", out)
            return Extraction(out, header)
        header = task.header()
        write_header(out, header)
        shards = task.run(out, there, progress)
        kept, dropped = task.kept_and_dropped(shards)
        write_lines(out / ITEMS, (entry.as_json(listing.root) for entry in kept))
        if dropped:
            write_lines(out / DROPPED, (one.as_json() for one in dropped))
        files = tuple(ShardFile(shard_name(number), len(shard.ids)) for number, shard in enumerate(shards))
        said = [out / file.file for file in files] + [out / ITEMS] + [out / DROPPED] * bool(dropped)
        header = replace(header, count=len(kept), dropped=len(dropped), shards=files)
        write_header(out, replace(header, complete=True, files=digests(out, said)))
    return open_extraction(out)


def _header_of(out: Path) -> tuple[Header | None, bool]:
    """What `extraction.json` says, and whether the folder is an extraction's; an altered one says nothing."""
    try:
        header = read_header(out)
    except AlteredError as error:
        logger.warning("%s", error)
        return None, True
    return header, header is not None


def _is_whole(out: Path, header: Header) -> bool:
    """Whether all files are what they were; one that is not is told of."""
    try:
        Extraction(out, header).seal.check(*(out / name for name in header.files))
    except AlteredError as error:
        logger.warning("%s", error)
        return False
    return True


def extraction_key(extractor: Extractor, listing: Listing, shard_size: int = SHARD_SIZE) -> str:
    """Names all that the rows of an extraction and their division into shards depend on: 64 hexadecimal digits."""
    said = [FORMAT, extractor.fingerprint, extractor.dim, extractor.medium, shard_size, _identity(listing)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def shard_name(number: int) -> str:
    return f"shard-{number:05}.safetensors"


def part_name(number: int) -> str:
    """Of a shard that is not whole yet."""
    return f".part-{number:05}.safetensors"


@dataclass(frozen=True)
class _Batch:
    shard: int
    entries: Sequence[Entry]
    ends_shard: bool


class _Task:
    """One extraction, wherever it goes to."""

    def __init__(
        self,
        extractor: Extractor,
        listing: Listing,
        shard_size: int,
        batch: int,
        on_error: OnError,
        max_bad_fraction: float,
    ) -> None:
        self.extractor = extractor
        self.listing = listing
        self.shard_size, self.batch = shard_size, batch
        self.on_error, self.max_bad_fraction = on_error, max_bad_fraction
        self.key = extraction_key(extractor, listing, shard_size)
        self.total = len(listing.entries) + len(listing.problems)
        self.shards = -(-len(listing.entries) // shard_size)
        words, cut = extractor.encoder.words, extractor.encoder.cut
        texts = [entry.item.text for entry in listing.entries if isinstance(entry.item, TextItem)]
        self.words = cover(words, texts) if words and texts else None
        self.cut_texts = count_cut(cut, texts) if cut and texts else None

    def header(self) -> Header:
        return Header(
            key=self.key,
            medium=self.extractor.medium,
            dim=self.extractor.dim,
            made_by=self.extractor.provenance,
            input=Input(self.listing.origin, str(self.listing.root.absolute()), len(self.listing.entries)),
            shard_size=self.shard_size,
            batch=self.batch,
            device=str(self.extractor.device),
            on_error=self.on_error,
            max_bad_fraction=self.max_bad_fraction,
            environment=environment(),
            words=self.words,
            cut_texts=self.cut_texts,
        )

    def whole_shards(self, out: Path) -> dict[int, Shard]:
        """The shards that are there already and whole, by number."""
        found: dict[int, Shard] = {}
        for number in range(self.shards):
            file = out / shard_name(number)
            try:
                if file.exists():
                    found[number], _ = read_shard(file, self.key, self.extractor.dim)
            except DataError as error:
                logger.warning("%s; made anew", error)
        return found

    def refuse_bad_lines(self) -> None:
        problems = self.listing.problems
        if problems and self.on_error == "fail":
            faults = Faults(problems)
            more = faults.count - faults.first.count
            rest = f" (and {more} more; on_error = 'skip' leaves them out)" if more else ""
            raise DataError(f"{faults.first}{rest}")
        self._check_share(len(problems), str(problems[0]) if problems else "")

    def refuse_dropped(self, shards: Iterable[Shard]) -> None:
        """Raises DataError where more lines and items of finished shards are bad than may be."""
        reasons = [reason for shard in shards for _, reason in shard.dropped]
        if reasons and self.on_error == "fail":
            raise DataError(
                f"{reasons[0]} (left out before, by on_error = 'skip'; choose another folder, or skip again)"
            )
        self._check_share(len(self.listing.problems) + len(reasons), reasons[0] if reasons else "")

    def run(self, out: Path, there: dict[int, Shard], progress: Progress) -> list[Shard]:
        """All shards: those that are there already, and those that are made now."""
        entries, extractor = self.listing.entries, self.extractor
        todo = [number for number in range(self.shards) if number not in there]
        begun, parts = self._begun(out, todo)
        ids, dropped = begun.ids, begun.dropped
        done = sum(len(shard.ids) + len(shard.dropped) for shard in (*there.values(), begun))
        bad = len(self.listing.problems) + sum(len(shard.dropped) for shard in (*there.values(), begun))
        what = f"extracting {len(entries)} {extractor.medium}{'s' * (len(entries) != 1)}"
        if done:
            logger.info("%s: going on behind %d of %d items", out, done, len(entries))
        progress(done, len(entries), what)
        advice = f"try a smaller batch (now {self.batch}) or shard_size (now {self.shard_size})"
        preparer = Preparer(extractor.encoder, [entry.item for entry in entries[:1]])
        try:
            with torch.no_grad(), advising(lambda: f"while {what}", advice), memory_kept:
                for batch, ready in _one_ahead(preparer, self._batches(todo, len(ids) + len(dropped))):
                    rows, reasons = self._rows(batch, ready)
                    parts.append(rows)
                    dropped += [(len(ids) + len(dropped) + place, reason) for place, reason in reasons.items()]
                    ids += [entry.id for place, entry in enumerate(batch.entries) if place not in reasons]
                    if reasons:
                        bad += len(reasons)
                        self._check_share(bad, next(iter(reasons.values())))
                    done += len(batch.entries)
                    if batch.ends_shard:
                        shard = Shard(ids, dropped)
                        write_shard(out / shard_name(batch.shard), self.key, shard, torch.cat(parts))
                        parts, ids, dropped = [], [], []  # before it counts as there: the rows are of this shard
                        there[batch.shard] = shard
                        (out / part_name(batch.shard)).unlink(missing_ok=True)
                    progress(done, len(entries), what)
        except BaseException:
            if parts:
                number = next(number for number in todo if number not in there)
                write_shard(out / part_name(number), self.key, Shard(ids, dropped), torch.cat(parts))
            raise
        finally:
            preparer.close()
        return [there[number] for number in range(self.shards)]

    def _begun(self, out: Path, todo: Sequence[int]) -> tuple[Shard, list[Tensor]]:
        """What is there of the first shard to be made: whole batches, as they pass the module again."""
        file = out / part_name(todo[0]) if todo else None
        if file is not None and file.exists():
            try:
                shard, rows = read_shard(file, self.key, self.extractor.dim)
                fails = self.on_error == "fail" and shard.dropped
                if (len(shard.ids) + len(shard.dropped)) % self.batch == 0 and not fails:
                    return shard, [rows]
            except DataError as error:
                logger.warning("%s; made anew", error)
        return Shard([], []), []

    def kept_and_dropped(self, shards: Sequence[Shard]) -> tuple[list[Entry], list[Dropped]]:
        """Entries that have a row, in the order of the rows; bad lines, then bad items."""
        kept: list[Entry] = []
        dropped = [Dropped(problem) for problem in self.listing.problems]
        for number, shard in enumerate(shards):
            reasons = dict(shard.dropped)
            start = number * self.shard_size
            for place, entry in enumerate(self.listing.entries[start : start + self.shard_size]):
                if place not in reasons:
                    kept.append(entry)
                    continue
                item = entry.item
                file = item.path if isinstance(item, ImageItem) else Path(self.listing.origin)
                problem = Problem(file, None, reasons[place].removeprefix(f"{file}: "))
                dropped.append(Dropped(problem, entry.id))
        return kept, dropped

    def _batches(self, shards: Sequence[int], begun: int) -> Iterator[_Batch]:
        """Those of some shards; of the first one so many items are done."""
        for shard in shards:
            first = shard * self.shard_size
            last = min(first + self.shard_size, len(self.listing.entries))
            for start in range(first + begun * (shard == shards[0]), last, self.batch):
                stop = min(start + self.batch, last)
                yield _Batch(shard, self.listing.entries[start:stop], stop == last)

    def _rows(self, batch: _Batch, ready: Callable[[], Tensor]) -> tuple[Tensor, dict[int, str]]:
        """Rows of a batch's good items, and the reason for each bad one, by its place in the batch."""
        extractor, items = self.extractor, [entry.item for entry in batch.entries]
        reasons: dict[int, str] = {}
        try:
            inputs = ready()
        except DataError:
            if self.on_error == "fail":
                raise
            good = []
            for place, item in enumerate(items):
                try:
                    good.append(prepare(extractor.encoder, [item]))
                except DataError as error:
                    reasons[place] = str(error)
            if not good:
                return torch.empty(0, extractor.dim), reasons
            inputs = torch.cat(good)
        rows = extractor.rows(inputs.to(extractor.device)).cpu()
        if self.on_error == "fail":
            check_finite(rows, items)
            return rows, reasons
        places = [place for place in range(len(items)) if place not in reasons]
        finite = torch.isfinite(rows).all(dim=1)
        for row in (~finite).nonzero().flatten().tolist():
            reasons[places[row]] = "its features are not finite numbers"
        return rows[finite], dict(sorted(reasons.items()))

    def _check_share(self, bad: int, example: str) -> None:
        if bad > self.max_bad_fraction * self.total:
            raise DataError(
                f"{self.listing.origin}: {bad} of {self.total} items are bad so far, more than "
                f"max_bad_fraction = {self.max_bad_fraction:g} allows; such as {example}"
            )


def repeated(entries: Sequence[Entry]) -> Iterator[Finding]:
    """What is empty among some items, and what is equal to an earlier one."""
    pairs = [
        Pair(entry.id, item.path, None, None, "train")
        if isinstance(item := entry.item, ImageItem)
        else Pair(entry.id, None, item.text, None, "train")
        for entry in entries
        if isinstance(entry.item, ImageItem) or entry.item.text is not None  # a row of features may be of neither
    ]
    return repeats(pairs, picture_names(pair.image for pair in pairs if pair.image is not None))


def _one_ahead(preparer: Preparer, batches: Iterator[_Batch]) -> Iterator[tuple[_Batch, Callable[[], Tensor]]]:
    """Each batch and what waits for its inputs; the next one is being prepared by then."""
    waiting: tuple[_Batch, Callable[[], Tensor]] | None = None
    for batch in batches:
        submitted = batch, preparer.submit([entry.item for entry in batch.entries])
        if waiting is not None:
            yield waiting
        waiting = submitted
    if waiting is not None:
        yield waiting


def _identity(listing: Listing) -> str:
    """Names the items; of an image the size and the time of its last change stand for what it holds."""
    digest = hashlib.sha256()
    for entry in listing.entries:
        said: list[Any] = [entry.as_json(listing.root)]
        if isinstance(entry.item, ImageItem):
            try:
                found = entry.item.path.stat()
                said += [found.st_size, found.st_mtime_ns]
            except OSError:
                said += ["gone"]
        digest.update(f"{json.dumps(said)}\n".encode())
    return digest.hexdigest()
