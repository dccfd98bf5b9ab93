"""Where the arithmetic runs: device, mixed precision and processes, all of it Hugging Face Accelerate's work."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dckt_core.base.device import find_device
from dckt_core.base.errors import MachineError, UsageError

T = TypeVar("T")
REST = 0.5  # seconds


class _Together:
    """Several optimizers as one. They share the loss scale of fp16, which may change once an update only, and networks
    that learn from one another must not fall out of step.
    """

    def __init__(self, optimizers: Collection[torch.optim.Optimizer]) -> None:
        self._optimizers = optimizers
        self.param_groups = [group for optimizer in optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        for optimizer in self._optimizers:
            optimizer.step()


class Engine:
    """One process of a run, of which `torchrun` may start several.

    Args:
        device: a name that `find_device` knows.
        precision: `no`, `bf16` or `fp16`.

    Raises:
        UsageError: the device is unknown or not on this machine, or fp16 was asked for on a CPU.
    """

    def __init__(self, device: str = "auto", precision: str = "no") -> None:
        on_cpu = find_device(device).type == "cpu"
        if on_cpu and precision == "fp16":
            raise UsageError("precision 'fp16' needs an accelerator; a CPU has 'bf16' and 'no'")
        self._accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)

    @property
    def device(self) -> torch.device:
        return cast(torch.device, self._accelerator.device)

    @property
    def is_main(self) -> bool:
        return bool(self._accelerator.is_main_process)

    @property
    def process(self) -> int:
        """The number of this process, from 0, the main one's."""
        return int(self._accelerator.process_index)

    @property
    def processes(self) -> int:
        return int(self._accelerator.num_processes)

    def prepare(self, network: nn.Module) -> nn.Module:
        """The network, placed and wrapped for this process."""
        return cast(nn.Module, self._accelerator.prepare(network))

    def bare(self, network: nn.Module) -> nn.Module:
        """The network inside the wrapper."""
        return network.module if isinstance(network, DistributedDataParallel) else network

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch's rows."""
        return rows[self.process :: self.processes]

    def backward(self, loss: Tensor) -> None:
        self._accelerator.backward(loss)

    def step(self, optimizers: Collection[torch.optim.Optimizer]) -> None:
        """One update by all of these, or by none where fp16 overflowed; their gradients are gone then."""
        together, scaler = _Together(optimizers), self._accelerator.scaler
        if scaler is None:
            together.step()
        else:
            scaler.step(together)
            scaler.update()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)

    def micro_batches(self, count: int, networks: Sequence[nn.Module]) -> Iterator[int]:
        """Counts the batches of one update; gradients are exchanged between processes on the last one only."""
        for number in range(count):
            with ExitStack() as stack:
                if number < count - 1:
                    for network in networks:
                        stack.enter_context(self._accelerator.no_sync(network))
                yield number

    def from_main(self, value: T) -> T:
        """The main process's value, on every process."""
        return cast(T, broadcast_object_list([value])[0]) if self.processes > 1 else value

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        return cast(Tensor, self._accelerator.reduce(value, "mean")) if self.processes > 1 else value

    def from_all(self, value: T) -> list[T]:
        """Every process's value, in the order of the processes, on every process."""
        return list(gather_object([value])) if self.processes > 1 else [value]

    @property
    def scales_loss(self) -> bool:
        """Whether gradients carry the loss scale of fp16."""
        return self._accelerator.scaler is not None

    def scaler_state(self) -> dict[str, Any] | None:
        """The loss scale of fp16, JSON-able; None for other precisions."""
        scaler = self._accelerator.scaler
        return None if scaler is None else dict(scaler.state_dict())

    def load_scaler_state(self, state: dict[str, Any] | None) -> None:
        """Takes back what `scaler_state` gave."""
        if state is not None and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state)

    def average_gradients(self, module: nn.Module) -> None:
        """The mean over processes of the gradients of a module that is not wrapped."""
        for parameter in module.parameters():
            if self.processes > 1 and parameter.grad is not None:
                parameter.grad = self.mean(parameter.grad)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Says so where another process of the training is gone while the block runs.

        Raises:
            MachineError: it is.
        """
        try:
            yield
        except RuntimeError as error:
            if self.processes == 1:
                raise
            if not isinstance(error, torch.distributed.DistError) and "gloo/transport" not in str(error):
                raise
            raise MachineError("another process of this training is gone; its own output says why") from error

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.close(in_peace=kind is None)

    def close(self, *, in_peace: bool = True) -> None:
        """Takes leave of the other processes; one that exits without may be aborted by its own network threads.

        in_peace: False where an error is on its way, which has to be told of before torchrun ends this process too.
        """
        if self.processes > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            # DistributedDataParallel keeps the group's threads alive beyond this. One that is still letting go of a
            # tensor when the interpreter ends aborts the process: let them come to rest.
            if in_peace:
                time.sleep(REST)

    @contextmanager
    def evaluating(self, network: nn.Module) -> Iterator[Any]:
        """The bare network in eval mode, with the main process's BatchNorm statistics on every process."""
        bare = self.bare(network)
        if self.processes > 1:
            for buffer in bare.buffers():
                torch.distributed.broadcast(buffer, src=0)
        bare.eval()
        try:
            yield bare
        finally:
            bare.train()
