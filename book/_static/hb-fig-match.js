/* Two explorable figures of the chapter on subspace match; loaded after hb-fig.js.

   match-curve    a tolerance moved along the curve of maximum matching similarity of two layers
   johnson-222    two networks of 2-2-2 units with weights to edit; everything recomputed here   */
(() => {
  "use strict";

  const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  const norm = (a) => Math.sqrt(dot(a, a));
  const TINY = 1e-9;

  /* Orthonormal vectors that span the given ones (Gram-Schmidt, twice is enough). */
  const basis = (vectors) => {
    const found = [];
    for (const v of vectors) {
      let rest = [...v];
      for (let pass = 0; pass < 2; pass++)
        for (const q of found) { const c = dot(q, rest); rest = rest.map((r, i) => r - c * q[i]); }
      if (norm(rest) > TINY * Math.max(norm(v), 1)) found.push(rest.map((r) => r / norm(rest)));
    }
    return found;
  };
  const distance = (v, vectors) => {
    let rest = [...v];
    for (const q of basis(vectors)) { const c = dot(q, rest); rest = rest.map((r, i) => r - c * q[i]); }
    return norm(rest) / norm(v);
  };

  /* The smallest tolerance at which each vector is in the maximum match; Infinity for zero vectors.
     The most distant vector goes first, as in hblib.similarity.critical_epsilons. */
  const critical = (X, Y) => {
    const result = [X.map(() => Infinity), Y.map(() => Infinity)];
    const left = [X, Y].map((side) => side.map((v, i) => i).filter((i) => norm(side[i]) > TINY));
    let level = Infinity;
    while (left[0].length + left[1].length) {
      const all = [0, 1].flatMap((s) => left[s].map((i) => {
        const others = left[1 - s].map((j) => [X, Y][1 - s][j]);
        return { s, i, d: distance([X, Y][s][i], others) };
      }));
      const worst = all.reduce((a, b) => (b.d > a.d ? b : a));
      level = Math.min(level, worst.d);
      result[worst.s][worst.i] = level;
      left[worst.s] = left[worst.s].filter((i) => i !== worst.i);
    }
    return result;
  };

  const number = (v) => (Math.abs(v - Math.round(v)) < TINY ? String(Math.round(v)) : v.toFixed(2))
    .replace("-", "\u2212");

  /* ---- match-curve ------------------------------------------------------------------------------
     data: epsilon, where to start; layers, a list of {name, raw: [x, y], centred: [x, y]}, where x
     and y list the critical tolerance of each neuron of the two layers (null: silent).            */
  window.hbFig.register("match-curve", (stage, data, { el, svg, slider }) => {
    const W = 210, H = 120;
    const choice = el("select", { "aria-label": "Layer" },
      ...data.layers.map((layer, i) => el("option", { value: i }, layer.name)));
    const centre = el("input", { type: "checkbox" });
    const controls = el("div", { style: "display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; margin-bottom: 0.6rem" },
      el("label", {}, "Layer ", choice), el("label", {}, centre, " centred"));

    const chart = svg("svg", { viewBox: `-24 -10 ${W + 34} ${H + 44}`, role: "img",
      "aria-label": "Share of neurons in the maximum match, as a function of the tolerance" });
    for (const v of [0, 0.5, 1]) {
      chart.append(
        svg("line", { class: "zero", x1: 0, x2: W, y1: H * (1 - v), y2: H * (1 - v), "stroke-opacity": v ? 0.35 : 1 }),
        svg("text", { class: "tick", x: -6, y: H * (1 - v) + 3, "text-anchor": "end" }, String(v)),
        svg("text", { class: "tick", x: W * v, y: H + 14, "text-anchor": "middle" }, String(v)));
    }
    const curve = svg("path", { fill: "none", stroke: "var(--hb-u1)", "stroke-width": 2.5 });
    const mark = svg("line", { y1: 0, y2: H, stroke: "var(--hb-u2)", "stroke-width": 2, "stroke-dasharray": "6 4" });
    const point = svg("circle", { r: 5, fill: "var(--hb-u2)" });
    chart.append(curve, mark, point,
      svg("text", { class: "tick", x: W / 2, y: H + 28, "text-anchor": "middle" }, "tolerance \u03b5"));

    const rows = svg("svg", { viewBox: `0 0 ${W + 4} 62`, role: "img",
      "aria-label": "The neurons of both layers as squares, filled if they are in the maximum match" });
    const note = el("p", { class: "hb-note", "aria-live": "polite" });

    const draw = (epsilon) => {
      const layer = data.layers[Number(choice.value)];
      const sides = layer[centre.checked ? "centred" : "raw"];
      const all = sides.flat();
      const count = (limit) => all.filter((c) => c !== null && c <= limit + TINY).length;
      const steps = all.filter((c) => c !== null).sort((a, b) => a - b);
      let path = `M0 ${H}`;
      steps.forEach((c, i) => { path += `H${W * c}V${H * (1 - (i + 1) / all.length)}`; });
      curve.setAttribute("d", `${path}H${W}`);
      const share = count(epsilon) / all.length;
      mark.setAttribute("x1", W * epsilon);
      mark.setAttribute("x2", W * epsilon);
      point.setAttribute("cx", W * epsilon);
      point.setAttribute("cy", H * (1 - share));
      rows.replaceChildren(...sides.flatMap((side, s) => {
        const step = Math.min(13, W / side.length);
        const name = `network ${s + 1}`;
        return [svg("text", { class: `name u${s + 1}`, x: 0, y: 10 + 31 * s }, name),
          ...side.map((c, i) => {
            const inside = c !== null && c <= epsilon + TINY;
            return svg("rect", { x: i * step + 0.75, y: 14 + 31 * s, width: step - 1.5, height: 11, rx: 1.5,
              fill: inside ? `var(--hb-u${s + 1})` : "transparent", stroke: "var(--hb-line)",
              "stroke-dasharray": c === null ? "2 2" : "none" });
          })];
      }));
      note.textContent = `${count(epsilon)} of ${all.length} neurons are in the maximum match: ` +
        `similarity ${share.toFixed(2)}`;
    };
    const tolerance = slider("Tolerance \u03b5", { min: 0, max: 0.99, step: 0.01, value: data.epsilon,
      show: (v) => v.toFixed(2) }, draw);
    for (const input of [choice, centre]) input.addEventListener("input", tolerance.start);

    const panel = (title, ...children) =>
      el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
    stage.append(controls, tolerance.node, el("div", { class: "hb-panels" },
      panel("The match curve", chart), panel("Neurons in the match", rows, note)));
    tolerance.start();
  });

  /* ---- johnson-222 ------------------------------------------------------------------------------
     data: presets, a list of {name, W1, V1, W2, V2, inputs}: first- and second-layer weights of the
     two networks (W and V), 2 x 2, and the inputs, each a pair.                                   */
  window.hbFig.register("johnson-222", (stage, data, { el, slider }) => {
    const choice = el("select", { "aria-label": "Start from" },
      ...data.presets.map((preset, i) => el("option", { value: i }, preset.name)));
    const titles = { W1: "network 1, first layer", W2: "network 1, second layer",
      V1: "network 2, first layer", V2: "network 2, second layer" };
    const fields = {};
    const grids = ["W1", "W2", "V1", "V2"].map((name) => {
      fields[name] = [0, 1].map((i) => [0, 1].map((j) => el("input", { type: "number", step: 0.5,
        style: "width: 4.2rem", "aria-label": `${titles[name]}, row ${i + 1}, column ${j + 1}` })));
      return el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, titles[name]),
        ...fields[name].map((row) => el("div", { style: "display: flex; gap: 0.3rem; margin-bottom: 0.3rem" }, ...row)));
    });
    const found = el("div", { "aria-live": "polite" });
    const sheet = el("div", { class: "hb-table", role: "region", tabindex: 0, "aria-label": "Activations on every input" });
    let epsilon = 0;

    const activations = (first, second, inputs) => {
      const hidden = inputs.map((a) => first.map((w) => Math.max(dot(w, a), 0)));
      return { hidden, output: hidden.map((h) => second.map((w) => dot(w, h))) };
    };
    const columns = (rows) => rows[0].map((_, j) => rows.map((row) => row[j]));
    const SPANS = ["only the origin", "a line", "a plane"];

    const draw = () => {
      const preset = data.presets[Number(choice.value)];
      const weights = Object.fromEntries(Object.entries(fields).map(([name, rows]) =>
        [name, rows.map((row) => row.map((input) => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : 0)))]));
      const nets = [activations(weights.W1, weights.W2, preset.inputs),
        activations(weights.V1, weights.V2, preset.inputs)];
      const [X, Y] = nets.map((net) => columns(net.hidden));
      const heads = ["input", "h\u2081", "h\u2082", "out\u2081", "out\u2082", "h\u2081", "h\u2082", "out\u2081", "out\u2082"];
      sheet.replaceChildren(el("table", {},
        el("caption", {}, "A column is the activation vector of a neuron. Left network 1, right network 2."),
        el("thead", {}, el("tr", {}, ...heads.map((h, i) => el("th", { scope: "col" },
          i ? el("span", { style: `color: var(--hb-u${i < 5 ? 1 : 2}-text)` }, h) : h)))),
        el("tbody", {}, ...preset.inputs.map((a, i) => el("tr", {},
          el("th", { scope: "row", style: "white-space: nowrap" }, `(${a.map(number).join(", ")})`),
          ...nets.flatMap((net) => [...net.hidden[i], ...net.output[i]].map((v) => el("td", {}, number(v)))))))));

      const ranks = [X, Y].map((side) => basis(side).length);
      const common = ranks[0] + ranks[1] - basis([...X, ...Y]).length;
      const same = nets[0].output.every((row, i) => row.every((v, j) => Math.abs(v - nets[1].output[i][j]) < TINY));
      const zero = nets[0].output.flat().every((v) => Math.abs(v) < TINY);
      const thresholds = critical(X, Y);
      const matched = thresholds.map((side) => side.flatMap((c, i) => (c <= epsilon + TINY ? [`h${"\u2081\u2082"[i]}`] : [])));
      const share = (matched[0].length + matched[1].length) / 4;
      const smallest = Math.min(...thresholds.flat());
      const lines = [
        `Outputs: ${same ? (zero ? "equal, and all zero" : "equal") : "different"}.`,
        `Hidden spans: ${SPANS[ranks[0]]} and ${SPANS[ranks[1]]}; they share ${SPANS[common]}.` +
          ` Isomorphic: ${ranks[0] === ranks[1] ? "yes" : "no"}.`,
        `Maximum match at \u03b5 = ${epsilon.toFixed(2)}: {${matched[0].join(", ")}} with {${matched[1].join(", ")}}, similarity ${share}.`,
        Number.isFinite(smallest) ? `The first neurons match at \u03b5 = ${smallest.toFixed(3)}.` : "All neurons are silent: none can match.",
      ];
      found.replaceChildren(...lines.map((text) => el("p", { class: "hb-note" }, text)));
    };
    const load = () => {
      const preset = data.presets[Number(choice.value)];
      for (const [name, rows] of Object.entries(fields))
        rows.forEach((row, i) => row.forEach((input, j) => { input.value = preset[name][i][j]; }));
      draw();
    };
    const tolerance = slider("Tolerance \u03b5", { min: 0, max: 0.99, step: 0.01, value: 0,
      show: (v) => v.toFixed(2) }, (v) => { epsilon = v; draw(); });
    choice.addEventListener("input", load);
    for (const input of Object.values(fields).flat(2)) input.addEventListener("input", draw);

    stage.append(el("p", {}, el("label", {}, "Start from ", choice)),
      el("div", { style: "display: grid; grid-template-columns: repeat(2, minmax(0, 13rem)); gap: 0.6rem 1rem" }, ...grids),
      sheet, tolerance.node, found);
    load();
    tolerance.start();
  });
})();
