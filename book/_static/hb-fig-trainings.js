/* trainings: correlations between the units of two trainings, while the second space turns.

   data: cross (k, k), covariances of the units of the first training (rows) with those of the second;
   own (k, k), covariances of the units of the second; spread (k), standard deviations of those of the
   first; root (k, k), in millionths, the steps-th root of the rotation that turns the second to the
   first from the right; steps; pairs (k) and signs (k), the best pairing of units;
   cosines {before, units, rotation}, mean cosine of a word's two vectors.                        */
"use strict";
window.hbFig.register("trainings", (stage, data, { el, svg, slider }) => {
  const k = data.spread.length;
  const times = (A, B) => A.map((row) => B[0].map((_, j) => row.reduce((s, a, r) => s + a * B[r][j], 0)));

  /* all steps of the way: powers of the root */
  const root = data.root.map((row) => row.map((x) => x / 1e6));
  const turns = [root.map((_, i) => root.map((_, j) => Number(i === j)))];
  while (turns.length <= data.steps) turns.push(times(turns[turns.length - 1], root));
  const correlations = (step) => {
    const U = turns[step];
    const half = times(data.own, U);
    const variances = U.map((_, j) => U.reduce((s, row, r) => s + row[j] * half[r][j], 0));
    return times(data.cross, U).map((row, i) =>
      row.map((c, j) => c / (data.spread[i] * Math.sqrt(variances[j]))));
  };

  const map = (label) => {
    const node = svg("svg", { viewBox: `0 0 ${k} ${k}`, role: "img", "aria-label": label,
      "shape-rendering": "crispEdges" });
    node.style.cssText = "aspect-ratio: 1; border: 1px solid var(--hb-line)";
    const cells = Array.from({ length: k }, (_, i) => Array.from({ length: k }, (_, j) => {
      const cell = svg("rect", { x: j, y: i, width: 1, height: 1 });
      node.append(cell);
      return cell;
    }));
    const note = el("p", { class: "hb-note" });
    note.style.minHeight = "3.2em"; // two lines, whatever they say, so that nothing jumps
    const show = (C, cosine) => {
      C.forEach((row, i) => row.forEach((c, j) => {
        cells[i][j].style.fill = `color-mix(in oklab, var(--hb-${c < 0 ? "u2" : "u1"}) ` +
          `${Math.round(100 * Math.min(1, Math.abs(c)))}%, var(--hb-zero))`;
      }));
      const diagonal = C.reduce((s, row, i) => s + Math.abs(row[i]), 0) / k;
      note.textContent = `Mean size on the diagonal: ${diagonal.toFixed(2)}` +
        (cosine === undefined ? "" : `; mean cosine of a word\u2019s two vectors: ${cosine.toFixed(2)}`);
      node.setAttribute("aria-label", `${label}. ${note.textContent}`);
    };
    return { node, note, show };
  };

  const fixed = map("Correlations between the units of two trainings");
  const turning = map("Correlations after the second training was turned");
  const drawn = correlations(0);
  const paired = drawn.map((row) => data.pairs.map((j, i) => data.signs[i] * row[j]));
  const buttons = [["as trained", drawn, data.cosines.before],
    ["best pairing of units", paired, data.cosines.units]].map(([name, C, cosine], place) => {
    const node = el("button", { type: "button", "aria-pressed": String(!place) }, name);
    node.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === node)));
      fixed.show(C, cosine);
    });
    return node;
  });
  fixed.show(drawn, data.cosines.before);
  const turn = slider("Turn the second training", { min: 0, max: data.steps, step: 1, value: 0,
    show: (v) => `${Math.round((100 * v) / data.steps)} %` }, (v) => turning.show(correlations(v),
    v === 0 ? data.cosines.before : v === data.steps ? data.cosines.rotation : undefined));
  const row = el("div", {}, ...buttons);
  row.style.cssText = "display: flex; flex-wrap: wrap; gap: 0.5rem; margin: auto 0 0.5rem";
  const panel = (title, control, { node, note }) => el("div", { class: "hb-panel" },
    el("p", { class: "hb-title" }, title), control, node, note);
  const panels = el("div", { class: "hb-panels" },
    panel("Unit against unit", row, fixed), panel("One rotation of the whole space", turn.node, turning));
  for (const one of panels.children) one.style.cssText = "display: flex; flex-direction: column";
  stage.append(panels);
  turn.start();
});
