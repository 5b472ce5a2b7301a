"""What a stage declares, and what it is handed when it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from geocore.config.load import tracked_leaves
from geocore.config.section import Section
from geocore.data.tabletype import TableType
from geocore.pipeline.progress import Progress
from geocore.runs.store import Store

__all__ = ["Job", "Manifest", "Port", "Stage"]

Manifest = dict[str, Any]
Sections = Mapping[str, Section]
S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Port:
    """One input or output of a stage.

    ``path`` is relative to the folder of ``params.yaml``. ``type`` gives a table's type from the
    stage's sections, as far as they fix it: for an output what it will be, for an input what is
    required. ``geocore check`` joins the two before anything is computed. An ``optional`` input is
    read where the stage's deps in ``dvc.yaml`` list it, and absent where they do not; they must
    list it where a stage of the same file gives it, unless it is a ``choice``. One that is
    ``needed`` for some parameters must be there for them, and is not read for others; an output
    that is, is made for them alone. Of ``each`` study below the stage's own folder that the deps
    list there is one such input.
    """

    path: str
    kind: Literal["table", "weights", "numbers", "metrics", "plots", "pictures", "page"]
    type: Callable[[Sections], TableType] | None = None
    optional: bool = False
    choice: bool = False
    needed: Callable[[Sections], bool] | None = None
    each: bool = False


@dataclass(frozen=True)
class Job:
    """Everything that a stage's body may look at.

    ``root`` is the project's; ``study`` is the folder below it whose ``params.yaml`` was read and
    where inputs and outputs lie, empty for the pipeline of the root itself.
    ``sections`` are its validated parameters and ``values`` the leaves of them that DVC tracks;
    ``inputs`` are the digests of what lies at its inputs; one that is optional and absent is not
    among them. ``places`` says where they lie, from the root: in the study's folder, or in one
    above it (``geocore.pipeline.inputs``). ``note(**values)`` goes to the ledger.
    """

    stage: Stage
    root: Path
    sections: Sections
    values: Mapping[str, Any]
    inputs: Mapping[str, str]
    store: Store
    work: Path
    key: str
    code: str
    progress: Progress
    study: str = ""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: Callable[..., None] = field(default=lambda **_: None)

    def section(self, kind: type[S]) -> S:
        """The stage's section of that kind."""
        value = self.sections[kind.title]
        if not isinstance(value, kind):
            raise TypeError(f"section {kind.title} is {type(value).__name__}; expected {kind}")
        return value

    def about(self) -> dict[str, Any]:
        """What the run ledger keeps of this job: what was asked, what it reads, which code."""
        return {
            "key": self.key,
            "study": self.study,
            "params": self.values,
            "inputs": dict(self.inputs),
            "code": {"digest": self.code},
        }

    def noting(self, note: Callable[..., None]) -> Job:
        """The same job, with what it notes going to a run of the ledger."""
        return dataclasses.replace(self, note=note)

    @property
    def params_file(self) -> str:
        """What errors call the file of the parameters, from the project's root."""
        return (Path(self.study) / "params.yaml").as_posix()

    def input(self, name: str) -> Path:
        """Where the input of that name lies."""
        if name in self.places:
            return self.root / self.places[name][0]
        return self.root / self.study / self.stage.takes[name].path

    def each(self, name: str) -> dict[str, Path]:
        """The inputs of that name by the study that each lies in, relative to this one."""
        behind = f"/{self.stage.takes[name].path}"
        before = f"{self.study}/" if self.study else ""
        return {
            path.removeprefix(before).removesuffix(behind): self.root / path
            for path in self.places[name]
        }

    def output(self, name: str) -> Path:
        """Where the output of that name goes."""
        return self.root / self.study / self.stage.gives[name].path


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline.

    ``make(job)`` does the work through the piece store and returns a small JSON manifest; it is
    what a cached task runs. ``write(job, manifest)`` then writes the outputs that DVC expects.
    A stage that streams its outputs, too large for the store, writes them in ``make`` and sets
    ``whole(job, manifest)``: whether what the manifest names still lies there undamaged.
    Sections in ``written_with`` are read by ``write`` alone: DVC tracks them, the key does not.
    ``code`` names the modules whose import closure decides the result (the key's code digest), or
    says for the sections which do; ``libraries`` the packages beyond the usual numeric ones whose
    versions do, and ``tools`` the programs of this machine whose presence does, with their places.
    """

    name: str
    summary: str
    sections: tuple[type[Section], ...]
    takes: Mapping[str, Port]
    gives: Mapping[str, Port]
    code: tuple[str, ...] | Callable[[Sections], tuple[str, ...]]
    make: Callable[[Job], Manifest]
    write: Callable[[Job, Manifest], None]
    whole: Callable[[Job, Manifest], bool] | None = None
    written_with: tuple[type[Section], ...] = ()
    libraries: tuple[str, ...] = ()
    tools: Callable[[Sections], Mapping[str, str]] = lambda _: {}

    def deciding(self, sections: Sections) -> tuple[str, ...]:
        """The modules that decide the result under these parameters."""
        return self.code(sections) if callable(self.code) else self.code

    def outputs(self, sections: Sections | None) -> dict[str, Port]:
        """What the stage gives under these parameters; all that it might where they are unknown."""
        return {
            name: port
            for name, port in self.gives.items()
            if port.needed is None or sections is None or port.needed(sections)
        }

    def params(self, sections: Sections) -> list[str]:
        """The keys of ``params.yaml`` that DVC tracks for this stage, which has these sections."""
        kinds = (*self.sections, *self.written_with)
        return [leaf for kind in kinds for leaf in tracked_leaves(type(sections[kind.title]))]
