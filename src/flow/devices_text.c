/* The devices as lines: fields by tabs, "-" for an empty one.
 *
 *     address connector first last sessions messages bytes tls user last_login needed helos cipher
 *
 * Times are ms since 1970; `needed` is one for each enum device_need, with commas between, and so
 * are the HELO names.  A line written before there were ciphers has no such field, and one need less.
 * Noting has taken blanks and control bytes out of what peers said. */
#include "flow/devices.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char head[] = "# Who uses this relay: `relais devices` shows it.  Version 1.\n";

enum { FIELD_COUNT = 13 };

static const char *or_none(const char *text)
{
    return *text ? text : "-";
}

static enum err format_needed(const struct device *device, struct buf *out)
{
    enum err err = OK;

    for (size_t i = 0; i < DEVICE_NEED_COUNT && err == OK; i++)
        err = buf_printf(out, "%s%" PRId64, i ? "," : "\t", device->needed[i].ms);
    return err;
}

static enum err format_helos(const struct device *device, struct buf *out)
{
    enum err err = buf_printf(out, "\t%s", or_none(device->helo[0]));

    for (size_t i = 1; i < DEVICE_HELOS && device->helo[i][0] && err == OK; i++)
        err = buf_printf(out, ",%s", device->helo[i]);
    return err == OK ? buf_printf(out, "\t%s\n", or_none(device->cipher)) : err;
}

static enum err format_one(const struct device *device, struct buf *out)
{
    char ip[IP_TEXT_BYTES] = "unix";
    enum err err;

    if (!device->is_unix)
        ip_format(device->ip, ip);
    err = buf_printf(out,
        "%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
        "\t%s\t%s\t%" PRId64,
        ip, device->connector, device->first.ms, device->last.ms, device->sessions,
        device->messages, device->bytes, or_none(device->tls), or_none(device->user),
        device->last_login.ms);
    if (err == OK)
        err = format_needed(device, out);
    return err == OK ? format_helos(device, out) : err;
}

/* The last seen stands first in LIST and last in the file, so that reading it in order makes
 * the same order. */
enum err devices_format(const struct device *list, size_t count, struct buf *out)
{
    enum err err = buf_add_text(out, head);

    while (count && err == OK)
        err = format_one(&list[--count], out);
    return err;
}

/* --- Reading ----------------------------------------------------------------------------- */

/* Cuts TEXT at SIGN; the rest stays. */
static struct bytes cut(struct bytes *text, uint8_t sign)
{
    struct bytes part = bytes_first(*text, bytes_find(*text, sign));

    *text = bytes_skip(*text, part.n < text->n ? part.n + 1 : part.n);
    return part;
}

static bool take_number(struct bytes field, uint64_t *out)
{
    return bytes_to_number(field, INT64_MAX, out);
}

static bool take_time(struct bytes field, struct wall *out)
{
    uint64_t ms;

    if (!take_number(field, &ms))
        return false;
    out->ms = (int64_t)ms;
    return true;
}

static bool take_text(struct bytes field, char *out, size_t room)
{
    if (bytes_equal(field, BYTES("-")))
        field = BYTES_NONE;
    for (size_t i = 0; i < field.n; i++) {
        if (field.at[i] < ' ' || field.at[i] == 127)
            return false;
    }
    if (field.n >= room)
        return false;
    if (field.n)
        memcpy(out, field.at, field.n);
    out[field.n] = '\0';
    return true;
}

static bool take_needed(struct bytes field, struct device *device)
{
    for (size_t i = 0; i < DEVICE_NEED_COUNT; i++) {
        if (i == DEVICE_NEED_COUNT - 1 && field.n == 0)
            return true; /* of an older version */
        if (!take_time(cut(&field, ','), &device->needed[i]))
            return false;
    }
    return field.n == 0;
}

static bool take_helos(struct bytes field, struct device *device)
{
    for (size_t i = 0; i < DEVICE_HELOS && field.n; i++) {
        if (!take_text(cut(&field, ','), device->helo[i], DEVICE_NAME_BYTES))
            return false;
    }
    return field.n == 0;
}

static bool take_address(struct bytes field, struct device *device)
{
    device->is_unix = bytes_equal(field, BYTES("unix"));
    return device->is_unix || ip_parse(field, &device->ip);
}

static bool parse_line(struct bytes line, struct device *out)
{
    struct bytes f[FIELD_COUNT];

    for (size_t i = 0; i < FIELD_COUNT; i++) {
        f[i] = cut(&line, '\t');
        if (!f[i].n && i < FIELD_COUNT - 1)
            return false;
    }
    return line.n == 0 && take_address(f[0], out) &&
           take_text(f[1], out->connector, sizeof out->connector) && out->connector[0] &&
           take_time(f[2], &out->first) && take_time(f[3], &out->last) &&
           take_number(f[4], &out->sessions) && take_number(f[5], &out->messages) &&
           take_number(f[6], &out->bytes) && take_text(f[7], out->tls, sizeof out->tls) &&
           take_text(f[8], out->user, sizeof out->user) && take_time(f[9], &out->last_login) &&
           take_needed(f[10], out) && take_helos(f[11], out) &&
           take_text(f[12], out->cipher, sizeof out->cipher);
}

size_t devices_parse(struct devices *devices, struct bytes text)
{
    size_t bad = 0;

    while (text.n) {
        struct bytes line = cut(&text, '\n');
        struct device *device;
        if (line.n == 0 || line.at[0] == '#')
            continue;
        device = mem_new(sizeof *device);
        if (parse_line(line, device) && devices_put(devices, device))
            continue;
        free(device);
        bad++;
    }
    return bad;
}
