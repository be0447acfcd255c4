"""What is said of a mask whose run lengths make none; see `core.run_lengths`."""

from lnmdetect.core.errors import InputError


def unreadable_mask(where: str, error: ValueError) -> InputError:
    """Return the error of a mask that can be left out, for its box remains."""
    return InputError(
        where,
        expected="an RLE of the slice's size, as a COCO text or a list of run lengths",
        got=str(error),
        remedy="Write it anew, or leave segmentation out.",
    )


def unfit_mask(where: str, shape: tuple[int, int], error: ValueError) -> InputError:
    """Return the error of a mask that is needed, on a slice of `shape` (H, W)."""
    height, width = shape
    return InputError(
        where,
        expected=f"a mask of {height} x {width} px as COCO RLE",
        got=str(error),
        remedy="Write the masks again.",
    )
