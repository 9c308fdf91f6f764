#!/bin/sh
# Compiles scss/ to ../static/css and copies js/ to ../static/js.
# The same sources give the same bytes: no source maps, no dates, pinned versions.
set -eu
cd "$(dirname "$0")"
mkdir -p ../static/css ../static/js
for sheet in site email admin; do
  # nhsuk-frontend's own deprecations are not ours to read at every build.
  node_modules/.bin/sass --style=compressed --no-source-map --no-charset --quiet-deps \
    "scss/$sheet.scss" "../static/css/$sheet.css"
done
for script in js/*.js; do
  [ -e "$script" ] && cp "$script" ../static/js/
done
true
