/* Inside proto/proxy: the two versions. */
#ifndef PROTO_PROXY_INSIDE_H
#define PROTO_PROXY_INSIDE_H

#include "proto/proxy/proxy.h"

enum { PROXY_HEAD_BYTES = 16 }; /* of version 2: signature, command, family, length */

#define PROXY_LINE_SIGNATURE BYTES("PROXY ")
/* The first thing an SMTP server makes of it is an error, and the last one QUIT. */
#define PROXY_SIGNATURE BYTES("\r\n\r\n\0\r\nQUIT\n")

/* Of a whole HEAD: how long the header is; 0: it is none that we know, and WHY says so. */
size_t proxy_binary_length(const uint8_t *head, const char **why);
/* The whole HEADER, of that length.  False: WHY. */
bool proxy_binary_parse(struct bytes header, struct proxy_header *out, const char **why);

#endif
