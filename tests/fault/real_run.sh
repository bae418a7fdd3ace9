# Sourced by the tests that train for real: a small store, a small network, two workers.
# After it: $work (removed at the end), launch ARGS…, spawn ARGS… (sets $pid), expect, says, fail.
set -u
bin=${HOMOLOG_BIN:?}
[ -x "$bin/homolog-train" ] || { echo "SKIPPED: this build has no homolog-train"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
export OMP_NUM_THREADS=1

"$bin/make_store" "$work/store" 8 0 || exit 1
settings=(--config "${HOMOLOG_SOURCE:?}/configs/alice_small.ini" --workers 2 --run "$work/run" --set monitor.enabled=false
          --set "data.store=$work/store" --set data.batch=1 --set schedule.steps=400 --set schedule.validate_every=0
          --set checkpoint.every_steps=1 --set cluster.timeout_s=60)

launch() { "$bin/homolog-launch" "${settings[@]}" "$@" >"$work/log" 2>&1; }
spawn() { "$bin/homolog-launch" "${settings[@]}" "$@" >"$work/log" 2>&1 & pid=$!; }
fail() { echo "FAILED: $1"; tail -n 40 "$work/log" | sed 's/^/    /'; failures=$((failures + 1)); }
says() { grep -q -- "$1" "$work/log" || fail "$2: no '$1' in the output"; }
worker_pid() { sed -n 's/^ *"pid": \([0-9]*\),$/\1/p' "$work/run/exit/rank-$1.json"; }
newest_step() { ls "$work/run/checkpoints" 2>/dev/null | sed -n 's/^step-0*\([0-9][0-9]*\)$/\1/p' | sort -n | tail -1; }
# Until a checkpoint beyond step $1 is there; not a timed claim, only an end for a test that would hang.
wait_for_step_beyond() {
  local now
  for _ in $(seq 3000); do
    now=$(newest_step)
    [ "${now:-0}" -gt "$1" ] && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  fail "no checkpoint beyond step $1 appeared"
}
# P4: all gone within 30 s of $SECONDS at `since`.
nobody_left_within_30_s() {
  while pgrep -f "$work/run" >/dev/null; do
    [ $((SECONDS - since)) -gt 30 ] && { pgrep -fa "$work/run"; fail "$1: processes left after 30 s"; return; }
    sleep 0.1
  done
}
expect() { [ "$1" = "$2" ] || fail "$3: exit code $1, expected $2"; }
finish() { [ $failures = 0 ] && echo "all claims hold"; exit $((failures > 0)); }
