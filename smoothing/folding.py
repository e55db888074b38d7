"""A network with fewer passes over memory: batch normalisation and padding folded into layers, ReLU in place."""

import copy
import operator
import os
import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

LAYERS = (_BatchNorm, _ConvNd, nn.Linear)
TORCH = str(Path(torch.__file__).parent) + os.sep


def folded(f: nn.Module) -> tuple[nn.Module, int]:
    """A copy of a network in eval mode with fewer passes, and the number of batch normalisations that were folded.

    A batch normalisation is folded into the weights of a convolution or linear layer if it is the only user of that
    layer's output. Zero padding of equal width on opposite sides is folded into the convolution that is its only user.
    A ReLU or ReLU6 overwrites its input if nothing else uses that input. The copy equals f in exact arithmetic, and up
    to a few units in the last digit otherwise.

    A network is copied unchanged if `torch.fx` cannot trace it, because its control flow depends on its input's values
    or type. The same holds if it has hooks, its own `__call__` or an instance's own `forward`, which a trace does not
    see. Layers other than torch's own, and changed ones, are left alone (`_is_unchanged`).

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> copied, count = folded(network)
        >>> count, torch.allclose(copied(torch.ones(1, 1, 4, 4)), network(torch.ones(1, 1, 4, 4)), atol=1e-6)
        (1, True)
    """
    copied = copy.deepcopy(f)
    if _changed(copied):
        return copied, 0
    tracer = _Tracer()
    try:
        graph = tracer.trace(copied)
    except Exception:  # any error that a network's own code raises when traced
        return copied, 0
    if tracer.misled:
        return copied, 0
    _make_layers(graph, copied)
    modules = dict(copied.named_modules())
    _absorb_padding(graph, modules)
    count = _fold(graph, modules)
    _work_in_place(graph, modules)
    module = fx.GraphModule(copied, graph)
    module.delete_all_unused_submodules()
    setattr(type(module), "__call__", nn.Module.__call__)  # noqa: B010 - its own prints a traceback if it raises
    return module.eval(), count


class _Tracer(fx.Tracer):
    """Traces into modules that contain layers with weights, and treats others, such as a normalisation, as one step.

    Attributes:
        misled: whether the network's code asked what a trace answers otherwise than a run does: the type of a value,
            or a number. The code may have caught the error that this raises.
    """

    misled = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(isinstance(p, LAYERS) for p in m.modules())

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Value(node, self)

    def to_bool(self, obj: fx.Proxy) -> bool:
        self.misled = True
        return super().to_bool(obj)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        self.misled = True
        return super().iter(obj)

    def asked_for_type(self, code: CodeType) -> None:
        """Code was asked for a value's type. Only torch's own knows what a traced value is."""
        self.misled |= code is torch.is_tensor.__code__ or not code.co_filename.startswith(TORCH)


class _Typed:
    """Tells the tracer if a value's type is asked for, as in isinstance(x, Tensor), which is false for traced ones."""

    tracer: _Tracer

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        self.tracer.asked_for_type(sys._getframe(1).f_code)
        return type(self)


class _Value(_Typed, fx.Proxy):  # type: ignore[misc]
    """A traced value."""

    def __getattr__(self, name: str) -> fx.proxy.Attribute:
        if not hasattr(torch.Tensor, name):
            raise AttributeError(name)
        return _Attribute(self, name)


class _Attribute(_Typed, fx.proxy.Attribute):  # type: ignore[misc]
    """An attribute or method of a traced value."""


def _make_layers(graph: fx.Graph, root: nn.Module) -> None:
    """Make a layer of each 2d convolution that is called as a function of weights of the network.

    A network's own subclass of `nn.Conv2d`, such as one that pads its input, calls the function.
    """
    names = _unused_names(root)
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not torch.conv2d:
            continue
        layer = _layer_of(node, root)
        if layer is None:
            continue
        name = next(names)
        root.add_module(name, layer)
        x = node.args[0] if node.args else node.kwargs["input"]
        weights = [each for each in node.all_input_nodes if each is not x]
        node.op, node.target, node.args, node.kwargs = "call_module", name, (x,), {}
        for each in weights:
            if not each.users:
                graph.erase_node(each)


def _unused_names(root: nn.Module) -> Iterator[str]:
    k = 0
    while True:
        if not hasattr(root, name := f"convolution_{k}"):
            yield name
        k += 1


def _layer_of(node: fx.Node, root: nn.Module) -> nn.Conv2d | None:
    """The layer that computes what a call of `torch.conv2d` does; None if its arguments are not constant."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given: dict[str, Any] = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    weight, bias = (_constant(given.get(name), root) for name in ("weight", "bias"))
    rest = {name: given[name] for name in names[3:] if name in given}
    numbers = [number for value in rest.values() for number in (value if isinstance(value, list | tuple) else [value])]
    if weight is None or (given.get("bias") is not None and bias is None):
        return None
    if not all(type(number) is int for number in numbers):
        return None
    groups = rest.pop("groups", 1)
    sizes = {name: tuple(value) if isinstance(value, list | tuple) else value for name, value in rest.items()}
    channels, kernel = (groups * weight.shape[1], len(weight)), tuple(weight.shape[2:])
    layer = nn.Conv2d(*channels, kernel, groups=groups, bias=bias is not None, device="meta", **sizes)  # type: ignore[arg-type]
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    layer.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return layer.eval()


def _constant(value: Any, root: nn.Module) -> torch.Tensor | None:
    """The tensor of the network that a node reads; None if it reads none."""
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    held: Any = root
    for part in str(value.target).split("."):
        held = getattr(held, part, None)
    return held if isinstance(held, torch.Tensor) and held.dim() in (1, 4) else None


def _absorb_padding(graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Let each convolution pad its input itself if a layer before it does nothing else."""
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        if type(layer) is not nn.Conv2d or not _is_unchanged(layer) or calls.count(node.target) > 1:
            continue
        before = node.args[0]
        padding = modules.get(str(before.target)) if before.op == "call_module" else None
        if type(padding) is not nn.ZeroPad2d or not _is_unchanged(padding) or len(before.users) > 1:
            continue
        left, right, top, bottom = padding.padding
        own = layer.padding
        if (
            (left, top) != (right, bottom)
            or min(left, top) < 0
            or isinstance(own, str)
            or layer.padding_mode != "zeros"
        ):
            continue
        absorbing = copy.copy(layer)
        absorbing.padding = (own[0] + top, own[1] + left)
        absorbing._reversed_padding_repeated_twice = [absorbing.padding[1]] * 2 + [absorbing.padding[0]] * 2
        parent, _, name = str(node.target).rpartition(".")
        setattr(modules[parent], name, absorbing)
        modules[str(node.target)] = absorbing
        before.replace_all_uses_with(before.args[0])
        graph.erase_node(before)


def _is_unchanged(module: nn.Module) -> bool:
    """Whether a layer is one of torch's own without additions: no hook, parametrisation or own `forward`."""
    return type(module).__module__.startswith("torch.nn.modules.") and not _changed(module)


def _changed(module: nn.Module) -> bool:
    own_call = type(module).__call__ is not nn.Module.__call__
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) or own_call)


def _fold(graph: fx.Graph, modules: dict[str, nn.Module]) -> int:
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    count = 0
    for node in list(graph.nodes):
        if node.op != "call_module" or not isinstance(norm := modules[node.target], _BatchNorm):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1:
            continue
        if calls.count(before.target) > 1 or calls.count(node.target) > 1:
            continue  # a layer that is used twice has one set of weights
        layer = modules[before.target]
        if not _is_unchanged(layer) or not _is_unchanged(norm):
            continue
        if isinstance(layer, _ConvNd):
            fused: nn.Module = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, _ConvTransposeNd))
        elif isinstance(layer, nn.Linear):
            fused = fuse_linear_bn_eval(layer, norm)
        else:
            continue
        parent, _, name = before.target.rpartition(".")
        setattr(modules[parent], name, fused)
        modules[before.target] = fused
        node.replace_all_uses_with(before)
        graph.erase_node(node)
        count += 1
    return count


def _work_in_place(graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Let each ReLU and ReLU6 overwrite its input if that is a layer's output or a sum, and nothing else uses it."""
    for node in graph.nodes:
        limit = _upper_limit(node, modules)
        if limit is None or len(node.args[0].users) > 1:
            continue
        before = node.args[0]
        layer = modules[before.target] if before.op == "call_module" else None
        is_layer = isinstance(layer, LAYERS) and _is_unchanged(layer)
        if is_layer or (before.op == "call_function" and before.target is operator.add):
            node.op, node.kwargs = "call_function", {}
            if limit == inf:
                node.target, node.args = torch.relu_, (before,)
            else:
                node.target, node.args = functional.hardtanh_, (before, 0.0, limit)


def _upper_limit(node: fx.Node, modules: dict[str, nn.Module]) -> float | None:
    """Where a node clips from above: infinity for a ReLU, 6 for a ReLU6; None if it is neither."""
    known: dict[Any, float] = {
        torch.relu: inf,
        functional.relu: inf,
        functional.relu6: 6.0,
        nn.ReLU: inf,
        nn.ReLU6: 6.0,
    }
    if node.op == "call_module":
        module = modules[str(node.target)]
        return known.get(type(module)) if _is_unchanged(module) else None
    return known.get(node.target) if node.op == "call_function" else None
