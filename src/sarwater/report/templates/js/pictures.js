/* Pictures of chips: decoded when needed, painted at any threshold. */
"use strict";

sarwater.pictures = {
  /* Codes of a pixel: the true class or 63 for none, plus 64 with data, plus 128 where it counts. */
  UNLABELLED: 63,
  SCALE: ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"],
  KEPT: 160,
  kept: new Map(),
  sheets: new Map(),

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

  /** A picture to paint into and the stripes of pixels without data, one pair a size. */
  sheet({ width, height }) {
    const key = `${width} ${height}`;
    if (!sarwater.pictures.sheets.has(key)) {
      const image = new ImageData(width, height);
      const stripes = new Uint32Array(width * height);
      const unit = Math.max(2, Math.floor(Math.max(width, height) / 64));
      for (let i = 0; i < stripes.length; i += 1) {
        const place = (Math.floor(i / width) + (i % width)) % (4 * unit);
        stripes[i] = sarwater.pictures.noData[place < unit ? 1 : 0];
      }
      sarwater.pictures.sheets.set(key, { image, stripes, pixels: new Uint32Array(image.data.buffer) });
    }
    return sarwater.pictures.sheets.get(key);
  },

  gray: (value) => (255 << 24) | (value << 16) | (value << 8) | value,

  /* Painters return the sheet of the size: it is put onto a canvas before the next one paints. */

  /** The image: one band in gray, or all of them as color (VV, VH and their mean). */
  sar(picture, band = null) {
    const [red, green = red, blue = null] = band === null ? picture.bands : [picture.bands[band]];
    const { image, pixels, stripes } = sarwater.pictures.sheet(picture);
    const { codes } = picture;
    for (let i = 0; i < pixels.length; i += 1) {
      const third = blue ? blue[i] : (red[i] + green[i]) >> 1;
      pixels[i] = codes[i] & 64 ? (255 << 24) | (third << 16) | (green[i] << 8) | red[i] : stripes[i];
    }
    return image;
  },

  /** True classes; where nothing is labelled the stripes, or what is given. */
  truth(picture, classes, nothing = null) {
    const colors = new Uint32Array(64);
    classes.forEach((one, label) => (colors[label] = one.color === null ? 0 : sarwater.pictures.packed(one.color)));
    const { image, pixels, stripes } = sarwater.pictures.sheet(picture);
    const { codes } = picture;
    for (let i = 0; i < pixels.length; i += 1) {
      const label = codes[i] & 63;
      pixels[i] = label === sarwater.pictures.UNLABELLED ? (nothing ?? stripes[i]) : colors[label];
    }
    return image;
  },

  /** The water of a map whose classes stand in the codes; all else lets through what is below. */
  mask: (picture, [background, ...waters]) =>
    sarwater.pictures.truth(picture, [{ ...background, color: null }, ...waters], 0),

  /** Smallest stored step that is called water at threshold k / 1000. */
  level: (k) => Math.min(249, Math.max(1, Math.round(k / 4))),

  /** What an image is called. */
  view: (chips) => (chips.find((chip) => chip.values?.length)?.values[0].scale === "value" ? "image" : "SAR"),

  /** Color of all water together: with several kinds of it, none of theirs. */
  together: (classes) => (classes.length > 2 ? "otherWater" : "water"),

  prediction(picture, k, layer = 0, name = "water") {
    const level = sarwater.pictures.level(k);
    const { land, [name]: water } = sarwater.pictures;
    const { image, pixels, stripes } = sarwater.pictures.sheet(picture);
    const { codes } = picture;
    const values = picture.layers[layer];
    for (let i = 0; i < pixels.length; i += 1) {
      pixels[i] = codes[i] & 64 ? (values[i] >= level ? water : land) : stripes[i];
    }
    return image;
  },

  errors(picture, k, layer = 0, name = "water") {
    const values = picture.layers[layer];
    const level = sarwater.pictures.level(k);
    const isTrue = (i) => (picture.codes[i] & 63) > 0;
    return sarwater.pictures.agreement(picture, 128, isTrue, (i) => values[i] >= level, name);
  },

  /** Where two maps differ: water in both, in the second only, in the first only. */
  difference(picture, k, other) {
    const [one, two] = picture.layers;
    const [first, second] = [sarwater.pictures.level(k), sarwater.pictures.level(other)];
    return sarwater.pictures.agreement(picture, 64, (i) => one[i] >= first, (i) => two[i] >= second);
  },

  /** Colors of where two kinds of water agree, over the image in gray; flag: which pixels count. */
  agreement(picture, flag, isFirst, isSecond, name = "water") {
    const { [name]: water, falseWater, missedWater, drab } = sarwater.pictures;
    const { image, pixels, stripes } = sarwater.pictures.sheet(picture);
    const { codes } = picture;
    const gray = picture.bands[0];
    for (let i = 0; i < pixels.length; i += 1) {
      if (!(codes[i] & flag)) pixels[i] = stripes[i];
      else if (isFirst(i)) pixels[i] = isSecond(i) ? water : missedWater;
      else pixels[i] = isSecond(i) ? falseWater : drab[gray[i]];
    }
    return image;
  },

  probability(picture, steps, layer = 0) {
    const ramp = sarwater.pictures.ramp(steps);
    const values = picture.layers[layer];
    const { image, pixels, stripes } = sarwater.pictures.sheet(picture);
    const { codes } = picture;
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = codes[i] & 64 ? ramp[values[i]] : stripes[i];
    return image;
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
    const isMany = classes.length > 2;
    const entries = [
      [isMany ? "other-water" : "water", isMany ? `${names[0]} of any kind` : names[0]],
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
  otherWater: "other-water",
})) {
  const style = getComputedStyle(document.documentElement);
  sarwater.pictures[name] = sarwater.pictures.packed(style.getPropertyValue(`--${property}`).trim());
}
sarwater.pictures.noData = ["#ededed", "#d2d2d2"].map(sarwater.pictures.packed);
/* The image under errors: paler, so that the colors stand out. */
sarwater.pictures.drab = Uint32Array.from({ length: 256 }, (_, value) => sarwater.pictures.gray(Math.round(value * 0.55 + 115)));
