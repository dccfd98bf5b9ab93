"""A distribution that loads well and whose objects break the contract in use."""

from dckt_core import DiscrepancySpec, EncoderSpec, PartSpec, SamplerSpec, hookimpl


def build_shape_shifter(options, context):
    """An encoder of 12 values a row, but of 6 from its second batch on."""
    import torch
    from torch import nn

    from dckt_core import Encoder

    class ShapeShifter(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, inputs):
            self.calls += 1
            return inputs if self.calls == 1 else inputs[:, :6]

    def prepare(items):
        return torch.stack([torch.tensor(list(item.open().resize((2, 2)).tobytes())) for item in items]) / 255

    return Encoder(prepare=prepare, module=ShapeShifter(), dim=12, fingerprint="shape-shifter", trainable=False)


def not_a_number(source, target):
    return (source.mean(0) - target.mean(0)).square().sum() * float("nan")


def no_gradient(source, target):
    return (source.mean(0) - target.mean(0)).square().sum().detach()


def exits(source, target):
    raise SystemExit("a plugin has no say in when the program ends")


class OutOfRange:
    """Selects one row more than there are."""

    def select(self, state):
        import torch

        from dckt_core import Selection

        return Selection(indices=torch.arange(len(state.labels) + 1))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Part:
    """Rows of three ones, and nothing to keep."""

    def fit(self, material):
        pass

    def rows(self, medium, features, before):
        return features.new_ones(len(features), 3)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class TwoWidths(Part):
    def rows(self, medium, features, before):
        return features.new_ones(len(features), 3 if medium == "image" else 4)


class NotFinite(Part):
    def rows(self, medium, features, before):
        return features.new_full((len(features), 3), float("inf"))


class FailsToFit(Part):
    def fit(self, material):
        return material.target.image


class KeepsNumbers(Part):
    def state_dict(self):
        return {"shift": 3.0}


PARTS = {"two-widths": TwoWidths, "not-finite": NotFinite, "fails-to-fit": FailsToFit, "keeps-numbers": KeepsNumbers}


@hookimpl
def dckt_encoders():
    return [
        EncoderSpec(
            name="shape-shifter", summary="changes its width", modality="image", build=build_shape_shifter, api="1.0"
        ),
        EncoderSpec(
            name="no-encoder", summary="builds None", modality="image", build=lambda options, context: None, api="1.0"
        ),
    ]


@hookimpl
def dckt_discrepancies():
    functions = {"nan": not_a_number, "no-gradient": no_gradient, "exits": exits}
    return [
        DiscrepancySpec(
            name=name, summary="misbehaves", build=lambda options, context, function=function: function, api="1.0"
        )
        for name, function in functions.items()
    ]


@hookimpl
def dckt_samplers():
    return [
        SamplerSpec(name="out-of-range", summary="misbehaves", build=lambda options, context: OutOfRange(), api="1.0")
    ]


@hookimpl
def dckt_parts():
    parts = {name: (lambda options, context, part=part: part()) for name, part in PARTS.items()}
    parts["no-part"] = lambda options, context: None
    return [PartSpec(name=name, summary="misbehaves", build=build, api="1.0") for name, build in parts.items()]
