/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/signing/floe-repository.h"

#include <stdio.h>

/* publish-any REPO KEYS PASSPHRASE-FILE ROLE TARGET FILE: signs whatever is in FILE, as a key holder can who does without
 * floe-policy and what that refuses to publish. */

#define MAX_BYTES (16 * 1024 * 1024)

int
main (int argc, char **argv)
{
  g_autoptr (FloePassphrase) passphrase = argc == 7 ? floe_passphrase_new (argv[3]) : NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeRepository) repository = NULL;
  g_autoptr (GBytes) content = NULL;
  gboolean in_force = FALSE;

  if (argc != 7)
    return 2;
  repository = floe_repository_open (argv[1], argv[2], passphrase, &error);
  content = repository == NULL ? NULL : floe_file_read (argv[6], MAX_BYTES, &error);
  if (content == NULL || !floe_repository_set_target (repository, argv[4], argv[5], content, &error)
      || !floe_repository_publish (repository, argv[4], g_get_real_time () / G_USEC_PER_SEC, &in_force, &error)) {
    fprintf (stderr, "publish-any: %s\n", error->message);
    return 1;
  }
  return in_force ? 0 : 3;
}
