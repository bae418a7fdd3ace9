#!/usr/bin/env bash
# The whole path on this machine, from synthetic bodies to exported weights, with the commands a user types.
# `./run demo` builds first and then runs this. DEMO_DIR moves its folder, which each demo
# empties, DEMO_PORT its live page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="$PWD/build/bin:$PATH"
dir=${DEMO_DIR:-runs/demo}
port=${DEMO_PORT:-9400}
bodies=40 held_out=8 steps=${DEMO_STEPS:-60}
# The catalogue keeps the bodies' order: SAM trains on the first, the last are held out.
seen=$((bodies - held_out))
started=$SECONDS

step() { printf '\n\033[1m[%3d s] %s\033[0m\n' $((SECONDS - started)) "$*" >&2; }
show() { printf '  $ %s\n' "$*" >&2; "$@"; }

# Only a folder that an earlier demo made is emptied: DEMO_DIR may name anything.
marker=$dir/made-by-homolog-demo
if [ -f "$marker" ]; then
  find "$dir/" -mindepth 1 ! -name made-by-homolog-demo -delete
elif [ -e "$dir" ] && { [ ! -d "$dir" ] || [ -n "$(ls -A "$dir")" ]; }; then
  echo "demo: $dir was not made by a demo; nothing was removed" >&2
  echo "  fix: set DEMO_DIR to a folder that is new or empty, or remove this one yourself" >&2
  exit 2
fi
mkdir -p "$dir"
: >"$marker"

step "1/8  $bodies synthetic bodies, whose true homologous points are known"
show homolog phantom --out "$dir/phantoms" --count $bodies --seed 7

step "2/8  the catalogue: what is a CT here"
show homolog catalog "$dir/phantoms/images" --out "$dir/catalog.jsonl"

step "3/8  SAM learns landmarks, without a label, on the first $seen bodies"
show homolog sam train --catalog "$dir/catalog.jsonl" --first $seen --run "$dir/sam" \
  --config configs/sam_small.ini

step "4/8  how far off are its landmarks, on the $held_out bodies that it never saw"
show homolog evaluate landmarks --catalog "$dir/catalog.jsonl" --sam "$dir/sam/sam.safetensors" \
  --truth "$dir/phantoms/landmarks.json" --last $held_out --cut-z-mm 160 --out "$dir/landmarks.json"
query=$(printf 'phantom-%04d' $((bodies - 2))) key=$(printf 'phantom-%04d' $((bodies - 1)))
point=$(.venv/bin/python src/demo/a_landmark.py "$dir/phantoms/landmarks.json" $query $key)
show homolog sam show --sam "$dir/sam/sam.safetensors" --query "$dir/phantoms/images/$query.nii.gz" \
  --key "$dir/phantoms/images/$key.nii.gz" --point="$point" --mm --out "$dir/match.png"

step "5/8  matched points become a pair store"
show homolog shard --catalog "$dir/catalog.jsonl" --sam "$dir/sam/sam.safetensors" --out "$dir/store" \
  --config configs/shard_small.ini
show homolog store verify "$dir/store"

step "6/8  two workers pre-train; at half way they are told to stop, then resume from the checkpoint"
launch=(homolog launch --config configs/alice_small.ini --set "data.store=$dir/store" --run "$dir/alice"
        --workers 2 --set "schedule.steps=$steps" --set "monitor.port=$port")
code=0
show "${launch[@]}" --max-steps-this-run $((steps / 2)) || code=$?
[ "$code" = 75 ] || { echo "demo: the first half ended with exit code $code, not 75 (stopped, resumable)" >&2; exit 1; }
show "${launch[@]}" --resume auto

step "7/8  the encoder's weights, and the report"
show homolog export "$dir/alice" --out "$dir/encoder.safetensors" --layout reference
show homolog report "$dir/alice" --out "$dir/alice/report.html" > "$dir/report.txt"

step "8/8  summary"
.venv/bin/python src/demo/summary.py "$dir" "$port" $((SECONDS - started))
