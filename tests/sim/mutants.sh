#!/bin/sh
# Builds the line with one mistake after the other and lets the simulator look for it:
#     mutants.sh DATAPLANE OUT SEEDS
# DATAPLANE is copied to OUT/mutant/dataplane; a mutant that survives SEEDS seeds, or that cannot be made any more, is a
# failure.
set -u
dataplane=$1
out=$2
seeds=$3
work=$out/mutant
list=mutants.txt
survived=0
made=0

rm -rf "$work"
mkdir -p "$work"
cp -r "$dataplane" "$work/dataplane"
[ -d "$out/line" ] && cp -r "$out/line" "$work/line"
cp "$out"/*.o "$work"

while IFS='|' read -r name file edit; do
    case $name in '#'* | '') continue ;; esac
    source=$work/dataplane/src/$file
    cp -p "$source" "$work/before"
    sed -i "$edit" "$source"
    made=$((made + 1))
    if cmp -s "$source" "$work/before"; then
        echo "CANNOT BE MADE: $name ($file)"
        survived=$((survived + 1))
    elif ! make -s build DATAPLANE="$work/dataplane" OUT="$work" CFLAGS_EXTRA=-Wno-error >"$work/log" 2>&1; then
        echo "DOES NOT COMPILE: $name"
        survived=$((survived + 1))
    elif "$work/sim" --seeds "1-$seeds" --jobs 2 --failures 1 >"$work/log" 2>&1; then
        echo "SURVIVES: $name"
        survived=$((survived + 1))
    else
        echo "caught: $name: $(grep -m 1 -o 'failed.*' "$work/log")"
    fi
    cp "$work/before" "$source"
    touch "$source"
done <"$list"
echo "$((made - survived)) of $made mutants caught"
[ "$survived" = 0 ]
