"""Class scores of a crop through a ResNet; with its defaults A-ResNet50-W (Wang et al. 2023)."""

from torch import Tensor, nn

from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.resnet import ResNet, ResNet50


class PooledClassifier(nn.Module):
    """A ResNet, the mean of its last map over all places, and one linear layer.

    Args:
        body: gives the maps.
        classes: number of classes.
        dropout: before the last layer.
    """

    def __init__(self, body: ResNet, classes: int, *, dropout: float = 0) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(body.out_channels[-1], classes)

    def forward(self, crops: Tensor) -> Tensor:
        """Return (N, classes) logits for crops (N, in_channels, S, S) in [0, 1]."""
        features = self.body(crops)[-1].mean(dim=(2, 3))  # (N, C5)
        logits: Tensor = self.fc(self.dropout(features))
        return logits


class NodeClassifier(PooledClassifier):
    """Wide ResNet-50 with coordinate attention (Wang et al. 2023, section 3.1.2).

    Args:
        in_channels: of the crop.
        classes: number of classes.
        width: multiplier of every layer's channels.
        factor: inner width of the bottlenecks over their planes; 2 is the paper's W.
        attention: whether coordinate attention stands in every bottleneck; the paper's A.
        dropout: before the last layer.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 2,
        *,
        width: float = 1,
        factor: int = 2,
        attention: bool = True,
        dropout: float = 0,
    ) -> None:
        gate = CoordinateAttention if attention else None
        body = ResNet50(in_channels, width=width, factor=factor, attention=gate)
        super().__init__(body, classes, dropout=dropout)
