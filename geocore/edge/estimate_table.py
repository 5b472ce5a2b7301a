"""Coefficients of the estimator, fitted by ``benchmarks/estimator.py --write``."""

from __future__ import annotations

from collections.abc import Mapping

from geocore.edge.estimate_model import PartModel, Sum

__all__ = ["ADDERS", "LATENCY", "PARTS", "REGISTERS"]

PARTS: Mapping[str, PartModel] = {
    "credit": PartModel(
        lut=Sum(
            {
                "one": 1.1658,
                "places": 7.3437,
                "odd": 0.12042,
                "memory": 0.9905,
                "way": 0.49133,
            },
            0.051331,
            24,
        ),
        ff=Sum(
            {
                "one": 3.8609,
                "places": 2.8056,
                "way": 1.7009,
            },
            0.035711,
            24,
        ),
    ),
    "dense": PartModel(
        lut=Sum(
            {
                "rows": 10.052,
                "table": 5.5875,
                "held": 1.3861,
                "multiplied": 1.089,
            },
            0.16369,
            41,
        ),
        ff=Sum(
            {
                "rows": 9.8995,
                "table": 0.68336,
                "held": 0.94743,
                "multiplied": 0.13711,
                "products": 1.0576,
                "sums": 1.1504,
                "begun": 0.47358,
            },
            0.071852,
            41,
        ),
    ),
    "fifo": PartModel(
        lut=Sum(
            {
                "one": 2.9558,
                "places": 4.5358,
                "memory": 1.0293,
                "choice": 0.95966,
                "banks": 1.2382,
            },
            0.057657,
            28,
        ),
        ff=Sum(
            {
                "one": 1.1009,
                "places": 3.7837,
                "memory": 0.00081627,
                "banks": 0.093627,
            },
            0.01294,
            28,
        ),
    ),
    "fork": PartModel(
        lut=Sum(
            {
                "readers": 2.7662,
            },
            0.12591,
            5,
        ),
        ff=Sum(
            {
                "readers": 1.0,
            },
            0.0,
            5,
        ),
    ),
    "kernel": PartModel(
        lut=Sum(
            {
                "adders": 1.1191,
                "biases": 5.3593,
            },
            0.042303,
            21,
        ),
        ff=Sum(
            {
                "adders": 0.16308,
                "registers": 0.80808,
            },
            0.035157,
            21,
        ),
    ),
    "pool": PartModel(
        lut=Sum(
            {
                "memory": 1.2144,
                "choice": 0.84954,
                "banks": 1.0258,
                "one": 20.725,
                "counters": 1.8795,
                "bits": 1.1192,
                "compared": 2.8955,
            },
            0.12579,
            28,
        ),
        ff=Sum(
            {
                "choice": 3.0404e-17,
                "banks": 3.2983e-15,
                "one": 5.0,
                "counters": 2.0,
                "phases": 3.6788e-15,
                "bits": 2.0,
            },
            2.8767e-16,
            28,
        ),
    ),
    "requantise": PartModel(
        lut=Sum(
            {
                "rounded": 0.53548,
                "sticky": 0.21275,
                "beyond": 0.46176,
                "beyond both": 0.22118,
                "carried": 0.089932,
                "saturated": 0.58308,
                "saturated both": 0.47827,
                "ends": 0.045371,
            },
            0.17681,
            130,
        ),
        ff=Sum(
            {},
            0.0,
            130,
        ),
    ),
    "sum": PartModel(
        lut=Sum(
            {
                "adders": 0.89923,
            },
            0.070799,
            10,
        ),
        ff=Sum(
            {},
            0.0,
            10,
        ),
    ),
    "upsample": PartModel(
        lut=Sum(
            {
                "memory": 1.0517,
                "choice": 0.97982,
                "one": 13.714,
                "counters": 1.1542,
                "phases": 0.27061,
                "bits": 0.95327,
            },
            0.064863,
            16,
        ),
        ff=Sum(
            {
                "memory": 0.0013164,
                "choice": 0.00035134,
                "one": 3.9373,
                "counters": 1.9596,
                "phases": 0.046251,
            },
            0.021699,
            16,
        ),
    ),
    "window": PartModel(
        lut=Sum(
            {
                "memory": 0.99595,
                "choice": 0.73726,
                "one": 3.1,
                "counting": 6.9149,
                "compared": 0.53,
                "phases": 8.0048,
                "gated": 1.0402,
                "edges": 0.52302,
            },
            0.094166,
            84,
        ),
        ff=Sum(
            {
                "memory": 0.065267,
                "one": 1.0653,
                "counting": 2.6774,
                "counters": 0.6213,
                "compared": 0.13143,
                "phases": 5.6586,
                "edges": 0.19838,
                "seen": 0.99416,
            },
            0.0311,
            84,
        ),
    ),
}
ADDERS = Sum(
    {
        "1": -0.51906,
        "terms": 0.87227,
        "bits": 0.98724,
        "outputs": 0.10325,
        "inputs": -0.05407,
        "accumulator": 0.21712,
        "weight bits": 0.075425,
        "shared": 0.25449,
        "signed": -0.0042725,
        "one bit": -0.080996,
        "chance": -0.12321,
        "terms terms": 0.043853,
        "terms bits": -0.019747,
        "terms outputs": -0.017685,
        "terms inputs": -0.088171,
        "bits bits": -0.05369,
        "bits outputs": 0.018896,
        "bits inputs": 0.0070222,
        "outputs outputs": -0.00079385,
        "outputs inputs": 0.0041371,
        "inputs inputs": 0.059414,
    },
    0.09652,
    367,
)
REGISTERS = Sum(
    {
        "1": 1.4865,
        "terms": -0.66551,
        "bits": -1.0743,
        "outputs": 0.80129,
        "inputs": 0.01188,
        "accumulator": 0.54649,
        "weight bits": -0.16287,
        "shared": -0.075488,
        "signed": 0.027057,
        "one bit": -0.28377,
        "chance": -0.048558,
        "terms terms": 0.059982,
        "terms bits": 0.10503,
        "terms outputs": -0.12386,
        "terms inputs": -0.054509,
        "bits bits": 0.19698,
        "bits outputs": -0.12165,
        "bits inputs": -0.037632,
        "outputs outputs": 0.097238,
        "outputs inputs": -0.00041322,
        "inputs inputs": 0.047378,
        "adders": 0.93561,
        "stages": 1.1722,
        "stages stages": 0.075487,
    },
    0.2507,
    367,
)
LATENCY = Sum(
    {
        "1": -12.667,
        "most": 4.0143,
        "shared": 5.2687,
        "accumulator": 2.8779,
        "cycle": 0.48444,
    },
    0.095449,
    367,
)
