"use strict";
// What is shown, to take along, as CSV or as JSON: the runs and columns now seen with their
// differences from the baseline, means and spreads over seeds, the gates' bounds; and the address
// of this view.
(() => {
  const { columns, runs, groups, files } = page.data;

  const runsSeen = () => runs.map((_, run) => run).filter((run) => page.shown[run]);
  const columnsSeen = () => columns.filter((column) => page.state.all || !column.equal);
  const groupsSeen = () => groups.map((_, place) => place).filter((place) => differences.shown(place).length > 1);
  const gate = (column, run) => column.gates[run] || { bound: null, sense: null, passed: null };
  // Of a parameter the value that the runs of a group share, null if they do not.
  function common(column, place) {
    const told = differences.shown(place).map((run) => JSON.stringify(column.values[run]));
    return new Set(told).size === 1 ? JSON.parse(told[0]) : null;
  }

  // A spreadsheet would run text that begins like a formula: it gets an apostrophe. Numbers do not.
  function cell(value) {
    if (typeof value === "number") return String(value);
    const text = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  // A line a run, then one a group of seeds. A metric has its value (or mean), what it is more than
  // the baseline and what that means; with seeds the spreads of both. A gate has its bound.
  function asCsv() {
    const places = groupsSeen(), spreads = places.length > 0;
    const head = ["run", "kind", "commit", "baseline"], of = columnsSeen();
    for (const { key, section } of of) {
      if (section === "gates") head.push(key, `${key} sense`, `${key} bound`, `${key} passed`);
      else if (section === "metrics") {
        head.push(key, ...(spreads ? [`${key} spread`] : []), `${key} delta`,
          ...(spreads ? [`${key} delta spread`] : []), `${key} verdict`);
      } else head.push(key);
    }
    const lines = runsSeen().map((run) => {
      const line = [runs[run].name, runs[run].kind, runs[run].commit, run === page.state.base ? "baseline" : ""];
      for (const column of of) {
        line.push(column.values[run]);
        if (column.section === "gates") {
          const { sense, bound, passed } = gate(column, run);
          line.push(sense, bound, passed === null ? null : passed ? "holds" : "fails");
        } else if (column.section === "metrics") {
          const { delta, verdict } = differences.ofRun(column, run), none = spreads ? [null] : [];
          line.push(...none, delta, ...none, verdict);
        }
      }
      return line;
    });
    for (const place of places) {
      const names = differences.shown(place).map((run) => runs[run].name);
      const line = [`mean of ${names.join(", ")}`, "mean", "", ""];
      for (const column of of) {
        if (column.section === "metrics") {
          const { mean, spread, delta, around, verdict } = differences.ofGroup(column, place);
          line.push(mean, spread, delta, around, verdict);
        } else if (column.section === "gates") line.push(null, null, null, null);
        else line.push(common(column, place));
      }
      lines.push(line);
    }
    return [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  function asJson() {
    const of = columnsSeen();
    const part = (section, value) => Object.fromEntries(
      of.filter((column) => column.section === section).map((column) => [column.name, value(column)]),
    );
    const digests = (run, section) => Object.fromEntries(
      files.filter((file) => file.section === section).map((file) => [file.name, file.values[run]]),
    );
    const told = runsSeen().map((run) => ({
      name: runs[run].name, kind: runs[run].kind, commit: runs[run].commit, about: runs[run].about,
      params: part("params", (column) => column.values[run]),
      gates: part("gates", (column) => ({ value: column.values[run], ...gate(column, run) })),
      metrics: part("metrics", (column) => ({ value: column.values[run], ...differences.ofRun(column, run) })),
      code: digests(run, "code"), data: digests(run, "data"),
    }));
    const over = groupsSeen().map((place) => ({
      runs: differences.shown(place).map((run) => runs[run].name),
      params: part("params", (column) => common(column, place)),
      metrics: part("metrics", (column) => {
        const { around, ...rest } = differences.ofGroup(column, place);
        return { ...rest, delta_spread: around };
      }),
    }));
    return JSON.stringify({ baseline: runs[page.state.base].name, runs: told, over_seeds: over }, null, 2) + "\n";
  }

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    page.say(`saved as ${name}`);
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
    page.say(`link: ${link.textContent}`);
    setTimeout(() => { link.textContent = "copy link"; }, 2500);
  });
})();
