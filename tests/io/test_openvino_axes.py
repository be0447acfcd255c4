"""Channels that a graph moves last are moved by torch; what comes out is the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.precision import Precision
from lnmdetect.io.openvino_axes import with_channels_last, without_last_moves
from lnmdetect.io.openvino_engine import OpenVinoNetwork, converted, import_openvino
from tests.engines import needs_openvino

IMAGES = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6).float() / 4


class Doubled(nn.Module):
    """Twice the images: as they are, channels last, and rows last."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        doubled = images * 2
        return doubled, doubled.permute(0, 2, 3, 1), doubled.permute(0, 1, 3, 2)


def graph() -> Any:
    return converted(Doubled(), IMAGES, shape=(-1, 3, -1, -1), where="a test")


def transposes(model: Any) -> int:
    return sum(node.get_type_name() == "Transpose" for node in model.get_ops())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_come_last(dtype: torch.dtype) -> None:
    moved = with_channels_last(IMAGES.to(dtype))
    assert moved.dtype == dtype
    assert moved.is_contiguous()
    assert moved[1, 3, 5].tolist() == [23.75, 29.75, 35.75]
    assert torch.equal(moved, IMAGES.to(dtype).permute(0, 2, 3, 1))


@needs_openvino
@pytest.mark.parametrize(
    ("precision", "of_moved"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_network_answers_as_its_graph_says(precision: Precision, of_moved: torch.dtype) -> None:
    plain, last, rows = OpenVinoNetwork(graph(), precision)(IMAGES)
    assert (plain.dtype, last.dtype, rows.dtype) == (torch.float32, of_moved, torch.float32)
    assert torch.equal(plain, IMAGES * 2)
    assert torch.equal(last.float(), (IMAGES * 2).permute(0, 2, 3, 1))
    assert torch.equal(rows, (IMAGES * 2).permute(0, 1, 3, 2))


@needs_openvino
def test_only_moves_of_channels_to_the_end_are_taken_out_and_only_of_a_copy() -> None:
    given = graph()
    model, moved = without_last_moves(import_openvino("a test"), given, narrow=False)
    assert moved == {1}
    assert (transposes(given), transposes(model)) == (2, 1)


@needs_openvino
def test_whole_numbers_stay_whole() -> None:
    class Counted(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images * 1000).to(torch.int64).permute(0, 2, 3, 1)

    model = converted(Counted(), IMAGES, shape=(-1, 3, -1, -1), where="a test")
    (counts,) = OpenVinoNetwork(model, "bf16")(IMAGES)
    assert counts.dtype == torch.int64
    assert counts[0, 0, 1].tolist() == [250, 6250, 12250]
