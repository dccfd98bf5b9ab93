"""Pairs, manifests, images and cached features."""
