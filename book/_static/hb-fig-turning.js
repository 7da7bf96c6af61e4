/* turning-axis: one axis of a layer turns, and the inputs that excite it most change with it.

   The axis starts on one direction and turns towards another. At every angle its ten top inputs are
   found anew, and with them the attribute that names it and the surplus of that name.

   data: pixels (n strings, one digit 0 to f for each grey value, row by row), size of a picture;
   directions (n, k), components of each input along k directions; labels (k), their names;
   start, the two of them that the axis turns between at first;
   residuals (n, a) and has (n strings of 0 and 1), the attributes; names (a); luck; n_top;
   marks (list of {label, value}), mean surpluses to compare with.                               */
"use strict";
window.hbFig.register("turning-axis", (stage, data, { el, svg, slider }) => {
  const STEP = 2; // degrees between the points of the curve
  const SMALL = "font-size: 11.5px"; // readable on a phone, where the chart shrinks
  const n = data.pixels.length;
  const state = { from: data.start[0], to: data.start[1], angle: 0 };

  const component = (degrees) => {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    return data.directions.map((row) => c * row[state.from] + s * row[state.to]);
  };
  const topOf = (a) => a.map((_, i) => i).sort((i, j) => a[j] - a[i] || i - j).slice(0, data.n_top);
  const judge = (top) => {
    const means = data.names.map((_, k) => top.reduce((sum, i) => sum + data.residuals[i][k], 0) / data.n_top);
    const best = means.indexOf(Math.max(...means));
    const count = top.filter((i) => data.has[i][best] === "1").length;
    return { best, count, surplus: means[best] - data.luck };
  };

  /* the pictures */
  const strip = el("div", { class: "hb-turning-strip", role: "img" });
  strip.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(3.4rem, 1fr)); gap: 4px; " +
    "max-width: 40rem; margin: 0.6rem auto";
  const tiles = Array.from({ length: data.n_top }, () => {
    const tile = el("canvas", { width: data.size, height: data.size });
    tile.style.cssText = "width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 3px";
    strip.append(tile);
    return tile;
  });
  const paint = (tile, i) => {
    tile.dataset.input = i;
    const context = tile.getContext("2d");
    const picture = context.createImageData(data.size, data.size);
    [...data.pixels[i]].forEach((level, p) => {
      const grey = 255 - 17 * parseInt(level, 16);
      picture.data.set([grey, grey, grey, 255], 4 * p);
    });
    context.putImageData(picture, 0, 0);
  };

  /* the curve of the surplus over the angle */
  const [W, H, LEFT] = [300, 150, 30];
  const x = (degrees) => LEFT + ((W - LEFT - 8) * degrees) / 180;
  const y = (v) => H - 24 - (H - 36) * Math.min(Math.max(v, 0), 0.8) / 0.8;
  const chart = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img",
    "aria-label": "How nameable the axis is, over its angle, with the mean of units and of random directions" });
  for (const v of [0, 0.4, 0.8]) {
    chart.append(svg("line", { class: "zero", x1: LEFT, x2: W - 8, y1: y(v), y2: y(v), "stroke-width": 0.6 }),
      svg("text", { class: "tick", x: LEFT - 5, y: y(v) + 4, "text-anchor": "end", style: SMALL }, v ? v.toFixed(1) : "0"));
  }
  for (const d of [0, 90, 180]) {
    chart.append(svg("line", { class: "zero", x1: x(d), x2: x(d), y1: y(0.8), y2: y(0), "stroke-dasharray": "2 3" }),
      svg("text", { class: "tick", x: x(d), y: H - 8, style: SMALL, "text-anchor": d === 180 ? "end" : d ? "middle" : "start" }, `${d}\u00b0`));
  }
  const curve = svg("polyline", { fill: "none", "stroke-width": 1.8 });
  curve.style.stroke = "var(--hb-u1)";
  const dot = svg("circle", { r: 4.5 });
  dot.style.fill = "var(--hb-u2)";
  chart.append(curve, dot);
  const box = el("div", { class: "hb-panel" },
    el("p", { class: "hb-title" }, "How nameable the axis is (surplus)"), chart);
  box.style.cssText = "max-width: 30rem; margin: 0 auto";

  const said = el("p", { class: "hb-note hb-turning-said", "aria-live": "polite" });
  said.style.cssText = "text-align: center; font-size: 0.95rem";
  const compared = el("p", { class: "hb-note" });
  compared.textContent = "Average in this layer: " +
    data.marks.map(({ label, value }) => `${label} ${value.toFixed(2)}`).join(", ") + ".";

  const drawCurve = () => {
    const points = [];
    for (let d = 0; d <= 180; d += STEP) points.push(`${x(d)},${y(judge(topOf(component(d))).surplus)}`);
    curve.setAttribute("points", points.join(" "));
  };
  const draw = () => {
    const top = topOf(component(state.angle));
    const { best, count, surplus } = judge(top);
    top.forEach((i, place) => paint(tiles[place], i));
    const text = `${data.names[best]}: ${count} of ${data.n_top}, surplus ${surplus.toFixed(2)}`;
    said.textContent = text.replace("-", "\u2212");
    strip.setAttribute("aria-label", `The ${data.n_top} pictures that excite the axis most. ${text}`);
    dot.setAttribute("cx", x(state.angle));
    dot.setAttribute("cy", y(surplus));
  };

  const choice = (label, key) => {
    const select = el("select", {}, ...data.labels.map((name, k) => el("option", { value: k }, name)));
    select.value = state[key];
    select.addEventListener("change", () => { state[key] = Number(select.value); drawCurve(); draw(); });
    return el("label", {}, `${label} `, select);
  };
  const angle = slider("Turn the axis", { min: 0, max: 180, step: 1, value: 0, show: (v) => `${v} degrees` },
    (v) => { state.angle = v; draw(); });
  const ends = el("div", {}, choice("from", "from"), choice("towards (90\u00b0)", "to"));
  ends.style.cssText = "display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; margin-bottom: 0.4rem";
  stage.append(ends, angle.node, strip, said, box, compared);
  drawCurve();
  angle.start();
});
