"use strict";
// Which runs are shown: those that pass every brushed axis. Whatever belongs to a run has
// data-run, its number; one rule of style hides all of it at once. What belongs to several has
// data-runs, and goes with the last of them.
(() => {
  const rule = document.createElement("style");
  document.head.append(rule);
  const shared = [...document.querySelectorAll("[data-runs]")].map((element) => [
    element, element.dataset.runs.split(" ").map(Number),
  ]);
  const count = document.getElementById("count");
  const reset = document.getElementById("reset");

  function passes(run, brushes) {
    return Object.entries(brushes).every(([name, [low, high]]) => {
      const place = scales.of(name).places[run];
      return place !== null && place >= low - 1e-4 && place <= high + 1e-4;
    });
  }

  page.listen(["brushes"], (state, changed) => {
    page.shown = page.data.runs.map((_, run) => passes(run, state.brushes));
    const hidden = page.shown.flatMap((shown, run) => (shown ? [] : [`[data-run="${run}"]`]));
    rule.textContent = hidden.length ? `${hidden.join(",")}{display:none !important}` : "";
    for (const [element, runs] of shared) element.hidden = !runs.some((run) => page.shown[run]);
    const left = page.shown.filter(Boolean).length;
    count.textContent = `${left} of ${page.shown.length} runs`;
    reset.hidden = Object.keys(state.brushes).length === 0;
    changed.add("shown");
    document.dispatchEvent(new CustomEvent("geocore:shown", { detail: { shown: page.shown } }));
  });
  reset.addEventListener("click", () => page.change({ brushes: {} }));
})();
