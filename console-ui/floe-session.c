/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-session.h"

#include <string.h>

static gboolean
draws_in_hardware (const char *driver)
{
  static const char *const drivers[] = { "i915", "xe", "amdgpu", "radeon", "nouveau", NULL };

  return g_strv_contains (drivers, driver);
}

static gboolean
has_card (const char *sys)
{
  g_autofree char *cards = g_build_filename (sys, "class", "drm", NULL);
  g_autoptr (GDir) dir = g_dir_open (cards, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *link = g_build_filename (cards, name, "device", "driver", NULL);
    g_autofree char *target = g_str_has_prefix (name, "card") ? g_file_read_link (link, NULL) : NULL;
    g_autofree char *driver = target != NULL ? g_path_get_basename (target) : NULL;

    if (driver != NULL && draws_in_hardware (driver))
      return TRUE;
  }
  return FALSE;
}

static gboolean
has_mesa (const char *mesa)
{
  g_autoptr (GDir) dir = g_dir_open (mesa, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, "_dri.so"))
      return TRUE;
  return FALSE;
}

gboolean
floe_session_has_gpu (const char *sys, const char *mesa)
{
  return has_card (sys) && has_mesa (mesa);
}
