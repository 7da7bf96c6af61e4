/* Faces as sums: the decoder of a small autoencoder runs in the page.

   face-build: one face built from three dictionaries at once; which of them was learned?
   data: decoder, see below; columns, the titles of the three, and answer, which is the learned one;
   faces, a list of {name, code, parts}: parts[c] are the terms of the sum in column c, largest first;
   start, the number of terms shown at first.

   atom-mixer: atoms with sliders, added to nothing or to a face.
   data: atoms, a list of {name, step}; the decoder and the faces are those of the page's face-build.

   decoder: n, hidden, outputs, scale; hidden_weight (n x hidden), hidden_bias, weight (hidden x outputs),
   skip (n x outputs), bias, of small integers; size of a picture; light and colour, its components in
   brightness and, at half the size, in blue and red minus brightness; mean_light, mean_colour.
   A table of small integers is {data: base64 of int8, scale: one number per row, columns}.         */
"use strict";
(() => {
  const table = ({ data, scale, columns }) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const whole = new Int8Array(bytes.buffer);
    return Float32Array.from(whole, (v, i) => v * scale[Math.floor(i / columns)]);
  };
  /* rows of A weighted by x and summed, plus b */
  const times = (x, A, b) => {
    const out = Float32Array.from(b);
    const width = out.length;
    for (let i = 0; i < x.length; i++) {
      if (x[i]) for (let j = 0, at = i * width; j < width; j++) out[j] += x[i] * A[at + j];
    }
    return out;
  };

  const load = (d) => {
    const [W1, W2, skip] = [table(d.hidden_weight), table(d.weight), table(d.skip)];
    const [light, colour] = [table(d.light), table(d.colour)];
    const half = d.size / 2;
    const outputs = (z) => {
      const h = times(z, W1, d.hidden_bias).map((v) => Math.max(v, 0));
      return times(z, skip, times(h, W2, d.bias)).map((v) => v * d.scale);
    };
    const paint = (canvas, z) => {
      const out = outputs(z);
      const Y = times(out, light, d.mean_light);
      const C = times(out, colour, d.mean_colour);
      const context = canvas.getContext("2d");
      const picture = context.createImageData(d.size, d.size);
      for (let y = 0; y < d.size; y++) for (let x = 0; x < d.size; x++) {
        const at = y * d.size + x;
        const c = (y >> 1) * half + (x >> 1);
        const [blue, red] = [Y[at] + C[c], Y[at] + C[half * half + c]];
        const green = (Y[at] - 0.299 * red - 0.114 * blue) / 0.587;
        picture.data.set([red, green, blue].map((v) => Math.round(255 * Math.min(Math.max(v, 0), 1))).concat(255), 4 * at);
      }
      context.putImageData(picture, 0, 0);
      return out;
    };
    return { outputs, paint, size: d.size, n: d.n };
  };

  const tile = (el, size, width) => {
    const node = el("canvas", { width: size, height: size, role: "img" });
    node.style.cssText = `width: ${width}; aspect-ratio: 1; border-radius: 4px; display: block`;
    return node;
  };
  const add = (a, b, w = 1) => a.map((v, i) => v + w * b[i]);
  const option = (el) => (name, i) => el("option", { value: i }, name);

  window.hbFig.register("face-build", (stage, data, { el, slider }) => {
    const net = load(data.decoder);
    const zero = new Array(net.n).fill(0);
    const most = data.faces[0].parts[0].length;
    let [face, count, guessed] = [data.faces[0], data.start, false];

    const figureOf = (title) => {
      const [node, canvas] = [el("div"), tile(el, net.size, "100%")];
      const [head, text] = [el("p", { class: "hb-title" }, title), el("p", { class: "hb-note" })];
      node.append(head, canvas, text);
      return { node, canvas, head, text };
    };
    const target = figureOf("The face");
    const sums = ["A", "B", "C"].map(figureOf);
    const grid = el("div", {}, target.node, ...sums.map((s) => s.node));
    grid.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.6rem; " +
      "max-width: 46rem; margin: 0.6rem auto; text-align: center";

    const distance = (a, b) => a.reduce((sum, v, i) => sum + (v - b[i]) ** 2, 0);
    const draw = () => {
      const full = net.paint(target.canvas, face.code);
      target.canvas.setAttribute("aria-label", `${face.name}, decoded from its whole code`);
      target.text.textContent = "from all of its code";
      const empty = distance(full, net.outputs(zero));
      sums.forEach((sum, c) => {
        const z = face.parts[c].slice(0, count).reduce((total, part) => add(total, part), zero);
        const share = Math.round(100 * (1 - distance(full, net.paint(sum.canvas, z)) / empty));
        sum.text.textContent = `${share} % restored`.replace("-", "\u2212");
        sum.canvas.dataset.share = share;
        sum.canvas.setAttribute("aria-label", `Sum ${"ABC"[c]} of ${count}: ${share} % of the difference restored`);
        sum.head.textContent = guessed ? `${"ABC"[c]}: ${data.columns[c]}` : "ABC"[c];
      });
    };
    const steps = slider("Terms in the sum", { min: 0, max: most, step: 1, value: data.start,
      show: (v) => (v ? `${v} of ${most}` : "nothing: the average face") }, (v) => { count = v; draw(); });
    const choice = el("select", {}, ...data.faces.map((f, i) => option(el)(f.name, i)));
    choice.addEventListener("change", () => { face = data.faces[Number(choice.value)]; draw(); });
    const said = el("p", { class: "hb-note", "aria-live": "polite" });
    const buttons = [0, 1, 2].map((c) => {
      const button = el("button", { type: "button", class: "hb-choice" }, `${"ABC"[c]} is learned`);
      button.addEventListener("click", () => {
        guessed = true;
        said.textContent = `${c === data.answer ? "Yes." : "No."} ` +
          data.columns.map((title, i) => `${"ABC"[i]}: ${title}`).join("; ") + ".";
        draw();
      });
      return button;
    });
    const ask = el("p", { role: "group", "aria-label": "Which dictionary was learned?" }, "Which one was learned? ", ...buttons);
    ask.style.cssText = "display: flex; flex-wrap: wrap; gap: 0.4rem; align-items: center";
    stage.append(el("label", {}, "Face ", choice), steps.node, grid, ask, said);
    steps.start();
  });

  window.hbFig.register("atom-mixer", (stage, data, { el, slider }) => {
    const source = document.querySelector('hb-fig[kind="face-build"] script[type="application/json"]');
    const { decoder, faces } = JSON.parse(source.textContent);
    const net = load(decoder);
    const starts = [{ name: "nothing", code: new Array(net.n).fill(0) }, ...faces];
    const weights = data.atoms.map(() => 0);
    let start = starts[0];
    const canvas = tile(el, net.size, "min(15rem, 70vw)");
    const said = el("p", { class: "hb-note", "aria-live": "polite" });
    const draw = () => {
      net.paint(canvas, data.atoms.reduce((z, atom, j) => add(z, atom.step, weights[j]), start.code));
      const used = data.atoms.map((atom, j) => [atom.name, weights[j]]).filter(([, w]) => w);
      said.textContent = used.length
        ? [start.name, ...used.map(([name, w]) => `${w < 0 ? "\u2212" : "+"} ${Math.abs(w).toFixed(1)} \u00d7 ${name}`)].join(" ")
        : `${start.name}, no atom`;
      canvas.setAttribute("aria-label", `Decoded: ${said.textContent}`);
    };
    const sliders = data.atoms.map((atom, j) => slider(atom.name, { min: -3, max: 3, step: 0.1, value: 0,
      show: (v) => v.toFixed(1).replace("-", "\u2212") }, (v) => { weights[j] = v; draw(); }));
    const choice = el("select", {}, ...starts.map((s, i) => option(el)(s.name, i)));
    choice.addEventListener("change", () => { start = starts[Number(choice.value)]; draw(); });
    const reset = el("button", { type: "button", class: "hb-choice" }, "All to zero");
    reset.addEventListener("click", () => sliders.forEach((s) => s.set(0)));
    const box = el("div", {}, el("div", {}, el("label", {}, "Start from ", choice), canvas, reset),
      el("div", {}, ...sliders.map((s) => s.node)));
    box.style.cssText = "display: flex; flex-wrap: wrap; gap: 0.8rem 1.6rem; align-items: flex-start";
    stage.append(box, said);
    sliders.forEach((s) => s.start());
  });
})();
