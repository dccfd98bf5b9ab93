"""Experiments: arms x seeds x rungs x data sets, run by `dckt experiment`, with intervals and paired contrasts.

plan.py        what is to be compared, from a TOML file
cells.py       the plan's single trainings, each known by a hash of its whole configuration
runner.py      trains those that are not done, and keeps the table and the report up to date
workers.py     processes, one for each training
perform.py     one training, or one baseline
baselines/     methods without a source, on the same frozen features
results.py     one tidy table of what came out
statistics.py  means over seeds and paired differences, with Student's intervals
report.py      the table for people, in Markdown
picture.py     the same by what the target offers, as bars
"""
