"""Extraction shard by shard: the same rows whatever happens on the way, and what is left out is told of."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.rng import generator_for
from dckt_core.contract.pairs import TextItem
from dckt_core.contract.protocols import Encoder
from dckt_core.data.coverage import Coverage
from dckt_core.io.files import held
from dckt_core.retrieval.extract import extract
from dckt_core.retrieval.extractor import Extractor
from dckt_core.retrieval.listing import Entry, Listing
from dckt_core.retrieval.shards import open_extraction
from tests.support.tolerance import assert_same

DIM, WIDTH = 5, 12
Rows = Callable[[Tensor], Tensor]


def linear() -> nn.Module:
    layer = nn.Linear(WIDTH, DIM, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for weights in layer.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator_for(0, "layer")))
    return layer


def letters(items: list[TextItem]) -> Tensor:
    """A text's first letters as numbers; one with a `!` cannot be prepared, one with a `?` has no finite features."""
    for item in items:
        if "!" in item.text:
            raise DataError(f"text '{item.id}' shouts")
    codes = [[float(ord(letter)) for letter in item.text[:WIDTH].ljust(WIDTH)] for item in items]
    asked = torch.tensor(["?" in item.text for item in items])
    return torch.tensor(codes).masked_fill(asked[:, None], torch.inf)


def extractor(rows: Rows | None = None, fingerprint: str = "letters") -> Extractor:
    module = linear()
    encoder = Encoder(prepare=letters, module=module, dim=DIM, fingerprint=fingerprint)
    device = torch.device("cpu")
    return Extractor("text", encoder, rows or module, DIM, device, fingerprint, {"encoder": fingerprint})


def listing(*texts: str) -> Listing:
    return Listing("texts", Path(), [Entry(TextItem(f"t{n}", text), label=text[:1]) for n, text in enumerate(texts)])


TEXTS = [f"{number**3} is a number" for number in range(23)]
SIZES: dict[str, Any] = {"shard_size": 5, "batch": 2}


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, hidden files aside."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def test_rows_are_those_of_the_module_in_the_order_of_the_items(tmp_path: Path) -> None:
    done = extract(extractor(), listing(*TEXTS), tmp_path / "out", **SIZES)
    ids, rows = done.load()
    assert ids == [f"t{n}" for n in range(len(TEXTS))]
    expected = linear()(letters([TextItem("", text) for text in TEXTS]))
    assert_same(rows, expected, terms=DIM)
    assert [len(names) for names, _ in done.shards()] == [5, 5, 5, 5, 3]
    assert list(done.items()) == [{"id": f"t{n}", "text": text, "label": text[:1]} for n, text in enumerate(TEXTS)]
    assert (len(done), done.dim, done.medium) == (23, DIM, "text")


def test_the_header_says_what_made_the_rows_and_of_what(tmp_path: Path) -> None:
    header = json.loads((extract(extractor(), listing(*TEXTS), tmp_path, **SIZES).path / "extraction.json").read_text())
    assert header["made_by"] == {"encoder": "letters"}
    assert header["input"]["location"] == "texts"
    assert header["input"]["items"] == 23
    assert header["environment"]["packages"]["torch"] == metadata.version("torch")
    assert [shard["count"] for shard in header["shards"]] == [5, 5, 5, 5, 3]
    assert header["complete"] is True


def test_how_many_words_have_vectors_is_told_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dckt")
    by = extractor()
    encoder = replace(by.encoder, words=lambda text: [(word, word == "number") for word in text.split()])
    done = extract(replace(by, encoder=encoder), listing(*TEXTS), tmp_path, **SIZES)
    assert done.header.words == open_extraction(tmp_path).header.words == Coverage(92, 23)
    assert done.header.provenance()["words"] == {"words": 92, "known": 23}
    (record,) = caplog.records
    assert record.getMessage().startswith("texts: words of the texts that have vectors: 25.0% of 92; ")
    assert extract(extractor(), listing(*TEXTS), tmp_path / "other", **SIZES).header.words is None


class Stop(BaseException):
    """Ends an extraction as an interrupt would."""


@pytest.mark.parametrize("calls", [0, 1, 4, 7, 11])
def test_stopped_anywhere_it_goes_on_with_the_same_bits(tmp_path: Path, calls: int) -> None:
    whole = extract(extractor(), listing(*TEXTS), tmp_path / "whole", **SIZES)
    module, seen = linear(), 0

    def stopping(inputs: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        if seen > calls:
            raise Stop
        return module(inputs)

    out = tmp_path / "stopped"
    with pytest.raises(Stop):
        extract(extractor(stopping), listing(*TEXTS), out, **SIZES)
    with pytest.raises(DataError, match="not a finished extraction"):
        open_extraction(out)
    encoded: list[int] = []

    def counting(inputs: Tensor) -> Tensor:
        encoded.append(len(inputs))
        return module(inputs)

    extract(extractor(counting), listing(*TEXTS), out, **SIZES)
    assert files(out) == files(whole.path)
    done = 5 * (calls // 3) + 2 * (calls % 3)
    assert sum(encoded) == len(TEXTS) - done, "three batches make a shard; whole shards and whole batches are kept"
    assert not list(out.glob(".part-*"))


def slowly(out: Path) -> None:
    module = linear()

    def rows(inputs: Tensor) -> Tensor:
        time.sleep(0.05)
        return module(inputs)

    extract(extractor(rows), listing(*TEXTS), out, **SIZES)


def test_killed_it_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    whole = extract(extractor(), listing(*TEXTS), tmp_path / "whole", **SIZES)
    out = tmp_path / "killed"
    process = multiprocessing.get_context("fork").Process(target=slowly, args=(out,))
    process.start()
    until = time.monotonic() + 30
    while not (out / "shard-00001.safetensors").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    extract(extractor(), listing(*TEXTS), out, **SIZES)
    assert files(out) == files(whole.path)


@pytest.mark.parametrize("harm", ["cut", "gone", "strange", "altered"])
@pytest.mark.parametrize("complete", [True, False])
def test_a_shard_that_is_not_whole_is_made_anew(
    tmp_path: Path, harm: str, complete: bool, caplog: pytest.LogCaptureFixture
) -> None:
    whole = files(extract(extractor(), listing(*TEXTS), tmp_path, **SIZES).path)
    header = json.loads(whole["extraction.json"]) | {"complete": complete}
    (tmp_path / "extraction.json").write_text(json.dumps(header))
    shard = tmp_path / "shard-00002.safetensors"
    if harm == "gone":
        shard.unlink()
    else:
        content = whole[shard.name]
        shard.write_bytes({"cut": content[:-7], "altered": content[:-1] + b"!"}.get(harm, b"something else"))
    extract(extractor(), listing(*TEXTS), tmp_path, **SIZES)
    assert files(tmp_path) == whole
    assert (f"{shard}: not a whole shard" in caplog.text) == (harm != "gone")


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("again", "said"), [({"on_error": "fail"}, "shouts .left out before"), ({"max_bad_fraction": 0}, "1 of 24")]
)
def test_what_skip_left_out_is_not_accepted_by_who_forbids_it(
    tmp_path: Path, complete: bool, again: dict[str, Any], said: str
) -> None:
    texts = [TEXTS[0], "no!", *TEXTS[1:]]
    skipping: dict[str, Any] = SIZES | {"on_error": "skip", "max_bad_fraction": 0.5}
    extract(extractor(), listing(*texts), tmp_path, **skipping)
    if not complete:
        header = json.loads((tmp_path / "extraction.json").read_text()) | {"complete": False}
        (tmp_path / "extraction.json").write_text(json.dumps(header))
    with pytest.raises(DataError, match=said):
        extract(extractor(), listing(*texts), tmp_path, **(skipping | again))
    assert len(extract(extractor(), listing(*texts), tmp_path, **skipping)) == 23


def test_complete_is_complete(tmp_path: Path) -> None:
    extract(extractor(), listing(*TEXTS), tmp_path, **SIZES)

    def never(inputs: Tensor) -> Tensor:
        raise AssertionError

    assert len(extract(extractor(never), listing(*TEXTS), tmp_path, **SIZES)) == 23


@pytest.mark.parametrize(
    ("by", "texts", "sizes"),
    [
        (extractor(fingerprint="other weights"), TEXTS, SIZES),
        (extractor(), [*TEXTS, "one more"], SIZES),
        (extractor(), TEXTS, SIZES | {"shard_size": 6}),
    ],
)
def test_an_extraction_of_something_else_is_left_alone(
    tmp_path: Path, by: Extractor, texts: list[str], sizes: dict[str, Any]
) -> None:
    before = files(extract(extractor(), listing(*TEXTS), tmp_path, **SIZES).path)
    with pytest.raises(UsageError, match="other items or by other means; choose another folder"):
        extract(by, listing(*texts), tmp_path, **sizes)
    assert files(tmp_path) == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty, and no extraction"):
        extract(extractor(), listing(*TEXTS), tmp_path, **SIZES)
    assert set(files(tmp_path)) == {"precious.txt"}


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with held(tmp_path, "busy"), pytest.raises(UsageError, match="another extraction is at work in it"):
        extract(extractor(), listing(*TEXTS), tmp_path, **SIZES)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: cannot be made: File exists"):
        extract(extractor(), listing(*TEXTS), tmp_path / "file", **SIZES)


BAD = {1: "loud!", 4: "what?", 5: "no!", 6: "never!", 7: "not!", 8: "at!", 9: "all!", 22: "why?"}
SPOILT = [BAD.get(number, text) for number, text in enumerate(TEXTS)]


def test_a_bad_item_ends_it_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text 't1' shouts"):
        extract(extractor(), listing(*SPOILT), tmp_path / "shouts", **SIZES)
    with pytest.raises(DataError, match="text of pair 't0': its features are not finite numbers"):
        extract(extractor(), listing("why?"), tmp_path / "asks", **SIZES)


def test_skip_leaves_bad_items_out_and_says_why(tmp_path: Path) -> None:
    """A whole shard of them too, and the good ones have the rows that they have elsewhere."""
    done = extract(extractor(), listing(*SPOILT), tmp_path / "a", on_error="skip", max_bad_fraction=0.5, **SIZES)
    ids, rows = done.load()
    good = [number for number in range(len(SPOILT)) if number not in BAD]
    assert ids == [f"t{n}" for n in good] == [item["id"] for item in done.items()]
    assert_same(rows, linear()(letters([TextItem("", SPOILT[n]) for n in good])), terms=DIM)
    dropped = [json.loads(line) for line in (done.path / "dropped.jsonl").read_text().splitlines()]
    assert [row["pair"] for row in dropped] == [f"t{n}" for n in BAD]
    expected = [
        f"text 't{n}' shouts" if "!" in text else "its features are not finite numbers" for n, text in BAD.items()
    ]
    assert [row["reason"] for row in dropped] == expected
    assert done.header.dropped == len(BAD)
    again = extract(extractor(), listing(*SPOILT), tmp_path / "b", on_error="skip", max_bad_fraction=0.5, **SIZES)
    assert files(again.path) == files(done.path)


def test_skip_has_a_limit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"texts: \d of 23 items are bad so far, more than max_bad_fraction = 0.1"):
        extract(extractor(), listing(*SPOILT), tmp_path, on_error="skip", max_bad_fraction=0.1, **SIZES)


def test_progress_tells_of_every_item_once(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    extract(
        extractor(), listing(*TEXTS), tmp_path, progress=lambda done, total, what: told.append((done, total)), **SIZES
    )
    assert told[0] == (0, 23)
    assert told[-1] == (23, 23)
    assert told == sorted(told)
