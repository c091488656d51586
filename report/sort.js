"use strict";
// Without this script a table is complete, only not sortable: the buttons are made here.
for (const table of document.querySelectorAll("table[data-sort]")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const original = [...body.rows];
  const key = (row, i) => {
    const cell = row.cells[i], number = cell.dataset.key;
    return number === undefined ? cell.textContent.trim() : parseFloat(number);
  };
  const compare = (a, b) => {
    const words = typeof a === "string";
    if (words !== (typeof b === "string")) return words ? 1 : -1;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  heads.forEach((head, i) => {
    const label = head.querySelector("span"), button = document.createElement("button");
    button.type = "button";
    button.className = "order";
    button.append(...label.childNodes);
    label.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      let rows = [...original];
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1, empty = row => row.cells[i].classList.contains("none");
        rows.sort((a, b) => empty(a) - empty(b) || sign * compare(key(a, i), key(b, i)));
      }
      body.append(...rows);
    });
  });
}
