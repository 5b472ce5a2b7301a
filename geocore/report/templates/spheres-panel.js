"use strict";
// The panel of spheres: what is chosen, what is drawn where, and the hands that turn it.
(() => {
  const panel = document.querySelector(".spheres[data-testid=spheres]");
  const source = document.getElementById("spheres-data");
  if (!panel || !source) return;
  const data = JSON.parse(source.textContent);
  if (!data.runs.length) return;
  const shared = typeof page === "undefined" ? null : page; // the page's own state, where there is one
  const { rgb, between, packed, MAGMA } = spheres;
  const { numbers } = sphereCharts;
  const UNKNOWN = 255;

  const of = (selector, root = panel) => root.querySelector(selector);
  const follow = of(".sphere-follow");
  const control = { sample: of(".sphere-sample"), turn: of(".sphere-turn"), lon: of(".sphere-lon"),
    lat: of(".sphere-lat"), near: of(".sphere-near") };
  const state = { sphere: 0, turn: 1, lon: 0, lat: 0, near: 1 };
  const CAMERA = ["lon", "lat", "near"], TURNED = ["turned", "acted", "apart", "turned-input"];
  let home = null; // the camera at first
  let wished = {}; // what the address asked for before that was known
  const rows = data.runs.map((run) => ({ run, root: of(`.sphere-run[data-run="${run.run}"]`), globes: [] }));
  const seen = new Set(); // canvases on the screen

  // Maps, decompressed when they are first needed.
  const decoded = [];
  async function decode(number) {
    if (decoded[number]) return;
    const bytes = Uint8Array.from(atob(data.maps[number]), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    decoded[number] = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  function named(value, found = []) { // the numbers of all maps in an entry
    if (value && typeof value === "object") {
      if (Object.hasOwn(value, "map")) found.push(value.map);
      Object.values(value).forEach((inner) => named(inner, found));
    }
    return found;
  }
  function values(map) { // numbers 0..steps or codes, and the one that stands for nothing known
    const raw = decoded[map.map];
    return map.steps > 254 ? [new Uint16Array(raw.buffer), 65535] : [raw, UNKNOWN];
  }

  // A table over the whole sphere at `nside` from a run's map at its own, the same or coarser.
  function table(run, nside, colour) {
    const own = run.nside ** 2, shift = 2 * Math.log2(nside / run.nside), found = new Uint32Array(12 * nside ** 2);
    run.faces.forEach((face, slot) => {
      const start = (face * own) << shift;
      for (let pixel = 0; pixel < own << shift; pixel++) found[start + pixel] = colour(slot * own + (pixel >> shift));
    });
    return found;
  }
  const tables = new Map(); // by what they show: forgotten with the sample, the baseline, the colours
  function kept(key, make) {
    if (!tables.has(key)) tables.set(key, make());
    return tables.get(key);
  }
  const probe = document.createElement("span");
  probe.hidden = true;
  panel.append(probe);
  function styled(name) { // the colour that a name of the style sheet stands for now
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  }

  // The range of a kind of map over all runs of the sample, so that equal colours are equal values.
  function range(what) {
    const maps = rows.flatMap(({ run }) => {
      const one = run.samples[state.sphere];
      if (!one) return [];
      if (what === "said") return run.task === "depth" ? [one.label, one.prediction] : [];
      if (what === "apart") return run.task === "classification" ? [] : one.turns.map((turn) => turn.difference);
      return one[what] && one[what].steps ? [one[what]] : [];
    });
    return [Math.min(...maps.map((map) => map.low)), Math.max(...maps.map((map) => map.high))];
  }
  function shaded(run, map, what) {
    const [codes, none] = values(map), [low, high] = range(what), channels = map.channels || 1;
    const real = (code) => map.low + (code / map.steps) * (map.high - map.low);
    if (channels === 3) {
      return table(run, run.nside, (at) => (codes[3 * at] === none ? 0
        : packed([0, 1, 2].map((k) => Math.round((255 * codes[3 * at + k]) / map.steps)))));
    }
    const colours = new Map();
    return table(run, run.nside, (at) => {
      const code = codes[at];
      if (code === none) return 0;
      if (!colours.has(code)) colours.set(code, packed(between(MAGMA, (real(code) - low) / (high - low || 1))));
      return colours.get(code);
    });
  }
  function said(run, map) { // classes, or depths
    if (map.steps) return shaded(run, map, "said");
    const [codes] = values(map), colours = run.colours.map((text) => packed(rgb(text)));
    return table(run, run.nside, (at) => (codes[at] === UNKNOWN ? 0 : colours[codes[at]]));
  }

  // What each place shows: a table, its nside, whether the sphere is turned, its scale and words.
  const base = () => rows.find(({ run }) => run.run === (shared ? shared.state.base : 0)) || rows[0];
  const turnOf = (one) => one.turns[Math.min(state.turn, one.turns.length - 1)];
  function content(row, what) {
    const { run } = row, one = run.samples[state.sphere];
    const turn = turnOf(one);
    if (!turn && TURNED.includes(what)) return null;
    const key = `${run.run} ${what}`, plain = (map, kind) => ({ nside: run.nside, table: kept(key, () => shaded(run, map, kind)) });
    const angle = turn ? `${numbers(turn.angle)}°` : "";
    const logs = (map) => (map.steps ? { ends: range("said").map((end) => `${numbers(Math.exp(end))} m`) } : {});
    if (what === "input" || what === "turned-input") {
      const turned = what === "input" ? null : turn;
      const found = { ...plain(one.input, "input"), table: kept(`${run.run} input`, () => shaded(run, one.input, "input")) };
      return { ...found, turned, words: turned ? angle : "" };
    }
    if (what === "label" || what === "prediction" || what === "acted") {
      const map = what === "label" ? one.label : one.prediction, from = what === "label" ? what : "prediction";
      return { nside: run.nside, table: kept(`${run.run} ${from}`, () => said(run, map)),
        turned: what === "acted" ? turn : null, words: what === "acted" ? angle : "", ...(what === "acted" ? {} : logs(map)) };
    }
    if (what === "uncertainty") {
      if (!one.uncertainty) return null;
      const unit = run.task === "depth" ? "m" : "nats";
      return { ...plain(one.uncertainty, "uncertainty"), ends: range("uncertainty").map((end) => `${numbers(end)} ${unit}`) };
    }
    if (what === "difference") return kept(key, () => {
      const against = base();
      return sphereDifference(run, one, against.run, against.run.samples[state.sphere], { values, styled });
    });
    if (what === "turned") return { nside: run.nside, table: kept(`${key} ${state.turn}`, () => said(run, turn.found)), words: angle };
    const [low, high] = range("apart"), unit = run.task === "depth" ? " m" : "";
    return { nside: run.nside, table: kept(`${key} ${state.turn}`, () => shaded(run, turn.difference, "apart")),
      ends: [numbers(low), numbers(high) + unit] };
  }

  // Drawing: the pixel under each point is looked up once for each resolution and turn.
  const looked = new Map();
  function lookup(size, nside, turned) { // of a sphere that is `turned` by so many degrees about an axis
    const key = `${size} ${nside} ${turned.axis}${turned.degrees}`;
    if (!looked.has(key)) {
      const camera = spheres.times(spheres.undone(turned.axis, turned.degrees), spheres.frame(state.lon, state.lat));
      looked.set(key, spheres.pixels(size, nside, camera, state.near));
    }
    return looked.get(key);
  }
  // By how much: a sphere that is turned as a whole, less the turn that the camera goes along with.
  function turning({ what, content: { turned } }, turn) {
    const along = follow.checked && TURNED.includes(what) && turn ? turn.angle : 0;
    return { axis: turn ? turn.axis : "z", degrees: (turned ? turned.angle : 0) - along };
  }
  function graticule(size) { // lines every 30 degrees, on the side that is seen
    const key = `lines ${size}`;
    if (looked.has(key)) return looked.get(key);
    const path = new Path2D(), [right, up, ahead] = spheres.frame(state.lon, state.lat), radius = size / 2;
    const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const trace = (direction, from, to) => {
      let drawing = false;
      for (let at = from; at <= to; at += 3) {
        const d = direction(at * Math.PI / 180), x = dot(right, d) * state.near, y = dot(up, d) * state.near;
        const visible = dot(ahead, d) > 0 && x * x + y * y < 1.1;
        if (visible) path[drawing ? "lineTo" : "moveTo"](radius * (1 + x), radius * (1 - y));
        drawing = visible;
      }
    };
    for (let lon = 0; lon < 180; lon += 30) {
      const [s, c] = [Math.sin(lon * Math.PI / 180), Math.cos(lon * Math.PI / 180)];
      trace((t) => [Math.cos(t) * c, Math.cos(t) * s, Math.sin(t)], 0, 360);
    }
    for (let lat = -60; lat <= 60; lat += 30) {
      const [s, c] = [Math.sin(lat * Math.PI / 180), Math.cos(lat * Math.PI / 180)];
      trace((t) => [c * Math.cos(t), c * Math.sin(t), s], 0, 360);
    }
    const sheet = document.createElement("canvas"), context = sheet.getContext("2d");
    sheet.width = sheet.height = size;
    context.lineWidth = size / 260;
    context.strokeStyle = "rgba(128,128,128,.5)";
    context.stroke(path);
    looked.set(key, sheet);
    return sheet;
  }
  function paint(globe) {
    const { canvas } = globe, found = globe.content;
    const size = Math.round(canvas.clientWidth * Math.min(devicePixelRatio || 1, 2));
    if (!size) return;
    if (canvas.width !== size) {
      canvas.width = canvas.height = size;
      globe.image = null;
    }
    const context = canvas.getContext("2d");
    if (!found) return void context.clearRect(0, 0, size, size);
    globe.image ||= context.createImageData(size, size);
    const out = new Uint32Array(globe.image.data.buffer), { place } = spheres.disc(size);
    const turned = turning(globe, globe.turn), pixels = lookup(size, found.nside, turned), colours = found.table;
    for (let at = 0; at < place.length; at++) out[place[at]] = colours[pixels[at]];
    context.putImageData(globe.image, 0, 0);
    context.drawImage(graticule(size), 0, 0);
  }
  let changes = 0; // how often what is to be seen has changed
  function fresh(globe) {
    if (globe.painted === changes || !globe.canvas.offsetParent) return false;
    paint(globe);
    globe.painted = changes;
    return true;
  }
  function draw() {
    changes++;
    for (const globe of seen) fresh(globe);
    later();
  }
  let idle = 0;
  function later() { // what is off the screen, one at a time, when nothing else is to be done
    if (idle || !window.requestIdleCallback) return;
    idle = requestIdleCallback(() => {
      idle = 0;
      if (rows.some((row) => row.globes.some(fresh))) later();
    });
  }
  let asked = 0;
  function ask() {
    asked ||= requestAnimationFrame(() => { asked = 0; draw(); });
  }

  // Words and scales of one run: once a choice, not once a frame. `turned`: of the turn alone.
  function hide(element, hidden) { // said as well: what is off the screen is read out without its style
    element.hidden = hidden;
    element.ariaHidden = hidden ? "true" : null;
  }
  function describe(row, turned = false) {
    const { run, root } = row, one = run.samples[state.sphere];
    hide(of(".sphere-none", root), Boolean(one));
    const { run: against } = base(), note = of(".sphere-other", root);
    note.textContent = one ? sphereLikeness(run, one, against, against.samples[state.sphere]).note : "";
    note.hidden = !note.textContent;
    hide(of(".sphere-rows", root), !one);
    for (const globe of row.globes) if (!one) globe.content = null;
    if (!one) return;
    for (const globe of row.globes) {
      if (turned && !TURNED.includes(globe.what)) continue;
      globe.content = content(row, globe.what);
      globe.turn = turnOf(one);
      hide(globe.figure, !globe.content);
      if (globe.content) label(row, globe);
    }
    const turn = turnOf(one), law = run.task === "classification" ? "f(x)" : "R f(x)";
    const error = document.createElement("strong");
    if (turn) error.textContent = numbers(turn.error);
    of(".sphere-error", root).replaceChildren(...(!turn ? [] : [`‖f(Rx) − ${law}‖ / ‖${law}‖ = `, error,
      ` at ${numbers(turn.angle)}°, ${turn.exact ? "exact on the grid" : "interpolated"}`]));
    if (run.task === "classification") sphereCharts.bars(run, one, turn, of(".sphere-bars", root));
    if (!turned) {
      const all = rows.flatMap((other) => Object.values((other.run.samples[state.sphere] || { spectra: {} }).spectra));
      sphereCharts.spectra(one, all, of(".sphere-spectra", root));
    }
  }
  function key(text, tone) { // a square of a colour and what it stands for
    const found = document.createElement("span"), square = document.createElement("i");
    found.className = "sphere-key";
    square.style.background = typeof tone === "string" ? tone : `rgb(${tone})`;
    found.append(square, text);
    return found;
  }
  function label({ run }, { canvas, figure, content: found }) {
    const caption = of("figcaption", figure), ramp = of(".ramp", figure);
    if (found.caption) caption.firstChild.textContent = `${found.caption} `;
    const about = of(".about", caption), keys = (found.keys || []).map(([word, tone, share]) => [`${word} ${share}`, tone]);
    about.replaceChildren(found.words || "", ...keys.map(([text, tone]) => key(text, tone)));
    ramp.hidden = !found.ends;
    if (found.ends) {
      [ramp.firstElementChild.textContent, ramp.lastElementChild.textContent] = found.ends;
      of("i", ramp).style.background = `linear-gradient(90deg, ${MAGMA.map((tone) => `rgb(${tone})`)})`;
    }
    const title = [...caption.childNodes].filter((node) => node !== about).map((node) => node.textContent).join("");
    canvas.setAttribute("aria-label", [title.trim(), found.words, ...keys.map(([text]) => text), `run ${run.name}`,
      `sample ${data.samples[state.sphere]}`, found.ends && found.ends.join(" to ")].filter(Boolean).join(", "));
  }

  // What is chosen.
  async function choose() {
    const sample = state.sphere;
    await Promise.all(rows.flatMap(({ run }) => named(run.samples[sample])).map(decode));
    if (sample !== state.sphere) return;
    if (!home) {
      home = middle();
      put({ ...home, ...wished }, true);
    }
    show();
  }
  function show(turned = false) {
    if (rows.some(({ run }) => named(run.samples[state.sphere]).some((number) => !decoded[number]))) return;
    const turns = rows.map(({ run }) => (run.samples[state.sphere] || { turns: [] }).turns);
    const first = turns.map((mine) => mine[state.turn]).find(Boolean);
    const told = first ? `${numbers(first.angle)}° about ${first.axis}${first.exact ? ", exact" : ", interpolated"}` : "";
    control.turn.max = Math.max(1, ...turns.map((mine) => mine.length)) - 1;
    control.turn.value = state.turn;
    control.turn.setAttribute("aria-valuetext", told);
    of(".sphere-angle").textContent = told;
    for (const row of rows) describe(row, turned);
    ask();
  }
  // The direction that most of the first input lies in, so that it is seen at first.
  function middle() {
    const row = rows.find(({ run }) => run.samples[state.sphere]), sum = [0, 0, 0];
    const shown = shaded(row.run, row.run.samples[state.sphere].input, "input");
    for (let lat = -87; lat < 90; lat += 6) {
      for (let lon = 0; lon < 360; lon += 6) {
        const [, , d] = spheres.frame(lon, lat);
        if (!shown[spheres.vec2pix(row.run.nside, ...d)]) continue;
        for (const k of [0, 1, 2]) sum[k] += d[k] * Math.cos(lat * Math.PI / 180);
      }
    }
    const length = Math.hypot(...sum);
    if (length < 20) return { lon: 0, lat: 0, near: 1 }; // of 573 for all: seen all around
    const degrees = (angle) => Math.round(angle * 180 / Math.PI);
    return { lon: degrees(Math.atan2(sum[1], sum[0])), lat: degrees(Math.asin(sum[2] / length)), near: 1 };
  }
  function put(values, quiet = false) { // quiet: not what the address is to tell
    const before = { ...state };
    Object.assign(state, values);
    state.lat = Math.min(90, Math.max(-90, state.lat));
    state.lon = ((((state.lon + 180) % 360) + 360) % 360) - 180;
    state.near = Math.min(8, Math.max(1, state.near));
    state.sphere = Math.min(data.samples.length - 1, Math.max(0, state.sphere | 0));
    state.turn = Math.max(0, state.turn | 0);
    for (const key of CAMERA) {
      control[key].value = state[key];
      control[key].setAttribute("aria-valuetext", key === "near" ? `${numbers(state.near, 2)} times` : `${Math.round(state[key])}°`);
    }
    control.sample.value = state.sphere;
    if (CAMERA.some((key) => state[key] !== before[key])) {
      looked.clear();
      panel.style.setProperty("--rim", 1 / state.near);
      ask();
    }
    if (state.sphere !== before.sphere) {
      tables.clear();
      choose();
    } else if (state.turn !== before.turn) show(true);
    const told = Object.keys(values).filter((key) => shared && key in shared.state);
    if (told.length && !quiet) shared.change(Object.fromEntries(told.map((key) => [key, state[key]])));
  }
  control.sample.addEventListener("change", () => put({ sphere: +control.sample.value }));
  control.turn.addEventListener("input", () => put({ turn: +control.turn.value }));
  for (const key of CAMERA) control[key].addEventListener("input", () => put({ [key]: +control[key].value }));
  follow.addEventListener("change", () => { looked.clear(); ask(); });
  function reset() {
    put(home || {}, true);
    if (shared) shared.change(Object.fromEntries(CAMERA.filter((key) => key in shared.state).map((key) => [key, null])));
  }
  of(".sphere-reset").addEventListener("click", reset);

  const onScreen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const globe = rows.flatMap((row) => row.globes).find(({ canvas }) => canvas === entry.target);
      if (entry.isIntersecting) seen.add(globe);
      else seen.delete(globe);
    }
    ask();
  }, { rootMargin: "200px" });
  const resized = new ResizeObserver(ask);
  for (const row of rows) {
    for (const figure of row.root.querySelectorAll(".sphere")) {
      const canvas = of("canvas", figure);
      row.globes.push({ canvas, figure, what: figure.dataset.what, content: null, turn: null, image: null });
      sphereHands(canvas, () => state, put, reset);
      onScreen.observe(canvas);
      resized.observe(canvas);
    }
  }
  function repaint() { // colours and baselines are in the tables of differences alone
    for (const key of [...tables.keys()]) if (key.endsWith(" difference")) tables.delete(key);
    show();
  }
  document.addEventListener("geocore:theme", repaint);
  document.addEventListener("geocore:shown", ask);
  addEventListener("beforeprint", () => rows.forEach((row) => row.globes.forEach(fresh)));
  const classes = new Map(data.runs.flatMap((run) => run.classes.map((name, at) => [`${name} ${run.colours[at]}`, [name, run.colours[at]]])));
  if (data.runs.some((run) => run.task === "segmentation")) {
    of(".sphere-classes").replaceChildren(...[...classes.values()].map(([name, tone]) => {
      const line = document.createElement("li");
      line.append(key(name, tone));
      return line;
    }));
  }
  if (shared) {
    const mine = Object.keys(state).filter((key) => key in shared.state);
    shared.listen(["base"], repaint);
    shared.listen(mine, (all) => {
      const asked = mine.filter((key) => all[key] !== null).map((key) => [key, all[key]]);
      if (home) put({ ...home, ...Object.fromEntries(asked) }, true);
      else wished = Object.fromEntries(asked);
    });
  }
  if (typeof DecompressionStream === "undefined") {
    const line = document.createElement("p");
    line.className = "note";
    line.textContent = "This browser cannot unpack the maps; a later one can.";
    panel.append(line);
  } else choose();
  panel.drawSpheres = draw; // for whoever measures it
})();
