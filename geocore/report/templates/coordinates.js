"use strict";
// Parallel coordinates: an upright axis a column, a line a run. A part of an axis that is brushed,
// by pointer or by its two handles, keeps the runs that pass there.
(() => {
  const { columns, runs } = page.data;
  const section = document.getElementById("coordinates-section");
  const plot = document.getElementById("coordinates-plot");
  const choices = document.querySelector("#axes .choices");
  const TOP = 58, BOTTOM = 300, HEIGHT = 322, GAP = 128, SIDE = 88;
  const usable = [...page.data.main, ...columns.keys()].map((number) => columns[number])
    .filter((column, number, all) => column.section !== "gates" && scales.varies(column)
      && all.indexOf(column) === number)
    .sort((a, b) => (a.section === "metrics") - (b.section === "metrics"));
  // Nine axes at first: parameters, and beside them room for four metrics if there are as many.
  const of = (section) => [...usable].sort((a, b) => b.main - a.main).filter((column) => column.section === section);
  const params = of("params").slice(0, 9 - Math.min(of("metrics").filter((column) => column.main).length || 1, 4));
  const figures = of("metrics").filter((column, number) => column.main || number < 3).slice(0, 9 - params.length);
  const usual = [...params, ...figures].map((column) => column.key);
  let axes = new Map(); // a column's key -> what of it moves with the brush
  let names = [];

  if (runs.length < 2 || usable.length < 2) return;
  section.hidden = false;

  function make(parent, tag, attributes = {}, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    parent.append(element);
    return element;
  }
  const short = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}\u2026` : text);
  const up = (place) => BOTTOM - place * (BOTTOM - TOP);

  function brush(name, range) {
    const brushes = { ...page.state.brushes };
    if (range && (range[0] > 0 || range[1] < 1)) brushes[name] = range;
    else delete brushes[name];
    page.change({ brushes });
  }

  function drawLines(svg, across) {
    for (const layer of ["ghost", "line"]) {
      const sheet = make(svg, "g", { "aria-hidden": true }); // the table of runs says it
      runs.forEach((run, number) => {
        let path = "", joined = false;
        names.forEach((name, place) => {
          const at = scales.of(name).places[number];
          if (at !== null) path += `${joined ? "L" : "M"}${across(place)} ${up(at).toFixed(1)}`;
          joined = at !== null;
        });
        const about = layer === "ghost" ? { class: "ghost" } : {
          class: `line s${number % 8}`, "data-run": number, "data-dash": theme.dash(number),
        };
        const line = make(sheet, "path", { ...about, d: path });
        make(line, "title", {}, run.name);
      });
    }
  }

  function drawAxis(svg, name, x) {
    const column = columns.find((one) => one.key === name);
    const scale = scales.of(name);
    const axis = make(svg, "g", { class: "axis", "data-testid": `axis-${name}`, role: "group", "aria-label": `axis ${name}` });
    const [label, about] = scales.words(column);
    const head = make(axis, "text", { x, y: 18, "text-anchor": "middle", class: "name" }, short(label, 17));
    make(head, "title", {}, column.key);
    make(axis, "text", { x, y: 35, "text-anchor": "middle" }, short(about, 20));
    make(axis, "line", { x1: x, x2: x, y1: TOP, y2: BOTTOM });
    const said = []; // where words stand: the ends first, others where there is room
    const ends = [...scale.ticks].sort(([a], [b]) => Math.abs(b - 0.5) - Math.abs(a - 0.5));
    for (const [place, label] of ends) {
      const y = up(place);
      make(axis, "line", { x1: x - 4, x2: x, y1: y, y2: y });
      if (said.some((other) => Math.abs(other - y) < 12)) continue;
      said.push(y);
      const text = make(axis, "text", { x: x - 8, y: y + 4, "text-anchor": "end", class: "tick" }, short(label, 12));
      make(text, "title", {}, label);
    }
    const band = make(axis, "rect", { class: "band", x: x - 9, width: 18, y: TOP, height: 0 });
    const touch = make(axis, "rect", { class: "brush", x: x - 20, width: 40, y: TOP - 6, height: BOTTOM - TOP + 12 });
    const handles = ["lower", "upper"].map((end, which) => {
      const handle = make(axis, "g", {
        class: "handle", role: "slider", tabindex: 0, "aria-orientation": "vertical",
        "aria-label": `${end} end of ${name}`, "aria-valuemin": 0, "aria-valuemax": 100,
      });
      make(handle, "path", { d: which ? `M${x - 9} -6H${x + 9}L${x} 1Z` : `M${x - 9} 6H${x + 9}L${x} -1Z` });
      handle.addEventListener("keydown", (event) => step(event, name, which));
      return handle;
    });
    drag(touch, svg, name);
    axes.set(name, { band, handles });
  }

  // To the next place where a run passes; a brush is never turned round.
  function step(event, name, which) {
    const places = [...new Set(scales.of(name).places.filter((place) => place !== null))].sort((a, b) => a - b);
    const range = [...(page.state.brushes[name] || [0, 1])];
    const now = range[which];
    const higher = places.find((place) => place > now + 1e-6) ?? 1;
    const lower = [...places].reverse().find((place) => place < now - 1e-6) ?? 0;
    const moves = { ArrowUp: higher, ArrowRight: higher, ArrowDown: lower, ArrowLeft: lower, Home: 0, End: 1 };
    if (event.key === "Escape" || event.key === "Delete") brush(name, null);
    else if (event.key in moves) {
      range[which] = which ? Math.max(moves[event.key], range[0]) : Math.min(moves[event.key], range[1]);
      brush(name, range);
    } else return;
    event.preventDefault();
  }

  function drag(touch, svg, name) {
    let from = null, frame = 0;
    const place = (event) => {
      const box = svg.getBoundingClientRect();
      const y = ((event.clientY - box.top) / box.height) * HEIGHT;
      return Math.min(Math.max((BOTTOM - y) / (BOTTOM - TOP), 0), 1);
    };
    touch.addEventListener("pointerdown", (event) => {
      from = place(event);
      touch.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    touch.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = place(event);
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => brush(name, [Math.min(from, to), Math.max(from, to)]));
    });
    touch.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const to = place(event);
      cancelAnimationFrame(frame);
      brush(name, Math.abs(to - from) < 0.015 ? null : [Math.min(from, to), Math.max(from, to)]);
      from = null;
    });
    touch.addEventListener("pointercancel", () => { from = null; });
  }

  function draw() {
    const held = [...axes].map(([name, { handles }]) => [name, handles.indexOf(document.activeElement)])
      .find(([, which]) => which >= 0); // the handle that has the focus
    axes = new Map();
    const room = Math.max(plot.clientWidth, 320);
    const gap = Math.max(GAP, names.length > 1 ? (room - 2 * SIDE - 4) / (names.length - 1) : 0);
    const width = 2 * SIDE + gap * Math.max(names.length - 1, 0);
    const svg = make(plot, "svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "group", "aria-label": `Parallel coordinates, an axis a column: ${names.length} axes`, "aria-describedby": "coordinates-help" });
    svg.style.width = `${width}px`;
    const across = (place) => (SIDE + gap * place).toFixed(1);
    drawLines(svg, across);
    names.forEach((name, place) => drawAxis(svg, name, +across(place)));
    plot.replaceChildren(svg);
    showBrushes(page.state.brushes);
    if (held) axes.get(held[0])?.handles[held[1]].focus({ preventScroll: true });
  }

  function showBrushes(brushes) {
    for (const [name, { band, handles }] of axes) {
      const [low, high] = brushes[name] || [0, 1];
      band.setAttribute("y", up(high));
      band.setAttribute("height", name in brushes ? up(low) - up(high) : 0);
      [low, high].forEach((place, which) => {
        handles[which].setAttribute("transform", `translate(0 ${up(place)})`);
        handles[which].setAttribute("aria-valuenow", Math.round(100 * place));
        handles[which].setAttribute("aria-valuetext", scales.of(name).say(place));
      });
    }
  }

  for (const column of usable) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.value = column.key;
    label.append(box, ` ${column.key}`);
    choices.append(label);
    box.addEventListener("change", () => {
      const chosen = [...choices.querySelectorAll(":checked")].map((one) => one.value);
      const brushes = Object.fromEntries(Object.entries(page.state.brushes).filter(([name]) => chosen.includes(name)));
      page.change({ axes: chosen, brushes });
    });
  }

  page.listen(["axes"], (state) => {
    const chosen = state.axes || usual;
    names = usable.map((column) => column.key).filter((name) => chosen.includes(name));
    for (const box of choices.querySelectorAll("input")) box.checked = names.includes(box.value);
    draw();
  });
  page.listen(["brushes"], (state) => showBrushes(state.brushes));
  let room = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth === room || !names.length) return;
    room = plot.clientWidth;
    draw();
  }).observe(plot);
})();
