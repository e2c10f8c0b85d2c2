"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // A link into a folded part opens it.
  const reveal = () => {
    let name = location.hash.slice(1);
    // A malformed one is no reason to stop.
    try { name = decodeURIComponent(name); } catch { }
    const target = document.getElementById(name);
    if (!target) return;
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details"))
      part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Paper has no folds.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });

  const parts = all("details.part");
  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };
  if (parts.length) {
    const unfold = button("Unfold all", () => {
      const open = parts.some((part) => !part.open);
      for (const part of parts) part.open = open;
    });
    const name = () => {
      unfold.textContent = parts.some((part) => !part.open) ? "Unfold all" : "Fold all";
    };
    for (const part of parts) part.addEventListener("toggle", name);
    document.querySelector(".contents").append(unfold);
  }

  // The value of a cell: its number where it has one, else its words.
  const valueOf = (row, column) => {
    const cell = row.cells[column].cloneNode(true);
    for (const bounds of all(".bounds", cell)) bounds.remove();
    const words = cell.textContent.trim();
    const number = words
      .replace(/ \[.*$/, "")
      .replace(/[,±]/g, "")
      .replaceAll("−", "-")
      .replace("∞", "Infinity");
    return number === "" || isNaN(number) ? words : Number(number);
  };
  const compare = (one, other) => {
    if (typeof one === typeof other)
      return typeof one === "number" ? one - other : one.localeCompare(other);
    return typeof one === "number" ? -1 : 1;
  };
  const sort = (table, head) => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const each of all("[aria-sort]", table)) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const column = Number(head.dataset.column);
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    // What has no number stays below, whichever way.
    rows.sort(([one], [other]) => {
      const turned = falling && typeof one === typeof other;
      return turned ? compare(other, one) : compare(one, other);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  const filter = (table, words) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
  };
  const LONG = 8;
  for (const table of all("table:has(thead)")) {
    const rows = table.tBodies[0].rows.length;
    if (rows < 2) continue;
    for (const head of all("th[data-column]", table)) {
      const by = button("", () => sort(table, head));
      by.className = "sort";
      by.title = `Sort by ${head.textContent}`;
      by.setAttribute("aria-label", by.title);
      head.append(by);
    }
    if (rows > LONG) {
      const field = document.createElement("input");
      field.type = "search";
      field.placeholder = `Filter ${rows} rows`;
      field.setAttribute("aria-label", field.placeholder);
      field.addEventListener("input", () => filter(table, field.value));
      table.caption.firstElementChild.append(" ", field);
    }
  }

  // Says in words which tables go on beyond the edge.
  const measure = () => {
    // A link's target stops below the bar of contents.
    const bar = document.querySelector(".contents").offsetHeight;
    document.documentElement.style.setProperty("--bar", `${bar + 8}px`);
    for (const box of all(".scroll"))
      box.classList.toggle("overflows", box.scrollWidth > box.clientWidth + 1);
  };
  addEventListener("resize", measure);
  for (const part of all("details")) part.addEventListener("toggle", measure);
  measure();
})();
