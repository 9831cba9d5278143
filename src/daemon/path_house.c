/* Houses: the sessions of each network loop, and what they tell the home loop. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_home(const struct path_house *house)
{
    return !house->has_thread;
}

/* Something a house tells the home loop. */
struct from_house {
    struct loop_post post;
    struct path *path;
    char connector[SESSION_CONNECTOR_BYTES];
    struct ip source;
};

static void on_gone_at_home(struct loop_post *post)
{
    struct from_house *gone = container_of(post, struct from_house, post);

    accept_gone(&gone->path->accept, gone->connector, gone->source);
    free(gone);
}

static void on_gone(
    struct session_house *session_house, const char *connector, struct ip source)
{
    struct path_house *house = session_house->me;
    struct from_house *gone;

    if (is_home(house)) {
        accept_gone(&house->path->accept, connector, source);
        return;
    }
    gone = mem_new(sizeof *gone);
    gone->post.run = on_gone_at_home;
    gone->path = house->path;
    gone->source = source;
    snprintf(gone->connector, sizeof gone->connector, "%s", connector);
    loop_post(house->path->home, &gone->post);
}

static void on_empty_at_home(struct loop_post *post)
{
    struct from_house *empty = container_of(post, struct from_house, post);

    empty->path->houses_left--;
    free(empty);
}

static void on_empty(struct session_house *session_house)
{
    struct path_house *house = session_house->me;
    struct from_house *empty;

    if (is_home(house)) {
        house->path->houses_left--;
        return;
    }
    empty = mem_new(sizeof *empty);
    empty->post.run = on_empty_at_home;
    empty->path = house->path;
    loop_post(house->path->home, &empty->post);
}

static void *run_house(void *me)
{
    struct path_house *house = me;

    report_thread_init(house->loop);
    crash_thread_init();
    loop_run(house->loop);
    crash_thread_done();
    report_thread_done();
    return NULL;
}

/* A socket on its way to the loop that will serve it. */
struct handoff {
    struct loop_post post;
    struct path_house *house;
    struct session_start start;
};

static void on_handoff(struct loop_post *post)
{
    struct handoff *handoff = container_of(post, struct handoff, post);

    session_open(&handoff->house->house, &handoff->start);
    free(handoff);
}

void path_open_session(struct accept *accept, int fd, const struct arrival *arrival,
    struct setup *setup, const struct receive_connector *connector)
{
    struct path *path = accept->me;
    struct path_house *house = &path->houses[path->next_house++ % path->house_count];
    struct session_start start = {
        .fd = fd,
        .id = random_session_id(),
        .arrival = *arrival,
        .setup = setup,
        .connector = connector,
    };
    struct handoff *handoff;

    if (is_home(house)) {
        session_open(&house->house, &start);
        return;
    }
    handoff = mem_new(sizeof *handoff);
    *handoff = (struct handoff){ .post.run = on_handoff, .house = house, .start = start };
    loop_post(house->loop, &handoff->post);
}

static uint32_t house_count(const struct settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->loop_count)
        return settings->loop_count;
    return cores > 2 ? (uint32_t)cores - 1 : 1;
}

enum err path_open_houses(struct path *path, const struct settings *settings)
{
    uint32_t count = house_count(settings);

    path->houses = mem_new(count * sizeof *path->houses);
    for (uint32_t i = 0; i < count; i++) {
        struct path_house *house = &path->houses[i];
        house->path = path;
        house->loop = path->home;
        if (count > 1) { /* one loop only: it is the home loop */
            enum err err = loop_new(&house->loop);
            if (err != OK)
                return err;
            house->has_thread = true;
        }
        house->house = (struct session_house){
            .loop = house->loop,
            .secure = &path->secure,
            .setup = &path->setup,
            .rates = &path->rates,
            .devices = &path->devices,
            .workers = path->workers,
            .logins = path->logins,
            .on_gone = on_gone,
            .on_empty = on_empty,
            .me = house,
        };
        list_init(&house->house.sessions);
        path->house_count = i + 1;
        if (house->has_thread && pthread_create(&house->thread, NULL, run_house, house) != 0)
            return ERR_SYSTEM;
    }
    return OK;
}

void path_end_houses(struct path *path)
{
    for (uint32_t i = 0; i < path->house_count; i++) {
        struct path_house *house = &path->houses[i];
        if (!house->has_thread)
            continue;
        loop_stop(house->loop);
        pthread_join(house->thread, NULL);
    }
}

void path_free_houses(struct path *path)
{
    for (uint32_t i = 0; i < path->house_count; i++) {
        struct path_house *house = &path->houses[i];
        if (house->house.count)
            return; /* over the deadline: the end of the process closes what is open */
        if (house->has_thread)
            loop_free(house->loop);
    }
    free(path->houses);
}

uint32_t path_session_count(const struct path *path)
{
    return path->accept.connection_count;
}
