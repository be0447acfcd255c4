"""One logit from B-mode, contrast-enhanced frames and a finding (Guang et al. 2023).

Each image goes through a branch of its own; the branches' features and the finding are joined
(2048 + 2048 + 1 = 4097 at width 1), and one fully connected layer gives the logit. What a case has
not got contributes zeros.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lnmdetect.models.fusion_branches import branch_kind

BMODE, CEUS, FINDING = "bmode", "ceus", "finding"
ATTENTION_UNITS = 128
"""Of the layer that weighs frames (Ilse et al. 2018, section 4.1)."""


@dataclass(frozen=True)
class FusionSizes:
    """What fixes a fusion network; see `core.fusion_config.FusionConfig`.

    Attributes:
        scales: (mean, standard deviation) of each image modality's pixels.
    """

    modalities: tuple[str, ...]
    scales: dict[str, tuple[float, float]]
    backbone: str = "resnet50"
    width: float = 1
    size_px: int = 224
    frames: int = 1
    fusion: Literal["concat", "gated"] = "concat"
    dropout: float = 0


@dataclass(frozen=True)
class FusionInputs:
    """What a fusion network reads of N cases.

    Attributes:
        bmode: (N, 1, S, S) in [0, 1]; of a case without one it is not looked at.
        ceus: (N, F, 1, S, S) in [0, 1]; likewise.
        finding: (N, 1): 1 present, -1 absent, 0 unknown.
        has_bmode, has_ceus: (N,) bool.
    """

    bmode: Tensor
    ceus: Tensor
    finding: Tensor
    has_bmode: Tensor
    has_ceus: Tensor


class ImageBranch(nn.Module):
    """Features of images: normalised, through a network, the mean of its last map.

    Args:
        sizes: of the whole network.
        modality: whose images these are.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, sizes: FusionSizes, modality: str) -> None:
        super().__init__()
        kind = branch_kind(sizes.backbone, sizes.size_px)
        self.body = kind.build(sizes.width)
        self.out_features = round(kind.features * sizes.width)
        mean, sd = sizes.scales[modality]
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("sd", torch.tensor(sd), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, K) features of `images` (N, 1, S, S) in [0, 1]."""
        last = self.body((images - self.mean) / self.sd)  # (N, K, h, w)
        features: Tensor = last.mean(dim=(2, 3))  # (N, K)
        return features


class FramePooling(nn.Module):
    """The mean of several frames' features with learnt weights (Ilse et al. 2018, equation 8).

    Args:
        features: K of each frame.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, ATTENTION_UNITS)
        self.score = nn.Linear(ATTENTION_UNITS, 1, bias=False)

    def weights(self, features: Tensor) -> Tensor:
        """Return (N, F) the weight of each frame, summing to 1, for `features` (N, F, K)."""
        scores = self.score(torch.tanh(self.hidden(features)))[..., 0]  # (N, F)
        return torch.softmax(scores, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, K) for `features` (N, F, K)."""
        return (self.weights(features)[..., None] * features).sum(dim=1)


class FusionNet(nn.Module):
    """The fusion network; see the module.

    Args:
        sizes: what fixes its shape.
    """

    def __init__(self, sizes: FusionSizes) -> None:
        super().__init__()
        self.modalities = sizes.modalities
        images = [modality for modality in sizes.modalities if modality != FINDING]
        self.branches = nn.ModuleDict({name: ImageBranch(sizes, name) for name in images})
        self.widths = [self._width_of(modality) for modality in sizes.modalities]
        self.fused_features = sum(self.widths)
        pools = sizes.frames > 1 and CEUS in images
        self.pooling = FramePooling(self._width_of(CEUS)) if pools else None
        # The gates are told what is there, since an absent modality's zeros could be a value too.
        told = self.fused_features + len(sizes.modalities)
        self.gates = _equal_gates(told, len(sizes.modalities)) if sizes.fusion == "gated" else None
        self.dropout = nn.Dropout(sizes.dropout)
        self.fc = nn.Linear(self.fused_features, 1)

    def forward(self, inputs: FusionInputs) -> Tensor:
        """Return (N,) logits of metastasis."""
        fused = self.fuse(inputs)  # (N, fused_features)
        logits: Tensor = self.fc(self.dropout(fused))[:, 0]
        return logits

    def fuse(self, inputs: FusionInputs) -> Tensor:
        """Return (N, fused_features) the joined features; zeros where a modality is absent."""
        parts = [self._features(modality, inputs) for modality in self.modalities]
        if self.gates is None:
            return torch.cat(parts, dim=1)
        there = torch.stack([self._is_there(m, inputs) for m in self.modalities], dim=1)  # (N, M)
        gates = torch.sigmoid(self.gates(torch.cat([*parts, there.to(parts[0].dtype)], dim=1)))
        return torch.cat([part * gates[:, [i]] for i, part in enumerate(parts)], dim=1)

    def _width_of(self, modality: str) -> int:
        if modality == FINDING:
            return 1
        branch = self.branches[modality]
        assert isinstance(branch, ImageBranch)
        return branch.out_features

    def _is_there(self, modality: str, inputs: FusionInputs) -> Tensor:
        """Return (N,) bool: which cases have it."""
        if modality == FINDING:
            return inputs.finding[:, 0] != 0
        return inputs.has_bmode if modality == BMODE else inputs.has_ceus

    def _features(self, modality: str, inputs: FusionInputs) -> Tensor:
        """Return (N, K) of one modality, zeros in the rows of cases without it.

        The branch sees only what is there: blank images would shift its normalisation's statistics.
        """
        if modality == FINDING:
            return inputs.finding
        rows = self._is_there(modality, inputs).nonzero()[:, 0]  # (n,)
        features = inputs.finding.new_zeros(len(inputs.finding), self._width_of(modality))
        if len(rows) == 0:
            return features
        found = self._bmode(inputs, rows) if modality == BMODE else self._ceus(inputs, rows)
        return features.index_copy(0, rows, found.to(features.dtype))

    def _bmode(self, inputs: FusionInputs, rows: Tensor) -> Tensor:
        features: Tensor = self.branches[BMODE](inputs.bmode[rows])  # (n, K)
        return features

    def _ceus(self, inputs: FusionInputs, rows: Tensor) -> Tensor:
        frames = inputs.ceus[rows]  # (n, F, 1, S, S)
        features = self.branches[CEUS](frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        pooled: Tensor = features[:, 0] if self.pooling is None else self.pooling(features)
        return pooled  # (n, K)


def _equal_gates(told: int, modalities: int) -> nn.Linear:
    """Return a layer whose gates are all half open before any training."""
    layer = nn.Linear(told, modalities)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
