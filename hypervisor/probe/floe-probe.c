/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/probe/floe-probe.h"

#include "common/floe-fd.h"
#include "hypervisor/probe/floe-probe-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 1000
/* A guest that hangs uses its CPU to the full. One that waits for a CPU on a busy host does not, and gets this many times as long. */
#define PATIENCE 15
/* Killing takes this long at most, or the child is stuck in the kernel and left to it. */
#define KILL_MS 500
#define QEMU_OVERHEAD_MIB 64
#define PROC_FILE_MAX (4 * 1024 * 1024)

const char *
floe_accelerator_name (FloeAccelerator accelerator)
{
  return accelerator == FLOE_ACCELERATOR_KVM ? "kvm" : "tcg";
}

/* -- The child -------------------------------------------------------------------------------------------------------- */

/* CPU time that PID has used, in ms; 0 when the kernel does not tell. */
static gint64
cpu_time_ms (pid_t pid)
{
  struct timespec used;
  clockid_t clock;

  if (clock_getcpuclockid (pid, &clock) != 0 || clock_gettime (clock, &used) < 0)
    return 0;
  return (gint64)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* Waits for PID until it has used DEADLINE_MS of CPU time, or PATIENCE times that have gone by; TRUE when it has ended and *status is
 * its. */
static gboolean
wait_child (pid_t pid, int pidfd, unsigned deadline_ms, int *status)
{
  gint64 end = g_get_monotonic_time () + (gint64)deadline_ms * PATIENCE * 1000;
  struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

  for (;;) {
    pid_t got = waitpid (pid, status, WNOHANG);
    gint64 left = (gint64)deadline_ms - cpu_time_ms (pid);

    if (got == pid)
      return TRUE;
    if ((got < 0 && errno != EINTR) || left <= 0 || g_get_monotonic_time () >= end)
      return FALSE;
    poll (&poll_fd, 1, (int)left);
  }
}

FloeKvmResult
floe_kvm_test (const FloeKvmSystem *system, unsigned deadline_ms)
{
  pid_t parent = getpid (), pid = fork ();
  floe_autofd pidfd = -1;
  int status;

  if (pid == 0) {
    if (prctl (PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid () != parent)
      _exit (FLOE_KVM_CRASHED);
    _exit (floe_kvm_test_guest (system));
  }
  if (pid < 0)
    return FLOE_KVM_CRASHED;
  pidfd = (int)syscall (SYS_pidfd_open, pid, 0);
  if (!wait_child (pid, pidfd, deadline_ms, &status)) {
    kill (pid, SIGKILL);
    wait_child (pid, pidfd, KILL_MS, &status);
    return FLOE_KVM_HUNG;
  }
  return WIFEXITED (status) && WEXITSTATUS (status) < FLOE_KVM_HUNG ? (FloeKvmResult)WEXITSTATUS (status)
                                                                    : FLOE_KVM_CRASHED;
}

/* -- The decision ------------------------------------------------------------------------------------------------------ */

/* Whether a flags line of the first CPU has the word. */
static gboolean
cpu_has (const char *cpuinfo, const char *flag)
{
  const char *line = g_str_has_prefix (cpuinfo, "flags") ? cpuinfo : strstr (cpuinfo, "\nflags");
  g_autofree char *copy = NULL;
  g_auto (GStrv) words = NULL;

  if (line == NULL)
    return FALSE;
  line += *line == '\n';
  copy = g_strndup (line, strcspn (line, "\n"));
  words = g_strsplit_set (copy, " \t:", -1);
  return g_strv_contains ((const char *const *)words, flag);
}

FloeAccelerator
floe_probe_decide (const FloeKvmSystem *system, const char *cpuinfo, unsigned deadline_ms, char **reason)
{
  static const char *const sentences[] = {
    [FLOE_KVM_NOT_OPENED] = "/dev/kvm does not open (no such device, or no permission)",
    [FLOE_KVM_VERSION] = "/dev/kvm does not speak version 12 of its interface",
    [FLOE_KVM_NO_MACHINE] = "/dev/kvm opens but makes no virtual machine",
    [FLOE_KVM_NO_CPU] = "/dev/kvm makes a virtual machine but no processor for it",
    [FLOE_KVM_NOT_RUN] = "KVM's test guest did not run",
    [FLOE_KVM_WRONG] = "KVM's test guest computed a wrong answer",
    [FLOE_KVM_HUNG] = "KVM's test guest did not come back in time",
    [FLOE_KVM_CRASHED] = "the process that ran KVM's test guest ended before it could tell",
  };
  const char *flag = cpu_has (cpuinfo, "vmx") ? "vmx" : cpu_has (cpuinfo, "svm") ? "svm" : NULL;
  FloeKvmResult result;

  if (flag == NULL) {
    *reason = g_strdup (
        "the processor shows neither vmx nor svm: hardware virtualisation is absent or turned off in the firmware");
    return FLOE_ACCELERATOR_TCG;
  }
  result = floe_kvm_test (system, deadline_ms);
  if (result != FLOE_KVM_RIGHT) {
    *reason = g_strdup (sentences[result]);
    return FLOE_ACCELERATOR_TCG;
  }
  *reason = g_strdup_printf ("the processor shows %s, and KVM's test guest came back with the right answer", flag);
  return FLOE_ACCELERATOR_KVM;
}

static char *
read_proc (const char *path)
{
  g_autoptr (GBytes) bytes = floe_file_read (path, PROC_FILE_MAX, NULL);
  gsize size = 0;
  const char *data = bytes == NULL ? NULL : g_bytes_get_data (bytes, &size);

  return g_strndup (data != NULL ? data : "", size);
}

FloeAccelerator
floe_probe_accelerator (char **reason)
{
  g_autofree char *cpuinfo = read_proc ("/proc/cpuinfo");

  return floe_probe_decide (&floe_kvm_system, cpuinfo, DEADLINE_MS, reason);
}

/* -- The host ---------------------------------------------------------------------------------------------------------- */

guint64
floe_probe_parse_meminfo (const char *meminfo)
{
  static const char key[] = "MemAvailable:";
  const char *line = strstr (meminfo, key);
  guint64 kib;

  if (line == NULL || (line != meminfo && line[-1] != '\n'))
    return 0;
  g_autofree char *value = g_strndup (line + strlen (key), strcspn (line, "\n") - strlen (key));
  g_strstrip (value);
  if (!g_str_has_suffix (value, " kB"))
    return 0;
  value[strlen (value) - 3] = '\0';
  return g_ascii_string_to_unsigned (value, 10, 0, G_MAXUINT64, &kib, NULL) ? kib / 1024 : 0;
}

guint64
floe_probe_memory_available_mib (void)
{
  g_autofree char *meminfo = read_proc ("/proc/meminfo");

  return floe_probe_parse_meminfo (meminfo);
}

gboolean
floe_probe_memory (guint64 mib, GError **error)
{
  guint64 available = floe_probe_memory_available_mib ();

  /* Not being told is no reason to refuse: the kernel will, if it comes to that. */
  if (available == 0 || (mib <= available && available - mib >= QEMU_OVERHEAD_MIB))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_NO_SPACE,
                         "memory: the machine needs %" G_GUINT64_FORMAT
                         " MiB (%d of them for its emulator), %" G_GUINT64_FORMAT
                         " MiB are available; stop another machine or give this one less",
                         mib + QEMU_OVERHEAD_MIB, QEMU_OVERHEAD_MIB, available);
}

/* The egress hook of the packet filter came with 5.16. */
static gboolean
kernel_is_new_enough (char **release)
{
  struct utsname name;
  g_auto (GStrv) parts = NULL;
  guint64 major = 0, minor = 0;

  if (uname (&name) < 0)
    return TRUE;
  *release = g_strdup (name.release);
  parts = g_strsplit_set (name.release, ".-", 3);
  if (g_strv_length (parts) < 2)
    return TRUE;
  major = g_ascii_strtoull (parts[0], NULL, 10);
  minor = g_ascii_strtoull (parts[1], NULL, 10);
  return major > 5 || (major == 5 && minor >= 16);
}

char **
floe_probe_host (void)
{
  static const struct {
    const char *path, *sentence;
  } needed[] = {
    { "/dev/net/tun", "there is no /dev/net/tun (CONFIG_TUN): machines get no network" },
    { "/proc/self/ns/mnt", "the kernel has no mount namespaces: machines cannot be jailed" },
    { "/proc/self/ns/pid", "the kernel has no process namespaces (CONFIG_PID_NS): machines cannot be jailed" },
    { "/proc/self/ns/net", "the kernel has no network namespaces (CONFIG_NET_NS): machines cannot be jailed" },
    { "/proc/sys/kernel/seccomp/actions_avail",
      "the kernel has no system call filter (CONFIG_SECCOMP_FILTER): machines cannot be jailed" },
  };
  GPtrArray *sentences = g_ptr_array_new ();
  g_autofree char *release = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (needed); i++)
    if (access (needed[i].path, F_OK) < 0)
      g_ptr_array_add (sentences, g_strdup (needed[i].sentence));
  if (!kernel_is_new_enough (&release))
    g_ptr_array_add (sentences,
                     g_strdup_printf ("kernel %s is older than 5.16: the packet filter lacks the egress hook", release));
  g_ptr_array_add (sentences, NULL);
  return (char **)g_ptr_array_free (sentences, FALSE);
}
