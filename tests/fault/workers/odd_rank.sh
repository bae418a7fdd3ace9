#!/usr/bin/env bash
# odd_rank.sh KIND RANK PROGRAM…: runs PROGRAM as one rank of an MPI world, with rank RANK made odd:
#   slow      runs a fifth of the time (SIGSTOP, SIGCONT)
#   version   is told another version by its MPI library (version_shim)
#   stopped   is stopped for good once the doctor's output (file DOCTOR_LOG) shows that it has begun
#   killed    is killed then
kind=$1 odd=$2
shift 2
[ "$OMPI_COMM_WORLD_RANK" = "$odd" ] || exec "$@"
[ "$kind" = version ] && LD_PRELOAD="$HOMOLOG_BIN/version_shim.so" exec "$@"
self=$$
begun() { until grep -q "shared memory" "$DOCTOR_LOG"; do sleep 0.05; kill -0 $self || exit; done; }
case $kind in
  slow) (while kill -STOP $self; do sleep 0.04; kill -CONT $self || break; sleep 0.01; done) >/dev/null 2>&1 & ;;
  stopped) (begun; kill -STOP $self) >/dev/null 2>&1 & ;;
  killed) (begun; kill -KILL $self) >/dev/null 2>&1 & ;;
esac
exec "$@"
