#!/usr/bin/env bash
# A run folder belongs to one run at a time; bad settings and folders end a launch before it makes or
# starts anything; no board outlives its run.
. "$(dirname "$0")/real_run.sh"
lone=("$bin/homolog-train" --config "$HOMOLOG_SOURCE/configs/alice_small.ini" --set "data.store=$work/store"
      --set data.batch=1 --set schedule.validate_every=0)
boards() { ls /dev/shm | grep -c "homolog-$1" || true; }
hash_of_board() { sed -n 's|.*/homolog-\([0-9a-f]*\)-0$|\1|p' "/proc/$(worker_pid 0)/maps" | head -1; }
tail_of() { sed 's/^/    /' "$work/other"; }

# Nobody else may work in the folder, whoever asks; the first run does not notice.
spawn --restarts 1; wait_for_step_beyond 0
board=$(hash_of_board)
before=$(stat -c %i "$work/run/config.ini" "$work/run/log-0.jsonl" "$work/run/metrics.jsonl")
for how in "--resume auto" "--resume none --overwrite"; do
  "$bin/homolog-launch" "${settings[@]}" $how >"$work/other" 2>&1
  [ $? = 2 ] && grep -q "another run works in $work/run: host $(hostname), pid $pid" "$work/other" || { tail_of; fail "a second launch $how"; }
  "${lone[@]}" --run "$work/run" $how >"$work/other" 2>&1
  [ $? = 2 ] && grep -q "another run works in $work/run: host $(hostname), pid $(worker_pid 0)" "$work/other" || { tail_of; fail "a lone train $how"; }
done
[ "$before" = "$(stat -c %i "$work/run/config.ini" "$work/run/log-0.jsonl" "$work/run/metrics.jsonl")" ] || fail "a refused run replaced a file of the first"
grep -q "another run" "$work/run/log-0.jsonl" && fail "a refused run wrote into the first one's log"

# The launcher's own restart takes the folder again.
reached=$(newest_step)
kill -KILL "$(worker_pid 0)"; wait_for_step_beyond "$((reached + 1))"
says "starting again from the last checkpoint" "restart"
kill -TERM "$pid"; wait "$pid"; expect $? 75 "restarted, then stopped"
[ "$(boards "$board")" = 0 ] || fail "boards are left after the end"

# A launcher that is gone leaves the folder free.
spawn; wait_for_step_beyond "$(newest_step)"
kill -KILL "$pid"; wait "$pid" 2>/dev/null; since=$SECONDS; nobody_left_within_30_s "launcher killed"
launch --max-steps-this-run 1; expect $? 75 "after a killed launcher"

# Found before anything is made or started.
rm -rf "$work/run"
for bad in "schedule.step=4" "data.batch=0" "objective.name=sam"; do
  launch --set monitor.enabled=true --set "$bad"; expect $? 2 "$bad"; says "fix:\|one of\|at least" "$bad"
  grep -q "live page" "$work/log" && fail "$bad: a monitor was started"
  [ -e "$work/run" ] && fail "$bad: a run folder was made"
done
says "homolog sam train" "objective.name=sam"
touch "$work/file"
for case in "$work/file 2" "/proc/no-run 4" "$work/file/below 4"; do
  set -- $case
  "${lone[@]}" --run "$1" >"$work/log" 2>&1; expect $? "$2" "--run $1"; says "$1" "--run $1"; says "fix:" "--run $1"
  grep -q "unexpected" "$work/log" && fail "--run $1: unexpected"
done

# Alone: the board goes with the run; a killed one's goes at the next launch.
rm -rf "$work/run"
"${lone[@]}" --run "$work/run" --max-steps-this-run 1 >"$work/log" 2>&1; expect $? 75 "a lone train"
[ "$(boards "$board")" = 0 ] || fail "a lone train left its board"
"${lone[@]}" --run "$work/run" >"$work/log" 2>&1 & pid=$!
wait_for_board() { until [ "$(boards "$board")" -gt 0 ] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.1; done; }
wait_for_board; kill -KILL "$pid"; wait "$pid" 2>/dev/null
[ "$(boards "$board")" = 1 ] || fail "a killed lone train: no board to remove"
"$bin/homolog-launch" "${settings[@]}" --run "$work/elsewhere" --max-steps-this-run 1 >"$work/log" 2>&1; expect $? 75 "a launch elsewhere"
[ "$(boards "$board")" = 0 ] || fail "a killed run's board outlived the next launch"
finish
