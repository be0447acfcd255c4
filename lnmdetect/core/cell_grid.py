"""Where the cells of a network's map lie in the picture it was made from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CellGrid:
    """The centres of a map's cells, each (x, y) in px of the picture.

    (0, 0) is the corner of the first pixel, whose centre is (0.5, 0.5).

    Attributes:
        start_px: centre of the first cell.
        step_px: from one cell to the next.
    """

    start_px: tuple[float, float] = (0.5, 0.5)
    step_px: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not all(step > 0 for step in self.step_px):
            raise ValueError(f"grid of cells: expected steps above 0, got {self.step_px}")
