"use strict";
// Where a run and the baseline `base` say something else of a sample, and who is right; of the
// baseline itself, or where there is nothing to compare with, its errors.
//
// `one` and `other` are the runs' entries of the sample. Gives a table from pixels to colours, its
// nside, and what stands under it. The coarser of two maps is read at the finer one's pixels.
function sphereDifference(run, one, base, other, { values, styled }) {
  const { between, packed } = spheres, { per } = sphereCharts;
  const alike = run.task === base.task && run.classes.join("\n") === base.classes.join("\n");
  const alone = !other || other === one || !alike;
  const nside = alone ? run.nside : Math.max(run.nside, base.nside);
  const reader = (run, map) => {
    const [codes, none] = values(map), own = 2 * Math.log2(nside / run.nside), size = nside ** 2;
    const slots = Array(12).fill(-1);
    run.faces.forEach((face, slot) => { slots[face] = slot * run.nside ** 2; });
    const step = map.steps ? (map.high - map.low) / map.steps : 1, low = map.steps ? map.low : 0;
    return (pixel) => {
      const slot = slots[(pixel / size) | 0];
      if (slot < 0) return null;
      const code = codes[slot + ((pixel % size) >> own)];
      return code === none ? null : low + step * code;
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
