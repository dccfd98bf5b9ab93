"""Every public name has a docstring and a place in the reference: `python docs/tools/public_names.py` names others."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
MODULES = ("dckt_core", "dckt_core.testing", "dckt_kernels")
"""What people import. Their `__all__` is what is public."""


def complaints() -> Iterator[str]:
    """A line for each public name that is on no page of the reference, and for what it does not document."""
    pages = "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
    shown = set(re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE))
    public = {f"{module}.{name}" for module in MODULES for name in importlib.import_module(module).__all__}
    yield from (f"{name} is on no page of docs/reference" for name in sorted(public - shown))
    yield from (f"{name} is in docs/reference and is not public" for name in sorted(shown - public))
    loaded = {module: griffe.load(module, search_paths=[ROOT], resolve_aliases=True) for module in MODULES}
    for full in sorted(public):
        module, _, name = full.rpartition(".")
        for lacking in undocumented(loaded[module][name]):
            yield f"{full}{lacking} has no docstring"


def undocumented(thing: griffe.Object | griffe.Alias) -> Iterator[str]:
    """`""` where a thing has no docstring; `.member` for each public member of a class that neither has one nor is told
    of in the docstring of the class, or of one that it extends.
    """
    if not thing.has_docstring:
        yield ""
    if thing.is_class:
        told = set()
        for base in [thing, *thing.mro()]:
            text = base.docstring.value if base.docstring else ""
            told |= set(re.findall(r"`(\w+)`|^ *(\w+): ", text, re.MULTILINE))
            told |= {(name, "") for name, member in base.members.items() if member.has_docstring}
        names = {name for found in told for name in found}
        yield from (f".{name}" for name in thing.members if not name.startswith("_") and name not in names)


if __name__ == "__main__":
    lines = list(complaints())
    print("\n".join(lines) or "every public name is documented")
    sys.exit(bool(lines))
