/* Fuzzes what an agent asks of a port, and the lists of ports that it may ask for: what is accepted is written and read back
 * as the same, and what is not gets a reason that can be shown. */
#include <stdint.h>
#include <string.h>

#include "relay/lanes/port_list.h"
#include "shared/json.h"
#include "shared/cidr_json.h"
#include "shared/port_policy.h"
#include "shared/utf8.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *e)
{
    const char *text = e->text;

    must(text[0]);
    for (size_t n = strlen(text), length; n > 0; text += length, n -= length) {
        length = utf8_printable(text, n);
        must(length > 0);
    }
}

static void try_policy(const json_t *object)
{
    struct port_policy policy, again;
    struct arena arena = { 0 };
    struct err e = { 0 };
    json_t *written, *rewritten;

    if (port_policy_read(&policy, object, &arena, &e) == 0) {
        must(port_policy_port(&policy.listen) > 0 && port_policy_collide(&policy.listen, &policy.listen));
        must(policy.allow.n <= CIDR_JSON_MAX && policy.deny.n <= CIDR_JSON_MAX);
        written = port_policy_write(&policy);
        must(port_policy_read(&again, written, &arena, &e) == 0);
        rewritten = port_policy_write(&again);
        must(json_equal(written, rewritten));
        json_decref(written);
        json_decref(rewritten);
    } else {
        must(e.text[0]);
    }
    arena_free(&arena);
}

static void try_list(struct str word)
{
    uint16_t first, last;
    struct err e = { 0 };

    if (port_list_read(word, &first, &last, &e) == 0)
        must(first > 0 && first <= last);
    else
        check_error(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { size > 0 ? (const char *)data : "", size };
    json_t *object = json_read(text.p, text.n, NULL);

    if (object)
        try_policy(object);
    json_decref(object);
    try_list(text);
    return 0;
}
