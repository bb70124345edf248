/* tests/linesim/line.h - one direction of the simulated line: what leaves when.
 *
 *   line_put --> [ queue: queue_bytes, drained at rate ] --> [ in flight: delay + jitter ] --> line_next
 *
 * Pure: sizes and times in, parcels out; it never sees a byte, a socket or a clock. All connections share it,
 * and it is first in, first out as a whole, like one slow modem: a bulk upload that fills the queue delays
 * the small packets of every other connection by queue / rate; jitter stretches gaps but reorders nothing.
 *
 * A value: embed it, line_init, line_free. Times are nanoseconds of any clock that does not run backwards. */
#ifndef TESTS_LINESIM_LINE_H
#define TESTS_LINESIM_LINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_NEVER INT64_MAX

/* Everything a connection does travels on the line, in order with its bytes. */
enum line_what { LINE_OPEN, LINE_BYTES, LINE_FIN, LINE_RESET };

enum line_mode {
    LINE_FLOWS,
    LINE_STALLS,   /* the queue still fills, but nothing moves; after the stall all arrives, shifted by it */
    LINE_SWALLOWS, /* nothing may be put: the caller throws it away, and what line_lose hands back */
};

struct line_conf {
    int64_t delay_ns, jitter_ns; /* each parcel flies for delay, plus a random time from 0 to jitter */
    int64_t rate;                /* bytes per second; 0 is no limit */
    int64_t queue_bytes;         /* how much waits for its turn to be sent before senders are held back */
};

struct line_parcel {
    void *owner;
    enum line_what what;
    uint32_t bytes; /* of LINE_BYTES; the others weigh nothing, but wait their turn like all */
    int64_t at;     /* inside the line: when it was put (queued), when it is due (in flight) */
};

struct line {
    struct line_conf conf;
    enum line_mode mode;
    struct line_parcel *ring;
    size_t room, first, parcels,
        flying; /* of the parcels from `first` on, the first `flying` are in flight */
    int64_t queued_bytes, flying_bytes;
    int64_t free_at;  /* when the sender end has finished its last parcel */
    int64_t last_due; /* no later parcel arrives before this */
    int64_t stalled_at;
    uint64_t random; /* state of the jitter; not zero */
};

void line_init(struct line *l, uint64_t seed); /* no delay, no limit, a queue of 64 KiB */
void line_free(struct line *l);

/* New settings hold for parcels not yet sent; those in flight keep their time of arrival. */
void line_set(struct line *l, const struct line_conf *conf, int64_t now);
void line_set_mode(struct line *l, enum line_mode mode, int64_t now);

/* True when a byte put now would come out now: the caller may then pass bytes by the line. */
bool line_is_clear(const struct line *l);
/* How many bytes the next parcel may have, about a millisecond's worth; 0 when the queue is full. A queue
 * that is not full takes a whole parcel, so it can be over its limit by one. */
size_t line_room(const struct line *l);
void line_put(struct line *l, void *owner, enum line_what what, size_t bytes, int64_t now);

/* Takes out the next parcel that is due; false when there is none yet. */
bool line_next(struct line *l, int64_t now, struct line_parcel *parcel);
/* Takes out the oldest parcel whether due or not: for a line that starts to swallow. */
bool line_lose(struct line *l, struct line_parcel *parcel);
/* When to call line_next again: something is due or the queue gets room. LINE_NEVER when nothing moves. */
int64_t line_wakes_at(const struct line *l);
/* The owner is going away: its parcels still take their time on the line, but never come out. */
void line_forget(struct line *l, const void *owner);
#endif
