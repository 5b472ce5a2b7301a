"use strict";
// Numbers in words, as the tables have them, and what a number is over several seeds.
const numbers = (() => {
  const ROUNDING = 1e-5; // of the larger of two numbers: as in geocore/report/directions.py
  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  // So many digits and no trailing zeros: 0.98, 1.25e-05.
  function general(value, digits) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    if (+power < -4 || +power >= digits) {
      const sign = +power < 0 ? "-" : "+";
      return `${+mantissa}e${sign}${String(Math.abs(+power)).padStart(2, "0")}`;
    }
    return String(+value.toPrecision(digits));
  }

  const minus = (text) => text.replaceAll("-", "\u2212");

  return {
    isNumber,
    // As few digits, at least four, as tell the different ones apart.
    apart(values) {
      const say = (digits) => values.map((value) => (Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : general(value, digits)));
      const different = new Set(values).size;
      for (let digits = 4; digits < 12; digits++) {
        if (new Set(say(digits)).size === different) return say(digits);
      }
      return say(12);
    },
    figure: (value) => (Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : general(value, 4)),
    // A spread in two digits, and its mean in as many places, at least in four digits.
    around(mean, spread) {
      const digits = spread > 0 && mean !== 0 ? Math.floor(Math.log10(Math.abs(mean))) - Math.floor(Math.log10(spread)) + 2 : 4;
      const text = Number.isInteger(mean) && Math.abs(mean) < 1e6 ? String(mean) : general(mean, Math.min(Math.max(digits, 4), 15));
      return `${text} \u00b1 ${this.figure(+spread.toPrecision(2))}`;
    },
    signed(delta) {
      if (delta === 0) return "\u00b10";
      return minus((delta > 0 ? "+" : "") + general(delta, 3));
    },
    // Mean and standard deviation, n - 1 below; that of one number is not known: null.
    mean(values) {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      return [mean, values.length > 1 ? Math.sqrt(square / (values.length - 1)) : null];
    },
    // Whether two numbers are as far apart as another order of summing makes them.
    alike: (one, other) => Math.abs(one - other) <= ROUNDING * Math.max(Math.abs(one), Math.abs(other)),
    // Better or worse by the column's better end; nothing where the spread is wider than the step.
    verdict(way, from, value, spread = 0) {
      const delta = value - from;
      if (!way || this.alike(from, value)) return "";
      if (Math.abs(delta) <= spread) return "within the spread";
      return (delta > 0) === (way === "higher") ? "better" : "worse";
    },
  };
})();
