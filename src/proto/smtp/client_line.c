/* One command, written straight into OUT: no printf and no copy on the path of a message. */
#include "proto/smtp/client_engine.h"

#include <assert.h>

bool client_line_begin(struct smtp_client *client, struct client_line *line)
{
    line->n = 0;
    line->at = buf_room(client->out, CLIENT_LINE_BYTES_MAX);
    return line->at != NULL;
}

void client_line_add(struct client_line *line, struct bytes bytes)
{
    assert(bytes.n <= CLIENT_LINE_BYTES_MAX - 2 - line->n);
    if (bytes.n)
        memcpy(line->at + line->n, bytes.at, bytes.n);
    line->n += bytes.n;
}

void client_line_add_number(struct client_line *line, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    client_line_add(line, bytes_of(digits + at, sizeof digits - at));
}

void client_line_add_base64(struct client_line *line, struct bytes bytes)
{
    static const uint8_t letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t three = (uint32_t)bytes.at[i] << 16;

        if (left > 1)
            three |= (uint32_t)bytes.at[i + 1] << 8;
        if (left > 2)
            three |= bytes.at[i + 2];
        uint8_t four[4] = { letters[three >> 18], letters[three >> 12 & 63],
            left > 1 ? letters[three >> 6 & 63] : '=', left > 2 ? letters[three & 63] : '=' };
        client_line_add(line, bytes_of(four, 4));
    }
}

void client_line_end(struct smtp_client *client, struct client_line *line, struct bytes masked)
{
    if (client->config->logs_lines) {
        struct smtp_client_action *action = client_act(client, SMTP_CLIENT_LINE_OUT);

        action->text = masked;
        if (masked.n == 0) {
            /* OUT may move while it grows: the step's end turns the offset into an address. */
            action->text = bytes_of(NULL, line->n);
            action->recipient = (uint32_t)(client->out->n - client->out_start);
        }
    }
    line->at[line->n++] = '\r';
    line->at[line->n++] = '\n';
    buf_wrote(client->out, line->n);
}

bool client_line_put(struct smtp_client *client, struct bytes command)
{
    struct client_line line;

    if (!client_line_begin(client, &line))
        return false;
    client_line_add(&line, command);
    client_line_end(client, &line, BYTES_NONE);
    return true;
}
