"use strict";
// What is chosen on this page. It is kept behind the # of the address, so that a view can be sent.
// A part of the page listens to the keys that it shows, and changes them by page.change.
const page = (() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const initial = {
    base: 0, all: false, brushes: {}, axes: null, sort: "", curve: "", log: false, across: "",
    up: "", figure: "", left: 0, right: 1, wipe: 50, zoom: 1, panx: 0, pany: 0, theme: "",
    sphere: null, turn: null, lon: null, lat: null, near: null,
  };
  const state = { ...initial };
  const listeners = [];
  let written = null;
  let timer = 0;

  const isRun = (run) => Number.isInteger(run) && run >= 0 && run < data.runs.length;
  const between = (low, high) => (value) => Number.isFinite(value) && value >= low && value <= high;
  const isNumbered = { base: isRun, left: isRun, right: isRun, wipe: between(0, 100),
    zoom: between(1, 16), panx: between(-16, 0), pany: between(-16, 0),
    sphere: between(0, 999), turn: between(0, 999), lon: between(-360, 360), lat: between(-90, 90),
    near: between(1, 8) };

  // The address is a stranger's text: what it may not say is passed over.
  function read(address) {
    const found = { ...initial, brushes: {} };
    if (!address.includes("=")) return found;
    for (const [key, text] of new URLSearchParams(address)) {
      if (key === "brush") {
        const [, name, low, high] = /^(.*)~([\d.]+)~([\d.]+)$/s.exec(text) || [];
        const fits = data.columns.some((column) => column.key === name);
        if (fits && +low <= +high) found.brushes[name] = [+low, +high];
      } else if (key === "axis") {
        if (data.columns.some((column) => column.key === text)) (found.axes ||= []).push(text);
      } else if (Object.hasOwn(isNumbered, key)) {
        if (isNumbered[key](+text)) found[key] = +text;
      } else if (key === "all" || key === "log") {
        found[key] = text === "1";
      } else if (key === "theme") {
        if (["light", "dark"].includes(text)) found.theme = text;
      } else if (typeof initial[key] === "string" && Object.hasOwn(initial, key)) {
        found[key] = text;
      }
    }
    return found;
  }

  function address() {
    const told = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) {
      if (key === "brushes") {
        for (const [name, [low, high]] of Object.entries(value)) {
          told.append("brush", `${name}~${+low.toFixed(4)}~${+high.toFixed(4)}`);
        }
      } else if (key === "axes") {
        for (const name of value || []) told.append("axis", name);
      } else if (value !== initial[key]) {
        told.append(key, value === true ? "1" : typeof value === "number" ? +value.toFixed(4) : value);
      }
    }
    return told.toString();
  }

  function write() {
    written = address();
    const place = location.href.split("#")[0];
    history.replaceState(null, "", written ? `${place}#${written}` : place);
  }

  function tell(changed) {
    for (const [keys, listener] of listeners) {
      if (keys.some((key) => changed.has(key))) listener(state, changed);
    }
  }

  return {
    data,
    state,
    shown: data.runs.map(() => true),
    listen(keys, listener) { listeners.push([keys, listener]); },
    // Of what is no choice and stands in no address: the colours of the system changed.
    tell(key) { tell(new Set([key])); },
    change(values) {
      const changed = new Set(Object.keys(values).filter((key) => state[key] !== values[key]));
      Object.assign(state, values);
      if (changed.size) tell(changed);
      clearTimeout(timer);
      timer = setTimeout(write, 120);
    },
    restore() {
      const asked = location.hash.slice(1);
      if (asked === written) return;
      Object.assign(state, read(asked));
      tell(new Set(Object.keys(state)));
    },
    address() { write(); return location.href; },
    // To who does not see it happen.
    say(text) { document.getElementById("said").textContent = text; },
  };
})();
document.documentElement.classList.add("js");
