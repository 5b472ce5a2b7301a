"use strict";
// Whether a run and the baseline `base` can be compared on a sample: `alone` if the run stands for
// itself, `note` says why, or at which resolution they are. `one` and `other` are their entries.
function sphereLikeness(run, one, base, other) {
  if (run.run === base.run) return { alone: true, note: "" };
  const instead = run.task === "classification" ? "" : ": what is shown is where this run is wrong";
  const because = (why) => ({ alone: true, note: `Not compared with ${base.name}, ${why}${instead}.` });
  if (!other) return because("which has no such sample");
  if (run.task !== base.task || run.classes.join("\n") !== base.classes.join("\n")) {
    return because("which tells something else");
  }
  if (one.scene !== other.scene) return because("which saw another input here (other data, or turned otherwise)");
  if (run.nside === base.nside) return { alone: false, note: "" };
  const coarse = Math.min(run.nside, base.nside), how = run.task === "depth" ? "the mean" : "the class of most";
  const told = run.task === "classification" ? "" : `: compared at nside ${coarse}, where a pixel is ${how} of the finer ones in it`;
  return { alone: false, note: `This run reads nside ${run.nside}, ${base.name} nside ${base.nside}${told}.` };
}

// Where a run and the baseline say something else of a sample, and who is right; of the baseline
// itself, or where there is nothing to compare with, its errors.
//
// Gives a table from pixels to colours, its nside, and what stands under it. Of two maps the finer
// is brought to the coarser one's pixels: classes by the most frequent, depths by their mean.
function sphereDifference(run, one, base, other, { values, styled }) {
  const { between, packed } = spheres, { per } = sphereCharts;
  const { alone } = sphereLikeness(run, one, base, other);
  const nside = alone ? run.nside : Math.min(run.nside, base.nside);
  const reader = (run, map) => {
    const [codes, none] = values(map), children = (run.nside / nside) ** 2, size = nside ** 2;
    const slots = Array(12).fill(-1);
    run.faces.forEach((face, slot) => { slots[face] = slot * run.nside ** 2; });
    const step = map.steps ? (map.high - map.low) / map.steps : 1;
    return (pixel) => {
      const slot = slots[(pixel / size) | 0];
      if (slot < 0) return null;
      const start = slot + (pixel % size) * children;
      if (children === 1) return codes[start] === none ? null : map.steps ? map.low + step * codes[start] : codes[start];
      const said = codes.subarray(start, start + children).filter((code) => code !== none);
      if (!said.length) return null;
      if (map.steps) return Math.log(said.reduce((sum, code) => sum + Math.exp(map.low + step * code), 0) / said.length);
      const count = new Map();
      for (const code of said) count.set(code, (count.get(code) || 0) + 1);
      return [...count].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a))[0];
    };
  };
  const mine = reader(run, one.prediction), truth = reader(run, one.label);
  const theirs = alone ? truth : reader(base, other.prediction);
  const tones = { same: styled("--line"), better: styled("--s2"), worse: styled("--s1"), wrong: styled("--s3") };
  const found = new Uint32Array(12 * nside ** 2), count = { all: 0, better: 0, worse: 0, wrong: 0 };
  const depth = Boolean(one.prediction.steps), ends = [styled("--s0"), tones.same, styled("--s1")];
  let off = 0;
  for (let pixel = 0; pixel < found.length; pixel++) {
    const [a, b, true_] = [mine(pixel), theirs(pixel), truth(pixel)];
    if (a === null || b === null || (true_ === null && !depth)) continue;
    count.all++;
    if (depth) {
      off += Math.abs(a - b);
      found[pixel] = packed(between(ends, 0.5 + (a - b) / (2 * Math.LN2)));
      continue;
    }
    let how = "same";
    if (a !== b) how = alone || b === true_ ? "worse" : a === true_ ? "better" : "wrong";
    if (how !== "same") count[how]++;
    found[pixel] = packed(tones[how]);
  }
  const share = (how) => per(count[how] / (count.all || 1)), against = alone ? "the label" : base.name;
  const keys = alone ? [["wrong", tones.worse, share("worse")]] : [["better", tones.better, share("better")],
    ["worse", tones.worse, share("worse")], ["both wrong", tones.wrong, share("wrong")]];
  const words = depth ? `off ${against} by ${per(Math.exp(off / (count.all || 1)) - 1)}` : "";
  return { nside, table: found, words, keys: depth ? [] : keys, caption: alone ? "errors" : `against ${against}` };
}
