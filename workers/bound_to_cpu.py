"""What a network in a file makes on the CPU wherever its weights are: it cannot leave the CPU.

Tracing and exporting write the device down that they saw: of `torch.linspace(0, 1, n,
device=z.device)` a traced file keeps `cpu`. Nothing moves it afterwards, and on a GPU the first
operation with a latent raises.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def made_on_the_cpu(module: "nn.Module") -> tuple[str, ...]:
    """The operations that make tensors on the CPU, each once, as torch names them.

    Empty for a module that is no file's: of TorchScript and of torch.export alone the operations
    are known before they run. A tensor without dimensions is left out; it may be anywhere.
    """
    import torch

    if isinstance(module, torch.jit.ScriptModule):
        return tuple(dict.fromkeys(_of_script(module.inlined_graph)))
    if isinstance(module, torch.fx.GraphModule):
        return tuple(dict.fromkeys(_of_export(module)))
    return ()


def _of_script(graph: Any) -> Iterator[str]:
    for node in graph.nodes():
        for block in node.blocks():
            yield from _of_script(block)
        if node.kind() == "prim::Constant":
            if node.hasAttribute("value") and node.kindOf("value") == "t" and node.t("value").ndim:
                yield "a constant"
            continue
        inputs = list(node.inputs())
        places = [
            value
            for value, argument in zip(inputs, _arguments(node), strict=False)
            if argument == "device"
        ]
        makes = not any(str(value.type()) == "Tensor" for value in inputs)
        if places and _is_cpu(places[0], makes=makes) and not _is_scalar(node, inputs[0]):
            yield node.kind().removeprefix("aten::")


def _arguments(node: Any) -> list[str]:
    """The names of what an operation takes; none where torch does not tell."""
    import torch

    if node.schema() == "(no schema)":
        return []
    return [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]


def _is_cpu(place: Any, *, makes: bool) -> bool:
    """Whether a constant device is the CPU; none is, for an operation that ``makes`` a tensor."""
    node = place.node()
    if node.kind() != "prim::Constant":
        return False
    device = place.toIValue()
    if device is None:
        return makes and str(place.type()) == "NoneType"
    return str(device) == "cpu"


def _is_scalar(node: Any, value: Any) -> bool:
    """Whether an operation's first input is one number, so that its result has no dimensions."""
    if node.kind() in ("aten::tensor", "aten::scalar_tensor"):
        return str(value.type()) in ("float", "int", "bool")
    made = value.node()
    is_tensor = made.kind() == "prim::Constant" and made.hasAttribute("value")
    return is_tensor and made.kindOf("value") == "t" and not made.t("value").ndim


def _of_export(module: Any) -> Iterator[str]:
    import torch

    moved = dict(module.named_parameters()) | dict(module.named_buffers())
    for node in module.graph.nodes:
        if node.op == "get_attr":
            value: Any = module
            for name in node.target.split("."):
                value = getattr(value, name, None)
            if isinstance(value, torch.fx.GraphModule):
                # Of a block: `torch.no_grad`, autocast, a branch.
                yield from _of_export(value)
            elif isinstance(value, torch.Tensor) and value.ndim and node.target not in moved:
                yield "a constant"
        elif node.op == "call_function" and str(node.kwargs.get("device")) == "cpu":
            if "_assert" in str(node.target):
                continue
            made = node.meta.get("val")
            if made is None or made.ndim:
                yield str(node.target).removeprefix("aten.").partition(".")[0]
