/* The page of an inspection: what is in the data. */
"use strict";

sarwater.pages.data = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const errors = data.findings.filter((one) => one.severity === "error").length;
  part("findingsnote").textContent = `${data.findings.length} findings, ${errors} of them errors`;
  sarwater.ratioChart(part("ratios"), data);
  data.bands.forEach((band, place) => sarwater.domainHistograms(part(`histogram-${place}`), band));
  sarwater.distanceChart(part, data);
  sarwater.chipTable(part("chips"), data.chips);
  for (const image of root.querySelectorAll("img[data-blob]")) {
    image.src = sarwater.address(Number(image.dataset.blob));
  }
};

sarwater.ratioChart = (element, { bins, ratios }) => {
  element.style.height = `${7 + 1.7 * ratios.length}rem`;
  sarwater.charts.add(element, "Chips by ratio of non-water to water", () => ({
    data: bins.map((bin, number) => ({
      type: "bar",
      orientation: "h",
      name: bin,
      y: ratios.map(([name]) => sarwater.plain(name)),
      x: ratios.map((row) => Number(row[number + 1])),
      text: ratios.map((row) => (Number(row[number + 1]) ? row[number + 1] : "")),
      textposition: "inside",
      textangle: 0,
      insidetextanchor: "middle",
      marker: { color: ["#08519c", "#4292c6", "#9ecae1", sarwater.color("line")][number] },
      hovertemplate: "%{x} chips",
    })),
    layout: { barmode: "stack", bargap: 0.25, barnorm: "percent", xaxis: { ticksuffix: " %" }, yaxis: { autorange: "reversed", type: "category" } },
  }));
};

sarwater.domainHistograms = (element, band) => {
  const series = band.domains.map(({ domain, histogram, valid_px: total }) => ({
    name: domain,
    x: histogram.counts.map((_, i) => histogram.start_value + (i + 0.5) * histogram.width),
    y: histogram.counts.map((count) => count / total),
    line: undefined,
  }));
  const used = band.domains.flatMap(({ histogram }) => {
    const filled = histogram.counts.flatMap((count, i) => (count > 0 ? [i] : []));
    const at = (i) => histogram.start_value + i * histogram.width;
    return filled.length ? [at(filled[0]), at(filled.at(-1) + 1)] : [];
  });
  for (const one of series) delete one.line;
  sarwater.lineChart(element, `Histograms of ${band.band}`, series, {
    xaxis: { title: { text: band.scale }, range: used.length ? [Math.min(...used), Math.max(...used)] : undefined },
    yaxis: { tickformat: ".1%", rangemode: "tozero" },
    showlegend: series.length <= 12,
  });
  sarwater.charts.addTable(element);
};

sarwater.distanceChart = (part, { bands }) => {
  const names = bands[0]?.domains.map((one) => one.domain) ?? [];
  if (names.length < 2) {
    part("distances").remove();
    return;
  }
  const measures = {
    jensen_shannon: "Jensen-Shannon divergence (bits)",
    wasserstein: "Wasserstein distance (units of the values)",
    standardized_difference: "standardized difference of means",
    mean_difference: "difference of means",
  };
  const option = ([value, text]) => sarwater.element("option", { value }, text);
  part("measure").append(...Object.entries(measures).map(option));
  part("band").append(...bands.map((band, place) => option([place, `${band.band} (${band.scale})`])));
  part("matrix").style.height = `${9 + 1.9 * names.length}rem`;
  sarwater.charts.add(part("matrix"), "Distances of the domains", () => {
    const band = bands[Number(part("band").value)];
    const values = band[part("measure").value];
    const listed = band.domains.map((one) => sarwater.plain(one.domain));
    const most = Math.max(1e-9, ...values.flat().map((value) => Math.abs(value ?? 0)));
    const isSigned = values.flat().some((value) => value < 0);
    return {
      data: [{
        type: "heatmap",
        x: listed,
        y: listed,
        z: values,
        zmin: isSigned ? -most : 0,
        zmax: most,
        colorscale: isSigned ? [[0, "#0072b2"], [0.5, "#f7f7f7"], [1, "#d55e00"]] : "Cividis",
        texttemplate: listed.length <= 14 ? "%{z:.2f}" : "",
        hovertemplate: "%{y} against %{x}: %{z:.3f}<extra></extra>",
      }],
      layout: { yaxis: { autorange: "reversed", type: "category" }, xaxis: { type: "category" } },
    };
  });
  sarwater.charts.addTable(part("matrix"));
  for (const name of ["measure", "band"]) {
    part(name).addEventListener("change", () => sarwater.charts.redraw(part("matrix")));
  }
};

sarwater.chipTable = (table, chips) => {
  const number = (value) => String(Number(value.toPrecision(4)));
  const bands = [...new Set(chips.flatMap((chip) => chip.bands.map((band) => band.band)))];
  const of = (chip, name, key) => chip.bands.find((band) => band.band === name)?.[key] ?? null;
  sarwater.sortableTable(
    table,
    [
      { title: "chip", of: (chip) => chip.id },
      { title: "domain", of: (chip) => chip.domain },
      { title: "split", of: (chip) => chip.split },
      { title: "units", of: (chip) => chip.units },
      { title: "size", of: (chip) => (chip.height ?? 0) * (chip.width ?? 0), text: (value) => sarwater.whole(value) },
      { title: "valid", of: (chip) => chip.valid_share, text: (value) => sarwater.percent(value) },
      { title: "water", of: (chip) => chip.water_share, text: (value) => sarwater.percent(value, 2) },
      ...bands.flatMap((name) => [
        { title: `${name} min`, of: (chip) => of(chip, name, "minimum"), text: number },
        { title: `${name} p50`, of: (chip) => of(chip, name, "p50"), text: number },
        { title: `${name} max`, of: (chip) => of(chip, name, "maximum"), text: number },
      ]),
      { title: "problem", of: (chip) => chip.problem },
    ],
    chips,
  );
};
