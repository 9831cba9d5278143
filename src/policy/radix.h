/* A radix tree over sorted ranges: which of 100,000 is the last that begins at or before an
 * address, in a few steps (RC-4).  Made once, then any thread.  Pure.
 *
 * What begins last at or before an address is the one range that may end behind it, or what is
 * around that one: so ranges from one address to another need not be taken apart into prefixes. */
#ifndef POLICY_RADIX_H
#define POLICY_RADIX_H

#include "policy/settings.h"

#include <stddef.h>

struct radix;

#define RADIX_NONE SIZE_MAX

/* NODES, borrowed and fewer than 2^32, ascend by their first addresses as ip_compare() has it; the
 * same may stand there more than once. */
struct radix *radix_new(const struct range_node *nodes, size_t count);
void radix_free(struct radix *radix); /* NULL too */

/* The number of the last one that begins at or before IP.  RADIX_NONE: all are behind it. */
size_t radix_find(const struct radix *radix, struct ip ip);

#endif
