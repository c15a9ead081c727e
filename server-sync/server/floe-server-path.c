/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-path.h"

#include "common/floe-fd.h"

#include <string.h>

#define HEX "0123456789abcdef"
#define NAME_MAX_BYTES 128

/* Copies the component at *AT, up to '/' or the end, into NAME and moves past it. FALSE when it is not a safe name. */
static gboolean
take_name (const char **at, char name[NAME_MAX_BYTES + 1])
{
  size_t length = strcspn (*at, "/");

  if (length > NAME_MAX_BYTES)
    return FALSE;
  memcpy (name, *at, length);
  name[length] = '\0';
  *at += length;
  return floe_name_is_safe (name);
}

static gboolean
is_chunk (const char *at)
{
  const char *name = at + 5;

  return strspn (at, HEX) == 4 && at[4] == '/' && strspn (name, HEX) == 64 && strcmp (name + 64, ".cacnk") == 0 &&
         memcmp (at, name, 4) == 0;
}

static gboolean
is_metadata (const char *at)
{
  char name[NAME_MAX_BYTES + 1];

  return take_name (&at, name) && *at == '\0' && g_str_has_suffix (name, ".json");
}

static gboolean
is_target (const char *at)
{
  char name[NAME_MAX_BYTES + 1];

  for (unsigned depth = 2; depth <= FLOE_SERVER_PATH_DEPTH; depth++) {
    if (!take_name (&at, name))
      return FALSE;
    if (*at == '\0')
      return TRUE;
    at++;
  }
  return FALSE;
}

FloeServerPath
floe_server_path_check (const char *target)
{
  gboolean good = FALSE;

  if (strnlen (target, FLOE_SERVER_PATH_MAX + 1) > FLOE_SERVER_PATH_MAX)
    return FLOE_SERVER_PATH_TOO_LONG;
  if (g_str_has_prefix (target, "/chunks/"))
    good = is_chunk (target + strlen ("/chunks/"));
  else if (g_str_has_prefix (target, "/metadata/"))
    good = is_metadata (target + strlen ("/metadata/"));
  else if (g_str_has_prefix (target, "/targets/"))
    good = is_target (target + strlen ("/targets/"));
  return good ? FLOE_SERVER_PATH_GOOD : FLOE_SERVER_PATH_REFUSED;
}
