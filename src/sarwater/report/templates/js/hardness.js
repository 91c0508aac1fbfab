/* What makes chips hard: F1 by quarters of what is known of a chip, and its rank correlation. */
"use strict";

/** Ranks from 1, equal values sharing the mean of theirs. */
sarwater.ranks = (values) => {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const ranks = new Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end + 1 < order.length && values[order[end + 1]] === values[order[start]]) end += 1;
    for (let i = start; i <= end; i += 1) ranks[order[i]] = (start + end) / 2 + 1;
    start = end + 1;
  }
  return ranks;
};

/** Spearman's rank correlation; null where one of the two is constant. */
sarwater.rankCorrelation = (one, two) => {
  const [a, b] = [sarwater.ranks(one), sarwater.ranks(two)];
  const middle = (a.length + 1) / 2;
  let [both, first, second] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    both += (a[i] - middle) * (b[i] - middle);
    first += (a[i] - middle) ** 2;
    second += (b[i] - middle) ** 2;
  }
  return first > 0 && second > 0 ? both / Math.sqrt(first * second) : null;
};

/** Divide values into quarters; equal values are never parted, so that there may be fewer. */
sarwater.quarters = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const ends = [0.25, 0.5, 0.75, 1].map((share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
  const found = [];
  ends.forEach((end, i) => {
    const above = i === 0 ? -Infinity : ends[i - 1];
    const members = values.flatMap((value, number) => (value > above && value <= end ? [number] : []));
    if (members.length) found.push({ members, quarter: i });
  });
  return found;
};

/** A share in percent, small ones with the digit that counts. */
sarwater.smallPercent = (value) => (value > 0 && value < 0.001 ? `${(100 * value).toPrecision(1)} %` : sarwater.percent(value));

sarwater.evaluationHardness = ({ part, data, chips, threshold }) => {
  const make = sarwater.element;
  const bands = data.chips.find((chip) => chip.values)?.values ?? [];
  const features = [
    { name: "water share", of: (chip, i) => chips.shares[i], text: sarwater.smallPercent },
    ...bands.map((band, place) => ({
      name: `contrast of land and water, ${band.name}`,
      of: (chip) => chip.values?.[place]?.contrast ?? null,
      text: (value) => value.toFixed(2),
    })),
    { name: "labelled pixels without radar", of: (chip) => chip.nodata, text: sarwater.smallPercent },
    { name: "unlabelled pixels", of: (chip) => chip.unlabelled, text: sarwater.smallPercent },
  ].map((one) => ({ ...one, values: data.chips.map(one.of) }));
  const select = part("hardness");
  select.append(...features.map((one, i) => make("option", { value: i }, one.name)));
  const wet = data.chips.flatMap((_, i) => (chips.shares[i] > 0 ? [i] : []));

  const row = (feature, scores) => {
    const used = wet.flatMap((number, i) => (feature.values[number] === null || scores[i] === null ? [] : [{ x: feature.values[number], y: scores[i] }]));
    const cells = ["", "", "", ""].map(() => make("td", {}, "-"));
    const xs = used.map((one) => one.x);
    for (const { members, quarter } of sarwater.quarters(xs)) {
      const mean = members.reduce((sum, i) => sum + used[i].y, 0) / members.length;
      const [low, high] = [Math.min(...members.map((i) => xs[i])), Math.max(...members.map((i) => xs[i]))];
      const range = low === high ? feature.text(low) : `${feature.text(low)} – ${feature.text(high)}`;
      cells[quarter] = make(
        "td",
        { class: "heat", title: `${members.length} chips`, style: `background: color-mix(in oklab, var(--false-water) ${Math.round(70 * (1 - mean))}%, transparent)` },
        sarwater.digits(mean),
        make("small", {}, range),
      );
    }
    const rho = sarwater.rankCorrelation(xs, used.map((one) => one.y));
    return make("tr", {}, make("th", { scope: "row" }, feature.name), ...cells, make("td", {}, rho === null ? "-" : rho.toFixed(2)));
  };
  const body = part("hard").querySelector("tbody");
  const write = () => {
    const scores = wet.map((number) => chips.describe(number).f1);
    body.replaceChildren(...features.map((feature) => row(feature, scores)));
  };
  sarwater.charts.add(part("scatter"), "F1 of each chip", () => {
    const feature = features[Number(select.value)];
    const shown = wet.filter((number) => feature.values[number] !== null);
    return {
      data: [
        {
          type: "scatter",
          mode: "markers",
          x: shown.map((number) => feature.values[number]),
          y: shown.map((number) => chips.describe(number).f1),
          text: shown.map((number) => sarwater.plain(data.chips[number].id)),
          customdata: shown,
          marker: { color: sarwater.faint("f1", 0.55), size: 7 },
          hovertemplate: "%{text}<br>F1 %{y:.3f}<extra></extra>",
        },
      ],
      layout: { xaxis: { title: { text: feature.name }, rangemode: "tozero" }, yaxis: sarwater.unitAxis("F1"), showlegend: false },
      onclick: (point) => part("gallery").openChip(point.customdata),
    };
  });
  sarwater.charts.addTable(part("scatter"));
  select.addEventListener("change", () => sarwater.charts.redraw(part("scatter")));
  threshold.listen((_, isSettled) => {
    if (!isSettled) return;
    write();
    sarwater.charts.redraw(part("scatter"));
  });
};
