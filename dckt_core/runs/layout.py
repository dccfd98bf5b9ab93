"""What lies where in a run folder, `runs/<name>/`. No torch in here."""

from __future__ import annotations

from pathlib import Path

from dckt_core.contract.pairs import Medium

SNAPSHOTS = "*.state.safetensors"
"""Among the checkpoints, what `--resume` goes on from; gone once a run is finished."""


class Layout:
    """The paths of everything that one training leaves behind.

    Attributes:
        config: the resolved configuration; `dckt train --config` takes it back.
        environment: versions, machine and seed that the figures depend on.
        model: what the networks are made of: classes, encoders, what they learnt from texts.
        calibration: how probable it is that items of a cosine belong together, where validation could tell.
        log: every log line.
        dropped: what `on_error = 'skip'` left out: a bad line or a pair with a bad image each, with the reason.
        metrics: learning curves, discrepancy by layer, validation mAP (the `csv` observer).
        selection: what the sampler kept at each iteration, pair by pair (the `csv` observer).
        summary: the outcome: test mAP before and after transfer, control, chance.
        digests: of all other files, written last. A run that has them is finished.
        checkpoints: weights; while a run is not finished, also what `--resume` goes on from.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.environment = path / "env.json"
        self.model = path / "model.json"
        self.calibration = path / "calibration.json"
        self.log = path / "log.jsonl"
        self.dropped = path / "dropped.jsonl"
        self.metrics = path / "metrics.csv"
        self.selection = path / "selection.csv"
        self.summary = path / "summary.json"
        self.digests = path / "digests.json"
        self.checkpoints = path / "checkpoints"

    def checkpoint(self, what: str) -> Path:
        """Weights of a network: `before`, `after`, `control`, `source`, `source-before`; or what the parts of the
        common space have learnt: `space`.
        """
        return self.checkpoints / f"{what}.safetensors"

    def encoder(self, medium: Medium) -> Path:
        """Weights of a frozen encoder that learnt from the texts at hand."""
        return self.checkpoint(f"{medium}_encoder")
