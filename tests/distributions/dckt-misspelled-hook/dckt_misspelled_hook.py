"""A distribution with a hook that dckt does not have."""

from dckt_core import hookimpl


@hookimpl
def dckt_encoder():
    return []
