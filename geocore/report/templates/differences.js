"use strict";
// What is said of a metric beside its values: differences from the baseline, means and spreads over
// seeds. The tables show it and the export writes it, so that both say the same.
const differences = (() => {
  const { groups } = page.data;
  const ofNumbers = (column, list) => list.map((run) => column.values[run]).filter(numbers.isNumber);

  return {
    // Of a run: what it is more than the baseline, null where there is nothing to say.
    ofRun(column, run) {
      const from = column.values[page.state.base], value = column.values[run];
      const both = run !== page.state.base && numbers.isNumber(from) && numbers.isNumber(value);
      if (!both) return { delta: null, verdict: "" };
      return { delta: value - from, verdict: numbers.verdict(column.way, from, value) };
    },
    shown: (place) => groups[place].filter((run) => page.shown[run]),
    // Of a group of seeds: mean and spread of the runs that are shown (null of fewer than two), and
    // its mean less that of the baseline's own group. The spreads add up as variances do; with one
    // run as the baseline the spread of the difference is not known, and nothing is judged.
    ofGroup(column, place) {
      const base = page.state.base;
      const own = groups.find((runs) => runs.includes(base)) || [base];
      const left = own.filter((run) => page.shown[run]);
      const mine = ofNumbers(column, this.shown(place));
      const theirs = ofNumbers(column, left.length ? left : own);
      const found = { mean: null, spread: null, delta: null, around: null, verdict: "" };
      if (mine.length < 2) return found;
      [found.mean, found.spread] = numbers.mean(mine);
      if (groups[place] === own || !theirs.length) return found;
      const [from, around] = numbers.mean(theirs);
      found.delta = found.mean - from;
      if (around === null) return found;
      found.around = Math.hypot(found.spread, around);
      found.verdict = numbers.verdict(column.way, from, found.mean, found.around);
      return found;
    },
  };
})();
