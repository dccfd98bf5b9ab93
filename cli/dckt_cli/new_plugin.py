"""`dckt new-plugin`: a distribution with one plugin that works as it is, to be changed into one's own.

The templates are a plugin called `my-plugin`; its name is all that is replaced.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
import shutil
import tempfile
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dckt_cli import options
from dckt_cli.app import App
from dckt_cli.console import say
from dckt_core.base.errors import UsageError
from dckt_core.io.files import umask

if TYPE_CHECKING:
    from dckt_core.contract.discovery import Registry

USES = {
    "encoder": "dckt train --encoder {name}",
    "discrepancy": "dckt train --discrepancy {name}",
    "sampler": "dckt train --sampler {name}",
    "dataset": "dckt train --target FOLDER_WITH_PAIRS",
    "index": "dckt search RUN --text 'a text' --index {name}",
    "observer": "dckt train --observer {name}",
    "part": "dckt train --part {name}",
}
"""How a plugin of each kind is put to use."""

NAME = re.compile(r"[a-z]([a-z0-9._-]*[a-z0-9])?")
"""What is a name for a plugin, for a distribution and, with `_` for other signs, for a module."""


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(USES)), required=True, help="What the plugin offers.")
@click.option(
    "--path",
    metavar="DIR",
    type=options.Place(),
    default=Path(),
    show_default=True,
    help="Where the folder NAME is made; made itself where it is missing.",
)
@click.pass_obj
def new_plugin(app: App, /, *, name: str, kind: str, path: Path) -> None:
    """Write the plugin NAME: a folder to install with pip, with a test, that works as it is.

    One name serves for the plugin, its distribution and its module.
    """
    module = module_name(name)
    refuse_clash(name, module, kind, app.registry)
    folder = write(name, module, kind, path)
    say(f"{folder}: {kind} '{name}', works as it is; make {folder / module}.py your own. Next:")
    say()
    shown = shlex.quote(str(folder))
    for line in (f"pip install -e {shown}", f"python -m pytest {shown}", f"dckt plugins show {name}", use(kind, name)):
        say(f"  {line}")


def use(kind: str, name: str) -> str:
    return USES[kind].format(name=name)


def module_name(name: str) -> str:
    """The module's name.

    Raises:
        UsageError: the name does not do for a plugin, a distribution and a module.
    """
    module = re.sub(r"[.-]+", "_", name)
    if not NAME.fullmatch(name) or keyword.iskeyword(module):
        raise UsageError(
            f"'{name}' is no name for a plugin: it takes lower-case letters, digits, '-', '_' and '.', begins with a "
            "letter, ends with a letter or digit, and is no word of Python's own"
        )
    return module


def refuse_clash(name: str, module: str, kind: str, registry: Registry) -> None:
    """Raises UsageError where a plugin of the kind, a distribution or a module of that name is there already."""
    for entry in [*registry.all(kind), *registry.clashing(kind)]:
        if entry.spec.name == name:
            raise UsageError(f"{kind} '{name}' is there already, from {entry.distribution} {entry.version}")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
    else:
        raise UsageError(f"a distribution '{name}' is installed already, version {version}")
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"a module '{module}' is there already: one would hide the other")


def write(name: str, module: str, kind: str, parent: Path) -> Path:
    """Writes the files, all or none; the folder.

    Raises:
        UsageError: the folder exists, or cannot be made.
    """
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists already")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=parent, prefix=f".{name}."))
        try:
            for file, text in files(name, module, kind).items():
                (part / file).parent.mkdir(exist_ok=True)
                (part / file).write_text(text, encoding="utf-8")
            part.chmod(0o777 & ~umask())
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror or error}") from None
    return folder


def files(name: str, module: str, kind: str) -> dict[str, str]:
    """What the distribution is made of, by path."""
    templates = resources.files("dckt_cli") / "templates"
    taken = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}.py": f"{kind}.py",
        f"tests/test_{module}.py": f"tests/{kind}.py",
    }
    return {
        file: (templates / template)
        .read_text("utf-8")
        .replace("my_plugin", module)
        .replace("my-plugin", name)
        .replace("{{use}}", use(kind, name))
        for file, template in taken.items()
    }
