/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#ifdef FLOE_HAVE_SPICE_GTK
#include "console-ui/floe-usbredir.h"

static void
test_filters (void)
{
  static const char *const good[]
      = { "-1,-1,-1,-1,0", "0x03,-1,-1,-1,0|-1,0x046d,0x0825,-1,1|-1,-1,-1,-1,0", "-1,1133,2085,-1,1|-1,-1,-1,-1,0" };
  static const char *const bad[] = {
    "",
    "x",
    "-1,-1,-1,-1,1",                            /* everything */
    "-1,0x046d,0x0825,-1,1",                    /* what comes after it is allowed or not, as the peer likes */
    "0x08,-1,-1,-1,1|-1,-1,-1,-1,0",            /* whatever says that it is a disk */
    "0x108,0x046d,0x0825,-1,1|-1,-1,-1,-1,0",
    "-1,0x1046d,0x0825,-1,1|-1,-1,-1,-1,0",
    "-1,0x046d,0x0825,-1|-1,-1,-1,-1,0",
    "-1,0x046d,0x0825,-1,2|-1,-1,-1,-1,0",
    "-1,0x046d,0x0825,-1,1,0|-1,-1,-1,-1,0",
    "-2,0x046d,0x0825,-1,1|-1,-1,-1,-1,0",
    " -1,-1,-1,-1,0",
    "-1,-1,-1,-1,0|",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (floe_usbredir_filter_valid (good[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (floe_usbredir_filter_valid (bad[i]));
}

static gboolean
enabled (SpiceSession *session)
{
  gboolean usbredir = TRUE;

  g_object_get (session, "enable-usbredir", &usbredir, NULL);
  return usbredir;
}

/* spice-gtk redirects by default: a session is not left as it comes. */
static void
test_session (void)
{
  g_autoptr (GObject) session = G_OBJECT (spice_session_new ());
  SpiceUsbDeviceManager *manager;
  g_autofree char *automatic = NULL, *on_connect = NULL;
  gboolean auto_connect = TRUE;

  g_assert_true (enabled (SPICE_SESSION (session)));
  g_assert_false (floe_usbredir_configure (SPICE_SESSION (session), NULL));
  g_assert_false (enabled (SPICE_SESSION (session)));
  g_assert_false (floe_usbredir_configure (SPICE_SESSION (session), "-1,-1,-1,-1,1"));
  g_assert_false (enabled (SPICE_SESSION (session)));
  manager = spice_usb_device_manager_get (SPICE_SESSION (session), NULL);
  if (!floe_usbredir_configure (SPICE_SESSION (session), "-1,0x046d,0x0825,-1,1|-1,-1,-1,-1,0")) {
    /* No libusb here: then nothing may be on either. */
    g_assert_null (manager);
    g_assert_false (enabled (SPICE_SESSION (session)));
    return;
  }
  manager = spice_usb_device_manager_get (SPICE_SESSION (session), NULL);
  g_object_get (manager, "auto-connect", &auto_connect, "auto-connect-filter", &automatic, "redirect-on-connect", &on_connect,
                NULL);
  g_assert_false (auto_connect);
  g_assert_cmpstr (automatic, ==, "-1,-1,-1,-1,0");
  g_assert_cmpstr (on_connect, ==, "-1,-1,-1,-1,0");
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#ifdef FLOE_HAVE_SPICE_GTK
  g_test_add_func ("/usbredir/filters", test_filters);
  g_test_add_func ("/usbredir/session", test_session);
#endif
  return g_test_run ();
}
