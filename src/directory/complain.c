#include "directory/complain.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The settings may be gone when a complaint is printed, so it names the file by a text of its
 * own. */
static const char *file_name(struct complaints *complaints, const char *file)
{
    for (size_t i = 0; i < complaints->file_count; i++) {
        if (strcmp(complaints->files[i], file) == 0)
            return complaints->files[i];
    }
    complaints->files =
        mem_grow(complaints->files, (complaints->file_count + 1) * sizeof *complaints->files);
    return complaints->files[complaints->file_count++] = mem_text(file);
}

static struct complaint *add(struct complaints *complaints, struct source_line where)
{
    static const size_t room_min = 16;
    struct complaint *complaint;

    if (complaints->count == COMPLAINTS_MAX)
        complaints->count--; /* the last place is used again and again */
    if (complaints->count == complaints->room) {
        complaints->room = complaints->room ? complaints->room * 2 : room_min;
        complaints->list =
            mem_grow(complaints->list, complaints->room * sizeof *complaints->list);
    }
    complaint = &complaints->list[complaints->count++];
    *complaint = (struct complaint){ .where.line = where.line };
    complaint->where.file = file_name(complaints, where.file);
    return complaint;
}

struct complaint *complain(
    struct complaints *complaints, struct source_line where, const char *format, ...)
{
    struct complaint *complaint = add(complaints, where);
    va_list args;

    complaints->error_count++;
    va_start(args, format);
    vsnprintf(complaint->text, sizeof complaint->text, format, args);
    va_end(args);
    return complaint;
}

struct complaint *complain_warning(
    struct complaints *complaints, struct source_line where, const char *format, ...)
{
    struct complaint *complaint = add(complaints, where);
    va_list args;

    complaint->is_warning = true;
    va_start(args, format);
    vsnprintf(complaint->text, sizeof complaint->text, format, args);
    va_end(args);
    return complaint;
}

void complaint_hint(struct complaint *complaint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(complaint->hint, sizeof complaint->hint, format, args);
    va_end(args);
}

void complaints_done(struct complaints *complaints)
{
    for (size_t i = 0; i < complaints->file_count; i++)
        free(complaints->files[i]);
    free(complaints->files);
    free(complaints->list);
    *complaints = (struct complaints){ 0 };
}

static size_t file_order(const struct complaints *complaints, const char *file)
{
    size_t i = 0;

    while (i < complaints->file_count && complaints->files[i] != file)
        i++;
    return i;
}

/* By insertion: it keeps the order of complaints about one line, and they come nearly sorted.
 */
void complaints_sort(struct complaints *complaints)
{
    for (size_t i = 1; i < complaints->count; i++) {
        struct complaint moved = complaints->list[i];
        size_t order = file_order(complaints, moved.where.file), k = i;

        for (; k > 0; k--) {
            const struct complaint *before = &complaints->list[k - 1];
            size_t before_order = file_order(complaints, before->where.file);
            if (before_order < order ||
                (before_order == order && before->where.line <= moved.where.line))
                break;
            complaints->list[k] = *before;
        }
        complaints->list[k] = moved;
    }
}

static void format(const struct complaint *complaint, const char *hint, char out[1000])
{
    const char *kind = complaint->is_warning ? "warning" : "error";
    char where[160];

    if (complaint->where.line)
        snprintf(
            where, sizeof where, "%.140s:%d", complaint->where.file, complaint->where.line);
    else
        snprintf(where, sizeof where, "%.140s", complaint->where.file);
    snprintf(out, 1000, "%s: %s: %.399s%s%.399s", where, kind, complaint->text,
        complaint->hint[0] ? hint : "", complaint->hint);
}

void complaint_format(const struct complaint *complaint, char out[1000])
{
    format(complaint, "\n    hint: ", out);
}

void complaint_format_line(const struct complaint *complaint, char out[1000])
{
    format(complaint, "; hint: ", out);
}
