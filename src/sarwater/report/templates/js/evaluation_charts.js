/* Charts of an evaluation. Markers and lines follow the threshold without drawing all anew. */
"use strict";

sarwater.evaluationCharts = (view) => {
  const { part, data, curve, threshold } = view;
  const average = data.average_precision;
  const bounds = (pair) => (pair ? ` [${sarwater.digits(pair[0])}, ${sarwater.digits(pair[1])}]` : "");
  part("ap").textContent = `average precision ${sarwater.digits(average.value)}${bounds(average.interval)}`;
  part("bandnote").textContent = data.bands
    ? "band: 95 % interval of F1, bootstrap over chips"
    : "pooled pixels of all chips";
  sarwater.charts.add(part("curve"), "Precision over recall with the present threshold", () =>
    sarwater.precisionRecallChart(view),
  );
  sarwater.charts.add(part("scores"), "Scores over the threshold", () => sarwater.scoresChart(view));
  // A threshold on backscatter gives no probabilities.
  if (data.calibration) {
    sarwater.charts.add(part("calibration"), "Observed share of water over predicted probability", () =>
      sarwater.calibrationChart(data.calibration),
    );
    sarwater.charts.addTable(part("calibration"));
    const { expected_error: error, brier } = data.calibration;
    part("calibrationnote").textContent =
      `expected calibration error ${sarwater.digits(error, 4)}, Brier ${sarwater.digits(brier, 4)}; the marker's size is the share of pixels`;
  }
  sarwater.spreadChart(view);
  sarwater.domainBars(view);
  threshold.listen((k) => {
    const at = k - 1;
    sarwater.charts.touch(part("curve"), () => {
      const marker = part("curve").data.length - 1;
      Plotly.restyle(part("curve"), { x: [[curve.recall[at]]], y: [[curve.precision[at]]] }, [marker]);
    });
    sarwater.charts.touch(part("scores"), () => {
      Plotly.relayout(part("scores"), { "shapes[0].x0": k / 1000, "shapes[0].x1": k / 1000 });
    });
  });
};

/** Lines of equal F1, below precision and recall. */
sarwater.equalScoreLines = () => {
  const lines = [0.2, 0.4, 0.6, 0.8, 0.9].map((f1) => {
    const recall = Array.from({ length: 60 }, (_, i) => f1 / (2 - f1) + (i / 59) * (1 - f1 / (2 - f1)));
    return {
      x: recall,
      y: recall.map((r) => (f1 * r) / (2 * r - f1)),
      mode: "lines",
      line: { color: sarwater.color("line"), width: 1 },
      hoverinfo: "skip",
      showlegend: false,
    };
  });
  const annotations = [0.2, 0.4, 0.6, 0.8, 0.9].map((f1) => ({
    x: 1,
    y: f1 / (2 - f1),
    xanchor: "left",
    text: ` F1 ${f1}`,
    showarrow: false,
    font: { size: 10, color: sarwater.color("muted") },
  }));
  return { lines, annotations };
};

sarwater.unitAxis = (title) => ({ title: { text: title }, range: [0, 1.01], dtick: 0.2 });

sarwater.precisionRecallChart = ({ data, curve, threshold }) => {
  const { lines, annotations } = sarwater.equalScoreLines();
  const at = (t) => Math.round(t * 1000) - 1;
  const symbols = { chosen: "circle", model: "diamond", half: "square", best: "triangle-up" };
  const marks = data.points.map((one) => ({
    x: [curve.recall[at(one.threshold)]],
    y: [curve.precision[at(one.threshold)]],
    name: one.title,
    mode: "markers",
    marker: { symbol: symbols[one.key], size: 8, color: sarwater.color("muted"), line: { width: 1, color: sarwater.color("surface") } },
    hovertemplate: `${one.title} (${one.threshold})<br>recall %{x:.3f}<br>precision %{y:.3f}<extra></extra>`,
    showlegend: false,
  }));
  const line = {
    x: curve.recall,
    y: curve.precision,
    text: curve.threshold.map((t) => t.toFixed(3)),
    mode: "lines",
    line: { color: sarwater.color("f1"), width: 2.5 },
    hovertemplate: "threshold %{text}<br>recall %{x:.3f}<br>precision %{y:.3f}<extra></extra>",
    showlegend: false,
  };
  const here = {
    x: [curve.recall[threshold.k - 1]],
    y: [curve.precision[threshold.k - 1]],
    mode: "markers",
    marker: { size: 15, color: sarwater.color("chosen"), line: { width: 2.5, color: sarwater.color("surface") } },
    hovertemplate: "here<br>recall %{x:.3f}<br>precision %{y:.3f}<extra></extra>",
    showlegend: false,
  };
  return {
    data: [here, line, ...lines, ...marks].reverse(),
    layout: { annotations, margin: { l: 12, r: 46, t: 12, b: 12 }, xaxis: sarwater.unitAxis("recall"), yaxis: sarwater.unitAxis("precision") },
  };
};

sarwater.scoresChart = ({ data, curve, threshold }) => {
  const traces = sarwater.METRICS.map((name) => ({
    x: curve.threshold,
    y: curve[name],
    name: sarwater.METRIC_NAMES[name],
    mode: "lines",
    line: { color: sarwater.color(name), width: name === "f1" ? 3 : 2, dash: { recall: "dash", precision: "dot", iou: "dashdot" }[name] },
    hovertemplate: "%{x:.3f}: %{y:.3f}",
  }));
  if (data.bands) {
    const pairs = data.bands.groups[0].f1;
    const side = (place) => pairs.map((pair) => pair[place]);
    const outline = { x: data.bands.thresholds, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    traces.unshift(
      { ...outline, y: side(0) },
      { ...outline, y: side(1), fill: "tonexty", fillcolor: sarwater.faint("f1", 0.18) },
    );
  }
  const t = threshold.k / 1000;
  return {
    data: traces,
    layout: {
      shapes: [{ type: "line", x0: t, x1: t, y0: 0, y1: 1, yref: "paper", line: { color: sarwater.color("chosen"), width: 2 } }],
      xaxis: sarwater.unitAxis("threshold"),
      yaxis: sarwater.unitAxis(""),
      hovermode: "x unified",
    },
  };
};

sarwater.calibrationChart = (found) => {
  const used = found.pixels.map((_, i) => i).filter((i) => found.pixels[i] > 0);
  const pick = (values) => used.map((i) => values[i]);
  const total = found.pixels.reduce((sum, one) => sum + one, 0);
  return {
    data: [
      { x: [0, 1], y: [0, 1], mode: "lines", line: { color: sarwater.color("muted"), dash: "dash", width: 1 }, name: "perfect", hoverinfo: "skip" },
      {
        x: pick(found.predicted),
        y: pick(found.observed),
        customdata: pick(found.pixels).map((count) => [sarwater.whole(count), sarwater.percent(count / total)]),
        mode: "lines+markers",
        name: "model",
        line: { color: sarwater.color("f1"), width: 2 },
        marker: { size: pick(found.pixels).map((count) => 6 + 20 * Math.sqrt(count / total)), opacity: 1 },
        hovertemplate: "predicted %{x:.3f}<br>observed %{y:.3f}<br>%{customdata[0]} px (%{customdata[1]})<extra></extra>",
      },
    ],
    layout: { xaxis: sarwater.unitAxis("predicted probability of water"), yaxis: sarwater.unitAxis("observed share of water") },
  };
};

/** How many chips with water reach which F1. */
sarwater.spreadChart = ({ part, data, chips, threshold }) => {
  const wet = chips.shares.filter((share) => share > 0).length;
  part("spreadnote").textContent = `${wet} chips with water at the threshold; ${data.chips.length - wet} without have no F1`;
  sarwater.charts.add(part("spread"), "Number of chips by F1", () => {
    const scores = data.chips.map((_, number) => chips.describe(number).f1).filter((f1) => f1 !== null);
    const [bins, width] = [20, 0.05];
    const chipsOf = Array(bins).fill(0);
    for (const f1 of scores) chipsOf[Math.min(bins - 1, Math.floor(f1 / width + 1e-9))] += 1;
    const from = chipsOf.map((_, bin) => (bin * width).toFixed(2));
    const text = from.map((low, bin) => `${low} to ${((bin + 1) * width).toFixed(2)}`);
    const x = chipsOf.map((_, bin) => (bin + 0.5) * width);
    return {
      data: [{ type: "bar", name: "chips", x, y: chipsOf, text, textposition: "none", width, marker: { color: sarwater.color("f1") }, hovertemplate: "F1 %{text}: %{y} chips<extra></extra>" }],
      layout: {
        bargap: 0.06,
        showlegend: false,
        xaxis: sarwater.unitAxis("F1 of a chip"),
        yaxis: { title: { text: "chips" }, tickformat: ",d", ...(Math.max(...chipsOf) < 6 ? { dtick: 1 } : {}) },
      },
    };
  });
  sarwater.charts.addTable(part("spread"));
  threshold.listen((_, isSettled) => isSettled && sarwater.charts.redraw(part("spread")));
};

/** Bars of each domain with their intervals, at the threshold. */
sarwater.domainBars = ({ part, data, counts, threshold }) => {
  const make = sarwater.element;
  const numbers = (name) => data.chips.flatMap((chip, i) => (chip.domain === name ? [i] : []));
  const groups = [
    ...(data.domains.length > 1 ? [{ name: "all chips", chips: data.chips.length, numbers: null, band: 0 }] : []),
    ...data.domains.map((one, i) => ({ ...one, numbers: numbers(one.name), band: i + 1 })),
  ];
  part("domainnote").textContent = data.bands
    ? "pooled pixels of each domain's chips at the threshold; in brackets and as a line the 95 % interval, bootstrap over chips, at the nearest hundredth"
    : "pooled pixels of each domain's chips at the threshold";
  const bars = groups.map((group) => {
    const box = make("div", {}, make("h4", {}, group.name, " ", make("small", {}, `${sarwater.whole(group.chips)} chips`)));
    const rows = sarwater.METRICS.map((metric) => {
      const row = { metric, bar: make("i"), whisker: make("b", { hidden: true }), text: make("span") };
      box.append(
        make(
          "div",
          { class: "bar", style: `--key: var(--${metric})` },
          make("span", {}, sarwater.METRIC_NAMES[metric]),
          make("span", { class: "track" }, row.bar, row.whisker),
          row.text,
        ),
      );
      return row;
    });
    part("domains").append(box);
    return { group, rows };
  });
  threshold.listen((k) => {
    const place = Math.min(98, Math.max(0, Math.round(k / 10) - 1));
    for (const { group, rows } of bars) {
      const found = counts.pooled(k, group.numbers);
      const scores = sarwater.scores(found.tp, found.fp, found.fn);
      for (const { metric, bar, whisker, text } of rows) {
        const [low, high] = data.bands?.groups[group.band][metric][place] ?? [null, null];
        const isBounded = low !== null && scores[metric] !== null;
        bar.style.setProperty("--value", scores[metric] ?? 0);
        whisker.hidden = !isBounded;
        whisker.style.setProperty("--low", low ?? 0);
        whisker.style.setProperty("--high", high ?? 0);
        const isDry = metric === "f1" && found.tp + found.fn === 0;
        text.replaceChildren(
          isDry ? `${sarwater.whole(found.fp)} px false` : sarwater.digits(scores[metric]),
          ...(isBounded ? [make("small", {}, ` [${sarwater.digits(low)}, ${sarwater.digits(high)}]`)] : []),
        );
      }
    }
  });
};
