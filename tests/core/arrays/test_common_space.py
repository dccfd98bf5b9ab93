"""The estimator takes what people have, says what is wrong in one line, and comes back from a folder as it was."""

from __future__ import annotations

import copy
import pickle
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

import dckt_core
from dckt_core import ArgumentError, CommonSpace, DataError
from dckt_core.base.errors import StorageError
from tests.support.rows import IMAGE_DIM, LABELS, NAMES, SOURCE, TEST, TINY, TRAIN, VALIDATION, alike
from tests.support.tolerance import assert_same


@pytest.fixture(scope="module")
def space() -> CommonSpace:
    """Fitted on a source and on pairs with labels."""
    return CommonSpace(random_state=1, device="cpu").fit(
        TRAIN.images, TRAIN.texts, TRAIN.labels, source=tuple(SOURCE), class_names=NAMES
    )


def fit(**arguments: Any) -> CommonSpace:
    """On pairs, with what is said besides."""
    return CommonSpace(device="cpu").fit(**{"images": TRAIN.images, "texts": TRAIN.texts, **arguments})


def test_it_places_ranks_predicts_and_scores(space: CommonSpace) -> None:
    images, texts = space.transform_images(TEST.images), space.transform_texts(TEST.texts)
    assert images.shape == texts.shape == (len(TEST), space.model_.dim)
    assert images.dtype == np.float32
    assert list(space.classes_) == list(LABELS)
    for medium, rows in (("image", TEST.images), ("text", TEST.texts)):
        probabilities = space.predict_proba(rows, medium)  # type: ignore[arg-type]
        assert probabilities.shape == (len(TEST), len(LABELS))
        assert_same(torch.from_numpy(probabilities.sum(axis=1)), torch.ones(len(TEST)), terms=len(LABELS))
        predicted = space.predict(rows, medium)  # type: ignore[arg-type]
        assert (predicted == TEST.labels).mean() > 0.9, "a third by chance"
    assert 0.9 < space.score(TEST.images, TEST.texts, TEST.labels) <= 1
    assert space.n_image_features_in_ == IMAGE_DIM
    assert set(space.parts_) == set(space.summary_["space"]["weights"])


def test_ranks_are_those_of_the_cosines(space: CommonSpace) -> None:
    numbers, cosines = space.rank(TEST.texts[:3], TEST.images, k=5)
    rows = space.transform_texts(TEST.texts[:3]), space.transform_images(TEST.images)
    texts, images = (torch.nn.functional.normalize(torch.from_numpy(one), dim=1) for one in rows)
    best = (texts @ images.T).topk(5, dim=1)
    assert np.array_equal(numbers, best.indices.numpy())
    assert_same(torch.from_numpy(cosines).float(), best.values, terms=space.model_.dim)
    own, _ = space.rank(TEST.images[:2], TEST.images, k=100, query_medium="image", gallery_medium="image")
    assert own.shape == (2, len(TEST))
    assert list(own[:, 0]) == [0, 1]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shots": 2}, "settings: 'shots' is said by other arguments"),
        ({"offer.labels": "none"}, "settings: 'offer' is said by other arguments"),
        ({"seed": 3}, "settings: 'seed' is said by other arguments"),
        ({"encoder.space": "rows"}, "settings: 'encoder' is said by other arguments"),
        ({"prompts": ["a {}"]}, "settings: 'prompts' is said by other arguments"),
        ({"encode_batch": 8}, "settings: 'encode_batch' does nothing on arrays"),
        (["shots"], "settings: list, where a mapping of keys to values is expected"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(settings: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{says}$"):
        CommonSpace(settings=settings).fit(*TRAIN)


def test_scores_are_those_of_an_evaluation(space: CommonSpace) -> None:
    found = space.evaluate(*TEST)
    summary, instances = found.summary(0), found.instance_summary(0)["mean"].figures
    assert space.score(*TEST) == pytest.approx(summary["mean"].map)
    assert space.score(*TEST, metric="mrr") == pytest.approx(instances["mrr"].value)
    assert space.score(*TEST, metric="recall@5") == pytest.approx(instances["recall_at_5"].value)
    assert space.score(TEST.images, TEST.texts) == space.score(*TEST, metric="recall@10")
    assert space.score(*TEST, metric="recall@1000") == 1
    some = [label if row % 2 else None for row, label in enumerate(TEST.labels)]
    assert space.evaluate(TEST.images, TEST.texts, some).summary(0)["mean"].map is not None
    for metric, says in (("map", "metric: 'map' needs labels"), ("f1", "metric: 'f1' is none; there are map, mrr and")):
        with pytest.raises(ArgumentError, match=says):
            space.score(TEST.images, TEST.texts, metric=metric)


def test_numbers_for_labels() -> None:
    numbers = np.array([LABELS.index(str(label)) * 10 for label in TRAIN.labels])
    found = fit(labels=numbers, source=tuple(SOURCE))
    assert found.classes_.tolist() == [0, 10, 20]
    assert set(found.predict(TEST.images)) <= {0, 10, 20}
    named = fit(labels=TRAIN.labels, source=tuple(SOURCE))
    assert np.array_equal(named.transform_images(TEST.images), found.transform_images(TEST.images)), "but for the names"


@pytest.mark.parametrize("make", [torch.tensor, np.asfortranarray, lambda array: array.astype(np.float64).tolist()])
def test_arrays_of_any_kind_give_the_same(space: CommonSpace, make: Any) -> None:
    assert np.array_equal(space.transform_images(make(TEST.images)), space.transform_images(TEST.images))


def test_files_are_mapped(tmp_path: Path) -> None:
    for name, rows in (("images", TRAIN.images), ("texts", TRAIN.texts)):
        np.save(tmp_path / f"{name}.npy", rows)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("images", "texts")}
    assert np.array_equal(fit(**mapped).transform_images(TEST.images), fit().transform_images(TEST.images))


def test_names_and_texts_as_strings() -> None:
    words = dict(zip(LABELS, NAMES, strict=True))

    def encoder(strings: Sequence[str]) -> Any:
        return np.stack([words[one] for one in strings])

    by_name = CommonSpace(text_encoder=encoder, device="cpu").fit(
        TRAIN.images, TRAIN.texts, source=tuple(SOURCE), class_names=list(LABELS)
    )
    by_rows = fit(source=tuple(SOURCE), class_names={label: row.tolist() for label, row in words.items()})
    assert list(by_name.classes_) == list(by_rows.classes_) == list(LABELS)
    assert np.array_equal(by_name.predict_proba(TEST.images), by_rows.predict_proba(TEST.images))
    assert np.array_equal(by_name.transform_texts("dog"), by_rows.transform_texts(words["dog"][None]))
    assert by_name.rank(["dog", "cat"], TEST.images, 4)[0].shape == (2, 4)
    with pytest.raises(ArgumentError, match="^class_names: strings, and no text_encoder"):
        fit(class_names=list(LABELS))


def test_rows_of_one_model_compare_as_they_are(tmp_path: Path) -> None:
    labels = (*LABELS, "hen", "pig", "rat", "yak")
    train, test = alike(labels, 8, 1), alike(labels, 6, 2)
    templates = ("a photo of a {}.", "{}!")
    names = {label: [template.format(label) for template in templates] for label in labels}
    place = {one: train.texts[train.labels == label].mean(axis=0) for label in labels for one in names[label]}

    def encoder(strings: Sequence[str]) -> Any:
        return np.stack([place[one] for one in strings])

    settings = {"space.parts.cache.weight": 1}
    shared = CommonSpace(same_space=True, text_encoder=encoder, settings=settings, device="cpu")
    shared.fit(train.images, train.texts, class_names=names)
    assert {"zero-shot", "cache"} <= shared.parts_.keys(), shared.notes_
    assert (shared.predict(test.images) == test.labels).mean() > 0.8, "a seventh by chance, and nothing was labelled"
    alone = CommonSpace("paper", settings={"space.parts.target-network.weight": 0, "space.parts.zero-shot.weight": 1})
    alone.set_params(same_space=True, device="cpu").fit(unpaired_images=train.images, unpaired_texts=train.texts)
    assert alone.parts_ == {"zero-shot": 1}
    assert alone.score(*test, metric="recall@1") > 0.2, "by chance a share of .02"
    shared.save(tmp_path / "saved")
    again = CommonSpace.load(tmp_path / "saved")
    assert again.same_space is True
    assert np.array_equal(again.transform_images(test.images), shared.transform_images(test.images))

    apart = CommonSpace(settings=settings, device="cpu").fit(train.images, train.texts)
    assert not {"zero-shot", "cache"} & apart.parts_.keys()
    reason = "part 'cache' steps aside: features of images and of texts do not lie in one space"
    assert [note for note in apart.notes_ if "'cache'" in note] == [reason]


def test_a_seed_is_all_that_chance_depends_on() -> None:
    def placed(seed: Any) -> Any:
        fitted = CommonSpace(random_state=seed, device="cpu").fit(TRAIN.images, TRAIN.texts, source=tuple(SOURCE))
        return fitted.transform_images(TEST.images)

    assert np.array_equal(placed(None), placed(0))
    assert np.array_equal(placed(np.random.default_rng(4)), placed(np.random.default_rng(4)))
    assert np.array_equal(placed(np.random.RandomState(4)), placed(np.random.RandomState(4)))


def test_what_is_unknown_equal_or_left_out_is_counted() -> None:
    images = TRAIN.images.copy()
    images[1], images[5] = images[0], 0
    labels = [label if row < 30 else (None, "")[row % 2] for row, label in enumerate(TRAIN.labels)]
    notes = fit(images=images, labels=labels, unpaired_texts=TEST.texts).notes_
    assert "target: 36 pairs, 30 of them labelled, 3 classes" in notes
    assert "target pairs, images: 1 of 36 rows are equal to an earlier one" in notes
    assert "target pairs, images: 1 of 36 rows are zero, and have cosine 0 to everything" in notes
    assert f"target: {len(TEST)} unpaired texts" in notes
    assert any(note.startswith("part 'source-classes' steps aside: ") for note in notes)


def test_the_networks_are_trained_where_choices_can_be_made(tmp_path: Path) -> None:
    told: list[str] = []
    space = CommonSpace("paper", settings=TINY, device="cpu", progress=lambda done, total, what: told.append(what))
    space.fit(*TRAIN, source=tuple(SOURCE), validation=tuple(VALIDATION))
    assert list(space.parts_) == ["target-network"]
    assert "pretrain source" in told
    space.save(tmp_path / "saved")
    again = CommonSpace.load(tmp_path / "saved")
    assert np.array_equal(again.predict_proba(TEST.images), space.predict_proba(TEST.images))
    with pytest.raises(ArgumentError, match="the networks need 2 pairs in split 'val' to be chosen by"):
        CommonSpace("paper", settings=TINY, device="cpu").fit(*TRAIN, source=tuple(SOURCE))


def test_there_and_back(space: CommonSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "saved")
    run = dckt_core.load(tmp_path / "saved")
    assert np.array_equal(run.encode_images(TEST.images).numpy(), space.transform_images(TEST.images))
    for again in (CommonSpace.load(tmp_path / "saved"), pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert np.array_equal(again.transform_texts(TEST.texts), space.transform_texts(TEST.texts))
        assert list(again.classes_) == list(space.classes_)
        assert again.notes_ == space.notes_
        assert again.parts_ == space.parts_
        assert again.preset == space.preset
    with pytest.raises(ArgumentError, match="saved: is there already"):
        space.save(tmp_path / "saved")


def test_a_run_of_the_command_line(run: str) -> None:
    space = CommonSpace.load(run)
    model = dckt_core.load(run)
    assert list(space.classes_) == list(model.classes)
    assert np.array_equal(space.transform_texts("a red square"), model.encode_texts("a red square").numpy())
    numbers, _ = space.rank(["a red square"], ["target/red-test-0.png", "target/green-test-0.png"], k=2)
    assert sorted(numbers[0]) == [0, 1]


def test_what_is_not_fitted_says_so() -> None:
    for use in (CommonSpace().transform_images, CommonSpace().predict):
        with pytest.raises(NotFittedError):
            use(TEST.images)


def nan(row: int) -> Any:
    rows = TRAIN.images.copy()
    rows[row] = np.nan
    return rows


def large(row: int) -> Any:
    rows = TRAIN.images.copy()
    rows[row] = 1e20
    return rows


PAIR = {"images": TRAIN.images, "texts": TRAIN.texts}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "nothing to fit on: give a source, images and texts, or unpaired_images and _texts"),
        ({"unpaired_images": TRAIN.images}, "nothing to fit on: "),
        ({"images": TRAIN.images}, "texts: missing; what has no partner goes into unpaired_images, unpaired_texts"),
        ({**PAIR, "images": nan(3)}, "images: row 3 holds NaN or infinity"),
        (
            {**PAIR, "images": large(3)},
            "images: row 3 holds 1e+20, of which float32 can take no variance; scale the rows",
        ),
        ({**PAIR, "source": (large(2), TRAIN.texts, None)}, "source images: row 2 holds 1e+20"),
        ({**PAIR, "texts": TRAIN.texts[:-1]}, "images, texts: 36 and 35 rows, which do not pair up"),
        ({**PAIR, "images": TRAIN.images[0]}, "images: an array of shape (8,) is not rows [n, d]"),
        ({**PAIR, "images": TRAIN.images.astype(object)}, "images: an array of object, where numbers are expected"),
        ({**PAIR, "images": np.ones_like(TRAIN.images)}, "images: all 36 rows are equal"),
        ({"images": TRAIN.images[:0], "texts": TRAIN.texts[:0]}, "images, texts: 0 samples (n_samples = 0)"),
        ({**PAIR, "labels": TRAIN.labels[:5]}, "labels: 5 labels for 36 rows"),
        ({**PAIR, "labels": ["cat"] * 36}, "labels: all rows are of one class, 'cat', and 2 are needed"),
        ({"labels": TRAIN.labels}, "labels: there are no images and texts that they could be of"),
        ({**PAIR, "source": (SOURCE.images, SOURCE.texts)}, "source: a tuple of images, texts and labels is expected"),
        (
            {**PAIR, "source": (SOURCE.images[:, :3], SOURCE.texts, None)},
            "source images: rows of 3 values, and those of the other images have 8",
        ),
        ({**PAIR, "source": (SOURCE.images, SOURCE.texts, [1])}, "source labels: 1 labels for 48 rows"),
        ({**PAIR, "unpaired_texts": TRAIN.images}, "unpaired_texts: rows of 8 values, and those of texts have 6"),
        ({**PAIR, "class_names": NAMES[:, :2]}, "class_names: rows of 2 values, where 6 are expected"),
        ({**PAIR, "class_names": {"cat", "dog"}}, "class_names: set, where a mapping from labels, or names or rows"),
        ({**PAIR, "texts": ["a dog"] * 36}, "texts: strings, and no text_encoder that turns them into rows"),
        ({"class_names": NAMES}, "class_names: there are no texts, nor a source, that they could be compared with"),
        (
            {**PAIR, "labels": TRAIN.labels, "validation": (TEST.images, TEST.texts, ["hen"] * len(TEST))},
            "validation labels: 'hen' is no label of the training pairs",
        ),
        (
            {**PAIR, "labels": TRAIN.labels, "validation": (TEST.images, TEST.texts, [0] * len(TEST))},
            "labels and validation labels: some are whole numbers and some strings",
        ),
    ],
)
def test_arguments_that_do_not_do(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        CommonSpace(device="cpu").fit(**arguments)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"preset": "tunde"}, "unknown preset 'tunde': did you mean 'tuned'?"),
        ({"preset": 5}, "preset: 5 is no name"),
        ({"random_state": -1}, "random_state: -1 is neither a whole number from 0 nor a generator of numpy"),
        ({"random_state": "3"}, "random_state: '3' is neither"),
        ({"settings": {"transfer.lrate": 1}}, "unknown configuration key 'transfer.lrate'"),
        ({"settings": {"seed": 1}}, "settings: 'seed' is said by other arguments"),
        ({"device": "abacus"}, "unknown device 'abacus'"),
        ({"text_encoder": "MiniLM"}, "text_encoder: str, where a function from strings to rows is expected"),
        ({"same_space": "yes"}, "same_space: 'yes' is neither True nor False"),
        ({"same_space": True}, "same_space: rows of images have 8 values and those of texts 6, and in one space they"),
    ],
)
def test_parameters_that_do_not_do(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        CommonSpace(**parameters).fit(
            TRAIN.images, TRAIN.texts, class_names=LABELS if "text_encoder" in parameters else None
        )
    assert str(caught.value).startswith(says)


def test_uses_that_do_not_do(space: CommonSpace) -> None:
    with pytest.raises(ArgumentError, match="^images: rows of 6 values, where 8 are expected"):
        space.transform_images(TEST.texts)
    with pytest.raises(ArgumentError, match="^medium: 'sound' is neither 'image' nor 'text'"):
        space.predict(TEST.images, medium="sound")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="^k: 0 is no whole number from 1"):
        space.rank(TEST.texts, TEST.images, k=0)
    with pytest.raises(ArgumentError, match="^images, texts: 24 and 23 rows, which do not pair up"):
        space.score(TEST.images, TEST.texts[1:])
    with pytest.raises(ArgumentError, match="^texts: strings, and no text_encoder that turns them into rows"):
        space.transform_texts("a dog")
    with pytest.raises(ArgumentError, match="^labels, and those of the space: some are whole numbers and some strings"):
        space.score(TEST.images, TEST.texts, [0] * len(TEST))
    with pytest.raises(ArgumentError, match="^images, texts: no rows to score"):
        space.score(TEST.images[:0], TEST.texts[:0])
    with pytest.raises(ArgumentError, match="none can be predicted"):
        fit().predict(TEST.images)


def test_numbers_as_large_as_are_taken_come_to_something() -> None:
    images = TRAIN.images.copy()
    images[3] = 1e17
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = fit(images=images, labels=TRAIN.labels, source=tuple(SOURCE))
    assert np.isfinite(space.transform_images(TEST.images)).all()
    assert np.isfinite(space.predict_proba(TEST.images)).all()
    with pytest.raises(ArgumentError, match=r"^images: row 0 holds 1e\+20"):
        space.transform_images(np.full((1, IMAGE_DIM), 1e20, np.float32))


def test_validation_rows_that_are_learnt_from_are_counted() -> None:
    held = (
        np.concatenate([TRAIN.images[:2], VALIDATION.images]),
        np.concatenate([SOURCE.texts[:3], VALIDATION.texts[1:]]),
    )
    notes = fit(source=tuple(SOURCE), validation=(*held, None)).notes_
    total = len(held[0])
    assert [note for note in notes if "learnt from" in note] == [
        f"validation images: 2 of {total} rows are learnt from in the target, too",
        f"validation texts: 3 of {total} rows are learnt from in the source, too",
    ]
    assert not [note for note in fit(source=tuple(SOURCE)).notes_ if "learnt from" in note]


def test_a_place_that_cannot_be_written_or_read_is_one_line(space: CommonSpace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=rf"^{tmp_path}/file/saved: cannot be written: Not a directory$"):
        space.save(tmp_path / "file/saved")
    with pytest.raises(DataError, match=f"^{tmp_path}/gone: no such run$"):
        CommonSpace.load(tmp_path / "gone")
    whole = f"{tmp_path}/saved: not a whole saved space: "
    for name in ("summary.json", "model.json", "checkpoints/space.safetensors"):
        space.save(tmp_path / "saved")
        (tmp_path / "saved" / name).unlink()
        with pytest.raises(DataError, match=f"^{whole}") as caught:
            CommonSpace.load(tmp_path / "saved")
        assert "/tmp/dckt-" not in str(caught.value)
        (tmp_path / "saved" / name).mkdir()
        with pytest.raises(DataError, match=f"^{whole}"):
            CommonSpace.load(tmp_path / "saved")
        shutil.rmtree(tmp_path / "saved")
    space.save(tmp_path / "saved")
    (tmp_path / "saved/summary.json").write_text("{")
    with pytest.raises(DataError, match=f"^{whole}{tmp_path}/saved/summary.json: altered since"):
        CommonSpace.load(tmp_path / "saved")
