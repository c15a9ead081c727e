/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent-config.h"

#include <string.h>

#define PIN "sha256//wArNLzaIFqsF7nh4t3isnO+ala6BIGcIB0EdEJ1L7Dw="
#define SERVER "[server]\nurl=https://server.example:8443\npin=" PIN "\n"
#define ENDPOINT "[endpoint]\ngroup=office\n"

static FloeAgentConfig *
parse (const char *text, GError **error)
{
  return floe_agent_config_parse (text, strlen (text), "floe.conf", error);
}

static void
test_defaults (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeAgentConfig) config = parse (SERVER ENDPOINT "[host]\nusb=observe\n[console]\nanything=goes\n", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (config->url, ==, "https://server.example:8443");
  g_assert_cmpstr (config->pin, ==, PIN);
  g_assert_cmpstr (config->group, ==, "office");
  g_assert_cmpstr (config->state, ==, "/var/lib/floe");
  g_assert_cmpstr (config->run, ==, "/run/floe");
  g_assert_cmpstr (config->root, ==, "/usr/share/floe/root.json");
  g_assert_cmpuint (config->uid_base, ==, 630000);
}

static void
test_given (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeAgentConfig) config =
      parse ("[server]\nurl=https://[2001:db8::1]/\npin=" PIN "\n" ENDPOINT "[paths]\nstate=/s\nrun=/r\nroot=/k\n[host]\nuid_base=5000\n",
             &error);

  g_assert_no_error (error);
  g_assert_cmpstr (config->url, ==, "https://[2001:db8::1]");
  g_assert_cmpstr (config->state, ==, "/s");
  g_assert_cmpuint (config->uid_base, ==, 5000);
}

static void
test_plugins (void)
{
  g_autoptr (FloeAgentConfig) config = parse (SERVER ENDPOINT, NULL);

  g_assert_true (floe_agent_config_is_plugin (config, 630001));
  g_assert_true (floe_agent_config_is_plugin (config, 630000 + 2 * FLOE_AGENT_SLOTS - 1));
  /* QEMU's own uids, and the neighbours of the range. */
  g_assert_false (floe_agent_config_is_plugin (config, 630000));
  g_assert_false (floe_agent_config_is_plugin (config, 630002));
  g_assert_false (floe_agent_config_is_plugin (config, 629999));
  g_assert_false (floe_agent_config_is_plugin (config, 630000 + 2 * FLOE_AGENT_SLOTS + 1));
  g_assert_false (floe_agent_config_is_plugin (config, 0));
  g_assert_false (floe_agent_config_is_plugin (config, (uid_t) -1));
}

static void
test_bad (void)
{
  static const struct {
    const char *text, *says;
  } bad[] = {
    { ENDPOINT, "[server] url: is missing" },
    { "[setup]\naddress_file=floe.conf\n", "[setup] address_file: an absolute path wanted" },
    { "[setup]\naddress=x\n", "[setup] address: unknown key" },
    { "nonsense", "floe.conf: " },
    { "[server]\nurl=https://s\n" ENDPOINT, "[server] pin: is missing" },
    { SERVER, "[endpoint] group: is missing" },
    { "[server]\nurl=http://s\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=https://\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=https://s/path\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=https://s?q\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=https://user@s\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=https://s:99999\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=file:///etc/passwd\npin=" PIN "\n" ENDPOINT, "https://HOST:PORT wanted" },
    { "[server]\nurl=\npin=" PIN "\n" ENDPOINT, "1 to 1024 bytes wanted" },
    { "[server]\nurl=https://s\npin=sha256//\n" ENDPOINT, "sha256//BASE64" },
    { "[server]\nurl=https://s\npin=wArNLzaIFqsF7nh4t3isnO+ala6BIGcIB0EdEJ1L7Dw=\n" ENDPOINT, "sha256//BASE64" },
    { "[server]\nurl=https://s\npin=sha256//AAAA\n" ENDPOINT, "sha256//BASE64" },
    { "[server]\nurl=https://s\npin=" PIN ";" PIN "\n" ENDPOINT, "sha256//BASE64" },
    { "[server]\nurl=https://s\npin=sha256//wArN*LzaIFqsF7nh4t3isnO+ala6BIGcIB0EdEJ1L7Dw=\n" ENDPOINT, "sha256//BASE64" },
    { SERVER "[endpoint]\ngroup=../x\n", "[endpoint] group" },
    { SERVER "[endpoint]\ngroup=a/b\n", "[endpoint] group" },
    { SERVER "[endpoint]\ngroup=.hidden\n", "[endpoint] group" },
    { SERVER "[endpoint]\ngroup=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "[endpoint] group" },
    { SERVER ENDPOINT "[paths]\nstate=relative\n", "[paths] state: an absolute path wanted" },
    { SERVER ENDPOINT "[paths]\nsate=/x\n", "[paths] sate: unknown key" },
    { SERVER "retries=3\n" ENDPOINT, "[server] retries: unknown key" },
    { SERVER ENDPOINT "[host]\nuid_base=0\n", "[host] uid_base" },
    { SERVER ENDPOINT "[host]\nuid_base=999\n", "[host] uid_base" },
    { SERVER ENDPOINT "[host]\nuid_base=4294967295\n", "[host] uid_base" },
    { SERVER ENDPOINT "[host]\nuid_base=630000x\n", "[host] uid_base" },
    { SERVER ENDPOINT "\xff\xfe", "not UTF-8" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (FloeAgentConfig) config = parse (bad[i].text, &error);

    g_test_message ("%s", bad[i].text);
    g_assert_null (config);
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    if (strstr (error->message, bad[i].says) == NULL)
      g_error ("'%s' does not say '%s'", error->message, bad[i].says);
  }
}

static void
test_size (void)
{
  g_autofree char *large = g_strnfill (65537, '\n');
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeAgentConfig) config = parse (large, &error);

  g_assert_null (config);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

/* Nothing is said of a server: the endpoint has still to enrol, and adopts what enrolment leaves. */
static void
test_enrolment (void)
{
  static const char *const bad[] = { "", SERVER, ENDPOINT, SERVER ENDPOINT, SERVER ENDPOINT "id=../x\n", SERVER ENDPOINT "id=x\nuid=0\n",
                                     SERVER "root=/x\n" ENDPOINT "id=x\n" };
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeAgentConfig) config = parse ("[host]\nusb=observe\n", &error);
  g_autofree char *text = floe_agent_config_enrolment ("https://server.example:8443", PIN, "office", "0123456789abcdef");

  g_assert_no_error (error);
  g_assert_null (config->url);
  g_assert_cmpstr (config->address_file, ==, "/boot/floe.conf");
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) problem = NULL;

    g_assert_false (floe_agent_config_adopt (config, bad[i], strlen (bad[i]), "enrolment.conf", &problem));
    g_assert_error (problem, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_null (config->url);
  }
  g_assert_true (floe_agent_config_adopt (config, text, strlen (text), "enrolment.conf", &error));
  g_assert_cmpstr (config->url, ==, "https://server.example:8443");
  g_assert_cmpstr (config->pin, ==, PIN);
  g_assert_cmpstr (config->group, ==, "office");
  g_assert_cmpstr (config->id, ==, "0123456789abcdef");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/agent-config/defaults", test_defaults);
  g_test_add_func ("/agent-config/given", test_given);
  g_test_add_func ("/agent-config/plugins", test_plugins);
  g_test_add_func ("/agent-config/bad", test_bad);
  g_test_add_func ("/agent-config/enrolment", test_enrolment);
  g_test_add_func ("/agent-config/size", test_size);
  return g_test_run ();
}
