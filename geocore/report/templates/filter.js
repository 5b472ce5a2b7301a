"use strict";
// Which runs are shown: those that pass every brushed axis. Whatever belongs to a run has
// data-run, its number; one rule of style hides all of it at once. What belongs to several has
// data-runs, and goes with the last of them. What is off the screen has no style until it comes
// near, and is read out without it: so what is hidden is marked as that, too.
(() => {
  const rule = document.createElement("style");
  document.head.append(rule);
  const shared = [...document.querySelectorAll("[data-runs]")].map((element) => [
    element, element.dataset.runs.split(" ").map(Number),
  ]);
  const own = page.data.runs.map(() => []);
  for (const element of document.querySelectorAll("[data-run]")) own[+element.dataset.run]?.push(element);
  const count = document.getElementById("count");
  const reset = document.getElementById("reset");

  function passes(run, brushes) {
    return Object.entries(brushes).every(([name, [low, high]]) => {
      const place = scales.of(name).places[run];
      return place !== null && place >= low - 1e-4 && place <= high + 1e-4;
    });
  }

  page.listen(["brushes"], (state, changed) => {
    const before = page.shown;
    page.shown = page.data.runs.map((_, run) => passes(run, state.brushes));
    page.shown.forEach((shown, run) => {
      if (shown !== before[run]) for (const element of own[run]) element.ariaHidden = shown ? null : "true";
    });
    const hidden = page.shown.flatMap((shown, run) => (shown ? [] : [`[data-run="${run}"]`]));
    rule.textContent = hidden.length ? `${hidden.join(",")}{display:none !important}` : "";
    for (const [element, runs] of shared) {
      element.hidden = !runs.some((run) => page.shown[run]);
      element.ariaHidden = element.hidden ? "true" : null;
    }
    const left = page.shown.filter(Boolean).length;
    count.textContent = `${left} of ${page.shown.length} runs`;
    reset.hidden = Object.keys(state.brushes).length === 0;
    changed.add("shown");
    document.dispatchEvent(new CustomEvent("geocore:shown", { detail: { shown: page.shown } }));
  });
  reset.addEventListener("click", () => {
    page.change({ brushes: {} });
    document.getElementById("only").focus(); // this button is gone
  });
})();
