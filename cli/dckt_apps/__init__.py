"""Applications on top of the core: report, serve, experiment."""
