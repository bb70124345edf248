#include "shared/rate.h"

#include "shared/value.h"

#include <string.h>

#define SHAPE "not a rate (such as 10/s, 300/m or 10/s burst 20), or off"

static int read_times(struct str text, uint32_t *out, struct err *e)
{
    int64_t n;

    if (value_number(text, 1, RATE_MAX, &n, NULL) != 0)
        return err_set(e, ERR_INPUT, SHAPE "; each number is from 1 to %d", RATE_MAX);
    *out = (uint32_t)n;
    return 0;
}

/* "10/s" */
static int read_pace(struct str text, struct rate *out, struct err *e)
{
    if (text.n < 3 || text.p[text.n - 2] != '/' || !strchr("sm", text.p[text.n - 1]))
        return err_set(e, ERR_INPUT, SHAPE);
    out->period_s = text.p[text.n - 1] == 's' ? 1 : 60;
    return read_times((struct str){ text.p, text.n - 2 }, &out->times, e);
}

int rate_read(struct str text, struct rate *out, struct err *e)
{
    struct str rest = text, pace, word, burst, more;

    *out = (struct rate){ 0 };
    if (memchr(text.p, '\0', text.n) || !str_next_word(&rest, "", &pace))
        return err_set(e, ERR_INPUT, SHAPE);
    if (!str_next_word(&rest, "", &word)) {
        if (str_eq(pace, "off"))
            return 0;
        if (read_pace(pace, out, e) != 0)
            return -1;
        out->burst = out->times;
        return 0;
    }
    if (!str_eq(word, "burst") || !str_next_word(&rest, "", &burst) || str_next_word(&rest, "", &more))
        return err_set(e, ERR_INPUT, SHAPE);
    return read_pace(pace, out, e) != 0 || read_times(burst, &out->burst, e) != 0 ? -1 : 0;
}

void rate_print(struct buf *out, const struct rate *rate)
{
    if (rate->times == 0) {
        buf_add_text(out, "off");
        return;
    }
    buf_printf(out, "%u/%c", rate->times, rate->period_s == 1 ? 's' : 'm');
    if (rate->burst != rate->times)
        buf_printf(out, " burst %u", rate->burst);
}

uint64_t rate_every_ns(const struct rate *rate)
{
    return (uint64_t)rate->period_s * 1000000000u / rate->times;
}
