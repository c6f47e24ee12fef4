#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh environment and tests it in a
# folder that holds the tests but no src, so that nothing missing from the
# wheel can be found by accident.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=$(cd "$root" && realpath --no-symlinks "${PYTHON:-python3}")
place=$(mktemp -d "${TMPDIR:-/tmp}/grange-wheel-XXXXXX")
trap 'rm -rf "$place"' EXIT

cd "$root"
"$python" -m build --wheel --outdir "$place/dist" . >"$place/build.log" 2>&1 ||
  { cat "$place/build.log"; exit 1; }
wheels=("$place"/dist/*.whl)

# Nothing of the package is left out: migrations, templates, py.typed.
diff <(cd src && find grange -type f -not -name '*.pyc' | sort) \
  <("$python" -m zipfile --list "${wheels[0]}" | grep -o '^grange/[^ ]*' | sort)

"$python" -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" \
  "${wheels[0]}[postgresql,mysql,rabbitmq]" hypothesis pytest pytest-timeout pytest-xdist

mkdir "$place/checkout"
cp -R benchmarks docs examples tests ./*.md pyproject.toml "$place/checkout"
cd "$place/checkout"
export GRANGE_HOME="$place/home" PATH="$place/venv/bin:$PATH"

# The others import tools of contributors, which are no business of the wheel.
mapfile -t marked < <(grep -rl --include='*.py' 'mark\.wheel' tests)
pytest -q -m wheel -p no:cacheprovider "${marked[@]}"

# The installed command, as a user meets it for the first time.
grange doctor
mkdir inputs
echo one >inputs/one.txt
grange map 'gzip -c {input} > {output}/{name}.gz' inputs --out packed
test "$(gzip -dc packed/one.txt/one.txt.gz)" = one
test -s packed/report.html

# Models, texts and scripts of the wildlife pipeline came along.
for model in detector classifier pose; do grange models check "reference-$model"; done
mkdir cards
python -c 'from PIL import Image; Image.new("RGB", (320, 240), "olive").save("cards/one.jpg")'
grange run wildlife cards --out found
test -s found/one.jpg/detections.json
test -s found/report/review.html
test -s found/report/review/review.js
echo "The wheel works: $(basename "${wheels[0]}")"
