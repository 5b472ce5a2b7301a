"use strict";
// Learning curves of all runs over one another: a column at a time, on a linear or a log scale.
(() => {
  const { curves, runs } = page.data;
  const place = document.getElementById("curve-plot");
  if (!place || !plots.can || !curves.length) return;
  const chooser = document.getElementById("curve");
  const log = document.getElementById("curve-log");
  const figures = [...document.querySelectorAll("[data-curve]")];
  const plot = new plots.Plot(place);
  const key = (curve) => `${curve.file} ${curve.column}`;
  const usual = Math.max(curves.findIndex((one) => one.file.startsWith("train/") && one.column.startsWith("val_")), 0);

  for (const curve of curves) chooser.add(new Option(`${curve.column} of ${curve.file}`, key(curve)));
  chooser.addEventListener("change", () => page.change({ curve: chooser.value }));
  log.addEventListener("change", () => page.change({ log: log.checked }));

  function trace(line, many) {
    return {
      type: "scatter", mode: line.x.length < 40 && !many ? "lines+markers" : "lines", x: line.x, y: line.y,
      name: plots.text(line.member ? `${runs[line.run].name}, ${line.member}` : runs[line.run].name),
      meta: line.run, opacity: many ? 0.6 : 1, marker: { size: 5 }, hoverinfo: "x+y+name",
      line: { color: theme.colour(`--s${line.run % 8}`), dash: theme.dash(line.run), width: many ? 1.25 : 2 },
    };
  }

  page.listen(["curve", "log", "colours"], (state) => {
    const asked = curves.findIndex((curve) => key(curve) === state.curve);
    const chosen = asked < 0 ? usual : asked;
    const curve = curves[chosen];
    const many = curve.lines.length > 2 * runs.length;
    chooser.value = key(curve);
    log.checked = state.log;
    figures.forEach((figure, number) => {
      figure.hidden = number !== chosen;
      figure.ariaHidden = figure.hidden ? "true" : null;
    });
    place.ariaLabel = `${curve.column} of ${curve.file} by ${curve.along}, a line a run; the table below has best and last values`;
    plot.draw(
      curve.lines.map((line) => trace(line, many)),
      plots.axis(curve.along),
      plots.axis(`${curve.column}, ${curve.way} is better`, { type: state.log ? "log" : "linear" }),
    );
  });
})();
