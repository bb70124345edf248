#include "shared/page/history.h"

#include "shared/status/text.h"

#include <stdio.h>

/* ---- what is kept ---- */

/* What a site counted is gone with the site: then nothing is known of this time. */
static float per_second(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (float)((double)(now - before) / seconds) : 0;
}

void history_note(struct history *t, const struct history_totals *totals, int64_t now_ms)
{
    double seconds = (double)(now_ms - t->before_ms) / 1000;
    const struct history_totals *before = &t->before;

    if (t->before_ms > 0 && seconds > 0) {
        t->samples[t->next] = (struct history_sample){
            .first = per_second(totals->requests, before->requests, seconds) + (float)totals->streams,
            .second = per_second(totals->errors, before->errors, seconds),
            .in = per_second(totals->bytes_in, before->bytes_in, seconds),
            .out = per_second(totals->bytes_out, before->bytes_out, seconds),
        };
        t->next = (t->next + 1) % HISTORY_SAMPLES;
        t->n += t->n < HISTORY_SAMPLES;
    }
    t->before = *totals;
    t->before_ms = now_ms > 0 ? now_ms : 1;
}

const struct history_sample *history_at(const struct history *t, size_t i)
{
    return i + t->n < HISTORY_SAMPLES ? NULL : &t->samples[(t->next + i) % HISTORY_SAMPLES];
}

/* ---- plots ---- */

enum { WIDTH = 5 * (HISTORY_SAMPLES - 1), HEIGHT = 60 };

struct series {
    const char *name;
    float (*of)(const struct history_sample *s);
};

struct plot {
    const char *title, *unit; /* unit: NULL: bytes */
    struct series series[2];
};

static float first_of(const struct history_sample *s)
{
    return s->first;
}

static float second_of(const struct history_sample *s)
{
    return s->second;
}

static float in_of(const struct history_sample *s)
{
    return s->in;
}

static float out_of(const struct history_sample *s)
{
    return s->out;
}

static const struct plot requests_plot = {
    "Requests", "/s", { { "requests", first_of }, { "the relay's own errors", second_of } }
};
static const struct plot streams_plot = { "Streams in use", "", { { "streams", first_of } } };
static const struct plot bytes_plot = { "Bytes",
                                        NULL,
                                        { { "from visitors", in_of }, { "to visitors", out_of } } };

static void add_value(struct buf *out, float value, const char *unit)
{
    char text[32];

    if (unit) {
        buf_printf(out, value < 9.95F && value != (float)(int)value ? "%.1f%s" : "%.0f%s", (double)value,
                   unit);
        return;
    }
    status_bytes((double)value, text, sizeof text);
    buf_printf(out, "%s/s", text);
}

static float largest(const struct history *t, const struct series *series)
{
    float most = 0;

    for (size_t i = 0; i < HISTORY_SAMPLES; i++) {
        const struct history_sample *s = history_at(t, i);

        if (s && series->of(s) > most)
            most = series->of(s);
    }
    return most;
}

/* A round number that is not below it: 1, 2 or 5 times a power of ten. */
static float round_above(float value)
{
    static const float steps[] = { 1, 2, 5, 10 };
    float power = 1;

    while (power * 10 < value)
        power *= 10;
    for (size_t i = 0; i < 3; i++)
        if (steps[i] * power >= value)
            return steps[i] * power;
    return 10 * power;
}

/* A sample is of the five seconds in front of it: so the first one is a line, too. */
static void add_line(struct buf *out, const struct history *t, const struct series *series, float top,
                     int number)
{
    bool first = true;

    buf_printf(out, "<polyline class=l%d points=\"", number);
    for (size_t i = 0; i < HISTORY_SAMPLES; i++) {
        const struct history_sample *s = history_at(t, i);
        double y;

        if (!s)
            continue;
        y = (double)(HEIGHT - HEIGHT * series->of(s) / top);
        if (first && i > 0)
            buf_printf(out, "%zu,%.0f ", 5 * (i - 1), y);
        buf_printf(out, "%zu,%.0f ", 5 * i, y);
        first = false;
    }
    buf_add_text(out, "\"/>");
}

/* "requests 3.2/s, at most 20/s" */
static void add_legend(struct buf *out, const struct history *t, const struct series *series,
                       const char *unit)
{
    const struct history_sample *last = history_at(t, HISTORY_SAMPLES - 1);

    buf_printf(out, "%s ", series->name);
    add_value(out, last ? series->of(last) : 0, unit);
    buf_add_text(out, ", at most ");
    add_value(out, largest(t, series), unit);
}

static void add_plot(struct buf *out, const struct history *t, const struct plot *plot)
{
    float most = 0, top;

    for (int i = 0; i < 2 && plot->series[i].name; i++)
        most = largest(t, &plot->series[i]) > most ? largest(t, &plot->series[i]) : most;
    top = round_above(most);
    buf_printf(out, "<figure><figcaption><b>%s</b>", plot->title);
    for (int i = 0; i < 2 && plot->series[i].name; i++) {
        buf_printf(out, "<span class=k%d>", i);
        add_legend(out, t, &plot->series[i], plot->unit);
        buf_add_text(out, "</span>");
    }
    buf_printf(out,
               "</figcaption><svg viewBox=\"0 -2 %d %d\" preserveAspectRatio=none role=img aria-label=\"%s",
               WIDTH, HEIGHT + 4, plot->title);
    buf_printf(out, " of the last ten minutes\"><path class=g d=\"M0 0H%dM0 %dH%dM0 %dH%d\"/>", WIDTH,
               HEIGHT / 2, WIDTH, HEIGHT, WIDTH);
    for (int i = 0; i < 2 && plot->series[i].name; i++)
        add_line(out, t, &plot->series[i], top, i);
    buf_add_text(out, "</svg><p class=x><span>10 min ago</span><span>top line: ");
    add_value(out, top, plot->unit);
    buf_add_text(out, "</span><span>now</span></p></figure>");
}

void history_add_plots(struct buf *out, const struct history *t, bool is_relay)
{
    add_plot(out, t, is_relay ? &requests_plot : &streams_plot);
    add_plot(out, t, &bytes_plot);
}
