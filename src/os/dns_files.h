/* What this machine's own files say about names: hosts(5) and resolv.conf(5).  One loop. */
#ifndef OS_DNS_FILES_H
#define OS_DNS_FILES_H

#include "base/bytes.h"
#include "os/dns.h"
#include "os/file_watched.h"

/* --- hosts ------------------------------------------------------------------------------- */

struct dns_hosts_file;

/* Reads the file; without one, or one over 4 MiB, no name is known. */
struct dns_hosts_file *hosts_file_new(const char *path);
void hosts_file_free(struct dns_hosts_file *hosts);

/* Adds the addresses of NAME (lower case) to RESULT.  False: the file does not have the name.
 */
bool hosts_file_find(
    const struct dns_hosts_file *hosts, const char *name, struct dns_result *result);

/* --- resolv.conf ------------------------------------------------------------------------- */

enum { DNS_SERVERS_MAX = 8, DNS_SERVER_BYTES = 64 };

/* The name servers of a resolv.conf, as libunbound writes them; how many.  None in it, or no
 * file: 127.0.0.1, as resolv.conf(5) has it. */
size_t resolv_file_servers(const char *path, char out[DNS_SERVERS_MAX][DNS_SERVER_BYTES]);

#endif
