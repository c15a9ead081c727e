/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot sector for tests of the screen: paints itself in its own colour, and writes every byte that the keyboard controller gives it (scan code set 1,
 * presses and releases) to port 0xe9 as two hexadecimal digits and a newline. -DATTRIBUTE (VGA), -DLETTER. */
  .code16
  .globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %ss
  movw $0x7c00, %sp
  movw $0xb800, %ax
  movw %ax, %es
  xorw %di, %di
  movw $(ATTRIBUTE << 8 | LETTER), %ax
  movw $2000, %cx
  cld
  rep stosw
poll:
  inb $0x64, %al
  testb $1, %al
  jz poll
  inb $0x60, %al
  movb %al, %bl
  shrb $4, %al
  call digit
  movb %bl, %al
  andb $15, %al
  call digit
  movb $10, %al
  outb %al, $0xe9
  jmp poll
digit:
  cmpb $10, %al
  jb decimal
  addb $39, %al
decimal:
  addb $48, %al
  outb %al, $0xe9
  ret
  .org 510
  .word 0xaa55
