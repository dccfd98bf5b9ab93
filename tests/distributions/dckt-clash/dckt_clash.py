"""A distribution with a sampler called as a built-in one; it keeps the first pair alone."""

from dckt_core import SamplerSpec, hookimpl


class FirstOnly:
    def select(self, state):
        import torch

        from dckt_core import Selection

        return Selection(indices=torch.zeros(1, dtype=torch.int64))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@hookimpl
def dckt_samplers():
    return [
        SamplerSpec(
            name="all", summary="keeps the first pair alone", build=lambda options, context: FirstOnly(), api="1.0"
        )
    ]
