/* Explorable figure of the chapter on thought vectors; loaded after hb-fig.js.

   atoms: a picture as a sum of atoms. Move over the atoms, or along them with the keyboard, to see
   the sum grow; then take single atoms out of a picture by check boxes.

   data: sheet, all pictures as one (a data: address); size, of one in pixels; gap between them;
   columns and count of the sheet; faces, a list of {name, weights, partial, alone, full, original}:
   partial[j] is the number of the picture of the first j atoms, alone[j] that of atom j by itself;
   choice, {name, weights, first}: picture first + s is that of the atoms in the subset s, bit j
   for atom j.                                                                                   */
(() => {
  "use strict";

  window.hbFig.register("atoms", (stage, data, { el }) => {
    const pitch = data.size + data.gap;
    const rows = Math.ceil(data.count / data.columns);
    const weight = (w) => w.toFixed(1).replace("-", "\u2212");

    /* One picture of the sheet, enlarged; show(number) changes which. */
    const tile = (scale) => {
      const node = el("div", { style: `width: ${data.size * scale}px; height: ${data.size * scale}px; ` +
        `background-image: url(${data.sheet}); background-repeat: no-repeat; flex: none; background-size: ` +
        `${(data.columns * pitch - data.gap) * scale}px ${(rows * pitch - data.gap) * scale}px` });
      const show = (number) => {
        const [row, column] = [Math.floor(number / data.columns), number % data.columns];
        node.style.backgroundPosition = `${-column * pitch * scale}px ${-row * pitch * scale}px`;
      };
      return { node, show };
    };
    const picture = (caption) => {
      const { node, show } = tile(3);
      node.setAttribute("role", "img");
      const text = el("p", { class: "hb-note", "aria-live": "polite" });
      return {
        node: el("div", {}, el("p", { class: "hb-title" }, caption), node, text),
        show: (number, words) => { show(number); node.setAttribute("aria-label", words); text.textContent = words; },
      };
    };
    const line = "display: flex; flex-wrap: wrap; gap: 0.4rem; margin: 0.4rem 0";
    const button = (words, number, caption) => {
      const { node, show } = tile(1);
      show(number);
      return el("button", { type: "button", "aria-label": words, "aria-pressed": "false", style: "padding: 3px; " +
        "border: 2px solid transparent; background: transparent; color: inherit; font: inherit; cursor: pointer" },
        node, el("span", { style: "display: block; text-align: center; font-size: 0.85em" }, caption));
    };

    /* 1. the sum grows */
    const choice = el("select", { "aria-label": "Face" },
      ...data.faces.map((face, i) => el("option", { value: i }, face.name)));
    const big = picture("The sum so far");
    const atoms = el("div", { role: "group", "aria-label": "Atoms, largest first", style: line });
    const load = () => {
      const face = data.faces[Number(choice.value)];
      const total = face.weights.length;
      const buttons = [];
      const press = (which, number, words) => {
        buttons.forEach((node, i) => {
          node.setAttribute("aria-pressed", String(i === which));
          node.style.borderColor = i === which ? "var(--hb-u2)" : i < which && which <= total ? "var(--hb-u1)" : "transparent";
        });
        big.show(number, words);
      };
      const add = (node, number, words) => {
        const which = buttons.push(node) - 1;
        for (const event of ["pointerenter", "focus", "click"])
          node.addEventListener(event, () => press(which, number, words));
      };
      add(button("No atom: the average face", face.partial[0], "none"), face.partial[0], "No atom: the average face");
      face.weights.forEach((w, j) => {
        const words = j ? `The ${j + 1} largest atoms of ${total}` : `The largest atom of ${total}`;
        add(button(`Up to atom ${j + 1}, weight ${weight(w)}`, face.alone[j], weight(w)), face.partial[j + 1], words);
      });
      add(button("The full code", face.full, "full"), face.full, "The full code, decoded");
      add(button("The original", face.original, "original"), face.original, "The picture that was encoded");
      atoms.replaceChildren(...buttons);
      press(total, face.partial[total], `All ${total} atoms`);
    };
    choice.addEventListener("input", load);

    /* 2. atoms taken out one by one */
    const sum = picture("The atoms chosen");
    const boxes = data.choice.weights.map((w, j) => el("input", { type: "checkbox", checked: "",
      "aria-label": `Atom ${j + 1}, weight ${weight(w)}` }));
    const update = () => {
      const subset = boxes.reduce((s, box, j) => s + (box.checked ? 2 ** j : 0), 0);
      const count = boxes.filter((box) => box.checked).length;
      sum.show(data.choice.first + subset, `${count} of the ${boxes.length} largest atoms`);
    };
    boxes.forEach((box) => box.addEventListener("input", update));
    const list = el("div", { role: "group", "aria-label": `Atoms of ${data.choice.name}`, style: line },
      ...boxes.map((box, j) => {
        const { node, show } = tile(1);
        show(data.choice.alone[j]);
        return el("label", { style: "text-align: center; font-size: 0.85em" }, node, box, ` ${weight(data.choice.weights[j])}`);
      }));

    stage.append(
      el("p", {}, el("label", {}, "Face ", choice)),
      el("div", { class: "hb-panels" },
        el("div", { class: "hb-panel" }, big.node, atoms),
        el("div", { class: "hb-panel" }, sum.node, list)));
    load();
    update();
  });
})();
