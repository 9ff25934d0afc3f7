#!/bin/sh
# A job for every night: raise the alarm when a day's images hurt the classifier, and keep the images to look at.
#
#   nightly.sh DETECTOR IMAGES FOLDER
#
# DETECTOR is what `riptide fit` or `riptide import` made, IMAGES anything that `riptide detect` reads. FOLDER gets outcomes.jsonl, a line a batch, and after
# an alarm explain.json and most-harmful.png. Ends with 0 where no batch is harmful, 3 where one is, and another code where something failed.
set -eu
[ $# -eq 3 ] || { echo "usage: $0 DETECTOR IMAGES FOLDER" >&2; exit 2; }
detector=$1 images=$2 folder=$3
mkdir -p "$folder"

code=0
riptide detect --detector "$detector" --images "$images" --batch-size 500 --exit-code=harm --json > "$folder/outcomes.jsonl" || code=$?
if [ "$code" -eq 3 ]; then
    riptide explain --detector "$detector" --images "$images" --out "$folder/most-harmful.png" --json > "$folder/explain.json"
    # Here goes whatever wakes somebody up.
    echo "harmful drift in $images: see $folder" >&2
fi
exit "$code"
