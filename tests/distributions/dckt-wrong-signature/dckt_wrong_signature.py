"""A distribution whose hook asks for an argument that is not in its specification."""

from dckt_core import hookimpl


@hookimpl
def dckt_encoders(registry):
    return []
