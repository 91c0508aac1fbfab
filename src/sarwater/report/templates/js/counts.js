/* Exact counts at the 999 thresholds, from the histograms that the page carries. */
"use strict";

sarwater.LEVELS = 999;

/** Read whole numbers written in groups of seven bits, the lowest first. */
sarwater.readNumbers = (bytes, count) => {
  const numbers = new Int32Array(count);
  let place = 0;
  for (let i = 0; i < count; i += 1) {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[place];
      place += 1;
      value += (byte & 127) * factor;
      if (byte < 128) break;
      factor *= 128;
    }
    numbers[i] = value;
  }
  return numbers;
};

/** Scores of counts as the program takes them; null where they are undefined. */
sarwater.scores = (tp, fp, fn) => {
  const ratio = (above, below) => (below > 0 ? above / below : null);
  const water = tp + fn;
  return {
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, water),
    f1: ratio(2 * tp, water && tp + fp + water),
    iou: ratio(tp, water && fp + water),
  };
};

/** Counts of chips: hits and false alarms of each chip at each threshold. */
sarwater.Counts = class {
  constructor(bytes, chips) {
    const histograms = sarwater.readNumbers(bytes, 2000 * chips);
    this.chips = chips;
    this.hits = new Int32Array(chips * 1000);
    this.falses = new Int32Array(chips * 1000);
    for (let chip = 0; chip < chips; chip += 1) {
      this.sumUp(histograms, 2000 * chip, this.hits, 1000 * chip);
      this.sumUp(histograms, 2000 * chip + 1000, this.falses, 1000 * chip);
    }
  }

  /** Sum from the right: place k holds the pixels that pass k thresholds or more. */
  sumUp(from, start, to, place) {
    let sum = 0;
    for (let bin = 999; bin >= 0; bin -= 1) {
      sum += from[start + bin];
      to[place + bin] = sum;
    }
  }

  /** Counts of one chip at threshold k / 1000. */
  of(chip, k) {
    const at = 1000 * chip;
    const [tp, fp] = [this.hits[at + k], this.falses[at + k]];
    return { tp, fp, fn: this.hits[at] - tp, tn: this.falses[at] - fp };
  }

  /** Counts of some chips together, all without a list. */
  pooled(k, chosen = null) {
    const sum = { tp: 0, fp: 0, fn: 0, tn: 0 };
    const length = chosen ? chosen.length : this.chips;
    for (let i = 0; i < length; i += 1) {
      const found = this.of(chosen ? chosen[i] : i, k);
      for (const key in sum) sum[key] += found[key];
    }
    return sum;
  }

  /** Scores of some chips together at all thresholds. */
  curve(chosen = null) {
    const listed = chosen ?? Array.from({ length: this.chips }, (_, i) => i);
    const [hits, falses] = [new Float64Array(1000), new Float64Array(1000)];
    for (const chip of listed) {
      for (let k = 0; k < 1000; k += 1) {
        hits[k] += this.hits[1000 * chip + k];
        falses[k] += this.falses[1000 * chip + k];
      }
    }
    const found = { threshold: [], precision: [], recall: [], f1: [], iou: [] };
    for (let k = 1; k <= sarwater.LEVELS; k += 1) {
      const scores = sarwater.scores(hits[k], falses[k], hits[0] - hits[k]);
      found.threshold.push(k / 1000);
      for (const key in scores) found[key].push(scores[key]);
    }
    return found;
  }
};
