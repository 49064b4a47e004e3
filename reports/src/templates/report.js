"use strict";
// The page is whole without this: it only adds sorting, filtering, and opens what is folded before printing.
(function () {
  const all = (root, what) => Array.from(root.querySelectorAll(what));

  // Sorting: a button in each heading. Cells sort by data-v where they have it, else by their text; unknown is last either way.
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.hasAttribute("data-v") ? cell.getAttribute("data-v") : cell.textContent.trim();
    const number = text === "" ? NaN : Number(text);
    return { text: text, number: number };
  };
  const compare = (a, b) => {
    if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return a.number - b.number;
    return a.text.localeCompare(b.text);
  };
  const sort = (table, column, up) => {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row, index) => ({ row: row, index: index, key: key(row, column) }));
    rows.sort((a, b) => {
      const unknown = (a.key.text === "") - (b.key.text === "");
      return unknown || (up ? 1 : -1) * compare(a.key, b.key) || a.index - b.index;
    });
    rows.forEach((each) => body.appendChild(each.row));
  };
  all(document, "table[data-sort]").forEach((table) => {
    const heads = Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
    heads.forEach((head, column) => {
      if (head.hasAttribute("data-fixed")) return;
      const button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      if (!head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        // Numbers begin with the largest, names with the first.
        const before = head.getAttribute("aria-sort");
        const up = before === "none" ? !head.classList.contains("n") : before === "descending";
        heads.forEach((other) => { if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up);
      });
    });
  });

  // Filtering: a form beside its table. A row stays if every filled field agrees with it.
  all(document, "form[data-filters]").forEach((form) => {
    const table = document.getElementById(form.getAttribute("data-filters"));
    const output = form.querySelector("output");
    const apply = () => {
      const words = form.elements.find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = all(form, "select").map((select) => [select.name, select.value]);
      const rows = Array.from(table.tBodies[0].rows);
      let shown = 0;
      rows.forEach((row) => {
        const found = words.every((word) => row.getAttribute("data-find").toLowerCase().includes(word));
        row.hidden = !(found && chosen.every((pair) => pair[1] === "" || row.getAttribute("data-" + pair[0]) === pair[1]));
        shown += row.hidden ? 0 : 1;
      });
      output.textContent = shown + " of " + rows.length + " rows";
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply, 0));
    apply();
  });

  // Paper has nothing to click.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = all(document, "details:not(.noprint):not([open])");
    folded.forEach((each) => { each.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));
})();
