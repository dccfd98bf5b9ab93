"""When a run is finished: all that it left is vouched for by `digests.json`, which is written last. No torch in here.

While a training is at work its files grow, and nothing vouches for them but the checkpoints, which do so themselves.
"""

from __future__ import annotations

from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.io.json import read_json, write_sealed
from dckt_core.io.seal import Seal, digests
from dckt_core.runs.layout import SNAPSHOTS, Layout

FORMAT = 1
_WHAT = "the digests of a run"


def is_finished(run_dir: Path) -> bool:
    """Whether a run lies there that came to its end."""
    return Layout(run_dir).digests.is_file()


def seal_run(run_dir: Path) -> None:
    """Ends a run: writes `digests.json` over all files that are there now, but for checkpoints on the way.

    Raises:
        StorageError: it cannot be written.
    """
    file = Layout(run_dir).digests
    found = (one for one in run_dir.rglob("*") if one.is_file() and not one.match(SNAPSHOTS) and one != file)
    kept = [one for one in found if not any(part.startswith(".") for part in one.relative_to(run_dir).parts)]
    write_sealed(file, {"format": FORMAT, "files": digests(run_dir, kept)})


def run_seal(run_dir: Path) -> Seal:
    """What vouches for the files of a finished run.

    Raises:
        DataError: there is no run, an unfinished one, or its digests are broken.
    """
    if not run_dir.is_dir():
        raise DataError(f"{run_dir}: no such run")
    files = Layout(run_dir)
    if not is_finished(run_dir):
        lost = f" ({files.digests.name} is not there; dckt verify --accept writes it)" if files.summary.exists() else ""
        raise DataError(f"{run_dir}: not a finished run{lost}")
    remedy = f"what trains it anew: dckt train --config {files.config}"
    told = read_json(files.digests, _WHAT, format=FORMAT, remedy=f"dckt verify --accept {run_dir} writes it anew")
    found = told.get("files")
    if not isinstance(found, dict):
        raise DataError(f"{files.digests}: not {_WHAT}: it names no files")
    return Seal(run_dir, found, remedy)
