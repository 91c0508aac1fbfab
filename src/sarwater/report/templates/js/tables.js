/* A table that is sorted by a click on a heading. */
"use strict";

/**
 * @param table element with an empty thead and tbody
 * @param columns [{title, of(row), text(value)}]
 * @param rows plain objects
 */
sarwater.sortableTable = (table, columns, rows, limit = 200) => {
  const make = sarwater.element;
  const body = table.querySelector("tbody");
  const state = { column: null, sign: 1, limit };
  const compare = (one, two) => {
    const [a, b] = [one, two].map((row) => columns[state.column].of(row));
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return (a < b ? -1 : 1) * state.sign;
  };
  const write = () => {
    const ordered = state.column === null ? rows : [...rows].sort(compare);
    const lines = ordered.slice(0, state.limit).map((row) =>
      make("tr", {}, ...columns.map(({ of, text = String }, place) => {
        const value = of(row);
        return make(place ? "td" : "th", place ? {} : { scope: "row" }, value === null || value === undefined ? "-" : text(value));
      })),
    );
    if (ordered.length > state.limit) {
      const all = make("button", { type: "button", onclick: () => ((state.limit = Infinity), write()) }, `show all ${sarwater.whole(ordered.length)}`);
      lines.push(make("tr", {}, make("td", { colspan: columns.length }, all)));
    }
    body.replaceChildren(...lines);
  };
  const heads = columns.map(({ title }, place) => {
    const head = make("th", { scope: "col" });
    head.append(
      make(
        "button",
        {
          type: "button",
          class: "head",
          onclick: () => {
            state.sign = state.column === place ? -state.sign : 1;
            state.column = place;
            for (const other of heads) other.removeAttribute("aria-sort");
            head.setAttribute("aria-sort", state.sign > 0 ? "ascending" : "descending");
            write();
          },
        },
        title,
      ),
    );
    return head;
  });
  table.querySelector("thead").replaceChildren(make("tr", {}, ...heads));
  write();
};
