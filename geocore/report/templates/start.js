"use strict";
// The last: show what the address asks for, now and whenever it is changed by hand. Links within
// the page scroll, and leave the address to the view.
(() => {
  // Again while what is laid out on the way there still moves it.
  function scroll(target, times) {
    target.scrollIntoView();
    if (times) requestAnimationFrame(() => scroll(target, times - 1));
  }

  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    link.addEventListener("click", (event) => {
      const target = document.getElementById(link.hash.slice(1));
      if (!target) return;
      event.preventDefault();
      target.setAttribute("tabindex", "-1");
      target.focus({ preventScroll: true });
      scroll(target, 4);
    });
  }
  for (const other of document.querySelectorAll("noscript")) other.remove(); // off the screen it is read out
  addEventListener("hashchange", () => page.restore());
  page.restore();
  document.documentElement.dataset.ready = "";
})();
