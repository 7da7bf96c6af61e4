/* Sorting and filtering for tables with class hb-ledger. Without this script the table is complete,
   in the register's order; the buttons and menus are made here so that none is ever dead. */
(() => {
  "use strict";

  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    if (a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (a === "" || b === "") return (a === "") - (b === ""); // what was not measured comes last
    return a.localeCompare(b, "en", { numeric: true });
  };

  for (const table of document.querySelectorAll("table.hb-ledger")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];

    const sort = (column) => {
      const head = heads[column];
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      rows.sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return x === "" || y === "" ? compare(x, y) : sign * compare(x, y);
      });
      body.append(...rows);
    };
    heads.forEach((head, column) => {
      const button = el("button", { type: "button", class: "hb-sort" }, ...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });

    const status = el("p", { role: "status", class: "hb-shown" });
    const menus = ["chapter", "kind", "verdict", "standing"].map((field) => {
      const values = [...new Set(rows.map((row) => row.dataset[field]))];
      const menu = el("select", { id: `hb-filter-${field}` }, el("option", { value: "" }, "all"),
        ...values.map((value) => el("option", { value }, value.replaceAll("_", " "))));
      menu.addEventListener("change", filter);
      return { field, menu };
    });
    function filter() {
      let shown = 0;
      for (const row of rows) {
        row.hidden = menus.some(({ field, menu }) => menu.value && row.dataset[field] !== menu.value);
        shown += !row.hidden;
      }
      status.textContent = `${shown} of ${rows.length} claims shown`;
    }
    const bar = el("div", { class: "hb-filters" }, ...menus.map(({ field, menu }) =>
      el("label", { for: menu.id }, `${field[0].toUpperCase()}${field.slice(1)} `, menu)), status);
    table.closest(".hb-table").before(bar);

    /* A link to a row, from a card or another page, must find it whatever is filtered. */
    const reveal = () => {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (!row || !row.hidden) return;
      for (const { menu } of menus) menu.value = "";
      filter();
      row.scrollIntoView();
    };
    window.addEventListener("hashchange", reveal);
    filter();
  }
})();
