"""A distribution whose hook returns names in place of specs."""

from dckt_core import hookimpl


@hookimpl
def dckt_indexes():
    return ["exact", "faiss"]
