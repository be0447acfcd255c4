"""The numbers that every row of the dictionary of detectors is built from."""

from dataclasses import dataclass

CLASSES = 2
"""Background and lymph node."""
FPN_CHANNELS = 256
"""Lin et al. 2017, section 3."""


@dataclass(frozen=True)
class DetectorSizes:
    """What fixes a detector's shape and its sampling; see `core.config.DetectorConfig`."""

    anchor_areas_px2: tuple[float, ...]
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    in_channels: int = 3
    width: float = 1
    fpn: bool = True
    roi: str = "align"
    anchor_shapes_px: tuple[tuple[float, float], ...] = ()
    proposals_train: int = 1000
    proposals_test: int = 1000
    roi_samples: int = 512
    nms_iou: float = 0.5
    score_min: float = 0.05
    detections_max: int = 100
