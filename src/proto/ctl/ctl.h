/* The control protocol between relais and relaisd: JSON, one object a line, over a UNIX socket.
 * Pure; any thread.
 *
 *     > {"command": "queue", "limit": 100}
 *     < {"row": {...}}            none or many
 *     < {"progress": 0.4}         now and then, for what takes long
 *     < {"ok": true, ...}         or {"ok": false, "error": "text", "code": 69}  (sysexits) */
#ifndef PROTO_CTL_CTL_H
#define PROTO_CTL_CTL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* What can be said of a message with as many recipients as there may be (50,000) fits. */
enum { CTL_LINE_BYTES_MAX = 64 << 20 };

struct ctl_object; /* a JSON object; owned by who made it */

struct ctl_object *ctl_new(void);
void ctl_free(struct ctl_object *object);

void ctl_set_text(struct ctl_object *object, const char *name, struct bytes text); /* bytes that
                                                                  are no UTF-8 are replaced */
void ctl_set_number(struct ctl_object *object, const char *name, int64_t number);
void ctl_set_real(struct ctl_object *object, const char *name, double number);
void ctl_set_bool(struct ctl_object *object, const char *name, bool yes);
/* DATA as base64: what is no text (a message's content). */
void ctl_set_data(struct ctl_object *object, const char *name, struct bytes data);
void ctl_set_object(
    struct ctl_object *object, const char *name, struct ctl_object **value); /* takes */
/* Adds to the list NAME, made when missing. */
void ctl_add_object(
    struct ctl_object *object, const char *name, struct ctl_object **value); /* takes */
void ctl_add_text(struct ctl_object *object, const char *name, struct bytes text);

/* Borrowed from the object; NULL or the default when missing or of another kind. */
const char *ctl_text(const struct ctl_object *object, const char *name);
/* Appends the bytes of base64 text.  ERR_NONE: missing; ERR_SYNTAX: no base64; ERR_LIMIT. */
enum err ctl_data(const struct ctl_object *object, const char *name, struct buf *out) MUST_USE;
int64_t ctl_number(const struct ctl_object *object, const char *name, int64_t otherwise);
double ctl_real(const struct ctl_object *object, const char *name, double otherwise);
bool ctl_bool(const struct ctl_object *object, const char *name);
bool ctl_has(const struct ctl_object *object, const char *name); /* a member, of any kind */
size_t ctl_list_count(const struct ctl_object *object, const char *name);
const char *ctl_list_text(const struct ctl_object *object, const char *name, size_t at);
/* Calls VISIT for each member that is a number, in the order they were set. */
void ctl_each_number(const struct ctl_object *object,
    void (*visit)(const char *name, int64_t number, void *me), void *me);
/* A view to be given back by ctl_free(); NULL when missing. */
struct ctl_object *ctl_object(const struct ctl_object *object, const char *name);
struct ctl_object *ctl_list_object(
    const struct ctl_object *object, const char *name, size_t at);

/* Appends the object as one line. */
enum err ctl_format(const struct ctl_object *object, struct buf *out) MUST_USE;

/* ERR_SYNTAX: not one JSON object; WHY says where. */
enum err ctl_parse(struct bytes line, struct ctl_object **out, char why[160]) MUST_USE;

#endif
