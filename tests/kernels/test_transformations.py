"""What torch makes of the MMD: derivatives in both modes, batches, compiled graphs, checkpoints, inference, autocast.

Each works, or ends in one line. test_interpreter.py runs this file again in Triton's interpreter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils.checkpoint import checkpoint

from dckt_kernels import compat, mean_distance_bandwidth, mk_mmd, mk_mmd_many
from tests.support.tolerance import assert_same
from tests.support.yardstick import INTERPRETED, Rows

# torch's own, at the first tangent.
pytestmark = [
    pytest.mark.usefixtures("both_sizes"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning"),
]

BACKEND: Any = "triton" if INTERPRETED else "closed_form"
DTYPE = torch.float32 if INTERPRETED else torch.float64
PAIRS = 13**2
LONG = (8, 10, 64) if INTERPRETED else (20, 26, 64)
"""n, m and d of rows so long that float16 would overflow."""
WEIGHTS = torch.linspace(0, 1, LONG[0])
OPTIONS: list[dict[str, Any]] = [
    {},
    {"estimator": "unbiased"},
    {"sigma": 2.0},
    {"bandwidth_grad": True},
    {"weights_x": torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5, 1.0], dtype=DTYPE)},
]


@pytest.fixture
def pair(rows: Rows) -> tuple[Tensor, Tensor]:
    return rows(6, 7, 3, dtype=DTYPE)


@pytest.fixture
def tangents(rows: Rows) -> tuple[Tensor, Tensor]:
    v, w = rows(7, 6, 3, dtype=DTYPE)
    return w, v


def exact(x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """The reference, which is plain autograd."""
    return mk_mmd(x.double(), y.double(), backend="reference", **options).to(DTYPE)


def here(x: Tensor, y: Tensor, **options: Any) -> Tensor:
    return mk_mmd(x, y, backend=BACKEND, **options)


def assert_alike(found: Any, expected: Any) -> None:
    assert_same(found, expected, terms=PAIRS, scale=1)


class TestForwardMode:
    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    def test_of_both(self, pair: Any, tangents: Any, options: dict[str, Any]) -> None:
        value, along = jvp(lambda a, b: here(a, b, **options), pair, tangents)
        expected, expected_along = jvp(lambda a, b: exact(a, b, **options), pair, tangents)
        assert abs(float(expected_along)) > 1e-2
        assert_alike(value, expected)
        assert_alike(along, expected_along)

    @pytest.mark.parametrize("side", [0, 1])
    def test_of_one(self, pair: Any, tangents: Any, side: int) -> None:
        def of(loss: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda z: loss(*(z if place == side else other for place, other in enumerate(pair)))

        along = [jvp(of(loss), (pair[side],), (tangents[side],))[1] for loss in (here, exact)]
        assert_alike(*along)

    def test_of_several_layers(self, pair: Any, tangents: Any) -> None:
        def many(backend: Any) -> Callable[..., Tensor]:
            return lambda a, b: mk_mmd_many([(a, b), (b, b), (b, a)], sigma=[None, None, 3.0], backend=backend)

        assert_alike(jvp(many(BACKEND), pair, tangents)[1], jvp(many("reference"), pair, tangents)[1])

    @pytest.mark.parametrize("estimator", ["linear", "quadruple"])
    def test_of_the_subsampled_estimates(self, pair: Any, tangents: Any, estimator: Any) -> None:
        def loss(x: Tensor, y: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(0)
            return mk_mmd(x, y, estimator=estimator, generator=generator, backend=BACKEND)

        along = jvp(loss, pair, tangents)[1]
        by_x, by_y = grad(loss, argnums=(0, 1))(*pair)
        assert_alike(along, (by_x * tangents[0]).sum() + (by_y * tangents[1]).sum())

    @pytest.mark.parametrize(
        "loss",
        [
            compat.snippet_mmd,
            compat.geomloss_mmd,
            compat.pytorch_adapt_mmd,
            lambda x, y: compat.tllib_mmd(x, y[:6]),
        ],
        ids=["snippet", "geomloss", "pytorch_adapt", "tllib"],
    )
    def test_of_other_peoples_values(self, pair: Any, tangents: Any, loss: Callable[..., Tensor]) -> None:
        def blunt(x: Tensor, y: Tensor) -> Tensor:  # geomloss's own bandwidth resolves nothing here
            return loss(x / 20, y / 20)

        along = jvp(blunt, pair, tangents)[1]
        by_x, by_y = grad(blunt, argnums=(0, 1))(*pair)
        expected = (by_x * tangents[0]).sum() + (by_y * tangents[1]).sum()
        assert float(expected) != 0
        assert_alike(along, expected)

    def test_dual_tensors(self, pair: Any, tangents: Any) -> None:
        _, expected = jvp(exact, pair, tangents)
        with forward_ad.dual_level():
            value = here(*(forward_ad.make_dual(z, v) for z, v in zip(pair, tangents, strict=True)))
            assert_alike(forward_ad.unpack_dual(value).tangent, expected)
            with torch.no_grad():
                assert forward_ad.unpack_dual(here(*pair)).tangent is None

    @pytest.mark.skipif(INTERPRETED, reason="differences of float32 numbers say little")
    @pytest.mark.parametrize("options", [{"sigma": 3.0}, {"bandwidth_grad": True, "estimator": "unbiased"}], ids=str)
    def test_gradcheck(self, pair: Any, options: dict[str, Any]) -> None:
        leaves = [z.requires_grad_() for z in pair]
        with torch.random.fork_rng():  # it draws its directions from the global generator
            assert torch.autograd.gradcheck(
                lambda a, b: here(a, b, **options),
                leaves,
                check_forward_ad=True,
                check_batched_forward_grad=True,
                check_batched_grad=True,
            )

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_halves(self, pair: Any, tangents: Any, dtype: torch.dtype) -> None:
        halves, along = [z.to(dtype) for z in pair], tuple(v.to(dtype) for v in tangents)
        _, found = jvp(here, tuple(halves), along)
        _, expected = jvp(exact, tuple(z.float() for z in halves), tuple(v.float() for v in along))
        assert found.dtype == torch.float32
        assert abs(float(found - expected)) <= 8 * torch.finfo(dtype).eps * abs(float(expected))


class TestFunctions:
    def test_gradients(self, pair: Any) -> None:
        expected = grad(exact, argnums=(0, 1))(*pair)
        for found, other in zip(grad(here, argnums=(0, 1))(*pair), expected, strict=True):
            assert_alike(found, other)
        value, back = vjp(here, *pair)
        for found, other in zip(back(2 * torch.ones_like(value)), expected, strict=True):
            assert_alike(found, 2 * other)

    @pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
    def test_jacobians(self, pair: Any, jacobian: Any) -> None:
        assert_alike(jacobian(here)(*pair), grad(exact)(*pair))

    def test_batches(self, pair: Any) -> None:
        x, y = pair
        batch = torch.stack([x, x + 1, 2 * x], dim=1)
        elements = batch.unbind(1)
        assert_alike(vmap(here, (1, None))(batch, y), torch.stack([exact(z, y) for z in elements]))
        by_batch = vmap(grad(here), (1, None))(batch, y)
        assert_alike(by_batch, torch.stack([grad(exact)(z, y) for z in elements]))
        through = grad(lambda z: vmap(here, (None, 0))(x, torch.stack([z, z + 1])).sum())(y)
        assert_alike(through, grad(lambda z: exact(x, z) + exact(x, z + 1))(y))

    def test_batched_incoming_gradients(self, pair: Any, request: pytest.FixtureRequest) -> None:
        if INTERPRETED and "small" in request.node.name:
            pytest.xfail("what torch passes here has no memory that a kernel could read: NotImplementedError")
        x, y = pair[0].requires_grad_(), pair[1]
        incoming = torch.tensor([1.0, -2.0], dtype=DTYPE)
        (found,) = torch.autograd.grad(here(x, y), x, incoming, is_grads_batched=True)
        assert_alike(found[1], -2 * grad(exact)(x.detach(), y))


def by_dual(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Forward over reverse without torch.func."""
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone().requires_grad_(), v)
        (gradient,) = torch.autograd.grad(here(dual, y), dual)
        tangent = forward_ad.unpack_dual(gradient).tangent
        assert tangent is not None
        return tangent


def through_tangent(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Reverse over forward without torch.func."""
    leaf = x.clone().requires_grad_()
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(here(forward_ad.make_dual(leaf, v), y)).tangent
        return torch.autograd.grad(tangent, leaf)[0]


def twice(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(here(leaf, y), leaf, create_graph=True)
    return torch.autograd.grad(gradient.sum(), leaf)[0]


@pytest.mark.parametrize(
    "second",
    [
        lambda x, y, v: hessian(here)(x, y),
        lambda x, y, v: jvp(grad(lambda z: here(z, y)), (x,), (v,)),
        lambda x, y, v: grad(lambda a: jvp(lambda b: here(b, y), (a,), (v,))[1])(x),
        lambda x, y, v: jvp(lambda a: jvp(lambda b: here(b, y), (a,), (v,))[1], (x,), (v,)),
        lambda x, y, v: grad(lambda a: grad(here)(a, y).sum())(x),
        by_dual,
        through_tangent,
        twice,
    ],
)
def test_second_derivatives_are_refused(pair: Any, tangents: Any, second: Callable[..., Any]) -> None:
    with pytest.raises(
        RuntimeError, match=r"^this MMD backend has no second derivatives: .*'reference', which has .*$"
    ):
        second(*pair, tangents[0])


class TestModes:
    def test_inference(self, pair: Any) -> None:
        with torch.inference_mode():
            assert_alike(here(*pair), exact(*pair))
            given = pair[0].clone()
        with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
            here(given, pair[1].requires_grad_())

    @pytest.mark.parametrize("reentrant", [True, False])
    def test_checkpoints(self, pair: Any, reentrant: bool) -> None:
        x, y = pair[0].requires_grad_(), pair[1]
        checkpoint(lambda z: here(z.tanh(), y), x, use_reentrant=reentrant).backward()
        assert_alike(x.grad, grad(lambda z: exact(z.tanh(), y))(x.detach()))

    def test_saved_tensors_elsewhere(self, pair: Any) -> None:
        """What is kept may come back at another address, in another layout."""
        x, y = pair[0].requires_grad_(), pair[1]
        with torch.autograd.graph.saved_tensors_hooks(lambda z: z.clone(), lambda z: z.clone()):
            value = here(x.t().contiguous().t(), y[:1].expand(7, 3))
        value.backward()
        assert_alike(x.grad, grad(exact)(x.detach(), y[:1].expand(7, 3)))

    def test_nothing_is_held_that_is_not_saved(self, pair: Any) -> None:
        """Checkpoints free memory only if all that backward needs went through the hooks."""
        kept: list[Tensor] = []
        x, y = pair[0].requires_grad_(), pair[1]
        with torch.autograd.graph.saved_tensors_hooks(lambda z: kept.append(z.clone()), lambda _: kept.pop(0)):
            value = here(x, y)
        value.backward()
        assert not kept
        assert_alike(x.grad, grad(exact)(x.detach(), y))


class TestAutocast:
    """It reaches neither inside nor, where the backward pass is within it, there."""

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"estimator": "unbiased", "bandwidth_grad": True},
            {"weights_x": WEIGHTS, "bandwidth_grad": True},
            {"estimator": "linear", "bandwidth_grad": True, "weights_x": WEIGHTS},
            {"backend": "reference", "weights_x": WEIGHTS},
        ],
        ids=str,
    )
    def test_it_changes_no_bit(self, rows: Rows, dtype: torch.dtype, options: dict[str, Any]) -> None:
        pair = rows(*LONG, offset=5, spread=30)

        def all_of_it() -> list[Tensor]:
            x, y = (z.clone().requires_grad_() for z in pair)
            value = mk_mmd(x, y, **({"backend": BACKEND} | options))
            along = jvp(lambda a: mk_mmd(a, y, **({"backend": BACKEND} | options)), pair[:1], pair[:1])[1]
            return [value, along, *torch.autograd.grad(value, (x, y))]

        expected = all_of_it()
        assert float(expected[0].detach()) != 0
        with torch.autocast("cpu", dtype):
            assert all(torch.equal(a, b) for a, b in zip(all_of_it(), expected, strict=True))

    def test_nor_what_is_compiled(self, rows: Rows) -> None:
        x, y = (z.requires_grad_() for z in rows(*LONG, offset=5, spread=30))
        (expected,) = torch.autograd.grad(here(x, y), x)
        torch.compiler.reset()
        with torch.autocast("cpu", torch.float16):
            (found,) = torch.autograd.grad(compiled(here)(x, y), x)
        assert_same(found, expected, terms=46**2)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_nor_the_bandwidth(self, rows: Rows, weighted: bool) -> None:
        x, y = (z.requires_grad_() for z in rows(*LONG, offset=5, spread=30))
        weights = WEIGHTS if weighted else None
        value = mean_distance_bandwidth(x, y, weights)
        (expected,) = torch.autograd.grad(value, x)
        with torch.autocast("cpu", torch.float16):
            found = mean_distance_bandwidth(x, y, weights)
            (gradient,) = torch.autograd.grad(found, x)
        assert torch.equal(found, value)
        assert torch.equal(gradient, expected)


def compiled(loss: Callable[..., Any], backend: str = "aot_eager", fullgraph: bool = True) -> Callable[..., Any]:
    return torch.compile(loss, backend=backend, fullgraph=fullgraph)


def operator(x: Tensor, y: Tensor, gradient: bool = True) -> Tensor:
    values: Tensor = torch.ops.dckt.mk_mmd(
        [x, y], [None, None], [math.nan], 5, 2.0, "biased", False, BACKEND, "ieee", gradient
    )[0]
    return values[0]


class TestCompiled:
    @pytest.fixture(autouse=True)
    def _forget(self) -> None:
        torch.compiler.reset()

    @pytest.mark.parametrize("backend", ["aot_eager"] if INTERPRETED else ["eager", "aot_eager"])
    @pytest.mark.parametrize("options", OPTIONS[:1] if INTERPRETED else OPTIONS[:-1], ids=str)
    def test_a_training_step(self, pair: Any, backend: str, options: dict[str, Any]) -> None:
        def loss(a: Tensor, b: Tensor) -> Tensor:
            return 3 * here(a.tanh(), b, **options)

        x, y = (z.requires_grad_() for z in pair)
        value = compiled(loss, backend)(x, y)
        expected = grad(lambda a, b: 3 * exact(a.tanh(), b, **options), argnums=(0, 1))(x.detach(), y.detach())
        assert_alike(value, 3 * exact(x.tanh(), y, **options))
        for found, other in zip(torch.autograd.grad(value, (x, y)), expected, strict=True):
            assert_alike(found, other)

    def test_the_value_alone(self, pair: Any) -> None:
        assert_alike(compiled(here)(*pair), exact(*pair))

    def test_halves_keep_small_gradients(self, pair: Any) -> None:
        """As a gradient scaler has it: the incoming gradient is large, what it multiplies would round to 0 alone."""
        x, y = (z.half() for z in pair)
        x.requires_grad_()
        for loss in (here, compiled(here)):
            (found,) = torch.autograd.grad(1e-5 * loss(x, y), x, torch.tensor(1e5))
            expected = grad(exact)(x.detach().float(), y.float())
            assert float((found.float() - expected).abs().max()) <= 8 * torch.finfo(torch.float16).eps

    def test_tangents(self, pair: Any, tangents: Any) -> None:
        def along(x: Tensor, v: Tensor) -> Tensor | None:
            with forward_ad.dual_level():
                return forward_ad.unpack_dual(here(forward_ad.make_dual(x, v), pair[1])).tangent

        _, expected = jvp(lambda x: exact(x, pair[1]), pair[:1], tangents[:1])
        assert_alike(compiled(along)(pair[0], tangents[0]), expected)

    def test_batches(self, pair: Any) -> None:
        x, y = pair
        found = compiled(vmap(here, (0, None)))(torch.stack([x, x + 1]), y)
        assert_alike(found, torch.stack([exact(x, y), exact(x + 1, y)]))

    def test_functions_fall_back_to_eager(self, pair: Any, tangents: Any) -> None:
        x, y = pair
        assert_alike(compiled(grad(here), fullgraph=False)(x, y), grad(exact)(x, y))
        found = compiled(lambda a, v: jvp(lambda z: here(z, y), (a,), (v,))[1], fullgraph=False)(x, tangents[0])
        assert_alike(found, jvp(lambda z: exact(z, y), (x,), tangents[:1])[1])

    def test_a_second_derivative_is_refused(self, pair: Any) -> None:
        x, y = pair[0].requires_grad_(), pair[1]
        (gradient,) = torch.autograd.grad(compiled(here, "eager")(x, y), x, create_graph=True)
        with pytest.raises(RuntimeError, match="no second derivatives"):
            gradient.sum().backward()


class TestOperator:
    def test_gradient(self, pair: Any) -> None:
        x, y = pair[0].requires_grad_(), pair[1]
        operator(x, y).backward()
        assert_alike(x.grad, grad(exact)(x.detach(), y))

    def test_tangent(self, pair: Any, tangents: Any) -> None:
        with forward_ad.dual_level():
            value = operator(forward_ad.make_dual(pair[0], tangents[0]), pair[1])
            found = forward_ad.unpack_dual(value).tangent
        assert_alike(found, jvp(lambda x: exact(x, pair[1]), pair[:1], tangents[:1])[1])

    def test_batches(self, pair: Any) -> None:
        x, y = pair
        found = vmap(operator, (0, None))(torch.stack([x, x + 1]), y)
        assert_alike(found, torch.stack([exact(x, y), exact(x + 1, y)]))

    def test_what_it_does_not_do_is_said(self, pair: Any, tangents: Any) -> None:
        with pytest.raises(RuntimeError, match=r"^torch.ops.dckt.mk_mmd was called with gradient=False"):
            operator(pair[0].clone().requires_grad_(), pair[1], gradient=False).backward()
        for derivative in (lambda: grad(operator)(*pair), lambda: jvp(operator, pair, tangents)):
            with pytest.raises(
                RuntimeError, match=r"^torch.ops.dckt.mk_mmd takes no derivative within torch.func: .*$"
            ):
                derivative()
