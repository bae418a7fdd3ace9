#!/usr/bin/env bash
# A disk that hangs or fails under a running training: a wait below the limit is seen as waiting for data
# and costs time alone; beyond it the run ends with 3, naming shard, crop and byte, before any collective
# times out; reads that fail for a moment are repeated, those that keep failing spend the budget of bad records.
. "$(dirname "$0")/real_run.sh"
export READ_FAULT="$work/fault"
shim="$bin/read_shim.so"

fault() { echo "$1" >"$work/fault.new" && mv "$work/fault.new" "$READ_FAULT"; }
longest_wait() {
  python3 - "$work/run/metrics.jsonl" <<'P'
import json, sys
waits = [json.loads(line).get("parts", {}).get("data_wait", 0) for line in open(sys.argv[1])]
print(int(max(waits, default=0)))
P
}

# One batch ahead and a thread: no step is long enough to hide two such reads. Every step saves, and a save takes the
# next batch ahead: a wait there is a wait for data all the same.
LD_PRELOAD=$shim spawn --set data.read_timeout_s=120 --set data.ahead=1 --set data.threads=1
wait_for_step_beyond 0
fault "stall 12"
for _ in $(seq 1800); do [ "$(longest_wait)" -ge 3 ] && break; sleep 0.1; done
[ "$(longest_wait)" -ge 3 ] || fail "a read of 12 s: no step waited for data, $(longest_wait) s at most"
rm "$READ_FAULT"; before=$(newest_step); wait_for_step_beyond "$((before + 1))"
kill -TERM "$pid"; wait "$pid"; expect $? 75 "stopped after a read of 12 s"
grep -q "quarantined" "$work/log" && fail "a read of 12 s: a record was quarantined"

fault "fail 4"
LD_PRELOAD=$shim launch --max-steps-this-run 2; expect $? 75 "reads that fail for a moment"
grep -q "quarantined" "$work/log" && fail "reads that fail for a moment: a record was quarantined"

fault "fail 1000000"
LD_PRELOAD=$shim launch --set data.bad_record_budget=2; expect $? 3 "reads that keep failing"
says "Input/output error" "reads that keep failing"
says "bad records, the budget is 2" "reads that keep failing"

fault "stall 600"; since=$SECONDS
LD_PRELOAD=$shim launch --set data.read_timeout_s=3; expect $? 3 "a read that hangs"
[ $((SECONDS - since)) -lt 60 ] || fail "a read that hangs: the end came after the collectives' 60 s"
says "no pair came within 3.* while reading shard-0000[0-9].h5, crop [0-9]* at byte" "a read that hangs"

rm "$READ_FAULT"; before=$(newest_step)
LD_PRELOAD=$shim spawn --set data.read_timeout_s=3 --set data.page_cache=passed
wait_for_step_beyond "$before"
fault "stall 600"; since=$SECONDS
wait "$pid"; expect $? 3 "a direct read that hangs"
[ $((SECONDS - since)) -lt 60 ] || fail "a direct read that hangs: the end came after the collectives' 60 s"
says "no pair came within 3.* while reading shard-0000[0-9].h5, crop [0-9]* at byte" "a direct read that hangs"
finish
