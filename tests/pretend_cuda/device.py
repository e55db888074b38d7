"""CUDA without a GPU: tensors that say that they are on cuda:0 or cuda:1, and compute on the CPU.

`pretend()` patches torch for the whole process, so it needs a process of its own. From then on, every operation on
such tensors is checked as CUDA would: tensors on different devices raise, and `checker` finds races and counts syncs.

Not pretended: the numbers of CUDA's kernels and generators, `torch.compile` and graphs, copies to the host that do not
wait (`non_blocking`; the host may then read too early, and nobody notices), and whether memory suffices.
"""

from contextlib import nullcontext
from functools import cache

import torch
from checker import DEVICES, Event, Stream, current_stream, host, number_of, on_stream, synchronize
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}  # launch no kernel
INDEXING = {"index", "index_put_", "_index_put_impl_", "_unsafe_index", "index_put"}  # indices may be on the CPU
COPIES = {"copy_", "_to_copy"}
CPU = torch.device("cpu")


class OnDevice(Tensor):
    """A tensor on a pretended device: it holds one on the CPU, and shares `memory` with its views."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held, device, memory):
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=device,
        )
        made.held, made.memory = held, memory
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return computed(function, args, kwargs or {})

    def data_ptr(self):
        return self.held.data_ptr()

    def as_subclass(self, kind):
        return self  # a plain tensor would lose what it holds

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, **options):
        raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *options):
        return self.numpy()

    def requires_grad_(self, wanted=True):
        """Gradients are those of the tensors that are held: autograd has no threads for devices that do not exist."""
        super().requires_grad_(False)
        self.held.requires_grad_(wanted)
        return self

    def record_stream(self, stream):
        self.memory.recorded.add(stream)

    def __deepcopy__(self, memo):
        with torch.no_grad():
            made = self.clone()
        if isinstance(self, torch.nn.Parameter):
            made._is_param = True
        return memo.setdefault(id(self), made)

    def __repr__(self):
        return f"OnDevice({self.held!r}, {self.device})"


class Everywhere(TorchDispatchMode):
    """Sees the operations that make tensors, too."""

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # otherwise the first operation imports the compiler, which takes a second

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return computed(function, args, kwargs or {})


def computed(function, args, kwargs):
    """Compute an operation on the CPU, after a check of its devices, and note it."""
    tensors = tensors_in((*args, *kwargs.values()))
    on_device = [each for each in tensors if isinstance(each, OnDevice)]
    asked = kwargs.get("device")
    if asked is not None:
        asked = torch.device("cuda", number_of(asked)) if torch.device(asked).type == "cuda" else CPU
    if not on_device and asked in (None, CPU):
        return function(*args, **kwargs)

    name, writes, waits = facts(function)
    require_one_device(name, args, tensors)
    held_kwargs = {key: mapped(held, value) for key, value in kwargs.items()}
    if asked is not None:
        held_kwargs["device"] = CPU
    with_gradient = torch.is_grad_enabled() and any(held(each).requires_grad for each in tensors)
    with autograd() if with_gradient else nullcontext():
        result = CUDA_ALONE.get(name, function)(*mapped(held, args), **held_kwargs)

    target = asked or (tensors[0].device if name == "copy_" else on_device[0].device)
    stream, *others = (current_stream(device) for device in devices_of(on_device, target))
    answer, made = placed(result, tensors, on_device, target)
    written, read = used(writes, args, kwargs)
    if name not in ALLOCATIONS and (made or written or target == CPU or not tensors_in([result])):
        for other in others:  # a copy between devices waits for both
            stream.wait_stream(other)
        stream.launch(name, read, written, made)
        for other in others:
            other.wait_stream(stream)
    if why := sync_of(name, waits, args, kwargs, tensors, target):
        host.sync(stream, why=why)
    return answer


def devices_of(on_device, target):
    """The pretended devices that an operation uses, each once."""
    return dict.fromkeys(device for device in (*(each.device for each in on_device), target) if device != CPU)


def placed(result, tensors, on_device, target):
    """The result on its device, and the memory that was made for it."""
    if target == CPU:
        return result, []
    same = {id(held(each)): each for each in tensors}  # an operation in place returns its argument
    memories = {each.held.untyped_storage()._cdata: each.memory for each in on_device}
    made = []

    def place(found):
        if id(found) in same or not isinstance(found, Tensor):
            return same.get(id(found), found)
        storage = found.untyped_storage()._cdata
        if storage not in memories:
            memories[storage] = current_stream(target).allocate()
            made.append(memories[storage])
        return OnDevice(found, target, memories[storage])

    return mapped(place, result), made


@cache
def facts(function):
    """An operation's name, which arguments it writes (by position and by name), and whether the host waits for it."""
    name = function._schema.name.partition("::")[2]
    if torch.Tag.inplace_view in function.tags:
        raise NotImplementedError(f"{name}: the pretended tensor would keep its old shape")
    specs = function._schema.arguments
    writes = [spec.alias_info is not None and spec.alias_info.is_write for spec in specs]
    writes = dict(enumerate(writes)) | {spec.name: found for spec, found in zip(specs, writes, strict=True)}
    return name, writes, {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(function.tags)


def require_one_device(name, args, tensors):
    """Raise as CUDA does if tensors are on several devices. A single number, or indices, may be on the CPU."""
    if name in COPIES:
        return
    free = [id(each) for each in tensors_in(args[1])] if name in INDEXING else []
    devices = {t.device for t in tensors if isinstance(t, OnDevice) or (t.dim() and id(t) not in free)}
    if len(devices) > 1:
        raise RuntimeError(f"Expected all tensors to be on the same device, {name} got {sorted(map(str, devices))}")


def used(writes, args, kwargs):
    """The memory that an operation writes, and that it reads."""
    written, read = [], []
    for place, value in (*enumerate(args), *kwargs.items()):
        into = written if writes[place] else read
        into += [each.memory for each in tensors_in([value]) if isinstance(each, OnDevice)]
    return written, read


def held(each):
    return each.held if isinstance(each, OnDevice) else each


def tensors_in(values):
    found = []
    for each in values:
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, list | tuple):
            found += tensors_in(each)
    return found


def mapped(change, value):
    """The value with each part of a list or tuple changed."""
    if isinstance(value, list | tuple):
        return type(value)([mapped(change, each) for each in value])
    return change(value)


def sync_of(name, waits, args, kwargs, tensors, target):
    """Why the host waits for an operation; empty if it does not."""
    if name in COPIES:
        kinds = {each.device.type for each in tensors} | {target.type}
        return "copy between host and device" if len(kinds) == 2 and not kwargs.get("non_blocking") else ""
    if name in INDEXING:
        indices = tensors_in(args[1])
        if any(each.device == CPU and each.dim() for each in indices):
            return "indices on the CPU"
        return "mask" if any(each.dtype in (torch.bool, torch.uint8) for each in indices) else ""
    return name.strip("_") if waits else ""


def normalised(x, weight, bias, mean, variance, training, momentum, epsilon):
    """Batch normalisation by cuDNN, which a CPU lacks."""
    y, *saved = torch.native_batch_norm(x, weight, bias, mean, variance, training, momentum, epsilon)
    return y, *saved, torch.empty(0, dtype=torch.uint8)


CUDA_ALONE = {"cudnn_batch_norm": normalised}


def autograd():
    """Context manager: the operations on the tensors that are held are noted for their gradients."""
    kept = torch._C._dispatch_tls_local_exclude_set()
    for key in (torch._C.DispatchKey.AutogradCPU, torch._C.DispatchKey.ADInplaceOrView):
        kept = kept.remove(key)
    return torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), kept)


def gradient(of, at, compute=torch.autograd.grad):
    """Stands in for torch.autograd.grad, with one kernel for the whole backward pass."""
    if not isinstance(of, OnDevice):
        return compute(of, at)
    (found,) = compute(of.held, at.held)
    stream = current_stream(at.device)
    memory = stream.allocate()
    stream.launch("backward", [of.memory, at.memory], [], [memory])
    return (OnDevice(found, at.device, memory),)


class Generator(torch.Generator):
    """Stands in for torch.Generator: one of the CPU for every device."""

    def __new__(cls, device=None):
        return super().__new__(cls)


def pretend():
    """Patch torch: this process has two CUDA devices."""
    torch._C._ensureCUDADeviceGuardSet()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") makes one on the CPU and moves it
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # .to() replaces a network's parameters
    torch.Generator, torch.autograd.grad = Generator, gradient
    for name, stand_in in {
        "Stream": Stream,
        "Event": Event,
        "stream": on_stream,
        "current_stream": current_stream,
        "synchronize": synchronize,
        "is_available": lambda: True,
        "is_bf16_supported": lambda *options, **others: True,
        "device_count": lambda: DEVICES,
        "current_device": lambda: host.device,
        "empty_cache": lambda: None,
        "get_rng_state": lambda device: torch.get_rng_state(),
        "_lazy_init": lambda: None,
    }.items():
        setattr(torch.cuda, name, stand_in)
    Everywhere().__enter__()
