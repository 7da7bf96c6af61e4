/* words: the top words of a direction between two units, beside those of a random direction.

   data: words (n), names; units (u, n), activations of each unit in thousandths of its largest;
   scale (u), that largest; random (r, n), activations along random directions.                  */
"use strict";
window.hbFig.register("words", (stage, data, { el, slider }) => {
  const SHOWN = 8;
  const unit = (i) => data.units[i].map((a) => a * data.scale[i]);
  const state = { first: 0, second: 1, angle: 0, random: 0 };

  const select = (label, count, name, key) => {
    const node = el("select", { "aria-label": label },
      ...Array.from({ length: count }, (_, i) => el("option", { value: i }, `${name} ${i + 1}`)));
    node.value = state[key];
    node.addEventListener("input", () => { state[key] = Number(node.value); draw(); });
    return node;
  };

  /* a list of words with bars as long as their activations */
  const list = (label) => {
    const node = el("ol", { class: "hb-words", "aria-label": label,
      style: "list-style: none; margin: 0; padding: 0" });
    const show = (activations, colour) => {
      const order = activations.map((_, i) => i).sort((i, j) => activations[j] - activations[i] || i - j);
      const largest = Math.abs(activations[order[0]]) || 1;
      node.replaceChildren(...order.slice(0, SHOWN).map((i) => el("li", { style: "margin: 0 0 0.2rem" },
        el("span", {}, data.words[i]),
        el("span", { "aria-hidden": "true", style: "display: block; height: 4px; border-radius: 2px; " +
          `background: ${colour}; width: ${Math.max(0, (100 * activations[i]) / largest)}%` }))));
    };
    return { node, show };
  };
  const turned = list("Top words of the direction chosen");
  const random = list("Top words of a random direction");
  const title = el("p", { class: "hb-title", "aria-live": "polite" });

  const draw = () => {
    const [c, s] = [Math.cos((state.angle * Math.PI) / 180), Math.sin((state.angle * Math.PI) / 180)];
    const [a, b] = [unit(state.first), unit(state.second)];
    turned.show(a.map((x, i) => c * x + s * b[i]), "var(--hb-u1)");
    random.show(data.random[state.random], "var(--hb-u2)");
    const [one, two] = [state.first + 1, state.second + 1];
    title.textContent = one === two ? `Choose two different units`
      : state.angle === 0 ? `Unit ${one}` : state.angle === 90 ? `Unit ${two}`
        : state.angle === 180 ? `Unit ${one}, sign changed`
          : `${state.angle} degrees from unit ${one} towards unit ${two}`;
  };

  const angle = slider("Angle between the units", { min: 0, max: 180, step: 5, value: 0,
    show: (v) => `${v} degrees` }, (v) => { state.angle = v; draw(); });
  const choose = (...parts) => el("label", { style: "margin-right: 1rem" }, ...parts);
  const count = data.units.length;
  stage.append(
    el("p", {},
      choose("From ", select("First unit", count, "unit", "first")),
      choose("to ", select("Second unit", count, "unit", "second")),
      choose("beside ", select("Random direction", data.random.length, "random direction", "random"))),
    angle.node,
    el("div", { class: "hb-panels" },
      el("div", { class: "hb-panel" }, title, turned.node),
      el("div", { class: "hb-panel" }, el("p", { class: "hb-title" }, "A random direction"), random.node)));
  angle.start();
});
