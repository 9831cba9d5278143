#include "daemon/control_out.h"

#include <assert.h>
#include <stdio.h>
#include <sysexits.h>

enum { ERROR_BYTES = 4096 }; /* room for the error behind what is at the ceiling */

void control_out_init(struct control_out *out, size_t bytes_max)
{
    *out = (struct control_out){ .bytes_max = bytes_max };
    buf_init(&out->lines, bytes_max + ERROR_BYTES);
}

void control_out_done(struct control_out *out)
{
    buf_done(&out->lines);
}

/* False: it is over the ceiling, and nothing was added. */
static bool add(struct control_out *out, const struct ctl_object *object)
{
    size_t before = out->lines.n;

    if (ctl_format(object, &out->lines) == OK && out->lines.n <= out->bytes_max)
        return true;
    out->lines.n = before;
    return false;
}

void control_out_row(struct control_out *out, struct ctl_object **row)
{
    struct ctl_object *line;

    if (!out->is_over) {
        line = ctl_new();
        ctl_set_object(line, "row", row);
        out->is_over = !add(out, line);
        ctl_free(line);
    }
    ctl_free(*row);
    *row = NULL;
}

/* It has the room that rows have not. */
static void add_error(struct control_out *out)
{
    struct ctl_object *end = ctl_new();
    char text[160];
    enum err err;

    snprintf(text, sizeof text,
        "the answer has more than %zu bytes: some of it is missing; ask for less at once",
        out->bytes_max);
    ctl_set_bool(end, "ok", false);
    ctl_set_text(end, "error", bytes_text(text));
    ctl_set_number(end, "code", EX_SOFTWARE);
    err = ctl_format(end, &out->lines);
    assert(err == OK);
    (void)err;
    ctl_free(end);
}

void control_out_end(struct control_out *out, struct ctl_object **end)
{
    if (out->is_over || !add(out, *end))
        add_error(out);
    out->is_over = false;
    ctl_free(*end);
    *end = NULL;
}

struct bytes control_out_next(const struct control_out *out, size_t bytes_max)
{
    return bytes_first(bytes_skip(buf_bytes(&out->lines), out->sent), bytes_max);
}

/* The rest is moved once a half is gone: moving it each time would cost more than sending it. */
void control_out_sent(struct control_out *out, size_t n)
{
    assert(n <= out->lines.n - out->sent);
    out->sent += n;
    if (out->sent == out->lines.n) {
        control_out_drop(out);
    } else if (out->sent > out->lines.n / 2) {
        buf_drop(&out->lines, out->sent);
        out->sent = 0;
    }
}

void control_out_drop(struct control_out *out)
{
    buf_release(&out->lines); /* it may have been long */
    out->sent = 0;
}
