"""One catalogue a kind of plugin: cheap to list, and every name in it leads somewhere."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dckt_core.contract.discovery import HOOKS
from dckt_core.contract.specs import NamedFunction
from tests.support import box

ROOT = Path(__file__).parents[2]
KINDS = {spec.kind: hook.removeprefix("dckt_") for hook, spec in HOOKS.items() if box.registry().all(spec.kind)}
CATALOGUES = [f"dckt_plugins.{folder}.catalogue" for folder in KINDS.values()]
HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "gensim", "PIL", "safetensors", "matplotlib", "pydantic"}


def test_each_kind_has_one_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["dckt"] == dict(zip(KINDS.values(), CATALOGUES, strict=True))


def test_listing_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom importlib import import_module\n"
        f"for folder in {list(KINDS.values())!r}:\n"
        "    assert list(getattr(import_module(f'dckt_plugins.{folder}.catalogue'), f'dckt_{folder}')())\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
        f"print(sorted(name for name in sys.modules if name.startswith('dckt_plugins.') and name.count('.') > 1))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["[]", str(sorted(CATALOGUES))], done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_leads_somewhere(kind: str) -> None:
    entries = box.registry().all(kind)
    assert entries
    for entry in entries:
        assert isinstance(getattr(entry.spec, entry.spec.functions[0]), NamedFunction)
        entry.spec.import_functions()
