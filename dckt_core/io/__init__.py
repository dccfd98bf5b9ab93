"""Bytes on disk: atomic files, tensors, text, images."""
