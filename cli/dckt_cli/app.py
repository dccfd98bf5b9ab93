"""What the global options say, and the registry that every command reads; found as click's `ctx.obj`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dckt_core.base.progress import Progress, silent

if TYPE_CHECKING:
    from dckt_core.contract.discovery import Registry
    from dckt_core.data.context import Context


@dataclass
class App:
    """One call of `dckt`.

    Attributes:
        debug: show tracebacks.
        plugins: False: only what ships in the box.
    """

    debug: bool = False
    plugins: bool = True

    @cached_property
    def registry(self) -> Registry:
        """All plugins; found at the first use, warnings about broken ones with it."""
        from dckt_core.contract.discovery import load_registry

        return load_registry(plugins=self.plugins)

    def context(self, progress: Progress = silent) -> Context:
        """What a run is set up with: plugins, the user's cache folder, and whom to tell how far it is."""
        from dckt_core.data.cache import default_cache_dir
        from dckt_core.data.context import Context

        return Context(self.registry, default_cache_dir(), progress)
