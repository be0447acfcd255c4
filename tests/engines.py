"""Engines that are extras: marks of the tests that run them."""

import pytest

needs_openvino = pytest.mark.extra("openvino")
needs_onnx = pytest.mark.extra("onnx", "onnxruntime")
needs_nncf = pytest.mark.extra("openvino", "nncf")
