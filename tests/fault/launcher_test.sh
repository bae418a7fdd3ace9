#!/usr/bin/env bash
# The launcher's promises with a worker of ours (no Torch): exit codes, names, no orphans, restarts.
set -u
bin=${HOMOLOG_BIN:?} here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
export FAKE_SECONDS=30

fail() { echo "FAILED: $1"; sed 's/^/    /' "$work/log"; failures=$((failures + 1)); }
launch() { "$bin/homolog-launch" --run "$work/run" --worker-program "$here/workers/fake_worker.py" --workers 2 "$@" >"$work/log" 2>&1; }
# In the background, with the launcher itself (not a subshell) as $pid.
spawn() {
  "$bin/homolog-launch" --run "$work/run" --worker-program "$here/workers/fake_worker.py" --workers 2 "$@" >"$work/log" 2>&1 &
  pid=$!
}
begin() { rm -rf "$work/run"; }
wait_started() { for _ in $(seq 200); do [ -e "$work/run/started-0" ] && [ -e "$work/run/started-1" ] && return; sleep 0.05; done; }
field() { sed -n "s/^ *\"$2\": \(.*[^,]\),\{0,1\}$/\1/p" "$work/run/exit/rank-$1.json"; }
nobody_left() { for _ in $(seq 100); do pgrep -f "$work/run" >/dev/null || return 0; sleep 0.1; done; pgrep -fa "$work/run"; return 1; }
says() { grep -q -- "$1" "$work/log" || fail "$2: no '$1' in the output"; }
expect() { [ "$1" = "$2" ] || fail "$3: exit code $1, expected $2"; nobody_left || fail "$3: processes left"; }
off="--set monitor.enabled=false"

begin; FAKE_SECONDS=0.3 launch $off; expect $? 0 "both end well"

for case in "exit:2 2" "exit:3 3" "exit:5 5" "exit:6 6" "exit:1 4" "signal:9 4" "signal:11 4"; do
  set -- $case
  begin; FAKE_FAIL=1:$1 launch $off; expect $? "$2" "rank 1 $1"; says "rank 1 on host" "rank 1 $1"; says "about to" "rank 1 $1"
done

begin; spawn $off; wait_started; kill -TERM $pid; wait $pid; expect $? 75 "SIGTERM"
[ -e "$work/run/saved-0" ] && [ -e "$work/run/saved-1" ] || fail "SIGTERM: a rank did not save"

begin; FAKE_DEAF_SECONDS=1.5 spawn $off; sleep 1; kill -INT $pid; kill -TERM $pid; wait $pid
expect $? 75 "a signal before the workers listen, given twice"
[ -e "$work/run/saved-0" ] && [ -e "$work/run/saved-1" ] || fail "early signal: a rank did not save"

begin; FAKE_SLOW_SAVE=1 spawn $off; wait_started; kill -TERM $pid; sleep 1.3; kill -TERM $pid; wait $pid
expect $? 93 "two signals before the first checkpoint"; says "before the first checkpoint" "two signals"
[ -e "$work/run/saved-0" ] && fail "two signals: rank 0 saved"

begin; spawn $off; wait_started; kill -KILL $pid; wait $pid 2>/dev/null
nobody_left || fail "launcher killed: processes left"

begin; spawn $off; wait_started; kill -KILL "$(field 0 pid)"; wait $pid; expect $? 4 "rank 0 killed from outside"
says "rank 0 on host .* signal 9" "rank 0 killed from outside"

begin; FAKE_FAIL=0:exit:4 launch $off --restarts 2 --resume none; expect $? 93 "no progress"
[ "$(wc -l <"$work/run/started-0")" = 3 ] || fail "no progress: started $(wc -l <"$work/run/started-0") times, expected 3"
[ "$(grep -c -- '--resume auto' "$work/run/started-0")" = 2 ] || fail "restarts do not resume"
begin; FAKE_FAIL=0:exit:4 launch $off --restarts 2 --resume exact --from "$work/old"; expect $? 93 "no progress from an older checkpoint"
[ "$(grep -c -- "--resume exact --from $work/old" "$work/run/started-0")" = 3 ] || fail "restarts forget --from before anything is saved"

begin; FAKE_SECONDS=0.3 launch $off --worker-program /nowhere/worker; expect $? 4 "worker program missing"; says "/nowhere/worker" "worker program missing"
begin; launch $off --overwrite; expect $? 2 "--overwrite without --resume none"; [ -e "$work/run" ] && fail "--overwrite: a folder was made"
begin; launch $off --hostfile "$work/nope"; expect $? 2 "no host file"; says "fix:" "no host file"

# A second launch in the folder is refused before it touches anything.
begin; spawn $off; wait_started; touch "$work/run/exit/mark"
"$bin/homolog-launch" --run "$work/run" --worker-program "$here/workers/fake_worker.py" --workers 2 --resume none --overwrite >"$work/second" 2>&1
[ $? = 2 ] || fail "second launch: not refused"
grep -q "host $(hostname), pid $pid," "$work/second" || { cat "$work/second"; fail "second launch: the first one's host and pid are not named"; }
grep -q "live page" "$work/second" && fail "second launch: a monitor was started"
[ -e "$work/run/exit/mark" ] || fail "second launch: exit records of the first were removed"
kill -TERM $pid; wait $pid; expect $? 75 "the first launch goes on"

# An earlier launch's records are not taken for this one's.
begin; FAKE_FAIL=1:exit:5 launch $off; expect $? 5 "a diverged run"
chmod 555 "$work/run"
if [ "$(id -u)" = 0 ]; then
  chmod -R o+rX "$work"; as_other="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
${as_other:-} "$bin/homolog-launch" --run "$work/run" --worker-program "$here/workers/fake_worker.py" $off >"$work/log" 2>&1
expect $? 4 "run folder not writable"; says "$work/run: Permission denied" "run folder not writable"
chmod 755 "$work/run"

begin; launch --set monitor.prot=1; expect $? 2 "unknown option of the launcher"; says "monitor.port" "unknown option"
begin; launch --set monitor.port=99999; expect $? 2 "port out of range"

# The monitor's end, whatever the cause, is one warning.
python3 -c 'import socket,time; s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(); print(s.getsockname()[1],flush=True); time.sleep(60)' >"$work/port" &
holder=$!
until [ -s "$work/port" ]; do sleep 0.05; done
begin; FAKE_SECONDS=3 launch --set monitor.port="$(cat "$work/port")"; expect $? 0 "port busy"
[ "$(grep -c 'training goes on without it' "$work/log")" = 1 ] || fail "port busy: not exactly one warning"
kill $holder

# A lingering page outlives the workers, and a signal ends it.
begin; FAKE_SECONDS=0.3 spawn --set monitor.port=$((20000 + $$ % 20000)) --set monitor.linger=-1
for _ in $(seq 200); do grep -q '"ended": true' "$work/run/exit/rank-1.json" 2>/dev/null && break; sleep 0.05; done
sleep 3; pgrep -f "homolog-monitor --run $work/run" >/dev/null || fail "linger: no monitor after the workers' end"
kill -TERM $pid; wait $pid; expect $? 0 "linger, then a signal"
grep -q "monitor.linger keeps the page" "$work/log" || fail "linger: nothing says why the launcher stays"
# A failed one does not: this would wait for ever.
begin; FAKE_FAIL=1:exit:5 launch --set monitor.port=$((20000 + $$ % 20000)) --set monitor.linger=-1
expect $? 5 "a failure is told at once"; says "rank 1 on host" "a failure under linger"

[ $failures = 0 ] && echo "all claims hold"
exit $((failures > 0))
