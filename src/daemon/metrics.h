/* What the node counts, as text for Prometheus (format 0.0.4).  Home loop.
 *
 * docs/metrics.md lists all of it; names and meanings stay as they are once released. */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "base/buf.h"
#include "daemon/control_tally.h"
#include "daemon/path.h"

enum {
    METRICS_BYTES_MAX = 900 << 10, /* fits into one answer of the control socket */
    METRICS_QUEUES_MAX = 50,       /* those with the oldest messages have lines of their own */
};

/* A text that is being written. */
struct metrics {
    struct buf *out;
    const char *name; /* of the metric whose samples are written */
};

struct metric_label {
    const char *name, *value;
};

/* "# HELP" and "# TYPE"; TYPE: "counter", "gauge". */
void metric_begin(
    struct metrics *metrics, const char *name, const char *type, const char *help);
/* One sample; labels with a NULL name are left out. */
void metric_sample(struct metrics *metrics, struct metric_label first,
    struct metric_label second, double value);
/* A metric with one sample and no labels. */
void metric_one(struct metrics *metrics, const char *name, const char *type, const char *help,
    double value);
#define METRIC_NO_LABEL ((struct metric_label){ NULL, NULL })

/* metrics_queue.c, metrics_shadow.c */
void metrics_queues(
    struct metrics *metrics, const struct path *path, const struct hop_tallies *waiting);
void metrics_shadow(struct metrics *metrics, const struct path *path);

/* All of them.  STARTED: of the daemon.  WAITING: of the queue, all counted.  ERR_LIMIT: more than
 * OUT may have. */
enum err metrics_format(const struct path *path, struct moment started,
    const struct hop_tallies *waiting, struct buf *out) MUST_USE;

#endif
