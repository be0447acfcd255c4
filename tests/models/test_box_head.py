"""The box head as convolutions, against torchvision's layers."""

import torch
from torchvision.models.detection.faster_rcnn import TwoMLPHead

from lnmdetect.models.box_head import ConvolutionHead


def head() -> TwoMLPHead:
    torch.manual_seed(0)
    return TwoMLPHead(6 * 49, 16)


def test_cells_in_either_layout_get_torchvisions_answer() -> None:
    theirs = head()
    ours = ConvolutionHead(theirs, 7)
    cells = torch.randn(9, 6, 7, 7)
    last = cells.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = theirs(cells)
        torch.testing.assert_close(ours(cells), expected)
        torch.testing.assert_close(ours(last), expected)
    assert (expected > 0).any()


def test_cells_with_channels_last_are_not_copied() -> None:
    cells = torch.randn(9, 6, 7, 7).contiguous(memory_format=torch.channels_last)
    seen: list[torch.Tensor] = []
    ours = ConvolutionHead(head(), 7)
    ours.fc6.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    ours(cells)
    (image,) = seen
    assert image.data_ptr() == cells.data_ptr()
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_its_weights_take_no_part_in_training() -> None:
    ours = ConvolutionHead(head(), 7)
    assert not any(weight.requires_grad for weight in ours.parameters())
    assert not ours(torch.rand(2, 6, 7, 7)).requires_grad


def test_no_proposals_give_an_empty_answer() -> None:
    assert ConvolutionHead(head(), 7)(torch.zeros(0, 6, 7, 7)).shape == (0, 16)
