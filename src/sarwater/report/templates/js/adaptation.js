/* The page of an adaptation: what happened over the epochs, and the two maps side by side. */
"use strict";

sarwater.pages.adaptation = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (data.history.length) sarwater.adaptationCurves(part, data.history);
  if (data.chips.length) sarwater.adaptationGallery(part("gallery"), data);
};

sarwater.adaptationCurves = (part, history) => {
  const names = [...new Set(history.flatMap(Object.keys))];
  const x = history.map((row) => row.epoch);
  const series = (wanted, title) =>
    wanted.filter((name) => names.includes(name)).map((name) => ({ name: title(name), x, y: history.map((row) => row[name] ?? null) }));
  const plain = (name) => name.replace(/^(train_accuracy|train|target|val)_/, "").replaceAll("_", " ");
  const axis = { title: { text: "epoch" }, dtick: x.length > 12 ? undefined : 1 };
  const draw = (name, label, found, layout = {}) => {
    if (found.length) {
      sarwater.lineChart(part(name), label, found, { xaxis: axis, ...layout });
      sarwater.charts.addTable(part(name));
    } else part(name).replaceWith(sarwater.element("p", { class: "note" }, "not part of this adaptation"));
  };
  draw("separability", "Accuracy of the discriminator", series(names.filter((name) => name.startsWith("train_accuracy_")), plain), {
    yaxis: { range: [0, 1.01] },
    shapes: [{ type: "line", x0: 0, x1: 1, xref: "paper", y0: 0.5, y1: 0.5, line: { color: sarwater.color("muted"), width: 1.5, dash: "dot" } }],
  });
  const methods = ["train_dann", "train_output_space", "train_self_training", "train_cross_entropy"];
  draw("losses", "Losses of the methods", series(methods, plain), { yaxis: { rangemode: "tozero" } });
  draw("thresholds", "Thresholds", series(["target_dividing", "val_threshold"], (name) => (name.startsWith("val") ? "source, validation" : "target, dividing")), { yaxis: { range: [0, 1] } });
  draw("shares", "Share of water and entropy", series(["target_water_share", "target_entropy"], plain), { yaxis: { rangemode: "tozero" } });
};

sarwater.adaptationGallery = (panel, data) => {
  const { pictures } = sarwater;
  const [before, after] = data.thresholds.map((value) => Math.round(value * 1000));
  const difference = (picture) => pictures.difference(picture, before, after);
  const thresholds = [before, after];
  const large = (paint) => (picture, figure) => {
    if (figure === 0) return null; // the image alone
    return figure === 3 ? difference(picture) : paint(picture, figure - 1);
  };
  const dialog = new sarwater.ChipDialog({
    chips: data.chips,
    figures: ["image", "source only", "adapted", "difference"],
    overlays: {
      maps: large((picture, side) => pictures.prediction(picture, thresholds[side], side)),
      probability: large((picture, side) => pictures.probability(picture, data.steps, side)),
    },
    facts: (chip) => [["domain", chip.domain], ["valid", sarwater.percent(chip.valid_share)]],
  });
  const numbers = new Map(data.chips.map((chip, number) => [chip, number]));
  new sarwater.Gallery(panel, {
    chips: data.chips,
    columns: [
      { name: pictures.view(data.chips), paint: (picture) => pictures.sar(picture) },
      { name: "source only", paint: (picture) => pictures.prediction(picture, before, 0) },
      { name: "adapted", paint: (picture) => pictures.prediction(picture, after, 1) },
      { name: "difference", paint: difference },
    ],
    sorts: [
      { key: "differs", title: "difference, most first", compare: (a, b) => a.place - b.place },
      { key: "name", title: "name", compare: (a, b, one, two) => (one.id < two.id ? -1 : 1) },
    ],
    legend: pictures.legend([], ["water in both", "after adapting only", "before only"]),
    describe: (chip) => ({ score: "", line: chip.domain, place: numbers.get(chip) }),
    open: (order, place) => dialog.open(order, place),
  });
};
