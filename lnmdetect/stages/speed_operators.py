"""Operators of PyTorch and layers of OpenVINO in the groups in which an engineer thinks of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PRODUCTS, REST = "convolutions_and_products", "rest"
GROUPS: Mapping[str, str] = {
    PRODUCTS: "convolutions, products",
    "elementwise": "elementwise, sums",
    "batch_norm": "batch norm",
    "pooling": "pooling, resizing, RoIAlign",
    "selection": "NMS, sorting, indexing",
    "copies": "copies, layout, casts",
    REST: "rest",
}
"""Each group by its name in bench.json, and in words."""
_NAMES: Mapping[str, str] = {
    PRODUCTS: """
        mkldnn_convolution _convolution_pointwise convolution _convolution convolution_overrideable
        convolution_backward _slow_conv2d_forward _slow_conv2d_backward thnn_conv2d conv2d linear
        _linear_pointwise mkldnn_linear mm addmm bmm baddbmm matmul _int_mm
        Convolution GroupConvolution Deconvolution MatMul FullyConnected
    """,
    "elementwise": """
        relu clamp clamp_min clamp_max threshold_backward sigmoid hardsigmoid hardswish
        hardswish_backward sigmoid_backward add sub mul div neg exp log log2 sqrt rsqrt floor abs
        pow addcmul addcdiv lerp minimum maximum max min eq ne lt gt le ge logical_and logical_or
        bitwise_and bitwise_or where sum mean cumsum arange _foreach_add _foreach_mul
        _foreach_addcmul _foreach_addcdiv _foreach_div _foreach_sqrt _foreach_lerp
        Add Subtract Multiply Divide PowerStatic Maximum Minimum Relu Clamp Sigmoid HSwish Swish
        Eltwise Subgraph FakeQuantize Math Select
    """,
    "batch_norm": """
        native_batch_norm native_batch_norm_backward batch_norm _batch_norm_impl_index
        cudnn_batch_norm mkldnn_batch_norm
        BatchNormInference MVN
    """,
    "pooling": """
        max_pool2d max_pool2d_with_indices max_pool2d_with_indices_backward mkldnn_max_pool2d
        mkldnn_max_pool2d_backward avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool2d
        _adaptive_avg_pool2d_backward mkldnn_adaptive_avg_pool2d upsample_nearest2d
        upsample_nearest2d_backward upsample_bilinear2d upsample_bilinear2d_backward roi_align
        _roi_align_backward _embedding_bag _embedding_bag_forward_only
        _embedding_bag_dense_backward _embedding_bag_per_sample_weights_backward embedding_bag
        MaxPool AvgPool Pooling AdaptivePooling Interpolate Reduce ReduceMean ROIAlign
    """,
    "selection": """
        nms sort topk nonzero index index_select index_put _index_put_impl index_fill
        index_add scatter gather masked_fill masked_select take repeat_interleave searchsorted
        bucketize randperm argsort unique _unique2
        NonMaxSuppression TopK Gather GatherElements ScatterUpdate
    """,
    "copies": """
        copy to _to_copy clone contiguous cat stack fill zero zeros ones full empty empty_like
        resize constant_pad_nd pad permute transpose reshape view slice expand as_strided
        _mkldnn_reshape to_mkldnn to_dense _reorder repeat
        Reorder Convert Transpose Concatenation Concat Reshape Split StridedSlice Pad
    """,
}
OPERATORS: Mapping[str, str] = {
    name: group for group, names in _NAMES.items() for name in names.split()
}
"""The group of an operator, by its name without namespace and without the underscore that ends the
names of those that write in place; of all others it is the rest."""
LARGEST = 3


@dataclass(frozen=True)
class OperatorTime:
    """What one kind of operator took in all.

    Attributes:
        name: as its library has it, `aten::add_`.
        seconds: of itself, without those that it called.
        is_int8: whether it is computed in int8.
    """

    name: str
    seconds: float
    is_int8: bool = False

    @property
    def bare_name(self) -> str:
        """Its name, of whatever namespace, in place or not."""
        return self.name.rsplit("::", maxsplit=1)[-1].removesuffix("_")

    @property
    def group(self) -> str:
        """One of `GROUPS`."""
        return OPERATORS.get(self.bare_name, REST)


def shares(times: Iterable[OperatorTime]) -> dict[str, float]:
    """Return the share of each group; they sum to 1.

    Args:
        times: some of them above 0 s.
    """
    told = list(times)
    whole = sum(time.seconds for time in told)
    return {g: sum(t.seconds for t in told if t.group == g) / whole for g in GROUPS}


def int8_share(times: Iterable[OperatorTime]) -> float:
    """Return the share of the time of convolutions and products that is of those in int8.

    Args:
        times: some of products above 0 s.
    """
    told = [time for time in times if time.group == PRODUCTS]
    return sum(time.seconds for time in told if time.is_int8) / sum(time.seconds for time in told)


def largest(times: Iterable[OperatorTime]) -> str:
    """Return the operators that take most, with their shares, in words.

    Args:
        times: some of them above 0 s.
    """
    seconds: Counter[str] = Counter()
    for time in times:
        seconds[time.bare_name] += time.seconds  # type: ignore[assignment]
    whole = seconds.total()
    first = seconds.most_common(LARGEST)
    return ", ".join(f"{name} {100 * taken / whole:.0f} %" for name, taken in first)
