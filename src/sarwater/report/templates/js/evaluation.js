/* The page of an evaluation: everything on it follows the threshold. */
"use strict";

sarwater.METRICS = ["precision", "recall", "f1", "iou"];
sarwater.METRIC_NAMES = { precision: "precision", recall: "recall", f1: "F1", iou: "IoU" };

sarwater.pages.evaluation = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const counts = new sarwater.Counts(sarwater.bytes(data.counts), data.chips.length);
  const short = (one) => ({ half: "fixed", best: "best here" })[one.key] ?? one.title.replace(" threshold", "");
  const threshold = sarwater.threshold(
    part("threshold"),
    data.points.map((one) => ({ ...one, title: `${short(one)} ${one.threshold.toFixed(3)}` })),
  );
  const view = { root, part, data, counts, threshold, curve: counts.curve() };
  view.chips = sarwater.evaluationChips(view);
  sarwater.evaluationFigures(view);
  sarwater.evaluationCharts(view);
  sarwater.evaluationHardness(view);
  sarwater.evaluationGallery(view);
  threshold.set(threshold.k);
};

/** What is known of each chip at the present threshold. */
sarwater.evaluationChips = ({ data, counts, threshold }) => ({
  shares: data.chips.map((chip, number) => {
    const found = counts.of(number, 1);
    return (found.tp + found.fn) / chip.counted;
  }),
  describe(number, k = threshold.k) {
    const found = counts.of(number, k);
    const share = this.shares[number];
    const { f1, ...scores } = sarwater.scores(found.tp, found.fp, found.fn);
    return {
      ...found,
      ...scores,
      f1: share > 0 ? f1 : null,
      share,
      wrong: found.fp + found.fn,
      falses: found.fp,
    };
  },
});

/** Scores, counts and the rows of the tables. */
sarwater.evaluationFigures = ({ root, part, data, counts, threshold, chips }) => {
  const rows = [...part("table").querySelectorAll("tr[data-index]")];
  for (const row of rows) {
    row.querySelector("button").addEventListener("click", () => threshold.set(Number(row.dataset.index)));
  }
  threshold.listen((k) => {
    const found = counts.pooled(k);
    const scores = sarwater.scores(found.tp, found.fp, found.fn);
    for (const name of sarwater.METRICS) {
      root.querySelector(`[data-score="${name}"]`).textContent = sarwater.digits(scores[name]);
    }
    for (const name in found) {
      root.querySelector(`[data-count="${name}"]`).textContent = sarwater.whole(found[name]);
    }
    const [called, water] = [found.tp + found.fp, found.tp + found.fn];
    part("balance").textContent = water ? sarwater.percent(called / water) : "-";
    const each = data.chips.map((_, number) => chips.describe(number, k));
    const wet = each.filter((one) => one.f1 !== null);
    const mean = wet.reduce((sum, one) => sum + one.f1, 0) / wet.length;
    part("mean").textContent = sarwater.digits(mean);
    const dry = each.filter((one) => one.share === 0);
    const alarms = dry.reduce((sum, one) => sum + one.fp, 0);
    part("alarms").textContent = dry.length ? `${sarwater.whole(alarms)} px in ${dry.length}` : "-";
    for (const row of rows) {
      if (Number(row.dataset.index) === k) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  });
};

/** The gallery and the dialog of a chip. */
sarwater.evaluationGallery = ({ part, data, counts, threshold, chips }) => {
  const numbers = new Map(data.chips.map((chip, number) => [chip, number]));
  const of = (chip) => chips.describe(numbers.get(chip));
  const pictures = sarwater.pictures;
  const water = pictures.together(data.classes);
  const dialog = new sarwater.ChipDialog({
    chips: data.chips,
    threshold,
    overlays: {
      errors: (picture) => pictures.errors(picture, threshold.k, 0, water),
      prediction: (picture) => pictures.prediction(picture, threshold.k, 0, water),
      truth: (picture) => pictures.truth(picture, data.classes),
      probability: (picture) => pictures.probability(picture, data.steps),
    },
    facts: (chip) => sarwater.chipFacts(chip, of(chip)),
  });
  const gallery = new sarwater.Gallery(part("gallery"), {
    chips: data.chips,
    columns: [
      { name: pictures.view(data.chips), isFixed: true, paint: (picture) => pictures.sar(picture) },
      { name: "truth", isFixed: true, paint: (picture) => pictures.truth(picture, data.classes) },
      { name: "prediction", paint: (picture) => pictures.prediction(picture, threshold.k, 0, water) },
      { name: "errors", paint: (picture) => pictures.errors(picture, threshold.k, 0, water) },
    ],
    stamp: () => pictures.level(threshold.k),
    sorts: sarwater.sorts,
    legend: pictures.legend(data.classes),
    describe: (chip) => {
      const found = of(chip);
      const score = found.f1 === null ? `${sarwater.whole(found.fp)} px false` : `F1 ${sarwater.digits(found.f1)}`;
      const line =
        found.f1 === null
          ? `${chip.domain} · no water`
          : `${chip.domain} · water ${sarwater.percent(found.share)} · P ${sarwater.digits(found.precision, 2)} · R ${sarwater.digits(found.recall, 2)}`;
      return { ...found, score, line };
    },
    open: (order, place) => dialog.open(order, place),
  });
  const first = data.chips.find((chip) => chip.image !== undefined);
  part("gallerynote").textContent = first
    ? "Everything follows the threshold. Enter or a click shows a chip large; arrow keys go from chip to chip. " +
      "Pictures are thinned out; scores are of all pixels."
    : "Scores follow the threshold.";
  threshold.listen((_, isSettled) => (isSettled ? gallery.arrange() : 0, gallery.update()));
  part("gallery").openChip = (number) => dialog.open([number], 0);
};

/** Names and values of a chip for its dialog. */
sarwater.chipFacts = (chip, found) => {
  const contrast = chip.values?.[0]?.contrast;
  return [
    ["F1", sarwater.digits(found.f1)],
    ["IoU", found.f1 === null ? "-" : sarwater.digits(found.iou)],
    ["precision", sarwater.digits(found.precision)],
    ["recall", sarwater.digits(found.recall)],
    ["found px", sarwater.whole(found.tp)],
    ["false px", sarwater.whole(found.fp)],
    ["missed px", sarwater.whole(found.fn)],
    ["water share", sarwater.percent(found.share)],
    ["without radar", sarwater.percent(chip.nodata)],
    ["unlabelled", sarwater.percent(chip.unlabelled)],
    ...(contrast === null || contrast === undefined ? [] : [["contrast", `${contrast.toFixed(2)} (${chip.values[0].name})`]]),
    ["domain", chip.domain],
    ...(chip.step > 1 ? [["shown", `1 of ${chip.step} × ${chip.step} px`]] : []),
  ];
};
