"""The 3-D U-Net of the segmentation arm: MONAI's DynUNet, in the shape of a plan."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lnmdetect.core.extras import require_package
from lnmdetect.models.instance_norm import keep_layout

NEGATIVE_SLOPE = 0.01


@dataclass(frozen=True)
class UNetSizes:
    """What fixes the shape of the network.

    Attributes:
        out_channels: classes, the background included.
        filters: channels of each level, finest first.
        strides, kernels: (z, row, column) of each level.
        supervised_levels: coarser levels that answer too while training; not the coarsest.
    """

    in_channels: int
    out_channels: int
    filters: tuple[int, ...]
    strides: tuple[tuple[int, int, int], ...]
    kernels: tuple[tuple[int, int, int], ...]
    supervised_levels: int = 0


class UNet3d(nn.Module):
    """Volumes (N, C, D, H, W) to logits (N, K, D, H, W), or while training a list of them.

    Level l of the list is at the resolution of level l of the network, 0 being the input's.

    Args:
        sizes: the shape.

    Raises:
        MissingExtraError: the extra `segmentation` is not installed.
    """

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        require_package(
            "monai",
            where="the 3-D network",
            package="monai (3-D networks, losses, sliding windows)",
            extra="segmentation",
        )
        from monai.networks.nets.dynunet import DynUNet

        net = DynUNet(
            spatial_dims=3,
            in_channels=sizes.in_channels,
            out_channels=sizes.out_channels,
            kernel_size=sizes.kernels,
            strides=sizes.strides,
            upsample_kernel_size=sizes.strides[1:],
            filters=sizes.filters,
            # Batch norm's running means do not fit new patients: validation Dice 0.45, with each
            # batch's own 0.80, after 2400 steps on phantoms.
            norm_name=("instance", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": NEGATIVE_SLOPE}),
        )
        keep_layout(net)
        # DynUNet names each of its parts twice, and its coarser answers come at full size.
        self.encoder = nn.ModuleList([net.input_block, *net.downsamples, net.bottleneck])
        self.decoder = net.upsamples
        self.heads = nn.ModuleList(
            nn.Conv3d(filters, sizes.out_channels, kernel_size=1)
            for filters in sizes.filters[: 1 + sizes.supervised_levels]
        )

    def forward(self, volumes: Tensor) -> Tensor | list[Tensor]:
        """Return the logits, see the class."""
        maps = [volumes]
        for block in self.encoder:
            maps.append(block(maps[-1]))
        skips, decoded = maps[1:-1], [maps[-1]]
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            decoded.append(block(decoded[-1], skip))
        if not self.training:
            return torch.as_tensor(self.heads[0](decoded[-1]))
        pairs = zip(self.heads, reversed(decoded), strict=False)
        return [head(features) for head, features in pairs]
