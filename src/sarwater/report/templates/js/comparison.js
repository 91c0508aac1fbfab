/* The page of a comparison: runs over one another, their differences, their maps side by side. */
"use strict";

sarwater.pages.comparison = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const threshold = sarwater.threshold(part("threshold"), [{ title: "0.500", threshold: 0.5 }]);
  const state = { mode: "own" };
  const view = {
    root,
    part,
    data,
    threshold,
    /** Threshold of a run in thousandths. */
    k: (run) => (state.mode === "all" ? threshold.k : Math.round(data.runs[run].thresholds[state.mode] * 1000)),
    listeners: [],
  };
  const tell = (isSettled) => {
    for (const name of ["own", "best"]) part(name).setAttribute("aria-pressed", state.mode === name);
    if (state.mode !== "all") for (const jump of part("jumps").children) jump.setAttribute("aria-pressed", false);
    part("scorenote").textContent = {
      own: "pooled pixels, each run at its own threshold",
      best: "pooled pixels, each run at the threshold that is best on these very chips (optimistic)",
      all: `pooled pixels, all runs at ${(threshold.k / 1000).toFixed(3)}`,
    }[state.mode];
    for (const listener of view.listeners) listener(isSettled);
  };
  for (const name of ["own", "best"]) {
    part(name).addEventListener("click", () => {
      state.mode = name;
      tell(true);
    });
  }
  threshold.listen((_, isSettled) => {
    state.mode = "all";
    tell(isSettled);
  });
  sarwater.comparisonScores(view);
  sarwater.comparisonCharts(view);
  sarwater.differenceCharts(view);
  if (data.chips.length) sarwater.comparisonGallery(view);
  tell(true);
};

sarwater.comparisonScores = ({ part, data, k, listeners }) => {
  const rows = [...part("scores").tBodies[0].rows];
  rows.forEach((row, run) => {
    const swatch = row.querySelector(".swatch");
    swatch.style.setProperty("--swatch", `var(--series-${(run % 7) + 1})`);
  });
  listeners.push(() =>
    rows.forEach((row, run) => {
      const { curve } = data.runs[run];
      const at = k(run) - 1;
      const values = [(at + 1) / 1000, ...sarwater.METRICS.map((name) => curve[name][at])];
      values.forEach((value, place) => (row.cells[place + 1].textContent = sarwater.digits(value)));
    }),
  );
};

sarwater.comparisonCharts = ({ part, data, k, listeners }) => {
  const dot = (x, y, run) => ({
    x,
    y,
    mode: "markers",
    name: sarwater.plain(data.runs[run].name),
    showlegend: false,
    hoverinfo: "skip",
    marker: { size: 12, color: sarwater.look(run).color, line: { width: 2, color: sarwater.color("surface") } },
  });
  const line = (x, y, run, text) => ({ x, y, text, name: sarwater.plain(data.runs[run].name), mode: "lines", line: { width: 2.2, ...sarwater.look(run) } });
  sarwater.charts.add(part("curve"), "Precision over recall of each run", () => {
    const { lines, annotations } = sarwater.equalScoreLines();
    const runs = data.runs.map(({ curve }, run) => ({
      ...line(curve.recall, curve.precision, run, curve.threshold.map((t) => t.toFixed(3))),
      hovertemplate: "threshold %{text}<br>recall %{x:.3f}<br>precision %{y:.3f}",
    }));
    const dots = data.runs.map(({ curve }, run) => dot([curve.recall[k(run) - 1]], [curve.precision[k(run) - 1]], run));
    return {
      data: [...lines, ...runs, ...dots],
      layout: { annotations, margin: { l: 12, r: 46, t: 12, b: 12 }, xaxis: sarwater.unitAxis("recall"), yaxis: sarwater.unitAxis("precision") },
    };
  });
  sarwater.charts.add(part("lines"), "Score of each run over the threshold", () => {
    const metric = part("metric").value;
    const runs = data.runs.map(({ curve }, run) => ({ ...line(curve.threshold, curve[metric], run), hovertemplate: "%{y:.3f}" }));
    const dots = data.runs.map(({ curve }, run) => dot([k(run) / 1000], [curve[metric][k(run) - 1]], run));
    return {
      data: [...runs, ...dots],
      layout: { hovermode: "x unified", xaxis: sarwater.unitAxis("threshold"), yaxis: sarwater.unitAxis(sarwater.METRIC_NAMES[metric]) },
    };
  });
  const redraw = () => ["curve", "lines"].forEach((name) => sarwater.charts.redraw(part(name)));
  part("metric").addEventListener("change", redraw);
  listeners.push(redraw);
};

sarwater.differenceCharts = ({ part, data }) => {
  const make = sarwater.element;
  const element = part("differences");
  element.style.height = `${6 + 2.6 * data.differences.length}rem`;
  const points = { own: "own thresholds", half: "at .5" };
  const name = (pair) => `${pair.run} − ${pair.minus}`;
  const short = (text) => (text.length > 44 ? `${text.slice(0, 43)}…` : text);
  const of = (pair, point) => pair.points[point][part("difference").value];
  sarwater.charts.add(element, "Paired differences with intervals", () => ({
    data: Object.entries(points).map(([point, title], number) => {
      const scores = data.differences.map((pair) => of(pair, point));
      const reach = (place, sign) => scores.map((one) => (one.interval && one.value !== null ? sign * (one.interval[place] - one.value) : 0));
      return {
        x: scores.map((one) => one.value),
        y: data.differences.map((_, i) => i + 0.24 * number - 0.12),
        name: title,
        mode: "markers",
        marker: { size: 10, symbol: number ? "square" : "circle", color: sarwater.look(number).color },
        error_x: { type: "data", symmetric: false, array: reach(1, 1), arrayminus: reach(0, -1), color: sarwater.look(number).color, thickness: 2, width: 4 },
        text: data.differences.map((pair) => sarwater.plain(name(pair))),
        hovertemplate: "%{text}<br>%{x:+.3f}<extra></extra>",
      };
    }),
    layout: {
      xaxis: { title: { text: `difference of ${sarwater.METRIC_NAMES[part("difference").value]}` }, zeroline: true, zerolinewidth: 2, zerolinecolor: sarwater.color("muted"), tickformat: "+.3f", rangemode: "tozero" },
      yaxis: { tickvals: data.differences.map((_, i) => i), ticktext: data.differences.map((pair) => sarwater.plain(short(name(pair)))), range: [data.differences.length - 0.5, -0.5] },
    },
  }));
  const set = (score) => {
    if (score.value === null) return "-";
    const sign = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
    return score.interval ? `${sign(score.value)} [${score.interval.map(sign).join(", ")}]` : sign(score.value);
  };
  const write = () => {
    part("pairs").tBodies[0].replaceChildren(
      ...data.differences.map((pair) =>
        make("tr", {}, make("th", { scope: "row" }, name(pair)), ...Object.keys(points).map((point) => make("td", {}, set(of(pair, point))))),
      ),
    );
    sarwater.charts.redraw(element);
  };
  part("difference").addEventListener("change", write);
  write();
};

sarwater.comparisonGallery = ({ part, data, k, listeners }) => {
  const counts = data.counts.map((blob) => new sarwater.Counts(sarwater.bytes(blob), data.chips.length));
  const numbers = new Map(data.chips.map((chip, number) => [chip, number]));
  const { pictures } = sarwater;
  const scoresOf = (chip) => {
    const found = counts.map((one, run) => one.of(numbers.get(chip), k(run)));
    const water = found[0].tp + found[0].fn;
    return found.map(({ tp, fp, fn }) => ({ f1: water ? sarwater.scores(tp, fp, fn).f1 : null, wrong: fp + fn, fp }));
  };
  const describe = (chip) => {
    const found = scoresOf(chip);
    const [first] = counts;
    const all = first.of(numbers.get(chip), 1);
    const scores = found.map((one) => one.f1);
    const spread = scores[0] === null ? null : Math.max(...scores) - Math.min(...scores);
    return {
      f1: scores[0] === null ? null : Math.min(...scores),
      wrong: Math.max(...found.map((one) => one.wrong)),
      falses: Math.max(...found.map((one) => one.fp)),
      share: (all.tp + all.fn) / chip.counted,
      spread: spread ?? -1,
      score: spread === null ? "no water" : `F1 ${scores.map((f1) => sarwater.digits(f1, 2)).join(" · ")}`,
      line: `${chip.domain} · water ${sarwater.percent((all.tp + all.fn) / chip.counted)}`,
    };
  };
  const water = pictures.together(data.classes);
  const painters = {
    errors: (picture, run) => pictures.errors(picture, k(run), run, water),
    prediction: (picture, run) => pictures.prediction(picture, k(run), run, water),
    probability: (picture, run) => pictures.probability(picture, data.steps, run),
  };
  // The first figure is the image alone.
  const large = (paint) => (picture, figure) => (figure ? paint(picture, figure - 1) : null);
  const dialog = new sarwater.ChipDialog({
    chips: data.chips,
    figures: ["image", ...data.runs.map((run) => run.name)],
    overlays: {
      errors: large(painters.errors),
      maps: large(painters.prediction),
      probability: large(painters.probability),
      truth: large((picture) => pictures.truth(picture, data.classes)),
    },
    facts: (chip) => [
      ...scoresOf(chip).map((one, run) => [`F1 of ${data.runs[run].name}`, one.f1 === null ? `${sarwater.whole(one.fp)} px false` : sarwater.digits(one.f1)]),
      ["water share", sarwater.percent(describe(chip).share)],
      ["domain", chip.domain],
    ],
  });
  const gallery = new sarwater.Gallery(part("gallery"), {
    chips: data.chips,
    columns: [
      { name: pictures.view(data.chips), isFixed: true, paint: (picture) => pictures.sar(picture) },
      { name: "truth", isFixed: true, paint: (picture) => pictures.truth(picture, data.classes) },
      ...data.runs.map(({ name }, run) => ({ name, paint: (picture) => painters[part("view").value](picture, run) })),
    ],
    sorts: [
      { key: "spread", title: "difference of F1, most first", compare: (a, b) => b.spread - a.spread || b.wrong - a.wrong },
      ...sarwater.sorts,
    ],
    legend: pictures.legend(data.classes),
    wide: data.runs.length > 2,
    describe,
    open: (order, place) => dialog.open(order, place),
  });
  part("view").addEventListener("change", () => gallery.update());
  listeners.push((isSettled) => {
    if (isSettled) gallery.arrange();
    gallery.update();
  });
};
