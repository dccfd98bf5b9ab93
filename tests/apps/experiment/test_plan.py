from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dckt_apps.experiment.plan import read_plan
from dckt_core.base.errors import UsageError

PLAN = """
seeds = [0, 1]
shots = [5, "all"]
reference = "alone"
contrasts = [["dckt", "no-mmd"]]

[base]
preset = "paper"
network.media_width = 64

[data.photos]
source = "flickr"
target = { location = "pascal", layout = "jsonl" }
network.common_width = 32

[arms.dckt]
[arms.alone]
checkpoint = "control"
[arms.no-mmd]
network.common_width = 16
loss.media.weight = 0.0
[arms.linear]
baseline = "semantic-matching"
"""


def written(folder: Path, text: str = PLAN) -> Path:
    file = folder / "plan.toml"
    file.write_text(text)
    return file


def test_a_plan_as_it_stands(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert (plan.name, plan.seeds, list(plan.rungs)) == ("plan", (0, 1), ["5", "all"])
    assert [plan.title(rung) for rung in plan.rungs] == ["5 labels a class", "all labels"]
    assert list(plan.arms) == ["dckt", "alone", "no-mmd", "linear"]
    assert plan.arms["alone"].checkpoint == "control"
    assert plan.arms["linear"].baseline == "semantic-matching"
    assert not plan.keep_checkpoints


def test_the_arm_wins_over_the_data_set_and_that_over_the_base(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert plan.settings("photos", "no-mmd", "5", 1) == {
        "preset": "paper",
        "network": {"media_width": 64, "common_width": 16},
        "source": {"location": "flickr"},
        "target": {"location": "pascal", "layout": "jsonl"},
        "loss": {"media": {"weight": 0.0}},
        "seed": 1,
        "shots": 5,
    }
    assert plan.settings("photos", "dckt", "all", 0)["network"] == {"media_width": 64, "common_width": 32}
    assert "shots" not in plan.settings("photos", "dckt", "all", 0)
    assert "checkpoint" not in plan.settings("photos", "alone", "all", 0)


def test_an_arm_begins_with_the_keys_of_the_one_that_it_is_like(tmp_path: Path) -> None:
    arms = """
[arms.narrow]
like = "no-mmd"
network.media_width = 8
[arms.narrow-twin]
like = "narrow"
checkpoint = "control"
"""
    plan = read_plan(written(tmp_path, PLAN + arms))
    assert plan.arm_settings("narrow") == {
        "network": {"common_width": 16, "media_width": 8},
        "loss": {"media": {"weight": 0.0}},
    }
    assert plan.settings("photos", "narrow-twin", "5", 0) == plan.settings("photos", "narrow", "5", 0)
    assert plan.arms["narrow-twin"].checkpoint == "control"


def test_the_reference_is_compared_with_every_other_arm(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert plan.contrasts == (("dckt", "alone"), ("no-mmd", "alone"), ("linear", "alone"), ("dckt", "no-mmd"))


def test_changes_are_laid_over_the_file(tmp_path: Path) -> None:
    changes = {"seeds": [7], "base": {"network": {"media_width": 8}}, "data": {"photos": {"source": "elsewhere"}}}
    plan = read_plan(written(tmp_path), changes)
    said = plan.settings("photos", "dckt", "all", 7)
    assert plan.seeds == (7,)
    assert said["network"] == {"media_width": 8, "common_width": 32}
    assert said["source"] == {"location": "elsewhere"}
    assert said["preset"] == "paper"


LADDER = """
[rungs.nothing]
offer = { train_items = "none" }
[rungs.unpaired]
title = "images, and texts of other pairs"
offer.pairing = "broken"
source = "elsewhere"
[rungs.few]
above = ["nothing", "5"]
shots = 3
[arms.narrow]
like = "no-mmd"
rungs = ["few", "5"]
seeds = [1, 9]
offer.class_names = false
[arms.narrow-twin]
like = "narrow"
"""


def test_rungs_of_tables_come_after_those_of_shots(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, PLAN + LADDER))
    assert list(plan.rungs) == ["5", "all", "nothing", "unpaired", "few"]
    assert [plan.title(rung) for rung in ("unpaired", "few")] == ["images, and texts of other pairs", "few"]
    assert plan.steps == [("all", "5"), ("nothing", "all"), ("unpaired", "nothing"), ("few", "nothing"), ("few", "5")]
    assert plan.settings("photos", "narrow", "few", 0)["shots"] == 3
    assert plan.settings("photos", "narrow", "unpaired", 0)["offer"] == {"class_names": False, "pairing": "broken"}
    assert plan.settings("photos", "narrow", "unpaired", 0)["source"] == {"location": "elsewhere"}


def test_rungs_alone_and_neither(tmp_path: Path) -> None:
    assert list(read_plan(written(tmp_path, LADDERS_ALONE)).rungs) == ["pairs"]
    neither = read_plan(written(tmp_path, LADDERS_ALONE.partition("[rungs")[0]))
    assert list(neither.rungs) == ["all"]
    assert "shots" not in neither.settings("d", "a", "all", 0)
    assert neither.steps == []


LADDERS_ALONE = """
seeds = [0]
data = { d = {} }
arms = { a = {} }
[rungs.pairs]
offer.labels = "none"
"""


def test_an_arm_may_have_some_rungs_and_seeds_alone(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, PLAN + LADDER))
    for arm in ("narrow", "narrow-twin"):
        assert (plan.rungs_of(arm), plan.seeds_of(arm)) == (["5", "few"], [1])
    assert (plan.rungs_of("dckt"), plan.seeds_of("dckt")) == (list(plan.rungs), (0, 1))


def test_a_seed_may_split_the_target_anew(tmp_path: Path) -> None:
    official = read_plan(written(tmp_path, PLAN + LADDER))
    plan = read_plan(written(tmp_path, PLAN + LADDER), {"split": "folds"})
    assert "offer" not in official.settings("photos", "dckt", "5", 1)
    assert plan.settings("photos", "dckt", "5", 1)["offer"] == {"fold": 1, "folds": 5}
    plan = read_plan(written(tmp_path, PLAN + LADDER), {"split": "folds", "folds": 10})
    assert plan.settings("photos", "dckt", "unpaired", 7)["offer"] == {"pairing": "broken", "fold": 7, "folds": 10}


MINIMAL: dict[str, Any] = {"seeds": "[0]", "data": "{ d = {} }", "arms": "{ a = {}, b = {} }"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": None}, "'seeds' is missing"),
        ({"data": None}, "'data' is missing"),
        ({"arms": "{}"}, "'arms'"),
        ({"seeds": "[]"}, "'seeds'"),
        ({"seeds": "[-1]"}, "'seeds.0'"),
        ({"seeds": "[1, 1]"}, "'seeds' names the same one twice"),
        ({"shots": "[0]"}, "'shots.0"),
        ({"shots": '["some"]'}, "'shots.0"),
        ({"sed": "[1]"}, "did you mean 'seeds'"),
        ({"reference": '"c"'}, "no arm 'c'"),
        ({"contrasts": '[["a", "aa"]]'}, "no arm 'aa': did you mean 'a'"),
        ({"contrasts": '[["a"]]'}, "'contrasts.0"),
        ({"arms": '{ a = { baseline = "ccaa" } }'}, "did you mean 'cca'"),
        ({"arms": '{ a = { checkpoint = "best" } }'}, "'arms.a.checkpoint'"),
        ({"arms": '{ "a|b" = {} }'}, "the name 'a|b'"),
        ({"arms": '{ a = {}, b = { like = "aa" } }'}, "no arm 'aa' to be like: did you mean 'a'"),
        ({"arms": '{ a = { like = "b" }, b = { like = "a" } }'}, "arm 'a' is like itself: a -> b -> a"),
        ({"arms": "{ a = { seed = 3 } }"}, "'a' may not say 'seed'"),
        ({"base": "{ shots = 3 }"}, "'base' may not say 'shots'"),
        ({"data": "{ d = 3 }"}, "'data.d'"),
        ({"shots": "[5, 5]"}, "two rungs are called '5'"),
        ({"shots": "[5]", "rungs": "{ 5 = {} }"}, "two rungs are called '5'"),
        ({"rungs": "{ r = { seed = 3 } }"}, "'r' may not say 'seed'"),
        ({"rungs": '{ r = { above = ["s"] } }'}, "no rung 's'"),
        ({"rungs": '{ r = { above = ["r"] } }'}, "rung 'r' is above itself"),
        ({"arms": '{ a = { rungs = ["al"] }, b = {} }'}, "no rung 'al': did you mean 'all'"),
        ({"split": '"random"'}, "'split'"),
        ({"folds": "2"}, "'folds' = 2: takes a number from 3"),
        ({"folds": "10"}, 'folds = 10 goes with split = "folds"'),
        ({"shots": "[0]"}, "'shots.0' = 0: takes a number from 1 or 'all'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_that_names_the_file(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    lines = [f"{key} = {value}" for key, value in (MINIMAL | change).items() if value is not None]
    with pytest.raises(UsageError) as caught:
        read_plan(written(tmp_path, "\n".join(lines)))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'plan.toml'}: ")
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="plan.toml: no such file"):
        read_plan(tmp_path / "plan.toml")
