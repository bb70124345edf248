/* shared/job.h - slow work that runs rarely and in sequence: plain blocking code on a thread of its own.
 *
 * Alive on the loop from job_start until it calls `ended`, once, last, from the loop. `run` is on the thread; it may touch
 * nothing but what it was given, and looks at job_cancelled wherever it could wait. */
#ifndef SHARED_JOB_H
#define SHARED_JOB_H
#include "shared/err.h"
#include "shared/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct job;

/* NULL with the reason when there can be no further thread. */
struct job *job_start(struct loop *loop, void (*run)(struct job *job, void *user), void (*ended)(void *user),
                      void *user, struct err *e);
/* From the loop: it shall end soon. `ended` is still called, later. */
void job_cancel(struct job *job);

/* From the thread. A job that is NULL, for code that runs without one, is never cancelled. */
bool job_cancelled(struct job *job);
/* Waits. False when it was cancelled before or meanwhile. */
bool job_sleep(struct job *job, int64_t ms);
#endif
