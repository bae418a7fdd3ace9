#!/usr/bin/env bash
# homolog doctor with real processes: alone, at 2 and 4 ranks; a slow rank, one of another version, one that stops and
# one that dies are named; a folder that is read-only or full, or not there, fails its rung with exit code 4; nothing
# stays behind and nothing hangs.
set -u
bin=${HOMOLOG_BIN:?} here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'umount "$work"/full "$work"/readonly 2>/dev/null; rm -rf "$work"' EXIT
failures=0
export DOCTOR_LOG=$work/log
mkdir "$work/runs" "$work/store" "$work/full" "$work/readonly"
cd "$work" || exit 1

fail() { echo "FAILED: $1"; sed 's/^/    /' "$work/log"; failures=$((failures + 1)); }
says() { grep -qE -- "$1" "$work/log" || fail "$2: no '$1' in the output"; }
doctor() { timeout 120 "$bin/homolog-doctor" --quick --runs "$work/runs" "$@" >"$work/log" 2>&1; }
ranks() { local n=$1; shift; timeout 120 mpirun --allow-run-as-root --oversubscribe --bind-to none -np "$n" "$@" >"$work/log" 2>&1; }
odd() { local n=$1; shift; ranks "$n" bash "$here/workers/odd_rank.sh" "$@"; }
expect() { [ "$1" = "$2" ] || fail "$3: exit code $1, expected $2"; }
clean() { [ -z "$(ls -A "$work/runs")$(ls -A "$work/store")" ] || fail "$1: something stayed behind"; }

doctor --store "$work/store"; expect $? 0 "alone"; clean "alone"
says "fit to train" "alone"; says "not measured +NCCL all-reduce +no GPU" "alone"; says "ok +disk of store" "alone"

# Ranks that share cores differ in speed by chance: that one rung may fail here, and no other.
for n in 2 4; do
  doctor --workers $n --json; code=$?
  python3 - "$work/log" $n $code <<'EOF' || fail "$n ranks"
import json, sys
text = open(sys.argv[1]).read()
report, n, code = json.loads(text[text.index("{"):text.rindex("}") + 1]), int(sys.argv[2]), int(sys.argv[3])
rungs = {rung["name"]: rung for rung in report["rungs"]}
assert report["world"] == n and len(report["hosts"]) == n, report
for name in ("hosts and ranks", "versions", "open files", "shared memory", "time skew", "MPI barrier", "host all-reduce", "GEMM",
             "clocks", "disk of runs", "disk of store", "NCCL all-reduce"):
    assert name in rungs, name
failed = [name for name, rung in rungs.items() if rung["verdict"] == "FAILED"]
assert failed in ([], ["GEMM"]) and code == (4 if failed else 0), (failed, code)
assert all(value > 0 for value in rungs["GEMM"]["figures"][0]["per_rank"]), rungs["GEMM"]
assert rungs["host all-reduce"]["figures"][-1]["name"] == "bus_bandwidth", rungs["host all-reduce"]
EOF
  clean "$n ranks"
done

odd 2 slow 1 "$bin/homolog-doctor" --quick --runs "$work/runs"; says "! rank 1 on host .* is slow: .*GFLOP/s" "slow rank"
odd 4 version 2 "$bin/homolog-doctor" --quick --runs "$work/runs"; expect $? 4 "another version"
says "FAILED +versions" "another version"; says "rank 2 on host .*: mpi Open MPI v9.9.9, others Open MPI v" "another version"

# Long rungs, so that the odd rank is in the middle of one.
begin=$SECONDS
odd 4 stopped 3 "$bin/homolog-doctor" --limit 4 --runs "$work/runs"; expect $? 4 "stopped rank"
says "rank 3 on host .* has not answered for" "stopped rank"
odd 4 killed 2 "$bin/homolog-doctor" --limit 4 --runs "$work/runs"; expect $? 137 "killed rank, by mpirun's own code"; says "rank 2 on host .* has ended" "killed rank"
"$bin/homolog-doctor" --workers 2 --limit 4 --runs "$work/runs" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 200); do grep -q "shared memory" "$work/log" && break; sleep 0.05; done
# A rank's first rungs are over: the younger of the two processes that mpirun started.
kill -KILL "$(pgrep -P "$(pgrep -P $pid)" -x homolog-doctor | tail -1)"; wait $pid; expect $? 4 "killed rank of --workers"
says "rank 1 on host .* has ended" "killed rank of --workers"
odd 2 stopped 0 "$bin/homolog-doctor" --limit 4 --runs "$work/runs"; says "rank 0 on host .* has not answered for" "rank 0 stopped"
[ $((SECONDS - begin)) -lt 120 ] || fail "odd ranks took $((SECONDS - begin)) s"
clean "odd ranks"

doctor --store "$work/nope"; expect $? 4 "no such store"; says "FAILED +disk of store" "no such store"; says "nope is no folder" "no such store"
doctor --qiuck; expect $? 2 "unknown option"; says "quick" "unknown option"
ranks 2 "$bin/homolog-doctor" --workers 3; expect $? 2 "--workers in a world of another size"

for signal in KILL TERM; do
  "$bin/homolog-doctor" --runs "$work/runs" >"$work/log" 2>&1 &
  pid=$!
  for _ in $(seq 1200); do grep -q clocks "$work/log" && break; sleep 0.05; done  # the next rung writes
  sleep 0.1; kill -$signal $pid; wait $pid 2>/dev/null; code=$?
  [ $signal = KILL ] || [ $code = 75 ] || [ $code = 0 ] || fail "SIGTERM: exit code $code"
  clean "SIG$signal"
done

if mount -t tmpfs -o size=1m tmpfs "$work/full" 2>/dev/null && mount -t tmpfs -o ro tmpfs "$work/readonly" 2>/dev/null; then
  doctor --runs "$work/full"; expect $? 4 "full folder"; says "FAILED +disk of runs" "full folder"; says "No space left" "full folder"
  doctor --store "$work/readonly"; expect $? 4 "read-only folder"; says "FAILED +disk of store" "read-only folder"; says "Read-only" "read-only folder"
else
  echo "not tried, because nothing can be mounted here: full and read-only folders"
fi

[ $failures = 0 ] && echo "all claims hold"
exit $((failures > 0))
