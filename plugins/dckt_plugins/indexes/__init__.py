"""Nearest-neighbour indexes that ship in the box."""
