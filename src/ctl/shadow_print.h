/* What `relais shadow` shows to people.  Prints on standard output; one thread. */
#ifndef CTL_SHADOW_PRINT_H
#define CTL_SHADOW_PRINT_H

#include "proto/ctl/ctl.h"

/* "redundant: every message is on two nodes", "NOT redundant: ...": of a status's members
 * `redundant` and `redundancy_reason`.  OUT has room for 512 bytes. */
void shadow_verdict(const struct ctl_object *status, char out[512]);

/* The daemon's whole answer to "shadow status". */
void shadow_print_status(const struct ctl_object *status);

/* "0.4s" below ten seconds, then as print_age(); "-" below zero. */
void shadow_span(int64_t ms, char out[24]);

#endif
