#!/bin/sh
# The figures of docs/results.md, from the downloaded data sets to the maps.
# command:  SARWATER_DATA=/data sh experiments/north_alabama.sh [OUT]
# needs:    $SARWATER_DATA/etci2021/EVENT/tiles and $SARWATER_DATA/sen1floods11/v1.1
# hardware: one CPU core, 6 GB of memory; about an hour and a quarter; finished runs are kept
set -eu
: "${SARWATER_DATA:?name the folder that holds etci2021 and sen1floods11}"
out=${1:-runs/north_alabama}
here=$(dirname "$0")
results=$here/../docs/results
etci=$SARWATER_DATA/etci2021
mkdir -p "$out" "$results"

train() { # name, config, further settings
  name=$1 config=$2
  shift 2
  [ -f "$out/$name/train.json" ] ||
    sarwater train "$out/alabama.csv" --config "$here/$config" --out "$out/$name" --overwrite "$@"
}

evaluate() { # run, name of the result, manifest, further options
  run=$1 name=$2 manifest=$3
  shift 3
  sarwater evaluate "$out/$run/model.safetensors" "$out/$manifest" --out "$out/$name" --overwrite \
    --json "$@" >"$results/$name.json"
}

index() { sarwater index "$1" --layout "$2" --out "$out/$3" --overwrite; }

index "$etci/northal_20190302t234651" etci2021 alabama_all.csv
index "$etci/nebraska_20170213t002121" etci2021 nebraska.csv
index "$etci/bangladesh_20170314t115609" etci2021 bangladesh.csv
index "$SARWATER_DATA/sen1floods11" sen1floods11 sen1floods11.csv
sarwater split "$out/alabama_all.csv" --by row --val 6,11 --test 13- --out "$out/alabama.csv" --overwrite

python "$here/baseline.py" "$out/alabama.csv" --json "$results/baseline.json"

# One model, in its own region and in others.
train main north_alabama.yaml
evaluate main alabama alabama.csv --split test
evaluate main nebraska nebraska.csv --split '' --normalization domain
python "$here/events.py" "$out/nebraska.csv" "$out/nebraska_without_boxes.csv"
evaluate main nebraska_without_boxes nebraska_without_boxes.csv --split '' --normalization domain
evaluate main bangladesh bangladesh.csv --split '' --normalization domain
evaluate main sen1floods11 sen1floods11.csv --split test --normalization domain --accept-units

# The same without the branch at full resolution.
train no_detail north_alabama.yaml --model.detail_channels 0
evaluate no_detail alabama_no_detail alabama.csv --split test
sarwater compare "$out/alabama" "$out/alabama_no_detail" --names 'with,without' \
  --out "$out/detail" --overwrite --json >"$results/detail.json"

# Class weights none, [1, 3] and [1, 8].
train weights_none class_weights.yaml
train weights_1_3 class_weights.yaml --loss.terms '[{name: cross_entropy, class_weights: [1, 3]}]'
train weights_1_8 class_weights.yaml --loss.terms '[{name: cross_entropy, class_weights: [1, 8]}]'
for run in weights_none weights_1_3 weights_1_8; do
  evaluate "$run" "alabama_$run" alabama.csv --split test
done
sarwater compare "$out/alabama_weights_none" "$out/alabama_weights_1_3" "$out/alabama_weights_1_8" \
  --names 'none,[1,3],[1,8]' --out "$out/weights" --overwrite --json >"$results/weights.json"

# A whole scene, put together from its tiles.
sarwater mosaic "$out/bangladesh.csv" --rows 0-35 --cols 0-43 --out "$out/bangladesh_scene.tif" --overwrite
sarwater map "$out/bangladesh_scene.tif" --model "$out/main/model.safetensors" --normalization domain \
  --out "$out/map" --overwrite --json >"$results/map.json"
