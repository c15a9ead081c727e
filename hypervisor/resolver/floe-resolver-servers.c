/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver-servers.h"

#include "common/floe-fd.h"

#include <arpa/inet.h>
#include <string.h>

#define FILE_MAX (64 * 1024)
#define SERVERS 3

static gboolean
parse_line (const char *line, FloePolicyAddress *server)
{
  static const char keyword[] = "nameserver";
  FloePolicyAddress parsed = { 0 };
  char word[INET6_ADDRSTRLEN + 1];
  size_t length;

  if (!g_str_has_prefix (line, keyword) || (line[sizeof keyword - 1] != ' ' && line[sizeof keyword - 1] != '\t'))
    return FALSE;
  line += sizeof keyword;
  line += strspn (line, " \t");
  length = strcspn (line, " \t");
  if (length >= sizeof word)
    return FALSE;
  memcpy (word, line, length);
  word[length] = '\0';
  if (inet_pton (AF_INET, word, parsed.bytes) == 1)
    parsed.family = 4;
  else if (inet_pton (AF_INET6, word, parsed.bytes) == 1)
    parsed.family = 6;
  else
    return FALSE;
  *server = parsed;
  return TRUE;
}

size_t
floe_resolver_servers_parse (const char *text, size_t size, FloePolicyAddress servers[3])
{
  size_t n = 0;

  while (size > 0 && n < SERVERS) {
    const char *end = memchr (text, '\n', size);
    size_t length = end != NULL ? (size_t)(end - text) : size;
    /* A NUL would end the line for us and not for others. */
    g_autofree char *line = memchr (text, '\0', length) != NULL ? NULL : g_strndup (text, length);

    if (line != NULL && parse_line (line, &servers[n]))
      n++;
    length += end != NULL;
    text += length;
    size -= length;
  }
  return n;
}

size_t
floe_resolver_servers_read (const char *path, FloePolicyAddress servers[3])
{
  g_autoptr (GBytes) bytes = floe_file_read (path, FILE_MAX, NULL);
  gsize size = 0;
  const char *text = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  return text != NULL ? floe_resolver_servers_parse (text, size, servers) : 0;
}
