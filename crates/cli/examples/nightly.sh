#!/bin/sh
# A job for every night: raise the alarm when a day's images hurt the classifier, and keep the images to look at.
#
#   nightly.sh MONITOR IMAGES FOLDER
#
# MONITOR is what `riptide fit` or `riptide import` made, IMAGES anything that `riptide detect` reads. FOLDER gets outcomes.jsonl, one line per batch, and after
# an alarm explain.json and most-harmful.png. Ends with 0 if no batch is harmful, 3 if one is, and another code if something failed.
set -eu
[ $# -eq 3 ] || { echo "usage: $0 MONITOR IMAGES FOLDER" >&2; exit 2; }
monitor=$1 images=$2 folder=$3
mkdir -p "$folder"

code=0
riptide detect --monitor "$monitor" --images "$images" --batch-size 500 --exit-code=harm --json > "$folder/outcomes.jsonl" || code=$?
if [ "$code" -eq 3 ]; then
    riptide explain --monitor "$monitor" --images "$images" --out "$folder/most-harmful.png" --json > "$folder/explain.json"
    # Here goes whatever wakes somebody up.
    echo "harmful drift in $images: see $folder" >&2
fi
exit "$code"
