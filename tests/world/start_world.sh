#!/usr/bin/env bash
# start_world.sh RANKS tcp|file PROGRAM…: starts so many processes of a world that MPI does not join, and ends with the
# code of the first that fails. The program gets RANKS, the bootstrap and the rendezvous as its last arguments.
set -u
ranks=$1 bootstrap=$2
shift 2
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
if [ "$bootstrap" = tcp ]; then
  port=$((10000 + RANDOM % 5000))  # nobody listens there
  while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  rendezvous=127.0.0.1:$port
else
  rendezvous=$work/meeting
fi
for ((rank = ranks - 1; rank >= 0; rank--)); do
  HOMOLOG_RANK=$rank HOMOLOG_WORLD=$ranks "$@" "$ranks" "$bootstrap" "$rendezvous" &
done
code=0
for ((n = 0; n < ranks; n++)); do
  wait -n || { c=$?; [ $code = 0 ] && code=$c; }
done
[ "$bootstrap" = tcp ] || [ ! -e "$rendezvous" ] || { echo "the meeting file is still there"; code=1; }
exit $code
