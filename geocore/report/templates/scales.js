"use strict";
// A column as an axis from 0 to 1: numbers by size (by decades where the largest is twenty times the least),
// anything else by its words in the order of the runs.
const scales = (() => {
  const made = new Map();

  function ofNumbers(column) {
    const there = column.values.filter(numbers.isNumber);
    const low = Math.min(...there), high = Math.max(...there);
    const log = low > 0 && high / low >= 20;
    const along = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    const back = (place) => (log ? low * (high / low) ** place : low + place * (high - low));
    const flat = column.section === "metrics" ? numbers.alike(low, high) : high === low;
    const few = [...new Set(there)].sort((a, b) => a - b);
    const marks = few.length <= 6 ? few.map(along) : [0, 0.25, 0.5, 0.75, 1];
    const told = numbers.apart(marks.map((place) => +back(place).toPrecision(12)));
    return {
      places: column.values.map((value) => (numbers.isNumber(value) ? (flat ? 0.5 : along(value)) : null)),
      ticks: flat ? [[0.5, numbers.figure(low)]] : marks.map((place, number) => [place, told[number]]),
      say: (place) => numbers.figure(flat ? low : +back(place).toPrecision(12)),
      log,
    };
  }

  function ofWords(column) {
    const words = [...new Set(column.texts.filter((_, run) => column.values[run] !== null || !isMissing(column.texts[run])))];
    const at = (text) => (words.length === 1 ? 0.5 : words.indexOf(text) / (words.length - 1));
    return {
      places: column.texts.map((text) => (words.includes(text) ? at(text) : null)),
      ticks: words.map((text) => [at(text), text]),
      say: (place) => words[Math.round(place * (words.length - 1))] ?? "",
    };
  }

  const isMissing = (text) => ["absent", "not recorded", "not comparable"].includes(text);

  return {
    // A name in two lines: of its last word, and of what that is about.
    words(column) {
      if (column.about) return [column.label, column.about];
      const dot = column.key.lastIndexOf(".");
      return [column.key.slice(dot + 1), column.key.slice(0, Math.max(dot, 0))];
    },
    // Whether two runs stand at different places.
    varies: (column) => new Set(scales.of(column.key).places.filter((place) => place !== null)).size > 1,
    isNumeric: (column) => {
      const there = column.values.filter((value) => value !== null);
      return there.length > 0 && there.every(numbers.isNumber);
    },
    of(key) {
      if (!made.has(key)) {
        const column = page.data.columns.find((one) => one.key === key);
        made.set(key, scales.isNumeric(column) ? ofNumbers(column) : ofWords(column));
      }
      return made.get(key);
    },
  };
})();
