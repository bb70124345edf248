/* CAA records of anybody's zone, out of a DNS message: read, and judged for a CA of two names. */
#include "relay/certs/caa.h"
#include "shared/dns/message.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_records(const uint8_t *data, size_t size, struct caa *c)
{
    struct msg_record r;
    struct msg m;

    if (msg_open(&m, data, size, NULL) != 0)
        return;
    while (msg_next(&m, &r, NULL) == 1)
        if (r.type == MSG_CAA && r.rdata && !caa_read(c, r.rdata, r.rdata_n))
            must(r.rdata_n < 3 || r.rdata[1] == 0 || r.rdata[1] + 2u > r.rdata_n);
}

/* The same, one record: its length decides, whatever is behind it. */
static void read_one(const uint8_t *data, size_t size, struct caa *c)
{
    unsigned char exact[300];
    size_t n = size < sizeof exact ? size : sizeof exact;

    memcpy(exact, data, n);
    for (int i = 0; i < CAA_VALUES + 1; i++)
        if (!caa_read(c, exact, n))
            must(c->n == 0);
}

static void judge(const struct caa *c)
{
    static const char *const cas[] = { "ca.test", "letsencrypt.org" };

    must(c->n <= CAA_VALUES);
    for (size_t i = 0; i < c->n; i++)
        must(memchr(c->list[i].tag, '\0', sizeof c->list[i].tag) &&
             memchr(c->list[i].value, '\0', sizeof c->list[i].value));
    /* More CAs that would do never make it worse. */
    for (int wildcard = 0; wildcard < 2; wildcard++)
        must(!caa_admits(c, wildcard, cas, 1) || caa_admits(c, wildcard, cas, 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct caa c = { .n = 0 };

    read_records(data, size, &c);
    judge(&c);
    c = (struct caa){ .n = 0 };
    read_one(data, size, &c);
    judge(&c);
    return 0;
}
