"""docs/encoders.md says what is in the box."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dckt_cli.train import train
from dckt_core.contract.discovery import discover
from dckt_core.contract.options import parse_options, split_assignments

PAGE = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text("utf-8")
BOX = {entry.spec.name: entry.spec for entry in discover(plugins=False).all("encoder")}


def section(name):
    heading = "precomputed-image and precomputed-text" if name.startswith("precomputed") else name
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)


@pytest.mark.parametrize("name", BOX)
def test_every_encoder_has_its_line_and_its_section(name):
    media = " and ".join(f"{medium}s" for medium in BOX[name].media)
    assert re.search(rf"^\| \[`{name}`\]\(#[a-z0-9-]+\) \| {media} \|", PAGE, re.M)
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| ", section(name), re.M)
    fields = {field.name: field.default for field in dataclasses.fields(BOX[name].options)}
    assert [option for option, _ in rows] == list(fields)
    for option, said in rows:
        default = fields[option]
        if default is not None:
            assert said.strip("`") == (str(default).lower() if isinstance(default, bool) else str(default)), option


def test_no_encoder_is_told_of_that_is_not_there():
    assert set(re.findall(r"^\| \[`(.+?)`\]", PAGE, re.M)) == set(BOX)


@pytest.mark.parametrize("command", re.findall(r"^dckt train((?:.*\\\n)*.*)", PAGE, re.M))
def test_examples_name_encoders_and_options_that_are_there(command):
    words = command.replace("\\\n", " ").split()
    said = list(zip(words[::2], words[1::2], strict=True))
    assert {flag for flag, _ in said} <= {option for parameter in train.params for option in parameter.opts}
    encoders = [(flag, name) for flag, name in said if flag in ("--encoder", "--text-encoder")]
    assert encoders
    for flag, name in encoders:
        assert ("image" if flag == "--encoder" else "text") in BOX[name].media
        values = split_assignments([value for other, value in said if other == f"{flag}-opt"], option=f"{flag}-opt")
        parse_options(BOX[name], values, where=name)
