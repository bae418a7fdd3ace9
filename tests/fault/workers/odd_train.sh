#!/usr/bin/env bash
# odd_train.sh KIND HOMOLOG_TRAIN WHAT WORDS…: homolog-train as one rank of an MPI world, with rank 1 made odd:
#   set     gets --set WHAT besides
#   option  gets WHAT besides
#   binary  runs the program WHAT in place of HOMOLOG_TRAIN
kind=$1 program=$2 what=$3
shift 3
if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
  case $kind in
    set) exec "$program" "$@" --set "$what" ;;
    option) exec "$program" "$@" "$what" ;;
    binary) exec "$what" "$@" ;;
  esac
fi
exec "$program" "$@"
