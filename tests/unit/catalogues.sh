#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every message of the console is in every catalogue: none missing, none fuzzy, none left over, formats right.
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$source_dir/console-ui"
xgettext --from-code=UTF-8 --language=C --keyword=_ --keyword=N_ --output="$work/floe.pot" floe-*.c
messages=$(msgattrib --no-obsolete "$work/floe.pot" | grep -c '^msgid "..*"\|^msgid ""$')
[ "$messages" -gt 40 ] || { echo "only $messages messages found in the sources: is xgettext looking at them?"; exit 1; }
failed=0
for catalogue in po/*.po; do
  msgcmp "$catalogue" "$work/floe.pot" || failed=1
  msgfmt --check --statistics --output-file=/dev/null "$catalogue" || failed=1
  if [ -n "$(msgattrib --only-fuzzy "$catalogue")$(msgattrib --untranslated "$catalogue")" ]; then
    echo "$catalogue has fuzzy or untranslated messages"
    failed=1
  fi
  msgmerge --quiet --no-fuzzy-matching --output-file="$work/merged.po" "$catalogue" "$work/floe.pot"
  if grep -q '^#~ msgid' "$work/merged.po"; then
    echo "$catalogue has messages that the sources no longer have:"
    grep '^#~ msgid' "$work/merged.po"
    failed=1
  fi
done
[ $failed = 0 ] || exit 1
echo "figure: console_messages = $((messages - 1))"
