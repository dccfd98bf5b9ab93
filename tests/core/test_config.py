from __future__ import annotations

import os
import tomllib

import pytest
import tomli_w

from dckt_core.base.errors import ExitCode, UsageError
from dckt_core.config import Config, merge, parse_value, preset_names, read_config, read_preset, validate


def test_presets_resolve_and_authors_differs_where_the_release_does():
    assert preset_names() == ["authors", "paper", "tuned"]
    assert Config.resolve().preset == "tuned"
    paper, authors = Config.resolve(preset="paper"), Config.resolve(preset="authors")
    assert paper.preset == "paper"
    assert paper.network.media_width == paper.network.common_width == 4096
    assert paper.loss.attachments() == authors.loss.attachments()
    assert paper.loss.attachments()["common_fc9"] == 2.0
    assert (paper.sampler.options["rule"], authors.sampler.options["rule"]) == ("paper", "code")
    assert authors.discrepancy.options == {"estimator": "quadruple", "kernel_num": 1, "kernel_mul": 2.0}
    assert (authors.pretrain.accumulation, authors.transfer.accumulation) == (16, 10)
    assert (authors.pretrain.source_updates, authors.pretrain.target_updates) == (5000, 100)


def test_later_layers_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "authors"\nseed = 1\n[transfer]\nlr = 0.5\niterations = 3\n')
    config = Config.resolve(
        settings={"transfer": {"lr": 0.9, "updates": 7}, "seed": 9},
        file=file,
        environ={"DCKT_TRANSFER__ITERATIONS": "4", "DCKT_CACHE_DIR": "/x", "OTHER": "1"},
        flags={"seed": 2},
    )
    assert config.preset == "authors"
    assert (config.seed, config.transfer.iterations, config.transfer.lr, config.transfer.updates) == (2, 4, 0.5, 7)


def test_a_named_preset_wins_over_the_files():
    assert Config.resolve(preset="paper", flags={"preset": "authors"}).preset == "paper"


def test_a_table_that_names_another_plugin_starts_afresh():
    flags = {"encoder": {"name": "mine"}, "sampler": {"alpha": 0.5}}
    config = Config.resolve(settings={"encoder": {"name": "vgg19", "size": 48}}, flags=flags)
    assert config.encoder.options == {}
    assert config.sampler.options == {"rule": "share", "alpha": 0.5}
    assert merge({"a": {"location": "x", "k": 1}}, {"a": {"location": "y"}}) == {"a": {"location": "y"}}


def test_round_trip_through_toml():
    config = Config.resolve(preset="authors", flags={"seed": 3, "observers": [{"name": "csv"}]})
    assert validate(tomllib.loads(config.to_toml())) == config


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"transfer": {"lerning_rate": 1}}, r"'transfer.lerning_rate' .*known: accumulation, batch"),
        ({"sede": 1}, r"unknown configuration key 'sede': did you mean 'seed'\?"),
        ({"loss": {"media": {"image_fc8": 1}}}, r"did you mean 'image_fc[67]'\?"),
        ({"transfer": {"lr": -1}}, r"'transfer.lr' = -1: takes a number above 0"),
        ({"transfer": {"lr": 1e308}}, r"'transfer.lr' = 1e\+308: takes a number up to 1e\+38"),
        (
            {"space": {"parts": {"a": {"weight": 1e308}}}},
            r"'space.parts.a.weight' = 1e\+308: takes a number up to 1e\+06",
        ),
        ({"transfer": {"batch": 1}}, r"'transfer.batch' = 1"),
        ({"pretrain": {"batch": 10**13}}, r"'pretrain.batch' = 10000000000000: takes a number up to 1048576"),
        (
            {"network": {"media_width": 10**13}},
            r"'network.media_width' = 10000000000000: takes a number below 2",
        ),
        ({"precision": "fp8"}, r"'precision' = 'fp8'"),
        ({"loss": {"media": {"weight": float("inf")}}}, r"'loss.media.weight' = inf"),
        ({"preset": "papr"}, r"unknown preset 'papr': did you mean 'paper'\?"),
        ({"transfer": 3}, r"'transfer' = 3"),
    ],
)
def test_bad_values_are_one_clear_line(flags, message):
    with pytest.raises(UsageError, match=message) as caught:
        Config.resolve(flags=flags)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)


def test_a_pipe_is_no_configuration(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe: no file"):
        Config.resolve(file=tmp_path / "pipe")


def test_bad_files_and_variables_are_named(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text("a = = 1")
    with pytest.raises(UsageError, match=r"broken\.toml: not TOML"):
        Config.resolve(file=file)
    with pytest.raises(UsageError, match=r"absent\.toml: no such file"):
        Config.resolve(file=tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="'trnsfer'"):
        Config.resolve(environ={"DCKT_TRNSFER__LR": "1"})


def test_values_as_typed():
    assert [parse_value(text) for text in ("true", "0.5", "[1, 2]", "fc6", "a = b", "")] == [
        True, 0.5, [1, 2], "fc6", "a = b", "",
    ]  # fmt: skip


def test_every_value_of_the_method_stands_in_the_paper_preset():
    assert set(Config.model_fields) - set(read_preset("paper")) == {
        "preset", "seed", "source", "target", "observers", "device", "precision", "checkpoint_minutes",
        "checkpoints_kept", "encode_batch", "encode_precision", "encode_compiled", "on_error", "max_bad_fraction",
            "shots", "offer", "prompts",
    }  # fmt: skip


def test_a_run_s_configuration_is_read_whole_or_not_at_all(tmp_path):
    whole, file = Config.resolve(flags={"space": {"margin": 1.0}}), tmp_path / "config.toml"
    file.write_text(whole.to_toml())
    assert read_config(file) == whole
    cut = tomllib.loads(whole.to_toml())
    del cut["transfer"]["lr"]
    file.write_text(tomli_w.dumps(cut))
    with pytest.raises(UsageError, match=r"config\.toml: .*transfer\.lr"):
        read_config(file)


def test_parts_keep_their_order_and_a_weight_of_0_leaves_one_out():
    flags = {"space": {"parts": {"mine": {"colour": "red"}, "target-network": {"weight": 0}}}}
    space = Config.resolve(preset="paper", flags=flags).space
    assert list(space.parts) == ["target-network", "mine"]
    assert list(space.chosen) == ["mine"]
    assert (space.parts["mine"].weight, space.parts["mine"].options) == (1.0, {"colour": "red"})
