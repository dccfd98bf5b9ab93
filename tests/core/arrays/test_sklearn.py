"""scikit-learn's own checks of an estimator, as far as they are about one that learns from two arrays."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
import sklearn
from sklearn.base import ClassifierMixin, TransformerMixin, clone
from sklearn.utils import estimator_checks

from dckt_core import CommonSpace
from tests.support.rows import TEST, TINY, TRAIN

NOT_APPLICABLE = {
    "check_classifiers_classes": "its labels are -1 and 1, and -1 is a label that nobody knows",
    "check_dtype_object": "arrays of Python objects are refused",
    "check_n_features_in_after_fitting": "the message names `images` or `texts`, not `X`",
    "check_supervised_y_2d": "labels are [n]; a column is refused",
    "check_supervised_y_no_nan": "NaN is a label that nobody knows, and the message about infinity names `labels`",
    "check_transformer_preserve_dtypes": "representations are float32",
}
"""Checks that say something else than `CommonSpace` does, and why; docs/arrays.md has them."""

SKIPPED = {"check_array_api_input"}
"""It asks for a variable that scipy reads when it is imported."""


class OneArray(ClassifierMixin, TransformerMixin, CommonSpace):  # type: ignore[misc]
    """Takes one array for images and texts alike, which is what the checks have."""

    def __init__(
        self,
        preset: str = "tuned",
        random_state: Any = None,
        *,
        text_encoder: Any = None,
        settings: Any = None,
        device: str = "auto",
        progress: Any = None,
    ) -> None:
        super().__init__(
            preset, random_state, text_encoder=text_encoder, settings=settings, device=device, progress=progress
        )

    def fit(self, X: Any, y: Any = None) -> Self:  # type: ignore[override]  # noqa: N803 - scikit-learn's names
        super().fit(X, X, y)
        self.n_features_in_ = self.n_image_features_in_
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return self.transform_images(X)

    def score(self, X: Any, y: Any = None) -> float:  # type: ignore[override]  # noqa: N803
        return CommonSpace.score(self, X, X, y)


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6), reason="checks tell of their outcome since 1.6"
)
@pytest.mark.slow  # sixty checks, each with fits of its own
def test_scikit_learns_checks() -> None:
    np_state = np.random.get_state()
    results = estimator_checks.check_estimator(OneArray(), on_fail=None, on_skip=None)
    np.random.set_state(np_state)  # some checks draw from it
    failed = {one["check_name"] for one in results if one["status"] == "failed"}
    assert failed == set(NOT_APPLICABLE)
    assert {one["check_name"] for one in results if one["status"] == "skipped"} <= SKIPPED
    assert sum(one["status"] == "passed" for one in results) > 50


def test_every_exception_is_told_of_in_the_documentation() -> None:
    from tests.support.pages import ROOT

    page = (ROOT / "docs" / "arrays.md").read_text("utf-8")
    for name in NOT_APPLICABLE:
        assert f"`{name}`" in page


def test_parameters() -> None:
    space = CommonSpace("paper", 7, settings=TINY)
    assert space.get_params() == {
        "preset": "paper",
        "random_state": 7,
        "text_encoder": None,
        "same_space": False,
        "settings": TINY,
        "device": "auto",
        "progress": None,
    }
    assert clone(space).get_params() == space.get_params()
    assert space.set_params(random_state=8).random_state == 8
    assert repr(CommonSpace(random_state=3)) == "CommonSpace(random_state=3)"


def test_a_clone_is_not_fitted_and_fits_to_the_same() -> None:
    space = CommonSpace(random_state=1, device="cpu").fit(TRAIN.images, TRAIN.texts)
    twin = clone(space)
    assert not hasattr(twin, "parts_")
    twin.fit(TRAIN.images, TRAIN.texts)
    assert np.array_equal(twin.transform_images(TEST.images), space.transform_images(TEST.images))
