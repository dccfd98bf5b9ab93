"""What the global options say, and the registry that every command reads; found as click's `ctx.obj`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dckt_cli.console import say_traceback
from dckt_core.base.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    from dckt_core.contract.discovery import Registry
    from dckt_core.data.context import Context


@dataclass
class App:
    """One call of `dckt`.

    Attributes:
        debug: show tracebacks.
        plugins: False: only what ships in the box.
        image_roots: folders that pictures of a data set may be in, besides its own.
    """

    debug: bool = False
    plugins: bool = True
    image_roots: tuple[Path, ...] = ()

    @cached_property
    def registry(self) -> Registry:
        """All plugins; found at the first use, warnings about broken ones with it."""
        from dckt_core.contract.discovery import load_registry

        registry = load_registry(plugins=self.plugins)
        for failure in registry.failures if self.debug else ():
            if failure.cause is not None:
                say_traceback(failure.cause)
        return registry

    def without_repeats(self, text: str) -> str:
        """An error, with no more of a plugin that was left out than its name, where a warning told the rest."""
        registry = self.__dict__.get("registry")
        for failure in registry.failures if registry else ():
            text = text.replace(str(failure), f"{failure.subject} is left out, as said above")
        return text

    def context(self, progress: Progress = silent) -> Context:
        """What a run is set up with: plugins, the user's cache folder, and whom to tell how far it is."""
        from dckt_core.data.cache import default_cache_dir
        from dckt_core.data.context import Context

        return Context(self.registry, default_cache_dir(), progress, self.image_roots)
