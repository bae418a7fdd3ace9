#!/usr/bin/env bash
# slurm/pretrain.sbatch with stand-ins for srun and scontrol: the signal before the time limit leads to
# a checkpoint, exit code 75 and one requeue; other ends are not requeued. The sbatch lines that the texts
# give are accepted as they stand, with as many tasks as GPUs a node.
set -u
bin=${HOMOLOG_BIN:?} source=${HOMOLOG_SOURCE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir -p "$work/build" "$work/tools"
ln -s "$bin" "$work/build/bin"

cat >"$work/tools/srun" <<'S'
#!/usr/bin/env bash
# Starts as many tasks as srun would, on this machine, and notes how it was called.
echo "srun $*" >>"$CALLS"
tasks=1
while [[ ${1:-} == --* ]]; do
  [[ $1 == --ntasks=* ]] && tasks=${1#*=}
  shift
done
root=()
[ "$(id -u)" = 0 ] && root=(--allow-run-as-root)
exec env -u SLURM_JOB_ID -u SLURM_JOB_NODELIST -u SLURM_TASKS_PER_NODE -u SLURM_NTASKS \
  mpirun --quiet "${root[@]}" --oversubscribe --bind-to none -np "$tasks" "$@"
S
printf '#!/usr/bin/env bash\necho "scontrol $*" >>"$CALLS"\n' >"$work/tools/scontrol"
chmod +x "$work/tools/"*
echo "[data]" >"$work/x.ini"

export CALLS=$work/calls PATH="$work/tools:$PATH"
export SLURM_JOB_ID=77 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='1(x2)' SLURM_NTASKS=2 SLURM_CPUS_PER_TASK=1
export SLURM_SUBMIT_DIR=$work FAKE_SECONDS=30

fail() { echo "FAILED: $1"; cat "$work/log" "$CALLS" | sed 's/^/    /'; failures=$((failures + 1)); }
submit() {
  rm -rf "$work/run" && : >"$CALLS"
  bash "$source/slurm/pretrain.sbatch" "$work/x.ini" --run "$work/run" --set monitor.enabled=false \
    --worker-program "$source/tests/fault/workers/fake_worker.py" >"$work/log" 2>&1 &
  pid=$!
}

submit
for _ in $(seq 200); do [ -e "$work/run/started-0" ] && [ -e "$work/run/started-1" ] && break; sleep 0.05; done
kill -USR1 $pid; wait $pid; code=$?
[ $code = 75 ] || fail "USR1: exit code $code, expected 75"
[ -e "$work/run/saved-0" ] && [ -e "$work/run/saved-1" ] || fail "USR1: a rank did not save"
[ "$(grep -c 'scontrol requeue 77' "$CALLS")" = 1 ] || fail "USR1: not requeued once"
grep -q -- '--mpi=pmix --ntasks=2 --kill-on-bad-exit=1' "$CALLS" || fail "srun was called in another way"

FAKE_SECONDS=0.3 submit; wait $pid; code=$?
[ $code = 0 ] || fail "done: exit code $code"
grep -q scontrol "$CALLS" && fail "done: requeued"

FAKE_FAIL=1:exit:5 submit; wait $pid; code=$?
[ $code = 5 ] || fail "diverged: exit code $code"
grep -q scontrol "$CALLS" && fail "diverged: requeued"

# value NAME WORD… is what --NAME says: the last one wins, as on the command line of sbatch.
value() { local name=$1; shift; printf '%s\n' "$@" | sed -n "s/.*--$name=\([0-9]*\).*/\1/p" | tail -1; }
defaults=$(grep '^#SBATCH' "$source/slurm/pretrain.sbatch")
for text in README.md slurm/README.md slurm/pretrain.sbatch; do
  line=$(sed -n 's/^\(# *\)\{0,1\}sbatch \(.*slurm\/pretrain.sbatch .*\)/\2/p' "$source/$text")
  [ "$(grep -c . <<<"$line")" = 1 ] || { fail "$text: not one sbatch line"; continue; }
  words=${line#*slurm/pretrain.sbatch }
  (cd "$source" && exec bash slurm/pretrain.sbatch $words --dry-run) >"$work/log" 2>&1 || fail "$text: refused: $words"
  grep -q -- '--run runs/alice' "$work/log" || fail "$text: runs/alice is not the run"
  [ "$(value ntasks-per-node "$defaults" "$line")" = "$(value gpus-per-node "$defaults" "$line")" ] ||
    fail "$text: tasks and GPUs a node differ: $line"
done

[ "$(wc -l <"$source/slurm/pretrain.sbatch")" -le 40 ] || fail "the batch script is longer than 40 lines"
[ $failures = 0 ] && echo "all claims hold"
exit $((failures > 0))
