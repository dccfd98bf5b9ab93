"""Likely label errors of a data set: found by features, shown as a page and a table."""
