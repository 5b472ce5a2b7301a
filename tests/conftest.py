"""What holds for every test: no telemetry, no look-ups outside, one thread, at most one browser.

The environment is set when pytest loads this file, before any test module imports torch or jax,
and the processes that tests start inherit it.
"""

from __future__ import annotations

import os
import sys

from tests.browser.chromium import browser  # one for all folders: two at once would not do

__all__ = ["ENVIRONMENT", "browser"]

ENVIRONMENT = {
    # Nothing is reported home, nothing is asked of the network.
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "DVC_STUDIO_OFFLINE": "true",
    "HF_HUB_OFFLINE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Two workers share the machine, and sums come out in the same order everywhere.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # No accelerator that one machine has and another has not.
    "JAX_PLATFORMS": "cpu",
}
os.environ.update(ENVIRONMENT)

if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)
