"""A distribution with a spec of a contract to come, beside one of today's."""

from dckt_core import DiscrepancySpec, hookimpl


def squared_mean_difference(source, target):
    return (source.mean(0) - target.mean(0)).square().sum()


@hookimpl
def dckt_discrepancies():
    def build(options, context):
        return squared_mean_difference

    return [
        DiscrepancySpec(name="of-tomorrow", summary="for contract 2", build=build, api="2.0"),
        DiscrepancySpec(name="of-today", summary="for contract 1", build=build, api="1.0"),
    ]
