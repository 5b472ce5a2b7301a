"""Names for files: what an attribute may be called, and a language may not."""

from __future__ import annotations

import pytest

from geocore.edge.names import legal_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("encoder.conv.0", "encoder_conv_0"), ("0.1", "layer_0_1"), ("output", "output_layer"),
        ("wire", "wire_layer"), ("images", "images_layer"), ("double", "double_layer"),
        ("keys", "keys_layer"), ("a.b", "a_b_3"), ("größe", "gr__e"), ("", "layer"),
    ],
)  # fmt: skip
def test_a_path_becomes_a_legal_name_of_its_own(path: str, name: str) -> None:
    assert legal_name(path, {"a_b", "a_b_2"}) == name
