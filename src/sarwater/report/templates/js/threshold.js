/* The threshold of a page: slider, number and jumps, which move together. */
"use strict";

/**
 * @param root part of the page with the controls
 * @param points thresholds to jump to: {title, threshold}
 * @returns {k, set(k), listen(f)}: f(k, isSettled) is called once a frame while it moves, and when
 *   it came to rest
 */
sarwater.threshold = (root, points) => {
  const slider = root.querySelector('[data-part="slider"]');
  const number = root.querySelector('[data-part="number"]');
  const jumps = root.querySelector('[data-part="jumps"]');
  const listeners = [];
  const state = { k: Math.round(points[0].threshold * 1000) };
  let isSettled = true;
  const tell = sarwater.once(() => {
    for (const listener of listeners) listener(state.k, isSettled);
  });
  const show = () => {
    slider.value = state.k;
    slider.setAttribute("aria-valuetext", (state.k / 1000).toFixed(3));
    if (document.activeElement !== number) number.value = (state.k / 1000).toFixed(3);
    for (const button of jumps.children) {
      button.setAttribute("aria-pressed", Number(button.dataset.k) === state.k);
    }
  };
  state.set = (k, settled = true) => {
    state.k = Math.min(sarwater.LEVELS, Math.max(1, Math.round(k)));
    isSettled = settled;
    show();
    tell();
  };
  state.listen = (listener) => listeners.push(listener);
  for (const point of points) {
    const k = Math.round(point.threshold * 1000);
    jumps.append(
      sarwater.element(
        "button",
        { type: "button", "data-k": k, onclick: () => state.set(k) },
        point.title,
      ),
    );
  }
  slider.addEventListener("input", () => state.set(Number(slider.value), false));
  slider.addEventListener("change", () => state.set(Number(slider.value)));
  number.addEventListener("input", () => {
    const value = Number(number.value);
    if (value > 0 && value < 1) state.set(value * 1000);
  });
  number.addEventListener("blur", show);
  show();
  return state;
};
