/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/privileges/floe-privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

/* Not among them, though a hypervisor might be thought to need it: SYS_PTRACE (an adopted process' last words are not
 * worth the right to enter any process), MKNOD, SYS_MODULE, SYS_RAWIO, SYS_RESOURCE (limits are only lowered),
 * SYS_CHROOT (jails pivot), DAC_OVERRIDE and FOWNER (what we write is ours, and so is the directory that it is in). */
static const unsigned needed[] = {
  CAP_SYS_ADMIN,        /* jails: namespaces, mounts, pivot_root, the host name inside */
  CAP_SETUID,           /* jails and the DHCP server become users of their own */
  CAP_SETGID,           /* the same, and they lose root's groups */
  CAP_SETPCAP,          /* they lose the bounding set */
  CAP_CHOWN,            /* nbdkit's socket is QEMU's user's, its cache directory nbdkit's */
  CAP_KILL,             /* ending them afterwards, as they are other users' */
  CAP_DAC_READ_SEARCH,  /* the spool and the chunk store are the agent's, the cache directories nbdkit's: bound into jails, read */
  CAP_NET_ADMIN,        /* taps, packet filter, connection tracking; the DHCP server's ARP entries */
  CAP_NET_RAW,          /* the socket that sees leases on a LAN; only to hand on: the DHCP server's router advertisements */
  CAP_NET_BIND_SERVICE, /* port 53 of the links, for resolvers; to hand on: the DHCP server's port 67 */
};

static gboolean
check_held (GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (needed); i++)
    if (!capng_have_capability (CAPNG_PERMITTED, needed[i]))
      return floe_error_set (error, FLOE_ERROR_REFUSED,
                             "capability cap_%s is missing; start floe-hypervisord as root, with it in the bounding set",
                             capng_capability_to_name (needed[i]));
  return TRUE;
}

gboolean
floe_privileges_drop (GError **error)
{
  const capng_type_t kept = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;

  if (capng_get_caps_process () < 0)
    return floe_error_set (error, FLOE_ERROR_FAILED, "capabilities of this process cannot be read");
  if (!check_held (error))
    return FALSE;
  capng_clear (CAPNG_SELECT_ALL);
  for (size_t i = 0; i < G_N_ELEMENTS (needed); i++)
    if (capng_update (CAPNG_ADD, kept, needed[i]) < 0)
      return floe_error_set (error, FLOE_ERROR_FAILED, "capability cap_%s is unknown here",
                             capng_capability_to_name (needed[i]));
  if (capng_apply (CAPNG_SELECT_ALL) < 0)
    return floe_error_set (error, FLOE_ERROR_FAILED, "capabilities cannot be dropped");
  /* Nothing that we start gains by a set-user-ID bit or a file's capabilities; the DHCP server's are ambient. */
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return floe_error_set_errno (error, errno, "forbid new privileges");
  return TRUE;
}
