"""Engines that are extras: whether they are installed, without importing them."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

Mark = Callable[..., Any]


def needs(*packages: str) -> Mark:
    """A mark that skips a test where a package is missing; ours says how it is imported."""
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_openvino = needs("openvino")
needs_onnx = needs("onnx", "onnxruntime")
needs_nncf = needs("openvino", "nncf")
