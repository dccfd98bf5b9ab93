"""Processes, the watch over divergence, what a training records and keeps, stopping."""
