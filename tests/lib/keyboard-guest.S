/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot sector for tests of the screen: paints itself in its own colour, and writes every byte that the keyboard controller gives it (scan code set 1,
 * presses and releases) to port 0xe9 as two hexadecimal digits and a newline. -DATTRIBUTE (VGA), -DLETTER. With -DAGENT it also carries bytes between
 * COM1, where a SPICE agent channel is, and COM2, where the test plays the agent. */
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
#ifdef AGENT
  movw $0x3f8, %dx
  call fast
  movw $0x2f8, %dx
  call fast
#endif
poll:
#ifdef AGENT
  movw $0x3f8, %si
  movw $0x2f8, %di
  call carry
  xchgw %si, %di
  call carry
#endif
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
#ifdef AGENT
fast:
  addw $3, %dx
  movb $0x83, %al
  outb %al, %dx
  subw $3, %dx
  movb $1, %al
  outb %al, %dx
  incw %dx
  decb %al
  outb %al, %dx
  addw $2, %dx
  movb $3, %al
  outb %al, %dx
  ret
carry:
  leaw 5(%si), %dx
  inb %dx, %al
  testb $1, %al
  jz carried
  movw %si, %dx
  inb %dx, %al
  movb %al, %bl
  leaw 5(%di), %dx
room:
  inb %dx, %al
  testb $0x20, %al
  jz room
  movb %bl, %al
  movw %di, %dx
  outb %al, %dx
carried:
  ret
#endif
  .org 510
  .word 0xaa55
