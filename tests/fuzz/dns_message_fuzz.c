/* A DNS message from anybody: read, judged as the answer to a signed request, and its names written again. */
#include "shared/dns/tsig.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name that was read can be written, and is read again as the same one. */
static void write_again(const char *name)
{
    char again[MSG_NAME_TEXT];
    struct buf out = { 0 };
    struct msg m;
    size_t at = MSG_HEAD_BYTES;

    msg_begin(&out, 0, MSG_QUERY, 0);
    must(msg_name(&out, name, NULL) == 0);
    must(msg_open(&m, buf_bytes(&out), out.len, NULL) == 0 && msg_read_name(&m, &at, again) && at == out.len);
    must(strcmp(again, name) == 0);
    buf_free(&out);
}

static void read_all(const uint8_t *data, size_t size)
{
    struct buf value = { 0 };
    struct msg_record r;
    struct msg m;

    if (msg_open(&m, data, size, NULL) == 0)
        while (msg_next(&m, &r, NULL) == 1) {
            write_again(r.name);
            buf_take(&value, value.len);
            if (r.rdata && msg_value(&m, &r, &value) && r.type == MSG_CNAME)
                write_again(buf_text(&value));
        }
    buf_free(&value);
}

static void judge(const uint8_t *data, size_t size)
{
    struct tsig_mac request = { .n = 32 };
    struct tsig_answer answer;
    struct tsig_key key = { .name = "pi" };

    secret_init(&key.bytes, 32);
    if (tsig_verify(&answer, data, size, &key, &request, 1790000000, NULL) == 0)
        must(answer.verdict != TSIG_GOOD); /* nobody guesses a MAC */
    tsig_key_free(&key);
}

static void read_key(const uint8_t *data, size_t size)
{
    struct tsig_key key = { .name = "" };
    struct err e = { 0 };

    if (tsig_key_read(&key, (struct str){ (const char *)data, size }, &e) == 0)
        must(key.bytes.bytes && key.bytes.n > 0);
    else
        must(e.text[0]);
    tsig_key_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_all(data, size);
    judge(data, size);
    if (size <= 4096)
        read_key(data, size);
    return 0;
}
