"""Every command that a page shows takes the options that are typed, and every key that is set is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from dckt_cli.main import cli
from dckt_cli.train import flags_layer, train
from dckt_core.config import Config
from tests.support.pages import ROOT, pages


def commands() -> Iterator[tuple[str, list[str]]]:
    """The page and the words of each `dckt ...` in a block of code, lines that go on put together."""
    for page in pages():
        if page.name in ("cli.md", "CHANGELOG.md"):
            continue
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for block in [block for language, block in blocks if language in ("", "sh", "shell")]:
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line):
                    if part.strip().startswith("dckt "):
                        yield page.relative_to(ROOT).as_posix(), shlex.split(part, comments=True)


COMMANDS = [pytest.param(words, id=f"{page}: {' '.join(words)}") for page, words in commands()]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_takes_what_is_typed(words: list[str]) -> None:
    command: click.Command = cli
    _, *rest = words
    while isinstance(command, click.Group) and rest:
        known = {option for parameter in command.params for option in parameter.opts}
        while rest and rest[0] in known:
            rest = rest[1:]
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"there is no command '{rest[0]}'"
        command, rest = found, rest[1:]
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    assert {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= known | {"-h", "--help"}
    if command is train and not any(word.startswith("$") for word in rest):
        parent = click.Context(cli, **cli.context_settings)  # click keeps the help option that it makes here
        flags = train.make_context("train", rest, parent=parent).params
        Config.resolve(preset=flags["preset"], flags=flags_layer(flags))  # refuses keys that there are none of
