"use strict";
// Charts beside the spheres: class probabilities as bars, power spectra as lines.
const sphereCharts = (() => {
  const numbers = (value, digits = 3) => (value === null ? "–" : value === 0 ? "0" : String(+value.toPrecision(digits)));
  const per = (share) => `${numbers(100 * share, 2)} %`;

  function element(name, attributes, text) {
    const found = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    if (text !== undefined) found.textContent = text;
    return found;
  }

  function named(text, colour) { // a line's colour and name
    const found = document.createElement("span");
    found.textContent = text;
    found.style.setProperty("--of", `var(${colour})`);
    return found;
  }

  // The probabilities of each class, of x and of Rx.
  function bars(run, one, turn, figure) {
    const name = (at) => (at === null || at < 0 ? "none" : run.classes[at]);
    const most = (list) => list.indexOf(Math.max(...list));
    const turned = turn ? turn.found : one.prediction;
    figure.querySelector(".about").textContent = `label ${name(one.label)}, said ${name(most(one.prediction))} ` +
      `of x and ${name(most(turned))} of Rx; entropy ${numbers(one.uncertainty)} nats`;
    const lines = run.classes.map((text, at) => {
      const line = document.createElement("li"), label = document.createElement("span"), both = document.createElement("span");
      line.className = at === one.label ? "true" : "";
      label.textContent = text;
      const told = document.createElement("span");
      told.className = "unseen";
      told.textContent = `${per(one.prediction[at])} of x, ${per(turned[at])} of Rx`;
      for (const list of [one.prediction, turned]) {
        const bar = document.createElement("b");
        bar.style.width = `${100 * list[at]}%`;
        both.append(bar);
      }
      both.append(told);
      line.append(label, both);
      return line;
    });
    figure.querySelector(".sphere-keys").replaceChildren(named("of x", "--s0"), named("of Rx", "--s1"));
    figure.querySelector("ol").replaceChildren(...lines);
  }

  // C_l on log axes; `all` are the spectra of all runs, which share one scale.
  const KINDS = { input: "--s6", label: "--s2", prediction: "--s0", error: "--s1" };
  function spectra(one, all, figure) {
    const tops = all.flatMap((list) => list.slice(1)).filter((value) => value > 0);
    figure.hidden = !tops.length;
    if (!tops.length) return;
    const high = Math.ceil(Math.log10(Math.max(...tops))), lowest = Math.floor(Math.log10(Math.min(...tops)));
    const low = Math.max(lowest, high - 7), most = Math.max(...all.map((list) => list.length - 1), 2);
    const [width, height, left, bottom, top] = [480, 262, 46, 34, 8];
    const x = (l) => left + ((width - left - 10) * Math.log(l)) / Math.log(most);
    const y = (value) => top + ((height - top - bottom) * (high - Math.max(Math.log10(value), low))) / (high - low || 1);
    const shown = Object.entries(one.spectra);
    const ends = ([kind, list]) => `${kind} from ${numbers(list[1] ?? null, 2)} at degree 1 to ${numbers(list.at(-1), 2)} at ${list.length - 1}`;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Angular power spectra on log axes: ${shown.map(ends).join("; ")}` });
    for (let power = low; power <= high; power += Math.ceil((high - low) / 4) || 1) {
      svg.append(element("line", { class: "grid", x1: left, x2: width - 10, y1: y(10 ** power), y2: y(10 ** power) }),
        element("text", { x: left - 6, y: y(10 ** power) + 4, "text-anchor": "end" }, `1e${power}`));
    }
    for (let l = 1; l <= most; l *= 2) {
      svg.append(element("line", { class: "grid", x1: x(l), x2: x(l), y1: top, y2: height - bottom }),
        element("text", { x: x(l), y: height - bottom + 16, "text-anchor": "middle" }, l));
    }
    svg.append(element("text", { class: "axis", x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, "degree l"));
    const keys = document.createElement("p");
    keys.className = "sphere-keys";
    for (const [kind, list] of shown) {
      const points = list.flatMap((value, l) => (l && value > 0 ? [`${x(l).toFixed(1)} ${y(value).toFixed(1)}`] : []));
      if (!points.length) continue;
      const line = element("path", { class: "line", d: `M${points.join("L")}` });
      line.style.stroke = `var(${KINDS[kind]})`;
      svg.append(line);
      keys.append(named(kind, KINDS[kind]));
    }
    figure.replaceChildren(figure.firstElementChild, keys, svg);
  }

  return { numbers, per, bars, spectra };
})();
