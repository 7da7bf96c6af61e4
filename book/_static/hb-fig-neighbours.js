/* neighbours: top words of a direction that turns between two axes, and the neighbours of a word.

   data: words (n); vectors, the n x d word vectors as whole numbers of one byte, row by row, in
   base64; directions (m, d), of which the first d are the axes; names (m); asked, words whose
   neighbours can be looked at; start [from, to].

   Everything is computed with the vectors written in the turned basis: the plane of the two
   directions is turned, so that the first coordinate is the direction chosen.                    */
"use strict";
window.hbFig.register("neighbours", (stage, data, { el, slider }) => {
  const [SHOWN, n] = [8, data.words.length];
  const bytes = Int8Array.from(atob(data.vectors), (c) => c.charCodeAt(0));
  const d = bytes.length / n;
  const state = { from: data.start[0], to: data.start[1], angle: 0, word: 0 };
  const rows = Array.from({ length: n }, (_, i) => bytes.subarray(i * d, (i + 1) * d));
  const along = (v) => rows.map((row) => row.reduce((s, a, r) => s + a * v[r], 0));
  const known = new Map();
  const component = (i) => known.get(i) ?? known.set(i, along(data.directions[i])).get(i);

  const list = (label) => {
    const node = el("ol", { class: "hb-words", "aria-label": label,
      style: "list-style: none; margin: 0; padding: 0" });
    const show = (values, order, colour) => {
      const largest = Math.abs(values[order[0]]) || 1;
      node.replaceChildren(...order.map((i) => el("li", { style: "margin: 0 0 0.2rem" },
        el("span", {}, data.words[i]),
        el("span", { "aria-hidden": "true", style: "display: block; height: 4px; border-radius: 2px; " +
          `background: ${colour}; width: ${Math.max(0, (100 * values[i]) / largest)}%` }))));
    };
    return { node, show };
  };
  const topOf = (values, skip) => values.map((_, i) => i).filter((i) => i !== skip)
    .sort((i, j) => values[j] - values[i] || i - j).slice(0, SHOWN);
  const turned = list("Top words of the direction chosen");
  const near = list("Nearest words");
  const title = el("p", { class: "hb-title", "aria-live": "polite" });
  const note = el("p", { class: "hb-note" });

  const draw = () => {
    const [c, s] = [Math.cos((state.angle * Math.PI) / 180), Math.sin((state.angle * Math.PI) / 180)];
    const [a, b] = [component(state.from), component(state.to)];
    const [u, v] = [data.directions[state.from], data.directions[state.to]];
    const mixed = a.map((x, i) => c * x + s * b[i]);
    turned.show(mixed, topOf(mixed), "var(--hb-u1)");
    title.textContent = state.from === state.to ? "Choose two different directions"
      : state.angle === 0 ? data.names[state.from] : state.angle === 90 ? data.names[state.to]
        : `${state.angle} degrees from ${data.names[state.from]} to ${data.names[state.to]}`;

    /* neighbours, from coordinates in the plane after the turn and from what is outside the plane */
    const i = data.asked[state.word];
    const overlap = u.reduce((t, x, r) => t + x * v[r], 0);
    const norm = Math.sqrt(Math.max(1 - overlap * overlap, 1e-9));
    const inPlane = (j) => {
      const [x, y] = [a[j], (b[j] - overlap * a[j]) / norm];
      return [c * x + s * y, -s * x + c * y, x, y];
    };
    const [p, q, x0, y0] = inPlane(i);
    const dot = (j) => {
      const [p1, q1, x1, y1] = inPlane(j);
      const whole = rows[i].reduce((t, z, r) => t + z * rows[j][r], 0);
      return whole - x0 * x1 - y0 * y1 + p * p1 + q * q1;
    };
    const length = (j) => Math.sqrt(rows[j].reduce((t, z) => t + z * z, 0)) || 1;
    const cosines = rows.map((_, j) => dot(j) / (length(i) * length(j)));
    near.show(cosines, topOf(cosines, i), "var(--hb-u2)");
    note.textContent = `\u201c${data.words[i]}\u201d along the direction chosen: ${mixed[i].toFixed(0)}`
      .replace("-", "\u2212");
  };

  const select = (label, names, key) => {
    const node = el("select", { "aria-label": label }, ...names.map((name, i) => el("option", { value: i }, name)));
    node.value = state[key];
    node.addEventListener("input", () => { state[key] = Number(node.value); draw(); });
    return node;
  };
  const angle = slider("Angle between the two", { min: 0, max: 180, step: 5, value: 0,
    show: (v) => `${v} degrees` }, (v) => { state.angle = v; draw(); });
  const choose = (...parts) => el("label", { style: "margin-right: 1rem" }, ...parts);
  stage.append(
    el("p", {}, choose("Turn from ", select("First direction", data.names, "from")),
      choose("to ", select("Second direction", data.names, "to"))),
    angle.node,
    el("div", { class: "hb-panels" },
      el("div", { class: "hb-panel" }, title, turned.node),
      el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, choose("Words near ",
        select("Word", data.asked.map((i) => data.words[i]), "word"))), near.node, note)));
  angle.start();
});
