"""`dckt search` with filters, joined queries, items as queries, expansion and CSLS: what comes out, from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dckt_cli.main import main
from dckt_core.base.errors import ArgumentError
from dckt_core.base.rng import generator_for
from dckt_core.retrieval.neighbours import Hubness
from dckt_core.retrieval.refine import Refine
from dckt_core.retrieval.searcher import searcher_of_target
from dckt_core.runs.model import load
from tests.support.tolerance import SMALL, assert_same

Capture = pytest.CaptureFixture[str]
RED, GREEN = "a red square", "a green square"


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["search", *arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_filters_leave_the_best_of_what_they_let_through(run: str, capsys: Capture) -> None:
    everything = told(capsys, run, "--text", RED, "-k", "100")["results"]
    wanted = [row["id"] for row in everything if row["label"] == "green" and row["split"] == "test"]
    line = ["--text", RED, "-k", "100", "--class", "green", "--where", "split=test"]
    found = told(capsys, run, *line)["results"]
    assert [row["id"] for row in found] == wanted
    assert [row["rank"] for row in found] == list(range(1, len(wanted) + 1))
    some = told(capsys, run, *line, "-k", "2")["results"]
    assert some == found[:2]


def test_weights_stand_behind_their_queries(run: str, capsys: Capture) -> None:
    line = ["--image", "target/red-test-0.png", "--weight", "0.25", "--text", GREEN, "--text", RED, "--weight", "-0.5"]
    answer = told(capsys, run, *line, "-k", "100")
    assert answer["query"] == {
        "joined": [{"image": "target/red-test-0.png"}, {"text": GREEN}, {"text": RED}],
        "weights": [0.25, 1.0, -0.5],
    }
    model = load(run)
    images = {pair.id: pair.image for pair in model.target().pairs}
    results = answer["results"]
    assert {row["id"] for row in results} == set(images), "a picture and texts together find images"
    assert all("probability" not in row for row in results)
    rows = torch.cat([model.encode_images("target/red-test-0.png"), model.encode_texts([GREEN, RED])]).double()
    query = torch.tensor([0.25, 1.0, -0.5], dtype=torch.float64) @ F.normalize(rows, dim=1)
    found = model.encode_images([images[row["id"]] for row in results]).double()
    expected = torch.cosine_similarity(query[None], found)
    assert_same([row["cosine"] for row in results], expected, terms=4 * SMALL, scale=1, dtype=torch.float32)


def test_more_like_an_item_without_the_item(run: str, capsys: Capture) -> None:
    same = told(capsys, run, "--like", "red-test-0", "-k", "100")
    assert same["query"] == {"like": "red-test-0", "of": "image"}
    by_picture = told(capsys, run, "--image", "target/red-test-0.png", "--medium", "image", "-k", "100")["results"]
    assert {row["id"] for row in same["results"]} == {row["id"] for row in by_picture} - {"red-test-0"}
    cosines = {row["id"]: row["cosine"] for row in by_picture}
    expected = [cosines[row["id"]] for row in same["results"]]
    assert_same([row["cosine"] for row in same["results"]], expected, terms=SMALL, scale=1, dtype=torch.float32)
    texts = told(capsys, run, "--like", "red-test-0", "--medium", "text", "-k", "100")["results"]
    assert "red-test-0" in {row["id"] for row in texts}, "its partner is another item"
    assert all("probability" in row for row in texts)
    of_text = told(capsys, run, "--like", "red-test-0", "--of", "text", "-k", "3")
    assert of_text["query"] == {"like": "red-test-0", "of": "text"}
    assert all("text" in row and row["id"] != "red-test-0" for row in of_text["results"])


def test_expansion_and_csls_rank_by_their_formulas(run: str, capsys: Capture) -> None:
    model = load(run)
    pairs = model.target().pairs
    texts = F.normalize(model.encode_texts([pair.text for pair in pairs if pair.text]).double(), dim=1)
    images = F.normalize(model.encode_images([pair.image_item for pair in pairs]).double(), dim=1)
    query = F.normalize(model.encode_texts(["a red square with a green mark"]).double(), dim=1)
    cosines = (query @ images.T)[0]
    near = cosines.topk(3)
    moved = F.normalize(query + near.values.clamp_min(0).pow(3) @ images[near.indices], dim=1)
    means = (images @ texts.T).topk(4, dim=1).values.mean(dim=1)
    csls = 2 * cosines - cosines.topk(4).values.mean() - means
    place = {pair.id: number for number, pair in enumerate(pairs)}
    for flag, key, expected in ((["--expand", "3"], "cosine", (moved @ images.T)[0]), (["--csls", "4"], "csls", csls)):
        results = told(capsys, run, "--text", "a red square with a green mark", "-k", "100", *flag)["results"]
        rows = [row[key] for row in results]
        assert rows == sorted(rows, reverse=True)
        wanted = expected[[place[row["id"]] for row in results]]
        assert_same(rows, wanted, terms=4 * SMALL, scale=2, dtype=torch.float32)
    assert main(["search", run, "--text", RED, "--csls", "4", "-k", "1", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-2].split()[:4] == ["rank", "cosine", "probability", "CSLS"]


def test_all_that_is_likely_is_found_wherever_csls_ranks_it(run: str) -> None:
    model = load(run)
    assert model.calibration is not None
    rising = replace(model.calibration, cosines=(-1.0, 1.0), probabilities=(0.01, 0.99))
    model.__dict__["calibration"] = rising  # so that no two hits are alike
    searcher = searcher_of_target(model)
    ids = list(searcher.galleries["image"].items)
    hubs = Hubness(4, dict(zip(ids, torch.rand(len(ids), generator=generator_for(0, "hubs")).tolist(), strict=True)))
    searcher = replace(searcher, _hubness={("image", "text", 4): hubs})
    refine = Refine(csls=4)
    (everything,) = searcher.search_texts([GREEN], 100, refine=refine)
    sure = [hit.probability for hit in everything]
    assert sure.index(max(one or 0 for one in sure)) > 3, "CSLS ranks otherwise"
    for least in sure:
        assert least is not None
        (found,) = searcher.search_texts([GREEN], 3, threshold=least, refine=refine)
        assert [hit.id for hit in found] == [hit.id for hit in everything if (hit.probability or 0) >= least][:3]
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ArgumentError, match="is no probability from 0 to 1"):
            searcher.search_texts([GREEN], 3, threshold=wrong)
