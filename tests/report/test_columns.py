"""The comparison's rows as columns of runs."""

from __future__ import annotations

import json
from dataclasses import replace

from geocore.report.columns import columns_of, in_order
from geocore.report.comparison import compare
from geocore.report.snapshot import Snapshot
from geocore.runs.canonical import canonical_json

GATE = {"metric": "nll", "value": 0.2, "bound": 0.3, "sense": "max", "passed": True}


def run(name: str, accuracy: float, **more: float) -> Snapshot:
    metrics = {"evaluate.ntk.test.nll": accuracy, "evaluate.test.accuracy": accuracy, **more}
    params = {"train.lr": accuracy, "train.task": "digits"}
    return Snapshot(name, "run", params=params, metrics=metrics, gates={"e.nll_max": GATE})


def test_parameters_gates_and_metrics_with_what_they_are_called() -> None:
    columns = columns_of(compare([run("a", 0.5), run("b", 0.25)], everything=True))
    found = [(c.section, c.name, c.label, c.about, c.way, c.equal, c.main) for c in columns]
    assert found == [
        ("params", "train.lr", "train.lr", "", "", False, True),
        ("params", "train.task", "train.task", "", "", True, True),
        ("gates", "e.nll_max", "e.nll_max", "", "", True, False),
        ("metrics", "evaluate.ntk.test.nll", "negative log-likelihood", "NTK", "lower", False,
         True),
        ("metrics", "evaluate.test.accuracy", "accuracy", "network", "higher", False, True),
    ]  # fmt: skip
    assert columns[2].values == (0.2, 0.2)
    assert columns[0].texts == ("0.5", "0.25")
    json.loads(canonical_json([column.to_json() for column in columns]))


def test_a_metric_that_is_called_as_a_parameter_has_a_key_of_its_own() -> None:
    pair = [
        Snapshot(name, "run", params={"train.epochs": 9}, metrics={"train.epochs": epochs})
        for name, epochs in (("a", 4.0), ("b", 7.0))
    ]
    columns = columns_of(compare(pair, everything=True))
    assert [(column.key, column.name, column.values) for column in columns] == [
        ("train.epochs", "train.epochs", (9, 9)),
        ("metrics.train.epochs", "train.epochs", (4.0, 7.0)),
    ]


def test_the_network_stands_before_its_kernels() -> None:
    columns = columns_of(compare([run("a", 0.5), run("b", 0.25)]))
    assert [columns[place].name for place in in_order(columns)] == [
        "train.lr", "evaluate.test.accuracy", "evaluate.ntk.test.nll"
    ]  # fmt: skip


def test_behind_many_parameters_the_figures_come_first() -> None:
    def orders(count: int) -> list[str]:
        more = {f"model.p{n}": n for n in range(count)}
        one, two = (replace(run(name, value), params={"train.lr": value} | {
            leaf: number + value for leaf, number in more.items()
        }) for name, value in (("a", 0.5), ("b", 0.25)))  # fmt: skip
        columns = columns_of(compare([one, two], everything=True))
        return [columns[place].section for place in in_order(columns)]

    assert orders(5)[:6] == ["params"] * 6
    assert orders(6) == ["metrics"] * 2 + ["params"] * 7


def test_without_a_headline_what_can_be_judged_stands_for_it() -> None:
    pair = [Snapshot("a", "run", metrics={f"x.m{k}_loss": float(k + shift) for k in range(20)}
                     | {"x.count": shift}) for shift in (0, 1)]  # fmt: skip
    columns = columns_of(compare(pair))
    assert sum(column.main for column in columns) == 12
    assert not next(column for column in columns if column.name == "x.count").main


def test_of_what_can_be_judged_the_most_telling_stands_for_it() -> None:
    said = {
        "evaluate.headline.miou": 0.5, "evaluate.test.accuracy_of_views": 0.5,
        "train.val_nll": 0.5, "evaluate.equivariance.so3.stage0.mean": 0.5,
        **{f"evaluate.per_class.{n}.f1": 0.5 for n in range(9)},
    }  # fmt: skip
    one = Snapshot("a", "run", metrics={**said, "a.loss": 0.5})
    two = Snapshot("b", "run", metrics={name: value + 0.1 for name, value in said.items()})
    columns = columns_of(compare([one, two]))
    out = {"a.loss", "evaluate.equivariance.so3.stage0.mean"}  # of one run alone; the longest name
    assert {c.name for c in columns if c.main} == {*said, "a.loss"} - out


def test_what_is_missing_is_null_with_its_word() -> None:
    pair = [run("a", 0.5), Snapshot("b", "run", metrics={"evaluate.test.accuracy": float("nan")})]
    columns = {column.name: column for column in columns_of(compare(pair))}
    assert columns["train.lr"].values == (0.5, None)
    assert columns["train.lr"].texts == ("0.5", "absent")
    assert columns["evaluate.test.accuracy"].values == (0.5, None)
    assert columns["e.nll_max"].values == (0.2, None)
