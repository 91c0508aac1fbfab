/* The page of a mapped scene: layers over one another, zoomed and moved together. */
"use strict";

sarwater.pages.map = (root, data) => {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (!data.picture) return;
  const view = sarwater.mapView(part, data.picture);
  sarwater.mapLayers(part, data, view);
  if (data.polygons) sarwater.mapPolygons(part, data, view);
};

/** Zoom and move: state is the scale and where the picture's corner lies in the viewport. */
sarwater.mapView = (part, { width, height }) => {
  const [viewport, world] = [part("viewport"), part("world")];
  const state = { scale: 1, x: 0, y: 0 };
  const fitted = () => Math.min(viewport.clientWidth / width, viewport.clientHeight / height);
  const apply = sarwater.once(() => {
    world.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.scale})`;
    world.classList.toggle("near", state.scale > 2.5);
    part("place").textContent = `${Math.round(100 * state.scale)} % of the picture's size`;
  });
  const keep = () => {
    const hold = (value, length, room) => Math.min(room - 40, Math.max(40 - length * state.scale, value));
    state.x = hold(state.x, width, viewport.clientWidth);
    state.y = hold(state.y, height, viewport.clientHeight);
    apply();
  };
  const fit = () => {
    state.scale = fitted();
    state.x = (viewport.clientWidth - width * state.scale) / 2;
    state.y = (viewport.clientHeight - height * state.scale) / 2;
    apply();
  };
  const zoom = (factor, x = viewport.clientWidth / 2, y = viewport.clientHeight / 2) => {
    const scale = Math.min(24, Math.max(fitted() / 2, state.scale * factor));
    state.x = x - ((x - state.x) * scale) / state.scale;
    state.y = y - ((y - state.y) * scale) / state.scale;
    state.scale = scale;
    keep();
  };
  /** Show a box of the picture, with room around it. */
  const show = ([left, top, right, bottom]) => {
    const room = 1.6 * Math.max(right - left, bottom - top, 12);
    state.scale = Math.min(24, Math.min(viewport.clientWidth, viewport.clientHeight) / room);
    state.x = viewport.clientWidth / 2 - ((left + right) / 2) * state.scale;
    state.y = viewport.clientHeight / 2 - ((top + bottom) / 2) * state.scale;
    apply();
  };
  const move = (x, y) => {
    state.x += x;
    state.y += y;
    keep();
  };
  viewport.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { left, top } = viewport.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
    },
    { passive: false },
  );
  viewport.addEventListener("pointerdown", (event) => viewport.setPointerCapture(event.pointerId));
  viewport.addEventListener("pointermove", (event) => {
    if (viewport.hasPointerCapture(event.pointerId)) move(event.movementX, event.movementY);
  });
  viewport.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => move(60, 0),
      ArrowRight: () => move(-60, 0),
      ArrowUp: () => move(0, 60),
      ArrowDown: () => move(0, -60),
      "+": () => zoom(1.4),
      "=": () => zoom(1.4),
      "-": () => zoom(1 / 1.4),
      0: fit,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  part("closer").addEventListener("click", () => zoom(1.5));
  part("farther").addEventListener("click", () => zoom(1 / 1.5));
  part("fit").addEventListener("click", fit);
  const adjust = () => {
    if (!viewport.clientWidth) return; // it is not shown
    if (state.isFitted) keep();
    else fit();
    state.isFitted = true;
  };
  new ResizeObserver(adjust).observe(viewport);
  addEventListener("beforeprint", () => {
    adjust();
    sarwater.settle();
  });
  return { state, fit, zoom, show };
};

sarwater.mapLayers = async (part, data, view) => {
  const make = sarwater.element;
  const { pictures } = sarwater;
  const { picture } = data;
  const names = [...picture.bands, ...(picture.bands.length > 1 ? ["as color"] : [])];
  part("base").append(...names.map((name, band) => make("option", { value: band }, name)));
  part("base").value = names.length - 1;
  const decoded = await pictures.decode(picture);
  const size = { width: picture.width, height: picture.height };
  const canvases = ["base", "probability", "mask"].map((name) => make("canvas", { ...size, "data-layer": name }));
  part("world").prepend(...canvases);
  const put = (canvas, image) => canvas.getContext("2d").putImageData(image, 0, 0);
  const base = () => {
    const band = Number(part("base").value);
    put(canvases[0], pictures.sar(decoded, band < picture.bands.length ? band : null));
  };
  base();
  put(canvases[1], pictures.probability(decoded, data.steps));
  put(canvases[2], pictures.mask(decoded, data.classes));
  const fade = () => {
    canvases[1].style.opacity = part("probability").value / 100;
    canvases[2].style.opacity = part("mask").value / 100;
  };
  fade();
  part("base").addEventListener("change", base);
  for (const name of ["probability", "mask"]) part(name).addEventListener("input", fade);
  part("legend").append(pictures.classLegend(data.classes.slice(1)));
};

sarwater.mapPolygons = (part, data, view) => {
  const { count, shown } = data.polygons;
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("width", data.picture.width);
  picture.setAttribute("height", data.picture.height);
  const paths = shown.map(({ path }) => {
    const made = document.createElementNS(space, "path");
    made.setAttribute("d", path);
    return made;
  });
  picture.append(...paths);
  part("world").append(picture);
  part("outlines").addEventListener("change", (event) => picture.toggleAttribute("hidden", !event.target.checked));
  part("polygonnote").textContent =
    `${sarwater.whole(count)} polygons${count > shown.length ? `, the largest ${sarwater.whole(shown.length)} here` : ""}; a button shows one on the map`;
  const choose = (number) => {
    paths.forEach((path, i) => path.classList.toggle("chosen", i === number));
    view.show(shown[number].box);
    part("viewport").scrollIntoView({ block: "nearest" });
  };
  const rows = shown.map((one, number) => ({ ...one, number }));
  sarwater.sortableTable(part("bodies"), [
    { title: "number", of: (row) => row.number, text: (number) => sarwater.element("button", { type: "button", onclick: () => choose(number) }, `show ${number + 1}`) },
    { title: "class", of: (row) => row.class },
    { title: "pixels", of: (row) => row.pixels, text: sarwater.whole },
    { title: "km²", of: (row) => row.area_m2, text: (value) => (value / 1e6).toFixed(4) },
  ], rows, 100);
};
