/* Quizzes and predictions. The page holds questions, answers and feedback; this script gives them
   buttons, says what the feedback on the chosen answers is, and remembers the choice in this
   browser. Nothing is sent anywhere. Without it, all text is there and every figure is seen. */
(() => {
  "use strict";

  const store = (name, value) => {
    try { // a browser may refuse to remember, for instance for files
      if (value === null) localStorage.removeItem(name);
      else if (value !== undefined) localStorage.setItem(name, JSON.stringify(value));
      return JSON.parse(localStorage.getItem(name) ?? "[]");
    } catch { return []; }
  };
  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  /* Buttons, the row under the answers, and what all questions share. */
  const prepare = (box, action) => {
    const key = `hb:${box.id}`;
    const inputs = [...box.querySelectorAll("li > input")];
    const status = el("div", { className: "hb-status" });
    status.setAttribute("role", "status");
    const chosen = () => inputs.flatMap((input, i) => (input.checked ? [i] : []));
    const done = el("button", { type: "button", textContent: action });
    const again = el("button", { type: "button", textContent: "Start again", hidden: true });
    for (const input of inputs) input.hidden = false;
    box.append(el("div", { className: "hb-quiz-row" }, done, again), status);
    const restore = () => {
      for (const i of store(key)) if (inputs[i]) inputs[i].checked = true;
      return chosen().length > 0;
    };
    const forget = () => {
      store(key, null);
      for (const input of inputs) input.checked = false;
      status.replaceChildren();
      again.hidden = true;
      inputs[0].focus();
    };
    return { inputs, status, chosen, done, again, restore, forget,
             keep: () => { store(key, chosen()); again.hidden = false; } };
  };

  const quiz = (box) => {
    const q = prepare(box, "Check");
    const items = [...box.querySelectorAll("li")];
    for (const details of box.querySelectorAll("details")) details.hidden = true;
    const mark = () => items.forEach((item) => item.removeAttribute("data-mark"));
    const judge = () => {
      const picked = q.chosen();
      mark();
      if (!picked.length) { q.status.replaceChildren("Choose an answer first."); return; }
      let right = true;
      const lines = [];
      items.forEach((item, i) => {
        const should = item.hasAttribute("data-right");
        const is = picked.includes(i);
        if (should !== is) right = false;
        if (!is) return;
        item.dataset.mark = should ? "right" : "wrong";
        const said = item.querySelector(".hb-said").cloneNode(true);
        said.prepend(el("strong", { textContent: should ? "Right. " : "No. " }));
        lines.push(said);
      });
      const missing = !right && lines.every((line) => line.firstChild.textContent === "Right. ");
      if (missing) lines.push(el("p", { textContent: "But these are not all: another is right, too." }));
      q.status.replaceChildren(...lines);
      q.keep();
    };
    q.done.addEventListener("click", judge);
    q.again.addEventListener("click", () => { q.forget(); mark(); });
    if (q.restore()) judge();
  };

  const predict = (box) => {
    const figure = [...document.querySelectorAll("figure.hb-figure")].find(
      (node) => box.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING);
    if (!figure) return;
    /* Covered are the figure and the text right after it, which tells what the figure shows. */
    const covered = [figure.closest(".cell_output") ?? figure];
    for (let node = figure.closest(".cell")?.nextElementSibling;
      node && !node.matches(".cell, section, .hb-quiz"); node = node.nextElementSibling) covered.push(node);
    const q = prepare(box, "Show the figure");
    const after = box.querySelector(".hb-said");
    const show = (now) => {
      for (const node of covered) node.classList.toggle("hb-covered", !now);
      after?.toggleAttribute("hidden", !now);
      q.done.hidden = now;
      q.again.hidden = !now;
    };
    const reveal = () => {
      const picked = q.chosen();
      show(true);
      q.status.replaceChildren(picked.length
        ? `You predicted: ${q.inputs[picked[0]].labels[0].textContent.trim()}`
        : "The figure is shown; you made no prediction.");
      if (picked.length) q.keep();
    };
    q.done.addEventListener("click", reveal);
    q.again.addEventListener("click", () => { q.forget(); show(false); });
    const sought = document.getElementById(location.hash.slice(1));
    show(covered.some((node) => node.contains(sought)));
    if (q.restore()) reveal();
  };

  for (const box of document.querySelectorAll(".hb-quiz.hb-predict")) predict(box);
  for (const box of document.querySelectorAll(".hb-quiz:not(.hb-predict)")) quiz(box);
})();
