#include "relay/edge/tally.h"

static void on_before(uv_prepare_t *before)
{
    struct tally *t = before->data;

    t->now_us = 0; /* the loop may wait now */
}

static void on_behind(uv_check_t *behind)
{
    struct tally *t = behind->data;

    t->now_us = 0;
}

void tally_init(struct tally *t, uv_loop_t *loop)
{
    uv_prepare_init(loop, &t->before);
    uv_check_init(loop, &t->behind);
    t->before.data = t->behind.data = t;
    uv_prepare_start(&t->before, on_before);
    uv_check_start(&t->behind, on_behind);
}

void tally_close(struct tally *t)
{
    uv_close((uv_handle_t *)&t->before, NULL);
    uv_close((uv_handle_t *)&t->behind, NULL);
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void tally_merge(struct tally_sum *sum, const struct tally *t)
{
    histogram_merge(&sum->edge, &t->edge);
    histogram_merge(&sum->service, &t->service);
    histogram_merge(&sum->lane, &t->lane);
    for (int i = 0; i < TALLY_HANDSHAKES; i++)
        sum->handshakes[i] += read_count(&t->handshakes[i]);
    for (int i = 0; i < TALLY_REFUSALS; i++)
        sum->refusals[i] += read_count(&t->refusals[i]);
    sum->parked += read_count(&t->parked);
}

const char *tally_refusal_text(enum tally_refusal why)
{
    static const char *const texts[TALLY_REFUSALS] = {
        [TALLY_CROWD] = "crowd",
        [TALLY_BANNED] = "banned",
        [TALLY_FORBIDDEN] = "forbidden",
        [TALLY_RATE] = "rate",
        [TALLY_PASSWORD] = "password",
        [TALLY_MALFORMED] = "malformed",
        [TALLY_UNKNOWN] = "unknown_site",
        [TALLY_MISDIRECTED] = "misdirected",
        [TALLY_TOO_LARGE] = "too_large",
        [TALLY_AWAY] = "away",
        [TALLY_BUSY] = "busy",
        [TALLY_UNREACHABLE] = "unreachable",
        [TALLY_SILENT] = "silent",
        [TALLY_BROKEN] = "broken",
    };

    return texts[why];
}
