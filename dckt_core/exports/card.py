"""A run as a model card: how it was trained and how it scored, in Markdown, from what the run itself kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dckt_core.base.errors import one_line, printable_lines
from dckt_core.config import Config
from dckt_core.evaluation.directions import COLUMNS, TITLES
from dckt_core.evaluation.figures import FIGURES, MEDIAN_RANK
from dckt_core.runs.results import REPRESENTATIONS, Estimate, Results

HEADS = [TITLES[direction] for direction in COLUMNS]


def card(name: str, config: Config, results: Results, *, version: str) -> str:
    """The card of a run.

    Args:
        name: what the run is called.
        config: the run's.
        results: what its summary holds.
    """
    return printable_lines("\n".join(_lines(name, config, results, version)) + "\n")


def _lines(name: str, config: Config, results: Results, version: str) -> Iterable[str]:
    summary = results.summary
    source, target = summary["source"], summary["target"]
    yield from ("---", "library_name: dckt", "tags: [cross-media-retrieval, image-text-retrieval]", "---", "")
    yield f"# {plain(name)}"
    yield ""
    yield (
        "A common space of images and texts, in which cosines compare them across media. Fitted by dckt "
        f"{plain(version)} for one collection, the target, with the help of another one, the source."
    )
    yield from ("", "## How it was trained", "")
    yield from _table(
        ("", ""),
        [
            ("preset, seed", f"{summary['preset']}, {summary['seed']}"),
            ("source", f"{_public(source['origin'])}: {_counts(source)}, {source['classes']} classes"),
            ("target", f"{_public(target['origin'])}: {_counts(target)}, {target['classes']} classes"),
            ("the target offered", f"{results.offer.rung_title} ({results.offer})"),
            ("image encoder", _encoder(config.encoder.name, config.encoder.options)),
            ("text encoder", _encoder(config.text_encoder.name, config.text_encoder.options)),
            ("took", f"{summary['seconds']:.0f} s"),
        ],
    )
    yield ""
    parts = [(part.name, f"{part.weight:g}") for part in results.parts if part.place == "in" and part.weight]
    yield from _table(("part of the common space", "weight"), parts)
    yield ""
    yield from (f"- {plain(choice)}" for choice in results.choices)
    left_out = "as validation asked" if results.left_out_by_validation else "no labelled validation pairs vouch for it"
    for part in results.parts:
        if part.place == "left out":
            yield f"- left out: {plain(part.name)}, {left_out}"
        if part.place == "aside":
            yield f"- stepped aside: {plain(part.name)}, because {plain(part.said[0])}"
        told = part.said[1:] if part.place == "aside" else part.said
        yield from (f"- {plain(part.name)}: {plain(text)}" for text in told)
    if results.untrained:
        yield f"- the method's networks were not trained: {plain(results.untrained)}"
    yield from ("", "## How it scored", "")
    yield from _scores(results)
    yield from ("", "## How to use it", "", "```python", "import dckt_core", "")
    asked = (
        '["two dogs on a beach"])'
        if "text" not in summary["features_alone"]
        else "features)  # [n, d], as it learnt from"
    )
    yield from ('model = dckt_core.load("FOLDER")  # this run', f"rows = model.encode_texts({asked}", "```", "")
    yield (
        "Encoders are not in the folder: they are loaded as the table says. The figures are those of one test split of "
        "one collection, which other collections need not share; what the encoders were trained on, and what follows "
        "from that, is theirs to say."
    )


def _scores(results: Results) -> Iterable[str]:
    test = results.summary["test"]
    if not test:
        yield "It was fitted without a test."
        return
    chance, named = {"chance": "chance"}, REPRESENTATIONS
    by_class = [
        (title, *(_figure(results.map_of(name, direction)) for direction in COLUMNS))
        for name, title in (chance | named).items()
        if results.map_of(name)
    ]
    if by_class:
        labelled = results.summary["target"]["test"] - test.get("unlabelled", 0)
        yield f"Mean average precision on {labelled} test pairs that have a label, with 95 % bootstrap intervals:"
        yield ""
        yield from _table(("", *HEADS), by_class)
        yield ""
    if results.result is not None:
        yield f"Own partners found by the {named[results.result]}:"
        yield ""
        by_partner = [
            (
                title,
                *(_figure(results.instances_of(results.result, key, one), key) for one in COLUMNS),
                _figure(results.instances_of("chance", key), key),
            )
            for key, title in FIGURES.items()
        ]
        yield from _table(("", *HEADS, "chance"), by_partner)
        yield ""
    if results.calibration:
        yield f"In search, {results.calibration}."
    if results.summary["negative_transfer"]:
        yield "Negative transfer: on validation the network after transfer scores below its target-only control."


def _counts(domain: Mapping[str, Any]) -> str:
    named = {
        "train": "labelled training pairs",
        "unlabelled": "unlabelled",
        "images alone": "images alone",
        "texts alone": "texts alone",
        "val": "validation pairs",
        "test": "test pairs",
    }
    return ", ".join(f"{domain[key]} {words}" for key, words in named.items() if domain.get(key)) or "nothing"


def _public(value: object) -> object:
    """A value, of the path of a file or folder its name alone: cards are published, and who made them has a home."""
    path = Path(value) if isinstance(value, str) else Path()
    return path.name if path.is_absolute() else value


def _encoder(name: str, options: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} = {_public(value)}" for key, value in options.items() if value is not None)
    return f"{name} ({said})" if said else name


def _figure(figure: Estimate | None, key: str = "") -> str:
    return "-" if figure is None else f"{figure:{'.1f' if key == MEDIAN_RANK else '.3f'}}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(plain(cell) for cell in row)} |"


def plain(value: object) -> str:
    """A stranger's words on one line, such that Markdown and HTML show them and do nothing else.

    >>> plain("<b>*a* | b_c")
    '&lt;b&gt;\\\\*a\\\\* \\\\| b\\\\_c'
    """
    text = one_line(str(value)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", text)
