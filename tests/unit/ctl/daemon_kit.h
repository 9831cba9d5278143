/* A daemon that is a thread with one answer in its hand. */
#ifndef TESTS_CTL_DAEMON_KIT_H
#define TESTS_CTL_DAEMON_KIT_H

#include "kit.h"

#include <pthread.h>

struct fake_daemon {
    char folder[32], path[64];
    int fd;
    pthread_t thread;
    const char *answer;
    size_t piece; /* it is sent in pieces of so many bytes */
    char question[200];
};

/* ANSWER is borrowed; it is sent PIECE bytes at a time. */
void daemon_start(struct fake_daemon *daemon, const char *answer, size_t piece);
void daemon_stop(struct fake_daemon *daemon);

#endif
