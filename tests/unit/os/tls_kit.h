/* Two TLS streams, each given what the other writes. */
#ifndef TESTS_OS_TLS_KIT_H
#define TESTS_OS_TLS_KIT_H

#include "kit.h"

#include "base/buf.h"
#include "os/tls.h"

struct side {
    struct tls_stream *stream;
    struct buf wire, plain;
    size_t sent; /* of wire, to the other */
    enum err err;
};

struct pipe {
    struct side client, server;
    size_t step; /* how many bytes are given at once */
};

void open_side(
    struct side *side, struct tls_context *context, const char *host); /* NULL: a server */
void open_pipe(struct pipe *pipe, struct tls_context *client_context,
    struct tls_context *server_context, const char *host, size_t step);
void close_pipe(struct pipe *pipe);
void pump(struct pipe *pipe); /* until neither has anything to say */
void write_side(struct side *side, struct bytes plain);

#endif
