"""``geocore doctor``: the report of ``geocore.cli.inspection``, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geocore.cli.inspection import examine

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["examine", "render"]


def render(report: dict[str, Any], console: Console) -> None:
    """Print a report of ``examine`` for a person."""
    from rich.markup import escape
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(report):
        facts.add_row(f"[bold]{label}[/]", text)
    console.print(facts)

    packages = Table("feature", "", "installed", box=None, padding=(0, 2, 0, 0))
    for name, feature in report["features"].items():
        there = [f"{p['name']} {p['installed']}" for p in feature["packages"] if p["installed"]]
        missing = feature["missing"]
        mark = "[red]lacks " + ", ".join(missing) + "[/]" if missing else "[green]ready[/]"
        packages.add_row(name, mark, ", ".join(there))
    console.print()
    console.print(packages)
    for name, feature in report["features"].items():
        if feature["missing"]:
            line = escape(feature["install"])  # geocore[data] is no markup
            console.print(f"[bold]{name}[/] needs: {line}", highlight=False, soft_wrap=True)

    for package in report["differing"]:
        console.print(
            f"[yellow]{package['name']}[/] is {package['installed'] or 'not installed'}; "
            f"requirements.lock pins {package['pinned']}",
            highlight=False,
        )
    if report["left_out"]:
        console.print("\n`pip check` complains of these, and that is known:")
        for left in report["left_out"]:
            console.print(
                f"  {left['package']} for {left['required_by']}: {left['why']}", highlight=False
            )


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    python, cpu, gpu, data = (report[key] for key in ("python", "cpu", "gpu", "data"))
    wanted = "" if python["supported"] else " [red]expected 3.11, 3.12 or 3.13[/]"
    facts = [
        ("geocore", report["geocore"]),
        ("repository", report["repository"] or "none here or above (no dvc.yaml)"),
        ("Python", f"{python['version']}{wanted}, {python['executable']}"),
        ("machine", report["platform"]),
        ("CPU", f"{cpu['usable']} of {cpu['cores']} cores usable, {_size(report['memory'])}"),
        ("GPU", _gpu_line(gpu)),
    ]
    for tool in report["tools"]:
        facts.append((tool["name"], tool["path"] or f"[yellow]missing, for {tool['for']}[/]"))
    for cache in report["caches"]:
        facts.append((cache["path"], f"{_size(cache['bytes'])} ({cache['holds']})"))
    if data["folder"] is None:
        facts.append(("GEOCORE_DATA", "not set: the embedded digits need none"))
    elif not data["exists"]:
        facts.append(("GEOCORE_DATA", f"{data['folder']} [red]is no folder[/]"))
    else:
        seen = ", ".join(f"{d['name']} ({d['files']} {d['kind']})" for d in data["datasets"])
        facts.append(("GEOCORE_DATA", f"{data['folder']}: {seen or 'no data set in it'}"))
    return facts


def _gpu_line(gpu: dict[str, Any] | None) -> str:
    if gpu is None:
        return "unknown without torch"
    if not gpu["devices"]:
        return f"none for torch {gpu['torch']}"
    names = ", ".join(f"{d['name']} {_size(d['memory'])}" for d in gpu["devices"])
    return f"{names} (torch {gpu['torch']}, CUDA {gpu['cuda']})"


def _size(count: int | None) -> str:
    if count is None:
        return "changing"
    if count < 2**30:
        return f"{count / 2**20:.1f} MiB"
    return f"{count / 2**30:.1f} GiB"
