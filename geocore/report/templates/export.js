"use strict";
// What is shown, to take along: the runs and columns now seen, as CSV or as JSON, and the address
// of this view.
(() => {
  const { columns, runs } = page.data;

  function seen() {
    const number = runs.map((_, run) => run).filter((run) => page.shown[run]);
    return [number, columns.filter((column) => page.state.all || !column.equal)];
  }

  // A spreadsheet would run text that begins like a formula: it gets an apostrophe. Numbers do not.
  function cell(value) {
    if (typeof value === "number") return String(value);
    const text = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function asCsv() {
    const [number, shown] = seen();
    const head = ["run", "kind", "commit", "baseline", ...shown.map((column) => column.key)];
    const lines = number.map((run) => [
      runs[run].name, runs[run].kind, runs[run].commit, run === page.state.base ? "baseline" : "",
      ...shown.map((column) => column.values[run]),
    ]);
    return [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  function asJson() {
    const [number, shown] = seen();
    const part = (run, section) => Object.fromEntries(
      shown.filter((column) => column.section === section).map((column) => [column.name, column.values[run]]),
    );
    const told = number.map((run) => ({
      name: runs[run].name, kind: runs[run].kind, commit: runs[run].commit, about: runs[run].about,
      params: part(run, "params"), gates: part(run, "gates"), metrics: part(run, "metrics"),
    }));
    return JSON.stringify({ baseline: runs[page.state.base].name, runs: told }, null, 2) + "\n";
  }

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  document.getElementById("export-csv").addEventListener("click", () => save("comparison.csv", "text/csv", asCsv()));
  document.getElementById("export-json").addEventListener("click", () => save("comparison.json", "application/json", asJson()));

  const link = document.getElementById("link");
  link.addEventListener("click", async () => {
    const address = page.address();
    try {
      await navigator.clipboard.writeText(address);
      link.textContent = "copied";
    } catch {
      link.textContent = "it is in the address bar";
    }
    setTimeout(() => { link.textContent = "copy link"; }, 2500);
  });
})();
