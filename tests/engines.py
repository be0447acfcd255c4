"""Engines that are extras: whether they are installed, without importing them."""

from importlib.util import find_spec

import pytest


def needs(*packages: str) -> pytest.MarkDecorator:
    """A mark that skips a test where a package is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_openvino = needs("openvino")
needs_onnx = needs("onnx", "onnxruntime")
needs_nncf = needs("openvino", "nncf")
