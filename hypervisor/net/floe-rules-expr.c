/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-messages.h"

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* A rule as nf_tables' expressions, the way nft itself would put it, so that a listing reads well. */

/* Fields of a key lie in registers of four bytes, one after the other. */
#define REGISTER_SIZE 4
#define REGISTER_MAX 16

static struct nftnl_expr *
add_expression (struct nftnl_rule *rule, const char *name)
{
  struct nftnl_expr *expression = nftnl_expr_alloc (name);

  if (expression == NULL)
    g_error ("libnftnl has no expression '%s'", name);
  nftnl_rule_add_expr (rule, expression);
  return expression;
}

/* -- Loading ---------------------------------------------------------------------------------------------------------- */

static void
load_meta (struct nftnl_rule *rule, uint32_t key, uint32_t target)
{
  struct nftnl_expr *meta = add_expression (rule, "meta");

  nftnl_expr_set_u32 (meta, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32 (meta, NFTNL_EXPR_META_DREG, target);
}

static void
load_tracked (struct nftnl_rule *rule, const FloeFieldInfo *info, uint32_t target)
{
  struct nftnl_expr *tracked = add_expression (rule, "ct");

  nftnl_expr_set_u32 (tracked, NFTNL_EXPR_CT_KEY, info->offset);
  nftnl_expr_set_u32 (tracked, NFTNL_EXPR_CT_DREG, target);
  if (info->base != FLOE_BASE_CONNTRACK)
    nftnl_expr_set_u8 (tracked, NFTNL_EXPR_CT_DIR, info->base == FLOE_BASE_ORIGINAL ? 0 : 1);
}

static void
load_payload (struct nftnl_rule *rule, const FloeFieldInfo *info, uint32_t size)
{
  static const uint32_t bases[] = { [FLOE_BASE_LINK] = NFT_PAYLOAD_LL_HEADER,
                                    [FLOE_BASE_NETWORK] = NFT_PAYLOAD_NETWORK_HEADER,
                                    [FLOE_BASE_TRANSPORT] = NFT_PAYLOAD_TRANSPORT_HEADER };
  struct nftnl_expr *payload = add_expression (rule, "payload");

  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_BASE, bases[info->base]);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_OFFSET, info->offset);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_LEN, size);
}

/* -- Comparing -------------------------------------------------------------------------------------------------------- */

static void
add_compare (struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t size)
{
  struct nftnl_expr *compare = add_expression (rule, "cmp");

  nftnl_expr_set_u32 (compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32 (compare, NFTNL_EXPR_CMP_OP, op);
  nftnl_expr_set (compare, NFTNL_EXPR_CMP_DATA, data, size);
}

/* The register's bits under MASK, SIZE bytes (8 at most), compared with VALUE. */
static void
add_masked (struct nftnl_rule *rule, uint32_t op, const void *mask, const void *value, uint32_t size)
{
  const uint8_t zero[8] = { 0 };
  struct nftnl_expr *bitwise = add_expression (rule, "bitwise");

  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set (bitwise, NFTNL_EXPR_BITWISE_MASK, mask, size);
  nftnl_expr_set (bitwise, NFTNL_EXPR_BITWISE_XOR, zero, size);
  add_compare (rule, op, value != NULL ? value : zero, size);
}

static void
add_lookup (struct nftnl_rule *rule, const char *set, gboolean inverted, gboolean verdict)
{
  struct nftnl_expr *lookup = add_expression (rule, "lookup");

  nftnl_expr_set_u32 (lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str (lookup, NFTNL_EXPR_LOOKUP_SET, set);
  if (inverted)
    nftnl_expr_set_u32 (lookup, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  if (verdict)
    nftnl_expr_set_u32 (lookup, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

/* Seconds since midnight, which the kernel gives in its own byte order: compared as nft does, in network order. */
static void
add_range (struct nftnl_rule *rule, const FloeMatch *match)
{
  struct nftnl_expr *order = add_expression (rule, "byteorder");
  uint32_t words[2];

  nftnl_expr_set_u32 (order, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
  nftnl_expr_set_u32 (order, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (order, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
  nftnl_expr_set_u32 (order, NFTNL_EXPR_BYTEORDER_LEN, sizeof (uint32_t));
  nftnl_expr_set_u32 (order, NFTNL_EXPR_BYTEORDER_SIZE, sizeof (uint32_t));
  memcpy (words, match->value, sizeof words);
  words[0] = htonl (words[0]);
  words[1] = htonl (words[1]);
  add_compare (rule, NFT_CMP_GTE, &words[0], sizeof words[0]);
  add_compare (rule, NFT_CMP_LTE, &words[1], sizeof words[1]);
}

/* Compares what was loaded into the register. */
static void
add_operation (struct nftnl_rule *rule, const FloeMatch *match, uint32_t size)
{
  const uint32_t but_top = 0x7fffffff;

  switch (match->op) {
  case FLOE_OP_EQUAL:
    /* Any of a state's bits. */
    if (match->field == FLOE_FIELD_STATE)
      add_masked (rule, NFT_CMP_NEQ, match->value, NULL, size);
    else
      add_compare (rule, NFT_CMP_EQ, match->value, size);
    break;
  case FLOE_OP_DIFFERENT:
    add_compare (rule, NFT_CMP_NEQ, match->value, size);
    break;
  case FLOE_OP_NO_BITS:
    add_masked (rule, NFT_CMP_EQ, match->value, NULL, size);
    break;
  case FLOE_OP_BUT_TOP:
    add_masked (rule, NFT_CMP_EQ, &but_top, match->value, size);
    break;
  case FLOE_OP_RANGE:
    add_range (rule, match);
    break;
  case FLOE_OP_SET:
  case FLOE_OP_NOT_SET:
    add_lookup (rule, match->set, match->op == FLOE_OP_NOT_SET, FALSE);
    break;
  }
}

/* How many of the matches from the first on are one piece of a header: loaded and compared at once, as nft does too. Most of what the
 * kernel's time in a rule goes to is calling one expression after the other. BYTES: what that piece is to be. */
static size_t
merge_matches (const FloeMatch *matches, size_t n_matches, uint8_t bytes[REGISTER_MAX], uint32_t *size)
{
  const FloeFieldInfo *first = floe_field_info (matches[0].field);
  size_t n = 0;

  for (*size = 0; n < n_matches; n++) {
    const FloeFieldInfo *info = floe_field_info (matches[n].field);

    if (matches[n].op != FLOE_OP_EQUAL || matches[n].bytes != 0 || info->base != first->base || info->base > FLOE_BASE_TRANSPORT
        || info->offset != first->offset + *size || *size + info->size > REGISTER_MAX)
      break;
    memcpy (bytes + *size, matches[n].value, info->size);
    *size += info->size;
  }
  return n;
}

/* Matches from the first on; how many it has put. */
static size_t
add_match (struct nftnl_rule *rule, const FloeMatch *match, size_t n_matches, gboolean *is_ethernet)
{
  const FloeFieldInfo *info = floe_field_info (match->field);
  uint32_t size = match->bytes != 0 ? match->bytes : info->size, merged_size;
  const uint16_t ether = ARPHRD_ETHER;
  uint8_t merged[REGISTER_MAX];
  size_t n_merged = merge_matches (match, n_matches, merged, &merged_size);

  if (info->base == FLOE_BASE_META) {
    load_meta (rule, info->offset, NFT_REG_1);
  } else if (info->base >= FLOE_BASE_CONNTRACK) {
    load_tracked (rule, info, NFT_REG_1);
  } else {
    /* The dependency that nft would add: without it a listing shows raw offsets. */
    if (info->base == FLOE_BASE_LINK && !*is_ethernet) {
      load_meta (rule, NFT_META_IIFTYPE, NFT_REG_1);
      add_compare (rule, NFT_CMP_EQ, &ether, sizeof ether);
      *is_ethernet = TRUE;
    }
    if (info->base == FLOE_BASE_LINK && match->bytes != 0) {
      uint8_t mask[6] = { 0 };

      memset (mask, 0xff, match->bytes);
      load_payload (rule, info, info->size);
      add_masked (rule, NFT_CMP_EQ, mask, match->value, info->size);
      return 1;
    }
    if (n_merged > 1) {
      load_payload (rule, info, merged_size);
      add_compare (rule, NFT_CMP_EQ, merged, merged_size);
      return n_merged;
    }
    load_payload (rule, info, size);
  }
  add_operation (rule, match, size);
  return 1;
}

/* -- Statements --------------------------------------------------------------------------------------------------------- */

static void
add_sample (struct nftnl_rule *rule, unsigned one_of)
{
  struct nftnl_expr *number = add_expression (rule, "numgen");
  const uint32_t zero = 0;

  nftnl_expr_set_u32 (number, NFTNL_EXPR_NG_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (number, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
  nftnl_expr_set_u32 (number, NFTNL_EXPR_NG_MODULUS, one_of);
  nftnl_expr_set_u32 (number, NFTNL_EXPR_NG_OFFSET, 0);
  add_compare (rule, NFT_CMP_EQ, &zero, sizeof zero);
}

static void
add_limit (struct nftnl_rule *rule, const FloeRule *from)
{
  struct nftnl_expr *limit = add_expression (rule, "limit");

  nftnl_expr_set_u64 (limit, NFTNL_EXPR_LIMIT_RATE, from->limit.rate);
  nftnl_expr_set_u64 (limit, NFTNL_EXPR_LIMIT_UNIT, 1);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_LIMIT_BURST, from->limit.burst);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_LIMIT_TYPE, from->limit.bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_LIMIT_FLAGS, from->limit.over ? NFT_LIMIT_F_INV : 0);
}

/* The key's fields one after the other: the first register is the one of 16 bytes that the others of four overlay. */
static void
load_key (struct nftnl_rule *rule, const FloeRule *from)
{
  uint32_t at = 0;

  for (size_t i = 0; i < from->n_key; i++) {
    const FloeFieldInfo *info = floe_field_info (from->key[i]);
    uint32_t target = at == 0 ? NFT_REG_1 : NFT_REG32_00 + at / REGISTER_SIZE;

    if (info->base == FLOE_BASE_META)
      load_meta (rule, info->offset, target);
    else
      load_tracked (rule, info, target);
    at += (info->size + REGISTER_SIZE - 1u) / REGISTER_SIZE * REGISTER_SIZE;
  }
}

static void
add_dynamic (struct nftnl_rule *rule, const FloeRule *from)
{
  struct nftnl_expr *dynamic = add_expression (rule, "dynset"), *limit;

  nftnl_expr_set_u32 (dynamic, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
  nftnl_expr_set_str (dynamic, NFTNL_EXPR_DYNSET_SET_NAME, from->set);
  if (from->use == FLOE_USE_UPDATE) {
    nftnl_expr_set_u32 (dynamic, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
    nftnl_expr_set_u64 (dynamic, NFTNL_EXPR_DYNSET_TIMEOUT, from->number * UINT64_C (1000));
    return;
  }
  nftnl_expr_set_u32 (dynamic, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
  limit = nftnl_expr_alloc ("connlimit");
  if (limit == NULL)
    g_error ("libnftnl has no expression 'connlimit'");
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_CONNLIMIT_COUNT, from->number);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  nftnl_expr_set (dynamic, NFTNL_EXPR_DYNSET_EXPR, limit, 0);
}

static void
add_use (struct nftnl_rule *rule, const FloeRule *from)
{
  struct nftnl_expr *reference;

  if (from->use == FLOE_USE_NONE)
    return;
  load_key (rule, from);
  switch (from->use) {
  case FLOE_USE_NONE:
    break;
  case FLOE_USE_LOOKUP:
  case FLOE_USE_CHAIN:
    add_lookup (rule, from->set, FALSE, from->use == FLOE_USE_CHAIN);
    break;
  case FLOE_USE_COUNT:
    reference = add_expression (rule, "objref");
    nftnl_expr_set_u32 (reference, NFTNL_EXPR_OBJREF_SET_SREG, NFT_REG_1);
    nftnl_expr_set_str (reference, NFTNL_EXPR_OBJREF_SET_NAME, from->set);
    break;
  case FLOE_USE_UPDATE:
  case FLOE_USE_CONNECTIONS:
    add_dynamic (rule, from);
    break;
  }
}

static void
add_log (struct nftnl_rule *rule, const char *prefix)
{
  struct nftnl_expr *log = add_expression (rule, "log");

  nftnl_expr_set_str (log, NFTNL_EXPR_LOG_PREFIX, prefix);
  nftnl_expr_set_u16 (log, NFTNL_EXPR_LOG_GROUP, FLOE_RULES_LOG_GROUP);
  nftnl_expr_set_u32 (log, NFTNL_EXPR_LOG_SNAPLEN, FLOE_RULES_LOG_BYTES);
}

static void
add_mark (struct nftnl_rule *rule, uint32_t mark)
{
  struct nftnl_expr *value = add_expression (rule, "immediate"), *set = add_expression (rule, "ct");

  nftnl_expr_set_u32 (value, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set (value, NFTNL_EXPR_IMM_DATA, &mark, sizeof mark);
  nftnl_expr_set_u32 (set, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  nftnl_expr_set_u32 (set, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

static void
add_verdict (struct nftnl_rule *rule, const FloeRule *from)
{
  static const uint32_t verdicts[] = { [FLOE_VERDICT_ACCEPT] = NF_ACCEPT,
                                       [FLOE_VERDICT_DROP] = NF_DROP,
                                       [FLOE_VERDICT_GOTO] = (uint32_t)NFT_GOTO,
                                       [FLOE_VERDICT_JUMP] = (uint32_t)NFT_JUMP };
  struct nftnl_expr *expression;

  if (from->verdict == FLOE_VERDICT_CONTINUE)
    return;
  if (from->verdict == FLOE_VERDICT_MASQUERADE) {
    add_expression (rule, "masq");
    return;
  }
  if (from->verdict == FLOE_VERDICT_REJECT) {
    expression = add_expression (rule, "reject");
    nftnl_expr_set_u32 (expression, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
    nftnl_expr_set_u8 (expression, NFTNL_EXPR_REJECT_CODE, 0);
    return;
  }
  expression = add_expression (rule, "immediate");
  nftnl_expr_set_u32 (expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32 (expression, NFTNL_EXPR_IMM_VERDICT, verdicts[from->verdict]);
  if (from->target != NULL)
    nftnl_expr_set_str (expression, NFTNL_EXPR_IMM_CHAIN, from->target);
}

static void
add_counter (struct nftnl_rule *rule, const char *name)
{
  struct nftnl_expr *reference = add_expression (rule, "objref");

  nftnl_expr_set_u32 (reference, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str (reference, NFTNL_EXPR_OBJREF_IMM_NAME, name);
}

void
floe_put_rule (FloeBatch *batch, const FloeTable *table, const FloeChain *chain, const FloeRule *from)
{
  struct nftnl_rule *rule = nftnl_rule_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, NFT_MSG_NEWRULE, floe_family_of (table), NLM_F_CREATE | NLM_F_APPEND,
                        "nftables: rule %s in chain %s of %s %s", from->comment != NULL ? from->comment : "", chain->name,
                        floe_family_name (table->netdev), table->name);
  gboolean is_ethernet = FALSE;

  nftnl_rule_set_str (rule, NFTNL_RULE_TABLE, table->name);
  nftnl_rule_set_str (rule, NFTNL_RULE_CHAIN, chain->name);
  for (size_t i = 0; i < from->n_matches;)
    i += add_match (rule, &from->matches[i], from->n_matches - i, &is_ethernet);
  if (from->sample != 0)
    add_sample (rule, from->sample);
  if (from->limit.rate != 0)
    add_limit (rule, from);
  add_use (rule, from);
  if (from->log != NULL)
    add_log (rule, from->log);
  if (from->counter != NULL)
    add_counter (rule, from->counter);
  if (from->marks)
    add_mark (rule, from->mark);
  add_verdict (rule, from);
  if (from->comment != NULL) {
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc (NFT_USERDATA_MAXLEN);

    nftnl_udata_put_strz (data, NFTNL_UDATA_RULE_COMMENT, from->comment);
    nftnl_rule_set_data (rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data (data), nftnl_udata_buf_len (data));
    nftnl_udata_buf_free (data);
  }
  nftnl_rule_nlmsg_build_payload (message, rule);
  nftnl_rule_free (rule);
}
