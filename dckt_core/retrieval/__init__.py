"""Use of a trained run: extraction, indexes, search."""
