/* Notes on hover and on focus: what a term means, what a citation stands for.
   The note stays while the pointer is on it, and goes with Escape. */
(() => {
  "use strict";
  let box, owner, timer;

  function hide() {
    clearTimeout(timer);
    if (!owner) return;
    owner.removeAttribute("aria-describedby");
    box.hidden = true;
    owner = null;
  }

  function show(link) {
    clearTimeout(timer);
    if (link === owner) return;
    hide();
    const note = document.getElementById(link.dataset.note);
    if (!note) return;
    owner = link;
    box.replaceChildren(...[...note.childNodes].map((node) => node.cloneNode(true)));
    box.hidden = false;
    const at = link.getClientRects()[0];
    const width = Math.min(360, document.documentElement.clientWidth - 24);
    box.style.width = width + "px";
    const left = Math.min(at.left, document.documentElement.clientWidth - width - 12);
    box.style.left = Math.max(12, left) + window.scrollX + "px";
    const above = at.bottom + box.offsetHeight + 12 > window.innerHeight && at.top > box.offsetHeight;
    box.style.top = (above ? at.top - box.offsetHeight - 6 : at.bottom + 6) + window.scrollY + "px";
    link.setAttribute("aria-describedby", box.id);
  }

  const later = () => { clearTimeout(timer); timer = setTimeout(hide, 250); };

  function start() {
    box = document.createElement("div");
    box.id = "hb-tooltip";
    box.className = "hb-tooltip";
    box.setAttribute("role", "tooltip");
    box.hidden = true;
    document.body.append(box);
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", later);
    for (const link of document.querySelectorAll("[data-note]")) {
      link.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") show(link); });
      link.addEventListener("pointerleave", later);
      link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link); });
      link.addEventListener("blur", hide);
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
