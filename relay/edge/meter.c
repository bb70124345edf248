#include "relay/edge/meter.h"

void meter_begin(struct meter *m, struct tally *tally, struct counts *counts)
{
    *m = (struct meter){ .tally = tally, .counts = counts_hold(counts), .began_us = tally_now_us(tally) };
}

void meter_sent(struct meter *m)
{
    m->sent_us = tally_now_us(m->tally);
}

static void note_status(struct meter *m, int status)
{
    m->status = status;
    counts_answered(m->counts, status);
    histogram_add(&m->tally->edge, tally_now_us(m->tally) - m->began_us);
}

void meter_answered(struct meter *m, int status)
{
    histogram_add(&m->tally->service, tally_now_us(m->tally) - m->sent_us);
    note_status(m, status);
}

void meter_page(struct meter *m, int status)
{
    if (m->status == 0)
        note_status(m, status);
}

void meter_end(struct meter *m)
{
    if (m->status == 0)
        counts_answered(m->counts, 0);
    counts_release(m->counts);
}
