"""Data sets that ship in the box: manifests on disk, and the sample."""
