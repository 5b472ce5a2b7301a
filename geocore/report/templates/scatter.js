"use strict";
// One column of numbers against another: a dot a run.
(() => {
  const { columns, runs } = page.data;
  const section = document.getElementById("scatter-section");
  const usable = [...new Set([...page.data.main, ...columns.keys()])].map((number) => columns[number])
    .filter((column) => column.section !== "gates" && scales.isNumeric(column) && scales.varies(column));
  if (!section || !plots.can || usable.length < 2) return;
  section.hidden = false;
  const choosers = { across: document.getElementById("scatter-x"), up: document.getElementById("scatter-y") };
  const place = document.getElementById("scatter-plot");
  const plot = new plots.Plot(place);
  const metrics = usable.filter((column) => column.section === "metrics");
  const params = usable.filter((column) => column.section === "params");
  const up = metrics.find((column) => column.main) || metrics[0] || params[1];
  const usual = { up, across: params[0] || metrics.find((column) => column !== up) };

  for (const [key, chooser] of Object.entries(choosers)) {
    for (const column of usable) chooser.add(new Option(column.key, column.key));
    chooser.addEventListener("change", () => page.change({ [key]: chooser.value }));
  }

  page.listen(["across", "up", "colours"], (state) => {
    const chosen = {};
    for (const [key, chooser] of Object.entries(choosers)) {
      chosen[key] = usable.find((column) => column.key === state[key]) || usual[key];
      chooser.value = chosen[key].key;
    }
    place.ariaLabel = `${chosen.up.key} against ${chosen.across.key}, a dot a run; the tables have the numbers`;
    const traces = runs.map((run, number) => ({
      type: "scatter", mode: "markers", x: [chosen.across.values[number]], y: [chosen.up.values[number]],
      name: plots.text(run.name), meta: number, hoverinfo: "x+y+name",
      marker: { size: 11, color: theme.colour(`--s${number % 8}`), symbol: ["circle", "square", "diamond", "x"][Math.floor(number / 8) % 4] },
    }));
    const log = (column) => ({ type: scales.of(column.key).log ? "log" : "linear" });
    plot.draw(traces, plots.axis(chosen.across.key, log(chosen.across)), plots.axis(chosen.up.key, log(chosen.up)));
  });
})();
