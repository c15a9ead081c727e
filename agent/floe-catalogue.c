/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-catalogue.h"

#include "common/floe-log.h"

#include <string.h>

struct _FloeCatalogueImage {
  char *id;
  gboolean current;
  gboolean appliance;
  gint64 unneeded_since; /* 0: it is needed, or nobody has looked */
  FloeTable *table;
  FloeBootList *boot; /* NULL: none */
  uint8_t *have;      /* a bit for each of the table's entries */
  size_t have_count;
  guint64 have_bytes, total_bytes, fetched_bytes;
  gboolean changed;   /* progress, since it was last reported */
  size_t boot_at;     /* the next of the boot list to look at */
  size_t boot_left;   /* how many of it are still to be looked at; 0: no boot under way */
  size_t fill_at;     /* the next entry for the background to look at */
};

struct _FloeCatalogue {
  GPtrArray *images;     /* of FloeCatalogueImage */
  FloeBootList *running; /* what pieces of the appliance need not have in the store; NULL: nothing */
  GHashTable *puts;      /* FloeDigest to how many puts of it are not durable yet */
};

static gboolean
has_bit (const FloeCatalogueImage *image, size_t number)
{
  return (image->have[number / 8] >> number % 8 & 1) != 0;
}

static void
set_bit (FloeCatalogueImage *image, size_t number, const FloeTableEntry *entry, gboolean have)
{
  if (has_bit (image, number) == have)
    return;
  image->have[number / 8] ^= (uint8_t) (1u << number % 8);
  image->have_count += have ? 1 : (size_t) -1;
  image->have_bytes += have ? entry->compressed_size : -(guint64) entry->compressed_size;
  image->changed = TRUE;
}

static gboolean
mark_stored (const FloeDigest *digest, uint64_t size, gpointer data)
{
  FloeCatalogueImage *image = data;
  FloeTableEntry entry;
  size_t number;

  if (floe_table_find_number (image->table, digest, &number, &entry) && size == entry.compressed_size)
    set_bit (image, number, &entry, TRUE);
  return TRUE;
}

FloeCatalogueImage *
floe_catalogue_image_new (const char *id, gboolean current, FloeTable *table, FloeBootList *boot, FloeStore *store, GError **error)
{
  g_autoptr (FloeCatalogueImage) image = g_new0 (FloeCatalogueImage, 1);

  image->id = g_strdup (id);
  image->current = current;
  image->table = table;
  image->boot = boot;
  image->have = g_malloc0 (floe_table_count (table) / 8 + 1);
  image->total_bytes = floe_table_compressed_total (table);
  image->changed = TRUE;
  if (!floe_store_foreach (store, mark_stored, image, error))
    return NULL;
  return g_steal_pointer (&image);
}

void
floe_catalogue_image_set_appliance (FloeCatalogueImage *image)
{
  image->appliance = TRUE;
}

void
floe_catalogue_image_free (FloeCatalogueImage *image)
{
  if (image == NULL)
    return;
  floe_table_free (image->table);
  floe_boot_list_free (image->boot);
  g_free (image->have);
  g_free (image->id);
  g_free (image);
}

static void
image_free (gpointer image)
{
  floe_catalogue_image_free (image);
}

FloeCatalogue *
floe_catalogue_new (void)
{
  FloeCatalogue *catalogue = g_new0 (FloeCatalogue, 1);

  catalogue->images = g_ptr_array_new_with_free_func (image_free);
  catalogue->puts = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  return catalogue;
}

void
floe_catalogue_free (FloeCatalogue *catalogue)
{
  if (catalogue == NULL)
    return;
  g_ptr_array_unref (catalogue->images);
  floe_boot_list_free (catalogue->running);
  g_hash_table_unref (catalogue->puts);
  g_free (catalogue);
}

gboolean
floe_catalogue_has_image (FloeCatalogue *catalogue, const char *id)
{
  for (guint i = 0; i < catalogue->images->len; i++)
    if (strcmp (((FloeCatalogueImage *) catalogue->images->pdata[i])->id, id) == 0)
      return TRUE;
  return FALSE;
}

static void
mark_running (FloeCatalogue *catalogue, FloeCatalogueImage *image)
{
  size_t count = image->appliance && catalogue->running != NULL ? floe_boot_list_count (catalogue->running) : 0;

  for (size_t i = 0; i < count; i++) {
    FloeTableEntry entry;
    FloeDigest digest;
    size_t number;

    floe_boot_list_digest (catalogue->running, i, &digest);
    if (floe_table_find_number (image->table, &digest, &number, &entry))
      set_bit (image, number, &entry, TRUE);
  }
}

/* IMAGE has the marks of what is visible in the store: they become those of what is there for good. */
static void
settle (FloeCatalogue *catalogue, FloeCatalogueImage *image)
{
  GHashTableIter iter;
  FloeTableEntry entry;
  gpointer digest;
  size_t number;

  g_hash_table_iter_init (&iter, catalogue->puts);
  while (g_hash_table_iter_next (&iter, &digest, NULL))
    if (floe_table_find_number (image->table, digest, &number, &entry))
      set_bit (image, number, &entry, FALSE);
  mark_running (catalogue, image);
}

void
floe_catalogue_add (FloeCatalogue *catalogue, FloeCatalogueImage *image)
{
  for (guint i = 0; i < catalogue->images->len; i++)
    if (strcmp (((FloeCatalogueImage *) catalogue->images->pdata[i])->id, image->id) == 0) {
      g_ptr_array_remove_index (catalogue->images, i);
      break;
    }
  settle (catalogue, image);
  g_ptr_array_add (catalogue->images, image);
}

guint
floe_catalogue_retire (FloeCatalogue *catalogue, const char *const *in_use, gint64 now, gint64 grace,
                       void (*dropped) (const char *id, gpointer data), gpointer data)
{
  guint count = 0;

  for (guint i = 0; i < catalogue->images->len;) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (image->current || g_strv_contains (in_use, image->id))
      image->unneeded_since = 0;
    else if (image->unneeded_since == 0)
      image->unneeded_since = now;
    if (image->unneeded_since == 0 || now - image->unneeded_since < grace) {
      i++;
      continue;
    }
    dropped (image->id, data);
    g_ptr_array_remove_index (catalogue->images, i);
    count++;
  }
  return count;
}

void
floe_catalogue_set_current (FloeCatalogue *catalogue, const char *const *ids)
{
  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    image->current = g_strv_contains (ids, image->id);
    image->fill_at = 0;
  }
}

gboolean
floe_catalogue_is_empty (FloeCatalogue *catalogue)
{
  return catalogue->images->len == 0;
}

gboolean
floe_catalogue_find (FloeCatalogue *catalogue, const FloeDigest *digest, FloeTableEntry *entry)
{
  for (guint i = 0; i < catalogue->images->len; i++)
    if (floe_table_find (((FloeCatalogueImage *) catalogue->images->pdata[i])->table, digest, entry))
      return TRUE;
  return FALSE;
}

static gboolean
is_complete (const FloeCatalogueImage *image)
{
  return image->have_count == floe_table_count (image->table);
}

/* A boot begins (or comes back) at DIGEST: from there to the list's end, then what came before. */
static void
begin_boot (FloeCatalogueImage *image, const FloeDigest *digest)
{
  size_t count = floe_boot_list_count (image->boot);
  FloeDigest listed;

  for (size_t i = 0; i < count; i++) {
    floe_boot_list_digest (image->boot, i, &listed);
    if (!floe_digest_equal (&listed, digest))
      continue;
    image->boot_at = (i + 1) % count;
    image->boot_left = count;
    return;
  }
}

void
floe_catalogue_missed (FloeCatalogue *catalogue, const FloeDigest *digest)
{
  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (image->boot != NULL && image->boot_left == 0 && !is_complete (image))
      begin_boot (image, digest);
  }
}

void
floe_catalogue_fetched (FloeCatalogue *catalogue, const FloeDigest *digest, guint64 bytes)
{
  FloeTableEntry entry;

  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (!floe_table_find (image->table, digest, &entry))
      continue;
    image->fetched_bytes += bytes;
    image->changed = TRUE;
  }
}

void
floe_catalogue_mark (FloeCatalogue *catalogue, const FloeDigest *digest, gboolean have)
{
  FloeTableEntry entry;
  size_t number;

  if (have && g_hash_table_contains (catalogue->puts, digest))
    return;
  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (floe_table_find_number (image->table, digest, &number, &entry))
      set_bit (image, number, &entry, have);
  }
}

void
floe_catalogue_put_begins (FloeCatalogue *catalogue, const FloeDigest *digest)
{
  guint puts = GPOINTER_TO_UINT (g_hash_table_lookup (catalogue->puts, digest));

  g_hash_table_insert (catalogue->puts, g_memdup2 (digest, sizeof *digest), GUINT_TO_POINTER (puts + 1));
}

void
floe_catalogue_put_ended (FloeCatalogue *catalogue, const FloeDigest *digest, gboolean durable)
{
  guint puts = GPOINTER_TO_UINT (g_hash_table_lookup (catalogue->puts, digest));
  char hex[FLOE_DIGEST_HEX_SIZE];

  g_return_if_fail (puts > 0);
  if (puts > 1) {
    g_hash_table_insert (catalogue->puts, g_memdup2 (digest, sizeof *digest), GUINT_TO_POINTER (puts - 1));
    return;
  }
  g_hash_table_remove (catalogue->puts, digest);
  if (!durable)
    return;
  floe_catalogue_mark (catalogue, digest, TRUE);
  floe_digest_to_hex (digest, hex);
  floe_debug ("chunk is here for good", "DIGEST", hex);
}

guint
floe_catalogue_puts (FloeCatalogue *catalogue)
{
  return g_hash_table_size (catalogue->puts);
}

gboolean
floe_catalogue_has (FloeCatalogue *catalogue, const FloeDigest *digest)
{
  FloeTableEntry entry;
  size_t number;

  /* What the appliance has may be elsewhere than in the store. */
  for (guint i = 0; i < catalogue->images->len; i++) {
    const FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (!image->appliance && floe_table_find_number (image->table, digest, &number, &entry))
      return has_bit (image, number);
  }
  return FALSE;
}

static gboolean
mark_in_all (const FloeDigest *digest, uint64_t size, gpointer data)
{
  FloeCatalogue *catalogue = data;

  for (guint i = 0; i < catalogue->images->len; i++)
    mark_stored (digest, size, catalogue->images->pdata[i]);
  return TRUE;
}

gboolean
floe_catalogue_rescan (FloeCatalogue *catalogue, FloeStore *store, GError **error)
{
  gboolean read;

  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    memset (image->have, 0, floe_table_count (image->table) / 8 + 1);
    image->have_count = 0;
    image->have_bytes = 0;
    image->changed = TRUE;
    image->fill_at = 0;
  }
  read = floe_store_foreach (store, mark_in_all, catalogue, error);
  for (guint i = 0; i < catalogue->images->len; i++)
    settle (catalogue, catalogue->images->pdata[i]);
  return read;
}

gboolean
floe_catalogue_set_running (FloeCatalogue *catalogue, FloeBootList *list, FloeStore *store, GError **error)
{
  floe_boot_list_free (catalogue->running);
  catalogue->running = list;
  return floe_catalogue_rescan (catalogue, store, error);
}

gboolean
floe_catalogue_has_appliance (FloeCatalogue *catalogue)
{
  gboolean found = FALSE;

  for (guint i = 0; i < catalogue->images->len; i++) {
    const FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (!image->appliance || !image->current)
      continue;
    if (!is_complete (image))
      return FALSE;
    found = TRUE;
  }
  return found;
}

GArray *
floe_catalogue_appliance_chunks (FloeCatalogue *catalogue)
{
  GArray *entries = g_array_new (FALSE, FALSE, sizeof (FloeTableEntry));
  g_autoptr (GHashTable) seen = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  size_t count = catalogue->running != NULL ? floe_boot_list_count (catalogue->running) : 0;
  FloeTableEntry entry;

  for (size_t i = 0; i < count; i++) {
    FloeDigest digest;

    floe_boot_list_digest (catalogue->running, i, &digest);
    g_hash_table_add (seen, g_memdup2 (&digest, sizeof digest));
  }
  for (guint i = 0; i < catalogue->images->len; i++) {
    const FloeCatalogueImage *image = catalogue->images->pdata[i];

    for (size_t number = 0; image->appliance && image->current && number < floe_table_count (image->table); number++) {
      floe_table_entry (image->table, number, &entry);
      if (g_hash_table_add (seen, g_memdup2 (&entry.digest, sizeof entry.digest)))
        g_array_append_val (entries, entry);
    }
  }
  return entries;
}

static gboolean
next_of_boot (FloeCatalogue *catalogue, FloeCatalogueImage *image, FloeTableEntry *entry)
{
  FloeDigest digest;
  size_t number;

  while (image->boot_left > 0) {
    floe_boot_list_digest (image->boot, image->boot_at, &digest);
    image->boot_at = (image->boot_at + 1) % floe_boot_list_count (image->boot);
    image->boot_left--;
    if (floe_table_find_number (image->table, &digest, &number, entry) && !has_bit (image, number)
        && !g_hash_table_contains (catalogue->puts, &digest))
      return TRUE;
  }
  return FALSE;
}

static gboolean
next_of_rest (FloeCatalogue *catalogue, FloeCatalogueImage *image, FloeTableEntry *entry)
{
  size_t count = floe_table_count (image->table);

  if (!image->current)
    return FALSE;
  while (image->fill_at < count) {
    size_t number = image->fill_at++;

    if (has_bit (image, number))
      continue;
    floe_table_entry (image->table, number, entry);
    if (!g_hash_table_contains (catalogue->puts, &entry->digest))
      return TRUE;
  }
  return FALSE;
}

gboolean
floe_catalogue_next (FloeFetchClass fetch_class, FloeTableEntry *entry, gpointer data)
{
  FloeCatalogue *catalogue = data;

  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (fetch_class == FLOE_FETCH_BOOT ? next_of_boot (catalogue, image, entry) : next_of_rest (catalogue, image, entry))
      return TRUE;
  }
  return FALSE;
}

void
floe_catalogue_rewind (FloeCatalogue *catalogue)
{
  for (guint i = 0; i < catalogue->images->len; i++)
    ((FloeCatalogueImage *) catalogue->images->pdata[i])->fill_at = 0;
}

gboolean
floe_catalogue_is_complete (FloeCatalogue *catalogue)
{
  for (guint i = 0; i < catalogue->images->len; i++) {
    const FloeCatalogueImage *image = catalogue->images->pdata[i];

    if (image->current && !is_complete (image))
      return FALSE;
  }
  return TRUE;
}

void
floe_catalogue_report (FloeCatalogue *catalogue, gboolean all, void (*each) (const FloeCatalogueProgress *progress, gpointer data),
                       gpointer data)
{
  for (guint i = 0; i < catalogue->images->len; i++) {
    FloeCatalogueImage *image = catalogue->images->pdata[i];
    FloeCatalogueProgress progress = { image->id, image->have_bytes, image->total_bytes, image->fetched_bytes };

    if (!image->changed && !all)
      continue;
    image->changed = FALSE;
    each (&progress, data);
  }
}
