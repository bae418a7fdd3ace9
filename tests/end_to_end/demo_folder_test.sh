#!/usr/bin/env bash
# The demo empties only a folder that a demo made: any other, and a file, is refused with 2 and stays as it was.
# A stand-in for homolog ends the demo with 9 at its first command.
set -u
source=${HOMOLOG_SOURCE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir -p "$work/src" "$work/build/bin"
cp -r "$source/src/demo" "$work/src/demo"
printf '#!/usr/bin/env bash\nexit 9\n' >"$work/build/bin/homolog"
chmod +x "$work/build/bin/homolog"

demo() {  # demo FOLDER EXPECTED-CODE CLAIM
  DEMO_DIR=$1 bash "$work/src/demo/demo.sh" >"$work/log" 2>&1
  local code=$?
  [ $code = "$2" ] || { echo "FAILED: $3: exit code $code"; sed 's/^/    /' "$work/log"; failures=$((failures + 1)); }
}
expect() { [ "$@" ] || { echo "FAILED: not so: [ $* ]"; failures=$((failures + 1)); }; }

mkdir -p "$work/data/scans" "$work/empty" "$work/disk"
echo precious >"$work/data/scans/a.nii"
echo precious >"$work/file"
demo "$work/data" 2 "a folder of the user's"
expect -s "$work/data/scans/a.nii"
grep -q "fix: set DEMO_DIR" "$work/log" || { echo "FAILED: no remedy"; failures=$((failures + 1)); }
demo "$work/file" 2 "a file"
expect -s "$work/file"
demo "$work/empty" 9 "an empty folder"
demo "$work/new/folder" 9 "a new folder"

echo stale >"$work/new/folder/loss.json"
echo stale >"$work/new/folder/.hidden"
demo "$work/new/folder" 9 "a demo's folder"
expect ! -e "$work/new/folder/loss.json"
expect ! -e "$work/new/folder/.hidden"
ln -s "$work/new/folder" "$work/link"
echo stale >"$work/new/folder/loss.json"
demo "$work/link/" 9 "a demo's folder, by a link"
expect ! -e "$work/new/folder/loss.json"

[ $failures = 0 ] && echo "all claims hold"
exit $((failures > 0))
