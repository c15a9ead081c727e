/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-json.h"

#include <string.h>

/* Theory of operation: jansson checks the syntax and holds the values but forgets lines. The document keeps the text, and only
 * when a mistake has to be reported is the text, by then known to be well-formed, walked once more to find the line. Each
 * value handed out is remembered with the keys that were asked of it: that is what floe_json_finish() checks. A value's path is written
 * only when somebody wants it: a document of 16 MiB has half a million values, and at most one mistake. */

struct _FloeJson {
  FloeJsonDocument *document;
  json_t *value;
  const FloeJson *parent; /* NULL: the root */
  const char *key;        /* in PARENT, jansson's own copy; NULL: an element of an array */
  size_t index;
  char *path;       /* NULL until it is asked for */
  GHashTable *read; /* keys asked for (jansson's own copies, compared as pointers) to their nodes; NULL until the first */
  gboolean rest_ignored;
};

struct _FloeJsonDocument {
  GBytes *text;
  char *source;
  json_t *value;
  GPtrArray *nodes; /* of FloeJson; the root first */
  GError *mistake;
};

static void
node_free (gpointer data)
{
  FloeJson *node = data;

  g_free (node->path);
  g_clear_pointer (&node->read, g_hash_table_unref);
  g_free (node);
}

static FloeJson *
node_new (FloeJsonDocument *document, json_t *value, const FloeJson *parent, const char *key, size_t index)
{
  FloeJson *node = g_new0 (FloeJson, 1);

  node->document = document;
  node->value = value;
  node->parent = parent;
  node->key = key;
  node->index = index;
  g_ptr_array_add (document->nodes, node);
  return node;
}

/* From NODE up to the root, which is left out. An array, not recursion: how deep a reader goes may be the text's doing. */
static GPtrArray *
steps_to (const FloeJson *node)
{
  GPtrArray *steps = g_ptr_array_new ();

  for (; node->parent != NULL; node = node->parent)
    g_ptr_array_add (steps, (gpointer) node);
  return steps;
}

static char *
path_new (const FloeJson *node)
{
  g_autoptr (GPtrArray) steps = steps_to (node);
  g_autoptr (GString) path = g_string_new (NULL);

  for (guint i = steps->len; i > 0; i--) {
    const FloeJson *step = g_ptr_array_index (steps, i - 1);

    if (step->key == NULL)
      g_string_append_printf (path, "[%zu]", step->index);
    else
      g_string_append_printf (path, "%s%s", path->len > 0 ? "." : "", step->key);
  }
  return g_string_free (g_steal_pointer (&path), FALSE);
}

/* jansson takes up to 250 bytes for the two of "{}": what a text may make of itself is bounded before it is parsed. Members and elements
 * are counted by what separates them, so that this needs no syntax. */
static gboolean
count_values (const char *data, gsize size, const char *source, GError **error)
{
  gboolean in_string = FALSE;
  size_t values = 1;

  for (gsize i = 0; i < size; i++) {
    if (data[i] == '"')
      in_string = !in_string;
    else if (in_string)
      i += data[i] == '\\';
    else
      values += data[i] == ',' || data[i] == '[' || data[i] == '{';
  }
  if (values > FLOE_JSON_VALUES_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: %zu values, %d at most", source, values, FLOE_JSON_VALUES_MAX);
  return TRUE;
}

FloeJsonDocument *
floe_json_parse (GBytes *text, const char *source, size_t max, GError **error)
{
  g_autoptr (FloeJsonDocument) document = g_new0 (FloeJsonDocument, 1);
  json_error_t detail;
  gsize size;
  const char *data = g_bytes_get_data (text, &size);

  document->text = g_bytes_ref (text);
  document->source = g_strdup (source);
  document->nodes = g_ptr_array_new_with_free_func (node_free);
  if (size > max) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "%s: %zu bytes, %zu at most", source, (size_t) size, max);
    return NULL;
  }
  if (!count_values (data, size, source, error))
    return NULL;
  document->value = json_loadb (data != NULL ? data : "", size, JSON_REJECT_DUPLICATES, &detail);
  if (document->value == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s:%d: %s", source, detail.line, detail.text);
    return NULL;
  }
  node_new (document, document->value, NULL, NULL, 0);
  return g_steal_pointer (&document);
}

void
floe_json_free (FloeJsonDocument *document)
{
  if (document == NULL)
    return;
  g_clear_pointer (&document->nodes, g_ptr_array_unref);
  g_clear_pointer (&document->value, json_decref);
  g_clear_pointer (&document->text, g_bytes_unref);
  g_clear_error (&document->mistake);
  g_free (document->source);
  g_free (document);
}

FloeJson *
floe_json_root (FloeJsonDocument *document)
{
  return g_ptr_array_index (document->nodes, 0);
}

gboolean
floe_json_failed (FloeJsonDocument *document)
{
  return document->mistake != NULL;
}

/* -- Finding a line again ------------------------------------------------------------------------------------------- */

typedef struct {
  const char *at, *end;
  unsigned line;
} Walk;

static void
walk_blank (Walk *walk)
{
  for (; walk->at < walk->end && strchr (" \t\r\n", *walk->at) != NULL; walk->at++)
    walk->line += *walk->at == '\n';
}

/* Steps over a string, leaving its raw span (escapes undecoded) in START and SIZE. */
static void
walk_string (Walk *walk, const char **start, size_t *size)
{
  *start = ++walk->at;
  for (; walk->at < walk->end && *walk->at != '"'; walk->at++)
    if (*walk->at == '\\')
      walk->at++;
  *size = (size_t) (walk->at - *start);
  walk->at++;
}

/* Steps over any value. Iterative: depth is the text's, and the text is hostile. */
static void
walk_value (Walk *walk)
{
  const char *start;
  size_t size, depth = 0;

  do {
    walk_blank (walk);
    if (walk->at >= walk->end)
      return;
    if (*walk->at == '"') {
      walk_string (walk, &start, &size);
    } else if (strchr ("{[", *walk->at) != NULL) {
      depth++;
      walk->at++;
    } else if (strchr ("}]", *walk->at) != NULL) {
      depth--;
      walk->at++;
    } else if (strchr (",:", *walk->at) != NULL) {
      walk->at++;
    } else {
      while (walk->at < walk->end && strchr (" \t\r\n,:]}", *walk->at) == NULL)
        walk->at++;
    }
    if (depth > 0)
      walk_blank (walk);
  } while (depth > 0);
}

/* Steps into the object at WALK up to KEY (SIZE bytes). Keys that are written with escapes are not found. */
static gboolean
walk_to_key (Walk *walk, const char *key, size_t key_size)
{
  const char *start;
  size_t size;

  walk->at++;
  for (;;) {
    walk_blank (walk);
    if (walk->at >= walk->end || *walk->at != '"')
      return FALSE;
    Walk before = *walk;
    walk_string (walk, &start, &size);
    if (size == key_size && memcmp (start, key, size) == 0) {
      *walk = before;
      return TRUE;
    }
    walk_blank (walk);
    walk->at++;
    walk_value (walk);
    walk_blank (walk);
    walk->at++;
  }
}

static gboolean
walk_to_index (Walk *walk, size_t index)
{
  walk->at++;
  for (; index > 0; index--) {
    walk_value (walk);
    walk_blank (walk);
    if (walk->at >= walk->end || *walk->at != ',')
      return FALSE;
    walk->at++;
  }
  walk_blank (walk);
  return TRUE;
}

/* Moves from a key to its value, if the walk stands on one. */
static void
walk_past_key (Walk *walk)
{
  const char *start;
  size_t size;

  walk_string (walk, &start, &size);
  walk_blank (walk);
  walk->at++;
  walk_blank (walk);
}

/* The line of the key, for a member of an object; of the innermost container that was found, where a key is written with escapes. */
static unsigned
line_of (const FloeJson *node)
{
  g_autoptr (GPtrArray) steps = steps_to (node);
  gsize size;
  const char *text = g_bytes_get_data (node->document->text, &size);
  Walk walk = { text, text + size, 1 };
  gboolean on_key = FALSE;

  walk_blank (&walk);
  for (guint i = steps->len; i > 0; i--) {
    const FloeJson *step = g_ptr_array_index (steps, i - 1);
    unsigned container = walk.line;

    if (on_key)
      walk_past_key (&walk);
    on_key = step->key != NULL;
    if (on_key ? !walk_to_key (&walk, step->key, strlen (step->key)) : !walk_to_index (&walk, step->index))
      return container;
  }
  return walk.line;
}

unsigned
floe_json_line (FloeJson *value)
{
  return value == NULL ? 0 : line_of (value);
}

const char *
floe_json_path (FloeJson *value)
{
  if (value == NULL)
    return "";
  if (value->path == NULL)
    value->path = path_new (value);
  return value->path;
}

/* -- Mistakes ------------------------------------------------------------------------------------------------------- */

static void
refuse (const FloeJson *node, const char *message)
{
  FloeJsonDocument *document = node->document;
  g_autofree char *path = path_new (node), *shown = g_strescape (path, NULL);

  g_set_error (&document->mistake, FLOE_ERROR, FLOE_ERROR_INVALID, "%s:%u: %s: %s", document->source, line_of (node),
               *shown != '\0' ? shown : "document", message);
}

void
floe_json_refuse (FloeJson *value, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  if (value == NULL || value->document->mistake != NULL)
    return;
  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  refuse (value, message);
}

static void
check_all_read (FloeJson *node)
{
  const char *key;
  json_t *value;

  json_object_foreach (node->value, key, value) {
    FloeJson member = { .document = node->document, .value = value, .parent = node, .key = key };

    if (node->read != NULL && g_hash_table_contains (node->read, key))
      continue;
    refuse (&member, "unknown key");
    return;
  }
}

gboolean
floe_json_finish (FloeJsonDocument *document, GError **error)
{
  for (guint i = 0; i < document->nodes->len && document->mistake == NULL; i++) {
    FloeJson *node = g_ptr_array_index (document->nodes, i);

    if (json_is_object (node->value) && !node->rest_ignored)
      check_all_read (node);
  }
  if (document->mistake == NULL)
    return TRUE;
  if (error != NULL)
    *error = g_error_copy (document->mistake);
  return FALSE;
}

/* -- Values --------------------------------------------------------------------------------------------------------- */

static const char *
type_name (json_t *value)
{
  static const char *const names[] = { "an object", "an array", "a string", "an integer", "a real number",
                                       "true",      "false",    "null" };

  return names[json_typeof (value)];
}

static gboolean
is_of (FloeJson *value, gboolean right, const char *wanted)
{
  if (value == NULL)
    return FALSE;
  if (!right)
    floe_json_refuse (value, "%s wanted, not %s", wanted, type_name (value->value));
  return right;
}

FloeJson *
floe_json_optional (FloeJson *object, const char *key)
{
  FloeJson *node;
  void *at;

  if (object == NULL || !is_of (object, json_is_object (object->value), "an object"))
    return NULL;
  at = json_object_iter_at (object->value, key);
  if (at == NULL)
    return NULL;
  if (object->read == NULL)
    object->read = g_hash_table_new (NULL, NULL);
  node = g_hash_table_lookup (object->read, json_object_iter_key (at));
  if (node == NULL) {
    node = node_new (object->document, json_object_iter_value (at), object, json_object_iter_key (at), 0);
    g_hash_table_insert (object->read, (gpointer) node->key, node);
  }
  return node;
}

FloeJson *
floe_json_member (FloeJson *object, const char *key)
{
  FloeJson *value = floe_json_optional (object, key);

  if (value == NULL && object != NULL)
    floe_json_refuse (object, "key '%s' is missing", key);
  return value;
}

const char **
floe_json_keys (FloeJson *object, size_t max)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new ();
  const char *key;
  json_t *value;

  if (object != NULL && is_of (object, json_is_object (object->value), "an object")) {
    if (json_object_size (object->value) > max)
      floe_json_refuse (object, "%zu keys, %zu at most", json_object_size (object->value), max);
    else
      json_object_foreach (object->value, key, value)
        g_ptr_array_add (keys, (gpointer) key);
  }
  g_ptr_array_add (keys, NULL);
  return (const char **) g_ptr_array_free (g_steal_pointer (&keys), FALSE);
}

void
floe_json_ignore_rest (FloeJson *object)
{
  if (object != NULL)
    object->rest_ignored = TRUE;
}

size_t
floe_json_length (FloeJson *array, size_t max)
{
  if (array == NULL || !is_of (array, json_is_array (array->value), "an array"))
    return 0;
  if (json_array_size (array->value) > max) {
    floe_json_refuse (array, "%zu elements, %zu at most", json_array_size (array->value), max);
    return 0;
  }
  return json_array_size (array->value);
}

FloeJson *
floe_json_at (FloeJson *array, size_t index)
{
  json_t *value;

  if (array == NULL || !is_of (array, json_is_array (array->value), "an array"))
    return NULL;
  value = json_array_get (array->value, index);
  if (value == NULL) {
    floe_json_refuse (array, "element %zu is missing", index);
    return NULL;
  }
  return node_new (array->document, value, array, NULL, index);
}

const char *
floe_json_string (FloeJson *value, size_t max)
{
  const char *string;

  if (value == NULL || !is_of (value, json_is_string (value->value), "a string"))
    return "";
  string = json_string_value (value->value);
  if (json_string_length (value->value) > max) {
    floe_json_refuse (value, "%zu bytes, %zu at most", json_string_length (value->value), max);
    return "";
  }
  for (const char *at = string; *at != '\0'; at++)
    if ((unsigned char) *at < 0x20 || *at == 0x7f) {
      floe_json_refuse (value, "a control character (%02x) is not allowed", (unsigned char) *at);
      return "";
    }
  return string;
}

unsigned
floe_json_enum (FloeJson *value, const char *const *names)
{
  const char *string = floe_json_string (value, 256);
  g_autofree char *list = NULL;

  if (value == NULL || !json_is_string (value->value))
    return 0;
  for (unsigned i = 0; names[i] != NULL; i++)
    if (strcmp (names[i], string) == 0)
      return i;
  list = g_strjoinv (", ", (char **) names);
  floe_json_refuse (value, "one of %s wanted, not '%s'", list, string);
  return 0;
}

gint64
floe_json_int (FloeJson *value, gint64 min, gint64 max)
{
  gint64 number;

  if (value == NULL || !is_of (value, json_is_integer (value->value), "an integer"))
    return min;
  number = json_integer_value (value->value);
  if (number < min || number > max) {
    floe_json_refuse (value, "%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " wanted, not %" G_GINT64_FORMAT, min, max, number);
    return min;
  }
  return number;
}

gboolean
floe_json_bool (FloeJson *value)
{
  return value != NULL && is_of (value, json_is_boolean (value->value), "true or false") && json_is_true (value->value);
}

gboolean
floe_json_is_string (FloeJson *value)
{
  return value != NULL && json_is_string (value->value);
}

gboolean
floe_json_is_object (FloeJson *value)
{
  return value != NULL && json_is_object (value->value);
}

gboolean
floe_json_is_array (FloeJson *value)
{
  return value != NULL && json_is_array (value->value);
}

json_t *
floe_json_raw (FloeJson *value)
{
  if (value == NULL)
    return NULL;
  value->rest_ignored = TRUE;
  return value->value;
}
