/* activation-space: a layer of three units as a space that can be turned by hand.

   Every input is one point. Two things can be turned: the view (drag the picture, or arrow keys
   while it has the focus), and the basis in which the points are written (slider). The read-out is
   rewritten to fit, so the scores stay; a ReLU after the change of basis breaks that.

   data: points (n, 3), activations before the ReLU; labels (n), names of the inputs' classes;
   weights (c, 3) and biases (c), the read-out; axis (3) and angle (radians), the full rotation.  */
"use strict";
window.hbFig.register("activation-space", (stage, data, { el, svg, slider }) => {
  const UNITS = [0, 1, 2];
  const COLOURS = ["var(--hb-u1)", "var(--hb-u2)", "var(--hb-good)"];
  const TEXTS = ["var(--hb-u1-text)", "var(--hb-u2-text)", "var(--hb-good)"];
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const apply = (R, v) => R.map((row) => dot(row, v));
  const relu = (v) => v.map((x) => Math.max(x, 0));
  const best = (v) => v.indexOf(Math.max(...v));
  const show = (x) => x.toFixed(1).replace("-", "\u2212");

  /* Rodrigues' formula, as rows */
  const rotation = ([x, y, z], angle) => {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const k = 1 - c;
    return [[c + k * x * x, k * x * y - s * z, k * x * z + s * y],
            [k * x * y + s * z, c + k * y * y, k * y * z - s * x],
            [k * x * z - s * y, k * y * z + s * x, c + k * z * z]];
  };
  /* the read-out in the turned basis: W R^T */
  const turned = (R) => data.weights.map((row) => apply(R, row));
  const scores = (W, h) => W.map((row, c) => dot(row, h) + data.biases[c]);

  const hidden = data.points.map(relu);
  const original = hidden.map((h) => scores(data.weights, h));
  const reach = Math.max(...hidden.flat());
  /* the picture turns about the middle of the cloud and holds all points and axes */
  const middle = UNITS.map((i) => hidden.reduce((sum, h) => sum + h[i], 0) / hidden.length);
  const tips = UNITS.map((i) => UNITS.map((j) => (i === j ? reach : 0)));
  const radius = Math.max(...[...hidden, ...tips].map((v) => Math.hypot(...v.map((x, i) => x - middle[i]))));
  const state = { yaw: -0.6, pitch: 0.45, t: 0, input: data.input ?? 0, late: false };

  /* ---- 1. the space ---- */
  const HALF = 118; // of the picture's width, in its own units
  const project = (v) => {
    const [x, y, z] = v.map((a, i) => (124 * (a - middle[i])) / radius);
    const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw),
                              Math.cos(state.pitch), Math.sin(state.pitch)];
    const [right, away] = [cy * x + sy * y, -sy * x + cy * y];
    return { x: right, y: -(cp * z + sp * away), depth: cp * away - sp * z };
  };
  const space = svg("svg", { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, class: "hb-space", role: "application",
    tabindex: "0", "aria-label": "Activation space of three units. Arrow keys turn the view." });
  const axes = [["neuron", ""], ["basis", "4 3"]].map(([kind, dash]) => UNITS.map((i) => {
    const line = svg("line", { "stroke-width": kind === "neuron" ? 1.4 : 2.4, "stroke-dasharray": dash });
    line.style.stroke = COLOURS[i];
    const label = svg("text", { class: "name", "font-size": 8 }, kind === "neuron" ? `neuron ${i + 1}` : `b${i + 1}`);
    label.style.fill = TEXTS[i];
    space.append(line, label);
    return { line, label };
  }));
  const parts = UNITS.map((i) => {
    const line = svg("line", { "stroke-width": 3.2, "stroke-linecap": "round", opacity: 0.55 });
    line.style.stroke = COLOURS[i];
    space.append(line);
    return line;
  });
  const dots = data.points.map((_, i) => {
    const text = svg("text", { "text-anchor": "middle", "dominant-baseline": "central" }, data.labels[i]);
    space.append(text);
    return text;
  });
  const ring = svg("circle", { r: 7, fill: "none", "stroke-width": 1.6 });
  ring.style.stroke = "var(--pst-color-text-base)";
  space.append(ring);
  const at = (line, a, b) => {
    for (const [name, value] of [["x1", a.x], ["y1", a.y], ["x2", b.x], ["y2", b.y]]) line.setAttribute(name, value);
  };

  /* ---- 2. coordinates of one input, 3. its scores ---- */
  const bars = svg("svg", { viewBox: "-6 -64 212 146", role: "img",
    "aria-label": "Coordinates of the chosen input, in the neurons and in the turned basis" });
  bars.append(svg("line", { class: "zero", x1: 0, x2: 200, y1: 0, y2: 0 }));
  const coordinates = UNITS.map((i) => {
    const pair = [0, 1].map((j) => {
      const rect = svg("rect", { x: 10 + 66 * i + 26 * j, width: 22 });
      if (j) rect.style.fill = COLOURS[i];
      else Object.assign(rect.style, { fill: "none", stroke: COLOURS[i] });
      bars.append(rect);
      return rect;
    });
    const name = svg("text", { class: "tick", x: 34 + 66 * i, y: 78, "text-anchor": "middle" }, `neuron ${i + 1} | b${i + 1}`);
    bars.append(name);
    return pair;
  });
  const chart = svg("svg", { viewBox: "-6 -64 212 146", role: "img",
    "aria-label": "Scores of all classes for the chosen input" });
  chart.append(svg("line", { class: "zero", x1: 0, x2: 200, y1: 0, y2: 0 }));
  const step = 200 / data.biases.length;
  const columns = data.biases.map((_, c) => {
    const rect = svg("rect", { x: (c + 0.15) * step, width: 0.7 * step });
    const mark = svg("line", { x1: (c + 0.05) * step, x2: (c + 0.95) * step, "stroke-width": 1.5 });
    mark.style.stroke = "var(--pst-color-text-base)";
    chart.append(rect, mark, svg("text", { class: "tick", x: (c + 0.5) * step, y: 78, "text-anchor": "middle" }, String(c)));
    return { rect, mark };
  });
  const stand = (rect, height) => {
    rect.setAttribute("y", -Math.max(height, 0));
    rect.setAttribute("height", Math.abs(height));
  };
  const said = el("p", { class: "hb-note" });
  const change = el("p", { class: "hb-note" });
  const right = el("p", { class: "hb-note" });

  /* ---- drawing ---- */
  const drawSpace = (R) => {
    const zero = project([0, 0, 0]);
    axes.forEach((set, turnedSet) => set.forEach(({ line, label }, i) => {
      const unit = turnedSet ? R[i] : UNITS.map((j) => Number(i === j));
      const end = project(unit.map((x) => (turnedSet ? 0.7 : 1) * reach * x));
      at(line, zero, end);
      label.setAttribute("x", end.x);
      label.setAttribute("y", end.y + (turnedSet ? -4 : 10));
      label.setAttribute("text-anchor", "middle");
      line.style.display = label.style.display = turnedSet && !state.t ? "none" : "";
    }));
    const places = hidden.map(project);
    const depths = places.map((p) => p.depth);
    const [near, far] = [Math.min(...depths), Math.max(...depths)];
    dots.forEach((text, i) => {
      text.setAttribute("x", places[i].x);
      text.setAttribute("y", places[i].y);
      const closeness = (far - places[i].depth) / (far - near || 1);
      text.setAttribute("opacity", 0.5 + 0.5 * closeness);
      text.setAttribute("font-size", 6.5 + 3 * closeness);
    });
    const chosen = places[state.input];
    ring.setAttribute("cx", chosen.x);
    ring.setAttribute("cy", chosen.y);
    /* the chosen point as a walk along the basis vectors */
    let corner = [0, 0, 0];
    apply(R, hidden[state.input]).forEach((length, i) => {
      const next = corner.map((x, j) => x + length * R[i][j]);
      at(parts[i], project(corner), project(next));
      corner = next;
    });
  };
  const drawNumbers = (R) => {
    const W = turned(R);
    const code = data.points.map((z, i) => (state.late ? relu(apply(R, z)) : apply(R, hidden[i])));
    const now = code.map((h) => scores(W, h));
    const h = code[state.input];
    const length = Math.hypot(...hidden[state.input]) || 1;
    const span = Math.max(...original[state.input].map(Math.abs), ...now[state.input].map(Math.abs));
    coordinates.forEach(([before, after], i) => {
      stand(before, (56 * hidden[state.input][i]) / length);
      stand(after, (56 * h[i]) / length);
    });
    said.textContent = `A ${data.labels[state.input]}: neurons say ${hidden[state.input].map(show).join(", ")}; ` +
      `the basis b says ${h.map(show).join(", ")}.`;
    const winner = best(now[state.input]);
    columns.forEach(({ rect, mark }, c) => {
      stand(rect, (56 * now[state.input][c]) / span);
      rect.style.fill = c === winner ? "var(--hb-u1)" : "var(--hb-line)";
      const y = (-56 * original[state.input][c]) / span;
      mark.setAttribute("y1", y);
      mark.setAttribute("y2", y);
    });
    const largest = Math.max(...now.flatMap((row, i) => row.map((s, c) => Math.abs(s - original[i][c]))));
    change.textContent = `Largest change of any score of any input: ${largest.toFixed(2)}.`;
    const hits = now.filter((row, i) => best(row) === Number(data.labels[i])).length;
    right.textContent = `Classified rightly: ${hits} of ${now.length}.`;
  };
  const draw = () => {
    const R = rotation(data.axis, state.t * data.angle);
    drawSpace(R);
    drawNumbers(R);
  };

  /* ---- turning the view, choosing a point ---- */
  const turn = (dx, dy) => {
    state.yaw += dx;
    state.pitch = Math.min(1.5, Math.max(-1.5, state.pitch + dy));
    draw();
  };
  let from = null, moved = 0;
  space.addEventListener("pointerdown", (event) => {
    space.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
    moved = 0;
  });
  space.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    from = [event.clientX, event.clientY];
    moved += Math.abs(dx) + Math.abs(dy);
    turn(0.01 * dx, 0.01 * dy);
  });
  const drop = (event) => {
    if (event.type === "pointerup" && from && moved < 4) {
      const box = space.getBoundingClientRect();
      const scale = (2 * HALF) / box.width;
      const [x, y] = [(event.clientX - box.x) * scale - HALF, (event.clientY - box.y) * scale - HALF];
      const distances = hidden.map(project).map((p) => Math.hypot(p.x - x, p.y - y));
      const nearest = distances.indexOf(Math.min(...distances));
      if (distances[nearest] < 14) input.set(nearest);
    }
    from = null;
  };
  space.addEventListener("pointerup", drop);
  space.addEventListener("pointercancel", drop);
  space.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] }[event.key];
    if (!step) return;
    event.preventDefault();
    turn(...step);
  });

  const basis = slider("Turn the basis", { min: 0, max: 100, step: 1, value: 0,
    show: (v) => `${v} % of the way` }, (v) => { state.t = v / 100; draw(); });
  const input = slider("Input", { min: 0, max: hidden.length - 1, step: 1, value: state.input,
    show: (v) => `number ${v + 1}, a ${data.labels[v]}` }, (v) => { state.input = v; draw(); });
  const late = el("input", { type: "checkbox", style: "flex: none" });
  late.addEventListener("change", () => { state.late = late.checked; draw(); });
  const option = el("label", { class: "hb-slider" }, late, "ReLU after the change of basis, not before");

  const panel = (title, ...children) => el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
  const view = panel("Activation space", space, el("p", { class: "hb-note" },
    "Drag, or use the arrow keys, to look from elsewhere. Tap a digit to choose it."));
  view.style.cssText = "max-width: 30rem; margin: 0 auto 1rem";
  space.style.overflow = "visible";
  stage.append(basis.node, input.node, option, view, el("div", { class: "hb-panels" },
    panel("The same point in two bases", bars, said),
    panel("What the read-out says", chart, change, right)));
  input.start();
  basis.start();
});
