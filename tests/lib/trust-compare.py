#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""floe-trust over the cases of tests/lib/tuf-interop.py, compared step by step with what the other client made of them.

  trust-compare.py CASES THEIRS STATE

A step fails when the two clients differ in accepting it or in the versions they trust afterwards, or when both are wrong.
Prints a line for each failure, then "STEPS FAILURES".
"""
import hashlib
import json
import os
import subprocess
import sys
import urllib.parse

TOP = ("root", "timestamp", "snapshot", "targets")


def floe_trust(*arguments):
    done = subprocess.run(["floe-trust", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
    # A signal or a status of its own would be a crash, not a refusal.
    if done.returncode not in (0, 1):
        raise SystemExit(f"floe-trust {' '.join(arguments)}: status {done.returncode}: {done.stderr}")
    return done.returncode == 0, done.stderr.strip()


def versions(local):
    found = {}
    for role in TOP:
        try:
            with open(f"{local}/{role}.json") as file:
                found[role] = json.load(file)["signed"]["version"]
        except OSError:
            pass
    return found


def same_trust(accepted, mine, theirs):
    """After a refusal python-tuf may still have the timestamp and snapshot of keys that root no longer names, which it will not
    use; the specification (5.3.11) deletes them. Anything else must be the same."""
    return mine == theirs if accepted else all(theirs.get(role) == version for role, version in mine.items())


def step(repo, local, downloads, want):
    accepted, why = floe_trust("--metadata-dir", local, "--repository", repo, "refresh")
    for name, digest in sorted(want.items()):
        if not accepted:
            break
        accepted, why = floe_trust("--metadata-dir", local, "--repository", repo, "--target-name", name, "--target-dir",
                                   downloads, "download")
        if accepted:
            with open(f"{downloads}/{urllib.parse.quote(name, safe='')}", "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != digest:
                    return False, f"{name} has another digest"
    return accepted, why


def main(cases, theirs, state):
    steps = failures = 0
    for name in sorted(os.listdir(cases)):
        with open(f"{cases}/{name}/case.json") as file:
            case = json.load(file)
        with open(f"{theirs}/{name}.json") as file:
            others = json.load(file)
        local = f"{state}/{name}"
        floe_trust("--metadata-dir", local, "init", f"{cases}/{name}/root.json")
        for number, (one, other) in enumerate(zip(case["steps"], others, strict=True)):
            accepted, why = step(f"{cases}/{name}/{one['repo']}", local, f"{state}/{name}.{number}", one["want"])
            steps += 1
            mine = versions(local)
            if accepted == other["accept"] == one["accept"] and same_trust(accepted, mine, other["versions"]):
                continue
            failures += 1
            print(f"{name}, step {number + 1}: right is {one['accept']}; floe-trust {accepted} {why!r} {mine}; "
                  f"python-tuf {other['accept']} {other['why']!r} {other['versions']}")
    print(steps, failures)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
