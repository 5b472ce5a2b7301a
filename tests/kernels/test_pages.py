"""That freed memory stays with the process: its pages are there, not fetched again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from geocore.kernels.pages import keep_pages
def faults():
    for times in (1, 5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(times):
            held = [np.ones(2**18) for _ in range(16)]
            del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
keep_pages()
print(first, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other rules")
def test_blocks_of_megabytes_are_used_again() -> None:
    found = subprocess.check_output([sys.executable, "-c", _FAULTS], text=True).split()
    assert int(found[1]) < 100 < int(found[0])  # a block has 512 pages
