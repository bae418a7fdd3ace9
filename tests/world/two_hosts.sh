#!/usr/bin/env bash
# two_hosts.sh RANKS PROGRAM…: an MPI world whose even and odd ranks have names of two hosts, so that sums go between hosts, too.
# The last argument of the program is RANKS. Names of one's own need root.
set -u
ranks=$1
shift
unshare -u true 2>/dev/null || { echo "SKIPPED: sums between hosts are not checked: unshare -u is not allowed here (it needs root)"; exit 77; }
run='hostname "host-$((OMPI_COMM_WORLD_RANK % 2))" && exec "$@"'
exec mpirun --allow-run-as-root --oversubscribe --bind-to none -np "$ranks" unshare -u bash -c "$run" rank "$@" "$ranks"
