"""HU to [0, 1]."""

import numpy as np

from lnmdetect.transforms.windows import window, window_stack


def test_a_window_maps_its_ends_to_0_and_1_and_clips() -> None:
    hu = np.array([[-1024, -160, 40, 240, 3071]], dtype=np.int16)
    found = window(hu, (-160, 240))
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0, 0.5, 1, 1]]


def test_slices_vary_slowest_and_windows_fastest() -> None:
    stack = np.array([[[0]], [[100]]], dtype=np.int16)
    channels = window_stack(stack, [(0, 200), (-100, 100), (0, 400)])
    assert channels.shape == (6, 1, 1)
    assert channels.ravel().tolist() == [0, 0.5, 0, 0.5, 1, 0.25]
