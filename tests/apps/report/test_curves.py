from __future__ import annotations

from dckt_apps.report.curves import Series, discrepancies, losses, selected, validation
from dckt_core.runs.record import Measurement


def rows(*told: tuple[str, int, int, str, float]) -> list[Measurement]:
    return [Measurement(*row) for row in told]


def test_validation_begins_before_transfer() -> None:
    metrics = rows(
        ("validation", 0, 0, "target_map_mean", 0.5),
        ("validation", 0, 0, "target_map_image_to_text", 0.9),
        ("validation", 1, 30, "target_map_mean", 0.6),
        ("validation", 1, 30, "control_map_mean", 0.55),
    )
    assert validation(metrics) == ("mAP", [Series("target", [0, 1], [0.5, 0.6]), Series("control", [1], [0.55])])


def test_validation_without_labels_says_what_it_is() -> None:
    metrics = rows(("validation", 0, 0, "target_mrr_mean", 0.2), ("validation", 1, 30, "target_mrr_mean", 0.3))
    assert validation(metrics) == ("MRR", [Series("target", [0, 1], [0.2, 0.3])])
    assert validation([]) == ("mAP", [])


def test_discrepancies_are_means_of_an_iteration_in_the_order_of_the_layers() -> None:
    metrics = rows(
        ("transfer", 2, 10, "discrepancy_common_fc8", 3.0),
        ("transfer", 1, 10, "discrepancy_common_fc8", 1.0),
        ("transfer", 1, 20, "discrepancy_common_fc8", 2.0),
        ("transfer", 1, 10, "discrepancy_image_fc6", 5.0),
        ("pretrain source", 0, 10, "discrepancy_image_fc6", 7.0),
    )
    assert discrepancies(metrics) == [Series("image fc6", [1], [5.0]), Series("common fc8", [1, 2], [1.5, 3.0])]


def test_updates_are_counted_through_the_iterations() -> None:
    metrics = rows(
        ("transfer", 1, 15, "target_semantic", 4.0),
        ("transfer", 1, 30, "target_semantic", 3.0),
        ("transfer", 2, 15, "target_semantic", 2.0),
        ("transfer", 2, 15, "target_pair_fc6", 9.0),
        ("pretrain target", 0, 30, "target_semantic", 8.0),
    )
    assert losses(metrics, "semantic", "transfer") == [Series("target", [15, 30, 45], [4.0, 3.0, 2.0])]
    assert losses(metrics, "semantic", "pretrain") == [Series("target", [30], [8.0])]


def test_a_term_of_several_layers_is_added_up() -> None:
    metrics = rows(("transfer", 1, 5, "source_pair_fc6", 1.0), ("transfer", 1, 5, "source_pair_fc7", 2.5))
    assert losses(metrics, "pair", "transfer") == [Series("source", [5], [3.5])]


def test_what_was_not_measured_is_no_series() -> None:
    metrics = rows(("selection", 1, 0, "kept_share", 0.5))
    assert selected(metrics, {"kept_share": "kept", "ap_left": "left"}) == [Series("kept", [1], [0.5])]
    assert losses(metrics, "semantic", "transfer") == []
    assert discrepancies(metrics) == []
