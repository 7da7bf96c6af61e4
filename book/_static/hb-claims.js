/* Cards of claims: a link to a card opens it, paper shows all of it, and a reader may bet first.
   Bets stay in this browser; nothing is sent. Without this script every card can be opened. */
(() => {
  "use strict";

  const KEY = "hb-bets";
  const CHANCES = [0.05, 0.25, 0.5, 0.75, 0.95];
  const cards = [...document.querySelectorAll("details.hb-claim")];
  const effects = cards.filter((card) => card.dataset.kind === "effect");

  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const percent = (chance) => `${Math.round(100 * chance)} %`;

  /* ---- links and paper ---- */
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.matches("details.hb-claim")) target.open = true;
  };
  window.addEventListener("hashchange", reveal);
  reveal();
  const opened = new Set();
  window.addEventListener("beforeprint", () => {
    for (const card of cards) if (!card.open) { opened.add(card); card.open = true; }
  });
  window.addEventListener("afterprint", () => {
    for (const card of opened) card.open = false;
    opened.clear();
  });

  /* ---- bets ---- */
  const read = () => {
    try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
  };
  const write = (bets) => {
    try { localStorage.setItem(KEY, JSON.stringify(bets)); } catch { /* kept for this page only */ }
  };
  /* A bet is kept with what came out, so that other pages can score it; what came out may change. */
  const outcome = (card) => Number(card.dataset.verdict.startsWith("reproduced"));
  const name = (card) => card.querySelector(".hb-claim__id").textContent;
  let bets = read();
  for (const card of effects) if (bets[name(card)]) bets[name(card)][1] = outcome(card);
  const brier = (placed) =>
    placed.reduce((sum, [chance, came]) => sum + (chance - came) ** 2, 0) / placed.length;
  const score = () => {
    const placed = Object.values(bets);
    if (!placed.length) return "";
    return `Your bets: ${placed.length}, Brier score ${brier(placed).toFixed(2)} ` +
      "(0 is perfect, 0.25 is a coin).";
  };
  const said = el("span", { role: "status" }, score());

  const cover = (card) => {
    const id = name(card);
    if (bets[id] || card.querySelector(".hb-bet")) return;
    card.open = false;
    card.classList.add("hb-claim--covered");
    const form = el("span", { class: "hb-bet", role: "group", "aria-label": `Your bet on ${id}` },
      "Will it hold? ");
    for (const chance of CHANCES) {
      const button = el("button", { type: "button" }, percent(chance));
      button.addEventListener("click", (event) => {
        event.preventDefault(); // the click is no wish to unfold the card
        bets = { ...read(), [id]: [chance, outcome(card)] };
        write(bets);
        uncover(card);
        card.querySelector("summary").append(
          el("span", { class: "hb-bet" }, `You said ${percent(chance)}.`));
        said.textContent = score();
        card.querySelector("summary").focus();
      });
      form.append(button, " ");
    }
    card.querySelector("summary").append(form);
  };
  const uncover = (card) => {
    card.classList.remove("hb-claim--covered");
    card.querySelector(".hb-bet")?.remove();
  };
  for (const card of effects) {
    card.addEventListener("toggle", () => {
      if (card.open && card.classList.contains("hb-claim--covered")) card.open = false;
    });
  }
  if (effects[0]?.closest(".cell")) {  // in a chapter, not where a card is explained
    const button = el("button", { type: "button", "aria-pressed": "false" }, "Bet before you look");
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.body.classList.toggle("hb-betting", on);
      effects.forEach(on ? cover : uncover);
    });
    effects[0].closest(".cell").before(el("p", { class: "hb-bets" }, button, " ", said));
  }
  for (const place of document.querySelectorAll(".hb-your-score")) {
    place.textContent = score() || "You have placed no bets yet.";
  }
})();
