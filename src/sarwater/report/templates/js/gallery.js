/* A gallery of chips: cards that are painted while they are in view, sorted and filtered. */
"use strict";

/** The first cards of a gallery are kept painted: they are what is printed. */
sarwater.PRINTED = 12;

/**
 * @param panel element that the gallery fills
 * @param options.chips descriptions of the chips
 * @param options.columns pictures of a card: {name, paint(picture), isFixed}; a fixed one stays as
 *   it is when the gallery is updated
 * @param options.stamp () -> value; while it stays the same a painted card stays as it is
 * @param options.describe (chip) -> {score, line, badness, share, falses} at the present threshold
 * @param options.open (order, place) -> shows a chip large
 */
sarwater.Gallery = class {
  constructor(panel, options) {
    Object.assign(this, options);
    this.panel = panel;
    this.shown = new Set();
    this.painted = new WeakMap();
    const size = `cards${options.wide ? " wide" : ""}`;
    this.grid = sarwater.element("div", { class: size, "data-part": "cards" });
    this.cards = this.chips.map((chip, number) => this.card(chip, number));
    this.watcher = new IntersectionObserver((entries) => this.seen(entries), {
      rootMargin: "400px",
    });
    panel.append(this.controls(), ...(options.legend ? [options.legend] : []), this.grid);
    this.arrange();
    for (const card of this.cards) this.watcher.observe(card.button);
    this.grid.addEventListener("keydown", (event) => this.move(event));
  }

  card(chip, number) {
    const make = sarwater.element;
    const score = make("b");
    const line = make("span", { class: "facts-line" });
    const button = make(
      "button",
      {
        type: "button",
        class: "card",
        "data-chip": chip.id,
        onclick: () => this.open(this.order, this.order.indexOf(number)),
      },
      make("span", { class: "name" }, make("span", {}, chip.id), score),
      line,
    );
    let canvas = null;
    if (chip.image !== undefined) {
      canvas = make("canvas", { role: "img", "aria-label": this.columns.map((one) => one.name).join(", ") });
      const gap = this.gap(chip);
      canvas.style.aspectRatio = `${this.columns.length * (chip.width + gap) - gap} / ${chip.height}`;
      const under = make("span", { class: "under", style: `--columns: ${this.columns.length}` });
      under.append(...this.columns.map(({ name }) => make("span", {}, name)));
      button.append(canvas, under);
    }
    return { button, canvas, score, line, chip, number };
  }

  gap(chip) {
    return Math.max(2, Math.round(chip.width / 32));
  }

  controls() {
    const make = sarwater.element;
    const option = (value, text) => make("option", { value }, text);
    this.sort = make(
      "select",
      { "data-part": "sort", onchange: () => this.arrange() },
      ...this.sorts.map((one) => option(one.key, one.title)),
    );
    const domains = [...new Set(this.chips.map((chip) => chip.domain))];
    this.domain = make(
      "select",
      { "data-part": "domain", onchange: () => this.arrange() },
      option("", "all domains"),
      ...domains.map((name) => option(name, name)),
    );
    this.search = make("input", { type: "search", "data-part": "search", placeholder: "part of a name", oninput: sarwater.once(() => this.arrange()) });
    this.count = make("span", { class: "note", role: "status" });
    const label = (text, control) => make("label", {}, text, control);
    return make(
      "div",
      { class: "controls" },
      label("Sort by", this.sort),
      ...(domains.length > 1 ? [label("Domain", this.domain)] : []),
      label("Find", this.search),
      this.count,
    );
  }

  /** Put the cards in order and leave out what was not asked for. */
  arrange() {
    const found = this.chips.map((chip) => this.describe(chip));
    const { key } = this.sorts.find((one) => one.key === this.sort.value);
    const text = this.search.value.toLowerCase();
    const compare = this.sorts.find((one) => one.key === key).compare;
    this.order = this.cards
      .filter(({ chip }) => !this.domain.value || chip.domain === this.domain.value)
      .filter(({ chip }) => !text || `${chip.id} ${chip.domain}`.toLowerCase().includes(text))
      .map(({ number }) => number)
      .sort((one, two) => compare(found[one], found[two], this.chips[one], this.chips[two]) || one - two);
    this.grid.replaceChildren(...this.order.map((number) => this.cards[number].button));
    this.front = new Set(this.order.slice(0, sarwater.PRINTED).map((number) => this.cards[number]));
    for (const card of this.front) this.refresh(card);
    this.count.textContent = `${sarwater.whole(this.order.length)} of ${sarwater.whole(this.chips.length)} chips`;
  }

  seen(entries) {
    for (const entry of entries) {
      const card = this.cards[this.numberOf(entry.target)];
      if (entry.isIntersecting) {
        this.shown.add(card);
        this.refresh(card);
      } else {
        this.shown.delete(card);
        if (!this.front.has(card)) this.release(card);
      }
    }
  }

  /** Free the pixels of a card. */
  release(card) {
    if (!card.canvas) return;
    card.canvas.width = card.canvas.height = 0;
    card.button.classList.remove("painted");
  }

  numberOf(button) {
    this.numbers ??= new Map(this.cards.map((card) => [card.button, card.number]));
    return this.numbers.get(button);
  }

  /** Write scores and paint pictures of what is in view. */
  update() {
    for (const card of new Set([...this.shown, ...this.front])) this.refresh(card);
  }

  async refresh(card) {
    const { score, line } = this.describe(card.chip);
    card.score.textContent = score;
    card.line.textContent = line;
    if (!card.canvas) {
      card.button.classList.add("painted");
      return;
    }
    const picture = await this.decode(card.chip);
    if (this.shown.has(card) || this.front.has(card)) this.draw(card, picture);
  }

  decode(chip) {
    return sarwater.pictures.decode(chip);
  }

  draw(card, picture) {
    const { canvas, chip } = card;
    const gap = this.gap(chip);
    const width = this.columns.length * (chip.width + gap) - gap;
    const isPainted = canvas.width === width;
    const stamp = this.stamp?.();
    if (isPainted && stamp !== undefined && card.stamp === stamp) return;
    card.stamp = stamp;
    if (!isPainted) {
      canvas.width = width;
      canvas.height = chip.height;
    }
    card.button.classList.add("painted");
    const context = canvas.getContext("2d");
    this.columns.forEach(({ paint, isFixed }, place) => {
      if (!isPainted || !isFixed) context.putImageData(paint(picture), place * (chip.width + gap), 0);
    });
  }

  /** Arrow keys go from card to card. */
  move(event) {
    const buttons = [...this.grid.children];
    const place = buttons.indexOf(document.activeElement);
    if (place < 0) return;
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -place, End: buttons.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = Math.min(buttons.length - 1, Math.max(0, place + steps[event.key]));
    buttons[next].focus();
  }
};

/** Orders of chips; those without water have no F1 and come last, the most false alarms first. */
sarwater.sorts = (() => {
  const text = (one, two) => (one < two ? -1 : Number(one > two));
  const byScore = (sign) => (a, b) => {
    if (a.f1 === null || b.f1 === null) return (a.f1 === null) - (b.f1 === null) || b.wrong - a.wrong;
    return sign * (a.f1 - b.f1) || b.wrong - a.wrong;
  };
  const worst = byScore(1);
  return [
    { key: "worst", title: "F1, worst first", compare: worst },
    { key: "best", title: "F1, best first", compare: byScore(-1) },
    { key: "wet", title: "water share, most first", compare: (a, b) => b.share - a.share },
    { key: "dry", title: "water share, least first", compare: (a, b) => a.share - b.share },
    { key: "falses", title: "false water, most first", compare: (a, b) => b.falses - a.falses },
    { key: "domain", title: "domain, worst first", compare: (a, b, one, two) => text(one.domain, two.domain) || worst(a, b) },
    { key: "name", title: "name", compare: (a, b, one, two) => text(one.id, two.id) },
  ];
})();
