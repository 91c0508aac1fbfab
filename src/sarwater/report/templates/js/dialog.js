/* A chip large: its bands with a map over them, histograms, and what is known of it. */
"use strict";

/**
 * @param options.threshold of the page; the dialog has its slider too
 * @param options.overlays by name: (picture, view) -> ImageData; view is the place of the figure
 * @param options.figures names of figures over the color image, in place of a figure a band
 * @param options.facts (chip) -> [[name, text]]
 */
sarwater.ChipDialog = class {
  constructor(options) {
    Object.assign(this, options);
    const make = sarwater.element;
    this.title = make("h3", { tabindex: "-1" });
    const button = (text, label, work) =>
      make("button", { type: "button", "aria-label": label, onclick: work }, text);
    this.previous = button("←", "Previous chip", () => this.step(-1));
    this.next = button("→", "Next chip", () => this.step(1));
    this.overlay = make(
      "select",
      { "data-part": "overlay", onchange: () => this.draw() },
      ...["none", ...Object.keys(this.overlays)].map((name) => make("option", { value: name }, name)),
    );
    this.overlay.value = this.first ?? Object.keys(this.overlays)[0];
    this.opacity = make("input", { type: "range", "data-part": "opacity", min: 0, max: 100, value: 60, oninput: () => this.fade() });
    this.views = make("div", { class: "views" });
    this.facts_ = make("dl", { class: "dialog-facts" });
    this.dialog = make(
      "dialog",
      { "data-part": "dialog", "aria-label": "One chip", onkeydown: (event) => this.key(event) },
      make("div", { class: "dialog-top" }, this.title, this.previous, this.next, button("Close", "Close", () => this.dialog.close())),
      make(
        "div",
        { class: "dialog-body" },
        make(
          "div",
          { class: "controls" },
          make("label", {}, "Over the image", this.overlay),
          make("label", {}, "Opacity", this.opacity),
          ...(this.threshold ? [make("label", {}, "Threshold", this.slider(), this.shownThreshold())] : []),
        ),
        this.views,
        this.facts_,
      ),
    );
    document.body.append(this.dialog);
    this.threshold?.listen(() => this.dialog.open && this.draw());
  }

  slider() {
    const { threshold } = this;
    this.own = sarwater.element("input", { type: "range", min: 1, max: 999, step: 1 });
    this.own.addEventListener("input", () => threshold.set(Number(this.own.value), false));
    this.own.addEventListener("change", () => threshold.set(Number(this.own.value)));
    return this.own;
  }

  shownThreshold() {
    this.number = sarwater.element("output");
    return this.number;
  }

  /** Show a chip of an order of chips, so that the next one is the next in it. */
  open(order, place) {
    this.order = order;
    this.place = place;
    if (!this.dialog.open) this.dialog.showModal();
    this.show();
    this.title.focus();
  }

  step(by) {
    this.place = Math.min(this.order.length - 1, Math.max(0, this.place + by));
    this.show();
  }

  key(event) {
    if (/^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowRight") this.step(1);
    if (event.key === "ArrowLeft") this.step(-1);
  }

  async show() {
    const chip = this.chips[this.order[this.place]];
    this.chip = chip;
    this.title.textContent = chip.id;
    this.previous.disabled = this.place === 0;
    this.next.disabled = this.place === this.order.length - 1;
    this.picture = null;
    this.views.replaceChildren();
    if (chip.image !== undefined) {
      const picture = await sarwater.pictures.decode(chip);
      if (this.chip !== chip) return; // another one was asked for meanwhile
      this.picture = picture;
      this.lay(chip);
    }
    this.draw();
  }

  /** Make a figure a band and one of them together, or the figures that were asked for. */
  lay(chip) {
    const make = sarwater.element;
    const bands = [...chip.bands.map((name, band) => [name, band]), ...(chip.bands.length > 1 ? [["as color", null]] : [])];
    const shown = this.figures ? this.figures.map((name) => [name, null]) : bands;
    const views = shown.map(([name, band]) => {
      const base = make("canvas", { width: chip.width, height: chip.height });
      const over = make("canvas", { width: chip.width, height: chip.height });
      base.getContext("2d").putImageData(sarwater.pictures.sar(this.picture, band), 0, 0);
      const values = chip.values?.[band];
      return make(
        "figure",
        {},
        make("figcaption", {}, name),
        make("div", { class: "layers" }, base, over),
        ...(values ? [sarwater.histogram(values)] : []),
      );
    });
    this.views.replaceChildren(...views);
    this.fade();
  }

  fade() {
    for (const canvas of this.views.querySelectorAll("canvas + canvas")) {
      canvas.style.opacity = this.opacity.value / 100;
    }
  }

  draw() {
    if (this.own) {
      this.own.value = this.threshold.k;
      this.number.textContent = (this.threshold.k / 1000).toFixed(3);
    }
    const make = sarwater.element;
    this.facts_.replaceChildren(
      ...this.facts(this.chip).map(([name, text]) => make("div", { class: text.length > 12 && "wide" }, make("dt", {}, name), make("dd", {}, text))),
    );
    if (!this.picture) return;
    const paint = this.overlays[this.overlay.value];
    [...this.views.querySelectorAll("canvas + canvas")].forEach((canvas, view) => {
      const context = canvas.getContext("2d");
      const data = paint?.(this.picture, view);
      if (data) context.putImageData(data, 0, 0);
      else context.clearRect(0, 0, canvas.width, canvas.height);
    });
  }
};

/** A histogram as SVG, with the smallest and the largest value. */
sarwater.histogram = (values) => {
  const space = "http://www.w3.org/2000/svg";
  const make = (name, attributes, text = "") => {
    const made = document.createElementNS(space, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.textContent = text;
    return made;
  };
  const [width, height, foot] = [300, 90, 16];
  const picture = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img" });
  if (values.minimum === null) {
    picture.append(make("text", { x: 0, y: 20 }, "no valid pixel"));
    return picture;
  }
  const [low, high] = [values.minimum, values.maximum].map((value) => Number(value.toPrecision(4)));
  picture.setAttribute("aria-label", `Histogram of ${values.name} from ${low} to ${high} ${values.scale}`);
  const most = Math.max(...values.histogram, 1);
  const step = width / values.histogram.length;
  values.histogram.forEach((count, place) => {
    const tall = (count / most) * (height - foot - 2);
    picture.append(make("rect", { x: place * step, y: height - foot - tall, width: step - 1, height: tall }));
  });
  picture.append(
    make("text", { x: 0, y: height - 3 }, `min ${low}`),
    make("text", { x: width / 2, y: height - 3, "text-anchor": "middle" }, values.scale),
    make("text", { x: width, y: height - 3, "text-anchor": "end" }, `max ${high}`),
  );
  return picture;
};
