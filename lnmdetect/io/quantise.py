"""Networks in int8 by NNCF, which is not imported before it is asked for."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.extras import require_package
from lnmdetect.io.engine_errors import errors_of, told_as_ours
from lnmdetect.io.openvino_engine import import_openvino

_BUILDS = logging.getLogger("torch.utils.cpp_extension")


def quantised_model(model: Any, inputs: Sequence[NDArray[np.float32]], *, where: str) -> Any:
    """Return an `openvino.Model` whose products are computed in int8.

    Args:
        model: an `openvino.Model` of one input.
        inputs: what it is used for, each as it is given; the ranges of all numbers inside it are
            measured on them.
        where: what asks for it.

    Raises:
        MissingExtraError: NNCF or OpenVINO is not installed.
        ModelError: NNCF cannot measure or quantise it.
    """
    require_package("nncf", where=where, package="nncf, which quantises", extra="quantize")
    import_openvino(where)  # before NNCF, which tells its maker otherwise
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        _BUILDS.setLevel(logging.ERROR)  # NNCF wakes it, and it misses a compiler for GPUs
        import nncf

        nncf.set_log_level(logging.ERROR)
        with told_as_ours(
            (*errors_of(nncf.errors), RuntimeError),  # of OpenVINO, which it measures with
            where,
            expected="a network and inputs that NNCF can measure",
            remedy="Leave --precision out for fp32.",
        ):
            return nncf.quantize(
                model,
                nncf.Dataset(list(inputs)),
                preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric about 0
                subset_size=len(inputs),
            )
