#!/usr/bin/env bash
# odd_rank.sh KIND RANK PROGRAM…: runs PROGRAM as one rank of an MPI world, with rank RANK made odd:
#   slow      runs a fifth of the time (SIGSTOP, SIGCONT)
#   version   is told another version by its MPI library (version_shim)
#   stopped   is stopped for good after a second
#   killed    is killed after a second
kind=$1 odd=$2
shift 2
[ "$OMPI_COMM_WORLD_RANK" = "$odd" ] || exec "$@"
[ "$kind" = version ] && LD_PRELOAD="$HOMOLOG_BIN/version_shim.so" exec "$@"
self=$$
case $kind in
  slow) (while kill -STOP $self; do sleep 0.04; kill -CONT $self || break; sleep 0.01; done) >/dev/null 2>&1 & ;;
  stopped) (sleep 1; kill -STOP $self) >/dev/null 2>&1 & ;;
  killed) (sleep 1; kill -KILL $self) >/dev/null 2>&1 & ;;
esac
exec "$@"
