"""compare.py MEASURED ACCEPTED: a table of what was measured beside what was last accepted.

Exit code 1 when a value misses its target. Being slower than the accepted run only shows: machines differ."""

import json
import pathlib
import sys


def rows(path):
    path = pathlib.Path(path)
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def verdict(row, before):
    """What a person should know about one value, and whether it misses its target."""
    less = row["better"] == "less"
    target = row.get("target")
    missed = target is not None and (row["value"] > target if less else row["value"] < target)
    words = [f"TARGET MISSED: {'at most' if less else 'at least'} {target:g}"] if missed else []
    if before and before["value"] and row["value"]:
        ratio = row["value"] / before["value"]
        gain = 1 / ratio if less else ratio
        words.append(f"{ratio:.2f}x" + (", worse" if gain < 0.8 else ", better" if gain > 1.25 else ""))
    return ", ".join(words), missed


def main(measured, accepted):
    before = {row["name"]: row for row in rows(accepted)}
    failed = False
    print(f"{'':36} {'now':>12} {'accepted':>12}")
    for row in rows(measured):
        old = before.get(row["name"])
        words, missed = verdict(row, old)
        failed = failed or missed
        shown = f"{old['value']:>12,.2f}" if old else f"{'-':>12}"
        print(f"{row['name'] + ', ' + row['unit']:36} {row['value']:>12,.2f} {shown}  {words}".rstrip())
    return 1 if failed else 0


if len(sys.argv) != 3:
    sys.exit(__doc__)
sys.exit(main(*sys.argv[1:]))
