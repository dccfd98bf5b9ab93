"""Observers of training that ship in the box."""
