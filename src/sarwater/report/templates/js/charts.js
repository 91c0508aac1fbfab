/* Charts: drawn when they come into view, and again when the theme changes. */
"use strict";

sarwater.charts = {
  all: new Map(),

  /** Draw what build() returns ({data, layout}) into an element; build is called anew by redraw. */
  add(element, label, build) {
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", label);
    sarwater.charts.all.set(element, { build, isSeen: false, isDrawn: false });
    sarwater.charts.watcher.observe(element);
  },

  /** Let the numbers of a chart be read as a table, also by who uses no mouse. */
  addTable(element) {
    const make = sarwater.element;
    const table = make("table");
    const details = make("details", { class: "numbers" }, make("summary", {}, "as a table"), make("div", { class: "scroll tall" }, table));
    const chart = sarwater.charts.all.get(element);
    chart.writeTable = () => {
      if (!details.open) return;
      const { head, rows } = sarwater.charts.numbers(chart.build());
      const line = (cells) => make("tr", {}, ...cells.map((cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, cell)));
      table.replaceChildren(
        make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, ...rows.map(line)),
      );
    };
    details.addEventListener("toggle", chart.writeTable);
    element.after(details);
  },

  /** Return head and rows of what a chart shows: a row an x, or a row a point. */
  numbers({ data, layout = {} }) {
    const set = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : sarwater.unescaped(value ?? "-"));
    const title = (axis) => layout[axis]?.title?.text || axis[0];
    const shown = data.filter((trace) => trace.hoverinfo !== "skip");
    const [first] = shown;
    if (first?.z) {
      return { head: ["", ...first.x.map(set)], rows: first.y.map((name, i) => [set(name), ...first.z[i].map(set)]) };
    }
    const isShared = shown.every(({ x }) => x.length === first.x.length && x.every((value, i) => value === first.x[i]));
    const names = shown.map(({ name }) => sarwater.unescaped(name ?? title("yaxis")));
    if (!isShared) {
      const rows = shown.flatMap(({ x, y }, i) => x.map((value, at) => [names[i], set(value), set(y[at])]));
      return { head: ["of", title("xaxis"), title("yaxis")], rows };
    }
    const texts = shown.length === 1 && first.text ? [first.text.map(set)] : [];
    return {
      head: [...texts.map(() => ""), title("xaxis"), ...names],
      rows: (first?.x ?? []).map((value, at) => [...texts.map((text) => text[at]), set(value), ...shown.map(({ y }) => set(y[at]))]),
    };
  },

  /** Draw again what has been drawn: at once where it is in view, else when it comes into view. */
  redraw(element) {
    sarwater.charts.touch(element, () => sarwater.charts.draw(element, sarwater.charts.all.get(element)));
  },

  /** Change a drawn chart by work() where it is in view; one that is not is drawn anew later. */
  touch(element, work) {
    const chart = sarwater.charts.all.get(element);
    chart?.writeTable?.();
    if (!chart?.isDrawn) return;
    if (chart.isNear) work();
    else chart.isStale = true;
  },

  draw(element, chart) {
    if (!window.Plotly) return;
    const { data, layout = {}, onclick } = chart.build();
    const style = sarwater.charts.style(layout);
    const options = { displaylogo: false, responsive: true, displayModeBar: false, ...chart.options };
    chart.isDrawn = true;
    chart.isStale = false;
    Plotly.react(element, data, style, options);
    element.removeAllListeners("plotly_click");
    if (onclick) element.on("plotly_click", (event) => onclick(event.points[0]));
  },

  /** Complete a layout with the house's fonts, colors and margins. */
  style(layout) {
    const ink = sarwater.color("ink");
    const axis = {
      gridcolor: sarwater.color("grid"),
      linecolor: sarwater.color("line"),
      zerolinecolor: sarwater.color("line"),
      ticks: "",
      automargin: true,
      fixedrange: true,
    };
    const axes = {};
    for (const key of new Set(["xaxis", "yaxis", ...Object.keys(layout)])) {
      if (/^[xy]axis\d*$/.test(key)) axes[key] = { ...axis, ...layout[key] };
    }
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: ink },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 12, r: 12, t: 12, b: 12, autoexpand: true },
      hovermode: "closest",
      hoverlabel: { bgcolor: sarwater.color("surface"), bordercolor: sarwater.color("line"), font: { color: ink } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", bgcolor: "rgba(0,0,0,0)" },
      ...layout,
      ...axes,
    };
  },

  watcher: new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const chart = sarwater.charts.all.get(entry.target);
        chart.isNear = entry.isIntersecting;
        if (!chart.isNear || (chart.isDrawn && !chart.isStale)) continue;
        chart.isSeen = true;
        sarwater.charts.draw(entry.target, chart);
      }
    },
    { rootMargin: "300px" },
  ),

  drawAll(isSeen = true) {
    for (const [element, chart] of sarwater.charts.all) {
      chart.isSeen ||= isSeen;
      if (chart.isSeen) sarwater.charts.draw(element, chart);
    }
  },
};

/** Dashes and colors of lines in turn, so that neighbors differ in both. */
sarwater.look = (number) => ({
  color: sarwater.color(`series-${(number % 7) + 1}`),
  dash: ["solid", "dash", "dot", "dashdot"][number % 4],
});

/**
 * A chart of lines over one axis.
 * @param series [{name, y, x, ...}]; null in y leaves a gap
 * @param layout additions to the layout
 */
sarwater.lineChart = (element, label, series, layout = {}) => {
  sarwater.charts.add(element, label, () => ({
    data: series.map(({ name, x, y, ...more }, number) => ({
      x,
      y,
      name: sarwater.plain(name),
      mode: x.length > 40 ? "lines" : "lines+markers",
      line: { width: 2, ...sarwater.look(number) },
      marker: { size: 5 },
      hovertemplate: `%{y:.4~g}<extra>${sarwater.plain(name)}</extra>`,
      ...more,
    })),
    layout: { hovermode: "x unified", showlegend: series.length > 1, ...(typeof layout === "function" ? layout() : layout) },
  }));
};

/** A color of the style sheet that lets through what is behind it. */
sarwater.faint = (name, share) => sarwater.color(name).replace("rgb(", "rgba(").replace(")", `, ${share})`);

document.addEventListener("themechange", () => sarwater.charts.drawAll(false));
