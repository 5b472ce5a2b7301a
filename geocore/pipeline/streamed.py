"""What the data stages share: a table written part by part, so that a killed stage goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from geocore.config.foreign_json import parse_json
from geocore.data.table import SPLITS, Columns, Table, TableWriter, rows_per_part
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.digest import digest_file, digest_json, digest_tree
from geocore.runs.parts import Parts

__all__ = ["outputs_whole", "parts_of", "row_spans", "stream_table"]


def row_spans(kind: TableType, rows: int) -> list[tuple[int, int]]:
    """Half-open spans of about 32 MiB of images that cover ``0..rows``, the parts of a table."""
    step = rows_per_part(kind)
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def parts_of(
    job: Job, output: str, info: TableInfo, spans: Sequence[tuple[int, int]], made_from: str = ""
) -> tuple[Parts, list[str]]:
    """Where the parts of a table under way lie, and the name of each span's."""
    about = [info.to_json(), [list(span) for span in spans], made_from]
    parts = Parts(job.work / f"{output}-{digest_json(about)[:12]}", on_damage=job.progress.say)
    return parts, [f"part-{number:05d}.arrow" for number in range(len(spans))]


def stream_table(
    job: Job,
    output: str,
    info: TableInfo,
    spans: Sequence[tuple[int, int]],
    make_part: Callable[[int, int], Columns],
    label: str,
    *,
    made_from: str = "",
    written: bool = False,
) -> dict[str, Any]:
    """Write the table of the stage's output ``output``, one part a span, and say what it is.

    ``make_part(start, stop)`` returns the columns of rows ``start..stop`` (first axis: the row);
    it is called in order, and not for parts that an earlier, interrupted run of the same job has
    finished. One part at a time is in memory. At the end the folder is sealed and takes the
    output's place in one step. ``label`` names the progress bar. ``made_from`` is a digest of
    whatever the rows depend on beyond the job's key: parts made from something else are not
    taken over. Parts that are all ``written``, by other processes, are read once, to be sealed and
    held against their journals; where one differs, or is not there, all are looked at as ever.

    Returns ``{"rows": int, "digest": str, "splits": {"train": int, "val": int, "test": int}}``,
    the digest being that of ``table.json``, which holds the digests of all parts.
    """
    if not spans:
        raise ValueError(f"spans of {output} is empty; expected at least one part")
    writer = TableWriter(info)
    parts, names = parts_of(job, output, info, spans, made_from)
    if not (written and _sealed(writer, parts, names)):
        with job.progress.bar(label, sum(stop - start for start, stop in spans)) as bar:
            for name, (start, stop) in zip(names, spans, strict=True):
                if not parts.done(name):
                    columns = make_part(start, stop)
                    with parts.write(name) as path:
                        writer.write_part(path, columns)
                bar.advance(stop - start)
        _seal(writer, parts, names)
    target = job.output(output)
    parts.move_into(target)
    table = Table.open(target)
    counts = np.bincount(table.column("split"), minlength=len(SPLITS))
    return {
        "rows": len(table),
        "digest": digest_file(target / "table.json"),
        "splits": dict(zip(SPLITS, counts.tolist(), strict=True)),
    }


def _seal(writer: TableWriter, parts: Parts, names: Sequence[str]) -> dict[str, str]:
    """Write ``table.json``; the digest of each part, by its name."""
    with parts.write("table.json") as path:
        writer.seal(path.parent, names, path)
        listed = parse_json(path.read_bytes())["parts"]
    return {part["name"]: part["digest"] for part in listed}


def _sealed(writer: TableWriter, parts: Parts, names: Sequence[str]) -> bool:
    """Write ``table.json``; whether each part that it names is what the journal says."""
    try:
        found = _seal(writer, parts, names)
    except (LookupError, MemoryError, OSError, ValueError):  # what Arrow makes of a damaged one
        return False
    return all(digest == parts.noted(name) for name, digest in found.items())


def outputs_whole(job: Job, manifest: Manifest) -> bool:
    """Whether every output lies where DVC expects it, with the digest that ``manifest`` records.

    ``manifest[NAME]["digest"]`` is that of ``stream_table`` for a table, whose parts are then
    read and compared as well; of the file or folder for another output. An output without one
    must at least be there.
    """
    for name, port in job.stage.outputs(job.sections).items():
        path = job.output(name)
        if not path.exists():
            return False
        wanted = manifest.get(name, {}).get("digest")
        if port.kind == "table":
            try:
                Table.open(path, verify=True)
            except UserError:
                return False
            path = path / "table.json"
        found = digest_tree(path) if path.is_dir() else digest_file(path)
        if wanted is not None and found != wanted:
            return False
    return True
