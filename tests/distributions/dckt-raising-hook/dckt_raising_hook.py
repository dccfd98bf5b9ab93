"""A distribution whose hook raises, with a message of two lines."""

from dckt_core import hookimpl


@hookimpl
def dckt_samplers():
    raise ValueError("first line\nsecond line")
