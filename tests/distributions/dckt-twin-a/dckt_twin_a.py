"""One of two distributions that offer a discrepancy of the same name."""

from dckt_core import DiscrepancySpec, hookimpl


def distance(source, target):
    return (source.mean(0) - target.mean(0)).abs().sum()


@hookimpl
def dckt_discrepancies():
    return [DiscrepancySpec(name="twin", summary="of twin a", build=lambda options, context: distance, api="1.0")]
