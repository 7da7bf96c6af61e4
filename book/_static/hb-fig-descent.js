/* The explorable figure that opens the chapter on rotation; loaded after hb-fig.js.

   descent    one factorisation and its copy from a rotated start descend side by side; beside them
              the error of a factorisation with one unit, 1 x 1, with three descents on its contours

   data: M (m x n), rows that are square pictures; A0 (k x m) and B0 (k x n), the start; U (k x k),
   the rotation of the second start; shown, the rows whose rebuilt pictures are drawn; lr, the two
   learning rates {gd, adam}; toy: {a, b, target, lr, steps, g}, start, entry to fit, and G.
   The error is that of hblib.rotation.Problem: half the squares, over the square root of m n.     */
(() => {
  "use strict";

  const zeros = (X) => X.map((row) => row.map(() => 0));
  const transpose = (X) => X[0].map((_, j) => X.map((row) => row[j]));
  const times = (X, Y) => {
    const columns = transpose(Y);
    return X.map((row) => columns.map((c) => row.reduce((sum, v, i) => sum + v * c[i], 0)));
  };
  const rest = (M, A, B) => times(transpose(A), B).map((row, i) => row.map((p, j) => p - M[i][j]));
  const squares = (X) => X.flat().reduce((sum, v) => sum + v * v, 0);
  const less = (X, Y) => X.map((row, i) => row.map((v, j) => v - Y[i][j]));

  /* One step of a copy {A, B, first, second, t} by "gd" or "adam" (torch.optim.Adam's defaults). */
  const step = (copy, M, rule, lr) => {
    const root = Math.sqrt(M.length * M[0].length);
    const R = rest(M, copy.A, copy.B);
    const gradient = [times(copy.B, transpose(R)), times(copy.A, R)];
    copy.t += 1;
    [copy.A, copy.B].forEach((X, f) => X.forEach((row, r) => row.forEach((_, i) => {
      const g = gradient[f][r][i] / root;
      if (rule === "gd") { row[i] -= lr * g; return; }
      const [m, v] = [copy.first[f][r], copy.second[f][r]];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      row[i] -= (lr * (m[i] / (1 - 0.9 ** copy.t))) / (Math.sqrt(v[i] / (1 - 0.999 ** copy.t)) + 1e-8);
    })));
  };
  const forget = (copy) => {
    copy.first = [zeros(copy.A), zeros(copy.B)];
    copy.second = [zeros(copy.A), zeros(copy.B)];
    copy.t = 0;
  };

  const percent = (share) => `${(100 * share).toFixed(share < 0.0005 ? 0 : 1)}\u00a0%`;

  window.hbFig.register("descent", (stage, data, { el, svg, slider }) => {
    const { M, U, toy } = data;
    const side = Math.round(Math.sqrt(M[0].length));
    const brightest = Math.max(...M.flat());
    let copies, steps, rule = "gd", running = null;
    const restart = () => {
      copies = [[data.A0, data.B0], [times(U, data.A0), times(U, data.B0)]].map(([A, B]) => {
        const copy = { A: A.map((row) => [...row]), B: B.map((row) => [...row]) };
        forget(copy);
        return copy;
      });
      steps = 0;
    };

    /* 1. two copies, each with what it rebuilds and its units */
    const CELL = 5.2, GAP = 50;
    const picture = (x, y) => {
      const frame = svg("g", { transform: `translate(${x} ${y})` },
        svg("rect", { x: -0.7, y: -0.7, width: side * CELL + 1.4, height: side * CELL + 1.4, fill: "none", stroke: "var(--hb-line)", "stroke-width": 0.7 }));
      const cells = [...Array(side * side).keys()].map((i) => {
        const rect = svg("rect", { x: CELL * (i % side), y: CELL * Math.floor(i / side), width: CELL, height: CELL });
        frame.append(rect);
        return rect;
      });
      return { frame, fill: (values, most) => cells.forEach((rect, i) => {
        rect.style.fill = values[i] < 0 ? "var(--hb-u2)" : "var(--hb-u1)";
        rect.style.fillOpacity = Math.min(1, Math.abs(values[i]) / most).toFixed(2);
      }) };
    };
    const boards = [1, 2].map((n) => {
      const board = svg("svg", { viewBox: "-2 -14 204 132", role: "img",
        "aria-label": `Copy ${n}: pictures that it rebuilds, and the pictures of its units` });
      const rows = [[data.shown, "rebuilds", 0], [data.A0, "its units", 66]].map(([list, words, y]) => {
        board.append(svg("text", { x: 0, y: y - 5 }, words));
        return list.map((_, i) => { const p = picture(GAP * i, y); board.append(p.frame); return p; });
      });
      return { board, rows };
    });
    const notes = [0, 1, 2, 3].map(() => el("p", { class: "hb-note" }));
    const score = el("div", { "aria-live": "polite" }, ...notes.slice(1));

    const draw = () => {
      copies.forEach((copy, c) => {
        const product = times(transpose(copy.A), copy.B);
        boards[c].rows[0].forEach((p, i) => p.fill(product[data.shown[i]], brightest));
        const loudest = Math.max(...copies.flatMap((both) => both.B.flat().map(Math.abs)));
        boards[c].rows[1].forEach((p, r) => p.fill(copy.B[r], loudest));
      });
      const [one, two] = copies;
      const root = Math.sqrt(M.length * M[0].length);
      const errors = copies.map((copy) => squares(rest(M, copy.A, copy.B)) / 2 / root);
      const products = copies.map((copy) => times(transpose(copy.A), copy.B));
      const apart = Math.sqrt(squares(less(...products)) / squares(products[0]));
      const off = Math.sqrt((squares(less(two.A, times(U, one.A))) + squares(less(two.B, times(U, one.B)))) /
        (squares(one.A) + squares(one.B)));
      const errorOf = (i) => `Step ${steps}, error ${errors[i].toFixed(4)}`;
      notes[0].textContent = errorOf(0);
      notes[1].textContent = errorOf(1);
      notes[2].textContent = `The two products differ by ${percent(apart)}`;
      notes[3].textContent = `Off from the rotated copy 1 by ${percent(off)}`;
    };
    const advance = (n) => {
      for (let i = 0; i < n; i++) for (const copy of copies) step(copy, M, rule, data.lr[rule]);
      steps += n;
      draw();
    };
    const run = el("button", { type: "button", "aria-pressed": "false" }, "Run");
    const stop = () => {
      cancelAnimationFrame(running);
      running = null;
      run.textContent = "Run";
      run.setAttribute("aria-pressed", "false");
      score.setAttribute("aria-live", "polite");
    };
    const tick = () => {
      if (!stage.isConnected) return;
      advance(2);
      if (steps >= 600) stop();
      else running = requestAnimationFrame(tick);
    };
    run.addEventListener("click", () => {
      if (running !== null) { stop(); return; }
      if (steps >= 600) restart();
      score.setAttribute("aria-live", "off");
      run.textContent = "Pause";
      run.setAttribute("aria-pressed", "true");
      running = requestAnimationFrame(tick);
    });
    const hundred = el("button", { type: "button" }, "100 steps");
    hundred.addEventListener("click", () => { stop(); advance(100); });
    const again = el("button", { type: "button" }, "Start again");
    again.addEventListener("click", () => { stop(); restart(); draw(); });
    const choice = el("select", { "aria-label": "Training rule" },
      el("option", { value: "gd" }, "gradient descent"), el("option", { value: "adam" }, "Adam"));
    choice.addEventListener("input", () => { rule = choice.value; copies.forEach(forget); });

    /* 2. one unit, one entry: the error is a function on a plane */
    const REACH = 2.6, SIZE = 100;
    const at = (a, b) => [(SIZE * a) / REACH, (-SIZE * b) / REACH];
    const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${at(a, b).map((v) => v.toFixed(1)).join(" ")}`).join("");
    const plane = svg("svg", { viewBox: "-104 -104 208 226", role: "img",
      "aria-label": "Contours of the error over a and b, with three descents" });
    plane.append(svg("rect", { x: -SIZE, y: -SIZE, width: 2 * SIZE, height: 2 * SIZE, fill: "none", stroke: "var(--hb-line)" }));
    for (const level of [-2.5, -1.5, -0.75, 0, 0.5, 1, 1.75, 2.75, 4])
      for (const sign of [1, -1]) {
        const points = [...Array(81).keys()].map((i) => REACH * (i / 80) ** 1.5)
          .filter((a) => (level ? Math.abs(level / a) <= REACH : a > 0)).map((a) => [sign * a, (sign * level) / a]);
        if (level === 0) points.splice(0, points.length, [0, -REACH], [0, 0], [sign * REACH, 0]);
        plane.append(svg("path", { d: path(points), fill: "none", stroke: level === toy.target ? "var(--pst-color-text-base)" : "var(--hb-line)",
          "stroke-width": level === toy.target ? 1.6 : 0.8 }));
      }
    plane.append(svg("text", { class: "tick", x: SIZE, y: 114, "text-anchor": "end" }, "a \u2192"),
      svg("text", { class: "tick", x: -SIZE, y: 114 }, "\u2191 b, black: error 0"));
    const wanted = svg("path", { fill: "none", stroke: "var(--hb-u2)", "stroke-width": 1.4, "stroke-dasharray": "2 3" });
    plane.append(wanted);
    const lines = [["u1", "\u0398"], ["u1", "U\u0398"], ["u2", "G\u0398"]].map(([cls, words]) => {
      const line = svg("path", { fill: "none", stroke: `var(--hb-${cls})`, "stroke-width": 2.4 });
      const start = svg("circle", { r: 3.5 });
      start.style.fill = `var(--hb-${cls})`;
      const label = svg("text", { class: `name ${cls}` }, words);
      plane.append(line, start, label);
      return { line, start, label };
    });
    const descend = (a, b) => {
      const points = [[a, b]];
      for (let t = 0; t < toy.steps; t++) {
        const r = a * b - toy.target;
        [a, b] = [a - toy.lr * r * b, b - toy.lr * r * a];
        points.push([a, b]);
      }
      return points;
    };
    const ends = el("p", { class: "hb-note", "aria-live": "polite" });
    const stretch = slider("Stretch G", { min: 0.5, max: 4, step: 0.1, value: toy.g, show: (v) => v.toFixed(1) }, (g) => {
      const runs = [[toy.a, toy.b], [-toy.a, -toy.b], [g * toy.a, toy.b / g]].map(([a, b]) => descend(a, b));
      runs.forEach((points, i) => {
        const [x, y] = at(...points[0]);
        lines[i].line.setAttribute("d", path(points));
        lines[i].start.setAttribute("cx", x);
        lines[i].start.setAttribute("cy", y);
        lines[i].label.setAttribute("x", x + (i === 1 ? -20 : 6));
        lines[i].label.setAttribute("y", y + (i === 2 ? 13 : i === 1 ? 11 : -6));
      });
      wanted.setAttribute("d", path(runs[0].map(([a, b]) => [g * a, b / g])));
      const text = ([a, b]) => `(${[a, b].map((v) => v.toFixed(2).replace("-", "\u2212")).join(", ")})`;
      const [end, , other] = runs.map((points) => points.at(-1));
      ends.textContent = `From G\u0398 descent ends at ${text(other)}; G times the end of the first run is ${text([g * end[0], end[1] / g])}`;
    });

    const panel = (title, ...children) => el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
    stage.append(el("p", { style: "display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0 0 0.6rem" }, run, hundred, again, choice),
      el("div", { class: "hb-panels" },
        panel("Copy 1", boards[0].board, notes[0]), panel("Copy 2, from a rotated start", boards[1].board, score),
        panel("One unit: a b should be 1", plane, stretch.node, ends)));
    restart();
    draw();
    stretch.start();
  });
})();
