"""What a stranger does who changes a file of dckt's: digests can be made anew by everybody."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from dckt_core.io.json import write_sealed
from dckt_core.io.seal import SEALED, digests, sealed
from dckt_core.retrieval import index_folder, shards


def reseal(file: Path) -> None:
    """Gives a JSON object the digest that it should have by what it says now."""
    try:
        value = json.loads(file.read_bytes())
        file.write_text(json.dumps(sealed({name: one for name, one in value.items() if name != SEALED})))
    except (ValueError, AttributeError, RecursionError):
        return


def reseal_index(index: Path) -> None:
    """Vouches for the contents of an index as they are."""
    header = index_folder.read_header(index)
    files = digests(index, [file for file in (index / header.contents).rglob("*") if file.is_file()])
    write_sealed(index / index_folder.HEADER, asdict(replace(header, files=files)))


def reseal_extraction(extraction: Path) -> None:
    """Vouches for the files of an extraction as they are."""
    header = shards.read_header(extraction)
    assert header is not None
    there = [extraction / name for name in header.files if (extraction / name).is_file()]
    shards.write_header(extraction, replace(header, files=digests(extraction, there)))
