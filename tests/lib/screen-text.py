#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""screen-text.py FONT PICTURE: what the Linux console shows in PICTURE (PPM, P6, as QMP's screendump writes it), a line each.

The console draws cells of 8 x 16 pixels with the kernel's VGA font, of which FONT (PSF 1 or 2, may be gzipped) has the same glyphs but for two:
text is read by comparing cells bit by bit, so that what is printed was on the screen letter for letter. Any other cell is printed as '?'."""
import functools
import gzip
import struct
import sys

WIDTH, HEIGHT = 8, 16
# The letters that the kernel's own font draws otherwise.
KERNEL = {"v": "0000000000c6c6c6c6c66c3800000000", "f": "00001c36323078303030307800000000"}


def font_glyphs(path):
    """{16 bytes of a glyph: ASCII character}"""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x36\x04":
        start, size, count = 4, data[3], 512 if data[2] & 1 else 256
    elif data[:4] == b"\x72\xb5\x4a\x86":
        _, _, start, _, count, size, height, width = struct.unpack("<8I", data[:32])
        if (height, width) != (HEIGHT, WIDTH):
            sys.exit(f"{path}: glyphs of 8 x 16 wanted")
    else:
        sys.exit(f"{path}: no PSF font")
    if size != HEIGHT:
        sys.exit(f"{path}: glyphs of 8 x 16 wanted")
    return {data[start + code * size:start + (code + 1) * size]: chr(code) for code in range(32, min(count, 127))}


def read_picture(path):
    with open(path, "rb") as file:
        magic, size, depth, pixels = file.read().split(b"\n", 3)
    width, height = map(int, size.split())
    if magic != b"P6" or depth != b"255" or len(pixels) < 3 * width * height:
        sys.exit(f"{path}: no picture of the kind that screendump writes")
    return width, height, pixels


@functools.lru_cache(maxsize=None)
def bits_of(cell):
    """The bits of a cell's rows (3 * 8 bytes each) against its own darkest colour; None when it has more than two colours."""
    colours = {cell[at:at + 3] for at in range(0, len(cell), 3)}
    if len(colours) > 2:
        return None
    dark = min(colours, key=sum)
    rows = [cell[at:at + 3 * WIDTH] for at in range(0, len(cell), 3 * WIDTH)]
    return bytes(sum(1 << (7 - x) for x in range(WIDTH) if row[3 * x:3 * x + 3] != dark) for row in rows)


def main(font, picture):
    glyphs = font_glyphs(font) | {bytes.fromhex(bits): letter for letter, bits in KERNEL.items()}
    width, height, pixels = read_picture(picture)
    for row in range(height // HEIGHT):
        line = ""
        for column in range(width // WIDTH):
            at = 3 * (row * HEIGHT * width + column * WIDTH)
            bits = bits_of(b"".join(pixels[at + 3 * y * width:at + 3 * (y * width + WIDTH)] for y in range(HEIGHT)))
            line += glyphs.get(bits, "?")
        if line.strip(" "):
            print(line.rstrip(" "))


if len(sys.argv) != 3:
    sys.exit(__doc__.splitlines()[0])
main(sys.argv[1], sys.argv[2])
