#!/usr/bin/env bash
# SAM is trained by two workers from its own configuration, through the launcher, as the guide says.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_NUM_THREADS=1 PATH="$HOMOLOG_BIN:$PATH"
homolog phantom --out bodies --count 2 --seed 3 --spacing 6 >/dev/null
homolog catalog bodies/images --out catalog.jsonl >/dev/null
homolog launch --worker-program "homolog-sam train --catalog catalog.jsonl" --workers 2 --run run \
  --config "$HOMOLOG_SOURCE/configs/sam_small.ini" --set schedule.steps=2 --set schedule.warmup_steps=1 \
  --set data.batch=1 --set data.threads=1 --set monitor.enabled=false 2>&1 | tee log
grep -q "workers=2" log || { echo "FAIL two workers did not train together"; exit 1; }
test -s run/sam.safetensors || { echo "FAIL no weights were written"; exit 1; }
echo "ok two workers trained SAM"
homolog export run --out shared.safetensors | tee export
grep -q "whole network of sam" export && grep -q "sam.safetensors" export ||
  { echo "FAIL the export of a SAM run does not say what it is"; exit 1; }
echo "ok the export of a SAM run says what it is"
