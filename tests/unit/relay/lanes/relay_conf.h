/* tests/unit/relay/lanes/relay_conf.h - a relay.ini with agents in it. Include cmocka before it. */
#ifndef TESTS_UNIT_RELAY_LANES_RELAY_CONF_H
#define TESTS_UNIT_RELAY_LANES_RELAY_CONF_H
#include <stdio.h>
#include <string.h>

#include "relay/options.h"

/* A public key of 68 characters, other than that of another letter. */
static inline const char *key_of(char letter, char out[96])
{
    snprintf(out, 96, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA%042d", 0);
    memset(out + strlen(out) - 42, letter, 42);
    return out;
}

/* relay.ini: `first` as it is, then an agent for each pair of a name and its domains, with NULL at the end. */
static inline struct opt_conf *relay_conf(const char *first, const char *const *agents)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf;
    struct buf text = { 0 };
    char key[96];

    buf_add_text(&text, first);
    for (size_t i = 0; agents[i]; i += 2)
        buf_printf(&text, "\n[agent %s]\nkey = %s home computer\ndomains = %s\n", agents[i],
                   key_of((char)('a' + i), key), agents[i + 1]);
    conf = opt_load_text(&relay_schema, "relay.ini", buf_bytes(&text), text.len, &errors);
    for (size_t i = 0; i < errors.n; i++)
        print_error("%s\n", errors.lines[i]);
    assert_non_null(conf);
    opt_errors_free(&errors);
    buf_free(&text);
    return conf;
}
#endif
