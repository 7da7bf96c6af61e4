/* Two explorable figures of the chapter on subspace match; loaded after hb-fig.js.

   planes         two layers whose spans cross in a line; shift and turn them
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

  /* Linear CKA of two sets of activation vectors. */
  const lessMean = (v) => { const m = v.reduce((a, b) => a + b, 0) / v.length; return v.map((x) => x - m); };
  const cka = (X, Y) => {
    const [A, B] = [X, Y].map((side) => side.map(lessMean));
    const squares = (P, Q) => P.flatMap((p) => Q.map((q) => dot(p, q) ** 2)).reduce((a, b) => a + b, 0);
    return squares(A, B) / Math.sqrt(squares(A, A) * squares(B, B));
  };

  /* ---- planes ----
     data: X and Y, activation vectors (unit x input); basis, three orthonormal vectors that span
     them: the common output, the third direction, the vector of ones; epsilon, the tolerance.     */
  window.hbFig.register("planes", (stage, data, { el, svg, slider }) => {
    const state = { yaw: -0.5, pitch: 0.4, angle: 0, centred: false, epsilon: data.epsilon };
    const NAMES = [["h\u2081", "h\u2082"], ["k\u2081", "k\u2082"]];
    const UNIT = 64, RIM = 1.42;
    const within = (v) => data.basis.map((b) => dot(b, v));
    const layers = () => [data.X, data.Y].map((side) => {
      const [a, b] = state.centred ? side.map(lessMean) : side;
      const [c, s] = [Math.cos((state.angle * Math.PI) / 180), Math.sin((state.angle * Math.PI) / 180)];
      return [a.map((x, i) => c * x + s * b[i]), b.map((x, i) => c * x - s * a[i])];
    });
    const project = ([x, y, z]) => {
      const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw), Math.cos(state.pitch), Math.sin(state.pitch)];
      return [UNIT * (cy * x + sy * y), 22 - UNIT * (cp * z + sp * (-sy * x + cy * y))];
    };
    const space = svg("svg", { viewBox: "-118 -118 236 236", class: "hb-space", role: "application",
      tabindex: "0", "aria-label": "The spans of two layers as planes. Arrow keys turn the view." });
    const set = (node, attributes) => Object.entries(attributes).forEach((pair) => node.setAttribute(...pair));
    const place = (node, [x1, y1], [x2, y2]) => set(node, { x1, y1, x2, y2 });
    const add = (...node) => { const made = svg(...node); space.append(made); return made; };
    const sheets = [1, 2].map((n) => {
      const colour = `var(--hb-u${n})`;
      return add("polygon", { "fill-opacity": 0.16, "stroke-width": 1, fill: colour, stroke: colour });
    });
    const ones = add("line", { stroke: "var(--hb-line)", "stroke-dasharray": "2 3" });
    const common = add("line", { "stroke-width": 2.5, stroke: "var(--pst-color-text-base)" });
    const words = ["output", "mean"].map((text) => add("text", { class: "tick", "text-anchor": "middle" }, text));
    const arrows = NAMES.map((pair, s) => pair.map((name) => {
      const stroke = `var(--hb-u${s + 1})`;
      return {
        shaft: add("line", { "stroke-width": 2.2, stroke }),
        tip: add(s ? "rect" : "circle", { "stroke-width": 2, stroke, ...(s ? { width: 8, height: 8 } : { r: 4.5 }) }),
        label: add("text", { class: `name u${s + 1}` }, name),
      };
    }));

    const share = el("p", { class: "hb-title", "aria-live": "polite" });
    const notes = el("div");
    const draw = () => {
      const sides = layers();
      const zero = project([0, 0, 0]);
      const thresholds = critical(...sides);
      const matches = (s, i) => thresholds[s][i] <= state.epsilon + TINY;
      sides.forEach((side, s) => {
        const [a, b] = basis(side.map(within));
        const rim = [...Array(48).keys()].map((i) => (i * Math.PI) / 24).map((t) =>
          project(a.map((x, j) => RIM * (Math.cos(t) * x + Math.sin(t) * b[j]))));
        sheets[s].setAttribute("points", rim.join(" "));
        side.forEach((v, i) => {
          const { shaft, tip, label } = arrows[s][i];
          const [x, y] = project(within(v));
          place(shaft, zero, [x, y]);
          set(tip, s ? { x: x - 4, y: y - 4 } : { cx: x, cy: y });
          tip.style.fill = matches(s, i) ? `var(--hb-u${s + 1})` : "var(--pst-color-on-background)";
          set(label, { x: x + (x < 0 ? -17 : 7), y: y + (s ? 10 : -4) });
        });
      });
      place(common, project([-RIM, 0, 0]), project([RIM, 0, 0]));
      place(ones, zero, project([0, 0, 1.35]));
      [[RIM, 0, 0], [0, 0, 1.35]].forEach((at, i) => {
        const [x, y] = project(at);
        set(words[i], { x: Math.max(-78, Math.min(78, x)), y: y + (i ? -4 : 13) });
      });
      const matched = NAMES.flatMap((pair, s) => pair.filter((name, i) => matches(s, i)));
      share.textContent = `Maximum match: ${(matched.length / 4).toFixed(2)}`;
      notes.replaceChildren(...[
        matched.length ? `${matched.join(", ")} match (filled tips).` : "No unit matches.",
        `Linear CKA: ${cka(...sides).toFixed(2)}`,
        "The outputs stay equal: the read-outs undo the shift and the turn.",
      ].map((text) => el("p", { class: "hb-note" }, text)));
    };
    const turn = slider("Turn both layers", { min: 0, max: 90, step: 1, value: 0,
      show: (v) => `${v} degrees` }, (v) => {
      state.angle = v;
      rotate.setAttribute("aria-pressed", String(v === 45));
      draw();
    });
    const [centre, rotate] = ["Centre", "Rotate"].map((text) =>
      el("button", { type: "button", "aria-pressed": "false" }, text));
    centre.addEventListener("click", () => {
      state.centred = !state.centred;
      centre.setAttribute("aria-pressed", String(state.centred));
      draw();
    });
    rotate.addEventListener("click", () => turn.set(state.angle === 45 ? 0 : 45));
    const tolerance = slider("Tolerance \u03b5", { min: 0, max: 0.95, step: 0.05, value: data.epsilon,
      show: (v) => v.toFixed(2) }, (v) => { state.epsilon = v; draw(); });

    const look = (yaw, pitch) => {
      Object.assign(state, { yaw: state.yaw + yaw, pitch: Math.max(-1.4, Math.min(1.4, state.pitch + pitch)) });
      draw();
    };
    space.addEventListener("pointerdown", (event) => space.setPointerCapture(event.pointerId));
    space.addEventListener("pointermove", (event) => {
      if (event.buttons) look(0.01 * event.movementX, 0.01 * event.movementY);
    });
    const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    space.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      look(...KEYS[event.key]);
    });
    stage.append(el("div", { class: "hb-panels" }, el("div", { class: "hb-panel" }, space),
      el("div", { class: "hb-panel" }, share, notes, el("p", { style: "display: flex; gap: 0.6rem; margin: 0.8rem 0" }, centre, rotate),
        turn.node, tolerance.node)));
    turn.start();
    tolerance.start();
  });

  /* ---- johnson-222 ----
     data: presets, a list of {name, W1, V1, W2, V2, inputs}: first- and second-layer weights of the
     two networks (W and V), 2 x 2, and the inputs, each a pair.                                   */
  window.hbFig.register("johnson-222", (stage, data, { el, svg }) => {
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
    const picture = svg("svg", { viewBox: "-34 -128 190 164", role: "img",
      "aria-label": "Hidden activation vectors of both networks as arrows" });
    const found = el("div", { "aria-live": "polite" });

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
      const reach = Math.max(1, ...[...X, ...Y].flat());
      const tips = new Map();
      const arrows = [X, Y].flatMap((side, s) => side.map((v, j) => {
        const [x, y] = v.map((value, i) => ((i ? -100 : 100) * value) / reach);
        const length = Math.hypot(x, y) || 1;
        /* equal arrows stay apart */
        const [ax, ay] = [(3 * (2 * s - 1) * y) / length, (-3 * (2 * s - 1) * x) / length];
        const [hx, hy] = [x + ax - (11 * j * x) / length, y + ay - (11 * j * y) / length];
        const key = `${Math.round(x)},${Math.round(y)}`;
        if (!tips.has(key)) tips.set(key, { x, y, names: [] });
        tips.get(key).names.push({ name: `${s ? "k" : "h"}${"\u2081\u2082"[j]}`, s });
        const stroke = `var(--hb-u${s + 1})`;
        return svg("g", {}, svg("line", { x1: ax, y1: ay, x2: hx, y2: hy, stroke, "stroke-width": 2, "stroke-dasharray": s ? "6 3" : "none" }),
          x || y ? svg("path", { d: "M-8-4 0 0-8 4Z", fill: stroke, transform: `translate(${hx} ${hy}) rotate(${(Math.atan2(y, x) * 180) / Math.PI})` })
            : svg("circle", { r: 3, fill: stroke }));
      }));
      const labels = [...tips.values()].map(({ x, y, names }) => svg("text", { class: "name", x: x > 0 ? x + 6 : x - 12, y: x > 0 ? y + 4 : y - 7 },
        ...names.map(({ name, s }) => svg("tspan", { dx: 2, class: `name u${s + 1}` }, name))));
      const axes = preset.inputs.map((a, i) => svg("text", { class: "tick", x: -34 * i, y: i ? -120 : 28 },
        `on input (${a.map(number).join(", ")})`));
      picture.replaceChildren(svg("path", { class: "zero", fill: "none", d: "M110 0H0V-110" }), ...arrows, ...labels, ...axes);

      const ranks = [X, Y].map((side) => basis(side).length);
      const common = ranks[0] + ranks[1] - basis([...X, ...Y]).length;
      const said = nets.map((net) => net.output.map((row) => `(${row.map(number).join(", ")})`).join(" and "));
      const same = said[0] === said[1];
      const zero = same && !/[1-9]/.test(said[0]);
      const thresholds = critical(X, Y);
      const matched = thresholds.map((side, s) => side.flatMap((c, i) => (c <= TINY ? [`${s ? "k" : "h"}${"\u2081\u2082"[i]}`] : [])));
      const share = (matched[0].length + matched[1].length) / 4;
      const smallest = Math.min(...thresholds.flat());
      const lines = [
        `Outputs: ${same ? (zero ? "equal, and all zero" : "equal") : "different"}.` + (zero ? "" : ` ${said.join("; ")}.`),
        `Hidden spans: ${SPANS[ranks[0]]} and ${SPANS[ranks[1]]}; they share ${SPANS[common]}.` +
          ` Isomorphic: ${ranks[0] === ranks[1] ? "yes" : "no"}.`,
        `Exact match: {${matched[0].join(", ")}} with {${matched[1].join(", ")}}, similarity ${share}.`,
        smallest < 1 - TINY ? `The first neurons match at \u03b5 = ${smallest.toFixed(3)}.` : "No neurons match at any tolerance below 1.",
      ];
      found.replaceChildren(...lines.map((text) => el("p", { class: "hb-note" }, text)));
    };
    const load = () => {
      const preset = data.presets[Number(choice.value)];
      for (const [name, rows] of Object.entries(fields))
        rows.forEach((row, i) => row.forEach((input, j) => { input.value = preset[name][i][j]; }));
      draw();
    };
    choice.addEventListener("input", load);
    for (const input of Object.values(fields).flat(2)) input.addEventListener("input", draw);

    stage.append(el("p", {}, el("label", {}, "Start from ", choice)),
      el("div", { style: "display: grid; grid-template-columns: repeat(2, minmax(0, 13rem)); gap: 0.6rem 1rem" }, ...grids),
      el("div", { class: "hb-panels" }, el("div", { class: "hb-panel" }, picture), found));
    load();
  });
})();
