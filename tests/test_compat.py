"""What the shims serve works, and in one process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from geocore import compat
from geocore.errors import UserError
from geocore.so3.escnn import import_escnn


# Values of the recursion K <- E[relu relu], Theta <- K + E[step step] Theta, 12 digits.
@pytest.mark.parametrize(
    ("x", "y", "depth", "nngp", "ntk"),
    [
        ((1, 0), (0.5, np.sqrt(0.75)), 1, 0.152249445261, 0.235582778594),
        ((1, 0), (0.5, np.sqrt(0.75)), 2, 0.085488206362, 0.168934945140),
        ((2, -1, 0.5), (0.3, 1, -1.5), 2, 0.146840978398, 0.162541905383),
    ],
)
def test_neural_tangents_kernels_of_relu_networks(
    x: tuple[float, ...], y: tuple[float, ...], depth: int, nngp: float, ntk: float
) -> None:
    pytest.importorskip("jax")
    neural_tangents = compat.import_neural_tangents()
    from jax.experimental import enable_x64

    stax = neural_tangents.stax
    hidden = [stax.Dense(64, W_std=1.0, b_std=0.0), stax.Relu()] * depth
    kernel = stax.serial(*hidden, stax.Dense(1, W_std=1.0, b_std=0.0))[2]
    with enable_x64():
        found = kernel(np.array([x], dtype=float), np.array([y], dtype=float), ("nngp", "ntk"))
        np.testing.assert_allclose(found.nngp.item(), nngp, atol=1e-11)
        np.testing.assert_allclose(found.ntk.item(), ntk, atol=1e-11)


def test_keras_gets_torch_as_its_backend_unless_another_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("hls4ml")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    compat.import_hls4ml()
    assert os.environ["KERAS_BACKEND"] == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    compat.import_hls4ml()
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_a_jax_too_new_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    monkeypatch.delitem(sys.modules, "neural_tangents", raising=False)
    monkeypatch.setattr(jax, "__version__", "0.7.2")
    with pytest.raises(UserError, match=r"^jax is 0\.7\.2; neural-tangents expects jax 0\.5\.3"):
        compat.import_neural_tangents()


@pytest.mark.parametrize("package", ["escnn", "neural_tangents", "hls4ml"])
def test_a_missing_package_is_named_in_one_line(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    importing = {
        "escnn": import_escnn,
        "neural_tangents": compat.import_neural_tangents,
        "hls4ml": compat.import_hls4ml,
    }
    with pytest.raises(UserError, match=f"^{package} is not installed; expected it here: pip"):
        importing[package]()


def test_the_ten_named_packages_work_in_one_process() -> None:
    """Each is imported and used a little, beside all others; none brings tensorflow along."""
    script = """
    import sys
    from geocore import compat

    import torch; assert torch.ones(2, 2).det() == 0
    import healpy; assert healpy.nside2npix(4) == 192
    import pandas; assert pandas.DataFrame({"a": [1, 2]})["a"].sum() == 3
    import pyarrow; assert pyarrow.array([1, None]).null_count == 1
    import prefect
    assert prefect.task(lambda: 3).fn() == 3
    import dvc.utils.serialize as dvc
    assert dvc.parse_yaml("a: 1", "params.yaml") == {"a": 1}
    import pytest; assert pytest.approx(0.1 + 0.2) == 0.3
    from geocore.so3.escnn import import_escnn
    escnn = import_escnn()
    assert escnn.group.so3_group(1).irrep(1).size == 3
    neural_tangents = compat.import_neural_tangents()
    assert callable(neural_tangents.stax.Relu()[2])
    hls4ml = compat.import_hls4ml()
    layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    config = hls4ml.utils.config_from_pytorch_model(layers, (4,), default_precision="fixed<16,6>")
    model = hls4ml.converters.convert_from_pytorch_model(
        layers, hls_config=config, output_dir=sys.argv[1], backend="Vitis"
    )
    assert [layer.class_name for layer in model.get_layers()][1:] == ["Dense", "Activation"]
    assert not {"tensorflow", "tf2jax"} & set(sys.modules)
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), os.devnull],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert finished.returncode == 0, finished.stderr
