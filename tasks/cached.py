"""A stage's body as a Prefect task, cached by the piece store.

Prefect keeps only the small JSON manifest that a task returns, under the piece's key. Before it may
answer from there, ``_key`` asks the store: where the piece is missing or damaged, or the kept
record is not plain JSON of ours, the record is removed, so that Prefect sees a miss.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer

from geocore.config.foreign_json import parse_json
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job, Manifest, Stage

__all__ = ["cached_task"]


def cached_task(stage: Stage) -> Task[[Job], Manifest]:
    """The task that makes ``stage``'s pieces."""

    def body(job: Job) -> Manifest:
        return make(job)

    body.__doc__ = stage.summary
    return Task(
        fn=body,
        name=stage.name,
        description=stage.summary,
        cache_key_fn=partial(_key, whole=whole),
        persist_result=True,
        # object_decoder=None: a record can only become plain values, never an imported class.
        result_serializer=JSONSerializer(object_decoder=None),
    )


def _key(
    context: TaskRunContext, arguments: dict[str, Any], *, whole: Callable[[Job], bool]
) -> str:
    del context
    job: Job = arguments["job"]
    record = Path(os.environ["PREFECT_LOCAL_STORAGE_PATH"]) / job.key
    found = whole(job)
    if found:
        job.note(pieces={job.key: "found"})  # also where Prefect answers: gc must see it is used
    if not (found and _is_ours(record)):
        record.unlink(missing_ok=True)
    return job.key


def _is_ours(record: Path) -> bool:
    """Whether a kept record is JSON that loads without importing anything."""
    try:
        serializer = parse_json(record.read_bytes())["metadata"]["serializer"]
    except FileNotFoundError:
        return True
    except (ValueError, KeyError, TypeError):
        return False
    return bool(
        serializer["type"] == "json"
        and serializer.get("jsonlib") == "json"
        and serializer.get("object_decoder") is None
        and not serializer.get("loads_kwargs")
    )
