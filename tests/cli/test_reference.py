from importlib.metadata import version
from pathlib import Path

import pytest

from dckt_cli.main import COMMANDS
from dckt_cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.mark.skipif(
    tuple(map(int, version("click").split(".")[:2])) < (8, 2), reason="click writes usage lines in another way"
)
def test_the_page_is_what_help_says() -> None:
    page = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    assert page == reference(), "docs/cli.md is out of date: run `make docs`"


def test_every_command_and_subcommand_has_its_section() -> None:
    headings = [line.removeprefix("## dckt").strip() for line in reference().splitlines() if line.startswith("## ")]
    assert {"", *COMMANDS, "plugins show", "datasets check"} <= set(headings)


def test_the_width_does_not_come_from_the_terminal() -> None:
    assert max(len(line) for line in reference().splitlines() if not line.startswith("Made by")) <= 100
