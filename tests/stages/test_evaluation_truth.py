import numpy as np

from lnmdetect.stages.evaluation_truth import shorter_sides_mm


def test_the_shorter_side_in_mm_takes_width_by_column_and_height_by_row_spacing() -> None:
    boxes_xyxy = np.array([[0.0, 0.0, 10.0, 6.0], [5.0, 5.0, 15.0, 11.0]])
    row_and_column_mm = np.array([[1.0, 0.5], [0.5, 1.0]])
    # 10 x 0.5 mm across and 6 x 1 mm down; then 10 x 1 mm across and 6 x 0.5 mm down.
    assert shorter_sides_mm(boxes_xyxy, row_and_column_mm).tolist() == [5.0, 3.0]
    assert shorter_sides_mm(np.zeros((0, 4)), np.zeros((0, 2))).shape == (0,)
