/* The page of a training run: its curves, and what the sampler drew. */
"use strict";

sarwater.pages.training = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (data.epochs.length) sarwater.trainingCurves(part, data);
  if (data.sampling.length) sarwater.samplingCharts(part, data.sampling);
};

sarwater.trainingCurves = (part, { epochs, columns, best }) => {
  const x = epochs.map((row) => row.epoch);
  const series = (names, prefix = /^(train|val)_/) =>
    names.filter((name) => columns.includes(name)).map((name) => ({
      name: name.replace(prefix, "").replaceAll("_", " ").replace("f1", "F1").replace("iou", "IoU"),
      x,
      y: epochs.map((row) => row[name] ?? null),
    }));
  const axis = { title: { text: "epoch" }, dtick: x.length > 12 ? undefined : 1 };
  const chosen = () => ({
    xaxis: axis,
    shapes: [{ type: "line", x0: best, x1: best, y0: 0, y1: 1, yref: "paper", line: { color: sarwater.color("muted"), width: 1, dash: "dot" } }],
  });
  const scores = ["val_f1", "val_iou", "val_precision", "val_recall", "val_f1_at_half", "val_threshold"];
  sarwater.lineChart(part("scores"), "Validation scores over the epochs", series(scores), () => ({ ...chosen(), yaxis: { range: [0, 1.01] } }));
  const losses = columns.filter((name) => name.startsWith("train_") && !name.startsWith("train_accuracy"));
  sarwater.lineChart(part("losses"), "Training losses over the epochs", series(losses), chosen);
  const learned = series(columns.filter((name) => name.startsWith("c_")), /^c_/);
  if (learned.length) sarwater.lineChart(part("weights"), "Learned weights over the epochs", learned, chosen);
  sarwater.lineChart(part("rate"), "Learning rate over the epochs", series(["learning_rate"]), { xaxis: axis, yaxis: { type: "log", dtick: 1, exponentformat: "power" } });
  sarwater.sortableTable(
    part("epochs"),
    columns.map((name) => ({ title: name.replaceAll("_", " "), of: (row) => row[name] ?? null, text: (value) => (Number.isInteger(value) ? String(value) : value.toPrecision(4)) })),
    epochs,
  );
};

sarwater.samplingCharts = (part, sampling) => {
  const x = sampling.map((row) => row.epoch + 1);
  const bins = Object.keys(sampling[0].drawn.ratio_bins);
  part("samplingnote").textContent =
    "patches of each epoch by their ratio of land to water; the first bar is what there is";
  const share = (row, bin) => row.ratio_bins[bin] / Object.values(row.ratio_bins).reduce((sum, one) => sum + one, 0);
  sarwater.charts.add(part("bins"), "Patches drawn by ratio", () => ({
    data: bins.map((bin, number) => ({
      type: "bar",
      name: bin,
      x: ["there is", ...x.map((epoch) => `${epoch}`)],
      y: [share(sampling[0].available, bin), ...sampling.map((row) => share(row.drawn, bin))],
      marker: { color: ["#08519c", "#4292c6", "#9ecae1", sarwater.color("line")][number] },
      hovertemplate: "%{y:.1%}",
    })),
    layout: { barmode: "stack", bargap: 0.15, xaxis: { type: "category", title: { text: "epoch" } }, yaxis: { tickformat: ".0%" } },
  }));
  sarwater.charts.addTable(part("bins"));
  const of = (key) => sampling.map((row) => row[key].water_share);
  sarwater.lineChart(
    part("shares"),
    "Share of water in patches",
    [{ name: "drawn", x, y: of("drawn") }, { name: "there is", x, y: of("available") }],
    { xaxis: { title: { text: "epoch" } }, yaxis: { tickformat: ".0%", rangemode: "tozero" } },
  );
  sarwater.charts.addTable(part("shares"));
};
