/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-path.h"

#include <string.h>

#define DIGEST "abcd0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"

static void
test_good (void)
{
  static const char *const good[] = {
    "/metadata/timestamp.json",
    "/metadata/1.root.json",
    "/metadata/12.images.json",
    "/targets/policy/" DIGEST ".office.json",
    "/targets/images/desktop/" DIGEST ".0123456789abcdef.caibx",
    "/targets/a/b/c/d/e/f/g",
    "/chunks/abcd/" DIGEST ".cacnk",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_cmpint (floe_server_path_check (good[i]), ==, FLOE_SERVER_PATH_GOOD);
}

static void
test_refused (void)
{
  static const char *const bad[] = {
    "",
    "/",
    "*",
    "metadata/timestamp.json",
    "http://host/metadata/timestamp.json",
    "//metadata/timestamp.json",
    "/metadata",
    "/metadata/",
    "/metadata//timestamp.json",
    "/metadata/timestamp.json/",
    "/metadata/timestamp.json?x",
    "/metadata/timestamp.json#x",
    "/metadata/timestamp.json%00",
    "/metadata/%74imestamp.json",
    "/metadata/timestamp.jso",
    "/metadata/.timestamp.json",
    "/metadata/.timestamp.json.12345678",
    "/metadata/../tls/key.pem",
    "/metadata/..%2f..%2ftls%2fkey.json",
    "/metadata/..\\tls\\key.json",
    "/metadata/a/b.json",
    "/Metadata/timestamp.json",
    "/tls/key.pem",
    "/targets",
    "/targets/",
    "/targets/..",
    "/targets/./a",
    "/targets/a/../b",
    "/targets/a//b",
    "/targets/a/",
    "/targets/a/b/c/d/e/f/g/h",
    "/targets/a b",
    "/targets/a\tb",
    "/targets/\xc0\xae\xc0\xae/a",
    "/targets/a;b",
    "/targets/~root",
    "/chunks/",
    "/chunks/abcd",
    "/chunks/.writing/x",
    "/chunks/abcd/" DIGEST,
    "/chunks/abcd/" DIGEST ".cacnk.",
    "/chunks/abcd/" DIGEST ".cacnk/",
    "/chunks/abcd/" DIGEST "0.cacnk",
    "/chunks/abce/" DIGEST ".cacnk",
    "/chunks/ABCD/ABCD0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab.cacnk",
    "/chunks/abc/" DIGEST ".cacnk",
    "/chunks/abcd" DIGEST ".cacnk",
    "/chunks/../" DIGEST ".cacnk",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_test_message ("%s", bad[i]);
    g_assert_cmpint (floe_server_path_check (bad[i]), ==, FLOE_SERVER_PATH_REFUSED);
  }
}

static void
test_lengths (void)
{
  g_autofree char *name = g_strnfill (128, 'a');
  g_autofree char *longest = g_strconcat ("/targets/", name, NULL);
  g_autofree char *longer = g_strconcat ("/targets/", name, "a", NULL);
  g_autofree char *full = g_strnfill (FLOE_SERVER_PATH_MAX, '/');
  g_autofree char *over = g_strnfill (FLOE_SERVER_PATH_MAX + 1, 'a');

  g_assert_cmpint (floe_server_path_check (longest), ==, FLOE_SERVER_PATH_GOOD);
  g_assert_cmpint (floe_server_path_check (longer), ==, FLOE_SERVER_PATH_REFUSED);
  g_assert_cmpint (floe_server_path_check (full), ==, FLOE_SERVER_PATH_REFUSED);
  g_assert_cmpint (floe_server_path_check (over), ==, FLOE_SERVER_PATH_TOO_LONG);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/server-path/good", test_good);
  g_test_add_func ("/server-path/refused", test_refused);
  g_test_add_func ("/server-path/lengths", test_lengths);
  return g_test_run ();
}
