/* Pictures of chips: decoded when needed, painted at any threshold. */
"use strict";

sarwater.pictures = {
  UNLABELLED: 63,
  VALID: 64,
  COUNTED: 128,
  SCALE: ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"],
  KEPT: 160,
  kept: new Map(),

  /** "#rrggbb" as a number that is written into a canvas at once. */
  packed(color) {
    const value = parseInt(color.slice(1), 16);
    return (255 << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16);
  },

  async pixels(number) {
    const blob = new Blob([sarwater.bytes(number)], { type: "image/webp" });
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(blob, options);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  },

  /** Decode a chip: gray bands, probability steps of each model, and pixel codes. */
  decode(chip) {
    const key = `${chip.image} ${chip.maps}`;
    const found = sarwater.pictures.kept.get(key);
    if (found) {
      sarwater.pictures.kept.delete(key); // the last used one is the last to go
      sarwater.pictures.kept.set(key, found);
      return found;
    }
    const work = sarwater.pictures.unpack(chip);
    sarwater.pictures.kept.set(key, work);
    if (sarwater.pictures.kept.size > sarwater.pictures.KEPT) {
      sarwater.pictures.kept.delete(sarwater.pictures.kept.keys().next().value);
    }
    return work;
  },

  async unpack(chip) {
    const size = chip.width * chip.height;
    const [image, ...maps] = await Promise.all(
      [chip.image, ...[chip.maps].flat()].map((number) => sarwater.pictures.pixels(number)),
    );
    const channel = (pixels, place, start = 0) => {
      const values = new Uint8Array(size);
      for (let i = 0; i < size; i += 1) values[i] = pixels[4 * (start + i) + place];
      return values;
    };
    return {
      width: chip.width,
      height: chip.height,
      bands: chip.bands.map((_, band) => channel(image, 0, band * size)),
      layers: maps.length > 1 ? maps.map((one) => channel(one, 0)) : [channel(maps[0], 0), channel(maps[0], 1)],
      codes: channel(maps[0], 2),
    };
  },

  /** Stripes of pixels without data, as light as the page's own pictures have them. */
  stripe(i, width, unit) {
    const place = (Math.floor(i / width) + (i % width)) % (4 * unit);
    return sarwater.pictures.noData[place < unit ? 1 : 0];
  },

  paint(picture, write) {
    const { width, height, codes } = picture;
    const out = new ImageData(width, height);
    const pixels = new Uint32Array(out.data.buffer);
    const unit = Math.max(2, Math.floor(Math.max(width, height) / 64));
    for (let i = 0; i < pixels.length; i += 1) {
      pixels[i] = write(i, codes[i]) ?? sarwater.pictures.stripe(i, width, unit);
    }
    return out;
  },

  /** The image: one band in gray, or all of them as color (VV, VH and their mean). */
  sar(picture, band = null) {
    const [red, green = red, blue = null] = band === null ? picture.bands : [picture.bands[band]];
    return sarwater.pictures.paint(picture, (i, code) => {
      if (!(code & sarwater.pictures.VALID)) return null;
      const third = blue ? blue[i] : (red[i] + green[i]) >> 1;
      return (255 << 24) | (third << 16) | (green[i] << 8) | red[i];
    });
  },

  truth(picture, classes) {
    const colors = classes.map((one) => sarwater.pictures.packed(one.color));
    return sarwater.pictures.paint(picture, (_, code) => {
      const label = code & sarwater.pictures.UNLABELLED;
      return label === sarwater.pictures.UNLABELLED ? null : colors[label];
    });
  },

  /** The water of a map whose classes stand in the codes; all else lets through what is below. */
  mask(picture, classes) {
    const colors = classes.map((one) => sarwater.pictures.packed(one.color));
    colors[0] = 0;
    return sarwater.pictures.paint(picture, (_, code) => {
      const label = code & sarwater.pictures.UNLABELLED;
      return label === sarwater.pictures.UNLABELLED ? 0 : colors[label];
    });
  },

  /** Smallest stored step that is called water at threshold k / 1000. */
  level: (k) => Math.min(249, Math.max(1, Math.round(k / 4))),

  prediction(picture, k, layer = 0) {
    const level = sarwater.pictures.level(k);
    const { land, water } = sarwater.pictures;
    return sarwater.pictures.paint(picture, (i, code) => {
      if (!(code & sarwater.pictures.VALID)) return null;
      return picture.layers[layer][i] >= level ? water : land;
    });
  },

  errors(picture, k, layer = 0) {
    const level = sarwater.pictures.level(k);
    const { water, falseWater, missedWater, UNLABELLED, COUNTED } = sarwater.pictures;
    const gray = picture.bands[0];
    return sarwater.pictures.paint(picture, (i, code) => {
      if (!(code & COUNTED)) return null;
      const isWater = (code & UNLABELLED) > 0;
      const called = picture.layers[layer][i] >= level;
      if (isWater) return called ? water : missedWater;
      if (called) return falseWater;
      const light = Math.round(gray[i] * 0.55 + 115);
      return (255 << 24) | (light << 16) | (light << 8) | light;
    });
  },

  /** Where two maps differ: water in both, in the second only, in the first only. */
  difference(picture, k, other) {
    const [one, two] = [sarwater.pictures.level(k), sarwater.pictures.level(other)];
    const { water, falseWater, missedWater, VALID } = sarwater.pictures;
    const gray = picture.bands[0];
    return sarwater.pictures.paint(picture, (i, code) => {
      if (!(code & VALID)) return null;
      const [before, after] = [picture.layers[0][i] >= one, picture.layers[1][i] >= two];
      if (before && after) return water;
      if (after) return falseWater;
      if (before) return missedWater;
      const light = Math.round(gray[i] * 0.55 + 115);
      return (255 << 24) | (light << 16) | (light << 8) | light;
    });
  },

  probability(picture, steps, layer = 0) {
    const ramp = sarwater.pictures.ramp(steps);
    return sarwater.pictures.paint(picture, (i, code) =>
      code & sarwater.pictures.VALID ? ramp[picture.layers[layer][i]] : null,
    );
  },

  /** Colors of the probability from 0 to 1, of even lightness steps (cividis). */
  ramp(steps) {
    const ends = sarwater.pictures.SCALE.map((color) => parseInt(color.slice(1), 16));
    return Uint32Array.from({ length: steps }, (_, step) => {
      const place = (step / (steps - 1)) * (ends.length - 1);
      const [low, part] = [Math.min(Math.floor(place), ends.length - 2), place - Math.min(Math.floor(place), ends.length - 2)];
      const mix = (shift) => {
        const [one, two] = [(ends[low] >> shift) & 255, (ends[low + 1] >> shift) & 255];
        return Math.round(one + part * (two - one));
      };
      return (255 << 24) | (mix(0) << 16) | (mix(8) << 8) | mix(16);
    });
  },

  classLegend(classes) {
    const items = classes.map((one) =>
      sarwater.element("li", {}, sarwater.element("span", { class: "swatch", style: `--swatch: ${one.color}` }), one.name),
    );
    return sarwater.element("ul", { class: "legend", "aria-label": "Colors" }, ...items);
  },

  /** What the colors mean; names are of water in both, in the map only, in the truth only. */
  legend(classes, names = ["found water", "false water", "missed water"]) {
    const entries = [
      ["water", names[0]],
      ["false-water", names[1]],
      ["missed-water", names[2]],
    ].map(([property, name]) => [name, `var(--${property})`]);
    entries.push(...classes.map((one) => [`true ${one.name}`, one.color]));
    const items = entries.map(([name, color]) =>
      sarwater.element("li", {}, sarwater.element("span", { class: "swatch", style: `--swatch: ${color}` }), name),
    );
    items.push(sarwater.element("li", {}, sarwater.element("span", { class: "swatch striped" }), classes.length ? "not counted" : "no data"));
    return sarwater.element("ul", { class: "legend", "aria-label": "Colors" }, ...items);
  },
};

/* The palette is the program's; the page carries it as properties of its root. */
for (const [name, property] of Object.entries({
  land: "land",
  water: "water",
  falseWater: "false-water",
  missedWater: "missed-water",
})) {
  const style = getComputedStyle(document.documentElement);
  sarwater.pictures[name] = sarwater.pictures.packed(style.getPropertyValue(`--${property}`).trim());
}
sarwater.pictures.noData = ["#ededed", "#d2d2d2"].map(sarwater.pictures.packed);
