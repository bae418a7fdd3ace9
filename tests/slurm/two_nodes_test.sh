#!/usr/bin/env bash
# A real SLURM of two nodes on this machine: the batch scripts and the lines of the guides do there what they say.
# two_nodes_claims.sh holds the claims, two_nodes.sh starts SLURM. All of it runs in namespaces of its own and in one
# temporary folder, and ends with this script, however that ends. It needs root and namespaces, and says so where it is
# skipped for want of them; HOMOLOG_NO_SLURM=1 skips it, too.
set -u
bin=${HOMOLOG_BIN:?} source=${HOMOLOG_SOURCE:?}
PATH=$PATH:/usr/sbin:/sbin
[ "${HOMOLOG_NO_SLURM:-}" = 1 ] && { echo "SKIPPED: HOMOLOG_NO_SLURM=1"; exit 77; }
[ -x "$bin/homolog-train" ] && [ -x "$bin/homolog-shard" ] || { echo "SKIPPED: this build has no homolog-train or no homolog-shard"; exit 77; }
cannot() { echo "$1: no SLURM of two nodes here: $2"; echo "  fix: $3"; [ "$1" = FAILED ] && exit 1; exit 77; }

lacking=()
for program in slurmctld slurmd sbatch srun munged unshare setpriv; do
  command -v $program >/dev/null || lacking+=("$program")
done
[ ${#lacking[@]} = 0 ] || cannot FAILED "not installed: ${lacking[*]}" "install what cluster/packages-test.txt names, as ./run test does, or skip this test with HOMOLOG_NO_SLURM=1"
[ "$(id -u)" = 0 ] || cannot SKIPPED "slurmd starts jobs as root alone, and this is user $(id -un)" "run it as root"
apart=(unshare --pid --fork --kill-child --mount --mount-proc)
why=$("${apart[@]}" unshare --uts --mount true 2>&1) || cannot SKIPPED "$why" "allow namespaces (CAP_SYS_ADMIN)"

work=$(mktemp -d)
setpriv --pdeathsig KILL "${apart[@]}" bash "$source/tests/slurm/two_nodes_claims.sh" "$work" $$ &
inside=$!
trap 'kill -KILL $inside 2>/dev/null; wait $inside 2>/dev/null; rm -rf "$work" 2>/dev/null || { sleep 1; rm -rf "$work"; }' EXIT
trap 'exit 130' INT TERM HUP
wait $inside
