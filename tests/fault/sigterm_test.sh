#!/usr/bin/env bash
# SIGTERM to the launcher, or to one worker alone: every rank saves at the same step and ends with 75;
# the run then resumes from there. One request that arrives twice, as `timeout` sends it, is one request.
. "$(dirname "$0")/real_run.sh"

spawn --set checkpoint.every_steps=2; wait_for_step_beyond 0
kill -TERM "$pid"; wait "$pid"; expect $? 75 "SIGTERM to the launcher"
for rank in 0 1; do
  grep -q '"code": 75' "$work/run/exit/rank-$rank.json" || fail "rank $rank did not end with 75"
done
stopped_at=$(newest_step)

spawn; wait_for_step_beyond "$stopped_at"
kill -TERM "$(worker_pid 1)"; wait "$pid"; expect $? 75 "SIGTERM to one worker"
for rank in 0 1; do
  grep -q '"code": 75' "$work/run/exit/rank-$rank.json" || fail "SIGTERM to one worker: rank $rank did not end with 75"
done

launch --max-steps-this-run 1; expect $? 75 "resumed for one step"

# A request while mpirun still starts, which hands signals to nobody yet, is kept.
for delay in 0.2 0.4 0.6; do
  rm -rf "$work/run"
  spawn --set schedule.steps=12; sleep $delay; kill -TERM "$pid"; wait "$pid"; expect $? 75 "SIGTERM after $delay s"
done

# Without a launcher. `timeout` signals its child and then the group, so the worker gets SIGTERM twice.
worker=("$bin/homolog-train" --config "$HOMOLOG_SOURCE/configs/alice_small.ini" --set "data.store=$work/store"
        --set data.batch=1 --set schedule.steps=400 --set schedule.validate_every=0 --set checkpoint.every_s=0)
stopped_with_a_checkpoint() {
  wait "$pid"; expect $? 75 "$1"
  [ -n "$(newest_step)" ] || fail "$1: no checkpoint"
}
spawn_alone() {
  rm -rf "$work/run"
  "$@" "${worker[@]}" --run "$work/run" >"$work/log" 2>&1 & pid=$!
  until grep -qs '"step":1,' "$work/run/metrics.jsonl" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

spawn_alone timeout 600; kill -TERM "$pid"; stopped_with_a_checkpoint "timeout around one worker"
spawn_alone; kill -TERM "$pid"; sleep 0.02; kill -TERM "$pid"; stopped_with_a_checkpoint "SIGTERM twice within 20 ms"

# Where srun started tasks that cannot find each other, the worker says so and hangs nowhere.
SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=2 \
  "$bin/homolog-train" --run "$work/other" --set "data.store=$work/store" >"$work/log" 2>&1
expect $? 4 "srun without PMIx"; says "--mpi=pmix" "srun without PMIx"
finish
