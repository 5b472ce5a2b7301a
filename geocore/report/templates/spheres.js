"use strict";
// Spheres: HEALPix maps drawn as discs that share one camera, a sample and a rotation.
//
// For each point of a disc the direction is found once, then the pixel that contains it, once for
// all maps of one resolution; a map is then a table from pixels to colours. Names are put into the
// page as text.
const spheres = (() => {
  // The nested number of the pixel that contains a direction; as geocore.healpix.arithmetic.locate
  // has it (Gorski et al., ApJ 622, 2005, eqs. 19 to 22). The vector is of unit length.
  function vec2pix(nside, x, y, z) {
    const last = nside - 1;
    const bits = 31 - Math.clz32(nside);
    let quadrant = Math.atan2(y, x) * (2 / Math.PI);
    quadrant -= 4 * Math.floor(quadrant * 0.25);
    if (quadrant >= 4) quadrant = 0;
    let face, across, up;
    if (Math.abs(z) <= 2 / 3) {
      const along = nside * (0.5 + quadrant), height = nside * z * 0.75;
      const rising = (along - height) | 0, falling = (along + height) | 0;
      const first = rising >> bits, second = falling >> bits;
      face = first === second ? (first & 3) + 4 : first < second ? first : second + 8;
      across = falling & last;
      up = ~rising & last;
    } else {
      const whole = Math.floor(quadrant), passed = quadrant - whole;
      const scaled = nside * Math.sqrt((3 * (x * x + y * y)) / (1 + Math.abs(z)));
      const east = Math.min((passed * scaled) | 0, last);
      const west = Math.min(((1 - passed) * scaled) | 0, last);
      face = z >= 0 ? whole : whole + 8;
      across = z >= 0 ? last - west : east;
      up = z >= 0 ? last - east : west;
    }
    return (face << (2 * bits)) | spread(across) | (spread(up) << 1);
  }

  function spread(value) { // the bits of a number below 2^14 to the even places
    let bits = value;
    bits = (bits | (bits << 8)) & 0x00ff00ff;
    bits = (bits | (bits << 4)) & 0x0f0f0f0f;
    bits = (bits | (bits << 2)) & 0x33333333;
    return (bits | (bits << 1)) & 0x55555555;
  }

  function ang2pix(nside, colatitude, longitude) {
    const sine = Math.sin(colatitude);
    return vec2pix(nside, sine * Math.cos(longitude), sine * Math.sin(longitude), Math.cos(colatitude));
  }

  // Rows of the camera: to the right (west), upwards (north), ahead; angles in degrees.
  function frame(lon, lat) {
    const [l, b] = [lon * Math.PI / 180, lat * Math.PI / 180];
    const [sl, cl, sb, cb] = [Math.sin(l), Math.cos(l), Math.sin(b), Math.cos(b)];
    return [[sl, -cl, 0], [-sb * cl, -sb * sl, cb], [cb * cl, cb * sl, sb]];
  }

  // R^-1 v for the turn by an angle about an axis, as a function of v's three numbers.
  function undone(axis, degrees) {
    const turn = -degrees * Math.PI / 180, c = Math.cos(turn), s = Math.sin(turn);
    if (axis === "x") return [[1, 0, 0], [0, c, -s], [0, s, c]];
    if (axis === "y") return [[c, 0, s], [0, 1, 0], [-s, 0, c]];
    return [[c, -s, 0], [s, c, 0], [0, 0, 1]];
  }
  const times = (m, n) => n.map((row) => m.map((line) => line[0] * row[0] + line[1] * row[1] + line[2] * row[2]));

  const discs = new Map();
  function disc(size) { // points of the disc of that many pixels across, a little beyond its edge
    if (discs.has(size)) return discs.get(size);
    const place = [], right = [], up = [], radius = size / 2;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const u = (column + 0.5) / radius - 1, v = 1 - (row + 0.5) / radius;
        const off = Math.hypot(u, v);
        if (off > 1 + 2 / radius) continue;
        const shrunk = off > 0.99999 ? 0.99999 / off : 1;
        place.push(row * size + column);
        right.push(u * shrunk);
        up.push(v * shrunk);
      }
    }
    const found = { place: Int32Array.from(place), right: Float64Array.from(right), up: Float64Array.from(up) };
    discs.set(size, found);
    return found;
  }

  // The pixel at each point of a disc; rows of `camera` are right, up, ahead.
  function pixels(size, nside, camera, zoom) {
    const { right, up } = disc(size);
    const [a, b, c] = camera, found = new Int32Array(right.length), near = 1 / zoom;
    for (let at = 0; at < found.length; at++) {
      const u = right[at] * near, v = up[at] * near, w = Math.sqrt(1 - u * u - v * v);
      found[at] = vec2pix(nside, u * a[0] + v * b[0] + w * c[0], u * a[1] + v * b[1] + w * c[1],
        u * a[2] + v * b[2] + w * c[2]);
    }
    return found;
  }

  // Magma, by Nathaniel Smith and Stefan van der Walt (matplotlib, CC0), at 17 equal steps.
  const MAGMA = ("000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c " +
    "fc8961 fea772 fec488 fde2a3 fcfdbf").split(" ").map(rgb);
  function rgb(text) {
    const bare = text.replace("#", "");
    return [0, 2, 4].map((at) => parseInt(bare.slice(at, at + 2), 16));
  }
  function between(colours, part) {
    const at = Math.min(1, Math.max(0, part)) * (colours.length - 1), below = Math.min(at | 0, colours.length - 2);
    return colours[below].map((value, k) => Math.round(value + (colours[below + 1][k] - value) * (at - below)));
  }
  const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  return { ang2pix, vec2pix, frame, undone, times, disc, pixels, MAGMA, rgb, between, packed };
})();
if (typeof module === "object") module.exports = spheres;
