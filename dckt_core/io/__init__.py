"""Bytes on disk: atomic files, locks, JSON, tensors, text, images."""
