"""A network with fewer passes over memory: batch normalisation folded into the preceding layers, ReLU in place."""

import copy
import operator

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

LAYERS = (_BatchNorm, _ConvNd, nn.Linear)


def folded(f: nn.Module) -> tuple[nn.Module, int]:
    """A copy of a network in eval mode with fewer passes, and the number of batch normalisations that were folded.

    A batch normalisation is folded into the weights of a convolution or linear layer if it is the only user of that
    layer's output. A ReLU overwrites its input if nothing else uses that input. The copy equals f in exact arithmetic,
    and up to a few units in the last digit otherwise.

    A network is copied unchanged if `torch.fx` cannot trace it, because its control flow depends on its input's values.
    The same holds if it has hooks or an instance's own `forward`, which a trace does not see. Layers other than torch's
    own, and changed ones, are left alone (`_is_unchanged`).

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> copied, count = folded(network)
        >>> count, torch.allclose(copied(torch.ones(1, 1, 4, 4)), network(torch.ones(1, 1, 4, 4)), atol=1e-6)
        (1, True)
    """
    copied = copy.deepcopy(f)
    if _changed(copied):
        return copied, 0
    try:
        graph = _Tracer().trace(copied)
    except Exception:  # any error that a network's own code raises when traced
        return copied, 0
    modules = dict(copied.named_modules())
    count = _fold(graph, modules)
    _work_in_place(graph, modules)
    module = fx.GraphModule(copied, graph)
    module.delete_all_unused_submodules()
    return module.eval(), count


class _Tracer(fx.Tracer):
    """Traces into modules that contain layers with weights, and treats others, such as a normalisation, as one step."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(isinstance(p, LAYERS) for p in m.modules())


def _is_unchanged(module: nn.Module) -> bool:
    """Whether a layer is one of torch's own without additions: no hook, parametrisation or own `forward`."""
    return type(module).__module__.startswith("torch.nn.modules.") and not _changed(module)


def _changed(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


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
    """Let each ReLU overwrite its input if that is a layer's output or a sum, and nothing else uses it."""
    for node in graph.nodes:
        if not _is_relu(node, modules) or len(node.args[0].users) > 1:
            continue
        before = node.args[0]
        layer = modules[before.target] if before.op == "call_module" else None
        is_layer = isinstance(layer, LAYERS) and _is_unchanged(layer)
        if is_layer or (before.op == "call_function" and before.target is operator.add):
            node.op, node.target, node.args, node.kwargs = "call_function", torch.relu_, (before,), {}


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        module = modules[str(node.target)]
        return type(module) is nn.ReLU and _is_unchanged(module)
    return node.op == "call_function" and node.target in (torch.relu, functional.relu)
