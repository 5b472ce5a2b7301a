"""The modules of ``geocore/edge/rtl`` as processes: when each word of theirs passes.

Between two processes lies a ``Channel``: for word after word the cycle in which it is offered
(``valid`` rises) and the one in which it is taken (``ready`` meets it). A process appends to the
``taken`` of what it reads and to the ``offered`` of what it gives; where it needs a cycle that is
not known yet, it yields the list and the place that it waits for.

In each of them, one word passes a cycle at most, and what a register holds is seen a cycle later.
``geocore/edge/rtl/dataflow.cpp`` holds the same rules to be compiled.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from geocore.edge.dataflow_network import Part

__all__ = [
    "Channel",
    "Process",
    "Times",
    "dense",
    "enter",
    "followed",
    "fork",
    "leave",
    "pool",
    "sink",
    "source",
    "upsample",
    "window",
]


class Times(list[int]):
    """Cycles of one event after another, and who waits for the next one."""

    def __init__(self, runnable: list[Process]) -> None:
        super().__init__()
        self._runnable = runnable
        self._waiting: list[Process] = []

    def put(self, cycle: int) -> None:
        """The next event's cycle; it wakes who waits."""
        self.append(cycle)
        if self._waiting:
            self._runnable.extend(self._waiting)
            self._waiting.clear()

    def wait(self, process: Process) -> None:
        """Wake the process with the next event."""
        self._waiting.append(process)


Process = Generator[tuple[Times, int], None, None]


class Channel:
    """Words between two processes: the cycle in which each is offered, and that of its taking."""

    def __init__(self, runnable: list[Process]) -> None:
        self.offered, self.taken = Times(runnable), Times(runnable)


def followed(parts: Sequence[Part], channels: int) -> tuple[list[Channel], list[int]]:
    """Run the parts until nobody can go on: the channels, and for each part the largest number of
    its places that were in use, 0 but for queues.
    """
    runnable: list[Process] = []
    made = [Channel(runnable) for _ in range(channels)]
    for part in parts:
        runnable += _processes(part, made, runnable)
    while runnable:
        process = runnable.pop()
        for times, place in process:
            if len(times) <= place:
                times.wait(process)
                break
    most = [
        _most(made[part.reads[0]], made[part.gives[0]]) if part.kind == "queue" else 0
        for part in parts
    ]
    return made, most


def _processes(
    part: Part, channels: Sequence[Channel], runnable: list[Process]
) -> Iterator[Process]:
    given, out = [channels[n] for n in part.reads], [channels[n] for n in part.gives]
    n = part.numbers
    if part.kind == "source":
        yield source(out[0], n[0])
    elif part.kind == "sink":
        yield sink(given[0], n[0])
    elif part.kind == "fork":
        yield fork(given[0], out, n[0])
    elif part.kind == "queue":
        written = Times(runnable)
        yield enter(given, out[0], written, n[0], n[2])
        yield leave(written, out[0], n[1], n[2])
    elif part.kind == "window":
        yield window(
            given[0], out[0], (n[0], n[1]), (n[2], n[3]), n[4], (n[5], n[6], n[7], n[8]), n[9]
        )
    elif part.kind == "pool":
        yield pool(given[0], out[0], (n[0], n[1]), n[2], n[3])
    elif part.kind == "upsample":
        yield upsample(given[0], out[0], (n[0], n[1]), n[2], n[3])
    else:
        yield dense(given[0], out[0], *n)


def _most(before: Channel, behind: Channel) -> int:
    """The largest number of places of a queue in use: one is free from the cycle after a read."""
    most, read = 0, 0
    for written, cycle in enumerate(before.taken, 1):
        while read < len(behind.taken) and behind.taken[read] < cycle:
            read += 1
        most = max(most, written - read)
    return most


def source(out: Channel, words: int) -> Process:
    """A word as soon as the one before has gone."""
    cycle = 0
    for k in range(words):
        out.offered.put(cycle)
        yield out.taken, k
        cycle = out.taken[k] + 1


def sink(given: Channel, words: int) -> Process:
    """Takes every word when it is there."""
    for k in range(words):
        yield given.offered, k
        given.taken.put(given.offered[k])


def fork(given: Channel, ways: Sequence[Channel], words: int) -> Process:
    """``geocore_fork``: to every reader at once; a word is gone when the last one has it."""
    for k in range(words):
        yield given.offered, k
        for way in ways:
            way.offered.put(given.offered[k])
        last = 0
        for way in ways:
            yield way.taken, k
            last = max(last, way.taken[k])
        given.taken.put(last)


def enter(
    given: Sequence[Channel], out: Channel, written: Times, depth: int, words: int
) -> Process:
    """The front of a queue of ``depth`` words: ``geocore_fifo``, or ``geocore_credit``.

    Words of several channels enter together, as behind a join. ``written`` are the cycles in which
    they do; a place is free from the cycle after its word has left.
    """
    before = -1
    for k in range(words):
        cycle = before + 1
        for channel in given:
            yield channel.offered, k
            cycle = max(cycle, channel.offered[k])
        if k >= depth:
            yield out.taken, k - depth
            cycle = max(cycle, out.taken[k - depth] + 1)
        for channel in given:
            channel.taken.put(cycle)
        written.put(cycle)
        before = cycle


def leave(written: Times, out: Channel, delay: int, words: int) -> Process:
    """The end of that queue: a word is there ``delay`` cycles after it has entered."""
    for k in range(words):
        yield written, k
        there = written[k] + delay
        if k:
            yield out.taken, k - 1
            there = max(there, out.taken[k - 1] + 1)
        out.offered.put(there)


def window(
    given: Channel,
    out: Channel,
    shape: tuple[int, int],
    kernel_shape: tuple[int, int],
    stride: int,
    padding: tuple[int, int, int, int],
    images: int,
) -> Process:
    """``geocore_window``: a position of the padded image a cycle, while no window waits."""
    (height, width), (rows, columns) = shape, kernel_shape
    above, below, left, right = padding
    step, pixel, sent = -1, 0, 0
    for _ in range(images):
        for row in range(height + above + below):
            in_rows = above <= row < above + height
            row_ends = row >= rows - 1 and (row - rows + 1) % stride == 0
            for column in range(width + left + right):
                step += 1
                if sent:
                    yield out.taken, sent - 1
                    step = max(step, out.taken[sent - 1])
                if in_rows and left <= column < left + width:
                    yield given.offered, pixel
                    step = max(step, given.offered[pixel])
                    given.taken.put(step)
                    pixel += 1
                if row_ends and column >= columns - 1 and (column - columns + 1) % stride == 0:
                    out.offered.put(step + 1)
                    sent += 1


def pool(given: Channel, out: Channel, shape: tuple[int, int], size: int, images: int) -> Process:
    """``geocore_pool``: a pixel a cycle, while no result waits."""
    height, width = shape
    step, pixel, sent = -1, 0, 0
    for _ in range(images):
        for row in range(height):
            last = row % size == size - 1 and row // size < height // size
            for column in range(width):
                step += 1
                if sent:
                    yield out.taken, sent - 1
                    step = max(step, out.taken[sent - 1])
                yield given.offered, pixel
                step = max(step, given.offered[pixel])
                given.taken.put(step)
                pixel += 1
                if last and column % size == size - 1 and column // size < width // size:
                    out.offered.put(step + 1)
                    sent += 1


def upsample(
    given: Channel, out: Channel, shape: tuple[int, int], factor: int, images: int
) -> Process:
    """``geocore_upsample``: a row as it comes, ``factor`` times, and as often again."""
    height, width = shape
    before, sent, pixel = -1, 0, 0
    for _ in range(images * height):
        for copy in range(factor):
            for column in range(width):
                for along in range(factor):
                    cycle = before + 1
                    if copy == 0:
                        yield given.offered, pixel + column
                        cycle = max(cycle, given.offered[pixel + column])
                    out.offered.put(cycle)
                    yield out.taken, sent
                    before = out.taken[sent]
                    sent += 1
                    if copy == 0 and along == factor - 1:
                        given.taken.put(before)
        pixel += width


def dense(given: Channel, out: Channel, beats: int, steps: int, values: int) -> Process:
    """``geocore_dense``: ``steps`` cycles a word, then three registers.

    All of it stands still while a sum is finished and the one before has not been taken.
    """
    held: list[tuple[int, int]] = []  # cycles [from, to) in which nothing moves

    def moving(cycle: int) -> int:
        for first, end in held:
            if first <= cycle < end:
                cycle = end
        return cycle

    def later(cycle: int, moves: int) -> int:
        """The cycle behind so many in which it moves, from one in which it does."""
        for _ in range(moves):
            cycle = moving(cycle + 1)
        return cycle

    step, word = -1, 0
    for value in range(values):
        for _ in range(beats):
            yield given.offered, word
            # The last step of the word before and the next word's entry share a cycle.
            entry = moving(max(step, given.offered[word], 0))
            given.taken.put(entry)
            word += 1
            step = moving(entry + 1)
            for _ in range(steps - 1):
                step = later(step, 1)
        ready = later(step, 3)
        if value:
            yield out.taken, value - 1
            if out.taken[value - 1] > ready:
                held = [pair for pair in held if pair[1] > step]
                held.append((ready, out.taken[value - 1]))
                ready = out.taken[value - 1]
        out.offered.put(ready + 1)
