/* An explorable figure of the chapter on captions; loaded after hb-fig.js.

   caption-atoms   a thought as a sum of atoms to tick; the tree of sentences of what is left

   data: pictures, a list of {png: base64, caption, atoms: [{says, weight}], trees}, where trees[mask]
   belongs to the sum of the atoms whose bits are set, and a tree is [words, probability, probability
   that the sentence ends here, children]; words that follow without a choice are joined.          */
(() => {
  "use strict";

  const ROW = 26, LETTER = 6.5, GAP = 24, SHOWN = 30;
  const percent = (p) => `${Math.round(100 * p)}\u00a0%`;
  const number = (w) => w.toFixed(1).replace("-", "\u2212");
  const short = (words) => (words.length <= SHOWN ? words
    : `${words.slice(0, 17).trimEnd()}\u2026${words.slice(-11).trimStart()}`);

  /* The sentence found by always taking the widest branch. */
  const likeliest = ([words, p, ends, children]) => {
    const best = children.reduce((a, b) => (b[1] > (a?.[1] ?? 0) ? b : a), null);
    if (best && best[1] > ends) return `${words} ${likeliest(best)}`.trim();
    return ends < p / 2 && !best ? `${words} \u2026` : words;
  };

  window.hbFig.register("caption-atoms", (stage, data, { el, svg }) => {
    const choice = el("select", { "aria-label": "Picture" }, ...data.pictures.map((picture, i) =>
      el("option", { value: i }, `${i + 1}: ${picture.caption}`)));
    choice.style.maxWidth = "100%";
    const image = el("img", { width: 128, height: 128, alt: "" });
    image.style.imageRendering = "pixelated";
    const list = el("div", { role: "group", "aria-label": "Atoms of the sum" });
    const scroll = el("div", { tabindex: "0", role: "region", "aria-label": "Tree of sentences" });
    scroll.style.overflowX = "auto";
    const said = el("p", { class: "hb-note", "aria-live": "polite" });
    let boxes = [];

    const drawTree = (tree) => {
      const parts = [];
      let row = 0, right = 0;
      const stroke = (p) => Math.max(1, 13 * p);
      const line = (d, p) => {
        const path = svg("path", { d, fill: "none", "stroke-width": stroke(p), "stroke-opacity": 0.75 });
        path.style.stroke = "var(--hb-u1)";
        parts.push(path);
      };
      const text = (x, y, content) => {
        const node = svg("text", { x, y, "font-size": 12 }, content);
        node.style.fill = "var(--pst-color-text-base)";
        parts.push(node);
      };
      const bend = (x, y, toX, toY, p) =>
        line(`M${x} ${y}C${(x + toX) / 2} ${y} ${(x + toX) / 2} ${toY} ${toX} ${toY}`, p);
      const draw = ([words, p, ends, children], x) => {
        const label = short(words);
        const end = x + (label ? LETTER * label.length + 8 : 0);
        const below = children.map((child) => [draw(child, end + GAP), child[1]]);
        const stops = ends >= 0.03 || !children.length;
        const last = stops ? ROW * ++row : null;
        const heights = [...below.map(([y]) => y), ...(stops ? [last] : [])];
        const y = heights.reduce((a, b) => a + b, 0) / heights.length;
        if (label) {
          line(`M${x} ${y}H${end}`, p);
          text(x + 4, y - stroke(p) / 2 - 3, label);
        }
        below.forEach(([yChild, pChild]) => bend(end, y, end + GAP, yChild, pChild));
        if (stops) {
          const share = children.length ? ends : p;
          const stop = children.length ? end + GAP : end;
          if (children.length) bend(end, y, stop, last, share);
          /* a hollow dot: sentences go on, in more ways than are worth a branch */
          const open = !children.length && ends < p / 2;
          const dot = svg("circle", { cx: stop, cy: last, r: Math.max(3, stroke(share) / 2) });
          dot.style.fill = open ? "none" : "var(--hb-u1)";
          dot.style.stroke = "var(--hb-u1)";
          parts.push(dot);
          text(stop + 12, last + 4, `${open ? "\u2026 " : ""}${percent(share)}`);
          right = Math.max(right, stop + 62);
        }
        return y;
      };
      draw(tree, 4);
      const [width, height] = [right, ROW * row + 16];
      const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
        "aria-label": `Tree of sentences; the widest branches say: ${likeliest(tree)}` }, ...parts);
      drawing.style.maxWidth = "none";
      scroll.replaceChildren(drawing);
    };

    const draw = () => {
      const picture = data.pictures[choice.value];
      const mask = boxes.reduce((sum, box, j) => sum + (box.checked ? 2 ** j : 0), 0);
      const tree = picture.trees[mask];
      drawTree(tree);
      const all = mask === 2 ** boxes.length - 1;
      said.textContent = `Widest branches: \u201c${likeliest(tree)}\u201d. ` +
        (all ? "All atoms are in the sum." : mask ? "" : "No atom: what the decoder makes of zero.");
    };
    const turn = () => {
      const picture = data.pictures[choice.value];
      image.src = `data:image/png;base64,${picture.png}`;
      image.alt = `Picture ${Number(choice.value) + 1}, captioned: ${picture.caption}`;
      boxes = picture.atoms.map(() => el("input", { type: "checkbox", checked: "" }));
      list.replaceChildren(...picture.atoms.map((atom, j) => {
        boxes[j].addEventListener("change", draw);
        boxes[j].style.flex = "none";
        const row = el("label", {}, boxes[j], ` ${number(atom.weight)} \u00d7 \u201c${atom.says}\u201d`);
        row.style.cssText = "display: block; padding: 0.3rem 0";
        return row;
      }));
      draw();
    };
    choice.addEventListener("change", turn);

    const panel = (title, ...children) => el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, title), ...children);
    const whole = panel("The sentences of the sum", scroll, said);
    whole.style.marginTop = "1rem";
    const chooser = el("label", {}, "Picture ", choice);
    chooser.style.display = "block"; /* so that the width of the page limits the list */
    stage.append(chooser,
      el("div", { class: "hb-panels" }, panel("The picture", image), panel("Its atoms", list)), whole);
    turn();
  });
})();
