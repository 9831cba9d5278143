#include "mail/envelope.h"

#include <assert.h>

/* The format
 *
 * 1. A field is a tag (one byte), the value's length (varint: seven bits a byte, the lowest
 *    first, the top bit says that another follows; five bytes at most) and the value.
 * 2. A number is its bytes, the lowest first, without zero bytes at the end: 0 to 8 of them.
 * 3. A field whose value would be empty or 0 is left out.
 * 4. The message's own fields come first, each at most once; the recipients follow.  NOTIFY and
 *    ORCPT belong to the recipient before them, and so will every tag a later version writes
 *    behind a recipient.
 * 5. A reader skips tags it does not know, and never tags whose meaning it would get wrong
 *    without them: such a change takes a new record type in the spool. */
enum tag {
    TAG_FLAGS = 1, /* see below */
    TAG_SENDER,
    TAG_ENVID,
    TAG_AUTH,
    TAG_PRIORITY, /* number: the priority + 9 + 1 */
    TAG_CRASH_COUNT,
    TAG_HOP_COUNT,
    TAG_ARRIVED, /* number: the bits of the signed milliseconds */
    TAG_SESSION,
    TAG_CONNECTOR,
    TAG_CLIENT_NAME,
    TAG_CLIENT_IP,
    TAG_CLIENT_USER,
    TAG_MESSAGE_ID,
    TAG_PREPEND,
    TAG_CONTENT_BYTES,
    TAG_RECIPIENT,
    TAG_NOTIFY,
    TAG_ORCPT,
    TAG_EXPANDED, /* of a recipient; number: 1 */
    TAG_COUNT
};

/* The bits of TAG_FLAGS. */
enum {
    FLAG_SMTPUTF8 = 1 << 0,
    FLAG_DOT_LINE = 1 << 1,
    FLAG_8BIT = 1 << 2,
    FLAG_UTF8_HEADER = 1 << 3,
    FLAGS_RET_SHIFT = 4,  /* two bits */
    FLAGS_BODY_SHIFT = 6, /* two bits */
    FLAGS_MAX = 255,
};

enum { PRIORITY_MAX = 9, NOTIFY_MAX = 15, VARINT_BYTES_MAX = 5 };

/* --- Writing ----------------------------------------------------------------------------- */

/* Writes at AT, or only counts when AT is NULL: the same code says how much room it takes. */
struct writer {
    uint8_t *at;
    size_t n;
};

static void write_byte(struct writer *writer, uint8_t byte)
{
    if (writer->at)
        writer->at[writer->n] = byte;
    writer->n++;
}

static void write_field(struct writer *writer, enum tag tag, struct bytes value)
{
    size_t rest = value.n;

    assert(value.n <= ENVELOPE_BYTES_MAX);
    if (value.n == 0)
        return;
    write_byte(writer, (uint8_t)tag);
    for (; rest > 127; rest >>= 7)
        write_byte(writer, (uint8_t)(rest | 128));
    write_byte(writer, (uint8_t)rest);
    if (writer->at)
        memcpy(writer->at + writer->n, value.at, value.n);
    writer->n += value.n;
}

static void write_number(struct writer *writer, enum tag tag, uint64_t number)
{
    uint8_t bytes[8];
    size_t n = 0;

    for (; number; number >>= 8)
        bytes[n++] = (uint8_t)number;
    write_field(writer, tag, bytes_of(bytes, n));
}

static uint64_t flags_of(const struct envelope *envelope)
{
    uint64_t flags = (uint64_t)envelope->ret << FLAGS_RET_SHIFT;

    flags |= (uint64_t)envelope->body << FLAGS_BODY_SHIFT;
    flags |= envelope->is_smtputf8 ? FLAG_SMTPUTF8 : 0;
    flags |= envelope->has_dot_line ? FLAG_DOT_LINE : 0;
    flags |= envelope->has_8bit ? FLAG_8BIT : 0;
    flags |= envelope->has_utf8_header ? FLAG_UTF8_HEADER : 0;
    return flags;
}

static void write_message(struct writer *writer, const struct envelope *envelope)
{
    assert(envelope->priority >= -PRIORITY_MAX && envelope->priority <= PRIORITY_MAX);
    write_number(writer, TAG_FLAGS, flags_of(envelope));
    write_field(writer, TAG_SENDER, envelope->sender);
    write_field(writer, TAG_ENVID, envelope->envid);
    write_field(writer, TAG_AUTH, envelope->auth);
    if (envelope->priority)
        write_number(writer, TAG_PRIORITY, (unsigned)(envelope->priority + PRIORITY_MAX + 1));
    write_number(writer, TAG_CRASH_COUNT, envelope->crash_count);
    write_number(writer, TAG_HOP_COUNT, envelope->hop_count);
    write_number(writer, TAG_ARRIVED, (uint64_t)envelope->arrived.ms);
    write_number(writer, TAG_SESSION, envelope->session.n);
    write_field(writer, TAG_CONNECTOR, envelope->connector);
    write_field(writer, TAG_CLIENT_NAME, envelope->client_name);
    write_field(writer, TAG_CLIENT_IP, envelope->client_ip);
    write_field(writer, TAG_CLIENT_USER, envelope->client_user);
    write_field(writer, TAG_MESSAGE_ID, envelope->message_id);
    write_field(writer, TAG_PREPEND, envelope->prepend);
    write_number(writer, TAG_CONTENT_BYTES, envelope->content_bytes);
}

static void write_all(struct writer *writer, const struct envelope *envelope)
{
    write_message(writer, envelope);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct recipient *recipient = &envelope->recipients[i];
        assert(recipient->address.n > 0 && recipient->notify <= NOTIFY_MAX);
        write_field(writer, TAG_RECIPIENT, recipient->address);
        write_number(writer, TAG_NOTIFY, recipient->notify);
        write_field(writer, TAG_ORCPT, recipient->orcpt);
        write_number(writer, TAG_EXPANDED, recipient->is_expanded);
    }
}

enum err envelope_encode(const struct envelope *envelope, struct buf *out)
{
    struct writer count = { NULL, 0 }, writer = { NULL, 0 };

    assert(envelope->recipient_count <= ENVELOPE_RECIPIENTS_MAX);
    write_all(&count, envelope);
    if (count.n > ENVELOPE_BYTES_MAX)
        return ERR_LIMIT;
    if (count.n == 0)
        return OK;
    writer.at = buf_room(out, count.n);
    if (!writer.at)
        return ERR_LIMIT;
    write_all(&writer, envelope);
    assert(writer.n == count.n);
    buf_wrote(out, writer.n);
    return OK;
}

/* --- Reading ----------------------------------------------------------------------------- */

struct field {
    uint8_t tag;
    struct bytes value;
};

static bool read_length(struct bytes *rest, size_t *out)
{
    uint64_t length = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && i < rest->n; i++) {
        length |= (uint64_t)(rest->at[i] & 127) << (7 * i);
        if (rest->at[i] & 128)
            continue;
        if (length > rest->n - i - 1)
            return false;
        *rest = bytes_skip(*rest, i + 1);
        *out = (size_t)length;
        return true;
    }
    return false;
}

/* Takes a field off REST.  False: none, or it is not whole; REST is then untouched. */
static bool read_field(struct bytes *rest, struct field *out)
{
    struct bytes at = *rest;
    size_t length;

    if (at.n == 0)
        return false;
    out->tag = at.at[0];
    at = bytes_skip(at, 1);
    if (!read_length(&at, &length))
        return false;
    out->value = bytes_first(at, length);
    *rest = bytes_skip(at, length);
    return true;
}

static bool read_number(struct bytes value, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;

    if (value.n > sizeof number)
        return false;
    for (size_t i = 0; i < value.n; i++)
        number |= (uint64_t)value.at[i] << (8 * i);
    *out = number;
    return number <= max;
}

static bool set_flags(struct envelope *out, uint64_t flags)
{
    unsigned ret = flags >> FLAGS_RET_SHIFT & 3, body = flags >> FLAGS_BODY_SHIFT & 3;

    if (ret > RET_HDRS || body > BODY_BINARYMIME)
        return false;
    out->ret = (enum envelope_ret)ret;
    out->body = (enum body_type)body;
    out->is_smtputf8 = flags & FLAG_SMTPUTF8;
    out->has_dot_line = flags & FLAG_DOT_LINE;
    out->has_8bit = flags & FLAG_8BIT;
    out->has_utf8_header = flags & FLAG_UTF8_HEADER;
    return true;
}

/* The largest number a tag may carry; 0: its value is no number. */
static uint64_t number_max(uint8_t tag)
{
    switch (tag) {
    case TAG_FLAGS:
    case TAG_CRASH_COUNT:
    case TAG_HOP_COUNT:
        return UINT8_MAX;
    case TAG_PRIORITY:
        return 2 * PRIORITY_MAX + 1;
    case TAG_ARRIVED:
    case TAG_SESSION:
    case TAG_CONTENT_BYTES:
        return UINT64_MAX;
    case TAG_NOTIFY:
        return NOTIFY_MAX;
    case TAG_EXPANDED:
        return 1;
    default:
        return 0;
    }
}

static bool set_number(struct envelope *out, const struct field *field)
{
    uint64_t number;

    if (!read_number(field->value, number_max(field->tag), &number))
        return false;
    switch (field->tag) {
    case TAG_FLAGS:
        return set_flags(out, number);
    case TAG_PRIORITY:
        out->priority = (int8_t)((int)number - PRIORITY_MAX - 1);
        return number > 0;
    case TAG_CRASH_COUNT:
        out->crash_count = (uint8_t)number;
        return true;
    case TAG_HOP_COUNT:
        out->hop_count = (uint8_t)number;
        return true;
    case TAG_ARRIVED:
        out->arrived.ms = (int64_t)number;
        return true;
    case TAG_SESSION:
        out->session.n = number;
        return true;
    case TAG_CONTENT_BYTES:
        out->content_bytes = number;
        return true;
    default:
        return true; /* NOTIFY, EXPANDED: checked here, read by the cursor */
    }
}

/* Where the text of a tag goes; NULL: nowhere, it is of a recipient or not known. */
static struct bytes *text_of(struct envelope *out, uint8_t tag)
{
    switch (tag) {
    case TAG_SENDER:
        return &out->sender;
    case TAG_ENVID:
        return &out->envid;
    case TAG_AUTH:
        return &out->auth;
    case TAG_CONNECTOR:
        return &out->connector;
    case TAG_CLIENT_NAME:
        return &out->client_name;
    case TAG_CLIENT_IP:
        return &out->client_ip;
    case TAG_CLIENT_USER:
        return &out->client_user;
    case TAG_MESSAGE_ID:
        return &out->message_id;
    case TAG_PREPEND:
        return &out->prepend;
    default:
        return NULL;
    }
}

static bool set_field(struct envelope *out, const struct field *field)
{
    struct bytes *text = text_of(out, field->tag);

    if (text)
        *text = field->value;
    else if (number_max(field->tag))
        return set_number(out, field);
    return true;
}

/* Whether a field may stand here, and notes that it did. */
static bool is_in_place(struct envelope *out, const struct field *field, uint32_t *seen)
{
    if (field->tag == TAG_RECIPIENT)
        return field->value.n > 0 && ++out->recipient_count <= ENVELOPE_RECIPIENTS_MAX;
    if (field->tag == TAG_NOTIFY || field->tag == TAG_ORCPT || field->tag == TAG_EXPANDED)
        return out->recipient_count > 0;
    if (field->tag >= TAG_COUNT)
        return true;
    if (out->recipient_count > 0 || (*seen & 1u << field->tag))
        return false;
    *seen |= 1u << field->tag;
    return true;
}

enum err envelope_decode(struct bytes encoded, struct envelope *out)
{
    struct envelope envelope = { 0 };
    struct bytes rest = encoded;
    struct field field;
    uint32_t seen = 0;

    if (encoded.n > ENVELOPE_BYTES_MAX)
        return ERR_CORRUPT;
    while (read_field(&rest, &field)) {
        if (!is_in_place(&envelope, &field, &seen) || !set_field(&envelope, &field))
            return ERR_CORRUPT;
    }
    if (rest.n > 0)
        return ERR_CORRUPT;
    *out = envelope;
    return OK;
}

struct bytes envelope_sender(struct bytes encoded)
{
    struct field field;

    while (read_field(&encoded, &field) && field.tag != TAG_RECIPIENT)
        if (field.tag == TAG_SENDER)
            return field.value;
    return BYTES_NONE;
}

void envelope_recipients(struct bytes encoded, struct envelope_cursor *out)
{
    out->rest = encoded;
}

/* The recipient's own fields: up to the next recipient. */
static void read_recipient(struct bytes *rest, struct recipient *out)
{
    struct bytes at = *rest;
    struct field field;
    uint64_t number;

    while (read_field(&at, &field) && field.tag != TAG_RECIPIENT) {
        if (field.tag == TAG_ORCPT)
            out->orcpt = field.value;
        else if (field.tag == TAG_NOTIFY && read_number(field.value, NOTIFY_MAX, &number))
            out->notify = (uint8_t)number;
        else if (field.tag == TAG_EXPANDED && read_number(field.value, 1, &number))
            out->is_expanded = number;
        *rest = at;
    }
}

bool envelope_next_recipient(struct envelope_cursor *cursor, struct recipient *out)
{
    struct field field;

    while (read_field(&cursor->rest, &field)) {
        if (field.tag != TAG_RECIPIENT)
            continue;
        *out = (struct recipient){ .address = field.value };
        read_recipient(&cursor->rest, out);
        return true;
    }
    return false;
}
