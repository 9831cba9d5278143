/* The files of the logs, and the one thread that writes them.
 *
 * Each loop's thread has a lane: rings that it alone fills with lines, one for each log.  What it
 * hands over, once a turn, comes into the files in the order of handing over, whatever lane it is
 * from.  The writer writes at once what comes, but when much has come lately it waits
 * WRITER_PAUSE_MS before: under load it writes large pieces, and no line waits longer.
 *
 * A disk that hangs takes the writer with it, and nobody else: whoever has a lane waits
 * WRITER_PATIENCE_MS once, and not again before the writer is back.  What no ring has room for
 * meanwhile is lost, counted, and told of.  Any thread, where nothing else is said. */
#ifndef REPORT_WRITER_H
#define REPORT_WRITER_H

#include "report/out.h"
#include "report/ring.h"

enum stream { LOG, PROTOCOL, TRACKING, CONNECTIVITY, STREAM_COUNT };

enum {
    WRITER_PAUSE_MS = 5,
    WRITER_PATIENCE_MS = 1000,
    LANE_BYTES = 256 << 10, /* of each ring */
};

struct lane {
    struct ring ring[STREAM_COUNT];
};

/* Makes the rings.  The first lane starts the thread, the last one ends it; what was handed over
 * is written when a lane goes.  False: the writer is stuck, and LANE stays his for good. */
void writer_add(struct lane *lane);
bool writer_remove(struct lane *lane) MUST_USE;

/* By the lane's own thread: its lines are the writer's now (or at the next call, when he is
 * stuck). */
void writer_hand_over(struct lane *lane);

/* A line had no room. */
void writer_lose_line(void);

/* Writes LINES, which are no lane's, behind what was handed over. */
void writer_write(enum stream stream, struct bytes lines);

/* All that was handed over before the call is written when this returns.  False: the writer is
 * stuck. */
bool writer_sync(void);

/* Writes what was handed over into the files there are, and takes those of OUT in their place.
 * False: the writer is stuck, and OUT the caller's still. */
bool writer_change(struct out out[STREAM_COUNT]) MUST_USE;

/* From a signal's handler, when the process is to end: writes what was handed over, and what LANE (its
 * thread's own; NULL: none) has besides.  Gives up when the files are in use for long: a disk that
 * hangs must not keep a broken process. */
void writer_crash(struct lane *lane);

#endif
