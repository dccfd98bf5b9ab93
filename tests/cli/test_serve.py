"""`dckt serve` as it runs: over a real socket."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dckt_cli.main import main
from dckt_core.contract.pairs import ImageItem
from dckt_core.data.features import compute_features
from dckt_core.retrieval.index import open_index
from dckt_core.retrieval.query import Query, join
from dckt_core.retrieval.refine import Refine
from dckt_core.runs.model import load
from tests.support.commands import DCKT
from tests.support.needs import part
from tests.support.serving import Server, running
from tests.support.tolerance import SMALL, assert_same

part("fastapi")
part("uvicorn")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run, an index of its target, and a class with a nasty name."""
    home = tmp_path_factory.mktemp("serve")
    for name in ("source", "target", "runs"):
        shutil.copytree(trained / name, home / name)
    rows = [json.loads(line) for line in (home / "target/pairs.jsonl").read_text().splitlines()]
    nasty = [{**row, "label": "<img src=x onerror=alert(1)>"} if row["label"] == "green" else row for row in rows]
    (home / "target/nasty.jsonl").write_text("".join(json.dumps(row) + "\n" for row in nasty))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        patch.chdir(home)
        command = ["index", "runs/squares", "--gallery", "target/nasty.jsonl", "-o", "index", "--quiet"]
        assert main([*command, "--device", "cpu"]) == 0
    return home


@pytest.fixture(scope="module")
def server(home: Path, trained: Path) -> Iterator[Server]:
    """The index, served by a thread of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        searcher = open_index("index", cache_dir=trained / "cache")
    with running({"index": searcher}, upload=50_000) as started:
        yield started


@contextmanager
def serving(home: Path, trained: Path, *arguments: str) -> Iterator[Server]:
    """`dckt serve` in a process of its own."""
    command = [DCKT, "serve", *arguments, "--port", "0", "--quiet", "--device", "cpu"]
    environment = os.environ | {"DCKT_CACHE_DIR": str(trained / "cache"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
            yield Server(address)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0, "Ctrl-C is how it ends"


def test_it_finds_what_dckt_search_finds(server: Server, home: Path, trained: Path, capsys: Capture) -> None:
    status, answer = server.json("/api/search/text", {"text": "a red square", "k": 5})
    assert status == 200
    found = answer["results"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        capsys.readouterr()
        command = ["search", "index", "--text", "a red square", "-k", "5", "--json", "--quiet", "--device", "cpu"]
        assert main(command) == 0
    expected = json.loads(capsys.readouterr().out)["results"]
    assert [(row["rank"], row["id"], row["label"]) for row in found] == [
        (row["rank"], row["id"], row["label"]) for row in expected
    ]
    assert_same(*([row["cosine"] for row in rows] for rows in (found, expected)), terms=SMALL, dtype=torch.float32)


def test_dckt_search_asks_it(server: Server, home: Path, trained: Path, capsys: Capture) -> None:
    """What is asked by its address is what is found here, whatever the query."""
    picture = str(home / "target/red-test-1.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        for line in (["--text", "a red square"], ["--image", picture, "--text", "red", "--weight", "-0.5"]):
            capsys.readouterr()
            answers = []
            for place in (["index", "--device", "cpu", "--quiet"], ["--url", server.address]):
                assert main(["search", *place, *line, "-k", "5", "--json"]) == 0
                answers.append(json.loads(capsys.readouterr().out))
            here, there = answers
            assert [row["id"] for row in there["results"]] == [row["id"] for row in here["results"]]
            assert there["unknown"] == here["unknown"] and there["unlikely"] == here["unlikely"]
    assert main(["search", "--url", server.address, "--text", "xyzzy"]) == 2
    assert "(--insist)" in capsys.readouterr().err
    assert main(["search", "--url", f"{server.address}?run=gone", "--text", "red"]) == 2
    assert "nothing that is served is called 'gone'" in capsys.readouterr().err


def test_a_picture_is_shown_by_its_number_alone(server: Server, home: Path) -> None:
    (best, *_) = server.json("/api/search/text", {"text": "a red square"})[1]["results"]
    assert re.fullmatch(r"/pictures/0/\d+", best["picture"])
    status, body, headers = server.ask("GET", best["picture"])
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    shown = Image.open(io.BytesIO(body)).convert("RGB").resize((1, 1)).getpixel((0, 0))
    original = Image.open(home / "target" / f"{best['id']}.png").convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert shown == pytest.approx(original, abs=12)


@pytest.mark.parametrize("medium", ["other", "image", "text"])
def test_a_picture_finds(server: Server, home: Path, medium: str) -> None:
    picture = (home / "target/red-test-1.png").read_bytes()
    status, answer = server.json(f"/api/search/image?k=4&medium={medium}", picture)
    assert status == 200
    assert len(answer["results"]) == 4
    assert all(("text" in row) is (medium != "image") for row in answer["results"])
    assert all(("picture" in row) is (medium == "image") for row in answer["results"])
    if medium == "image":
        assert answer["results"][0]["id"] in ("red-train-1", "red-val-1", "red-test-1"), "all three are the same"
        assert_same(answer["results"][0]["cosine"], 1, terms=SMALL, dtype=torch.float32)


def test_what_it_tells_of_itself(server: Server) -> None:
    status, about = server.json("/api/about")
    assert status == 200
    (run,) = about.pop("runs")
    assert about == {"limits": {"upload": 50_000}}
    classes = run.pop("classes")
    assert run == {
        "name": "index",
        "sizes": {"image": 24, "text": 24},
        "words": {"words": 24 * 7, "known": 24 * 7},
        "takes": {"image": True, "text": True},
        "queries": ["a red square with mark number 0", "a green square with mark number 0"],
    }
    assert [(one["label"], one["image"], one["text"]) for one in classes] == [
        ("<img src=x onerror=alert(1)>", 12, 12),
        ("red", 12, 12),
    ]
    for one in classes:
        assert len(one["examples"]) == 3
        assert {server.ask("GET", picture)[0] for picture in one["examples"]} == {200}


def test_it_tells_how_many_words_of_a_question_it_knows(server: Server, home: Path) -> None:
    for text, words in (("a red wombat", {"words": 3, "known": 2}), ("...", {"words": 0, "known": 0})):
        assert server.json("/api/search/text", {"text": text, "k": 2, "insist": True})[1]["words"] == words
    assert "words" not in server.json("/api/search/image?k=2", (home / "target/red-test-1.png").read_bytes())[1]


def test_a_text_of_which_nothing_is_known_is_answered_to_who_insists(server: Server) -> None:
    status, answer = server.json("/api/search/text", {"text": "xyzzy"})
    assert status == 422
    assert answer["insist"] is True
    assert answer["error"].startswith("nothing is known of 'xyzzy': the run knows none of its words (xyzzy)")
    status, answer = server.json("/api/search/text", {"text": "xyzzy", "insist": True, "k": 3})
    assert (status, len(answer["results"]), answer["unknown"]) == (200, 3, ["xyzzy"])


def test_a_question_that_is_cut_says_so(server: Server) -> None:
    for times, cut in ((200, False), (201, True)):
        assert server.json("/api/search/text", {"text": "red " * times, "k": 2})[1]["cut"] is cut


def test_hits_have_probabilities_and_may_be_few(server: Server, home: Path) -> None:
    rows = server.json("/api/search/text", {"text": "a red square", "k": 50})[1]["results"]
    sure = [row["probability"] for row in rows]
    assert sure == sorted(sure, reverse=True) and all(0 < one < 1 for one in sure)
    least = sure[len(sure) // 2]
    some = server.json("/api/search/text", {"text": "a red square", "k": 50, "threshold": least})[1]["results"]
    assert [row["id"] for row in some] == [row["id"] for row in rows if row["probability"] >= least]
    picture = (home / "target/red-test-1.png").read_bytes()
    assert server.json("/api/search/image?threshold=1", picture)[1]["results"] == []
    assert server.json("/api/search/image?threshold=2", picture)[0] == 422


def test_a_search_may_be_narrowed_joined_and_corrected(server: Server, home: Path) -> None:
    """All that `dckt search` can, by the same names."""

    def ids(path: str, question: Any = None) -> list[str]:
        status, answer = server.json(path, question)
        assert status == 200, answer
        return [row["id"] for row in answer["results"]]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        searcher = open_index("index")
    everything = [hit for hit in searcher.search_texts(["red"], 100)[0] if hit.item["label"] == "red"]
    wanted = [hit.id for hit in everything if hit.item["split"] == "test"]
    assert ids("/api/search?q=red&class=red&where=split%3Dtest&k=50") == wanted
    assert ids("/api/search/text", {"text": "red", "class": ["red"], "where": ["split=test"], "k": 50}) == wanted
    like = [hit.id for hit in searcher.search_like(["red-test-0"], 5)[0]]
    assert ids("/api/search?like=red-test-0&k=5") == like and "red-test-0" not in like
    assert ids("/api/search?like=red-test-0&of=image&medium=text&k=5")[0] != "red-test-0"
    joined = join([Query(text="red"), Query(text="green"), Query(image=home / "target/red-test-1.png")], [1, -0.5, 2])
    wanted = [hit.id for hit in searcher.find([joined], 9)[0]]
    picture = (home / "target/red-test-1.png").read_bytes()
    assert ids("/api/search/image?q=red&q=green&weight=1&weight=-0.5&weight=2&k=9", picture) == wanted
    for name, refine in (("expand", Refine(expand=3)), ("csls", Refine(csls=3))):
        found = searcher.search_texts(["red"], 9, refine=refine)[0]
        answer = server.json(f"/api/search?q=red&k=9&{name}=3")[1]
        assert [row["id"] for row in answer["results"]] == [hit.id for hit in found]
        assert all(("csls" in row) == (name == "csls") for row in answer["results"])
    for path, said in (
        ("like=gone", "no item has the id 'gone'"),
        ("q=red&class=gren", "none of the images is of class 'gren'"),
        ("q=red&weight=2", "a weight goes with two queries or more"),
        ("q=red&q=green&weight=1", "weights: 1 for 2 queries"),
        ("q=red&q=green&weight=1&weight=nan", "nan is no finite number"),
        ("q=red&where=split", "is not FIELD=VALUE"),
        ("q=red&expand=2000", "expand: "),
        ("q=red&q=green&threshold=0.5", "a threshold needs probabilities"),
    ):
        status, answer = server.json(f"/api/search?{path}")
        assert (status, said in answer["error"]) == (422, True), answer


def test_a_search_can_be_asked_for_by_an_address(server: Server) -> None:
    posted = server.json("/api/search/text", {"text": "a red wombat", "k": 3, "medium": "text"})
    assert server.json("/api/search?q=a%20red%20wombat&k=3&medium=text") == posted
    assert posted[1]["unknown"] == ["wombat"]
    assert server.json("/api/search?q=xyzzy")[0] == 422
    assert len(server.json("/api/search?q=xyzzy&insist=true&k=2")[1]["results"]) == 2
    assert server.json("/api/search?q=red&threshold=1")[1]["results"] == []
    for path, fault in (
        ("/api/search", "there is nothing to look for"),
        ("/api/search?q=red&clas=green", "clas: unknown"),
        ("/api/search?q=%20", "the text to look for is empty"),
        ("/api/search?q=red&k=51", "k: "),
        ("/api/search?q=red&threshold=nan", "threshold: "),
    ):
        status, answer = server.json(path)
        assert status == 422
        assert answer["error"].startswith(fault)


def test_items_of_a_class_page_by_page(server: Server) -> None:
    first, second = (server.json(f"/api/items?class=red&k=8&start={start}")[1] for start in (0, 8))
    assert first["total"] == second["total"] == 12
    assert (len(first["results"]), len(second["results"])) == (8, 4)
    rows = first["results"] + second["results"]
    assert len({row["id"] for row in rows}) == 12
    assert all(row["label"] == "red" and "picture" in row and "cosine" not in row for row in rows)
    texts = server.json("/api/items?class=red&medium=text")[1]["results"]
    assert len(texts) == 12 and all("text" in row for row in texts)
    some = server.json("/api/items?class=red&where=split%3Dtest")[1]
    assert some["total"] == 4 and all(row["split"] == "test" for row in some["results"])
    assert server.json("/api/items?start=20&k=12")[1]["total"] == 24
    assert server.json("/api/items?class=blue")[0] == 422


def test_one_item_with_its_other_half(server: Server) -> None:
    for medium, other in (("image", "text"), ("text", "image")):
        status, row = server.json(f"/api/item?medium={medium}&id=red-test-1")
        assert status == 200
        assert (row["medium"], row["pair"]["medium"], row["pair"]["id"]) == (medium, other, "red-test-1")
    assert row["text"] == "a red square with mark number 1" and "picture" in row["pair"]
    assert server.json("/api/item?medium=image&id=red%2F..%2F1") == (404, {"error": "no image has this id"})
    assert server.json("/api/item?medium=image&id=x&run=y")[0] == 422


def test_a_picture_that_is_asked_for_large(server: Server) -> None:
    sizes = [Image.open(io.BytesIO(server.ask("GET", f"/pictures/0/0{end}")[1])).size for end in ("", "?large=true")]
    assert sizes == [(32, 32), (32, 32)], "none is made larger than it is"


def test_the_map_in_a_few_bytes(server: Server) -> None:
    status, about = server.json("/api/map")
    assert status == 200
    assert (about["images"], about["texts"], about["total"]) == (24, 24, 48)
    assert 0.9 < sum(about["explained"]) <= 1.000001
    status, body, _ = server.ask("GET", "/api/map/points")
    across, up, classes = np.frombuffer(body, "<u2").reshape(3, 48)
    assert {across.min(), across.max()} == {0, 65535} and up.max() <= 65535
    rows = server.json("/api/map/items?points=0,23,24,47")[1]["results"]
    assert [row["medium"] for row in rows] == ["image", "image", "text", "text"]
    assert [row["label"] for row in rows] == [about["classes"][classes[place]] for place in (0, 23, 24, 47)]
    for points, status in (("48", 404), ("", 422), ("-1", 422), ("1,,2", 422), (",".join("0" * 51), 422)):
        assert server.json(f"/api/map/items?points={points}")[0] == status


def test_programs_are_told_what_they_may_ask(server: Server) -> None:
    assert server.json("/healthz") == (200, {"status": "ok"})
    status, schema = server.json("/openapi.json")
    assert status == 200
    told = {(method, path) for path, methods in schema["paths"].items() for method in methods}
    assert told == {
        ("get", "/healthz"), ("get", "/api/about"), ("get", "/api/items"), ("get", "/api/search"),
        ("post", "/api/search/text"), ("post", "/api/search/image"), ("post", "/api/search/features"),
        ("get", "/api/item"), ("get", "/api/map"), ("get", "/api/map/items"), ("get", "/api/map/points"),
        ("get", "/pictures/{run}/{number}"),
    }  # fmt: skip
    status, page, headers = server.ask("GET", "/api")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for method, path in told:
        assert f"<code>{method.upper()} {path}</code>".encode() in page
    assert b"<script" not in page and b"<dt><code>insist</code></dt>" in page
    assert b"<dt><code>id</code> (needed)</dt>" in page
    assert b"<code>{&#34;status&#34;: &#34;ok&#34;}</code>" in page


def test_no_answer_tells_a_path_of_the_server(server: Server, home: Path) -> None:
    answers = [
        server.json("/api/about"),
        server.json("/api/search/text", {"text": "red", "k": 50}),
        server.json("/api/search/text", {"text": "red", "k": 50, "medium": "text"}),
        server.json("/api/search/image", b"no picture"),
        server.json("/api/search?like=gone"),
        server.json("/api/search?q=red&medium=text&threshold=0.5"),
        server.json("/api/search/image", (home / "target/red-test-1.png").read_bytes()[:200]),
    ]
    told = json.dumps(answers)
    assert {status for status, _ in answers} == {200, 422}
    assert str(home) not in told and "/tmp" not in told and ".png" not in told


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2fpairs.jsonl",
        "/pictures/../page.js",
        "/pictures/..%2f..%2fetc%2fpasswd",
        "/pictures//etc/passwd",
        "/pictures/0/-1",
        "/pictures/0/24",
        "/pictures/1/0",
        "/pictures/-1/0",
        "/pictures/0/1e3",
        "/pictures/0/999999999999999999999999",
        "/pictures/999999999999999999999999/0",
        "/static/page.js",
        "/app.py",
        "/page.html%00.js",
        "/docs",
    ],
)
def test_nothing_else_can_be_read(server: Server, path: str) -> None:
    status, body, headers = server.ask("GET", path)
    assert status in (404, 422)
    assert headers["Content-Type"] == "application/json"
    assert set(json.loads(body)) == {"error"}
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("question", "fault"),
    [
        ({"text": "red", "k": 0}, "k: "),
        ({"text": "red", "k": 51}, "k: "),
        ({"text": "red", "medium": "sound"}, "medium: "),
        ({"text": "x" * 2001}, "text: "),
        ({"text": "   "}, "the text to look for is empty"),
        ({}, "text: "),
        ([], ""),
        (b"", "no picture was sent"),
        (b"nothing that is a picture", "no picture of a known format"),
    ],
)
def test_bad_questions_are_told_why(server: Server, question: Any, fault: str) -> None:
    path = "/api/search/image" if isinstance(question, bytes) else "/api/search/text"
    status, answer = server.json(path, question)
    assert status == 422
    assert answer["error"].startswith(fault)


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes and many pixels."""
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, format="PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("side", "fault"),
    [
        (8000, "8000 x 8000 pixels are more than the 40000000 that are taken"),
        (10_000, "10000 x 10000 pixels are more than the 40000000 that are taken"),
        (14_000, "more pixels than the 178956970 that are opened"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(server: Server, side: int, fault: str) -> None:
    body = bomb(side, side)
    assert len(body) < 50_000
    assert server.json("/api/search/image", body) == (422, {"error": fault})


def test_too_many_bytes_are_refused(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 10_000

    for body in (b"x" * 50_001, chunks()):
        try:
            status, answer, _ = server.ask("POST", "/api/search/image", body)
        except (BrokenPipeError, ConnectionResetError):  # it hung up before all was sent
            continue
        assert status == 413
        assert json.loads(answer)["error"] == "more than the 0.05 MB that may be sent"
    assert server.json("/api/about")[0] == 200, "and goes on"


def test_strangers_names_and_pages_are_refused(server: Server) -> None:
    assert server.ask("GET", "/", headers={"Host": "evil.example"})[0] == 421
    assert server.ask("GET", "/api/about", headers={"Origin": "http://evil.example"})[0] == 403
    assert server.ask("GET", "/api/search?q=red", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert server.ask("GET", "/?q=red", headers=followed)[0] == 200, "a link may be followed"
    assert server.ask("GET", "/api/search?q=red", headers={"Sec-Fetch-Site": "same-origin"})[0] == 200
    assert server.ask("GET", "/", headers={"Host": f"localhost:{server.place.rpartition(':')[2]}"})[0] == 200


def test_the_command_serves_a_run_like_an_index(home: Path, trained: Path) -> None:
    with serving(home, trained, "runs/squares", "--split", "test", "--max-upload", "0.01") as server:
        (run,) = server.json("/api/about")[1]["runs"]
        assert (run["name"], run["sizes"]) == ("target", {"image": 8, "text": 8})
        assert run["words"] == {"words": 8 * 7, "known": 8 * 7}
        assert server.json("/api/search/image", b"x" * 10_001)[0] == 413
        results = server.json("/api/search/text", {"text": "a green square with mark number 1", "k": 50})[1]["results"]
        model = load(home / "runs/squares", target=str(home / "target"))
        assert {row["id"] for row in results} == {pair.id for pair in model.target().split("test")}


@pytest.mark.parametrize(
    ("arguments", "code", "fault"),
    [
        (["nowhere"], 3, "nowhere: no such index or run"),
        (["index", "--split", "test"], 2, "--split goes with a run, and index is none"),
        (["runs/squares", "--run", "x"], 2, "--run goes with an index, and runs/squares is none"),
        (["index", "--host", "192.0.2.1"], 2, "--host 192.0.2.1 --port 0: "),
    ],
)
def test_what_it_refuses(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, arguments: list[str], code: int, fault: str
) -> None:
    monkeypatch.chdir(home)
    assert main(["serve", *arguments, "--port", "0"]) == code
    assert fault in capsys.readouterr().err


def test_a_port_that_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, server: Server) -> None:
    monkeypatch.chdir(home)
    assert main(["serve", "index", "--port", server.place.rpartition(":")[2]]) == 2
    assert "Address already in use" in capsys.readouterr().err


def test_without_its_packages_it_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("dckt_cli.serve.find_spec", lambda name: None)
    assert main(["serve", "index"]) == 2
    assert "pip install 'dckt[serve]'" in capsys.readouterr().err


def test_features_are_queries_too(server: Server, home: Path, trained: Path) -> None:
    picture = home / "target/red-test-1.png"
    encoder = load(trained / "runs/squares").encoder("image")
    rows = compute_features(encoder, [ImageItem("q", picture)], device=torch.device("cpu"), batch=1)
    as_features = server.json("/api/search/features?of=image&k=3", saved(rows.numpy()))
    assert as_features[0] == 200
    assert as_features[1]["results"] == server.json("/api/search/image?k=3", picture.read_bytes())[1]["results"]
    two = saved(np.ones((2, 3)))
    bomb = io.BytesIO()
    np.savez_compressed(bomb, rows=np.zeros((1, 2**20)))
    for body, says in (
        (two, "2 rows of features, where one is expected"),
        (bomb.getvalue(), "a query is one row of features in a file of npy or safetensors"),
        (b"?", "a query is one row of features in a file of npy or safetensors"),
    ):
        status, answer = server.json("/api/search/features?of=text&k=3", body)
        assert (status, says in answer["error"]) == (422, True), answer
        assert "/tmp" not in answer["error"]
    assert server.json("/api/search/features?of=sound", two)[0] == 422


def saved(rows: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()
