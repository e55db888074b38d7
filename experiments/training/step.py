"""One training step as a single forward pass, however often the objective calls the model."""

from collections.abc import Callable
from typing import Any

from lightning_fabric.plugins.precision import Precision
from torch import Tensor, nn

from experiments.training.step_noise import StepNoise
from experiments.training.trainer import Trainer
from smoothing import SettingError

Objective = Callable[[nn.Module], tuple[Tensor, Tensor]]  # model -> loss and outputs on one batch


class Step(nn.Module):
    """The module that Fabric wraps, in DDP if there are several processes. Its forward pass evaluates an objective.

    The objective receives the plain model. It may call the model or parts of it any number of times, change their mode,
    and take gradients with respect to inputs. A wrapped model would not allow that: DDP expects one forward pass for
    each backward pass, and Fabric refuses `torch.autograd.grad` under mixed precision.

    Fabric applies autocast to the whole objective.

    Args:
        model: the model to train.
        precision: Fabric's precision, which converts the inputs and outputs of each call of the model.
    """

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.model, self._precision = model, precision

    def forward(self, objective: Objective) -> tuple[Tensor, Tensor]:
        def before(_: nn.Module, inputs: Any) -> Any:
            return self._precision.convert_input(inputs)

        def after(_: nn.Module, inputs: Any, outputs: Any) -> Any:
            return self._precision.convert_output(outputs)

        with self.model.register_forward_pre_hook(before), self.model.register_forward_hook(after):
            return objective(self.model)


def evaluated(
    trainer: Trainer, x: Tensor, targets: Tensor, noise: StepNoise, epoch: int, model: nn.Module
) -> tuple[Tensor, Tensor]:
    """Call `trainer.objective` and check the result. Raises SettingError if it is not a loss and b outputs."""
    given: Any = trainer.objective(model, x, targets, noise, epoch)
    name = f"trainer: {type(trainer).__name__}.objective"
    if not (isinstance(given, tuple) and len(given) == 2 and all(isinstance(each, Tensor) for each in given)):
        shown = f"{len(given)} values" if isinstance(given, tuple) else f"a {type(given).__name__}"
        raise SettingError(f"{name}: expected two tensors, the loss and the outputs, got {shown}")
    loss, outputs = given
    if loss.dim():
        raise SettingError(f"{name}: expected a loss of shape (), got {tuple(loss.shape)}; return the batch mean")
    if not loss.requires_grad:
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise SettingError(
                f"model: no parameter of {type(model).__name__} requires a gradient, so there is nothing to train; "
                "call requires_grad_() on those to train"
            )
        raise SettingError(
            f"{name}: expected a loss with a gradient; compute it from the model's outputs, outside torch.no_grad()"
        )
    if outputs.shape[:1] != x.shape[:1]:
        raise SettingError(f"{name}: expected an output for each of {len(x)} inputs, got shape {tuple(outputs.shape)}")
    return loss, outputs
