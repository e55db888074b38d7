"""Batch normalisation folded into the layers before it: the same function in fewer passes over memory."""

import copy

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval


def folded(f: nn.Module) -> tuple[nn.Module, int]:
    """A copy of a network in eval mode, with each batch normalisation that directly follows a convolution or a linear
    layer, and alone does, merged into its weights; and how many these are.

    Equal to f in exact arithmetic, and to a few units in the last digit otherwise. A network that cannot be traced
    (`torch.fx`: its course depends on its input's values) is copied as it is.
    """
    copied = copy.deepcopy(f)
    if not any(isinstance(module, _BatchNorm) for module in copied.modules()):
        return copied, 0
    try:
        graph = _Tracer().trace(copied)
    except Exception:  # whatever a network's own code raises at a symbol
        return copied, 0
    modules = dict(copied.named_modules())
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
        if isinstance(layer, _ConvNd):
            fused: nn.Module = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, _ConvTransposeNd))
        elif isinstance(layer, nn.Linear):
            fused = fuse_linear_bn_eval(layer, norm)
        else:
            continue
        parent, _, name = before.target.rpartition(".")
        setattr(modules[parent], name, fused)
        node.replace_all_uses_with(before)
        graph.erase_node(node)
        count += 1
    if not count:
        return copied, 0
    module = fx.GraphModule(copied, graph)
    module.delete_all_unused_submodules()
    return module.eval(), count


class _Tracer(fx.Tracer):
    """Looks into modules that hold layers with weights, and takes others, such as a normalisation, for one step."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        inner = (_BatchNorm, _ConvNd, nn.Linear)
        return super().is_leaf_module(m, module_qualified_name) or not any(isinstance(p, inner) for p in m.modules())
