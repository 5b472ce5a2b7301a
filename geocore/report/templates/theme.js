"use strict";
// Dark or light: as the system has it, or as chosen here; and the colours that a drawing needs.
const theme = (() => {
  const choice = document.getElementById("theme");
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  choice.addEventListener("change", () => page.change({ theme: choice.value }));
  page.listen(["theme"], (state, changed) => {
    choice.value = state.theme;
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
    changed.add("colours");
    document.dispatchEvent(new CustomEvent("geocore:theme"));
  });
  function renew() {
    page.tell("colours");
    document.dispatchEvent(new CustomEvent("geocore:theme"));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renew);
  // Paper is white: drawings, too, are made anew for it.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll(".notes:not([open])")];
    for (const notes of folded) notes.open = true;
    document.documentElement.dataset.theme = "light";
    renew();
  });
  addEventListener("afterprint", () => {
    for (const notes of folded) notes.open = false;
    page.tell("theme");
  });

  return {
    // The colour that a name of the style sheet, "--ink", stands for now.
    colour(name) {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    },
    dash: (run) => ["solid", "dash", "dot", "dashdot"][Math.floor(run / 8) % 4],
  };
})();
