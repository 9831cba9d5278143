#include "tls_kit.h"

void open_side(struct side *side, struct tls_context *context, const char *host)
{
    buf_init(&side->wire, 64 << 20);
    buf_init(&side->plain, 64 << 20);
    side->err = tls_stream_new(context, !host, host, &side->stream);
    assert_int_equal(side->err, OK);
}

void open_pipe(struct pipe *pipe, struct tls_context *client_context,
    struct tls_context *server_context, const char *host, size_t step)
{
    *pipe = (struct pipe){ .step = step };
    open_side(&pipe->client, client_context, host);
    open_side(&pipe->server, server_context, NULL);
    pipe->client.err = tls_stream_read(
        pipe->client.stream, BYTES_NONE, &pipe->client.wire, &pipe->client.plain);
    assert_int_equal(pipe->client.err, OK);
}

void close_pipe(struct pipe *pipe)
{
    struct side *sides[] = { &pipe->client, &pipe->server };

    for (int i = 0; i < 2; i++) {
        tls_stream_free(sides[i]->stream);
        buf_done(&sides[i]->wire);
        buf_done(&sides[i]->plain);
    }
}

static bool give(struct side *from, struct side *to, size_t step)
{
    struct bytes part = bytes_first(bytes_skip(buf_bytes(&from->wire), from->sent), step);

    if (part.n == 0 || to->err != OK)
        return false;
    from->sent += part.n;
    to->err = tls_stream_read(to->stream, part, &to->wire, &to->plain);
    return true;
}

void pump(struct pipe *pipe)
{
    bool moved;

    do {
        moved = give(&pipe->client, &pipe->server, pipe->step);
        moved |= give(&pipe->server, &pipe->client, pipe->step);
    } while (moved);
}

void write_side(struct side *side, struct bytes plain)
{
    assert_int_equal(tls_stream_write(side->stream, plain, &side->wire), OK);
}
