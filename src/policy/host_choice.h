/* Which host of a next hop is tried next (SC-1, SC-4, SC-5).  Pure; any thread. */
#ifndef POLICY_HOST_CHOICE_H
#define POLICY_HOST_CHOICE_H

#include <stddef.h>
#include <stdint.h>

/* Where a host stands.  An entry is what the connector lists, or the recipient's domain: one host,
 * or those of its MX records, who share its priority and its weight. */
struct host_place {
    uint32_t priority; /* of the entry: the lowest first */
    uint32_t weight;   /* of the entry, among those of its priority; at least 1 */
    uint32_t entry;
    uint32_t preference; /* of the MX record: the lowest of the entry first */
};

/* The number of the one to be tried among COUNT, at least one, that may be: of the lowest priority
 * an entry by weight; of its hosts one of the lowest preference (RFC 5321, 5.1).  RANDOM: any. */
size_t host_choose(const struct host_place *const *places, size_t count, uint64_t random);

#endif
