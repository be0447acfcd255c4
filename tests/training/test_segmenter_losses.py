"""The losses of the segmentation arm, by hand."""

import math

import pytest
import torch

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.segmenter_config import SegmenterConfig
from lnmdetect.training.segmenter_losses import conditional_losses, joint_losses, losses_of

LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 0]).reshape(1, 2, 2, 2)


def logits_of(shares: list[list[float]]) -> torch.Tensor:
    """Logits whose softmax gives `shares`, one list a voxel."""
    return torch.tensor(shares).log().T.reshape(1, -1, 2, 2, 2)


SURE = (
    [[0.98, 0.01, 0.01]] * 3 + [[0.01, 0.98, 0.01]] * 3 + [[0.01, 0.01, 0.98], [0.98, 0.01, 0.01]]
)


def test_a_right_answer_loses_almost_nothing_and_a_wrong_one_much() -> None:
    for losses in (joint_losses, conditional_losses):
        right = losses(logits_of(SURE), LABELS)
        wrong = losses(logits_of(SURE[::-1]), LABELS)
        assert all(float(term) < 0.05 for term in right.values()), losses
        assert all(float(term) > 0.3 for term in wrong.values()), losses


def test_joint_dice_is_the_mean_over_the_classes() -> None:
    # Class 1 is answered as 2 in one of its three voxels.
    shares = [list(voxel) for voxel in SURE]
    shares[3] = [0.01, 0.01, 0.98]
    p = torch.tensor(shares)
    truth = torch.nn.functional.one_hot(LABELS.reshape(-1), 3)
    dice = 2 * (p * truth).sum(0) / (p.sum(0) + truth.sum(0))
    expected = 1 - float(dice[1:].mean())
    assert float(joint_losses(logits_of(shares), LABELS)["dice_loss"]) == pytest.approx(
        expected, abs=1e-4
    )


def test_conditional_terms_part_node_from_class() -> None:
    # Every node voxel is sure to be a node, and its class is a coin's throw.
    shares = [
        [0.98, 0.01, 0.01] if label == 0 else [0.02, 0.49, 0.49] for label in LABELS.reshape(-1)
    ]
    terms = conditional_losses(logits_of(shares), LABELS)
    assert float(terms["class_cross_entropy"]) == pytest.approx(math.log(2), abs=1e-5)
    assert float(terms["cross_entropy"]) == pytest.approx(-math.log(0.98), abs=1e-5)


def test_a_rare_class_weighs_as_much_as_a_common_one() -> None:
    # The one voxel of class 2 is wrong (1/e), the three of class 1 are right.
    shares = [[0.98, 0.01, 0.01]] * 3 + [[0.02, 0.97, 0.01]] * 3
    shares += [[0.02, 0.98 * (1 - math.exp(-1)), 0.98 * math.exp(-1)], [0.98, 0.01, 0.01]]
    term = conditional_losses(logits_of(shares), LABELS)["class_cross_entropy"]
    assert float(term) == pytest.approx((1 - math.log(0.97 / 0.98)) / 2, abs=1e-4)


def test_without_any_node_the_class_loses_nothing_and_the_gradient_is_sound() -> None:
    logits = torch.zeros(1, 3, 2, 2, 2, requires_grad=True)
    terms = conditional_losses(logits, torch.zeros(1, 2, 2, 2, dtype=torch.long))
    assert terms["class_cross_entropy"].item() == 0
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_one_class_has_no_class_to_tell() -> None:
    model = SegmenterConfig(classes=("node",), loss="conditional")
    assert losses_of(model) is joint_losses


def test_the_classes_term_weighs_what_the_recipe_says() -> None:
    model = SegmenterConfig(loss="conditional", class_weight=0.1)
    whole, tenth = (
        losses(logits_of(SURE[::-1]), LABELS) for losses in (conditional_losses, losses_of(model))
    )
    assert whole["class_cross_entropy"] > 0.1
    assert tenth == {**whole, "class_cross_entropy": whole["class_cross_entropy"] * 0.1}
