#include "base/mem.h"
#include "ctl/load.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t load_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* "to@example.com", or "to-1@example.com", "to-2@example.com" ... */
static void make_recipients(struct load_work *work)
{
    size_t count = work->settings->recipient_count;
    struct bytes rcpt = bytes_text(work->settings->rcpt);
    size_t at = bytes_find(rcpt, '@');
    struct bytes local = bytes_first(rcpt, at), domain = bytes_skip(rcpt, local.n);
    size_t *ends = mem_new(count * sizeof *ends);

    buf_init(&work->names, SIZE_MAX / 2);
    work->recipients = mem_new(count * sizeof *work->recipients);
    for (size_t i = 0; i < count; i++) {
        err_ignore(count == 1 ? buf_add(&work->names, rcpt)
                              : buf_printf(&work->names, "%.*s-%zu%.*s", BYTES_ARGS(local),
                                    i + 1, BYTES_ARGS(domain)));
        ends[i] = work->names.n;
    }
    for (size_t i = 0; i < count; i++) { /* only now does the buffer stay where it is */
        size_t start = i ? ends[i - 1] : 0;
        work->recipients[i].address = bytes_of(work->names.at + start, ends[i] - start);
    }
    free(ends);
}

/* Lines of 76 bytes; none begins with a dot. */
static void make_body(struct load_work *work)
{
    static const char line[] =
        "It is the same line again and again: a relay does not read what it carries.\r\n";
    uint64_t bytes = work->settings->size_bytes;

    buf_init(&work->body, SIZE_MAX / 2);
    while (work->body.n < bytes)
        err_ignore(buf_add_text(&work->body, line)); /* the ceiling is out of reach */
}

enum err load_work_init(
    struct load_work *work, const struct load_settings *settings, char why[256])
{
    *work = (struct load_work){ .settings = settings, .next = 1, .acked_fd = -1 };
    if (settings->acked_file) {
        work->acked_fd =
            open(settings->acked_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (work->acked_fd < 0) {
            snprintf(why, 256, "%.200s cannot be opened for appending", settings->acked_file);
            return ERR_DENIED;
        }
    }
    make_recipients(work);
    make_body(work);
    return OK;
}

void load_work_done(struct load_work *work)
{
    if (work->acked_fd >= 0)
        close(work->acked_fd);
    free(work->recipients);
    buf_done(&work->names);
    buf_done(&work->body);
    free(work->returned);
}

/* --- Numbers ----------------------------------------------------------------------------- */

bool load_work_take(struct load_work *work, uint64_t *number)
{
    if (work->settings->rate && work->allowed == 0)
        return false;
    if (work->returned_count)
        *number = work->returned[--work->returned_count];
    else if (work->next <= work->settings->messages)
        *number = work->next++;
    else
        return false;
    if (work->settings->rate)
        work->allowed--;
    work->taken++;
    return true;
}

void load_work_return(struct load_work *work, uint64_t number)
{
    if (work->returned_count == work->returned_room) {
        work->returned_room = work->returned_room ? 2 * work->returned_room : 64;
        work->returned = mem_grow(work->returned, work->returned_room * sizeof *work->returned);
    }
    work->returned[work->returned_count++] = number;
    work->taken--;
}

/* One write(2) for each: what is in the file was acknowledged, whatever happens to us. */
static void note_acked(const struct load_work *work, uint64_t number)
{
    char line[300];
    int n;

    if (work->acked_fd < 0)
        return;
    n = snprintf(
        line, sizeof line, "%s-%llu\n", work->settings->id_prefix, (unsigned long long)number);
    if (write(work->acked_fd, line, (size_t)n) != n) {
        perror("relais load: --acked"); /* the count would be wrong from here on */
        abort();
    }
}

void load_work_end(struct load_work *work, uint64_t number, unsigned code)
{
    work->last_us = load_now_us();
    if (code >= 200 && code < 300) {
        work->taken--;
        work->acked++;
        note_acked(work, number);
        return;
    }
    work->codes[code < LOAD_CODE_MAX ? code : 0]++;
    if (work->settings->retries && code < 500) {
        work->tried_again++;
        load_work_return(work, number);
        return;
    }
    work->taken--;
    work->refused++;
}

bool load_work_is_given_out(const struct load_work *work)
{
    return work->next > work->settings->messages && work->returned_count == 0 &&
           (work->taken == 0 || !work->settings->retries);
}

/* --- Content ----------------------------------------------------------------------------- */

void load_content_make(
    const struct load_work *work, uint64_t number, struct load_content *content)
{
    const struct load_settings *settings = work->settings;
    unsigned long long n = number;
    uint64_t rest;
    int length = snprintf(content->head, sizeof content->head,
        "X-Load-Id: %s-%llu\r\nMessage-ID: <%s-%llu@load.invalid>\r\n"
        "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\n"
        "Date: Sat, 21 Nov 2026 17:59:07 +0000\r\n\r\n",
        settings->id_prefix, n, settings->id_prefix, n, settings->from, settings->rcpt);

    assert(length > 0 && (size_t)length < sizeof content->head); /* options are checked */
    content->head_n = (size_t)length;
    content->tail = BYTES("\r\n");
    rest = settings->size_bytes > content->head_n ? settings->size_bytes - content->head_n : 0;
    content->body_n = rest > 3 ? (size_t)rest - 2 : 0;
    if (rest <= 3) {
        content->tail = BYTES("");
    } else if (work->body.at[content->body_n - 1] == '\r') {
        content->body_n--; /* a bare CR would be refused */
        content->tail = BYTES(" \r\n");
    }
}

uint64_t load_content_bytes(const struct load_content *content)
{
    return content->head_n + content->body_n + content->tail.n;
}

struct bytes load_content_at(
    const struct load_work *work, const struct load_content *content, uint64_t at)
{
    if (at < content->head_n)
        return bytes_skip(bytes_of(content->head, content->head_n), at);
    at -= content->head_n;
    if (at < content->body_n)
        return bytes_of(work->body.at + at, content->body_n - at);
    return bytes_skip(content->tail, at - content->body_n);
}
