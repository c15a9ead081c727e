/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot sector for tests of machines: at each timer tick it reads a sector far out in its disk and writes sector 1, with a count of its
 * rounds and of the reads or writes that failed. What it does can be watched from outside, in its overlay. */
  .code16
  .globl _start
  .set RECORD, 0x7e00 /* "FLOEDISK", u32 rounds, u32 errors */
  .set BUFFER, 0x8000
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  cld
  movb %dl, drive
  movw $RECORD, %di
  movw $256, %cx
  rep stosw
  movl $0x454f4c46, RECORD
  movl $0x4b534944, RECORD + 4
  sti
round:
  hlt
  /* Sector 2048 + 256 n, n in 0..31: another chunk of the image every time. */
  movl RECORD + 8, %eax
  andl $31, %eax
  shll $8, %eax
  addl $2048, %eax
  movl %eax, packet + 8
  movw $BUFFER, packet + 4
  movb $0x42, %ah
  call disk
  incl RECORD + 8
  movl $1, packet + 8
  movw $RECORD, packet + 4
  movb $0x43, %ah
  call disk
  jmp round
disk:
  xorb %al, %al
  movb drive, %dl
  movw $packet, %si
  int $0x13
  jnc done
  incl RECORD + 12
done:
  ret
drive:
  .byte 0
  .balign 4
packet:
  .byte 16, 0
  .word 1
  .word BUFFER, 0
  .quad 0
  .org 510
  .word 0xaa55
