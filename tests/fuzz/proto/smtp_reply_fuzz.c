/* Lines of a reply, and the reply gathered from them written as a line: it must be one line
 * that reads the same. */
#include "proto/smtp/reply.h"

#include <assert.h>
#include <stdint.h>

static void check_written(const struct smtp_reply *reply)
{
    struct buf out;
    struct bytes line, text;
    uint16_t code;
    bool is_last;

    buf_init(&out, 512);
    assert(smtp_reply_add(&out, reply->code, reply->status, reply->text) == OK);
    line = buf_bytes(&out);
    assert(line.n <= 512 && bytes_find(line, '\n') == line.n - 1);
    assert(bytes_find(line, '\r') == line.n - 2);
    assert(smtp_reply_parse_line(bytes_first(line, line.n - 2), &code, &is_last, &text));
    assert(code == reply->code && is_last);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_reply reply = { 0 };
    struct bytes rest = bytes_of(data, size);
    bool has_begun = false;

    while (rest.n) {
        size_t lf = bytes_find(rest, '\n');
        struct bytes line = bytes_first(rest, lf), text;
        uint16_t code;
        bool is_last;

        rest = bytes_skip(rest, lf == BYTES_NOT_FOUND ? rest.n : lf + 1);
        if (!smtp_reply_parse_line(line, &code, &is_last, &text))
            continue;
        assert(code >= 200 && code <= 599);
        assert(text.n <= line.n);
        if (has_begun)
            smtp_reply_continue(&reply, text);
        else
            smtp_reply_begin(&reply, code, text);
        has_begun = !is_last;
        assert(strlen(reply.text) < SMTP_REPLY_TEXT_MAX);
        assert(reply.status.class == 0 || reply.status.class == reply.code / 100);
        check_written(&reply);
    }
    return 0;
}
