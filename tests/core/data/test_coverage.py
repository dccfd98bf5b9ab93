from __future__ import annotations

import pytest

from dckt_core.data.coverage import ADVICE, Coverage, cover, recommend_vectors, tell, unknown_words


def test_words_are_counted_as_often_as_they_occur() -> None:
    found = cover(lambda text: [(word, word != "wombat") for word in text.split()], ["a dog a dog", "", "wombat dog"])
    assert found == Coverage(words=6, known=5)
    assert found.share == 5 / 6
    assert found.as_json() == {"words": 6, "known": 5}
    assert cover(lambda text: [], ["a"]).share == 1


def test_unknown_words_are_named_once_each_in_order() -> None:
    text = "yak dog wombat yak"
    assert unknown_words(lambda text: [(word, word == "dog") for word in text.split()], text) == ("yak", "wombat")


@pytest.mark.parametrize(
    ("parts", "level", "told"),
    [
        ({"train": Coverage(2000, 1995), "val": Coverage(5, 3)}, "INFO", "train 99.8% of 2,000, val 60.0% of 5"),
        (
            {"train": Coverage(9, 9), "test": Coverage(8, 4)},
            "WARNING",
            f"train 100.0% of 9, test 50.0% of 8; {ADVICE}",
        ),
        ({"": Coverage(9, 0)}, "WARNING", f"0.0% of 9; {ADVICE}"),
        ({"train": Coverage(3, 3), "val": Coverage(0, 0)}, "INFO", "train 100.0% of 3, val no words"),
        ({"train": Coverage(0, 0)}, "WARNING", "train no words"),
    ],
)
def test_a_line_tells_of_all_parts(
    caplog: pytest.LogCaptureFixture, parts: dict[str, Coverage], level: str, told: str
) -> None:
    caplog.set_level("INFO", logger="dckt")
    tell("target", parts)
    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage() == f"target: words of the texts that have vectors: {told}"


def test_vectors_are_recommended_where_words_are_few(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="dckt"):
        recommend_vectors("target", 50_000)
        assert caplog.messages == []
        recommend_vectors("target", 49_999)
    (said,) = caplog.messages
    assert said.startswith("target: its training texts have 49,999 words, few to learn what words mean: pretrained")
    assert "--text-encoder-opt vectors=FILE" in said
