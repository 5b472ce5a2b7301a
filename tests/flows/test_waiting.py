"""When a run that waits is said to wait for a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prefect.client.schemas.objects import WorkerStatus

from flows.deployments import _nobody

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


class Workers:
    """A server that knows these workers: each online or not, and silent for so many seconds."""

    def __init__(self, *workers: tuple[bool, float]) -> None:
        self.workers = workers

    def read_workers_for_work_pool(self, pool: str) -> list[Any]:
        assert pool == "local"
        now = datetime.now(UTC)
        return [
            SimpleNamespace(
                status=WorkerStatus.ONLINE if online else WorkerStatus.OFFLINE,
                last_heartbeat_time=now - timedelta(seconds=silence),
            )
            for online, silence in self.workers
        ]


@pytest.mark.parametrize(
    ("workers", "waited", "expected"),
    [
        ([], 0, True),
        ([(True, 5)], 100, False),
        ([(False, 120)], 0, False),  # late with its sign of life: the machine is busy
        ([(False, 120)], 31, True),
        ([(False, 3600)], 0, True),
        ([(False, 3600), (True, 5)], 100, False),
    ],
)
def test_a_worker_that_is_late_is_not_taken_for_gone(
    workers: list[tuple[bool, float]], waited: float, expected: bool
) -> None:
    client = cast("SyncPrefectClient", Workers(*workers))
    assert _nobody(client, "local", waited) is expected
