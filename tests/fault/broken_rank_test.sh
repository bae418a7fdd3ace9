#!/usr/bin/env bash
# One rank throws in the middle of a step, with collectives under way and a read of its own that never
# ends: all are gone within 30 s, far before cluster.timeout_s, and the launcher tells what was thrown.
. "$(dirname "$0")/real_run.sh"
[ -x "$bin/broken_worker" ] || { echo "FAILED: this build has no broken_worker"; exit 1; }

since=$SECONDS
"$bin/homolog-launch" --run "$work/run" --workers 2 --worker-program "$bin/broken_worker" --set monitor.enabled=false \
  --set cluster.timeout_s=600 --set cluster.bucket_mb=0.001 >"$work/log" 2>&1 &
pid=$!
nobody_left_within_30_s "rank 1 throws in backward"
if kill -0 "$pid" 2>/dev/null; then kill -KILL "$pid"; fi
wait "$pid"; expect $? 4 "rank 1 throws in backward"
says "rank failed .*rank=1 .*the first layer fell over" "rank 1 throws in backward"
says "^homolog-launch: rank 1 on host .*the first layer fell over" "rank 1 throws in backward"
finish
