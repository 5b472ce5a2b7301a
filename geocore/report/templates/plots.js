"use strict";
// What the two Plotly drawings share: the page's colours, and runs that go and come by style.
// A hidden run is hidden at once by its data-run; a moment later Plotly is told, too, so that the
// axes fit what is left and nothing hidden answers the pointer.
const plots = (() => {
  // Plotly lies in the page as text, and is run when it is first needed.
  const library = document.getElementById("page-library");
  function load() {
    if (typeof Plotly !== "undefined") return;
    const script = document.createElement("script");
    script.textContent = library.textContent;
    document.head.append(script);
  }

  const PAPER = { width: 690, height: 300 }; // of A4 between its margins, in pixels of CSS

  // Plotly reads a few tags in names: a name is text.
  const text = (name) => String(name).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function axis(title, more) {
    const line = theme.colour("--line");
    return { title: { text: text(title), font: { size: 13 }, standoff: 8 }, automargin: true, gridcolor: line, zerolinecolor: line, linecolor: line, ...more };
  }

  function layout(x, y) {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: "system-ui, sans-serif", size: 12, color: theme.colour("--quiet") },
      margin: { l: 76, r: 16, t: 14, b: 50 }, hovermode: "closest",
      hoverlabel: { namelength: -1, bgcolor: theme.colour("--sheet"), font: { color: theme.colour("--ink") } },
      xaxis: x, yaxis: y,
    };
  }

  class Plot {
    constructor(place) {
      this.place = place;
      this.traces = [];
      this.axes = [];
      this.drawn = false;
      this.timer = 0;
      page.listen(["shown"], () => this.later(300));
      addEventListener("beforeprint", () => { if (this.traces.length) this.show(PAPER); });
    }

    // Each trace's meta is the number of its run. The first drawing waits until the page is there.
    draw(traces, x, y) {
      this.traces = traces;
      this.axes = [x, y];
      this.later(this.drawn ? 0 : 60);
    }

    later(wait) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.show(), wait);
    }

    // In the room that there is, or of a size of its own.
    show(size = {}) {
      clearTimeout(this.timer);
      load();
      this.drawn = true;
      for (const trace of this.traces) trace.visible = page.shown[trace.meta];
      const settings = { displayModeBar: false, responsive: true };
      Plotly.react(this.place, this.traces, { ...layout(...this.axes), ...size }, settings).then(() => this.mark());
      const tester = document.getElementById("js-plotly-tester"); // where it measures words
      if (tester) tester.ariaHidden = "true";
    }

    mark() {
      const drawn = this.traces.filter((trace) => trace.visible);
      this.place.querySelectorAll(".scatterlayer .trace").forEach((element, place) => {
        if (drawn[place]) element.dataset.run = drawn[place].meta;
      });
    }
  }
  return { Plot, axis, text, can: library !== null };
})();
