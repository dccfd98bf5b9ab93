"""Deep Cross-media Knowledge Transfer in one file of plain torch, to be read from top to bottom.

Huang and Peng, CVPR 2018 (arXiv 1803.03777). A large set of labelled image-text pairs, the source, helps to learn
retrieval between images and texts of a small one, the target, which has other classes:

    0. pre-train two networks of the same shape, one on the source and one on the target, each alone
    1. for iteration = 1..K
       a-c. rank the target pairs through the source network; the better it does, the likelier is a pair kept
       d.   train both networks jointly, on the source and the kept pairs; MMD pulls their layers' outputs together
       e.   score the target network on validation pairs, and keep the best

The common space is the vector of class probabilities; retrieval is by cosine. A control, a twin of the target network
that sees the same batches without the source, tells what transfer is worth.

`python examples/method_in_one_file.py` needs torch, and scikit-learn for the digits that it trains on. It computes
what the toolkit computes, to which a test holds it equal; that one adds encoders, plugins, devices and checks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

# The layers whose outputs MMD compares, and its weight at each.
MEDIA_LEVEL = {"image_fc6": 1.0, "image_fc7": 1.0, "text_fc6": 1.0, "text_fc7": 1.0}
CORRELATION_LEVEL = {"common_fc8": 1.0, "common_fc9": 2.0}

# What random draws are for; each has a generator of its own.
PURPOSES = ("pretrain source", "pretrain target", "transfer source", "transfer target", "selection")


@dataclass(frozen=True)
class Settings:
    """The paper's values; where it states none, those of its authors' release, and our own lengths of training."""

    media_width: int = 4096  # of fc6 and fc7
    common_width: int = 4096  # of fc8 and fc9
    pair: float = 1e-4  # weight of the pair-wise constraint on fc6, and on fc7
    semantic_source: float = 0.2  # weights of the cross-entropy in transfer; 1 in pre-training
    semantic_target: float = 1.0
    batch: int = 64  # pairs of one domain
    lr: float = 0.01  # in transfer lr * (1 + lr_gamma * update) ** -lr_power
    lr_gamma: float = 1e-4
    lr_power: float = 0.75
    momentum: float = 0.9
    weight_decay: float = 5e-4  # of weights; biases have none, and twice the learning rate
    bias_lr_factor: float = 2.0
    source_updates: int = 2000  # of pre-training
    target_updates: int = 400
    iterations: int = 10  # K
    updates: int = 100  # in each iteration
    alpha: float = 1.0  # highest probability to keep a pair, in (0, 1]


class Pairs(NamedTuple):
    """N image-text pairs of one domain, as features of frozen encoders."""

    image: Tensor  # [N, d_image]
    text: Tensor  # [N, d_text]
    labels: Tensor  # [N], int64, classes of this domain

    def at(self, rows: Tensor) -> Pairs:
        return Pairs(self.image[rows], self.text[rows], self.labels[rows])


# --- the network of one domain ----------------------------------------------------------------------------------------


class Outputs(NamedTuple):
    """Each layer's output, after its ReLU, for n pairs. Common rows: the n images, then the n texts."""

    image_fc6: Tensor  # [n, media_width]
    image_fc7: Tensor  # [n, media_width]
    text_fc6: Tensor  # [n, media_width]
    text_fc7: Tensor  # [n, media_width]
    common_fc8: Tensor  # [2n, common_width]
    common_fc9: Tensor  # [2n, common_width]
    logits: Tensor  # [2n, classes]


class DomainNetwork(nn.Module):
    """image -> fc6 -> fc7 and text -> fc6 -> fc7, each medium its own; then fc8 -> fc9 -> fc10, the same for both.

    generator: for the initial weights (He et al. 2015, over the fan-in); biases start at 0.
    """

    def __init__(self, d_image: int, d_text: int, classes: int, settings: Settings, generator: Generator) -> None:
        super().__init__()
        media, common = settings.media_width, settings.common_width
        self.text_norm = nn.BatchNorm1d(d_text)
        self.image_fc6 = fully_connected(d_image, media)
        self.image_fc7 = fully_connected(media, media)
        self.text_fc6 = fully_connected(d_text, media)
        self.text_fc7 = fully_connected(media, media)
        self.fc8 = fully_connected(media, common)
        self.fc9 = fully_connected(common, common)
        self.fc10 = nn.utils.skip_init(nn.Linear, common, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor, text: Tensor) -> Outputs:
        """Features [n, d_image] and [n, d_text] of n pairs to all layers' outputs."""
        image_fc6 = self.image_fc6(image)
        image_fc7 = self.image_fc7(image_fc6)
        text_fc6 = self.text_fc6(self.text_norm(text))
        text_fc7 = self.text_fc7(text_fc6)
        common_fc8 = self.fc8(torch.cat([image_fc7, text_fc7]))  # BatchNorm sees both media
        common_fc9 = self.fc9(common_fc8)
        return Outputs(image_fc6, image_fc7, text_fc6, text_fc7, common_fc8, common_fc9, self.fc10(common_fc9))

    @torch.no_grad()
    def represent(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Common representations, the class probabilities, of images and of texts: [n, classes] each."""
        self.eval()
        media = (self.image_fc7(self.image_fc6(image)), self.text_fc7(self.text_fc6(self.text_norm(text))))
        images, texts = (self.fc10(self.fc9(self.fc8(rows))).softmax(dim=1) for rows in media)
        self.train()
        return images, texts


def fully_connected(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, BatchNorm without scale and shift, ReLU."""
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # its values are drawn by the network
    return nn.Sequential(linear, nn.BatchNorm1d(outputs, affine=False), nn.ReLU())


# --- losses -----------------------------------------------------------------------------------------------------------


def semantic_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits [2n, classes], images and texts of pairs with labels [n]."""
    return F.cross_entropy(logits, labels.repeat(2))


def pair_loss(image: Tensor, text: Tensor) -> Tensor:
    """Squared Euclidean distance of an image's and its text's outputs [n, d], sum / (2n)."""
    return (image - text).square().sum() / (2 * len(image))


def mmd(source: Tensor, target: Tensor, kernels: int = 5, ratio: float = 2.0) -> Tensor:
    """Squared maximum mean discrepancy of source [n, d] and target [m, d] (Gretton et al. 2012, biased): a scalar >= 0.

    mean k(X, X) + mean k(Y, Y) - 2 mean k(X, Y), where k is the mean of Gaussians exp(-||x - y||^2 / sigma_k). The
    middle sigma is the mean squared distance of all rows, a constant in the gradient; neighbours differ by `ratio`.
    """
    n, rows = len(source), torch.cat([source, target])
    rows = rows - rows.mean(dim=0).detach()  # changes no distance, and makes squares small
    squares = rows.square().sum(dim=1)
    distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp_min(0)
    sigma = distances.detach().sum() / (len(rows) * (len(rows) - 1))
    sigma = sigma.clamp_min(torch.finfo(sigma.dtype).tiny)  # 0 where all rows are the same: the kernel is then 1
    steps = range(-(kernels // 2), kernels - kernels // 2)
    kernel = torch.stack([torch.exp(-distances / (sigma * ratio**step)) for step in steps]).mean(dim=0)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def domain_loss(outputs: Outputs, labels: Tensor, semantic: float, settings: Settings) -> Tensor:
    """The losses inside one domain for pairs with labels [n]; `semantic` is the weight of the cross-entropy."""
    return (
        semantic * semantic_loss(outputs.logits, labels)
        + settings.pair * pair_loss(outputs.image_fc6, outputs.text_fc6)
        + settings.pair * pair_loss(outputs.image_fc7, outputs.text_fc7)
    )


def transfer_loss(source: Outputs, target: Outputs) -> Tensor:
    """The weighted MMD between the domains over all layers: all that ties the two networks together."""
    weights = MEDIA_LEVEL | CORRELATION_LEVEL
    return sum(weight * mmd(getattr(source, layer), getattr(target, layer)) for layer, weight in weights.items())


# --- retrieval --------------------------------------------------------------------------------------------------------


def average_precision(queries: Tensor, gallery: Tensor, labels: Tensor) -> Tensor:
    """AP [N], in [0, 1], of queries [N, c] that rank a gallery [N, c] by cosine; relevant = same label [N].

    AP = (1/R) sum_k (R_k / k) rel_k, with R_k of the R relevant items among the first k. Row i of both is one pair,
    which counts as a hit. Equal cosines keep the gallery's order.
    """
    cosine = F.normalize(queries.double(), dim=1) @ F.normalize(gallery.double(), dim=1).T
    ranking = cosine.argsort(dim=1, descending=True, stable=True)
    relevant = (labels[ranking] == labels[:, None]).double()
    precision = relevant.cumsum(dim=1) / torch.arange(1, len(labels) + 1)
    return (precision * relevant).sum(dim=1) / relevant.sum(dim=1)


def mean_average_precision(network: DomainNetwork, pairs: Pairs) -> float:
    """mAP in [0, 1], the mean of both directions: images ask for texts, and texts for images."""
    image, text = network.represent(pairs.image, pairs.text)
    directions = [average_precision(*views, pairs.labels).mean() for views in ((image, text), (text, image))]
    return float(sum(directions) / 2)


# --- the curriculum: which target pairs an iteration trains on --------------------------------------------------------


def domain_consistency(source_network: DomainNetwork, target: Pairs) -> Tensor:
    """AP^q [Q] in [0, 2] of each target pair: how well the SOURCE network finds its image's texts and text's images."""
    image, text = source_network.represent(target.image, target.text)
    return average_precision(image, text, target.labels) + average_precision(text, image, target.labels)


def keep_probability(ap: Tensor, iteration: int, alpha: float) -> Tensor:
    """alpha (1 - log2((max AP - AP^q) / (max AP iteration) + 1)) for AP^q [Q]: easy pairs first, all of them later."""
    highest = ap.max()
    return alpha * (1 - torch.log1p((highest - ap) / (highest * iteration)) / math.log(2))


def select(source_network: DomainNetwork, target: Pairs, iteration: int, alpha: float, generator: Generator) -> Tensor:
    """Rows of the kept pairs in order, again and again up to Q rows; where none is kept, the one of highest AP."""
    ap = domain_consistency(source_network, target)
    keep = keep_probability(ap, iteration, alpha)
    chance = torch.rand(len(keep), generator=generator, dtype=torch.float64)
    kept = (chance < keep).nonzero().squeeze(1) if (chance < keep).any() else ap.argmax().reshape(1)
    return kept.repeat(-(-len(ap) // len(kept)))[: len(ap)]


# --- training ---------------------------------------------------------------------------------------------------------


def batches(rows: Tensor, size: int, generator: Generator) -> Iterator[Tensor]:
    """Row numbers [size] without end, from shuffled passes over `rows` [k]; a batch may span two passes."""
    pending = rows[:0]
    while True:
        while len(pending) < size:
            pending = torch.cat([pending, rows[torch.randperm(len(rows), generator=generator)]])
        yield pending[:size]
        pending = pending[size:]


def sgd(network: DomainNetwork, settings: Settings) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum, in two groups: weights, biases."""
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    weights = [value for name, value in network.named_parameters() if not name.endswith("bias")]
    groups = [
        {"params": weights, "factor": 1.0, "weight_decay": settings.weight_decay},
        {"params": biases, "factor": settings.bias_lr_factor, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)


def step(optimizer: torch.optim.SGD, lr: float) -> None:
    """One update, at a learning rate that each group multiplies by its factor; gradients are gone then."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]
    optimizer.step()
    optimizer.zero_grad()


def pretrain(network: DomainNetwork, pairs: Pairs, updates: int, settings: Settings, generator: Generator) -> None:
    """Step 0: a network alone on its own domain."""
    optimizer = sgd(network, settings)
    stream = batches(torch.arange(len(pairs.labels)), settings.batch, generator)
    for _ in range(updates):
        batch = pairs.at(next(stream))
        domain_loss(network(batch.image, batch.text), batch.labels, 1.0, settings).backward()
        step(optimizer, settings.lr)


def train(
    networks: Mapping[str, DomainNetwork],
    pairs: Mapping[str, Pairs],
    settings: Settings,
    generators: Mapping[str, Generator],
) -> dict[str, DomainNetwork]:
    """The whole method; the untrained networks, "source" and "target", are trained in place. Generators: see PURPOSES.

    Of `pairs`, "source" and "target" are trained on, and target pairs for "validation" choose the best iteration.
    Returns target networks: "before" transfer, and the best of "after" and of its "control".
    """
    source, target = pairs["source"], pairs["target"]
    pretrain(networks["source"], source, settings.source_updates, settings, generators["pretrain source"])
    pretrain(networks["target"], target, settings.target_updates, settings, generators["pretrain target"])
    before, control = copy.deepcopy(networks["target"]), copy.deepcopy(networks["target"])
    best: dict[str, tuple[float, DomainNetwork]] = {}
    optimizers = [sgd(network, settings) for network in (*networks.values(), control)]

    for iteration in range(1, settings.iterations + 1):
        kept = select(networks["source"], target, iteration, settings.alpha, generators["selection"])
        source_stream = batches(torch.arange(len(source.labels)), settings.batch, generators["transfer source"])
        target_stream = batches(kept, settings.batch, generators["transfer target"])

        for update in range((iteration - 1) * settings.updates, iteration * settings.updates):
            of_source, of_target = source.at(next(source_stream)), target.at(next(target_stream))
            source_outputs = networks["source"](of_source.image, of_source.text)
            source_loss = domain_loss(source_outputs, of_source.labels, settings.semantic_source, settings)
            target_outputs = networks["target"](of_target.image, of_target.text)
            target_loss = domain_loss(target_outputs, of_target.labels, settings.semantic_target, settings)
            (source_loss + target_loss + transfer_loss(source_outputs, target_outputs)).backward()

            control_outputs = control(of_target.image, of_target.text)
            domain_loss(control_outputs, of_target.labels, settings.semantic_target, settings).backward()

            lr = settings.lr * (1 + settings.lr_gamma * update) ** -settings.lr_power
            for optimizer in optimizers:
                step(optimizer, lr)

        for name, network in (("after", networks["target"]), ("control", control)):
            reached = mean_average_precision(network, pairs["validation"])
            if name not in best or reached > best[name][0]:
                best[name] = (reached, copy.deepcopy(network))

    return {"before": before, **{name: network for name, (_, network) in best.items()}}


# --- an example -------------------------------------------------------------------------------------------------------


def halves_of_digits(generator: Generator, shots: int = 5) -> dict[str, Pairs]:
    """Hand-written digits, 8 x 8 pixels: the upper half of each stands for an image, the lower half for its text.

    The source has the digits 0 to 5, the target 6 to 9: `shots` of each to train on, 20 to validate, the rest to test.
    """
    from sklearn.datasets import load_digits

    pixels, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    digits = Pairs(pixels[:, :32].float() / 16, pixels[:, 32:].float() / 16, labels.long())
    order = torch.randperm(len(labels), generator=generator)
    classes = [order[labels[order] == digit].tensor_split([shots, shots + 20]) for digit in range(6, 10)]
    rows = [torch.cat(part) for part in zip(*classes, strict=True)]
    of_target = [digits.at(part)._replace(labels=digits.labels[part] - 6) for part in rows]
    return {"source": digits.at(labels < 6), **dict(zip(("target", "validation", "test"), of_target, strict=True))}


def main() -> None:
    settings = Settings(64, 64, source_updates=200, target_updates=100, iterations=5, updates=20)
    print("test mAP  before  control  after")
    for seed in range(3):
        generators = {name: Generator().manual_seed(100 * seed + n) for n, name in enumerate((*PURPOSES, "begin"))}
        begin = generators["begin"]
        pairs = halves_of_digits(begin)
        networks = {role: DomainNetwork(32, 32, c, settings, begin) for role, c in (("source", 6), ("target", 4))}
        trained = train(networks, pairs, settings, generators)
        scores = {name: mean_average_precision(network, pairs["test"]) for name, network in trained.items()}
        print(f"seed {seed}    {scores['before']:.3f}   {scores['control']:.3f}    {scores['after']:.3f}")


if __name__ == "__main__":
    main()
