/* What every page uses: elements, numbers, colors, the stored pictures, and which page is shown. */
"use strict";

const sarwater = {
  /** Builders by kind of result: (section element, data) -> undefined. */
  pages: {},

  /** Make an element: attributes, listeners (onclick) and children. */
  element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  },

  /** Set a number with so many digits, "-" where it is undefined. */
  digits(value, count = 3) {
    return value === null || value === undefined || Number.isNaN(value) ? "-" : value.toFixed(count);
  },

  /** Set a whole number with thousands apart. */
  whole(value) {
    return value === null || value === undefined ? "-" : Math.round(value).toLocaleString("en-US");
  },

  percent(value, count = 1) {
    return value === null || value === undefined ? "-" : `${(100 * value).toFixed(count)} %`;
  },

  /** Let a name stay text in a chart, whose labels may have tags. */
  plain(name) {
    return String(name).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  },

  /** Return the name that was made plain. */
  unescaped(text) {
    return String(text).replaceAll("&lt;", "<").replaceAll("&amp;", "&");
  },

  /** Return a color of the style sheet as it is in the present theme. */
  color(name) {
    if (!sarwater.probe) {
      sarwater.probe = sarwater.element("span", { hidden: true });
      document.body.append(sarwater.probe);
    }
    sarwater.probe.style.color = `var(--${name})`;
    return getComputedStyle(sarwater.probe).color;
  },

  waiting: new Set(),

  /** Call once for each frame however often it is asked for. */
  once(work) {
    const run = () => sarwater.waiting.delete(run) && work();
    return () => {
      if (sarwater.waiting.has(run)) return;
      sarwater.waiting.add(run);
      requestAnimationFrame(run);
    };
  },

  /** Call at once what waits for the next frame. */
  settle() {
    for (const run of [...sarwater.waiting]) run();
  },

  /** Return stored bytes by their number. */
  bytes(number) {
    const { text, starts } = sarwater.stored();
    const raw = atob(text.slice(starts[number], starts[number + 1]));
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
    return bytes;
  },

  /** Return the address of a stored picture, for an img element. */
  address(number, type = "image/png") {
    const { text, starts } = sarwater.stored();
    return `data:${type};base64,${text.slice(starts[number], starts[number + 1])}`;
  },

  stored() {
    if (!sarwater.store) {
      const starts = [0];
      for (const length of JSON.parse(document.getElementById("blob-lengths").textContent)) {
        starts.push(starts.at(-1) + length);
      }
      sarwater.store = { text: document.getElementById("blobs").textContent, starts };
    }
    return sarwater.store;
  },

  /** Show the result that the address names, the first one without a name. */
  show(move) {
    const sections = [...document.querySelectorAll("section.result")];
    const name = decodeURIComponent(location.hash.slice(1));
    // Other places on the page, such as its content, leave the result that is there.
    const present = name && sections.find((one) => one.dataset.built && !one.hidden);
    const shown = sections.find((one) => one.id === name) || present || sections[0];
    for (const one of sections) one.hidden = one !== shown;
    for (const link of document.querySelectorAll(".frame > nav a")) {
      if (link.hash === `#${shown.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    sarwater.build(shown);
    if (move && shown.id === name) {
      scrollTo(0, 0);
      shown.querySelector("h2").focus({ preventScroll: true });
    }
  },

  /** Build a section when it is first shown. */
  build(section) {
    if (section.dataset.built) return;
    section.dataset.built = "yes";
    const data = JSON.parse(section.querySelector("script.data").textContent);
    sarwater.pages[section.dataset.kind]?.(section, data);
  },

  /** Build, while nothing else is to be done, what was not shown yet: it may be printed. */
  buildRest() {
    const rest = document.querySelector("section.result:not([data-built])");
    if (!rest) return;
    const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 100));
    idle(() => {
      sarwater.build(rest);
      sarwater.buildRest();
    });
  },
};

addEventListener("hashchange", () => sarwater.show(true));
/* Paper is light and shows every result. */
addEventListener("beforeprint", () => {
  sarwater.theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  for (const section of document.querySelectorAll("section.result")) {
    section.hidden = false;
    sarwater.build(section);
  }
  sarwater.settle();
  sarwater.charts.drawAll();
});
addEventListener("afterprint", () => {
  if (sarwater.theme) document.documentElement.dataset.theme = sarwater.theme;
  else delete document.documentElement.dataset.theme;
  sarwater.charts.drawAll(false);
  sarwater.show(false);
});
