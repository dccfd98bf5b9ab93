"""What everything that reads data is given: plugins, the cache, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dckt_core.base.progress import Progress, silent
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.protocols import DatasetContext
from dckt_core.data.cache import default_cache_dir


@dataclass(frozen=True)
class Context:
    """Where work finds plugins and keeps what may be made again, and whom it tells how far it is.

    Attributes:
        registry: plugins; by default all that are installed.
        cache_dir: by default the user's cache folder.
        progress: called as `progress(done, total, "what")`; by default nobody is told.
        image_roots: folders that pictures of a data set may be in, besides its own; by default none.
    """

    registry: Registry = field(default_factory=load_registry)
    cache_dir: Path = field(default_factory=default_cache_dir)
    progress: Progress = silent
    image_roots: tuple[Path, ...] = ()

    def for_dataset(self, *, pictures: bool = True) -> DatasetContext:
        """What a data set is given while it is loaded.

        Args:
            pictures: False where nobody will look at the pictures, which then need not be there.
        """
        return DatasetContext(
            cache_dir=self.cache_dir, progress=self.progress, pictures=pictures, image_roots=self.image_roots
        )
