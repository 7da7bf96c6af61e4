/* <hb-fig kind="..."> : an explorable figure.

   Inside the element stand a <script type="application/json"> with the data, and a still fall-back
   that readers without scripts (and paper) see. A kind is a function (stage, data, tools) that draws
   into an empty element; it registers itself:

       hbFig.register("my-kind", (stage, data, {el, svg, slider}) => { ... });

   A kind may live in a script of its own, loaded after this one. Colours come from the style
   sheet's --hb-* variables, so that light and dark need no code. Nothing moves by itself. */
(() => {
  "use strict";

  const NS = "http://www.w3.org/2000/svg";
  const kinds = new Map();
  let count = 0;

  const build = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const el = (tag, attributes = {}, ...children) =>
    build(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    build(document.createElementNS(NS, tag), attributes, children);

  /* A labelled range input; show(value) gives its text for the eye and for a screen reader. */
  const slider = (label, { min, max, step, value, show }, onInput) => {
    const id = `hb-slider-${++count}`;
    const input = el("input", { type: "range", id, min, max, step, value });
    const output = el("output", { for: id });
    const update = () => {
      const text = show(input.valueAsNumber);
      output.textContent = text;
      input.setAttribute("aria-valuetext", text);
      onInput(input.valueAsNumber);
    };
    input.addEventListener("input", update);
    const set = (v) => { input.value = v; update(); };
    return { node: el("div", { class: "hb-slider" }, el("label", { for: id }, label), input, output),
             set, start: update };
  };

  const tools = { el, svg, slider };

  class HbFig extends HTMLElement {
    connectedCallback() {
      const draw = kinds.get(this.getAttribute("kind"));
      const source = this.querySelector('script[type="application/json"]');
      if (!draw || !source || this.dataset.live !== undefined) return;
      const stage = el("div", { class: "hb-fig-live" });
      try {
        draw(stage, JSON.parse(source.textContent), tools);
      } catch (error) {
        console.error(`hb-fig ${this.getAttribute("kind")}: ${error.message}`);
        return; // the still fall-back stays
      }
      this.prepend(stage);
      this.dataset.live = "";
    }
  }

  window.hbFig = {
    register(kind, draw) {
      kinds.set(kind, draw);
      for (const node of document.querySelectorAll("hb-fig")) node.connectedCallback?.();
    },
  };

  /* rotation-2d: turn the axes of a two-dimensional hidden space; the points stay.

     data: A (n, 2) and B (m, 2), hidden vectors of the row and column items, so that the product
     A^T B of the book's notation has entries A_i . B_j; and, optional: labels_A and labels_B, short
     names; items, the indices into A whose activations are drawn as bars (the first 6); angle at the
     start, in degrees (0).                                                                       */
  window.hbFig.register("rotation-2d", (stage, data, { el, svg, slider }) => {
    const name = (labels, i, fallback) => String(labels?.[i] ?? `${fallback}${i + 1}`);
    const bars = data.items ?? data.A.map((_, i) => i).slice(0, 6);
    const reach = 1.12 * Math.max(...[...data.A, ...data.B].map(([x, y]) => Math.hypot(x, y)));
    const product = (A, B) => A.map((a) => B.map((b) => a[0] * b[0] + a[1] * b[1]));
    const turn = (points, c, s) => points.map(([x, y]) => [c * x + s * y, -s * x + c * y]);
    const original = product(data.A, data.B);
    const loudest = Math.max(...bars.map((i) => Math.hypot(...data.A[i]))) || 1;
    const scale = Math.max(...original.flat().map(Math.abs)) || 1;

    /* 1. the space: fixed points, turning axes */
    const px = (v) => (100 * v) / reach;
    const space = svg("svg", { viewBox: "-118 -118 236 236", class: "hb-space", role: "img",
      "aria-label": "Hidden vectors as points, with the two unit axes at the chosen angle" });
    const axes = svg("g");
    for (const [cls, x, y, text] of [["u1", 100, 0, "unit 1"], ["u2", 0, -100, "unit 2"]]) {
      axes.append(
        svg("line", { class: `axis ${cls}`, x1: -x, y1: -y, x2: x, y2: y }),
        svg("path", { class: `tip ${cls}`, d: "M0-4.5 9 0 0 4.5Z",
          transform: `translate(${x} ${y}) rotate(${x ? 0 : -90})` }),
        svg("text", { class: `name ${cls}`, x: x ? 84 : 5, y: y ? -90 : -6, "text-anchor": x ? "middle" : "start" }, text));
    }
    space.append(svg("circle", { class: "rim", r: 100 }), axes);
    const dot = (cls, [x, y], label) => svg("g", { class: cls },
      cls === "a" ? svg("circle", { cx: px(x), cy: -px(y), r: 4 })
        : svg("rect", { x: px(x) - 3.5, y: -px(y) - 3.5, width: 7, height: 7 }),
      svg("text", { x: px(x) + 6, y: -px(y) + 3 }, label));
    data.B.forEach((p, j) => space.append(dot("b", p, name(data.labels_B, j, "b"))));
    data.A.forEach((p, i) => space.append(dot("a", p, name(data.labels_A, i, "a"))));

    /* 2. the activations of both units for a few items */
    const step = 200 / bars.length;
    const chart = svg("svg", { viewBox: "-6 -52 212 236", class: "hb-bars", role: "img",
      "aria-label": "Activations of unit 1 and unit 2 for the labelled items" });
    const rows = [1, 2].map((unit) => {
      const y0 = unit === 1 ? 0 : 112;
      chart.append(svg("line", { class: "zero", x1: 0, x2: 200, y1: y0, y2: y0 }),
        svg("text", { class: `name u${unit}`, x: 0, y: y0 - 42 }, `unit ${unit}`));
      return bars.map((item, i) => {
        const rect = svg("rect", { class: `bar u${unit}`, x: i * step + 0.2 * step, width: 0.6 * step });
        chart.append(rect);
        if (unit === 2) chart.append(svg("text", { class: "tick", x: (i + 0.5) * step, y: y0 + 62,
          "text-anchor": "middle" }, name(data.labels_A, item, "a")));
        return { rect, y0, item };
      });
    });

    /* 3. the product */
    const cell = 200 / Math.max(data.B.length, data.A.length);
    const left = 8 + 5.5 * Math.max(...data.A.map((_, i) => name(data.labels_A, i, "a").length));
    const heat = svg("svg", { viewBox: `${-left} -18 ${left + 202} 220`, class: "hb-heat", role: "img",
      "aria-label": "The product of the two factors as a map of shaded cells" });
    const cells = original.map((row, i) => row.map((_, j) => {
      const square = svg("rect", { x: j * cell, y: i * cell, width: cell - 1, height: cell - 1 });
      const text = svg("text", { x: (j + 0.5) * cell - 0.5, y: (i + 0.5) * cell + 3, "text-anchor": "middle" });
      heat.append(square);
      if (cell >= 24) heat.append(text);
      return { square, text };
    }));
    data.A.forEach((_, i) => heat.append(svg("text", { class: "tick", x: -4, y: (i + 0.5) * cell + 3,
      "text-anchor": "end" }, name(data.labels_A, i, "a"))));
    data.B.forEach((_, j) => heat.append(svg("text", { class: "tick", x: (j + 0.5) * cell, y: -5,
      "text-anchor": "middle" }, name(data.labels_B, j, "b"))));

    const top = el("p", { class: "hb-note" });
    const readout = el("p", { class: "hb-note" });
    const draw = (degrees) => {
      const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
      axes.setAttribute("transform", `rotate(${-degrees})`);
      const [A, B] = [turn(data.A, c, s), turn(data.B, c, s)];
      rows.forEach((row, unit) => row.forEach(({ rect, y0, item }) => {
        const height = (38 * A[item][unit]) / loudest;
        rect.setAttribute("y", y0 - Math.max(height, 0));
        rect.setAttribute("height", Math.abs(height));
      }));
      const best = [0, 1].map((unit) => name(data.labels_A,
        A.reduce((b, a, i) => (a[unit] > A[b][unit] ? i : b), 0), "a"));
      top.textContent = `Most active: ${best[0]} on unit 1, ${best[1]} on unit 2`;
      const now = product(A, B);
      let change = 0;
      cells.forEach((row, i) => row.forEach(({ square, text }, j) => {
        change = Math.max(change, Math.abs(now[i][j] - original[i][j]));
        square.style.fill = `color-mix(in oklab, var(--hb-${now[i][j] < 0 ? "u2" : "u1"}) ` +
          `${Math.round((85 * Math.abs(now[i][j])) / scale)}%, var(--hb-zero))`;
        text.textContent = now[i][j].toFixed(1).replace("-0.0", "0.0").replace("-", "\u2212");
      }));
      readout.textContent = `Largest change of any entry: ${change.toFixed(3)}`;
    };
    const angle = slider("Angle of the axes", { min: 0, max: 360, step: 1, value: data.angle ?? 0,
      show: (v) => `${v} degrees` }, draw);

    /* the axes can also be dragged */
    const drag = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = space.getBoundingClientRect();
      const [x, y] = [event.clientX - box.x - box.width / 2, box.y + box.height / 2 - event.clientY];
      angle.set(Math.round((Math.atan2(y, x) * 180) / Math.PI + 360) % 360);
    };
    space.addEventListener("pointerdown", (event) => { space.setPointerCapture(event.pointerId); drag(event); });
    space.addEventListener("pointermove", drag);

    const panel = (title, ...children) => el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
    stage.append(angle.node, el("div", { class: "hb-panels" },
      panel("The hidden space", space),
      panel("What the units say", chart, top),
      panel("The product", heat, readout)));
    angle.start();
  });

  customElements.define("hb-fig", HbFig);
})();
