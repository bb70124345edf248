/* A token as a person pastes it. */
#include "shared/token.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read writes itself again, character for character: there is one text for each token. */
static void write_again(const struct token *t, struct str text)
{
    struct buf again = { 0 };

    must(token_check(t, NULL) == 0);
    token_write(&again, t);
    text = str_trim(text);
    must(again.len == text.n && memcmp(buf_bytes(&again), text.p, text.n) == 0);
    buf_free(&again);
}

/* The same bytes as a body with right checks, so that the fields behind them are met, too. */
static void read_body(const uint8_t *data, size_t size)
{
    struct token t = { .port = 1 }, again;
    struct buf text = { 0 };
    char *fields[] = { t.relay, t.name, t.user, t.host, t.host_key };
    const size_t rooms[] = { sizeof t.relay, sizeof t.name, sizeof t.user, sizeof t.host, sizeof t.host_key };

    memcpy(t.id, "0123456789abcdef", sizeof t.id);
    for (size_t i = 0; i < 5; i++) {
        size_t n = size > 0 ? data[0] % rooms[i] : 0;

        data += size > 0;
        size -= size > 0;
        n = n < size ? n : size;
        memcpy(fields[i], data, n);
        fields[i][strlen(fields[i])] = 0;
        data += n;
        size -= n;
    }
    t.expires = (time_t)size;
    token_write(&text, &t);
    if (token_check(&t, NULL) == 0) {
        must(token_read(&again, str_of(buf_text(&text)), NULL) == 0);
        must(strcmp(again.host, t.host) == 0 && again.expires == t.expires);
    } else {
        must(token_read(&again, str_of(buf_text(&text)), NULL) != 0);
    }
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = { (const char *)data, size };
    struct err e = { 0 };
    struct token t;

    if (token_read(&t, text, &e) == 0)
        write_again(&t, text);
    else
        must(e.code == ERR_INPUT && e.text[0]);
    read_body(data, size);
    return 0;
}
