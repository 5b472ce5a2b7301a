"use strict";
// What turns a sphere: a pointer that drags, two that pinch, the wheel, the keys.
//
// `state()` has lon, lat and near, which `put` changes; `home` puts the first view back. A finger
// that moves up or down scrolls the page, two of them tilt the sphere.
function sphereHands(canvas, state, put, home) {
  const fingers = new Map();

  function turn(right, up) { // by pixels of the screen; what is under the pointer goes with it
    const { lon, lat, near } = state(), scale = 180 / Math.PI / (canvas.clientWidth / 2) / near;
    put({ lon: lon + (right * scale) / Math.max(0.2, Math.cos(lat * Math.PI / 180)), lat: lat + up * scale });
  }
  const spread = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y);

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const old = fingers.get(event.pointerId);
    if (!old) return;
    const before = [...fingers.values()], now = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, now);
    const share = 1 / before.length;
    turn((now.x - old.x) * share, (now.y - old.y) * share);
    if (before.length === 2) {
      const far = spread(before);
      if (far > 0) put({ near: state().near * spread([...fingers.values()]) / far });
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }

  canvas.addEventListener("wheel", (event) => {
    const near = state().near * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002));
    if (near < 1 && state().near === 1) return; // there is nothing farther: the page scrolls
    event.preventDefault();
    put({ near });
  }, { passive: false });

  const KEYS = {
    ArrowLeft: ({ lon, near }) => ({ lon: lon + 5 / near }), ArrowRight: ({ lon, near }) => ({ lon: lon - 5 / near }),
    ArrowUp: ({ lat, near }) => ({ lat: lat + 5 / near }), ArrowDown: ({ lat, near }) => ({ lat: lat - 5 / near }),
    "+": ({ near }) => ({ near: near * 1.2 }), "=": ({ near }) => ({ near: near * 1.2 }),
    "-": ({ near }) => ({ near: near / 1.2 }),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home" || event.key === "0") home();
    else if (event.key in KEYS) put(KEYS[event.key](state()));
    else return;
    event.preventDefault();
  });
}
