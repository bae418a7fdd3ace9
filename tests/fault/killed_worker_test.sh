#!/usr/bin/env bash
# A worker is killed in mid-training: all are gone within 30 s, the launcher ends with 4 and names the
# rank, the last checkpoint is whole, and the run resumes from it. Also: held by SIGSTOP.
. "$(dirname "$0")/real_run.sh"

spawn; wait_for_step_beyond 0
kill -KILL "$(worker_pid 1)"; since=$SECONDS
wait "$pid"; expect $? 4 "rank 1 killed"
nobody_left_within_30_s "rank 1 killed"
says "rank 1 on host .* signal 9" "rank 1 killed"
before=$(newest_step)

launch --max-steps-this-run 1; expect $? 75 "resumed for one step"
[ "$(newest_step)" -gt "$before" ] || fail "resumed: newest checkpoint $(newest_step), was $before"

spawn --set cluster.timeout_s=10; wait_for_step_beyond "$(newest_step)"
kill -STOP "$(worker_pid 1)"; since=$SECONDS
wait "$pid"; expect $? 4 "rank 1 held by SIGSTOP"
nobody_left_within_30_s "rank 1 held by SIGSTOP"
says "rank 1 on host .* was stopped" "rank 1 held by SIGSTOP"
says "did not finish within 10 s" "rank 1 held by SIGSTOP"
finish
