"""`dckt index`, and `dckt search` in what it made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dckt_cli.main import main
from dckt_core.io.tensors import WEIGHTS, WEIGHTS_FORMAT, save_tensors
from dckt_core.retrieval.index_folder import read_header
from dckt_core.runs.model import load
from dckt_core.runs.seal import seal_run
from tests.support.needs import part
from tests.support.seals import reseal, reseal_index
from tests.support.tolerance import SMALL, assert_same

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def built(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the target's images and texts."""
    out = tmp_path_factory.mktemp("built") / "index"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        assert main(["index", "runs/squares", "--gallery", "target", "-o", str(out), "--quiet"]) == 0
    return out


@pytest.fixture
def index(built: Path, tmp_path: Path, run: str) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(built, tmp_path / "index")


def told(capsys: Capture, *arguments: str | Path) -> dict[str, Any]:
    """What the command says in JSON, which must stand alone on stdout."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    answer: dict[str, Any] = json.loads(captured.out)
    assert captured.err == ""
    return answer


def refused(capsys: Capture, *arguments: str | Path) -> tuple[int, str]:
    """The exit code, and the one line on stderr."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--quiet"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err


def test_a_built_index_says_what_it_holds(run: str, capsys: Capture, tmp_path: Path) -> None:
    header = told(capsys, "index", run, "--gallery", "target", "-o", tmp_path / "index")
    model = load(run)
    pairs = model.target().pairs
    assert header["counts"] == {"image": len(pairs), "text": len(pairs)}
    assert header["model"] == {
        "fingerprint": model.fingerprint,
        "run": str(Path(run).absolute()),
        "checkpoint": "result",
    }
    assert (header["dim"], header["index"], header["options"]) == (model.dim, "exact", {})
    (step,) = header["history"]
    assert step["did"] == "build"
    assert step["added"]["image"]["input"]["location"] == "target"
    assert step["added"]["image"]["environment"]["packages"]["torch"]
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [".lock", "contents-1", "index.json"]
    suffixes = {path.suffix for path in (tmp_path / "index").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".jsonl", ".safetensors", ""}


@pytest.mark.parametrize("query", [("--text", "a red square with a mark"), ("--image", "target/green-test-1.png")])
@pytest.mark.parametrize("medium", ["other", "image", "text"])
def test_the_index_finds_what_the_run_finds(
    run: str, built: Path, capsys: Capture, query: tuple[str, str], medium: str
) -> None:
    there = told(capsys, "search", run, *query, "-k", "7", "--medium", medium)["results"]
    answer = told(capsys, "search", built, *query, "-k", "7", "--medium", medium)
    assert answer["index"] == str(built)
    assert answer["query"] == {query[0][2:]: query[1]}
    assert [row["id"] for row in answer["results"]] == [row["id"] for row in there]
    for mine, yours in zip(answer["results"], there, strict=True):
        assert_same(mine["cosine"], yours["cosine"], terms=SMALL, scale=1, dtype=torch.float32)
        assert (mine["rank"], mine["label"], mine["split"]) == (yours["rank"], yours["label"], yours["split"])
        if "image" in mine:
            assert mine["image"] == str(Path(yours["image"]).absolute())
        else:
            assert mine["text"] == yours["text"]


def test_a_batch_of_texts(built: Path, run: str, capsys: Capture, tmp_path: Path) -> None:
    texts = ["a red square", "", "a green square", "mark"]
    (tmp_path / "queries.txt").write_text("\n".join(texts))
    assert main(["search", str(built), "--batch", str(tmp_path / "queries.txt"), "-k", "3", "--json", "--quiet"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    alone = [told(capsys, "search", built, "--text", text, "-k", "3") for text in texts if text]
    for one, other in zip(answers, alone, strict=True):
        assert one["query"] == other["query"]
        assert [row["id"] for row in one["results"]] == [row["id"] for row in other["results"]]


def test_a_batch_of_both_media_keeps_its_order(built: Path, run: str, capsys: Capture, tmp_path: Path) -> None:
    shutil.copy("target/red-test-0.png", tmp_path / "red.png")
    lines = [{"text": "a green square"}, {"image": "red.png"}, {"text": "red", "id": "of no matter"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    command = ["search", str(built), "--batch", str(tmp_path / "queries.jsonl"), "-k", "2", "--quiet"]
    assert main([*command, "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["query"] for answer in answers] == [
        {"text": "a green square"}, {"image": str(tmp_path / "red.png")}, {"text": "red"},
    ]  # fmt: skip
    assert ["image" in answer["results"][0] for answer in answers] == [True, False, True]
    assert main(command) == 0
    lines_for_people = capsys.readouterr().out.splitlines()
    assert lines_for_people[0] == "a green square"
    assert lines_for_people[4] == str(tmp_path / "red.png")
    assert len(lines_for_people) == 12


def test_items_come_and_go(index: Path, run: str, capsys: Capture, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    shutil.copy("target/green-test-2.png", more / "new.png")
    shutil.copy("target/green-test-2.png", more / "red-test-0")
    (more / "pairs.jsonl").write_text(
        '{"id": "new", "image": "new.png"}\n{"id": "red-test-0", "image": "red-test-0"}\n'
    )
    before = read_header(index).counts
    assert main(["index", str(index), "--add", str(more), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "added: 1 image, and 1 replaced" in out
    header = read_header(index)
    assert header.counts == {"image": before["image"] + 1, "text": before["text"]}
    found = told(capsys, "search", index, "--image", more / "new.png", "--medium", "image", "-k", "100")["results"]
    nearest = {row["id"]: row["cosine"] for row in found if row["cosine"] > 1 - 1e-6}
    assert {"green-test-2", "new", "red-test-0"} <= nearest.keys()

    assert main(["index", str(index), "--remove", "new", "--remove", "red-test-0", "--quiet"]) == 0
    assert "removed: 2 images\nremoved: 1 text\n" in capsys.readouterr().out
    header = read_header(index)
    assert header.counts == {"image": before["image"] - 1, "text": before["text"] - 1}
    for medium in ("image", "text"):
        found = told(capsys, "search", index, "--text", "a red square", "--medium", medium, "-k", "100")["results"]
        assert len(found) == header.counts[medium]
        assert not {"new", "red-test-0"} & {row["id"] for row in found}
    assert [step["did"] for step in header.history] == ["build", "add", "remove"]
    assert [path.name for path in index.glob("contents-*")] == ["contents-3"]


def test_one_medium_alone(run: str, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "index"
    assert main(["index", run, "--gallery", "target", "--medium", "image", "-o", str(out), "--quiet"]) == 0
    assert set(read_header(out).counts) == {"image"}
    for query in (("--text", "red"), ("--image", "target/red-test-0.png")):
        assert all("image" in row for row in told(capsys, "search", out, *query)["results"])
    assert refused(capsys, "search", out, "--text", "red", "--medium", "text") == (
        3,
        f"dckt: error: {out}: holds no texts\n",
    )
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("a red square")
    assert main(["index", str(out), "--add", str(texts), "--quiet"]) == 0
    assert read_header(out).counts["text"] == 1
    (row,) = told(capsys, "search", out, "--text", "a red square", "--medium", "text")["results"]
    assert (row["id"], row["text"]) == ("a.txt", "a red square")
    assert_same(row["cosine"], 1, terms=SMALL, dtype=torch.float32)


def test_a_place_with_nothing_on_it(run: str, index: Path, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.pdf").touch()
    out = tmp_path / "new.index"
    for arguments in (
        ["index", run, "--gallery", str(tmp_path / "empty"), "-o", str(out)],
        ["index", str(index), "--add", str(tmp_path / "empty")],
    ):
        assert main([*arguments, "--quiet"]) == 3
        assert "empty: holds no images or texts that can be used" in capsys.readouterr().err
    assert main(["index", run, "--gallery", "target", "-o", str(out), "--quiet"]) == 0, "the place is free"


def test_a_name_that_is_not_utf8_is_left_out(run: str, trained: Path, capsys: Capture, tmp_path: Path) -> None:
    gallery, picture = tmp_path / "odd", next((trained / "target").glob("*.png"))
    gallery.mkdir()
    for name in (b"a.png", b"\xff.png"):
        shutil.copy(picture, os.fsdecode(os.fsencode(gallery) + b"/" + name))
    skip = ["--on-error", "skip", "--max-bad-fraction", "1"]
    assert main(["extract", "--run", run, "--input", str(gallery), "-o", str(tmp_path / "rows"), *skip, "--quiet"]) == 0
    (dropped,) = map(json.loads, (tmp_path / "rows/dropped.jsonl").read_text().splitlines())
    assert "\udcff.png" in dropped["file"]
    out = tmp_path / "odd.index"
    capsys.readouterr()
    assert main(["index", run, "--gallery", str(gallery), "-o", str(out), *skip, "--quiet"]) == 0
    assert f"left out: 1; see {out / 'contents-1/image/dropped.jsonl'}\n" in capsys.readouterr().out
    assert main(["index", str(out), "--add", str(gallery), *skip, "--quiet"]) == 0
    assert main(["index", str(out), "--remove", "a.png", "--quiet"]) == 0
    rows = [json.loads(line) for line in (out / "contents-3/image/dropped.jsonl").read_text().splitlines()]
    assert rows == [dropped, dropped], "what was left out by a build and by an addition"


def test_vectors_that_were_extracted_before(run: str, built: Path, capsys: Capture, tmp_path: Path) -> None:
    extract = ["extract", "--run", run, "--input", "target", "--medium", "image", "-o", str(tmp_path / "rows")]
    assert main([*extract, "--quiet"]) == 0
    out = tmp_path / "index"
    assert main(["index", run, "--gallery", str(tmp_path / "rows"), "-o", str(out), "--quiet"]) == 0
    query = ("--text", "a red square", "-k", "5")
    assert told(capsys, "search", out, *query)["results"] == told(capsys, "search", built, *query)["results"]
    other = tmp_path / "other"
    code, said = refused(capsys, "index", run, "--checkpoint", "before", "--gallery", tmp_path / "rows", "-o", other)
    assert (code, "its rows are not of runs/squares ('before')" in said) == (3, True)
    code, said = refused(capsys, "index", run, "--gallery", tmp_path / "rows", "--medium", "text", "-o", other)
    assert (code, "rows: holds no texts" in said) == (3, True)


@pytest.mark.parametrize(("name", "option"), [("faiss", "structure=hnsw"), ("usearch", "values=f16")])
def test_recall_of_an_approximate_index_is_told(
    run: str, built: Path, capsys: Capture, tmp_path: Path, name: str, option: str
) -> None:
    part(name)
    out = tmp_path / "index"
    build = ["index", run, "--gallery", "target", "-o", str(out), "--index", name, "--index-opt", option, "--quiet"]
    assert main(build) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[-2:]] == [f"recall@10 of {medium}s against exact" for medium in
                                                              ("image", "text")]  # fmt: skip
    header = read_header(out)
    key, value = option.split("=")
    assert (header.index, header.options[key]) == (name, value)
    for found in header.history[0]["recall_at_10"].values():
        assert 0.9 <= found["value"] <= 1, "there are two dozen vectors"
        assert found["queries"] == 24
    exact = told(capsys, "search", built, "--text", "a red square", "-k", "5")["results"]
    answer = told(capsys, "search", out, "--text", "a red square", "-k", "5")["results"]
    assert [row["cosine"] for row in answer] == pytest.approx(
        [row["cosine"] for row in exact], abs=2 * torch.finfo(torch.float16).eps
    )
    assert main(["index", str(out), "--remove", answer[0]["id"], "--quiet"]) == 0
    again = told(capsys, "search", out, "--text", "a red square", "-k", "24")["results"]
    assert answer[0]["id"] not in {row["id"] for row in again}


def test_a_build_that_was_stopped_goes_on(
    run: str, built: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are encoded, then an interrupt comes; the second time only texts are left to encode."""
    from dckt_core.retrieval import extract as work

    whole, out = work.extract, tmp_path / "index"

    def stopping(extractor: Any, *arguments: Any, **more: Any) -> Any:
        if extractor.medium == "text":
            raise KeyboardInterrupt
        return whole(extractor, *arguments, **more)

    command = ["index", run, "--gallery", "target", "-o", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr("dckt_core.retrieval.index.extract", stopping)
        assert main(command) == 130
    assert not (out / "index.json").exists()
    capsys.readouterr()
    assert main(command) == 0
    assert "complete already" in capsys.readouterr().err
    query = ("--text", "a red square", "-k", "5")
    assert told(capsys, "search", out, *query)["results"] == told(capsys, "search", built, *query)["results"]


@pytest.mark.parametrize("moment", ["vectors", "items", "header"])
def test_a_change_that_fails_changes_nothing(
    index: Path, run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before = read_header(index)
    named = {
        "vectors": "dckt_plugins.indexes.exact.save_tensors",
        "items": "dckt_core.retrieval.gallery.write_lines",
        "header": "dckt_core.retrieval.index_folder.write_sealed",
    }

    def full(*_: Any, **__: Any) -> None:
        from dckt_core.base.errors import StorageError

        raise StorageError(index, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(named[moment], full)
        code, said = refused(capsys, "index", index, "--remove", "red-test-0")
    assert (code, "No space left on device" in said) == (1, True)
    assert read_header(index) == before
    results = told(capsys, "search", index, "--text", "red", "-k", "100")["results"]
    assert len(results) == before.counts["image"]
    assert main(["index", str(index), "--remove", "red-test-0", "--quiet"]) == 0
    assert len(list(index.glob("contents-*"))) == 1


@pytest.fixture
def moved(run: str, tmp_path: Path) -> Iterator[Path]:
    place = Path(run)
    yield shutil.move(place, tmp_path / "elsewhere")
    shutil.move(tmp_path / "elsewhere", place)


def test_a_run_that_was_moved(index: Path, capsys: Capture, moved: Path) -> None:
    code, said = refused(capsys, "search", index, "--text", "red")
    assert (code, "the run that made it is not at" in said, "give its place as run" in said) == (3, True, True)
    assert told(capsys, "search", index, "--text", "red", "--run", moved)["results"]
    assert main(["index", str(index), "--remove", "red-test-0", "--quiet"]) == 0, "no run is needed for that"


def test_another_model_is_refused(index: Path, run: str, capsys: Capture, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    weights = other / "checkpoints" / "after.safetensors"
    halved = {name: tensor / 2 if tensor.is_floating_point() else tensor for name, tensor in load_file(weights).items()}
    save_tensors(weights, halved, kind=WEIGHTS, format=WEIGHTS_FORMAT)
    seal_run(other)
    for command in (["search", index, "--text", "red"], ["index", index, "--add", "target"]):
        code, said = refused(capsys, *command, "--run", other)
        assert (code, f"{index}: made by another model than {other}" in said) == (3, True), said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["index", "RUN"], 2, "say where to: -o INDEX, and what of, if not of the run's target: --gallery PATH"),
        (["index", "RUN", "--gallery", "target"], 2, "say where to: -o INDEX"),
        (["index", "RUN", "--add", "target"], 2, "--add goes with an index, and runs/squares is none"),
        (["index", "RUN", "--gallery", "target", "-o", "INDEX"], 2, "holds an index already"),
        (["index", "RUN", "--gallery", "target", "-o", "target"], 2, "target: not empty, and no index"),
        (["index", "RUN", "--gallery", "gone", "-o", "OUT"], 3, "gone: no such path"),
        (["index", "RUN", "--gallery", "target", "-o", "OUT", "--index", "exat"], 2, "did you mean 'exact'?"),
        (["index", "RUN", "--gallery", "target", "-o", "OUT", "--index-opt", "a=1"], 2, "unknown option 'a' of index"),
        (["index", "gone", "--gallery", "target", "-o", "OUT"], 3, "gone: no such index or run"),
        (["index", "INDEX"], 2, "say --add PATH or --remove ID"),
        (["index", "INDEX", "--remove", "red-test-0", "--batch", "3"], 2, "--batch goes with --gallery or --add"),
        (["index", "INDEX", "--add", "target", "--max-bad-fraction", "1"], 2, "goes with --on-error skip"),
        (["index", "INDEX", "--gallery", "target"], 2, "--gallery goes with a run"),
        (["index", "INDEX", "--remove", "red-test-0", "-o", "OUT"], 2, "--output goes with a run"),
        (["index", "INDEX", "--remove", "gone"], 2, "no item has the id 'gone'"),
        (["index", "INDEX", "--remove", "red-test-0", "--remove", "gone"], 2, "no item has the id 'gone'"),
        (["index", "INDEX", "--add", "gone"], 3, "gone: no such path"),
        (["search", "INDEX"], 2, "say --text, --image or --like, or one of --batch"),
        (["search", "INDEX", "--text", " "], 2, "the text to look for is empty"),
        (["search", "INDEX", "--image", "gone.png"], 3, "gone.png: no such file"),
        (["search", "INDEX", "--image", "target/pairs.jsonl"], 3, "target/pairs.jsonl"),
        (["search", "INDEX", "--batch", "gone.txt"], 3, "gone.txt: no such file"),
        (["search", "INDEX", "--text", "a", "--split", "test"], 2, "--split goes with a run"),
        (["search", "RUN", "--text", "a", "--run", "RUN"], 2, "--run goes with an index, and runs/squares is none"),
        (["search", "gone", "--text", "a"], 3, "gone: no such index or run"),
    ],
)
def test_bad_usage_is_one_line(
    run: str, built: Path, capsys: Capture, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    names = {"RUN": run, "INDEX": str(built), "OUT": str(tmp_path / "out")}
    ended, line = refused(capsys, *(names.get(word, word) for word in arguments))
    assert (ended, said in line) == (code, True), line
    assert read_header(built).history[-1]["did"] == "build"


def spoil(index: Path, how: str) -> None:
    gallery = index / "contents-1" / "image"
    if how == "header":
        (index / "index.json").write_text("{}")
    elif how == "format":
        header = json.loads((index / "index.json").read_text())
        (index / "index.json").write_text(json.dumps(header | {"format": 2}))
    elif how == "outside":
        header = json.loads((index / "index.json").read_text())
        (index / "index.json").write_text(json.dumps(header | {"contents": "../contents-1"}))
    elif how == "contents":
        shutil.rmtree(index / "contents-1")
    elif how == "items":
        (gallery / "items.jsonl").write_text('{"id": "a", "text": "no image"}\n')
    elif how == "fewer":
        lines = (gallery / "items.jsonl").read_text().splitlines(keepends=True)
        (gallery / "items.jsonl").write_text("".join(lines[1:]))
    elif how == "vectors":
        file = gallery / "vectors" / "vectors.safetensors"
        file.write_bytes(file.read_bytes()[:-5])
    if how in ("items", "fewer", "vectors"):
        reseal_index(index)
    elif how == "outside":
        reseal(index / "index.json")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("header", "index.json: not the header of an index"),
        ("format", "format 2, and this dckt reads 1"),
        ("outside", "index.json: not the header of an index"),
        ("contents", "no such file"),
        ("items", "items.jsonl:1: not an image with an id"),
        ("fewer", "items.jsonl tells of 23 items, and the index holds 24"),
        ("vectors", "vectors.safetensors: not a whole index of vectors"),
    ],
)
def test_a_broken_index_is_named(index: Path, run: str, capsys: Capture, how: str, said: str) -> None:
    spoil(index, how)
    code, line = refused(capsys, "search", index, "--text", "red")
    assert (code, said in line) == (3, True), line


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.txt", b"\n \n", "q.txt: holds no queries"),
        ("q.txt", b"a\n\xff\n", "q.txt:2: not UTF-8: byte 1 of the line is 0xff"),
        ("q.jsonl", b'{"text": "a"}\n{', "q.jsonl:2: not JSON"),
        ("q.jsonl", b"[]", 'q.jsonl:1: a query is {"text": "..."} or {"image": "path"}'),
        ("q.jsonl", b'{"text": "a", "image": "b"}', "q.jsonl:1: a query is"),
        ("q.jsonl", b'{"text": 3}', "q.jsonl:1: 'text' is empty, or no string"),
        ("q.jsonl", b'{"image": "gone.png"}', "gone.png: no such file"),
        ("q.txt", b"a" * (2 << 20), "q.txt:1: longer than"),
    ],
)
def test_bad_files_of_queries(
    built: Path, run: str, capsys: Capture, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    code, line = refused(capsys, "search", built, "--batch", tmp_path / name)
    assert (code, said in line) == (3, True), line


def test_two_processes_do_not_change_it_at_once(index: Path, run: str, capsys: Capture) -> None:
    from dckt_core.io.files import held

    with held(index, "busy"):
        code, said = refused(capsys, "index", index, "--remove", "red-test-0")
    assert (code, "another process is changing it" in said) == (2, True)


def test_metadata_come_back_in_search_and_exports(run: str, capsys: Capture, tmp_path: Path) -> None:
    known = {"by": "Ann", "year": 2019}
    pictures = sorted(Path("target").glob("red-*.png"))[:3]
    folder = tmp_path / "more"
    folder.mkdir()
    for picture in pictures:
        shutil.copy(picture, folder)
    rows = [{"image": pictures[0].name, "metadata": known}, *({"image": one.name} for one in pictures[1:])]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    index = tmp_path / "index"
    assert main(["index", run, "--gallery", str(folder), "-o", str(index), "--quiet"]) == 0
    results = told(capsys, "search", index, "--text", "a red square")["results"]
    assert {row["id"]: row.get("metadata") for row in results} == {
        one.name: known if one == pictures[0] else None for one in pictures
    }
    assert main(["search", str(index), "--text", "a red square", "--quiet"]) == 0
    assert "by Ann, year 2019" in capsys.readouterr().out

    part("pyarrow")
    from dckt_core.io.feature_files import read_features

    rows_file = tmp_path / "rows.parquet"
    assert main(["export", str(index), "--to", "parquet", "-o", str(rows_file)]) == 0
    table = read_features(rows_file)
    assert [json.loads(cell) for cell in table.facts["metadata"] if cell] == [known]


def test_an_index_whose_items_have_no_such_metadata_is_refused(index: Path, capsys: Capture) -> None:
    items = next(index.glob("contents-*")) / "image" / "items.jsonl"
    first, *others = items.read_text().splitlines()
    spoilt = json.loads(first) | {"metadata": {"year": None}}
    items.write_text("\n".join([json.dumps(spoilt), *others]) + "\n")
    reseal_index(index)
    code, said = refused(capsys, "search", index, "--text", "a red square")
    assert code == 3
    assert "items.jsonl:1: metadata 'year' must be a text, a number" in said
