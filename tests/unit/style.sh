#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# style.sh [TREE]: what a program can see of the house style. Each source file has an SPDX line, fewer than 1,000 lines, no tab and no blank at
# the end of a line; C has no goto and no function of over 120 lines. Functions of over 60 lines are listed, and do no more than that.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
command -v ctags >/dev/null || { echo 'ctags is not installed: packaging/packages should name its package'; exit 1; }

# The files we wrote, NUL-separated. Corpora are input, and packaging/packages is a list.
sources() {
  find . \( -name .git -o -path ./build -o -name '*.corpus' -o -name '*-corpus' -o -path ./tests/golden -o -path ./packaging/packages \) -prune -o -type f \
    \( -name '*.[chS]' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' -o -name CMakeLists.txt -o -path './packaging/*' -o -path ./tests/run \
    -o -path ./tests/bench \) -size +0 -print0
}

# Lines `file:line: what`, for each thing that is wrong with the files named on standard input.
check_lines() {
  xargs -0 -r awk '
    function done() {
      if (file == "") return
      if (!spdx) print file ":1: no SPDX-License-Identifier in the first five lines"
      if (lines >= 1000) print file ":" lines ": a file has fewer than 1,000 lines"
    }
    FNR == 1 { done(); file = FILENAME; spdx = 0; comment = 0 }
    { lines = FNR }
    FNR <= 5 && /SPDX-License-Identifier: / { spdx = 1 }
    /\t/ { print file ":" FNR ": a tab" }
    /[ \r]$/ { print file ":" FNR ": a blank at the end of the line" }
    END { done() }'
}

# goto as a word outside strings and comments.
check_goto() {
  { grep -z '\.[ch]$' || true; } | xargs -0 -r awk '
    FNR == 1 { comment = 0 }
    {
      line = $0
      gsub(/"([^"\\]|\\.)*"/, "", line)
      if (comment) { if (sub(/^.*\*\//, "", line)) comment = 0; else next }
      gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line); sub(/\/\/.*/, "", line)
      if (sub(/\/\*.*$/, "", line)) comment = 1
      if (line ~ /(^|[^A-Za-z0-9_])goto([^A-Za-z0-9_]|$)/) print FILENAME ":" FNR ": goto"
    }'
}

# Lines `LENGTH file:line name` of every C function, from its name to its last brace.
function_lengths() {
  { grep -z '\.c$' || true; } | tr '\0' '\n' | ctags -L - --languages=C --kinds-C=f --fields=+ne --excmd=number -f - --sort=no 2>/dev/null | awk -F'\t' '
    !/^!/ {
      line = end = 0
      for (i = 4; i <= NF; i++) {
        if ($i ~ /^line:/) line = substr($i, 6)
        if ($i ~ /^end:/) end = substr($i, 5)
      }
      if (line && end) print end - line + 1, $2 ":" line, $1
    }'
}

check() {
  local wrong functions
  cd "$1"
  functions=$(sources | function_lengths)
  wrong=$(sources | check_lines; sources | check_goto; awk '$1 > 120 { print $2 ": function " $3 " has " $1 " lines, 120 at most" }' <<<"$functions")
  awk '$1 > 60 { print "note: " $2 ": function " $3 " has " $1 " lines" }' <<<"$functions"
  awk 'NF { n++; all[n] = $1 } END { printf "%d functions\n", n }' <<<"$functions"
  [ -z "$wrong" ] || { echo "$wrong"; return 1; }
}

[ $# -eq 0 ] || { check "$1"; exit; }

# A check that cannot fail proves nothing: each of these must be refused.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
try() {
  local wanted=$1 what=$2 status=0
  mkdir -p "$work/tree"
  cat >"$work/tree/a.c"
  (check "$work/tree") >"$work/output" || status=$?
  [ $status = "$wanted" ] || { echo "style.sh itself: $what: status $status, $wanted wanted"; cat "$work/output"; exit 1; }
}
spdx='/* SPDX-License-Identifier: GPL-2.0-or-later */'
repeat() { awk -v line="$1" -v n="$2" 'BEGIN { while (n-- > 0) print line }'; }
body() { printf '%s\nint\nlong_one (void)\n{\n' "$spdx"; repeat '  (void) 0;' "$1"; printf '  return 0;\n}\n'; }
try 0 'a good file' <<<"$spdx
/* no goto here, nor // \"goto\" */
const char *word = \"goto\"; // goto"
try 1 'no SPDX line' <<<'int a;'
try 1 'a tab' <<<"$spdx"$'\n\tint a;'
try 1 'a trailing blank' <<<"$spdx
int a; "
try 1 'goto' <<<"$spdx
void f (void) { /* */ goto end; end: ; }"
try 0 'a function of 120 lines' < <(body 116)
try 1 'a function of 121 lines' < <(body 117)
try 1 'a file of 1000 lines' < <(echo "$spdx"; repeat '/* */' 999)
check "$SOURCE"
