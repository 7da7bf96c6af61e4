/* sorting: units of an ordinary layer slide from arbitrary cells to their best ones, beside a layer that
   was trained with a penalty.

   data: shape, [height, width]; names and centres, (row, column), of the classes; radius of a disc;
   ordinary and penalised, (class, unit) mean activity in millionths, every row with the same sum; cells,
   the best cell of each unit of the ordinary layer; start, the class shown first.

   It never starts by itself. Who asked for less motion sees no way, only the two ends. */
"use strict";
window.hbFig.register("sorting", (stage, data, { el, svg, slider }) => {
  const [height, width] = data.shape;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const at = (cell) => [Math.floor(cell / width), cell % width];
  let way = 0, timer = null;

  /* share of the activity of class a that lies in the disc of class c, unit i sitting in cells[i] */
  const share = (maps, a, c, cells) => {
    const [row, column] = data.centres[c];
    let inside = 0, all = 0;
    maps[a].forEach((x, i) => {
      const [r, k] = at(cells[i]);
      if (Math.hypot(r - row, k - column) <= data.radius) inside += x;
      all += x;
    });
    return inside / all;
  };
  const identity = data.cells.map((_, i) => i);

  const picture = (title) => {
    const units = data.cells.map(() => svg("rect", { width: 1, height: 1, fill: "var(--hb-u1)" }));
    const ring = svg("circle", { r: data.radius, fill: "none", stroke: "var(--hb-u2)", "stroke-width": 0.22 });
    const node = svg("svg", { viewBox: `-0.6 -0.6 ${width + 1.2} ${height + 1.2}`, role: "img" },
      svg("rect", { width, height, fill: "var(--hb-zero)" }), ...units, ring);
    const note = el("p", { class: "hb-note", "aria-live": "polite" });
    note.style.minHeight = "4.8em";
    return { units, ring, node, note, panel: el("div", { class: "hb-panel" },
      el("p", { class: "hb-title" }, title), node, note) };
  };
  const left = picture("Never trained for a map");
  const right = picture("Trained for a map");
  const choice = el("select", { "aria-label": "Sound" },
    ...data.names.map((name, i) => el("option", { value: i }, name)));
  choice.value = data.start;

  const draw = (one, maps, place, cells) => {
    const c = Number(choice.value);
    const top = [...maps[c]].sort((x, y) => y - x)[2];
    one.units.forEach((unit, i) => {
      const [row, column] = place(i);
      unit.setAttribute("x", column.toFixed(3));
      unit.setAttribute("y", row.toFixed(3));
      unit.setAttribute("fill-opacity", Math.min(1, maps[c][i] / top).toFixed(3));
    });
    one.ring.setAttribute("cx", data.centres[c][1] + 0.5);
    one.ring.setAttribute("cy", data.centres[c][0] + 0.5);
    if (!cells) { one.note.textContent = "On their way."; return; }
    const others = data.names.map((_, a) => a).filter((a) => a !== c);
    const mean = others.reduce((s, a) => s + share(maps, a, c, cells), 0) / others.length;
    one.note.textContent = `In the ring: ${(100 * share(maps, c, c, cells)).toFixed(1)} % of the activity while ` +
      `${data.names[c]} is read, ${(100 * mean).toFixed(1)} % while other sounds are.`;
    one.node.setAttribute("aria-label", one.note.textContent);
  };
  const show = () => {
    const cells = way === 0 ? identity : way === 1 ? data.cells : null;
    draw(left, data.ordinary, (i) => {
      const [r, k] = at(i), [row, column] = at(data.cells[i]);
      return [r + way * (row - r), k + way * (column - k)];
    }, cells);
    draw(right, data.penalised, at, identity);
  };
  const move = slider("Order of the units", { min: 0, max: 100, step: still ? 100 : 1, value: 0,
    show: (v) => (v === 0 ? "arbitrary" : v === 100 ? "best" : `${v} %`) }, (v) => { way = v / 100; show(); });
  const button = el("button", { type: "button" }, "Sort the units");
  const stop = () => { clearInterval(timer); timer = null; };
  button.addEventListener("click", () => {
    stop();
    if (still) { move.set(100); return; }
    if (way === 1) move.set(0);
    timer = setInterval(() => {
      if (!stage.isConnected || way === 1) stop();
      else move.set(Math.min(100, Math.round(100 * way) + 2));
    }, 30);
  });
  move.node.addEventListener("pointerdown", stop);
  move.node.addEventListener("keydown", stop);
  choice.addEventListener("input", show);
  const row = el("p", {}, el("label", {}, "Sound ", choice), button);
  row.style.cssText = "display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin: 0 0 0.6rem";
  const panels = el("div", { class: "hb-panels" }, left.panel, right.panel);
  panels.style.gridTemplateColumns = "repeat(auto-fit, minmax(9rem, 1fr))";
  stage.append(row, move.node, panels);
  move.start();
});
