"""Augmentation: the same seed the same change, and boxes that follow the picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.config_parts import AugmentationConfig
from lnmdetect.core.geometry import pairwise_iou
from lnmdetect.transforms.augment import Augmentation

SIDE = 96
BOX = np.array([[20.0, 30.0, 36.0, 42.0]])
COUNTED = np.zeros(1, dtype=bool)
ALL = AugmentationConfig(
    rotation_deg=20, scale=0.2, mirror=0.5, brightness=0.1, contrast=0.2, noise_sd=0.05
)


def square(channels: int = 5) -> NDArray[np.float32]:
    """A picture that is 1 inside BOX and 0 elsewhere."""
    picture = np.zeros((channels, SIDE, SIDE), dtype=np.float32)
    x1, y1, x2, y2 = BOX[0].astype(int)
    picture[:, y1:y2, x1:x2] = 1
    return picture


def bright_box(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(picture > 0.5)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=float)


def test_a_mirror_takes_the_box_along_exactly() -> None:
    moved = Augmentation(AugmentationConfig(mirror=1)).geometric(square(), BOX, COUNTED, seed=0)
    assert moved.boxes_xyxy == pytest.approx(np.array([[SIDE - 36, 30, SIDE - 20, 42]]), abs=1e-4)
    assert np.array_equal(moved.channels, square()[:, :, ::-1])


def test_a_vertical_flip_takes_the_box_along_exactly() -> None:
    config = AugmentationConfig(flip_vertical=1)
    moved = Augmentation(config).geometric(square(), BOX, COUNTED, seed=0)
    assert moved.boxes_xyxy == pytest.approx(np.array([[20, SIDE - 42, 36, SIDE - 30]]), abs=1e-4)
    assert np.array_equal(moved.channels, square()[:, ::-1])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("channels", [1, 3, 5, 9])
def test_boxes_follow_the_picture_when_it_turns_and_grows(seed: int, channels: int) -> None:
    config = AugmentationConfig(rotation_deg=12, scale=0.15, mirror=0.5, flip_vertical=0.5)
    moved = Augmentation(config).geometric(square(channels), BOX, COUNTED, seed=seed)
    assert moved.channels.shape == (channels, SIDE, SIDE)
    assert moved.channels.dtype == np.float32
    for channel in moved.channels:
        found = bright_box(channel)
        # The box is that of an ellipse: smaller than a turned square's, centred alike.
        centre = found[:, :2] + found[:, 2:] - moved.boxes_xyxy[:, :2] - moved.boxes_xyxy[:, 2:]
        assert np.abs(centre / 2).max() < 0.6
        assert pairwise_iou(found, moved.boxes_xyxy).min() > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_a_scaled_box_is_the_scaled_square(seed: int) -> None:
    moved = Augmentation(AugmentationConfig(scale=0.3)).geometric(square(), BOX, COUNTED, seed=seed)
    assert bright_box(moved.channels[0]) == pytest.approx(moved.boxes_xyxy, abs=1.0)


def test_a_quarter_turn_swaps_the_sides() -> None:
    rng = np.random.default_rng(0)
    augmentation = Augmentation(AugmentationConfig(rotation_deg=180))
    turned = [
        augmentation.geometric(square(), BOX, COUNTED, seed=int(rng.integers(1000)))
        for _ in range(20)
    ]
    for moved in turned:
        centre = (bright_box(moved.channels[0]) - moved.boxes_xyxy)[0]
        assert np.abs(centre[:2] + centre[2:]).max() / 2 < 0.6


@pytest.mark.parametrize("seed", range(4))
def test_the_box_of_a_round_node_keeps_its_size_when_it_turns(seed: int) -> None:
    round_box = np.array([[40.0, 36.0, 60.0, 56.0]])
    augmentation = Augmentation(AugmentationConfig(rotation_deg=45))
    moved = augmentation.geometric(square(), round_box, COUNTED, seed=seed).boxes_xyxy
    assert moved[:, 2:] - moved[:, :2] == pytest.approx(np.array([[20, 20]]), abs=0.2)


def test_the_same_seed_gives_the_same_change_whatever_came_before() -> None:
    first, second = Augmentation(ALL), Augmentation(ALL)
    second.geometric(square(), BOX, COUNTED, seed=99)
    second.photometric(square(), seed=98)
    a = first.geometric(square(), BOX, COUNTED, seed=7)
    b = second.geometric(square(), BOX, COUNTED, seed=7)
    assert np.array_equal(a.channels, b.channels)
    assert np.array_equal(a.boxes_xyxy, b.boxes_xyxy)
    assert np.array_equal(
        first.photometric(a.channels, seed=7), second.photometric(b.channels, seed=7)
    )


def test_other_seeds_give_other_changes() -> None:
    augmentation = Augmentation(ALL)
    moved = [augmentation.geometric(square(), BOX, COUNTED, seed=s).channels for s in range(6)]
    lit = [augmentation.photometric(square(), seed=s) for s in range(6)]
    for pictures in (moved, lit):
        assert len({picture.tobytes() for picture in pictures}) == 6


def test_pythons_and_numpys_own_generators_change_nothing_and_are_left_alone() -> None:
    augmentation = Augmentation(ALL)
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    a = augmentation.photometric(square(), seed=3)
    after = np.random.get_state()[1]  # type: ignore[index]  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.array_equal(before, after)
    assert np.array_equal(a, augmentation.photometric(square(), seed=3))


def test_brightness_contrast_and_noise_stay_in_the_window() -> None:
    picture = np.random.default_rng(0).random((5, 32, 32), dtype=np.float32)
    for seed in range(8):
        found = Augmentation(ALL).photometric(picture, seed=seed)
        assert found.shape == picture.shape
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() <= 1


def test_brightness_moves_by_at_most_its_share_of_the_window() -> None:
    grey = np.full((3, 16, 16), 0.5, dtype=np.float32)
    augmentation = Augmentation(AugmentationConfig(brightness=0.1))
    shifts = [float(augmentation.photometric(grey, seed=s).mean()) - 0.5 for s in range(40)]
    assert max(shifts) <= 0.1 + 1e-6
    assert min(shifts) >= -0.1 - 1e-6
    assert max(shifts) > 0.05
    assert min(shifts) < -0.05


def test_noise_is_drawn_apart_in_every_channel_up_to_its_deviation() -> None:
    grey = np.full((3, 64, 64), 0.5, dtype=np.float32)
    augmentation = Augmentation(AugmentationConfig(noise_sd=0.05))
    noisy = [augmentation.photometric(grey, seed=s) - grey for s in range(30)]
    deviations = [float(noise.std()) for noise in noisy]
    assert max(deviations) <= 0.052
    assert max(deviations) > 0.035
    assert 5 <= sum(d == 0 for d in deviations) <= 25  # half of the images stay clean
    loudest = noisy[int(np.argmax(deviations))]
    assert abs(np.corrcoef(loudest[0].ravel(), loudest[1].ravel())[0, 1]) < 0.1


def test_a_config_of_zeros_changes_nothing() -> None:
    still = Augmentation(AugmentationConfig())
    moved = still.geometric(square(), BOX, COUNTED, seed=5)
    assert np.array_equal(moved.channels, square())
    assert moved.boxes_xyxy == pytest.approx(BOX, abs=1e-4)
    assert np.array_equal(still.photometric(square(), seed=5), square())


def test_boxes_that_leave_the_picture_are_dropped_with_their_flags() -> None:
    boxes = np.array([[0.0, 0, 3, 3], [40, 40, 50, 50], [93, 93, 96, 96]])
    flags = np.array([False, True, False])
    augmentation = Augmentation(AugmentationConfig(), shift=0.25)
    empty = np.zeros((1, SIDE, SIDE), np.float32)
    moved = [augmentation.geometric(empty, boxes, flags, seed=seed) for seed in range(20)]
    for image in moved:
        assert len(image.boxes_xyxy) == len(image.ignored)
        sizes = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
        assert image.ignored[sizes.min(axis=1) > 9].all()  # the one in the middle keeps its flag
    assert min(len(image.ignored) for image in moved) < 3


def test_a_box_whose_centre_leaves_the_picture_is_ignored() -> None:
    augmentation = Augmentation(AugmentationConfig(), shift=0.3)
    seen = set()
    for seed in range(40):
        # 24 px wide: moves of up to 28.8 px take the centre, 12 px from the border, out.
        box = np.array([[0.0, 36, 24, 60]])
        moved = augmentation.geometric(square(), box, COUNTED, seed=seed)
        if len(moved.ignored):
            kept = float(moved.boxes_xyxy[0, 2] - moved.boxes_xyxy[0, 0])
            if abs(kept - 12) > 1:
                assert bool(moved.ignored[0]) is (kept < 12)
                seen.add(bool(moved.ignored[0]))
    assert seen == {True, False}


def test_a_sliver_of_a_box_is_dropped_and_the_others_keep_their_flags() -> None:
    boxes = np.array([[0.0, 0, 3.4, 3.4], [3, 3, 6, 6]])
    still = Augmentation(AugmentationConfig(), size_px=3)  # keeps 3 .. 6 px of 9
    moved = still.geometric(np.zeros((1, 9, 9), np.float32), boxes, np.array([False, True]), seed=0)
    assert moved.boxes_xyxy == pytest.approx(np.array([[0, 0, 3, 3]]), abs=1e-4)
    assert moved.ignored.tolist() == [True]


def test_no_boxes_are_fine() -> None:
    none = np.zeros((0, 4))
    moved = Augmentation(ALL).geometric(square(), none, np.zeros(0, dtype=bool), seed=1)
    assert moved.boxes_xyxy.shape == (0, 4)
    assert moved.ignored.shape == (0,)


def test_the_centre_is_cut_after_the_change() -> None:
    picture = np.zeros((2, 9, 9), dtype=np.float32)
    picture[:, 4, 4] = 1
    still = Augmentation(AugmentationConfig(), size_px=3)
    cut = still.geometric(picture, np.zeros((0, 4)), np.zeros(0, dtype=bool), seed=0).channels
    assert cut.shape == (2, 3, 3)
    assert cut[:, 1, 1].tolist() == [1, 1]
    assert cut.sum() == 2
