"""Training steps as replays of a CUDA graph: the GPU gets one launch for each step instead of hundreds.

The host needs longer to launch the kernels of a small network than the GPU to run them. A replay does the same
operations, with the numbers of its own step: its batch is copied into the recorded tensors, and each generator gets the
key of its step. So losses and weights are those of the steps as written.
"""

import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from experiments.training.step_noise import Purpose, StepNoise
from experiments.training.trainer import Trainer
from smoothing.noise.base import describes
from smoothing.streams import BlockSource, seed_of

WORTH = 20  # steps in an epoch, from which on a graph saves time
WAITS = "called a synchronizing CUDA operation"  # torch's warning
RECORDED = ("objective", "judge", "scores_of_copies")  # what `Trainer.replayable` is about

TakeStep = Callable[[Tensor, Tensor, StepNoise], None]  # inputs, targets, noise


def can_be_replayed(trainer: Trainer, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> bool:
    """Whether the steps of an epoch on one GPU may be replays.

    Weights must be averaged on the host, float16 needs a scale that changes, and not every optimizer keeps its state on
    the GPU. Then steps run as written.
    """
    static = trainer.replayable and describes(trainer, "replayable", *RECORDED)
    static = static and all(getattr(module, "replayable", True) for module in model.modules())
    on_gpu = isinstance(optimizer, torch.optim.SGD) or all(g.get("capturable") for g in optimizer.param_groups)
    plain = trainer.processes == 1 and not trainer.ema_decay and not trainer.precision.startswith("16")
    return static and on_gpu and plain and steps >= WORTH


def keep_state_on(device: torch.device, optimizers: list[torch.optim.Optimizer]) -> None:
    """On a GPU, let Adam count its steps there, so that they can be recorded; elsewhere on the host."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = device.type == "cuda"
        for state in optimizer.state.values():
            if "step" in state:
                state["step"] = state["step"].to(device)


class GraphedSteps:
    """The steps of one epoch on one GPU.

    The first two run as written. So do the others if the second makes the host wait for the GPU or uses random numbers
    of the host, or if the third cannot be recorded.

    Args:
        step: takes one training step. It must do the same operations each time, on inputs of one shape.
        device: a GPU.
    """

    def __init__(self, step: TakeStep, device: torch.device) -> None:
        self._step, self._device = step, device
        self._taken = 0
        self._draws: list[tuple[Purpose, int]] = []
        self._recording: _Recording | None = None
        self._as_written = False

    def __call__(self, x: Tensor, targets: Tensor, noise: StepNoise) -> None:
        self._taken += 1
        if self._recording and self._recording.fits(x, targets):
            self._recording.replay(x, targets, noise)
        elif self._as_written or self._taken == 1 or self._recording:
            self._step(x, targets, noise)
        elif self._taken == 2:
            before = _random_numbers_of_the_host()
            waits = self._waits(x, targets, replace(noise, source=self._noted))
            self._as_written = waits or _random_numbers_of_the_host() != before
        else:
            self._recording = self._recorded(x, targets, noise)
            self._as_written = self._recording is None
            if self._recording:
                self._recording.replay(x, targets, noise)
            else:
                self._step(x, targets, noise)

    def _noted(self, noise: StepNoise, purpose: Purpose, k: int, device: torch.device) -> BlockSource:
        self._draws.append((purpose, k))
        return BlockSource(noise.key(purpose, k), device)

    def _waits(self, x: Tensor, targets: Tensor, noise: StepNoise) -> bool:
        """Take a step as written, and return whether the host waited for the GPU."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                self._step(x, targets, noise)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for each in caught:
            if "synchroniz" not in str(each.message):  # torch also says that the mode is a prototype
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return any(WAITS in str(each.message) for each in caught)

    def _recorded(self, x: Tensor, targets: Tensor, noise: StepNoise) -> "_Recording | None":
        recording = _Recording(x.clone(), targets.clone(), self._draws)
        try:
            recording.record(self._step, noise)
        except RuntimeError:  # out of memory, or an operation that cannot be recorded
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
            return None
        return recording


def _random_numbers_of_the_host() -> tuple[object, ...]:
    """The states of the generators that a model or an objective may use. A replay would repeat their numbers."""
    name, words, *rest = np.random.get_state()
    return random.getstate(), name, np.asarray(words).tobytes(), *rest, torch.get_rng_state().numpy().tobytes()


@dataclass
class _Recording:
    """One step in a CUDA graph, its inputs and its random numbers.

    Attributes:
        x: the recorded inputs.
        targets: the recorded targets.
        draws: the purpose and k of each draw of the step, in order.
    """

    x: Tensor
    targets: Tensor
    draws: list[tuple[Purpose, int]]
    graph: torch.cuda.CUDAGraph = field(default_factory=torch.cuda.CUDAGraph)

    def __post_init__(self) -> None:
        self.generators = [torch.Generator(self.x.device) for _ in self.draws]
        for generator in self.generators:
            self.graph.register_generator_state(generator)

    def record(self, step: TakeStep, noise: StepNoise) -> None:
        """Raises RuntimeError if the step cannot be recorded, or does not draw what `draws` says."""
        left = iter(zip(self.draws, self.generators, strict=True))

        def next_source(_: StepNoise, purpose: Purpose, k: int, device: torch.device) -> BlockSource:
            expected, generator = next(left, (None, None))
            if generator is None or expected != (purpose, k) or device != generator.device:
                raise RuntimeError("the steps draw different noises")
            return _Registered(generator)

        # Other threads may call CUDA meanwhile, such as those that read images.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            step(self.x, self.targets, replace(noise, source=next_source))

    def fits(self, x: Tensor, targets: Tensor) -> bool:
        """Whether another batch has the recorded shapes and types."""
        pairs = ((x, self.x), (targets, self.targets))
        return all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)

    def replay(self, x: Tensor, targets: Tensor, noise: StepNoise) -> None:
        """Take the step on another batch, with its noise."""
        self.x.copy_(x)
        self.targets.copy_(targets)
        for (purpose, k), generator in zip(self.draws, self.generators, strict=True):
            generator.manual_seed(seed_of(noise.key(purpose, k)))
        self.graph.replay()


class _Registered(BlockSource):
    """The random numbers of a generator whose key is set before each replay."""

    def __init__(self, generator: torch.Generator) -> None:
        self.device, self._out, self._torch = generator.device, None, generator
