#include "proto/ctl/ctl.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

/* A ctl_object is a json_t under another name, so that a view costs one count and jansson stays
 * behind this door.  Depth and size have ceilings: jansson's own (2048) and the line's. */

static json_t *json_of(struct ctl_object *object)
{
    return (json_t *)object;
}

static const json_t *json_of_const(const struct ctl_object *object)
{
    return (const json_t *)object;
}

/* jansson answers NULL and -1 when there is no memory; then the process ends as elsewhere. */
static json_t *checked(json_t *value)
{
    if (!value)
        abort();
    return value;
}

static void put(json_t *object, const char *name, json_t *value)
{
    int failed = json_object_set_new(object, name, checked(value));
    assert(failed == 0); /* NAME is a literal of ours, VALUE is not OBJECT */
    (void)failed;
}

struct ctl_object *ctl_new(void)
{
    return (struct ctl_object *)checked(json_object());
}

void ctl_free(struct ctl_object *object)
{
    json_decref(json_of(object)); /* takes NULL */
}

/* Text as JSON may have it: bytes that are no UTF-8, and NUL, which readers of C texts would
 * take for the end, become U+FFFD. */
static json_t *clean_string(struct bytes text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *clean = mem_new(text.n * 3 + 1);
    size_t n = 0;
    json_t *string;

    while (text.n) {
        size_t bytes = text.at[0] ? utf8_first(text) : 0;
        if (bytes) {
            memcpy(clean + n, text.at, bytes);
            n += bytes;
        } else {
            memcpy(clean + n, replacement, 3);
            n += 3;
        }
        text = bytes_skip(text, bytes ? bytes : 1);
    }
    string = checked(json_stringn_nocheck(clean, n));
    free(clean);
    return string;
}

void ctl_set_text(struct ctl_object *object, const char *name, struct bytes text)
{
    put(json_of(object), name, clean_string(text));
}

void ctl_set_number(struct ctl_object *object, const char *name, int64_t number)
{
    put(json_of(object), name, json_integer(number));
}

void ctl_set_real(struct ctl_object *object, const char *name, double number)
{
    put(json_of(object), name, json_real(number)); /* NULL, so abort, for NaN: ours to avoid */
}

void ctl_set_bool(struct ctl_object *object, const char *name, bool yes)
{
    put(json_of(object), name, json_boolean(yes));
}

void ctl_set_data(struct ctl_object *object, const char *name, struct bytes data)
{
    struct buf text;

    buf_init(&text, SIZE_MAX / 2);
    err_ignore(base64_encode(data, &text)); /* the ceiling is out of reach */
    ctl_set_text(object, name, buf_bytes(&text));
    buf_done(&text);
}

void ctl_set_object(struct ctl_object *object, const char *name, struct ctl_object **value)
{
    put(json_of(object), name, json_of(*value));
    *value = NULL;
}

static void add(struct ctl_object *object, const char *name, json_t *value)
{
    json_t *list = json_object_get(json_of(object), name);
    int failed;

    if (!json_is_array(list)) {
        list = json_array();
        put(json_of(object), name, list);
    }
    failed = json_array_append_new(list, checked(value));
    assert(failed == 0);
    (void)failed;
}

void ctl_add_object(struct ctl_object *object, const char *name, struct ctl_object **value)
{
    add(object, name, json_of(*value));
    *value = NULL;
}

void ctl_add_text(struct ctl_object *object, const char *name, struct bytes text)
{
    add(object, name, clean_string(text));
}

const char *ctl_text(const struct ctl_object *object, const char *name)
{
    return json_string_value(json_object_get(json_of_const(object), name));
}

enum err ctl_data(const struct ctl_object *object, const char *name, struct buf *out)
{
    const char *text = ctl_text(object, name);

    return text ? base64_decode(bytes_text(text), out) : ERR_NONE;
}

int64_t ctl_number(const struct ctl_object *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(json_of_const(object), name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double ctl_real(const struct ctl_object *object, const char *name, double otherwise)
{
    const json_t *value = json_object_get(json_of_const(object), name);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool ctl_bool(const struct ctl_object *object, const char *name)
{
    return json_is_true(json_object_get(json_of_const(object), name));
}

bool ctl_has(const struct ctl_object *object, const char *name)
{
    return json_object_get(json_of_const(object), name);
}

size_t ctl_list_count(const struct ctl_object *object, const char *name)
{
    return json_array_size(json_object_get(json_of_const(object), name));
}

const char *ctl_list_text(const struct ctl_object *object, const char *name, size_t at)
{
    return json_string_value(json_array_get(json_object_get(json_of_const(object), name), at));
}

void ctl_each_number(const struct ctl_object *object,
    void (*visit)(const char *name, int64_t number, void *me), void *me)
{
    /* jansson's iterators ask for a json_t that is not const, and change nothing. */
    json_t *json = (json_t *)(uintptr_t)object;
    const char *name;
    json_t *value;

    json_object_foreach(json, name, value)
    {
        if (json_is_integer(value))
            visit(name, json_integer_value(value), me);
    }
}

static struct ctl_object *view_of(json_t *value)
{
    return json_is_object(value) ? (struct ctl_object *)json_incref(value) : NULL;
}

struct ctl_object *ctl_object(const struct ctl_object *object, const char *name)
{
    return view_of(json_object_get(json_of_const(object), name));
}

struct ctl_object *ctl_list_object(const struct ctl_object *object, const char *name, size_t at)
{
    return view_of(json_array_get(json_object_get(json_of_const(object), name), at));
}

static int append(const char *text, size_t n, void *out)
{
    return buf_add(out, bytes_of(text, n)) == OK ? 0 : -1;
}

enum err ctl_format(const struct ctl_object *object, struct buf *out)
{
    size_t before = out->n;

    if (json_dump_callback(json_of_const(object), append, out, JSON_COMPACT) == 0 &&
        buf_add_text(out, "\n") == OK)
        return OK;
    out->n = before; /* half a line would spoil the next one too */
    return ERR_LIMIT;
}

enum err ctl_parse(struct bytes line, struct ctl_object **out, char why[160])
{
    json_error_t error;
    json_t *json;

    if (line.n > CTL_LINE_BYTES_MAX) {
        snprintf(why, 160, "the line has more than %d bytes", CTL_LINE_BYTES_MAX);
        return ERR_SYNTAX;
    }
    json =
        json_loadb(line.n ? (const char *)line.at : "", line.n, JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        snprintf(why, 160, "at byte %d: %.120s", error.position, error.text);
        return ERR_SYNTAX;
    }
    if (!json_is_object(json)) {
        snprintf(why, 160, "not a JSON object");
        json_decref(json);
        return ERR_SYNTAX;
    }
    *out = (struct ctl_object *)json;
    return OK;
}
