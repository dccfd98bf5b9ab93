"""A run as a model card: how it was trained and how it scored, in Markdown, from what the run itself kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dckt_core.base.errors import one_line
from dckt_core.config import Config

MAP_ROWS = {
    "before": "network before transfer",
    "control": "target-only control",
    "after": "network after transfer",
    "space": "common space",
}
TASKS = {"image_to_text": "image to text", "text_to_image": "text to image", "mean": "mean of both"}
FIGURES = {
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "median_rank": "median rank",
    "mrr": "MRR",
}


def card(name: str, config: Config, summary: Mapping[str, Any], *, version: str) -> str:
    """The card of a run.

    Args:
        name: what the run is called.
        config: the run's.
        summary: what its `summary.json` holds.
    """
    return "\n".join(_lines(name, config, summary, version)) + "\n"


def _lines(name: str, config: Config, summary: Mapping[str, Any], version: str) -> Iterable[str]:
    source, target, space = summary["source"], summary["target"], summary["space"]
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
            ("source", f"{source['origin']}: {_counts(source)}, {source['classes']} classes"),
            ("target", f"{target['origin']}: {_counts(target)}, {target['classes']} classes"),
            ("the target offered", target["rung"]["offers"]),
            ("image encoder", _encoder(config.encoder.name, config.encoder.options)),
            ("text encoder", _encoder(config.text_encoder.name, config.text_encoder.options)),
            ("took", f"{summary['seconds']:.0f} s"),
        ],
    )
    yield ""
    yield from _table(("part of the common space", "weight"), list(space["weights"].items()))
    yield ""
    yield from (f"- chosen by {plain(by)}: the {what}" for what, by in summary["chosen_by"].items())
    yield from (f"- left out, as validation asked: {plain(part)}" for part in space["left_out"])
    yield from (f"- stepped aside: {plain(part)}, because {plain(why)}" for part, why in space["aside"].items())
    yield from (f"- {plain(part)}: {plain(text)}" for part, text in space["notes"])
    if summary["untrained"]:
        yield f"- the method's networks were not trained: {plain(summary['untrained'])}"
    yield from ("", "## How it scored", "")
    yield from _scores(summary)
    yield from ("", "## How to use it", "", "```python", "import dckt_core", "")
    yield from ('model = dckt_core.load("FOLDER")  # this run', "rows = model.encode_texts([...])", "```", "")
    yield (
        "Encoders are not in the folder: they are loaded as the table says. The figures are those of one test split of "
        "one collection, which other collections need not share; what the encoders were trained on, and what follows "
        "from that, is theirs to say."
    )


def _scores(summary: Mapping[str, Any]) -> Iterable[str]:
    test = summary["test"]
    if not test:
        yield "It was fitted without a test."
        return
    figures = test.get("map")
    if figures:
        rows = [("chance", *(_number(figures["chance"].get(task)) for task in TASKS))]
        rows += [
            (title, *(_interval(figures[key].get(task)) for task in TASKS))
            for key, title in MAP_ROWS.items()
            if key in figures
        ]
        yield f"Mean average precision on {summary['target']['test']} test pairs, with 95 % bootstrap intervals:"
        yield ""
        yield from _table(("", *TASKS.values()), rows)
        yield ""
    instances = test["instances"].get(test["result"])
    if instances:
        chance = test["instances"]["chance"]["mean"]
        yield "Own partners found by what the run came to:"
        yield ""
        yield from _table(
            ("", *TASKS.values(), "chance"),
            [
                (title, *(_interval(instances[task].get(key)) for task in TASKS), _number(chance.get(key)))
                for key, title in FIGURES.items()
            ],
        )
        yield ""
    if summary["negative_transfer"]:
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


def _encoder(name: str, options: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} = {value}" for key, value in options.items() if value is not None)
    return f"{name} ({said})" if said else name


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.3f}-{high:.3f})"


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
