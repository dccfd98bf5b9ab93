"""`dckt plugins`, and the whole command, with distributions that pip has installed: good ones and broken ones."""

import json
import re
from pathlib import Path

import pytest

from dckt_cli.main import main
from tests.support.commands import BROKEN, DISTRIBUTIONS, Dckt

"""Distributions with one thing that is left out when plugins are loaded, and the reason."""


def names(listing: str) -> set[tuple[str, str]]:
    return {(line.split()[0], line.split()[1]) for line in listing.splitlines()[1:]}


def test_list(dckt: Dckt) -> None:
    done = dckt("plugins", load=["dckt-stranger"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["kind", "name", "distribution", "summary"]
    strangers = {("encoder", "thumbnail"), ("discrepancy", "mean-distance"), ("sampler", "growing-share")}
    strangers.add(("part", "prototypes"))
    assert strangers <= names(done.stdout)
    assert names(dckt("--no-plugins", "plugins", load=None).stdout) == names(done.stdout) - strangers
    assert dckt("plugins", "list", load=["dckt-stranger"]).stdout == done.stdout


def test_list_as_json(dckt: Dckt) -> None:
    done = dckt("plugins", "--json", load=["dckt-stranger", "dckt-broken-exit"])
    listed = json.loads(done.stdout)
    assert listed == json.loads(dckt("plugins", "list", "--json", load=["dckt-stranger", "dckt-broken-exit"]).stdout)
    (thumbnail,) = [entry for entry in listed["plugins"] if entry["name"] == "thumbnail"]
    assert thumbnail == {
        "kind": "encoder",
        "name": "thumbnail",
        "modality": "image",
        "summary": "grey thumbnails through one linear layer",
        "distribution": "dckt-stranger",
        "version": "1.0",
        "entry_point": "stranger",
        "builtin": False,
        "api": "1.0",
    }
    (failure,) = listed["failures"]
    assert "dckt-broken-exit" in failure
    assert "hello from a script" in done.stderr


def test_show(dckt: Dckt) -> None:
    done = dckt("plugins", "show", "thumbnail", load=["dckt-stranger"])
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "encoder (image) thumbnail: grey thumbnails through one linear layer"
    assert lines[1] == "from dckt-stranger 1.0, entry point stranger"
    assert re.split(r"\s{2,}", lines[4]) == ["side", "integer in [2, 64]", "8", "thumbnails are side x side pixels"]
    assert re.split(r"\s{2,}", lines[6])[:3] == ["trainable", "true|false", "true"]
    shown = json.loads(dckt("plugins", "show", "thumbnail", "--json", load=["dckt-stranger"]).stdout)
    options = {option["name"]: option for option in shown["plugins"][0]["options"]}
    assert options["side"] == {
        "name": "side",
        "type": "integer in [2, 64]",
        "default": 8,
        "help": "thumbnails are side x side pixels",
    }
    assert options["trainable"]["default"] is True


def test_show_finds_both_twins_and_one_by_its_distribution(dckt: Dckt) -> None:
    both = dckt("plugins", "show", "twin", load=["dckt-twin-a", "dckt-twin-b"]).stdout
    assert "discrepancy dckt-twin-a:twin: of twin a" in both
    assert "discrepancy dckt-twin-b:twin: of twin b" in both
    assert "takes no options" in both
    one = dckt("plugins", "show", "dckt-twin-b:twin", load=["dckt-twin-a", "dckt-twin-b"]).stdout
    assert "of twin b" in one
    assert "of twin a" not in one


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plugins", "show", "thumbnial"), "unknown plugin 'thumbnial': did you mean 'thumbnail'? (known: "),
        (("plugins", "show"), "Missing argument 'NAME'"),
        (("plugins", "lsit"), "No such command 'lsit'"),
        (("plugins", "--json", "check"), "--json belongs behind check"),
    ],
)
def test_wrong_usage(args: tuple[str, ...], said: str, dckt: Dckt) -> None:
    done = dckt(*args, load=["dckt-stranger"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"dckt: error: {said}")
    assert done.stderr.count("\n") == 1


def test_check_of_what_is_sound(dckt: Dckt) -> None:
    done = dckt("plugins", "check", load=["dckt-stranger"])
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"plugins: \d+, distributions: 2, failures: 0\n", done.stdout)
    assert json.loads(dckt("plugins", "check", "--json", load=["dckt-stranger"]).stdout)["ok"] is True


def test_check_of_everything(dckt: Dckt) -> None:
    done = dckt("plugins", "check", "--json", load=None)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    for distribution, reason in BROKEN.items():
        (line,) = [line for line in report["failures"] if f" of {distribution} 1.0 " in line]
        assert reason in line
    bad_options = [line for line in report["failures"] if " of dckt-bad-options 1.0" in line]
    assert {re.findall(r"'(.+?)'", line)[0] for line in bad_options} == {
        "bad-default",
        "no-default",
        "bad-hint",
        "no-dataclass",
        "Bad Name!",
    }
    assert dckt("plugins", "check", load=None).stdout.splitlines()[:-1] == report["failures"]


def test_every_test_distribution_is_used() -> None:
    here = {folder.name for folder in DISTRIBUTIONS.iterdir() if (folder / "pyproject.toml").is_file()}
    others = {"dckt-stranger", "dckt-twin-a", "dckt-twin-b", "dckt-bad-options", "dckt-misbehaving"}
    assert here == BROKEN.keys() | others


@pytest.mark.parametrize("distribution", BROKEN)
def test_a_broken_plugin_costs_one_warning_and_nothing_else(distribution: str, dckt: Dckt) -> None:
    done = dckt("plugins", load=[distribution, "dckt-stranger"])
    assert done.returncode == 0
    assert ("encoder", "thumbnail") in names(done.stdout)
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("dckt: warning: ")]
    assert f" of {distribution} 1.0 is left out: " in warning
    assert BROKEN[distribution] in warning


@pytest.mark.parametrize(
    ("distribution", "file"), [("dckt-broken-import", "dckt_broken_import"), ("dckt-raising-hook", "dckt_raising_hook")]
)
def test_what_raised_is_named_by_file_and_line(distribution: str, file: str, dckt: Dckt) -> None:
    done = dckt("plugins", load=[distribution])
    assert re.search(rf"{file}\S*\.py:\d+; dckt --debug shows the traceback\)$", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    done = dckt("--debug", "plugins", load=[distribution])
    assert done.returncode == 0
    assert re.search(rf'File "\S*{file}\S*\.py", line \d+', done.stderr)


def test_strict_turns_the_warning_into_an_error(dckt: Dckt) -> None:
    done = dckt("plugins", load=["dckt-raising-hook"], DCKT_STRICT_PLUGINS="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dckt: error: plugin 'raising-hook' of dckt-raising-hook 1.0 is left out: ")
    assert done.stderr.count("\n") == 1


def test_trace_names_every_call(dckt: Dckt) -> None:
    done = dckt("plugins", load=["dckt-stranger", "dckt-broken-exit", "dckt-raising-hook"], DCKT_TRACE_PLUGINS="1")
    traced = re.findall(r"^dckt: trace: dckt-(\S+) (\w+) \d+\.\d\d ms$", done.stderr, re.MULTILINE)
    assert traced == [
        ("broken-exit:broken-exit", "import"),
        ("raising-hook:raising-hook", "import"),
        ("raising-hook:raising-hook", "dckt_samplers"),
        ("stranger:stranger", "import"),
        *(
            ("stranger:stranger", hook)
            for hook in ("dckt_discrepancies", "dckt_encoders", "dckt_parts", "dckt_samplers")
        ),
    ]
    assert re.search(r"^dckt: trace: dckt:discrepancies dckt_discrepancies ", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--discrepancy", "twin"], 2, "discrepancy 'twin' is offered by more than one distribution: say 'dckt-twin-a"),
        (["--discrepancy", "mean-distanse"], 2, "unknown discrepancy 'mean-distanse': did you mean 'mean-distance'?"),
        (
            ["--discrepancy", "of-tomorrow"],
            1,
            "discrepancy 'of-tomorrow' of dckt-other-contract 1.0 is left out, as said above",
        ),
        (["--discrepancy", "bad-default"], 1, "discrepancy 'bad-default' of dckt-bad-options 1.0: its default of "),
        (["--discrepancy", "bad-hint"], 1, "discrepancy 'bad-hint' of dckt-bad-options 1.0: the type hints of its "),
        (
            ["--discrepancy", "no-default"],
            1,
            "discrepancy 'no-default' of dckt-bad-options 1.0 is left out, as said above",
        ),
        (["--encoder", "thumbnail", "--encoder-opt", "sid=4"], 2, "unknown option 'sid' of encoder 'thumbnail': did "),
        (["--encoder", "thumbnail", "--encoder-opt", "side=1"], 2, "option 'side' of encoder 'thumbnail': expected "),
        (["--encoder", "thumbnail", "--encoder-opt", "side"], 2, "--encoder-opt takes KEY=VALUE, not 'side'"),
    ],
)
def test_train_refuses_before_it_works(
    args: list[str],
    code: int,
    said: str,
    distributions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(distributions)
    monkeypatch.chdir(tmp_path)
    assert main(["train", *args]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(f"dckt: error: {said}")
    assert not (tmp_path / "runs").exists()
