#!/usr/bin/env bash
# Worlds that must not train are refused at the start, by the documented code, naming what differs and the rank: another setting,
# store or program on one rank (2), fewer GPUs than ranks (4), fewer pairs than a global batch takes (3), another global batch than the
# checkpoint's (2). A checkpoint of another number of workers with the same global batch is taken, with a warning.
. "$(dirname "$0")/real_run.sh"
here=$(cd "$(dirname "$0")" && pwd)
settings+=(--set cluster.timeout_s=30)

odd() { rm -rf "$work/run"; launch --worker-program "$here/workers/odd_train.sh $1 $bin/homolog-train $2"; }
nothing_began() { [ -z "$(newest_step)" ] || fail "$1: it trained"; }

odd set optimizer.clip=9; expect $? 2 "another setting"; nothing_began "another setting"
says "rank 1 was started with another optimizer.clip: '9', rank 0 has '3'" "another setting"

odd option --max-steps-this-run=3; expect $? 2 "another stop"; nothing_began "another stop"
says "rank 1 was started with another --max-steps-this-run: '3', rank 0 has '0'" "another stop"

"$bin/make_store" "$work/other" 4 0 || exit 1
odd set "data.store=$work/other"; expect $? 2 "another store"; nothing_began "another store"
says "rank 1 was started with another data.store: " "another store"
says "another store: '[0-9a-f]*', rank 0 has '[0-9a-f]*'" "another store"

cp "$bin/homolog-train" "$work/other-train" && echo >>"$work/other-train"
odd binary "$work/other-train"; expect $? 2 "another program"; nothing_began "another program"
says "rank 1 was started with another program file: '[0-9a-f]*', rank 0 has '[0-9a-f]*'" "another program"

if [ ! -e /dev/nvidia0 ]; then  # where there are some, ranks may have one each
  rm -rf "$work/run"; launch --set cluster.backend=nccl; expect $? 4 "more workers than GPUs"; nothing_began "more workers than GPUs"
  says "rank 0 has no GPU of its own" "more workers than GPUs"
fi

rm -rf "$work/run"; launch --set data.batch=5; expect $? 3 "fewer pairs than a global batch"
nothing_began "fewer pairs than a global batch"

rm -rf "$work/run"; launch --max-steps-this-run 1; expect $? 75 "one step of two workers"
launch --workers 1; expect $? 2 "half of the global batch"
says "the global batch (data.batch \* data.accumulate \* workers) was '2', now it is '1'" "half of the global batch"
launch --workers 1 --set data.batch=2 --max-steps-this-run 1; expect $? 75 "the same global batch by one worker"
says "another number of workers: same order of samples" "the same global batch by one worker"
finish
