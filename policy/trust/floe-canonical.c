/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-canonical.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plain C below the one public function: whatever fails is a NULL or FALSE with `code` set, and no allocation aborts. Values
 * nest as deep as jansson parses (2,048), which bounds the recursion. */

typedef struct {
  json_malloc_t allocate;
  json_free_t release;
  char *data;
  size_t size, room;
  FloeError code;
} Output;

static bool encode (Output *out, const json_t *value);

static bool
grow (Output *out, size_t wanted)
{
  size_t room = out->room > 0 ? out->room : 1024;
  char *data;

  while (room < wanted)
    room *= 2;
  data = out->allocate (room);
  if (data == NULL) {
    out->code = FLOE_ERROR_NO_SPACE;
    return false;
  }
  if (out->size > 0)
    memcpy (data, out->data, out->size);
  out->release (out->data);
  out->data = data;
  out->room = room;
  return true;
}

static bool
put (Output *out, const char *data, size_t size)
{
  if (size > out->room - out->size && !grow (out, out->size + size))
    return false;
  memcpy (out->data + out->size, data, size);
  out->size += size;
  return true;
}

static bool
put_string (Output *out, const char *string, size_t size)
{
  size_t plain = 0;

  if (!put (out, "\"", 1))
    return false;
  for (size_t i = 0; i < size; i++) {
    if (string[i] != '"' && string[i] != '\\')
      continue;
    if (!put (out, string + plain, i - plain) || !put (out, "\\", 1))
      return false;
    plain = i;
  }
  return put (out, string + plain, size - plain) && put (out, "\"", 1);
}

/* Byte order of UTF-8 is code point order, which is how the reference sorts. */
static int
compare_keys (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static bool
put_members (Output *out, const json_t *object, const char **keys)
{
  size_t n = 0;
  const char *key;
  json_t *value;

  /* jansson's iterators do not alter the object; the casts only satisfy its signatures. */
  json_object_foreach ((json_t *) object, key, value)
    keys[n++] = key;
  qsort (keys, n, sizeof *keys, compare_keys);
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && !put (out, ",", 1))
      return false;
    if (!put_string (out, keys[i], strlen (keys[i])) || !put (out, ":", 1) || !encode (out, json_object_get (object, keys[i])))
      return false;
  }
  return true;
}

static bool
put_object (Output *out, const json_t *object)
{
  size_t n = json_object_size (object);
  const char **keys = NULL;
  bool ok;

  if (n > 0 && (keys = out->allocate (n * sizeof *keys)) == NULL) {
    out->code = FLOE_ERROR_NO_SPACE;
    return false;
  }
  ok = put (out, "{", 1) && (n == 0 || put_members (out, object, keys)) && put (out, "}", 1);
  out->release (keys);
  return ok;
}

static bool
put_array (Output *out, const json_t *array)
{
  if (!put (out, "[", 1))
    return false;
  for (size_t i = 0; i < json_array_size (array); i++)
    if ((i > 0 && !put (out, ",", 1)) || !encode (out, json_array_get (array, i)))
      return false;
  return put (out, "]", 1);
}

static bool
put_integer (Output *out, json_int_t number)
{
  char text[32];

  return put (out, text, (size_t) snprintf (text, sizeof text, "%" JSON_INTEGER_FORMAT, number));
}

static bool
encode (Output *out, const json_t *value)
{
  switch (json_typeof (value)) {
  case JSON_OBJECT:
    return put_object (out, value);
  case JSON_ARRAY:
    return put_array (out, value);
  case JSON_STRING:
    return put_string (out, json_string_value (value), json_string_length (value));
  case JSON_INTEGER:
    return put_integer (out, json_integer_value (value));
  case JSON_TRUE:
    return put (out, "true", 4);
  case JSON_FALSE:
    return put (out, "false", 5);
  case JSON_NULL:
    return put (out, "null", 4);
  case JSON_REAL:
  default:
    out->code = FLOE_ERROR_INVALID;
    return false;
  }
}

GBytes *
floe_canonical_encode (const json_t *value, GError **error)
{
  Output out = { 0 };

  json_get_alloc_funcs (&out.allocate, &out.release);
  if (!encode (&out, value)) {
    out.release (out.data);
    floe_error_set (error, out.code, "%s",
                    out.code == FLOE_ERROR_NO_SPACE ? "no memory for the canonical form of the JSON"
                                                    : "a number that is no integer has no canonical form and cannot be signed");
    return NULL;
  }
  return g_bytes_new_with_free_func (out.data, out.size, out.release, out.data);
}
