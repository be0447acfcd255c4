"""A scan cut into windows and put together again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.records import ImageRecord
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.scan_windows import ScanWindows
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.transforms.slab_merge import SlabMerge

Fields = Callable[..., dict[str, Any]]
SIDE = 40


@pytest.fixture
def make_windows(recipe_fields: Fields) -> Callable[..., tuple[ScanWindows, list[int]]]:
    """A function that gives the windows of a volume and the list of the slices read."""

    def make(
        volume: NDArray[np.int16], *, step_mm: float = 3.0, plan_step_mm: float = 3.0
    ) -> tuple[ScanWindows, list[int]]:
        fields = recipe_fields(
            "segmenter",
            input={"body_mask": False},
            planning={"spacing_mm": [plan_step_mm, 1.0, 1.0]},
        )
        bare = SegmenterRecipe(**fields)
        plan = plan_segmentation([ScanShape((9, SIDE, SIDE), (3.0, 1.0, 1.0))], bare)
        recipe = bare.model_copy(update={"plan": plan})
        read: list[int] = []

        def read_slice(index: int) -> NDArray[np.int16]:
            read.append(index)
            return np.asarray(volume[index])

        images = [
            ImageRecord(z + 1, f"{z}.dcm", SIDE, SIDE, "p", "s", str(z), z, step_mm * z, (1.0, 1.0))
            for z in range(len(volume))
        ]
        return ScanWindows(images, read_slice, recipe), read

    return make


def merged(windows: ScanWindows) -> list[NDArray[np.float32] | None]:
    """The channel of every window, merged as if it were an answer."""
    merge = SlabMerge(1, np.ones(windows.plan.patch, dtype=np.float32), windows.shape)
    planes: list[NDArray[np.float32] | None] = []
    for start, item in windows.windows():
        if item is not None:
            planes += list(merge.advance(start[0]))
            merge.add(start, item.channels)
    return [*planes, *merge.advance(windows.shape[0])]


def smooth(depth: int) -> NDArray[np.int16]:
    z, y, x = np.mgrid[:depth, :SIDE, :SIDE]
    return np.asarray(4 * x + 3 * y + 10 * z - 140, dtype=np.int16)


def test_windows_cover_the_scan_and_go_back_to_its_slices(
    make_windows: Callable[..., tuple[ScanWindows, list[int]]],
) -> None:
    volume = smooth(9)
    windows, _ = make_windows(volume)
    back = dict(windows.on_slices(iter(merged(windows))))
    assert list(back) == list(range(9))
    for index, maps in back.items():
        assert maps is not None
        assert maps[0] == pytest.approx((volume[index] + 160) / 400, abs=0.005)


@pytest.mark.parametrize("plan_step_mm", [2.0, 4.0])
def test_another_step_than_the_plans_is_interpolated_there_and_back(
    make_windows: Callable[..., tuple[ScanWindows, list[int]]], plan_step_mm: float
) -> None:
    volume = smooth(9)
    windows, _ = make_windows(volume, plan_step_mm=plan_step_mm)
    assert len(windows.planes_mm) == int(np.ceil(24 / plan_step_mm)) + 1
    for index, maps in windows.on_slices(iter(merged(windows))):
        assert maps is not None
        assert maps[0] == pytest.approx((volume[index] + 160) / 400, abs=0.01)


def test_each_slice_is_read_in_order_and_a_bounded_number_of_times(
    make_windows: Callable[..., tuple[ScanWindows, list[int]]],
) -> None:
    windows, read = make_windows(smooth(40))
    merged(windows)
    assert read == list(range(40))


@pytest.mark.parametrize("plan_step_mm", [2.0, 7.5])
def test_a_first_stages_map_stays_with_its_slice_also_where_slices_are_skipped(
    make_windows: Callable[..., tuple[ScanWindows, list[int]]], plan_step_mm: float
) -> None:
    volume = smooth(21)
    windows, _ = make_windows(volume, plan_step_mm=plan_step_mm)
    maps = [((hu + 160) / 400).astype(np.float32) for hu in volume]  # as the first channel's
    second = ScanWindows(
        windows.images, lambda index: np.asarray(volume[index]), windows.recipe, coarse=iter(maps)
    )
    seen = 0
    for _, item in second.windows():
        if item is not None:
            hu, coarse = item.channels
            inside = hu > 0  # air beyond the scan
            assert np.abs(coarse - hu)[inside].max() < 0.005
            seen += int(inside.sum())
    assert seen > 20_000


def test_windows_of_air_are_not_looked_at(
    make_windows: Callable[..., tuple[ScanWindows, list[int]]],
) -> None:
    volume = np.full((12, SIDE, SIDE), -1000, dtype=np.int16)
    volume[10:, 30:, 30:] = 100
    windows, _ = make_windows(volume)
    looked_at = [start for start, item in windows.windows() if item is not None]
    assert {start[0] for start in looked_at} == {8}
    assert len(looked_at) < sum(1 for _ in windows.windows()) / 3
    planes = merged(windows)
    assert planes[:8] == [None] * 8
    on_slices = dict(windows.on_slices(iter(planes)))
    assert on_slices[0] is None
    assert on_slices[11] is not None
    assert on_slices[11][0, 35, 35] == pytest.approx(0.65)
