/* The explorable figure of the chapter on language models; loaded after hb-fig.js.

   turned-transformer    a small trained transformer that runs here: text to type, its residual
                         stream to turn; the probabilities of the next letter stay, coordinates do not

   data, made by hblib.models.language.page_data: sizes; letters; weights, by name the step and whole
   numbers in base64; axes (base64 of float32, columns two per plane) and angles of the planes in
   which the rotation turns; text; and, optional: turn, the share of the rotation at the start, in
   percent (0).                                                                                    */
(() => {
  "use strict";

  const READ = ["q", "k", "v", "gate", "up"], WRITE = ["o", "down"];
  const SHOWN = 64, ADDED = 24; // letters read at most, and letters that the model adds
  const STRETCH = 4; // coordinates are stretched by 1/4 to 4

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const whole = ([step, text]) => Float64Array.from(new Int8Array(bytes(text).buffer), (v) => v * step);

  /* W (n x d) times M (d x d), or its transpose times W (d x n); arrays row after row. */
  const after = (W, M, d) => {
    const out = new Float64Array(W.length);
    for (let r = 0; r < W.length; r += d)
      for (let i = 0; i < d; i++) {
        const w = W[r + i];
        for (let j = 0; j < d; j++) out[r + j] += w * M[i * d + j];
      }
    return out;
  };
  const before = (W, M, d) => {
    const out = new Float64Array(W.length), n = W.length / d;
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++) {
        const m = M[i * d + j];
        for (let c = 0; c < n; c++) out[j * n + c] += m * W[i * n + c];
      }
    return out;
  };

  /* Orthonormal columns, in double precision again (Gram-Schmidt, twice). */
  const orthonormal = (V, d) => {
    for (let j = 0; j < d; j++) {
      for (let pass = 0; pass < 2; pass++)
        for (let k = 0; k < j; k++) {
          let c = 0;
          for (let i = 0; i < d; i++) c += V[i * d + k] * V[i * d + j];
          for (let i = 0; i < d; i++) V[i * d + j] -= c * V[i * d + k];
        }
      let n = 0;
      for (let i = 0; i < d; i++) n += V[i * d + j] ** 2;
      for (let i = 0; i < d; i++) V[i * d + j] /= Math.sqrt(n);
    }
    return V;
  };

  /* The rotation Q^t = V R(t angles) V^T. */
  const rotation = (V, angles, t, d) => {
    const T = Float64Array.from(V);
    angles.forEach((angle, p) => {
      const [c, s] = [Math.cos(t * angle), Math.sin(t * angle)];
      for (let i = 0; i < d; i++) {
        const [a, b] = [V[i * d + 2 * p], V[i * d + 2 * p + 1]];
        T[i * d + 2 * p] = c * a + s * b;
        T[i * d + 2 * p + 1] = c * b - s * a;
      }
    });
    const Q = new Float64Array(d * d);
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++) {
        let sum = 0;
        for (let k = 0; k < d; k++) sum += T[i * d + k] * V[j * d + k];
        Q[i * d + j] = sum;
      }
    return Q;
  };

  /* Gains into the maps that read; the head gets weights of its own. */
  const folded = (model) => {
    const { width: d, n_layers } = model.sizes;
    const W = { ...model.weights, head: model.weights.head ?? model.weights.embedding };
    const scale = (name, gain) => { W[name] = W[name].map((v, i) => v * W[gain][i % d]); };
    for (let n = 0; n < n_layers; n++) {
      for (const name of READ) scale(`${n}.${name}`, `${n}.gain_${name.length === 1 ? "attention" : "mlp"}`);
      for (const gain of ["attention", "mlp"]) W[`${n}.gain_${gain}`] = new Float64Array(d).fill(1);
    }
    scale("head", "gain");
    W.gain = new Float64Array(d).fill(1);
    return { sizes: model.sizes, weights: W };
  };

  /* The residual stream h becomes h M: what reads it gets the inverse, what writes into it M. */
  const changed = (model, M, undo) => {
    const { width: d, n_layers } = model.sizes;
    const W = { ...model.weights };
    W.head = after(W.head ?? W.embedding, undo, d);
    W.embedding = after(W.embedding, M, d);
    for (let n = 0; n < n_layers; n++) {
      for (const name of READ) W[`${n}.${name}`] = after(W[`${n}.${name}`], undo, d);
      for (const name of WRITE) W[`${n}.${name}`] = before(W[`${n}.${name}`], M, d);
    }
    return { sizes: model.sizes, weights: W };
  };
  const diagonal = (values) => {
    const d = values.length, M = new Float64Array(d * d);
    values.forEach((v, i) => { M[i * d + i] = v; });
    return M;
  };

  /* One more letter through the blocks: {stream, logits}. `past` holds keys and values so far. */
  const next = (model, past, token) => {
    const { width: d, n_layers, n_heads, n_kv_heads, head_width: w, rotary_base, eps } = model.sizes;
    const W = model.weights, half = w / 2, position = past.length;
    const map = (x, name) => {
      const M = W[name], n = x.length, out = new Float64Array(M.length / n);
      for (let r = 0; r < out.length; r++) {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += M[r * n + i] * x[i];
        out[r] = sum;
      }
      return out;
    };
    const norm = (h, gain) => {
      const size = Math.sqrt(h.reduce((sum, v) => sum + v * v, 0) / d + eps);
      return h.map((v, i) => (v / size) * W[gain][i]);
    };
    const turned = (x) => {
      const out = Float64Array.from(x);
      for (let head = 0; head < x.length; head += w)
        for (let i = 0; i < half; i++) {
          const angle = position * rotary_base ** (-i / half);
          const [c, s, a, b] = [Math.cos(angle), Math.sin(angle), x[head + i], x[head + half + i]];
          out[head + i] = a * c - b * s;
          out[head + half + i] = b * c + a * s;
        }
      return out;
    };
    const add = (h, x) => h.map((v, i) => v + x[i]);
    let h = W.embedding.slice(token * d, (token + 1) * d);
    const stream = [h], kept = [];
    for (let n = 0; n < n_layers; n++) {
      let x = norm(h, `${n}.gain_attention`);
      const q = turned(map(x, `${n}.q`));
      kept.push({ k: turned(map(x, `${n}.k`)), v: map(x, `${n}.v`) });
      const seen = [...past.map((at) => at[n]), kept[n]];
      const mixed = new Float64Array(n_heads * w);
      for (let head = 0; head < n_heads; head++) {
        const own = head * w, shared = Math.floor((head * n_kv_heads) / n_heads) * w;
        const scores = seen.map(({ k }) => {
          let sum = 0;
          for (let i = 0; i < w; i++) sum += q[own + i] * k[shared + i];
          return sum / Math.sqrt(w);
        });
        softmax(scores).forEach((share, s) => {
          for (let i = 0; i < w; i++) mixed[own + i] += share * seen[s].v[shared + i];
        });
      }
      h = add(h, map(mixed, `${n}.o`));
      x = norm(h, `${n}.gain_mlp`);
      const gate = map(x, `${n}.gate`), up = map(x, `${n}.up`);
      h = add(h, map(gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]), `${n}.down`));
      stream.push(h);
    }
    past.push(kept);
    return { stream, logits: map(norm(h, "gain"), W.head ? "head" : "embedding") };
  };
  const softmax = (scores) => {
    const most = scores.reduce((a, b) => Math.max(a, b));
    const weights = Array.from(scores, (s) => Math.exp(s - most));
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((v) => v / sum);
  };

  /* Read a text, then go on: letters drawn from the squared probabilities, the draws always the same. */
  const run = (model, tokens) => {
    const past = [];
    let last = tokens.map((token) => next(model, past, token)).at(-1);
    const found = { stream: last.stream, probabilities: softmax(last.logits), added: [] };
    for (let i = 1; i <= ADDED; i++) {
      const squares = softmax(last.logits.map((v) => 2 * v));
      let rest = (0.618034 * i) % 1;
      const token = Math.max(0, squares.findIndex((p) => (rest -= p) < 0));
      found.added.push(token);
      last = next(model, past, token);
    }
    return found;
  };

  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

  window.hbFig.register("turned-transformer", (stage, data, { el, svg, slider }) => {
    const { sizes, letters } = data, d = sizes.width;
    const trained = { sizes, weights: Object.fromEntries(
      Object.entries(data.weights).map(([name, stored]) => [name, whole(stored)])) };
    const V = orthonormal(Float64Array.from(new Float32Array(bytes(data.axes).buffer)), d);
    const plain = folded(trained);
    const state = { kind: "turn", share: 0, tokens: [], own: null, now: trained };
    const name = (token) => (letters[token] === " " ? "_" : letters[token]);

    /* 1. what is done to the model */
    const KINDS = { turn: "Turn, gains folded first", unfolded: "Turn without folding the gains",
      stretch: `Stretch by 1/${STRETCH} to ${STRETCH}, undone in every map` };
    const change = () => {
      const t = state.share / 100;
      if (state.kind === "stretch") {
        const by = Array.from({ length: d }, (_, i) => STRETCH ** (t * ((2 * i) / (d - 1) - 1)));
        state.now = changed(plain, diagonal(by), diagonal(by.map((v) => 1 / v)));
      } else {
        const Q = rotation(V, data.angles, t, d);
        state.now = changed(state.kind === "turn" ? plain : trained, Q, Q);
      }
    };

    /* 2. bars: the next letter */
    const WIDE = 8.6, HIGH = 110;
    const bars = svg("svg", { viewBox: `-2 -10 ${27 * WIDE + 4} ${HIGH + 24}`, role: "img",
      "aria-label": "Probability of each letter to come next: bars now, lines as trained" });
    bars.append(svg("line", { class: "zero", x1: 0, x2: letters.length * WIDE, y1: HIGH, y2: HIGH }));
    const columns = [...letters].map((_, i) => {
      const words = svg("title"), bar = svg("rect", { class: "bar u1", x: i * WIDE + 1, width: WIDE - 2 }, words);
      const line = svg("line", { x1: i * WIDE, x2: (i + 1) * WIDE, stroke: "var(--hb-u2)", "stroke-width": 1.6 });
      bars.append(bar, line, svg("text", { class: "tick", x: (i + 0.5) * WIDE, y: HIGH + 10, "text-anchor": "middle" }, name(i)));
      return { bar, line, words };
    });

    /* 3. strips: the coordinates at the last letter */
    const CELL = 236 / d, ROW = 13;
    const places = ["letter read", ...Array.from({ length: sizes.n_layers }, (_, n) => `after block ${n + 1}`)];
    const strips = svg("svg", { viewBox: `0 0 236 ${places.length * 48 - 4}`, role: "img",
      "aria-label": "Coordinates of the residual stream at the last letter, as trained and now" });
    const rows = places.map((words, p) => {
      const y = 48 * p;
      strips.append(svg("text", { x: 0, y: y + 9 }, words));
      return [0, 1].map((r) => Array.from({ length: d }, (_, i) => {
        const cell = svg("rect", { x: i * CELL, y: y + 13 + r * (ROW + 2), width: CELL, height: ROW });
        strips.append(cell);
        return cell;
      }));
    });
    const paint = (cells, h, most) => cells.forEach((cell, i) => {
      cell.style.fill = h[i] < 0 ? "var(--hb-u2)" : "var(--hb-u1)";
      cell.style.fillOpacity = Math.min(1, Math.abs(h[i]) / most).toFixed(2);
      cell.dataset.value = h[i].toPrecision(6);
    });

    const moved = el("p", { class: "hb-note" });
    const kept = el("p", { class: "hb-note" });
    const likely = el("p", { class: "hb-note" });
    const said = [0, 1].map(() => el("samp", { style: "white-space: pre-wrap; overflow-wrap: anywhere" }));
    const draw = () => {
      const [own, now] = [state.own, run(state.now, state.tokens)];
      const highest = Math.max(...own.probabilities, ...now.probabilities);
      columns.forEach(({ bar, line, words }, i) => {
        const [p, q] = [now.probabilities[i], own.probabilities[i]].map((v) => (HIGH * v) / highest);
        bar.setAttribute("y", HIGH - p);
        bar.setAttribute("height", p);
        for (const end of ["y1", "y2"]) line.setAttribute(end, HIGH - q);
        words.textContent = `${name(i)}: ${(100 * now.probabilities[i]).toFixed(3)} %`;
      });
      let [apart, size] = [0, 0];
      rows.forEach((pair, p) => {
        const [h, g] = [own.stream[p], now.stream[p]];
        const most = 2.5 * Math.sqrt(h.reduce((sum, v) => sum + v * v, 0) / d);
        paint(pair[0], h, most);
        paint(pair[1], g, most);
        [apart, size] = [Math.hypot(...h.map((v, i) => v - g[i])), Math.hypot(...h)];
      });
      moved.textContent = `After the last block the hidden vector lies ${(apart / size).toFixed(2)} of its length from where it was.`;
      const largest = Math.max(...now.probabilities.map((p, i) => Math.abs(p - own.probabilities[i])));
      kept.textContent = largest < 1e-9 ? "No probability has changed by more than a billionth."
        : `The largest change of a probability: ${(100 * largest).toFixed(1)} points.`;
      const order = [...letters].map((_, i) => i).sort((i, j) => now.probabilities[j] - now.probabilities[i]);
      likely.textContent = `Likeliest now: ${order.slice(0, 3).map((i) => `${name(i)} ${percent(now.probabilities[i])}`).join(", ")}`;
      [own, now].forEach(({ added }, i) => { said[i].textContent = added.map((t) => letters[t]).join(""); });
    };

    const field = el("input", { type: "text", maxlength: 200, spellcheck: "false", autocapitalize: "none",
      autocomplete: "off", style: "flex: 1 1 14rem; min-width: 0; min-height: 2rem" });
    const read = () => {
      const text = [...field.value.toLowerCase()].map((c) => (letters.includes(c) ? c : " ")).join("").replace(/ +/g, " ");
      state.tokens = [...(text || " ").slice(-SHOWN)].map((c) => letters.indexOf(c));
      state.own = run(trained, state.tokens);
    };
    field.value = data.text;
    field.addEventListener("input", () => { read(); draw(); });
    const choice = el("select", { "aria-label": "What is done to the model" },
      ...Object.entries(KINDS).map(([value, words]) => el("option", { value }, words)));
    choice.addEventListener("input", () => { state.kind = choice.value; change(); draw(); });
    const turn = slider("How far", { min: 0, max: 100, step: 1, value: data.turn ?? 0,
      show: (v) => `${v}\u00a0%` }, (v) => { state.share = v; change(); draw(); });
    const row = "display: flex; flex-wrap: wrap; gap: 0.3rem 0.9rem; align-items: center; margin: 0 0 0.6rem";
    const panel = (title, ...children) => el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
    const goes = (words, node) => el("p", { class: "hb-note" }, `${words}: `, node);
    stage.append(
      el("label", { style: row }, "Type a text", field), el("p", { style: row }, choice), turn.node,
      el("div", { class: "hb-panels" },
        panel("The next letter (_ is the space)", bars, el("p", { class: "hb-note" }, "Bars: now. Lines: as trained."),
          el("div", { "aria-live": "polite" }, kept), likely),
        panel("Coordinates: above as trained, below now", strips, moved)),
      goes("Continues, as trained", said[0]), goes("Continues, now", said[1]));
    read();
    turn.start();
  });
})();
