/* grid-film: hidden layers on grids while a sequence is read; play it, or step through it.

   data: shape, [height, width] of the grids; layers, how many; ms, between frames; unit, "ms" or
   "frame", what time is shown in; names, of the classes; labels, the class of each frame; centres,
   (row, column) of each class; start, the frame shown first; films, a list of {name, cells}, shown
   side by side: activity as bytes in base64, layer by layer, frame by frame, cell by cell, 255 the
   brightest.

   It never starts by itself. A reader who asked for less motion gets no play button, only steps. */
"use strict";
window.hbFig.register("grid-film", (stage, data, { el, svg, slider }) => {
  const [height, width] = data.shape;
  const count = data.labels.length;
  const size = height * width;
  const films = data.films.map(({ cells }) => Uint8Array.from(atob(cells), (c) => c.charCodeAt(0)));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let frame = data.start, timer = null;

  /* stretches of frames of one class */
  const starts = data.labels.flatMap((c, t) => (t && c === data.labels[t - 1] ? [] : [t]));
  const stretch = (t) => starts.findLastIndex((s) => s <= t);
  const ends = (k) => starts[k + 1] ?? count;

  const layers = data.films.flatMap(({ name }, f) => Array.from({ length: data.layers }, (_, l) => {
    const cells = Array.from({ length: size }, (_, i) => svg("rect", { x: i % width,
      y: Math.floor(i / width), width: 1, height: 1, fill: "var(--hb-u1)" }));
    const ring = svg("circle", { r: 1.3, fill: "none", stroke: "var(--hb-u2)", "stroke-width": 0.28 });
    const picture = svg("svg", { viewBox: `-1 -1 ${width + 2} ${height + 2}`, role: "img" },
      svg("rect", { width, height, fill: "var(--hb-zero)" }), ...cells, ring);
    return { cells, ring, picture, f, l, name, node: el("div", { class: "hb-panel" },
      el("p", { class: "hb-title" }, `${name}, layer ${l + 1}`), picture) };
  }));

  /* what is said when, with a cursor */
  const cursor = svg("line", { y1: 0, y2: 24, stroke: "var(--hb-u2)", "stroke-width": 2 });
  const at = (t) => (400 * t) / count;
  const ribbon = svg("svg", { viewBox: "-2 -1 404 26", "aria-hidden": "true",
    style: "width: 100%; height: auto; display: block; font: 11px var(--hb-sans); cursor: pointer" },
    ...starts.flatMap((s, k) => [
      svg("rect", { x: at(s), y: 2, width: at(ends(k)) - at(s), height: 20, fill: "none",
        stroke: "var(--hb-line)", "stroke-width": 0.6 }),
      svg("text", { x: (at(s) + at(ends(k))) / 2, y: 16, "text-anchor": "middle",
        fill: "currentColor" }, at(ends(k)) - at(s) > 14 ? data.names[data.labels[s]] : "")]),
    cursor);

  const saying = el("p", { class: "hb-note", "aria-live": "polite" });
  const time = (t) => (data.unit === "ms" ? `${t * data.ms} ms` : `frame ${t + 1}`);

  const draw = () => {
    const label = data.labels[frame];
    const [row, column] = data.centres[label];
    layers.forEach(({ cells, ring, picture, f, l, name }) => {
      const offset = (l * count + frame) * size;
      cells.forEach((cell, i) => cell.setAttribute("fill-opacity", (films[f][offset + i] / 255).toFixed(3)));
      ring.setAttribute("cx", column + 0.5);
      ring.setAttribute("cy", row + 0.5);
      picture.setAttribute("aria-label", `${name}, layer ${l + 1} at ${time(frame)}; ring at the place of ${data.names[label]}`);
    });
    cursor.setAttribute("x1", at(frame + 0.5));
    cursor.setAttribute("x2", at(frame + 0.5));
    /* while it plays, a screen reader is not told of every frame */
    for (const node of [saying, stage.querySelector("output")])
      node?.setAttribute("aria-live", timer ? "off" : "polite");
    saying.textContent = `Being read: ${data.names[label]}`;
  };

  const position = slider("Time", { min: 0, max: count - 1, step: 1, value: data.start, show: time },
    (t) => { frame = t; draw(); });
  const pause = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    draw();
  };
  const go = (t) => { if (timer) pause(); position.set(t); };
  const play = el("button", { type: "button" }, "Play");
  play.addEventListener("click", () => {
    if (timer) return pause();
    if (frame === count - 1) position.set(0);
    play.textContent = "Pause";
    /* five times slower than speech, or nobody could follow */
    timer = setInterval(() => {
      if (!stage.isConnected || frame === count - 1) pause();
      else position.set(frame + 1);
    }, data.unit === "ms" ? 5 * data.ms : data.ms);
  });
  const middle = (k) => Math.floor((starts[k] + ends(k) - 1) / 2);
  const previous = el("button", { type: "button" }, "Previous");
  previous.addEventListener("click", () => go(middle(Math.max(0, stretch(frame) - 1))));
  const next = el("button", { type: "button" }, "Next");
  next.addEventListener("click", () => go(middle(Math.min(starts.length - 1, stretch(frame) + 1))));
  position.node.addEventListener("pointerdown", () => timer && pause());
  position.node.addEventListener("keydown", () => timer && pause());
  ribbon.addEventListener("click", (event) => {
    const box = ribbon.getBoundingClientRect();
    go(Math.min(count - 1, Math.max(0, Math.floor((count * (event.clientX - box.left)) / box.width))));
  });

  const line = "display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin: 0 0 0.6rem";
  stage.append(
    el("p", { style: line }, ...(still ? [] : [play]), previous, next),
    position.node,
    ribbon,
    saying,
    el("div", { class: "hb-panels", style: "gap: 0.4rem; grid-template-columns: " +
      "repeat(auto-fit, minmax(7.2rem, 1fr))" }, ...layers.map(({ node }) => node)));
  position.start();
});
