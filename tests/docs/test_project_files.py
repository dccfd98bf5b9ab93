"""What a public project's files say of the project is so."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from dckt_core import __version__
from dckt_core.contract.discovery import HOOKS
from dckt_core.testing import CHECKS
from tests.support.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))


def runs(job: str) -> list[str]:
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (__version__, PROJECT["license"])
    assert citation["preferred-citation"]["url"] == PROJECT["urls"]["Paper"]


@pytest.mark.parametrize("hook", HOOKS)
def test_contributing_says_what_each_kind_of_plugin_takes(hook: str) -> None:
    spec = HOOKS[hook]
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (row,) = [line for line in page.splitlines() if f"| `{hook}` |" in line]
    assert re.findall(r"`(\w+)`", row) == [hook, spec.__name__, CHECKS[spec.kind].__name__]


def test_contributing_names_commands_that_are_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))) <= set(targets)


def test_the_changelog_keeps_its_form() -> None:
    page = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases[1:])
    changes = set(re.findall(r"^### (.+)$", page, re.MULTILINE))
    assert changes <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_workflow_runs_the_commands_of_the_readme() -> None:
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Two commands\n")[1]
    commands = re.findall(r"^(make \w+)", section.split("```")[1], re.MULTILINE)
    assert [line for line in runs("linux") if line != "make browser"] == commands  # a runner brings no Chromium
    pythons = WORKFLOW["jobs"]["linux"]["strategy"]["matrix"]["python"]
    stated = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r"Python :: \d\.\d+$", line)]
    assert pythons == stated
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_workflow_imports_every_package_elsewhere() -> None:
    (line,) = [line for line in runs("elsewhere") if line.startswith("python -c")]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(re.findall(r"dckt_\w+", line)) == {folder.rpartition("/")[2] for folder in wheel["packages"]}
    assert "dckt --help" in runs("elsewhere")
