"""Entropic optimal transport beside its peers: whether values are right, how long it takes, what it holds.

Every call is made in a process of its own, the providers in turn, round after round: times are medians, a peak is
counted beyond the inputs, after a small call has warmed the libraries up. Each provider runs to an L1 error of the
marginals of `TOLERANCE` by its own rule; what it reached is measured from its plan, by the same code for all.

    python -m dckt_bench.transport PROVIDER NxD EPS THREADS -> JSON
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_bench.memory import Peak
from dckt_kernels import sinkhorn
from dckt_kernels.transport import reference
from dckt_kernels.transport.iterations import Side

TOLERANCE = 1e-4
"""L1 error of the marginals."""
CHECKED = 300
"""Rows a side on which values are compared with float64."""
RIGHT = 1e-3
"""Relative error of the value that is taken for right: at such marginals it is far smaller for who converges."""
CLUSTERS = 20
MOST_SWEEPS = 20_000


@dataclass(frozen=True)
class Answer:
    """What a provider found for uniform weights and squared Euclidean costs.

    Attributes:
        value: <P, C> + eps KL(P | a b'); None from who has none.
        masses: of the rows and columns of the plan; None from who has no plan.
        sweeps: iterations; None where they are not told.
    """

    value: float | None
    masses: tuple[Tensor, Tensor] | None
    sweeps: int | None


@dataclass(frozen=True)
class Provider:
    """Attributes:
    name: as `--providers` takes it.
    find: from x [n, d], y [n, d], float32, and eps.
    needs: the module that must be installed.
    bytes_a_pair: what it holds, at least, to see whether memory is enough.
    """

    name: str
    find: Callable[[Tensor, Tensor, float], Answer]
    needs: str = "torch"
    bytes_a_pair: float = 0.0

    @property
    def missing(self) -> str:
        return "" if find_spec(self.needs) else self.needs


@dataclass(frozen=True)
class Row:
    """One provider on one workload.

    Attributes:
        marginal: L1 error that was reached, rows and columns together.
        value_error: relative, at `CHECKED` rows.
        seconds: median.
        peak_mb: beyond the inputs.
        products: time over that of one product X Y' for each sweep.
        note: why something is missing.
    """

    provider: str
    n: int
    d: int
    eps: float
    threads: int
    sweeps: int | None = None
    marginal: float | None = None
    value_error: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    products: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


COLUMNS = tuple(Row.__dataclass_fields__)


def clouds(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Two mixtures of the same clusters with other shares, rows of length 1 [n, d]."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLUSTERS, d, generator=generator)

    def drawn(shift: float) -> Tensor:
        of = torch.randint(CLUSTERS, (n,), generator=generator)
        return F.normalize(centres[of] + torch.randn(n, d, generator=generator) + shift, dim=1)

    return drawn(0.0), drawn(0.1)


# --- providers ------------------------------------------------------------------------------------------------


def _ours(x: Tensor, y: Tensor, eps: float, *, memory: Any) -> Answer:
    found = sinkhorn(x, y, eps=eps, tolerance=TOLERANCE, max_sweeps=MOST_SWEEPS, memory=memory, warn=False)
    return Answer(float(found.value), found.masses(), found.sweeps)


def _pot(x: Tensor, y: Tensor, eps: float, *, method: str, dtype: torch.dtype) -> Answer:
    import ot

    n = len(x)
    a, b = x.to(dtype).numpy(), y.to(dtype).numpy()
    costs = ot.dist(a, b)
    uniform = ot.unif(n, type_as=costs)
    plan, log = ot.sinkhorn(
        uniform,
        uniform,
        costs,
        eps,
        method=method,
        numItermax=MOST_SWEEPS,
        stopThr=TOLERANCE / n**0.5,  # it measures in L2
        log=True,
        warn=False,
    )
    kept = torch.from_numpy(plan)
    value = float((plan * costs).sum()) + eps * float(torch.special.xlogy(kept.double(), kept.double() * n * n).sum())
    return Answer(value, (kept.double().sum(1), kept.double().sum(0)), log.get("niter"))


def _geomloss(x: Tensor, y: Tensor, eps: float) -> Answer:
    from geomloss import SamplesLoss

    # Its cost is half the squared distance, its blur the root of eps; potentials tell the plan.
    loss = SamplesLoss("sinkhorn", p=2, blur=(eps / 2) ** 0.5, scaling=0.9, debias=False, backend="tensorized")
    value = 2 * float(loss(x, y))
    loss.potentials = True
    f, g = (2 * potential.double().view(-1) for potential in loss(x, y))
    rows, columns = [], torch.zeros(len(y), dtype=torch.float64)
    for start in range(0, len(x), 256):
        part = slice(start, start + 256)
        exponents = (f[part, None] + g - torch.cdist(x[part].double(), y.double()).square()) / eps
        held = exponents.exp() / (len(x) * len(y))
        rows.append(held.sum(1))
        columns += held.sum(0)
    return Answer(value, (torch.cat(rows), columns), None)


def _ott(x: Tensor, y: Tensor, eps: float, *, panel: int | None) -> Answer:
    import jax.numpy as jnp
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn as ott_sinkhorn

    geometry = pointcloud.PointCloud(jnp.asarray(x.numpy()), jnp.asarray(y.numpy()), epsilon=eps, batch_size=panel)
    solver = ott_sinkhorn.Sinkhorn(threshold=TOLERANCE, max_iterations=MOST_SWEEPS)
    found = solver(linear_problem.LinearProblem(geometry))
    masses = tuple(torch.tensor(found.marginal(axis).tolist(), dtype=torch.float64) for axis in (1, 0))
    return Answer(float(found.reg_ot_cost), (masses[0], masses[1]), int(found.n_iters))


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("dckt", partial(_ours, memory="kept"), bytes_a_pair=4),
        Provider("dckt-streamed", partial(_ours, memory="streamed")),
        Provider("pot", partial(_pot, method="sinkhorn", dtype=torch.float64), "ot", 32),
        Provider("pot-float32", partial(_pot, method="sinkhorn", dtype=torch.float32), "ot", 16),
        Provider("pot-log", partial(_pot, method="sinkhorn_log", dtype=torch.float32), "ot", 32),
        Provider("pot-stabilized", partial(_pot, method="sinkhorn_stabilized", dtype=torch.float64), "ot", 32),
        Provider("geomloss", _geomloss, "geomloss", 24),
        Provider("ott", partial(_ott, panel=None), "ott", 16),
        Provider("ott-streamed", partial(_ott, panel=256), "ott"),
    )
}


# --- measuring ------------------------------------------------------------------------------------------------


def run(
    providers: Sequence[str],
    workloads: Sequence[tuple[int, int, float]],
    *,
    threads: int,
    rounds: int,
    patience: float,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """A row for each provider and workload (n, d, eps).

    patience: seconds after which a call is given up.
    """
    for n, d, eps in workloads:
        empty = partial(Row, n=n, d=d, eps=eps, threads=threads)
        calls: dict[str, list[dict[str, Any]]] = {}
        notes: dict[str, str] = {}
        for turn in range(rounds):
            for name in providers:
                if name in notes:
                    continue
                progress(f"n = {n:,}, eps {eps:g}: {name}, {turn + 1} of {rounds}")
                found = _in_a_process(name, n, d, eps, threads, patience)
                if "note" in found:
                    notes[name] = found["note"]
                else:
                    calls.setdefault(name, []).append(found)
        for name in providers:
            if name in notes:
                yield empty(name, note=notes[name])
                continue
            mine = calls[name]
            seconds = statistics.median(call["seconds"] for call in mine)
            sweeps = mine[0]["sweeps"]
            product = statistics.median(call["product"] for call in mine)
            yield empty(
                name,
                sweeps=sweeps,
                marginal=mine[0]["marginal"],
                value_error=mine[0]["value_error"],
                seconds=seconds,
                peak_mb=statistics.median(call["peak_mb"] for call in mine),
                products=None if sweeps is None else seconds / (sweeps * product),
                note="" if mine[0]["marginal"] <= 2 * TOLERANCE else "its marginals are further off than was asked for",
            )


def _in_a_process(name: str, n: int, d: int, eps: float, threads: int, patience: float) -> dict[str, Any]:
    provider = PROVIDERS[name]
    if provider.missing:
        return {"note": f"{provider.missing} is not installed"}
    command = [sys.executable, "-m", "dckt_bench.transport", name, f"{n}x{d}", str(eps), str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience)
    except subprocess.TimeoutExpired:
        return {"note": f"not done after {patience:.0f} s"}
    if done.returncode:
        return {"note": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(name: str, n: int, d: int, eps: float, threads: int) -> dict[str, Any]:
    """One call, in this process: what `Row` tells, and the seconds of one product."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    find = PROVIDERS[name].find
    small = clouds(CHECKED, d)
    answer, expected = find(*small, eps), _expected(*small, eps)
    if answer.value is None or answer.value != answer.value:
        return {"note": "its value is not a number"}
    error = abs(answer.value - expected) / abs(expected)
    if error > RIGHT:
        return {"note": f"wrong: its value at {CHECKED} rows is off by {error:.1e}"}
    x, y = clouds(n, d)
    with Peak(torch.device("cpu")) as peak:
        begin, worked = time.perf_counter(), time.process_time()
        answer = find(x, y, eps)
        seconds, busy = time.perf_counter() - begin, time.process_time() - worked
    return {
        "seconds": min(seconds, busy) if threads == 1 else seconds,  # another program's work is not this one's
        "peak_mb": peak.megabytes,
        "sweeps": answer.sweeps,
        "value_error": error,
        "marginal": None if answer.masses is None else _off(answer.masses),
        "product": _product(x, y),
    }


def _expected(x: Tensor, y: Tensor, eps: float) -> float:
    """By float64 iterations on explicit costs."""
    weights = torch.full((len(x),), 1 / len(x), dtype=torch.float64).log()
    side, costs = Side(weights, 0.0), reference.costs_of(x, y, 1.0)
    found = reference.solve(costs, eps, side, side, tolerance=TOLERANCE / 10, limit=MOST_SWEEPS)
    return float(reference.value(costs, eps, side, side, found))


def _off(masses: tuple[Tensor, Tensor]) -> float:
    return sum(float((held.double() - 1 / len(held)).abs().sum()) for held in masses)


def _product(x: Tensor, y: Tensor) -> float:
    """Seconds of X Y', in panels of one size into memory that is there."""
    room = torch.empty(256, len(y))
    times = []
    for _ in range(3):
        begin = time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()
        for start in range(0, len(x) - 255, 256):
            torch.mm(x[start : start + 256], y.t(), out=room)
        end = time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()
        times.append((end - begin) * len(x) / max(len(x) // 256 * 256, 256))
    return statistics.median(times)


if __name__ == "__main__":
    name, shape, eps, threads = sys.argv[1:]
    n, d = (int(size) for size in shape.split("x"))
    with redirect_stdout(sys.stderr):
        try:
            found = measure(name, n, d, float(eps), int(threads))
        except Exception as error:  # whatever a peer raises says why it has no time
            found = {"note": f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"}
    print(json.dumps(found))
