"""Who predicts, from a pipeline's metrics."""

from __future__ import annotations

from geocore.report.headline import headline


def test_those_that_were_measured_in_their_order() -> None:
    metrics = {
        "synthesize.test.firmware.accuracy": 0.9,
        "evaluate.ntk.test.accuracy": 0.95,
        "evaluate.ntk.test.ece": None,
        "evaluate.test.accuracy": 0.98,
        "evaluate.test.nll": 0.06,
        "evaluate.nngp.test.nll": None,
        "train.val_nll": 1.0,
    }
    found = headline(metrics)
    assert [entry.predictor.name for entry in found] == ["network", "NTK", "firmware"]
    assert found[0].values == {"accuracy": 0.98, "nll": 0.06, "ece": None}
    assert headline({}) == []
