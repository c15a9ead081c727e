/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* A QMP peer that follows a script, one line a step: ">TEXT" is sent as it stands (with CR LF), "<WORD" waits for a command
 * that holds WORD and answers nothing, "=JSON" answers the last command with that return, "!TEXT" with an error, "." hangs
 * up, "fd" waits for a descriptor beside the next command. It stops at the script's end and keeps the connection open. */
typedef struct _FakeQmp FakeQmp;

/* *client is the end to talk to. */
FakeQmp *fake_qmp_new (const char *const *script, int *client);
/* Waits for the end of the script; whether all of it was played. */
gboolean fake_qmp_free (FakeQmp *fake);
