"""Curriculum samplers that ship in the box."""
