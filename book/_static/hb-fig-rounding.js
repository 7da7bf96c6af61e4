/* The first screen of the chapter on language models; loaded after hb-fig.js.

   rounded-text    how a language model goes on, and what it loses, when its activations are rounded
                   to few bits: beside full precision, in its own basis and in others

   data: prompt; bits, rising; full: text and loss; columns: for each basis its name and, in the order of
   bits, texts and losses (nats per token); start, the position in bits shown first.               */
"use strict";
window.hbFig.register("rounded-text", (stage, data, { el, slider }) => {
  const most = Math.max(...data.columns.flatMap((column) => column.losses));
  const panel = (name, colour) => {
    const text = el("span", {}), note = el("p", { class: "hb-note" });
    const bar = el("span", { "aria-hidden": "true", style: "display: block; height: 6px; " +
      `margin-top: 0.5rem; border-radius: 3px; background: ${colour}` });
    const title = el("p", { class: "hb-title" }, name);
    const node = el("div", { class: "hb-panel", role: "group", "aria-label": name, style: "max-width: none" }, title,
      el("p", { style: "margin: 0; min-height: 7.5em; overflow-wrap: anywhere" },
        el("span", { style: "color: var(--pst-color-text-muted)" }, data.prompt), text), bar, note);
    const show = (said, loss) => {
      text.textContent = said;
      bar.style.width = `${(100 * loss) / most}%`;
      note.textContent = `loss ${loss.toFixed(2)} nats per token`;
    };
    return { node, show };
  };
  const full = panel(data.full.name, "var(--pst-color-text-muted)");
  const panels = data.columns.map(({ name }, i) => panel(name, `var(--hb-u${i + 1})`));
  full.show(data.full.text, data.full.loss);
  const bits = slider("Bits per activation", { min: 0, max: data.bits.length - 1, step: 1,
    value: data.start ?? 0, show: (i) => `${data.bits[i]} bits` }, (i) => {
    data.columns.forEach(({ texts, losses }, j) => panels[j].show(texts[i], losses[i]));
  });
  stage.append(bits.node, el("div", { class: "hb-panels", "aria-live": "polite" }, full.node, ...panels.map((p) => p.node)));
  bits.start();
});
