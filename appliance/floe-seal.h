/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* What the state's key is sealed to in the TPM, and how it stays so.
 *
 * With Secure Boot in force the seal has PCR 7, where firmware writes down that it is, by whose keys, and what is forbidden (dbx): another system on the same PC finds
 * another PCR 7, whatever it extends elsewhere. Without Secure Boot PCR 7 tells nobody from anybody, and is left out. A version that brings a list of older ones to
 * be revoked (floe-slot-revoke.h) changes PCR 7 with the start after it was taken; so the key is sealed a second time beforehand, for PCR 7 as it will
 * be, by what firmware wrote down of this start. That is done here alone: later in the start the TPM gives the key to nobody (floe-state.c). */

/* systemd-stub puts the key there that kernel images' policies are signed with; what systemd's programs are told of such a policy. */
#define FLOE_SEAL_PUBLIC_KEY "/run/systemd/tpm2-pcr-public-key.pem"
#define FLOE_SEAL_POLICY "--tpm2-device=auto", "--tpm2-public-key=" FLOE_SEAL_PUBLIC_KEY, "--tpm2-public-key-pcrs=11"

typedef struct {
  gboolean secure_boot; /* in force; without, all the rest is empty */
  FloeDigest pcr7;
  char revocation[FLOE_DIGEST_HEX_SIZE]; /* SHA-256 of the list that this version brings; "": none */
  gboolean changes;                      /* firmware has not all of it yet: PCR 7 will be NEXT */
  FloeDigest next;
  char *problem; /* why NEXT cannot be told; NULL: nothing */
} FloeSealTarget;

/* What this start says, read below ROOT ("" but in tests). An error of the firmware's variables or the TPM's: then nothing can be sealed. */
gboolean floe_seal_target (const char *root, FloeSealTarget *target, GError **error) FLOE_WARN_UNUSED;
void floe_seal_target_clear (FloeSealTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FloeSealTarget, floe_seal_target_clear)

/* TARGET's PCRs as systemd's programs take them, with values (to be freed); of the start after this one if NEXT. */
char *floe_seal_pcrs (const FloeSealTarget *target, gboolean next);

typedef struct {
  int dir;              /* in the state: what it is sealed to is written down there */
  const char *device;   /* the partition, LUKS2 */
  const char *key_file; /* opens it; NULL: the TPM does, as it did */
  gboolean created;     /* just now, and sealed to TARGET */
  gboolean typed;       /* somebody had to open it with the recovery key */
  gboolean (*run) (const char *const *arguments, GError **error);
} FloeSeal;

/* Seals the key anew where it is not sealed to TARGET, by systemd-cryptenroll; nothing is run when it is. What opened it is taken away only after what will is
 * there, so it can be cut anywhere; what somebody typed opens it always. REFUSED for a seal that would hold less than the one before (Secure Boot is off). *PREPARED: TARGET's revocation may be
 * handed to the firmware, the next start opens the state. */
gboolean floe_seal_keep (const FloeSeal *seal, const FloeSealTarget *target, gboolean *prepared, GError **error) FLOE_WARN_UNUSED;

/* Why UPDATE must not be handed to the firmware yet, to be freed: the TPM would not open the state at the next start. NULL: it would. By PATH, what floe-state says of
 * this start. */
#define FLOE_SEAL_STATE_CONF "/run/floe/state.conf"
char *floe_seal_refuses (const char *path, GBytes *update);
