"""`dckt new-plugin`: what it writes is installed with pip, keeps the contract, and trains as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from dckt_cli import new_plugin
from dckt_cli.main import main
from dckt_core.contract.discovery import HOOKS
from tests.support.commands import install as pip_install
from tests.support.commands import own_tests, run_forked

KINDS = [spec.kind for spec in HOOKS.values()]
QUICK = {
    "network.media_width": 16,
    "network.common_width": 16,
    "pretrain.batch": 6,
    "pretrain.source_updates": 2,
    "pretrain.target_updates": 2,
    "transfer.batch": 6,
    "transfer.iterations": 2,
    "transfer.updates": 2,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_a_distribution_and_says_what_to_type_next(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", "my-thing", "--kind", kind]) == 0
    assert names(home) == ["my-thing"]
    files = {"pyproject.toml", "README.md", "my_thing.py", "tests/test_my_thing.py"}
    assert contents(home / "my-thing") == files
    for file in files:
        text = (home / "my-thing" / file).read_text("utf-8")
        assert "my-plugin" not in text and "my_plugin" not in text and "{{" not in text
    printed = capsys.readouterr().out
    assert "\\" not in printed and "\n\n  pip install" in printed
    assert f"{kind} 'my-thing'" in printed
    assert "\n  pip install -e my-thing\n  python -m pytest my-thing\n  dckt plugins show my-thing\n  dckt " in printed
    assert printed.splitlines()[-1].strip() in (home / "my-thing" / "README.md").read_text()


def test_it_writes_where_it_is_told_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "a folder").mkdir()
    assert main(["new-plugin", "my-thing", "--kind", "index", "--path", "a folder"]) == 0
    assert (home / "a folder" / "my-thing" / "my_thing.py").is_file()
    assert "pip install -e 'a folder/my-thing'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My-Thing", "'My-Thing' is no name for a plugin: it takes lower-case letters"),
        ("7th", "'7th' is no name for a plugin"),
        ("a/b", "'a/b' is no name for a plugin"),
        ("..", "'..' is no name for a plugin"),
        ("thing-", "'thing-' is no name for a plugin"),
        ("thing\n", r"'thing\n' is no name for a plugin"),
        ("class", "'class' is no name for a plugin"),
        ("", "'' is no name for a plugin"),
        ("uniform", "sampler 'uniform' is there already, from dckt 0."),
        ("pluggy", "a distribution 'pluggy' is installed already, version "),
        ("json", "a module 'json' is there already"),
        ("taken", "taken exists already"),
        ("link", "link exists already"),
    ],
)
def test_it_refuses(name: str, said: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "taken").write_text("mine")
    (home / "link").symlink_to("nowhere")
    assert main(["new-plugin", name, "--kind", "sampler"]) == 2
    assert capsys.readouterr().err.startswith(f"dckt: error: {said}")
    assert names(home) == ["link", "taken"]
    assert (home / "taken").read_text() == "mine"


def test_a_name_of_another_kind_is_free(home: Path) -> None:
    assert main(["new-plugin", "uniform", "--kind", "observer"]) == 0


def test_a_folder_that_cannot_be_written_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_text("mine")
    assert main(["new-plugin", "my-thing", "--kind", "index", "--path", "file/inside"]) == 2
    assert capsys.readouterr().err == "dckt: error: file/inside/my-thing cannot be made: Not a directory\n"


def test_a_missing_folder_is_made(home: Path) -> None:
    assert main(["new-plugin", "my-thing", "--kind", "index", "--path", "not/there"]) == 0
    assert names(home / "not" / "there") == ["my-thing"]


def test_nothing_is_left_of_what_could_not_be_finished(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str, module: str, kind: str) -> dict[str, str]:
        return {"a.py": "", "tests/b/c.py": ""}

    monkeypatch.setattr(new_plugin, "files", full)
    assert main(["new-plugin", "my-thing", "--kind", "index"]) == 2
    assert names(home) == []


def test_every_kind_has_a_use() -> None:
    assert list(new_plugin.USES) == KINDS


# --- what it writes -------------------------------------------------------------------------------------------


def squares(folder: Path, manifest: str) -> Path:
    """A data set of coloured squares: as `pairs.jsonl`, or as the table that the template of a layout reads."""
    folder.mkdir()
    rows = []
    for split, count in {"train": 4, "val": 2, "test": 2}.items():
        for label in ("red", "green", "blue"):
            for number in range(count):
                name = f"{label}-{split}-{number}.png"
                Image.new("RGB", (12, 12), label).save(folder / name)
                rows.append({"image": name, "text": f"a {label} square", "label": label, "split": split})
    if manifest == "pairs.jsonl":
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
    else:
        text = "".join(f"{','.join(row)}\n" for row in [rows[0].keys(), *(row.values() for row in rows)])
    (folder / manifest).write_text(text)
    return folder


class Site:
    """A folder that pip has installed a new plugin into, and the commands that see it."""

    def __init__(self, kind: str, home: Path) -> None:
        self.name, self.home = f"my-{kind}", home
        assert main(["new-plugin", self.name, "--kind", kind]) == 0
        self.folder = home / self.name
        pip_install(home / "site", [self.folder])

    def dckt(self, *args: str | Path) -> str:
        variables = {"DCKT_LOAD_PLUGINS": self.name, "DCKT_CACHE_DIR": str(self.home / "cache")}
        done = run_forked(args, site=self.home / "site", folder=self.home, cwd=self.home, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pytest(self) -> str:
        done = own_tests(
            self.folder, site=self.home / "site", home=self.home, variables={"DCKT_LOAD_PLUGINS": self.name}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def train(self, target: Path, *choices: str) -> Path:
        source = squares(self.home / "source", "pairs.jsonl")
        settings = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
        if "--encoder" not in choices:
            settings += ["--encoder", "torchvision", "--encoder-opt", "model=resnet18", "--encoder-opt", "weights=none"]
            settings += ["--encoder-opt", "size=32"]
        where = ["--source", str(source), "--target", str(target), "--device", "cpu", "--quiet", "--name", "first"]
        self.dckt("train", *where, *settings, *choices)
        return self.home / "runs" / "first"


def try_out(kind: str, home: Path) -> None:
    """Everything that the command says to type next."""
    site = Site(kind, home)
    passed = site.pytest()
    assert " passed" in passed and "skipped" not in passed
    assert site.dckt("plugins", "show", site.name).startswith(kind)
    assert site.dckt("plugins", "check").endswith("failures: 0\n")

    target = squares(home / "target", f"{site.name}.csv" if kind == "dataset" else "pairs.jsonl")
    choices = {"dataset": [], "index": []}.get(kind, [f"--{kind}", site.name])
    run = site.train(target, *choices)
    if kind == "index":
        found = site.dckt("search", "runs/first", "--text", "a red square", "--index", site.name, "-k", "3", "--json")
        assert len(json.loads(found)["results"]) == 3
    elif kind == "observer":
        told = [json.loads(line) for line in (run / f"{site.name}.jsonl").read_text().splitlines()]
        assert {"transfer", "selection", "end"} <= {row["phase"] for row in told}
    elif kind != "dataset":
        assert f'name = "{site.name}:{site.name}"' in (run / "config.toml").read_text()


@pytest.mark.parametrize("kind", ["discrepancy"])
def test_it_works_as_it_is(kind: str, home: Path) -> None:
    try_out(kind, home)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_work_as_they_are(kind: str, home: Path) -> None:
    try_out(kind, home)
