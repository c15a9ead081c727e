#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""select.py TREE CONTENTS [PROFILE...]: the paths of TREE that an image has, one a line, by the patterns of CONTENTS (which says what they
mean). Programs bring the libraries that they are linked against, links bring what they lead to, and everything its directories."""
import glob
import os
import struct
import sys


def needed(path):
    """DT_NEEDED of an ELF file (System V ABI, chapter 5); nothing for other files."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    start, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads, dynamic = [], None
    for i in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, start + i * size)
        if kind == 1:
            loads.append((address, offset, length))
        elif kind == 2:
            dynamic = (offset, length)
    if dynamic is None:
        return []
    names, strings = [], 0
    for at in range(dynamic[0], dynamic[0] + dynamic[1], 16):
        tag, value = struct.unpack_from("<QQ", data, at)
        if tag == 0:
            break
        if tag == 1:
            names.append(value)
        elif tag == 5:
            strings = next(value - address + offset for address, offset, length in loads if address <= value < address + length)
    return [data[strings + n:data.index(b"\0", strings + n)].decode() for n in names]


class Selection:
    def __init__(self, tree):
        self.tree = tree
        self.paths = set()
        self.libraries = {}
        for directory in ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd", "usr/lib/x86_64-linux-gnu/pulseaudio"):
            full = os.path.join(tree, directory)
            for name in sorted(os.listdir(full)) if os.path.isdir(full) else []:
                if ".so" in name:
                    self.libraries.setdefault(name, directory + "/" + name)

    def match(self, pattern):
        found = []
        for path in glob.glob(os.path.join(self.tree, pattern)):
            found.append(os.path.relpath(path, self.tree))
            if os.path.isdir(path) and not os.path.islink(path):
                for where, directories, files in os.walk(path):
                    found += [os.path.relpath(os.path.join(where, name), self.tree) for name in directories + files]
        return found

    def real(self, path):
        """The path with links of its directories followed, within the tree."""
        directory, name = os.path.split(path)
        if not directory:
            return path
        directory = self.real(directory)
        full = os.path.join(self.tree, directory)
        if os.path.islink(full):
            target = os.readlink(full)
            directory = self.real(target.lstrip("/") if target.startswith("/") else
                                  os.path.normpath(os.path.join(os.path.dirname(directory), target)))
        return os.path.join(directory, name)

    def close(self):
        """What the selected need themselves."""
        todo, done, kept = list(self.paths), set(), set()
        while todo:
            path = todo.pop()
            if path in done or path in ("", "."):
                continue
            done.add(path)
            parent = os.path.dirname(path)
            if parent:
                todo.append(parent)
            # Reached through a linked directory: the link, and what it is called where the link leads.
            if self.real(path) != path:
                todo.append(self.real(path))
                continue
            kept.add(path)
            full = os.path.join(self.tree, path)
            if os.path.islink(full):
                target = os.readlink(full)
                target = target.lstrip("/") if target.startswith("/") else os.path.normpath(os.path.join(parent, target))
                target = self.real(target)
                if os.path.lexists(os.path.join(self.tree, target)):
                    todo.append(target)
            elif os.path.isfile(full):
                for name in needed(full):
                    if name in self.libraries:
                        todo.append(self.libraries[name])
                    elif name != "ld-linux-x86-64.so.2":
                        sys.exit(f"select.py: {path} needs {name}, which the tree has not")
        self.paths = kept


def main():
    tree, contents, profiles = sys.argv[1], sys.argv[2], sys.argv[3:]
    selection, on, missing = Selection(tree), True, []
    with open(contents, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                on = line[1:-1] in profiles
                continue
            if not on:
                continue
            pattern = line.lstrip("!?")
            found = selection.match(pattern)
            if not found and line[0] not in "!?":
                missing.append(f"{contents}:{number}: {pattern}: nothing in the tree is called that")
            if line[0] == "!":
                selection.paths -= set(found)
            else:
                selection.paths |= set(found)
    if missing:
        sys.exit("\n".join(missing))
    selection.close()
    print("\n".join(sorted(selection.paths)))


main()
