"""torchvision's own detectors, the references: as its users build them."""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead

from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import CLASSES
from lnmdetect.models.two_stage import ROI_CELLS


class PyramidAdapter(nn.Module):
    """Our body and pyramid, norms and all, as torchvision's detectors ask for them."""

    def __init__(self, detector: NodeDetector) -> None:
        super().__init__()
        self.body, self.fpn = detector.body, detector.fpn
        self.out_channels = detector.fpn.layer_blocks[0][0].out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return P2 to P6 by name, (N, C, H / stride, W / stride), for images (N, C, H, W)."""
        maps = OrderedDict((str(level), x) for level, x in enumerate(self.body(images)))
        named: dict[str, Tensor] = self.fpn(maps)
        return named


def stock_detector(detector: NodeDetector, size_px: int) -> FasterRCNN:
    """Return torchvision's detector with the weights of ours, its anchors and its sampling.

    At full width it is `fasterrcnn_resnet50_fpn` itself; at others, where torchvision has none, its
    `FasterRCNN` around our backbone.

    Args:
        detector: as it was trained.
        size_px: side of the images, which it takes as they are.
    """
    sizes, own = detector.sizes, detector.state_dict()
    options = {
        "min_size": size_px,
        "max_size": size_px,
        "image_mean": [0.0] * sizes.in_channels,
        "image_std": [1.0] * sizes.in_channels,
        "rpn_anchor_generator": AnchorGenerator(
            tuple((area**0.5,) for area in sizes.anchor_areas_px2),
            (sizes.anchor_ratios,) * len(sizes.anchor_areas_px2),
        ),
        "rpn_pre_nms_top_n_train": 2 * sizes.proposals_train,
        "rpn_post_nms_top_n_train": sizes.proposals_train,
        "rpn_pre_nms_top_n_test": sizes.proposals_test,
        "rpn_post_nms_top_n_test": sizes.proposals_test,
        "box_batch_size_per_image": sizes.roi_samples,
        "box_score_thresh": sizes.score_min,
        "box_nms_thresh": sizes.nms_iou,
        "box_detections_per_img": sizes.detections_max,
    }
    if sizes.width == 1 and sizes.in_channels == 3:
        model = fasterrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=CLASSES, **options
        )
        named = (
            (f"backbone.{name}" if name.startswith(("body.", "fpn.")) else name, x)
            for name, x in own.items()
        )
        model.load_state_dict(dict(named))
        return model
    return _around(detector, options)


def _around(detector: NodeDetector, options: dict[str, object]) -> FasterRCNN:
    backbone = PyramidAdapter(detector)
    channels, ratios = backbone.out_channels, detector.sizes.anchor_ratios
    hidden = detector.roi_heads.box_head.fc7.out_features
    model = FasterRCNN(
        backbone,
        rpn_head=RPNHead(channels, len(ratios)),
        box_head=TwoMLPHead(channels * ROI_CELLS**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, CLASSES),
        **options,
    )
    for part in ("rpn", "roi_heads"):
        model.get_submodule(part).load_state_dict(detector.get_submodule(part).state_dict())
    return model


def default_detector() -> FasterRCNN:
    """Return `fasterrcnn_resnet50_fpn` as it comes: it resizes to 800, its anchors start at 32."""
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES)
