"""Moves of channels to the last axis that end a graph, done by torch in place of OpenVINO.

Convolutions leave them there in memory. Graphs for images of any size move them away, and back
again; torch moves the whole map once, in half the bytes where it is in bfloat16.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

CHANNELS_LAST = (0, 2, 3, 1)
"""Places of a map's axes (N, C, H, W) in (N, H, W, C)."""


def without_last_moves(
    openvino: ModuleType, model: Any, *, narrow: bool
) -> tuple[Any, frozenset[int]]:
    """Return a copy of a model without its last moves, and the numbers of the outputs they made.

    Args:
        openvino: the module.
        model: an `openvino.Model`.
        narrow: let those of these outputs that are float32 be bfloat16.
    """
    model, moved = model.clone(), set()
    for number, result in enumerate(model.get_results()):
        move = result.input_value(0).get_node()
        if not _is_move(move):
            continue
        unmoved = move.input_value(0)
        if narrow and unmoved.get_element_type() == openvino.Type.f32:
            unmoved = openvino.opset14.convert(unmoved, "bf16").output(0)
        result.input(0).replace_source_output(unmoved)
        moved.add(number)
    model.validate_nodes_and_infer_types()
    return model, frozenset(moved)


def with_channels_last(maps: Tensor) -> Tensor:
    """Return (N, H, W, C) of maps (N, C, H, W), in memory of its own.

    Args:
        maps: of any type of number.
    """
    images, channels, height, width = maps.shape
    moved = maps.new_empty(images, height * width, channels)
    for rows, planes in zip(moved, maps.flatten(2), strict=True):
        rows.copy_(planes.t())  # of two axes torch has a faster way than of four
    return moved.view(images, height, width, channels)


def as_tensor(output: Any) -> Tensor:
    """Return what an output of OpenVINO holds, in its own memory.

    Args:
        output: an `openvino.Tensor`.
    """
    if output.element_type.get_type_name() == "bf16":  # for which numpy has no name
        return torch.from_numpy(output.data.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(output.data)


def _is_move(node: Any) -> bool:
    """Return whether a node moves channels to the last axis, and does so in every call."""
    if node.get_type_name() != "Transpose":
        return False
    order = node.input_value(1).get_node()
    return order.get_type_name() == "Constant" and tuple(order.data.tolist()) == CHANNELS_LAST
