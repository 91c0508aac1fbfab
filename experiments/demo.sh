#!/bin/sh
# The main job on simulated data, from nothing to a page: `make demo`, or `sh experiments/demo.sh DIR`.
# Two CPU cores, under five minutes.
set -eu
out=${1:-demo}
here=$(dirname "$0")
if [ -e "$out" ] && [ ! -f "$out/data/.sarwater" ]; then
  echo "$out is there already and is no demo: name another folder" >&2
  exit 1
fi
rm -rf "$out"

say() { printf '\n== %s\n' "$1"; }

say "simulate two regions"
sarwater simulate --out "$out/data"

say "inspect them"
sarwater inspect "$out/data/data.csv" --out "$out/inspection"

say "train on the first"
sarwater train "$out/data/data.csv" --config "$here/demo.yaml" --out "$out/run"

say "evaluate on its test chips"
sarwater evaluate "$out/run/model.safetensors" "$out/data/data.csv" \
  --split test --domains north --out "$out/evaluation"

say "evaluate on the second region, which it never saw"
sarwater evaluate "$out/run/model.safetensors" "$out/data/data.csv" \
  --split test --domains south --out "$out/evaluation_south"

say "map a scene that it never saw"
sarwater map "$out/data/north/unseen_VV_VH.tif" --model "$out/run/model.safetensors" --out "$out/map"

say "a page to open"
sarwater report "$out/inspection" "$out/run" "$out/evaluation" "$out/evaluation_south" "$out/map" \
  --out "$out/report.html"
