# Started by two_nodes_test.sh, with a temporary folder and a number of its own. Claims:
# 1. slurm/shard.sbatch on two nodes writes the bytes of one plain process, also when cancelled and submitted again.
# 2. The guide's line stages the store from both nodes at once, each shard once; a run reads it there.
# 3. slurm/pretrain.sbatch trains to the end; told USR1 it saves, SLURM requeues it, and it goes on without repeating or
#    losing a step: to the very losses of a run that was never stopped.
# 4. Workers that srun starts without PMIx find each other over TCP, and train to the same losses.
set -u
work=$1 id=$2 bin=${HOMOLOG_BIN:?} source=${HOMOLOG_SOURCE:?}
mount -t tmpfs shm /dev/shm || exit 1  # other tests' boards are none of ours
. "$source/tests/slurm/two_nodes.sh"
cd "$work" && mkdir -p build slurm && ln -s "$bin" build/bin && ln -s "$source/configs" configs || exit 1
cp "$source"/slurm/*.sbatch slurm/
start_slurm "$work/cluster" "$id" || exit 1
export PATH="$work/build/bin:$PATH"
failures=0 told=0 steps=12

fail() {  # fail CLAIM [LOG]
  echo "FAILED: $1"
  [ $# = 1 ] || tail -n 30 "$2" | sed 's/^/    /'
  failures=$((failures + 1))
}
ok() { [ $failures != $told ] || echo "ok  $1 ($SECONDS s)"; told=$failures; }
must() { "$@" >must.log 2>&1 || { fail "$*: exit code $?" must.log; exit 1; }; }
says() { grep -q -- "$1" "$2" || fail "$3: no '$1' in its log" "$2"; }

must homolog phantom --out bodies --count 12 --seed 3 --spacing 5
must homolog catalog bodies/images --out catalog.jsonl
must homolog sam train --catalog catalog.jsonl --run sam --config configs/sam_small.ini --set schedule.steps=2 \
  --set schedule.warmup_steps=1
shard=(--catalog catalog.jsonl --sam sam/sam.safetensors --landmarks-per-study 4 --studies-per-landmark 2 --crop 32,32,32
       --validation 0.2)
must homolog shard "${shard[@]}" --out alone
ok "prepared"

# 1. Sharding.
submit_shard() { sbatch --parsable --nodes=2 --cpus-per-task="$2" slurm/shard.sbatch "${shard[@]}" --out "$1"; }
same_as_alone() {  # same_as_alone STORE LOG CLAIM
  homolog store verify "$1" >verify.log 2>&1 || fail "$3: homolog store verify" verify.log
  diff -r alone "$1" >diff.log || { tail -n 9 diff.log; fail "$3: not the bytes of one process" "$2"; }
}
ends_well() {  # ends_well JOB LOG CLAIM
  until_job "$1" COMPLETED || { fail "$3: the job ended as $(job "$1" JobState), $(job "$1" ExitCode)" "$2"; return 1; }
}
whole=$(submit_shard store 8) && ends_well "$whole" "homolog-shard-$whole.log" "two nodes"
same_as_alone store "homolog-shard-$whole.log" "two nodes"
ok "two nodes wrote the store of one process"

# Half way: a group is done, and both nodes have one in work.
half_way() {
  over "$halved" || { compgen -G 'halved/building/group-*.json' && compgen -G 'halved/building/*.tmp-n1-*' &&
    compgen -G 'halved/building/*.tmp-n2-*'; } >/dev/null
}
halved=$(submit_shard halved 2) || exit 1
await "half a store" half_way
scancel "$halved"
until_job "$halved" CANCELLED || fail "cancelled: the job ended as $(job "$halved" JobState)" "homolog-shard-$halved.log"
[ -e halved/store.json ] && fail "cancelled: not half way" "homolog-shard-$halved.log"
again=$(submit_shard halved 4) && ends_well "$again" "homolog-shard-$again.log" "submitted again"
says "^shards_kept *[1-9]" "homolog-shard-$again.log" "submitted again"
same_as_alone halved "homolog-shard-$again.log" "submitted again"
ok "cancelled half way and submitted again: the same store"

# 2. Staging, by the line of docs/guide/cluster.md.
shards=$(ls store | grep -c '^shard-')
opened="s|^# srun|srun|; s|/data/store|$work/store|; s|/local/\$USER/staged|$work/staged|"
line=$(sed -n "/^srun .*homolog store stage/{$opened;p}" "$source/docs/guide/cluster.md")
staging=$(sbatch --parsable --nodes=2 --ntasks-per-node=1 --output=stage.log --wrap "$line") || exit 1
ends_well "$staging" stage.log "staging"
[ "$(grep -c "^staged $shards of $shards shards" stage.log)" = 2 ] || fail "staging: not all on both nodes" stage.log
copied=$(($(sed -n 's/^staged .* \([0-9]*\) copied.*/\1 +/p' stage.log) 0))
[ "$copied" = "$shards" ] || fail "staging: $copied copies of $shards shards" stage.log
for file in store/shard-*; do cmp "$file" staged/*/"${file#store/}" || fail "staging: $file"; done
ok "two nodes staged the store at once, each shard once"

# 3. Training. The first run has no other shards than the staged ones; the script's own line finds them there.
# The nodes share the network, so that one of the two monitors ends: its port is in use.
pretrain=(--nodes=2 --ntasks-per-node=1 --gpus-per-node=0 --cpus-per-task=1)
settings=(configs/alice_small.ini --set "data.store=$work/store" --set data.batch=1 --set schedule.steps=$steps
          --set schedule.validate_every=0 --set checkpoint.every_steps=1 --set "monitor.port=$(free_ports 1 "$id")")
losses() { grep -o '"step":[0-9]*\|"grad_norm":[^,]*\|"total":[^,]*\|"terms":[^}]*\|"lr":[^,]*' "$1/metrics.jsonl"; }
newest() { ls "$1/checkpoints" 2>/dev/null | sed -n 's/^step-0*\([0-9][0-9]*\)$/\1/p' | sort -n | tail -1; }
every_step_once() {  # every_step_once RUN LOG
  [ "$(grep -o '"step":[0-9]*' "$1/metrics.jsonl" | cut -d: -f2)" = "$(seq 0 $((steps - 1)))" ] ||
    fail "$1: not every step once" "$2"
}
both_nodes() {  # both_nodes RUN CODE LOG: the workers' ends, docs/guide/exit-codes.md
  for rank in 0 1; do
    grep -q "\"host\": \"n$((rank + 1))\"" "$1/exit/rank-$rank.json" && grep -q "\"code\": $2," "$1/exit/rank-$rank.json" ||
      { cat "$1/exit/"*; fail "$1: rank $rank did not end on n$((rank + 1)) with $2" "$3"; }
  done
}

sed "$opened" slurm/pretrain.sbatch >slurm/staged.sbatch
mkdir hidden && mv store/shard-* hidden/
straight=$(sbatch --parsable "${pretrain[@]}" slurm/staged.sbatch "${settings[@]}" --run straight \
  --set "data.staged=$work/staged") || exit 1
ends_well "$straight" "homolog-$straight.log" "staged run"
mv hidden/* store/
[ "$(grep -c " 0 copied, $shards kept" "homolog-$straight.log")" = 2 ] || fail "staged run: copied again" "homolog-$straight.log"
says "live page" "homolog-$straight.log" "staged run"
every_step_once straight "homolog-$straight.log"
both_nodes straight 0 "homolog-$straight.log"
ok "two nodes trained from the staged store"

# SLURM holds a requeued job back for two minutes; the test does not wait for that, but for the end of the second in which the
# job was taken back: credentials made within it are refused ("Job credential revoked").
requeued() { [ "$(job "$stopped" JobState),$(job "$stopped" Restarts)" = PENDING,1 ] || over "$stopped"; }
some_steps() { [ "$(newest stopped)" -ge 2 ] 2>/dev/null || over "$stopped"; }
stopped=$(sbatch --parsable "${pretrain[@]}" slurm/pretrain.sbatch "${settings[@]}" --run stopped) || exit 1
log=homolog-$stopped.log
await "two steps" some_steps
scancel --signal=USR1 --batch "$stopped"
await "requeued" requeued
await "the end of what was requeued" both_idle
both_nodes stopped 75 "$log"
at=$(newest stopped)
sleep 2
scontrol update jobid="$stopped" starttime=now
if ends_well "$stopped" "$log" "requeued"; then
  [ "$(job "$stopped" Restarts)" = 1 ] || fail "requeued $(job "$stopped" Restarts) times, not once" "$log"
  grep -q "\"resumed_from_step\": $at," stopped/manifest.json && [ "$at" -lt $steps ] ||
    fail "requeued: did not go on from step $at" "$log"
  every_step_once stopped "$log"
  both_nodes stopped 0 "$log"
  diff <(losses straight) <(losses stopped) >diff.log ||
    fail "requeued: other losses than those of a run that was never stopped" diff.log
fi
ok "told USR1 at step $at, requeued, gone on to the same losses"

# 4. Without PMIx. The nodes' names have no addresses here, so the workers meet through a file, the other time at a port.
train=(homolog train --config configs/alice_small.ini --set "data.store=$work/store" --set data.batch=1
       --set schedule.steps=$steps --set schedule.validate_every=0)
for bootstrap in file tcp; do
  met=(--set "cluster.bootstrap=$bootstrap")
  [ $bootstrap = file ] || met+=(--set "cluster.rendezvous=127.0.0.1:$(free_ports 1 "$id")")
  plain=$(sbatch --parsable --nodes=2 --ntasks-per-node=1 --output=plain.log \
    --wrap "export OMP_NUM_THREADS=1; srun --mpi=none --kill-on-bad-exit=1 ${train[*]} ${met[*]} --run plain-$bootstrap") || exit 1
  if ends_well "$plain" plain.log "without PMIx, $bootstrap"; then
    says '"\{0,1\}backend"\{0,1\}[=: ]*"\{0,1\}tcp' plain.log "without PMIx, $bootstrap"
    every_step_once "plain-$bootstrap" plain.log
    diff <(losses straight) <(losses "plain-$bootstrap") >diff.log || fail "without PMIx, $bootstrap: other losses" diff.log
  fi
done
[ -e plain-file.rendezvous ] && fail "without PMIx: the meeting file is still there"
ok "srun without PMIx trained to the same losses"

[ $failures = 0 ] && echo "all claims hold"
exit $((failures > 0))
