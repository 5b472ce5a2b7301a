"use strict";
// The tables: only what differs or all; differences from the chosen baseline; mean and spread of
// runs that differ in seeds alone; rows of the table of runs in the order of a column.
(() => {
  const { columns, groups } = page.data;
  const table = document.getElementById("run-table");
  const only = document.getElementById("only");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const overSeeds = [...document.querySelectorAll("[data-group]")];
  const marked = [...document.querySelectorAll("thead [data-run], #run-table [data-run]")];
  const radios = [...document.querySelectorAll("input[name=baseline]")];

  // Of each metric's cell: column, run, and where its difference is told.
  const told = [];
  const isMetric = (number) => columns[number].section === "metrics";
  function add(cell, number, run) {
    let place = cell.querySelector(".delta");
    if (!place) {
      place = document.createElement("span");
      cell.append(" ", place);
    }
    told.push([columns[number], run, place]);
  }
  for (const cell of body.querySelectorAll("td[data-column]")) {
    if (isMetric(+cell.dataset.column)) add(cell, +cell.dataset.column, +cell.parentNode.dataset.run);
  }
  for (const row of document.querySelectorAll("tr[data-column]")) {
    if (!isMetric(+row.dataset.column)) continue;
    for (const cell of row.querySelectorAll("td[data-run]")) add(cell, +row.dataset.column, +cell.dataset.run);
  }

  function say(place, text, verdict) {
    const words = verdict ? `${text} ${verdict}` : text;
    if (place.textContent === words) return;
    place.textContent = words;
    place.className = `delta ${verdict === "better" || verdict === "worse" ? verdict : ""}`;
  }

  function showDifferences(base) {
    for (const [column, run, place] of told) {
      const from = column.values[base], value = column.values[run];
      if (run === base || !numbers.isNumber(from) || !numbers.isNumber(value)) say(place, "", "");
      else say(place, numbers.signed(value - from), numbers.verdict(column.way, value - from));
    }
    for (const element of marked) element.classList.toggle("base", +element.dataset.run === base);
    for (const radio of radios) radio.checked = +radio.value === base;
  }

  // The mean of the group less that of the baseline's own, both of the runs that are shown; the
  // spreads add up as variances do.
  function showGroups(base) {
    const own = groups.find((runs) => runs.includes(base)) || [base];
    const others = own.filter((run) => page.shown[run]);
    overSeeds.forEach((row, place) => {
      const runs = groups[place].filter((run) => page.shown[run]);
      row.hidden = runs.length < 2;
      const all = groups[place].length;
      row.querySelector(".of-seeds").textContent = runs.length < all ? `${runs.length} of ${all} seeds` : `${all} seeds`;
      for (const cell of row.querySelectorAll("td[data-column]")) {
        const column = columns[+cell.dataset.column];
        const mine = runs.map((run) => column.values[run]).filter(numbers.isNumber);
        const theirs = (others.length ? others : own).map((run) => column.values[run]).filter(numbers.isNumber);
        const figure = cell.querySelector(".figure"), delta = cell.querySelector(".delta");
        if (!figure) continue; // a parameter that they share
        if (mine.length < 2) {
          figure.textContent = "";
          say(delta, "", "");
          continue;
        }
        const [mean, spread] = numbers.mean(mine);
        figure.textContent = numbers.around(mean, spread);
        if (groups[place] === own || !theirs.length) say(delta, "", "");
        else {
          const [from, around] = numbers.mean(theirs);
          const wide = Math.hypot(spread, around);
          const text = `${numbers.signed(mean - from)} \u00b1 ${numbers.figure(+wide.toPrecision(2))}`;
          say(delta, text, numbers.verdict(column.way, mean - from, wide));
        }
      }
    });
  }

  // A head is a button: once for upwards, twice for downwards, a third time as they were given.
  for (const head of table.tHead.rows[0].cells) {
    const number = head.dataset.column;
    if (number === undefined) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = page.state.sort;
      page.change({ sort: now === number ? `-${number}` : now === `-${number}` ? "" : number });
    });
  }
  function sortRows(sort) {
    const number = Math.abs(parseInt(sort, 10));
    const column = columns[number];
    const down = sort.startsWith("-") ? -1 : 1;
    const order = rows.map((_, run) => run);
    if (column) {
      const places = scales.of(column.key).places;
      const at = (run) => places[run] ?? Infinity * down;
      order.sort((a, b) => (at(a) === at(b) ? a - b : down * (at(a) - at(b))));
    }
    body.append(...order.map((run) => rows[run]));
    for (const head of table.tHead.rows[0].cells) {
      const mine = column && head.dataset.column === String(number);
      if (mine) head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  }

  for (const radio of radios) radio.addEventListener("change", () => page.change({ base: +radio.value }));
  only.addEventListener("change", () => page.change({ all: !only.checked }));
  page.listen(["all"], (state) => {
    only.checked = !state.all;
    document.body.classList.toggle("only", !state.all);
  });
  page.listen(["base"], (state) => showDifferences(state.base));
  page.listen(["base", "shown"], (state) => showGroups(state.base));
  page.listen(["sort"], (state) => sortRows(state.sort));
})();
