"""Heat from a network's cells to the crop, and from the crop to the slice it was cut from."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.transforms.crops import crop_matrix
from lnmdetect.transforms.grid import ModelGrid

Heat = NDArray[np.float32]


def spread_cells(cells: Heat, grid: CellGrid, *, size_px: tuple[int, int]) -> Heat:
    """Return (H, W) values between the centres of (h, w) cells, linear; beyond the last the last.

    Args:
        cells: (h, w).
        grid: where their centres lie in the picture.
        size_px: (H, W) of the picture.
    """
    (start_x, start_y), (step_x, step_y) = grid.start_px, grid.step_px
    # The centre of column i is i + 1/2; the cell whose centre lies at start is number 0.
    matrix = np.array(
        [[1 / step_x, 0, (0.5 - start_x) / step_x], [0, 1 / step_y, (0.5 - start_y) / step_y]]
    )
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(cells, dtype=np.float32),
            matrix,
            (size_px[1], size_px[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def crop_map(
    values: NDArray[np.bool_] | Heat,
    box_xyxy: ArrayLike,
    *,
    spacing_mm: tuple[float, float],
    margin: float,
    size_px: int,
) -> Heat:
    """Return (size_px, size_px) values of a slice (H, W) as `crop_box` cuts it, 0 beyond it.

    Of a mask: the share of each pixel that lies inside, in [0, 1].
    """
    matrix = crop_matrix(box_xyxy, spacing_mm=spacing_mm, margin=margin, size_px=size_px)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(values.astype(np.float32), matrix, (size_px, size_px), flags=flags)
    )


def box_map(
    inner_xyxy: ArrayLike,
    box_xyxy: ArrayLike,
    *,
    spacing_mm: tuple[float, float],
    margin: float,
    size_px: int,
) -> Heat:
    """Return (size_px, size_px) 1 where a pixel of the crop has its centre in a box, else 0.

    Args:
        inner_xyxy: the box that is marked, px of the slice.
        box_xyxy: the one around which the crop was cut.
        spacing_mm: (row, column).
        margin: with which the crop was cut.
        size_px: side of the crop.
    """
    matrix = crop_matrix(box_xyxy, spacing_mm=spacing_mm, margin=margin, size_px=size_px)
    x1, y1, x2, y2 = np.asarray(inner_xyxy, dtype=np.float64)
    places = np.arange(size_px)
    x, y = (matrix[axis, axis] * places + matrix[axis, 2] + 0.5 for axis in (0, 1))
    across, down = (x >= x1) & (x < x2), (y >= y1) & (y < y2)
    return np.asarray(down[:, None] & across, dtype=np.float32)


def heat_on_slice(
    heat: Heat,
    box_xyxy: ArrayLike,
    *,
    spacing_mm: tuple[float, float],
    margin: float,
    shape: tuple[int, int],
) -> Heat:
    """Return (H, W) the heat of a crop (P, P) where it lies on the slice, 0 around it.

    Args:
        heat: of the crop around the box.
        box_xyxy: px of the slice.
        spacing_mm: (row, column).
        margin: with which the crop was cut.
        shape: (H, W) of the slice.
    """
    matrix = crop_matrix(box_xyxy, spacing_mm=spacing_mm, margin=margin, size_px=len(heat))
    size = (shape[1], shape[0])
    return np.asarray(cv2.warpAffine(heat.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR))


def heat_from_grid(heat: Heat, grid: ModelGrid, *, shape: tuple[int, int]) -> Heat:
    """Return (H, W) the heat of a model's slice (h, w) where it lies on the original, 0 around it.

    Args:
        heat: (h, w) of the model's slice, before padding.
        grid: where that lies.
        shape: (H, W) of the original slice.
    """
    (scale_x, scale_y), (x1, y1, _, _) = grid.scale, grid.crop
    # Pixel centres: column i of the original lies at (i + 1/2 - x1) * scale of the model's slice.
    matrix = np.array(
        [[scale_x, 0, (0.5 - x1) * scale_x - 0.5], [0, scale_y, (0.5 - y1) * scale_y - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(heat, matrix, (shape[1], shape[0]), flags=flags))
