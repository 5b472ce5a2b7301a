"use strict";
// Pictures side by side: two runs' one over the other with a line between them that moves, and one
// zoom for all, so that the same place is looked at everywhere.
(() => {
  const section = document.getElementById("pictures-section");
  if (!section) return;
  const { runs } = page.data;
  const box = document.getElementById("wipe-box");
  const slider = document.getElementById("wipe");
  const stage = box.querySelector(".wipe");
  const choosers = { figure: "wipe-figure", left: "wipe-left", right: "wipe-right" };
  for (const key of Object.keys(choosers)) choosers[key] = document.getElementById(choosers[key]);

  // Name -> run -> its picture.
  const figures = new Map();
  for (const group of section.querySelectorAll("[data-figure]")) {
    const pictures = new Map();
    for (const figure of group.querySelectorAll("figure[data-runs]")) {
      const image = figure.querySelector("img");
      if (image) for (const run of figure.dataset.runs.split(" ").map(Number)) pictures.set(run, image);
    }
    if (pictures.size > 1) figures.set(group.dataset.figure, pictures);
  }

  function fill(chooser, options, value) {
    chooser.replaceChildren(...options.map(([text, key]) => new Option(text, key)));
    chooser.value = value;
  }

  function show(state) {
    const name = figures.has(state.figure) ? state.figure : [...figures.keys()][0];
    const pictures = figures.get(name);
    const there = [...pictures.keys()].filter((run) => page.shown[run]).sort((a, b) => a - b);
    stage.hidden = there.length < 2; // of the runs that are left
    if (stage.hidden) return void fill(choosers.figure, [...figures.keys()].map((one) => [one, one]), name);
    const left = there.includes(state.left) ? state.left : there[0];
    const right = there.includes(state.right) && state.right !== left ? state.right : there.find((run) => run !== left);
    fill(choosers.figure, [...figures.keys()].map((one) => [one, one]), name);
    fill(choosers.left, there.map((run) => [runs[run].name, run]), left);
    fill(choosers.right, there.map((run) => [runs[run].name, run]), right);
    for (const [id, run] of [["wipe-over", left], ["wipe-under", right]]) {
      const image = document.getElementById(id), source = pictures.get(run);
      if (image.src !== source.src) image.src = source.src;
      image.width = source.width;
      image.height = source.height;
      image.alt = `${name} of ${runs[run].name}`;
    }
  }

  function showWipe(share) {
    slider.value = share;
    slider.setAttribute("aria-valuetext", `${Math.round(share)} percent of the left picture`);
    stage.style.setProperty("--wipe", `${share}%`);
  }

  if (figures.size) {
    box.hidden = false;
    choosers.figure.addEventListener("change", () => page.change({ figure: choosers.figure.value }));
    choosers.left.addEventListener("change", () => page.change({ left: +choosers.left.value }));
    choosers.right.addEventListener("change", () => page.change({ right: +choosers.right.value }));
    slider.addEventListener("input", () => page.change({ wipe: +slider.value }));
    page.listen(["figure", "left", "right", "shown"], show);
    page.listen(["wipe"], (state) => showWipe(state.wipe));
  } else box.remove();

  // panx and pany are the left and upper edge, in widths and heights of the frame.
  function look(zoom, panx, pany) {
    const clamp = (value) => Math.min(0, Math.max(1 - zoom, value));
    page.change({ zoom, panx: clamp(panx), pany: clamp(pany) });
  }
  function scale(factor, x = 0.5, y = 0.5) {
    const { zoom, panx, pany } = page.state;
    const now = Math.min(16, Math.max(1, zoom * factor));
    look(now, x - ((x - panx) * now) / zoom, y - ((y - pany) * now) / zoom);
  }
  page.listen(["zoom", "panx", "pany"], ({ zoom, panx, pany }) => {
    section.style.setProperty("--zoom", zoom);
    section.style.setProperty("--panx", `${100 * panx}%`);
    section.style.setProperty("--pany", `${100 * pany}%`);
    section.classList.toggle("zoomed", zoom > 1);
  });

  document.getElementById("zoom").addEventListener("click", (event) => {
    const how = event.target.dataset.zoom;
    if (how === "in") scale(1.5);
    else if (how === "out") scale(1 / 1.5);
    else if (how === "reset") look(1, 0, 0);
  });

  for (const frame of section.querySelectorAll(".frame")) {
    let last = null;
    const at = (event) => {
      const area = frame.getBoundingClientRect();
      return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    };
    frame.addEventListener("pointerdown", (event) => {
      last = at(event);
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!last) return;
      const now = at(event), { zoom, panx, pany } = page.state;
      if (zoom > 1) look(zoom, panx + now[0] - last[0], pany + now[1] - last[1]);
      else if (stage.contains(frame)) page.change({ wipe: Math.min(100, Math.max(0, 100 * now[0])) });
      last = now;
    });
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { last = null; });
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the page still scrolls
      event.preventDefault();
      scale(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...at(event));
    }, { passive: false });
    frame.addEventListener("dblclick", (event) => scale(2, ...at(event)));
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("keydown", (event) => {
      const { zoom, panx, pany } = page.state;
      const moves = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
      if (event.key === "+") scale(1.5);
      else if (event.key === "-") scale(1 / 1.5);
      else if (event.key === "0" || event.key === "Escape") look(1, 0, 0);
      else if (event.key in moves) look(zoom, panx + moves[event.key][0], pany + moves[event.key][1]);
      else return;
      event.preventDefault();
    });
  }
})();
