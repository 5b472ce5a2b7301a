// In a panel, the run that is pointed at, or that has the focus in its legend, stands out.
"use strict";
(() => {
  const attribute = "data-run";

  function emphasise(panel, run) {
    for (const element of panel.querySelectorAll(`.sketch [${attribute}]`)) {
      element.classList.toggle("dim", run !== null && element.getAttribute(attribute) !== run);
    }
  }

  for (const panel of document.querySelectorAll(".panel")) {
    const ask = (event) => {
      const element = event.target.closest(`.sketch [${attribute}], .runs [${attribute}]`);
      emphasise(panel, element ? element.getAttribute(attribute) : null);
    };
    const forget = () => emphasise(panel, null);
    panel.addEventListener("pointerover", ask);
    panel.addEventListener("pointerleave", forget);
    panel.addEventListener("focusin", ask);
    panel.addEventListener("focusout", forget);
  }
})();
