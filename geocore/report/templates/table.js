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
  const marked = [...document.querySelectorAll("#run-table tr[data-run], .by-run thead [data-run]")];
  const equal = [...document.querySelectorAll(".equal")];
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

  // The word stands at the baseline alone: what is off the screen is read out without its style.
  function mark(element) {
    const word = document.createElement("span");
    word.className = "about mark";
    word.textContent = "baseline";
    (element.querySelector(".pick") || element.lastChild).after(word);
    word.before(" ");
  }

  function unmark(word) {
    const space = word.previousSibling;
    if (space?.nodeType === Node.TEXT_NODE && !space.data.trim()) space.remove();
    word.remove();
  }

  function showDifferences(base) {
    for (const [column, run, place] of told) {
      const { delta, verdict } = differences.ofRun(column, run);
      say(place, delta === null ? "" : numbers.signed(delta), verdict);
    }
    for (const element of marked) {
      const mine = +element.dataset.run === base;
      if (element.classList.contains("base") === mine) continue;
      element.classList.toggle("base", mine);
      if (mine) mark(element);
      else for (const word of element.querySelectorAll(".mark")) unmark(word);
    }
    for (const radio of radios) radio.checked = +radio.value === base;
  }

  function showGroups() {
    overSeeds.forEach((row, place) => {
      const left = differences.shown(place).length, all = groups[place].length;
      row.hidden = left < 2;
      row.querySelector(".of-seeds").textContent = left < all ? `${left} of ${all} seeds` : `${all} seeds`;
      for (const cell of row.querySelectorAll("td[data-column]")) {
        const figure = cell.querySelector(".figure");
        if (!figure) continue; // a parameter that they share
        const { mean, spread, delta, around, verdict } = differences.ofGroup(columns[+cell.dataset.column], place);
        figure.textContent = mean === null ? "\u2013" : numbers.around(mean, spread);
        const wide = around === null ? "\u2013" : numbers.figure(+around.toPrecision(2));
        say(cell.querySelector(".delta"), delta === null ? "" : `${numbers.signed(delta)} \u00b1 ${wide}`, verdict);
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
    button.title = "sort the runs by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = page.state.sort;
      page.change({ sort: now === number ? `-${number}` : now === `-${number}` ? "" : number });
      const how = { ascending: "upwards", descending: "downwards" }[head.getAttribute("aria-sort")];
      page.say(how ? `runs sorted by ${columns[number].key}, ${how}` : "runs in the order given");
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
    for (const element of equal) element.ariaHidden = state.all ? null : "true";
  });
  page.listen(["base"], (state) => showDifferences(state.base));
  page.listen(["base", "shown"], showGroups);
  page.listen(["sort"], (state) => sortRows(state.sort));
})();
