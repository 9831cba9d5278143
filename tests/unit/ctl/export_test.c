/* `message export`: a file is there as a whole, or not at all. */
#include "daemon_kit.h"

#include "ctl/tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef"
#define TWO "{\"row\":{\"data\":\"Zm9v\"}}\n{\"row\":{\"data\":\"YmFy\"}}\n"

/* What is in FILE; NULL: it is not there. */
static const char *content_of(const char *file, char out[100])
{
    FILE *stream = fopen(file, "r");
    size_t n;

    if (!stream)
        return NULL;
    n = fread(out, 1, 99, stream);
    out[n] = 0;
    fclose(stream);
    return out;
}

static int export_into(struct fake_daemon *daemon, char *file)
{
    const struct command command = { .name = "message export", .arguments = "ID" };
    struct tool tool = { .command = &command, .socket = daemon->path };
    char output[] = "--output", id[] = ID;
    char *argv[] = { output, file, id, NULL };

    return cmd_message_export(&tool, 3, argv);
}

static void test_all_or_nothing(void **state)
{
    static const struct {
        const char *name, *answer, *content; /* NULL: no file */
        int code;
    } cases[] = {
        { "whole", TWO "{\"ok\":true}\n", "foobar", EX_OK },
        { "of no bytes", "{\"ok\":true}\n", "", EX_OK },
        { "it ends with an error", TWO "{\"ok\":false,\"code\":70}\n", NULL, EX_SOFTWARE },
        { "it is not there", "{\"ok\":false,\"code\":66}\n", NULL, EX_NOINPUT },
        { "no end", TWO, NULL, EX_UNAVAILABLE },
        { "half a row", "{\"row\":{\"data\":\"Zm9v\"}}\n{\"row\":{\"da", NULL, EX_UNAVAILABLE },
        { "no base64", TWO "{\"row\":{\"data\":\"%\"}}\n{\"ok\":true}\n", NULL, EX_PROTOCOL },
        { "a row without data", TWO "{\"row\":{}}\n{\"ok\":true}\n", NULL, EX_PROTOCOL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t piece = 1; piece < 1000; piece *= 7) {
            struct fake_daemon daemon;
            char file[100], room[100];
            const char *content;
            daemon_start(&daemon, cases[i].answer, piece);
            snprintf(file, sizeof file, "%s/out", daemon.folder);
            check(cases[i].name, export_into(&daemon, file) == cases[i].code);
            content = content_of(file, room);
            check(cases[i].name, !content == !cases[i].content);
            check(cases[i].name, !content || strcmp(content, cases[i].content) == 0);
            unlink(file);
            daemon_stop(&daemon);
        }
    }
}

/* Of another message, perhaps: neither written nor removed. */
static void test_what_is_there_stays(void **state)
{
    struct fake_daemon daemon;
    char file[100], room[100];
    FILE *stream;

    (void)state;
    daemon_start(&daemon, TWO "{\"ok\":true}\n", 1000);
    snprintf(file, sizeof file, "%s/out", daemon.folder);
    stream = fopen(file, "w");
    fputs("mine", stream);
    fclose(stream);
    assert_int_equal(export_into(&daemon, file), EX_CANTCREAT);
    assert_string_equal(content_of(file, room), "mine");
    unlink(file);
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_what_is_there_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
