"""Scenes rendered one after the other, in as many processes as wanted."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera
from geocore.data.scenes.render import Rendered, render
from geocore.data.scenes.world import draw_scene

__all__ = ["each_in_order", "rendered"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 3  # scenes a process that may wait for whoever takes them

_Job = tuple[int, RadialCamera, tuple[float, ...] | None, int]


def rendered(
    seeds: Iterable[int],
    camera: RadialCamera,
    tilts: Sequence[Tensor | None] | None = None,
    *,
    workers: int = 1,
    samples: int = 4,
) -> Iterator[Rendered]:
    """``render(draw_scene(seed), camera, tilt)`` for each seed, in order.

    ``tilts`` goes along with ``seeds``; without it all are upright. What is rendered does not
    depend on ``workers``, the number of processes (1: this one). Few scenes are held at a time,
    however slowly they are taken. Raises ``ValueError`` where seeds and tilts differ in number.
    """
    numbers = list(seeds)
    poses = [None] * len(numbers) if tilts is None else list(tilts)
    if len(poses) != len(numbers):
        raise ValueError(f"tilts has {len(poses)} poses; expected one for each of {len(numbers)}")
    jobs = [
        (seed, camera, None if pose is None else tuple(pose.tolist()), samples)
        for seed, pose in zip(numbers, poses, strict=True)
    ]
    return each_in_order(_one, jobs, workers)


def _one(job: _Job) -> Rendered:
    seed, camera, pose, samples = job
    tilt = None if pose is None else torch.tensor(pose, dtype=torch.float64)
    return render(draw_scene(seed), camera, tilt, samples=samples)


def each_in_order(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[Result]:
    """``function(task)`` for each task, in order, computed in ``workers`` processes.

    A fork of a process that has threads may hang, so processes are forked from a fresh one that
    has none; they run on one thread each. ``function`` must be a module's own. Raises
    ``ValueError`` for ``workers < 1``.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; expected at least 1")
    if workers == 1:
        return map(function, tasks)
    return _apart(function, tasks, workers)


def _apart(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[Result]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports torch once for all
    left = iter(tasks)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in itertools.islice(left, _AHEAD * workers):
                waiting.append(pool.submit(function, task))
            while waiting:
                result = waiting.popleft().result()
                for task in itertools.islice(left, 1):
                    waiting.append(pool.submit(function, task))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    """End with the process that asked, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
