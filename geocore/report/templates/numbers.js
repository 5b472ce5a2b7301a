"use strict";
// Numbers in words, as the tables have them, and what a number is over several seeds.
const numbers = (() => {
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
    // Mean and standard deviation, n - 1 below; the spread of one number is 0.
    mean(values) {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      return [mean, values.length > 1 ? Math.sqrt(square / (values.length - 1)) : 0];
    },
    // Better or worse by the column's better end; nothing where the spread is wider than the step.
    verdict(way, delta, spread = 0) {
      if (!way || delta === 0) return "";
      if (Math.abs(delta) <= spread) return "within the spread";
      return (delta > 0) === (way === "higher") ? "better" : "worse";
    },
  };
})();
