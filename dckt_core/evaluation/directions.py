"""Which medium is searched with which: the retrieval tasks and what they are called everywhere. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dckt_core.contract.pairs import Medium


@dataclass(frozen=True)
class Task:
    """A retrieval task: the medium of its queries and that of its gallery; `all` is every image, then every text."""

    query: Medium
    gallery: Medium | Literal["all"]

    @property
    def title(self) -> str:
        return f"{self.query}->{self.gallery}"

    @property
    def holds_query(self) -> bool:
        """Whether the query itself is in the gallery."""
        return self.gallery in (self.query, "all")


TASKS: dict[str, Task] = {
    "image_to_text": Task("image", "text"),
    "text_to_image": Task("text", "image"),
    "image_to_image": Task("image", "image"),
    "text_to_text": Task("text", "text"),
    "image_to_all": Task("image", "all"),
    "text_to_all": Task("text", "all"),
}
DIRECTIONS = tuple(name for name, task in TASKS.items() if not task.holds_query)
"""The two across media."""

MEAN = "mean"
"""The mean of both directions, as it stands beside them in tables."""

COLUMNS = (*DIRECTIONS, MEAN)

TITLES = {name: TASKS[name].title for name in DIRECTIONS} | {MEAN: "mean of both"}
TITLES |= {name: task.title for name, task in TASKS.items() if task.holds_query}
"""Of all tasks and of the mean, in the order of tables."""
